/** The key-value methods: what the store is for. */
import { type Static, Type } from 'typebox'
import {
  AccessChange,
  Address,
  AnswerEncoding,
  Count,
  closed,
  Expect,
  Fee,
  Hash,
  keyFields,
  keyParams,
  type MethodSpec,
  Positive,
  Receipt,
  TipRef,
  ValueEncoding,
  Writers,
} from './schemas.js'

/** What a key holds, and how sure that is. */
export const KvEntry = closed({
  ...keyFields,
  value: Type.String(),
  encoding: AnswerEncoding,
  version: Positive,
  height: Count,
  blockHash: Hash,
  confirmations: Count,
  settled: Type.Boolean({ description: 'has at least as many confirmations as the network calls settled' }),
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

export const kvMethods = {
  kv_put: {
    summary: 'Write a value under a key.',
    help: 'Answers as soon as the write is safe with this daemon; tx_wait says when it is confirmed.',
    params: closed({
      ...keyParams,
      value: Type.String(),
      encoding: Type.Optional(ValueEncoding),
      fee: Type.Optional(Fee),
      expect: Type.Optional(Expect),
      access: Type.Optional(AccessChange),
    }),
    result: Receipt,
    errors: ['refused', 'busy', 'unavailable'],
  },
  kv_delete: {
    summary: 'Delete a key; its history stays.',
    params: closed({ ...keyParams, fee: Type.Optional(Fee), expect: Type.Optional(Expect) }),
    result: Receipt,
    errors: ['refused', 'busy', 'unavailable'],
  },
  kv_access: {
    summary: 'Hand a key over, or say who may write it.',
    params: closed({
      ...keyParams,
      fee: Type.Optional(Fee),
      owner: Type.Optional(Address),
      access: Type.Optional(AccessChange),
    }),
    result: Receipt,
    errors: ['refused', 'busy', 'unavailable'],
  },
  kv_get: {
    summary: 'Read a key as of the tip, or as of an older height.',
    help: 'not-found when the key is absent or deleted there; error.data then has the height and hash of the block that was read at.',
    params: closed({ ...keyParams, height: Type.Optional(Count) }),
    result: KvEntry,
    errors: ['not-found', 'unavailable'],
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
