/** The proof methods. */
import type { Handlers } from '@kvchain/client/contract'
import { parseKey } from '@kvchain/client/operations'
import { encodeWith } from '@kvchain/core/codec'
import { HEADER_BYTES, writeHeader } from '@kvchain/core/header'
import { hex, unhex } from '../runtime/hex.js'
import { AnswerError } from './answers.js'
import { keyText, type ReadContext } from './context.js'
import { headersFrom, type Prover } from './prover.js'

type ProofHandlers = Pick<Handlers, 'kv_prove' | 'chain_headers'>

const DEFAULT_HEADERS = 1_000

export function proofHandlers({ chain }: ReadContext, prover: Prover): ProofHandlers {
  return {
    async kv_prove(params, { signal }) {
      const key = parseKey(params)
      const { height, history = false, values = true, fromGenesis = false } = params
      const kind = history ? 'history' : 'entry'
      const made = await prover.prove({ key, kind, height, withValues: values, fromGenesis }, signal)
      const { bytes, entry, block, tip, size, missing } = made
      return {
        ...keyText(key, params.keyEncoding),
        kind,
        claim: entry === undefined ? 'absent' : entry.deleted ? 'deleted' : 'present',
        ...(entry === undefined ? {} : { version: entry.version }),
        height: block.header.height,
        blockHash: hex(block.hash),
        confirmations: tip.header.height - block.header.height + 1,
        tip: { height: tip.header.height, hash: hex(tip.hash) },
        proof: base64(bytes),
        size,
        ...(missing === undefined ? {} : { missing }),
      }
    },

    async chain_headers({ from, count = DEFAULT_HEADERS, tip: hash }) {
      await chain.consistent()
      const tip = hash === undefined ? chain.tip : chain.tree.get(unhex(hash))
      if (tip === undefined) throw new AnswerError('not-found', 'no such block')
      const headers = headersFrom(chain, tip, from, count)
      const bytes = encodeWith((writer) => {
        for (const header of headers) writeHeader(writer, header)
      }, headers.length * HEADER_BYTES)
      return {
        from,
        count: headers.length,
        headers: base64(bytes),
        tip: { height: tip.header.height, hash: hex(tip.hash) },
      }
    },
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
