/** The key-value and coin methods. */
import type { Handlers, Result } from '@kvchain/client/contract'
import { fromAddress, toAddress } from '@kvchain/core/address'
import type { Entry } from '@kvchain/core/entry'
import { valueDigest } from '@kvchain/core/transaction'
import { entryAt } from '../chain/entryAt.js'
import { sha256 } from '../crypto/sodium.js'
import { hex } from '../runtime/hex.js'
import { AnswerError } from './answers.js'
import {
  keyText,
  parseAccess,
  parseExpect,
  parseKey,
  parseValue,
  placeOf,
  type ReadContext,
  tipRef,
  valueText,
  writersText,
} from './context.js'
import { noSuchHeight } from './prover.js'
import type { Writer } from './writer.js'

type KvHandlers = Pick<
  Handlers,
  'kv_put' | 'kv_delete' | 'kv_access' | 'kv_get' | 'kv_history' | 'coin_send' | 'coin_balance'
>

const DEFAULT_HISTORY = 100

export function kvHandlers(context: ReadContext, writer: Writer): KvHandlers {
  const { chain, prefix } = context
  return {
    async kv_put(params) {
      const key = parseKey(params)
      const value = parseValue(params)
      const operation = {
        kind: 'put',
        key,
        expect: parseExpect(params.expect),
        valueDigest: valueDigest(sha256, value),
        valueLength: value.length,
        access: parseAccess(params.access, prefix),
      } as const
      return writer.write([operation], [value], params.fee)
    },

    async kv_delete(params) {
      const operation = { kind: 'delete', key: parseKey(params), expect: parseExpect(params.expect) } as const
      return writer.write([operation], [], params.fee)
    },

    async kv_access(params) {
      const operation = {
        kind: 'access',
        key: parseKey(params),
        expect: { kind: 'any' },
        owner: params.owner === undefined ? undefined : fromAddress(params.owner, prefix),
        access: parseAccess(params.access, prefix),
      } as const
      return writer.write([operation], [], params.fee)
    },

    async kv_get(params) {
      const key = parseKey(params)
      const entry = await readAt(context, key, params.height)
      if (entry === undefined || entry.deleted) throw notFound(context, entry, params.height)
      const { value, encoding } = valueText(chain.store.value(entry.valueDigest))
      if (value === null) throw new AnswerError('not-found', 'the value is no longer kept by this daemon')
      return {
        ...keyText(key, params.keyEncoding),
        value,
        encoding,
        version: entry.version,
        ...placeOf(context, entry.height),
        owner: toAddress(entry.owner, prefix),
        writers: writersText(entry.access, prefix),
        txid: hex(entry.txid),
        valueDigest: hex(entry.valueDigest),
        tip: tipRef(chain),
      }
    },

    async kv_history(params) {
      await chain.consistent()
      const key = parseKey(params)
      if (chain.store.entry(key) === undefined) throw notFound(context, undefined)
      const before = params.before ?? Number.MAX_SAFE_INTEGER
      const entries = await chain.store.versions(key, before, params.limit ?? DEFAULT_HISTORY)
      return {
        ...keyText(key, params.keyEncoding),
        versions: entries.map((entry) => versionText(context, entry)),
        tip: tipRef(chain),
      }
    },

    async coin_send(params) {
      const operation = { kind: 'transfer', to: fromAddress(params.to, prefix), amount: params.amount } as const
      return writer.write([operation], [], params.fee)
    },

    async coin_balance(params) {
      await chain.consistent()
      const publicKey = params.address === undefined ? writer.publicKey : fromAddress(params.address, prefix)
      const { balance, nonce } = chain.store.account(publicKey)
      return { address: toAddress(publicKey, prefix), balance, accountNonce: nonce, tip: tipRef(chain) }
    },
  }
}

/** What a key held at a height; at the tip when none is given. */
async function readAt({ chain }: ReadContext, key: Uint8Array, height: number | undefined): Promise<Entry | undefined> {
  await chain.consistent()
  if (height === undefined) return chain.store.entry(key)
  const block = chain.nodeAt(height)
  if (block === undefined) throw noSuchHeight(height, chain.tip.header.height)
  const entry = await entryAt(chain.store, key, height)
  await chain.consistent()
  if (!chain.isMain(block)) throw new AnswerError('unavailable', 'the chain changed while it was read; ask again')
  return entry
}

function notFound({ chain }: ReadContext, deleted: Entry | undefined, at?: number): AnswerError {
  const node = at === undefined ? chain.tip : (chain.nodeAt(at) ?? chain.tip)
  const [height, hash] = [node.header.height, hex(node.hash)]
  const when = at === undefined ? '' : ` at height ${height}`
  const message =
    deleted === undefined
      ? `no such key${when}`
      : `the key was deleted${at === undefined ? '' : ` by height ${height}`}`
  return new AnswerError('not-found', message, { height, hash, deleted: deleted !== undefined })
}

function versionText(context: ReadContext, entry: Entry): Result<'kv_history'>['versions'][number] {
  const { chain, prefix } = context
  const { height, blockHash, confirmations } = placeOf(context, entry.height)
  const location = chain.store.location(entry.txid)
  const block = chain.nodeAt(height)
  if (block === undefined || location === undefined) {
    throw new AnswerError('unavailable', 'the chain changed while it was read; ask again')
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
