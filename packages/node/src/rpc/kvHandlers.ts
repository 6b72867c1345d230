/** The key-value and coin methods. */
import type { Handlers, Params, Result } from '@kvchain/client/contract'
import { operationsOf, parseKey, parseOperations, type WriteMethod } from '@kvchain/client/operations'
import { fromAddress, toAddress } from '@kvchain/core/address'
import type { Entry } from '@kvchain/core/entry'
import { sha256 } from '../crypto/sodium.js'
import { hex } from '../runtime/hex.js'
import { chainChanged } from './answers.js'
import { keyText, placeOf, type ReadContext, tipRef, valueText } from './context.js'
import { estimateFee } from './fees.js'
import { notFound, readKey, scanKeys } from './reads.js'
import type { Writer, WriteTerms } from './writer.js'

type KvHandlers = Pick<
  Handlers,
  | 'kv_put'
  | 'kv_delete'
  | 'kv_access'
  | 'kv_batch'
  | 'kv_get'
  | 'kv_scan'
  | 'kv_history'
  | 'coin_send'
  | 'coin_balance'
  | 'coin_fee'
>

const DEFAULT_HISTORY = 100
/** Bytes of a transaction that puts something small. */
const DEFAULT_SIZE = 300

export function kvHandlers(context: ReadContext, writer: Writer): KvHandlers {
  const { chain, prefix } = context
  const write =
    <M extends WriteMethod>(method: M) =>
    async (params: Params<M> & WriteTerms) =>
      writer.write(parseOperations(sha256, operationsOf(method, params), prefix), params)
  return {
    kv_put: write('kv_put'),
    kv_delete: write('kv_delete'),
    kv_access: write('kv_access'),
    kv_batch: write('kv_batch'),
    coin_send: write('coin_send'),

    async kv_get(params) {
      return readKey(context, params)
    },

    async kv_scan(params) {
      return scanKeys(context, params)
    },

    async kv_history(params) {
      await chain.consistent()
      const key = parseKey(params)
      if (chain.store.entry(key) === undefined) throw notFound(context, undefined)
      const before = params.before ?? Number.MAX_SAFE_INTEGER
      const entries = await chain.store.versions(key, before, params.limit ?? DEFAULT_HISTORY)
      return chain.steady(() => ({
        ...keyText(key, params.keyEncoding),
        versions: entries.map((entry) => versionText(context, entry)),
        tip: tipRef(chain),
      }))
    },

    async coin_balance(params) {
      const publicKey = params.address === undefined ? writer.publicKey : fromAddress(params.address, prefix)
      return chain.steady(() => {
        const { balance, nonce } = chain.store.account(publicKey)
        const nextNonce = writer.nextNonce(publicKey)
        return { address: toAddress(publicKey, prefix), balance, accountNonce: nonce, nextNonce, tip: tipRef(chain) }
      })
    },

    async coin_fee({ size, blocks }) {
      return estimateFee(context, size ?? DEFAULT_SIZE, blocks ?? 1)
    },
  }
}

function versionText(context: ReadContext, entry: Entry): Result<'kv_history'>['versions'][number] {
  const { chain, prefix } = context
  const { height, blockHash, confirmations } = placeOf(context, entry.height)
  const location = chain.store.location(entry.txid)
  const block = chain.nodeAt(height)
  if (block === undefined || location === undefined) {
    throw chainChanged()
  }
  return {
    version: entry.version,
    deleted: entry.deleted,
    ...valueText(entry.deleted ? undefined : chain.store.value(entry.valueDigest)),
    height,
    blockHash,
    confirmations,
    timestampMs: block.header.timestampMs,
    owner: toAddress(entry.owner, prefix),
    author: toAddress(location.sender, prefix),
    txid: hex(entry.txid),
    valueDigest: hex(entry.valueDigest),
  }
}
