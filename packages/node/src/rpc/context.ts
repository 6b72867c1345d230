/** What the handlers share: the parts of the node that they read, and the turning of bytes into the texts of the contract. */
import type { AccessChange, AnswerEncoding, Expect, KeyEncoding } from '@kvchain/client/contract/schemas'
import { decodeText, encodeText, toAnswerText } from '@kvchain/client/text'
import { toAddress } from '@kvchain/core/address'
import { MAX_KEY_BYTES } from '@kvchain/core/limits'
import type { AccessChange as CoreAccess, Expectation, WriteAccess } from '@kvchain/core/transaction'
import type { Chain } from '../chain/chain.js'
import type { Mempool } from '../mempool/mempool.js'
import { hex } from '../runtime/hex.js'
import type { Runtime } from '../runtime/runtime.js'
import { AnswerError } from './answers.js'

export interface ReadContext {
  readonly chain: Chain
  readonly mempool: Mempool
  readonly runtime: Runtime
  readonly prefix: string
  readonly settleDepth: number
}

export function invalid(field: string, message: string): AnswerError {
  return new AnswerError('invalid-params', `${field} ${message}`, { field })
}

/** The bytes of how keys begin, or of where a page goes on. Throws AnswerError `invalid-params`. */
export function parseKeyPart(field: string, text: string, encoding: KeyEncoding | undefined): Uint8Array {
  const bytes = decodeText(text, encoding ?? 'utf8')
  if (bytes === undefined) throw invalid(field, `is not ${encoding}`)
  if (bytes.length > MAX_KEY_BYTES) throw invalid(field, `has at most ${MAX_KEY_BYTES} bytes`)
  return bytes
}

/** A key in the encoding of the question; where that cannot be (text asked for, bytes found), in hexadecimal. */
export function keyText(key: Uint8Array, encoding: KeyEncoding | undefined): { key: string; keyEncoding: KeyEncoding } {
  const keyEncoding = encoding ?? 'utf8'
  const text = encodeText(key, keyEncoding)
  return text === undefined ? { key: hex(key), keyEncoding: 'hex' } : { key: text, keyEncoding }
}

export function valueText(value: Uint8Array | undefined): { value: string | null; encoding: AnswerEncoding } {
  if (value === undefined) return { value: null, encoding: 'utf8' }
  const { text, encoding } = toAnswerText(value)
  return { value: text, encoding }
}

export function expectText(expect: Expectation): { expect?: Expect } {
  switch (expect.kind) {
    case 'any':
      return {}
    case 'absent':
      return { expect: { absent: true } }
    case 'version':
      return { expect: { version: expect.version } }
    case 'digest':
      return { expect: { digest: hex(expect.digest) } }
  }
}

export function accessText(access: CoreAccess, prefix: string): AccessChange {
  if (access.kind !== 'writers') return access.kind
  return { writers: access.writers.map((account) => toAddress(account, prefix)) }
}

export function writersText(access: WriteAccess, prefix: string): 'private' | 'open' | string[] {
  return access.kind === 'writers' ? access.writers.map((account) => toAddress(account, prefix)) : access.kind
}

export function tipRef(chain: Chain): { height: number; hash: string } {
  return { height: chain.tip.header.height, hash: hex(chain.tip.hash) }
}

/** Where a block of the main chain is, seen from the tip. */
export function placeOf(
  { chain, settleDepth }: ReadContext,
  height: number,
): { height: number; blockHash: string; confirmations: number; settled: boolean } {
  const confirmations = chain.tip.header.height - height + 1
  const hash = chain.store.hashAt(height)
  return {
    height,
    blockHash: hash === undefined ? '' : hex(hash),
    confirmations,
    settled: confirmations >= settleDepth,
  }
}
