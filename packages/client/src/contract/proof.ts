/** The proof methods: what lets a client check an answer itself, now or later, without the daemon. */
import { Type } from '@kvchain/core/typebox'
import type { Static } from 'typebox'
import { Base64, Count, closed, Hash, keyFields, keyParams, type MethodSpec, Positive, TipRef } from './schemas.js'

/** Headers in one answer: three megabytes. */
export const MAX_HEADERS = 16_384

/** A proof file, or the beginning of one. */
export const KvProof = closed({
  ...keyFields,
  kind: Type.Enum(['entry', 'history']),
  claim: Type.Enum(['present', 'deleted', 'absent']),
  version: Type.Optional(Positive),
  height: Type.Integer({ minimum: 0, description: 'of the block whose state the proof is about' }),
  blockHash: Hash,
  confirmations: Positive,
  tip: TipRef,
  proof: Base64,
  size: Type.Integer({ minimum: 1, description: 'bytes of the whole proof file' }),
  missing: Type.Optional(
    closed(
      { from: Count, count: Positive },
      {
        description: 'headers that the file still lacks at its end: chain_headers has them, with the same tip',
      },
    ),
  ),
})
export type KvProof = Static<typeof KvProof>

export const ChainHeaders = closed({
  from: Count,
  count: Count,
  headers: Base64,
  tip: TipRef,
})
export type ChainHeaders = Static<typeof ChainHeaders>

export const proofMethods = {
  kv_prove: {
    summary: 'A proof of what a key holds, or of its whole history, that can be checked without a daemon.',
    help: 'Without a height: at the newest one whose answer is the present one and has as many confirmations as the network calls settled, or as many as there are.',
    params: closed({
      ...keyParams,
      height: Type.Optional(Count),
      history: Type.Optional(Type.Boolean({ description: 'with every version before' })),
      values: Type.Optional(Type.Boolean({ description: 'false: with the digests of values alone' })),
      fromGenesis: Type.Optional(Type.Boolean({ description: 'with every header from genesis on' })),
    }),
    result: KvProof,
    errors: ['not-found', 'refused', 'busy', 'unavailable'],
  },
  chain_headers: {
    summary: 'Headers of the main chain, or of the chain that ends in a given block: 184 bytes each, lowest first.',
    help: 'Fewer than asked for when the chain ends before.',
    params: closed({
      from: Count,
      count: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_HEADERS, description: '1,000 when left out' })),
      tip: Type.Optional(Hash),
    }),
    result: ChainHeaders,
    errors: ['not-found', 'unavailable'],
  },
} as const satisfies Record<string, MethodSpec>
