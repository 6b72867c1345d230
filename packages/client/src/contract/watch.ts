/** Watching keys: what blocks did to them, without a gap, across restarts and reorgs. */
import { Type } from '@kvchain/core/typebox'
import type { Static } from 'typebox'
import {
  Address,
  AnswerEncoding,
  Count,
  closed,
  Hash,
  KeyEncoding,
  KeyText,
  keyFields,
  type MethodSpec,
  Positive,
  TipRef,
} from './schemas.js'

/** Something that happened to a key. */
export const KvEvent = closed({
  kind: Type.Enum(['put', 'delete', 'access', 'retracted', 'settled'], {
    description:
      'retracted: the version is gone, a reorg took its block off the main chain; settled: it has as many confirmations as the network calls settled',
  }),
  ...keyFields,
  version: Positive,
  value: Type.Optional(
    Type.String({ description: 'of a put; missing when the answer grew large, or when values are not wanted' }),
  ),
  encoding: Type.Optional(AnswerEncoding),
  valueDigest: Type.Optional(Hash),
  valueLength: Type.Optional(Count),
  author: Address,
  txid: Hash,
  height: Count,
  blockHash: Hash,
})
export type KvEvent = Static<typeof KvEvent>

export const KvEvents = closed({
  events: Type.Array(KvEvent),
  cursor: Type.String({ description: 'give it to the next call; keep it over restarts of either side' }),
  tip: TipRef,
})
export type KvEvents = Static<typeof KvEvents>

export const MAX_WATCH_MS = 600_000

export const watchMethods = {
  kv_watch: {
    summary: 'What happens to a key, or to all keys with a prefix, from a cursor on.',
    help: 'Answers as soon as there is something, else after timeoutMs with no events. Ask again with the new cursor at once: nothing is missed, and nothing is told twice. Without cursor and fromHeight the watch begins at the tip.',
    params: closed({
      key: Type.Optional(KeyText),
      prefix: Type.Optional(
        Type.String({ maxLength: 1024, description: 'every key when neither it nor key is given' }),
      ),
      keyEncoding: Type.Optional(KeyEncoding),
      cursor: Type.Optional(Type.String({ maxLength: 200 })),
      fromHeight: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 32 - 1, description: 'from this block on' })),
      values: Type.Optional(Type.Boolean({ description: 'false: puts without their values' })),
      settled: Type.Optional(Type.Boolean({ description: 'true: tell which versions settle, too' })),
      timeoutMs: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_WATCH_MS, description: '30000 when left out' })),
    }),
    result: KvEvents,
    errors: ['not-found', 'busy', 'unavailable'],
  },
} as const satisfies Record<string, MethodSpec>
