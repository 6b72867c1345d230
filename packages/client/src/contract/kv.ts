/** The key-value methods: what the store is for. */
import { Type } from '@kvchain/core/typebox'
import type { Static } from 'typebox'
import {
  AccessChange,
  Address,
  AnswerEncoding,
  AttackerShare,
  Count,
  closed,
  Expect,
  Hash,
  KeyEncoding,
  KeyText,
  keyFields,
  keyParams,
  type MethodSpec,
  Positive,
  Receipt,
  Reversal,
  TipRef,
  ValueEncoding,
  Writers,
  writeParams,
} from './schemas.js'

/** How sure a version is. */
const sureFields = {
  pending: Type.Optional(Type.Literal(true, { description: 'in no block yet: height and blockHash are missing' })),
  height: Type.Optional(Count),
  blockHash: Type.Optional(Hash),
  confirmations: Count,
  settled: Type.Boolean({ description: 'has at least as many confirmations as the network calls settled' }),
  reversal: Reversal,
}

/** What a key holds, and how sure that is. */
export const KvEntry = closed({
  ...keyFields,
  value: Type.String(),
  encoding: AnswerEncoding,
  version: Positive,
  ...sureFields,
  owner: Address,
  writers: Writers,
  txid: Hash,
  valueDigest: Hash,
  tip: TipRef,
})
export type KvEntry = Static<typeof KvEntry>

/** One version in a key's history. */
export const KvVersion = closed({
  version: Positive,
  deleted: Type.Boolean(),
  value: Type.Union([Type.String(), Type.Null()], { description: 'null when deleted, or no longer kept' }),
  encoding: AnswerEncoding,
  height: Count,
  blockHash: Hash,
  confirmations: Count,
  timestampMs: Count,
  owner: Address,
  author: Address,
  txid: Hash,
  valueDigest: Hash,
})
export type KvVersion = Static<typeof KvVersion>

export const KvHistory = closed({
  ...keyFields,
  versions: Type.Array(KvVersion, { description: 'newest first' }),
  tip: TipRef,
})
export type KvHistory = Static<typeof KvHistory>

/** One key of a scan. */
export const KvScanned = closed({
  ...keyFields,
  deleted: Type.Optional(Type.Literal(true)),
  value: Type.Optional(Type.String({ description: 'missing for keys only, and for deleted keys' })),
  encoding: Type.Optional(AnswerEncoding),
  version: Positive,
  height: Count,
  confirmations: Count,
  owner: Address,
  txid: Hash,
})
export type KvScanned = Static<typeof KvScanned>

export const KvScan = closed({
  entries: Type.Array(KvScanned, { description: 'in the order of their bytes' }),
  next: Type.Optional(closed({ ...keyFields }, { description: 'where the next page begins: give it as `after`' })),
  tip: TipRef,
})
export type KvScan = Static<typeof KvScan>

const keyed = { ...keyParams, expect: Type.Optional(Expect) }
/** One operation of a batch. */
export const BatchOperation = Type.Union([
  closed({
    op: Type.Literal('put'),
    ...keyed,
    value: Type.String(),
    encoding: Type.Optional(ValueEncoding),
    access: Type.Optional(AccessChange),
  }),
  closed({ op: Type.Literal('delete'), ...keyed }),
  closed({
    op: Type.Literal('access'),
    ...keyed,
    owner: Type.Optional(Address),
    access: Type.Optional(AccessChange),
  }),
  closed({ op: Type.Literal('assert'), ...keyParams, expect: Expect }),
  closed({ op: Type.Literal('send'), to: Address, amount: Positive }),
])
export type BatchOperation = Static<typeof BatchOperation>

/** Operations in one transaction, by the format (protocol.md). */
export const MAX_BATCH_OPERATIONS = 1_000
export const MAX_SCAN = 1_000

export const kvMethods = {
  kv_put: {
    summary: 'Write a value under a key.',
    help: 'Answers as soon as the write is safe with this daemon; tx_wait says when it is confirmed.',
    params: closed({
      ...keyParams,
      value: Type.String(),
      encoding: Type.Optional(ValueEncoding),
      ...writeParams,
      expect: Type.Optional(Expect),
      access: Type.Optional(AccessChange),
    }),
    result: Receipt,
    errors: ['refused', 'busy', 'unavailable'],
  },
  kv_delete: {
    summary: 'Delete a key; its history stays.',
    params: closed({ ...keyParams, ...writeParams, expect: Type.Optional(Expect) }),
    result: Receipt,
    errors: ['refused', 'busy', 'unavailable'],
  },
  kv_access: {
    summary: 'Hand a key over, or say who may write it.',
    params: closed({
      ...keyParams,
      ...writeParams,
      expect: Type.Optional(Expect),
      owner: Type.Optional(Address),
      access: Type.Optional(AccessChange),
    }),
    result: Receipt,
    errors: ['refused', 'busy', 'unavailable'],
  },
  kv_batch: {
    summary: 'Several operations as one transaction: all of them, or none.',
    params: closed({
      operations: Type.Array(BatchOperation, { minItems: 1, maxItems: MAX_BATCH_OPERATIONS }),
      ...writeParams,
    }),
    result: Receipt,
    errors: ['refused', 'busy', 'unavailable'],
  },
  kv_get: {
    summary: 'Read a key as of the tip, as of an older block, or with this daemon’s own pending writes.',
    help: 'Of height, hash, minConfirmations and pending, one at most. not-found when the key is absent or deleted there; error.data then has the height and hash of the block that was read at.',
    params: closed({
      ...keyParams,
      height: Type.Optional(Count),
      hash: Type.Optional(Hash),
      minConfirmations: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'as of the newest block that has so many' }),
      ),
      pending: Type.Optional(
        Type.Boolean({ description: 'with what the mempool of this daemon would make of the key' }),
      ),
      attackerShare: Type.Optional(AttackerShare),
    }),
    result: KvEntry,
    errors: ['not-found', 'unavailable'],
  },
  kv_scan: {
    summary: 'Keys in order, from a prefix on, a page at a time.',
    help: 'A page ends after `limit` keys, or when it has grown large; page on with `after`: the `next` of the page before. As of the tip.',
    params: closed({
      prefix: Type.Optional(
        Type.String({ maxLength: 1024, description: 'only keys that begin so; every key when left out' }),
      ),
      after: Type.Optional(KeyText),
      keyEncoding: Type.Optional(KeyEncoding),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_SCAN, description: '100 when left out' })),
      keysOnly: Type.Optional(Type.Boolean()),
      deleted: Type.Optional(Type.Boolean({ description: 'deleted keys too' })),
    }),
    result: KvScan,
    errors: ['unavailable'],
  },
  kv_history: {
    summary: 'Every version that a key ever had, newest first.',
    help: 'Page on with `before`: the lowest version of the page before.',
    params: closed({
      ...keyParams,
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: '100 when left out' })),
      before: Type.Optional(Positive),
    }),
    result: KvHistory,
    errors: ['not-found', 'unavailable'],
  },
} as const satisfies Record<string, MethodSpec>
