/** The chain methods: blocks and the tip. */
import { Type } from '@kvchain/core/typebox'
import type { Static } from 'typebox'
import {
  Address,
  Count,
  closed,
  Hash,
  HexBytes,
  HexNumber,
  keyFields,
  type MethodSpec,
  Outcome,
  Positive,
  Raw,
  Tip,
} from './schemas.js'

export const BlockTransaction = closed({ txid: Hash, sender: Address, outcome: Outcome, operations: Count })
export type BlockTransaction = Static<typeof BlockTransaction>

export const ChainBlock = closed({
  hash: Hash,
  height: Count,
  parent: Hash,
  timestampMs: Count,
  target: Hash,
  chainwork: HexNumber,
  txRoot: Hash,
  stateRoot: Hash,
  miner: Address,
  nonce: Count,
  confirmations: Type.Integer({ minimum: 0, description: '0 when the block is not on the main chain' }),
  onMainChain: Type.Boolean(),
  size: Type.Integer({ minimum: 0, description: 'bytes' }),
  transactions: Type.Array(BlockTransaction),
  raw: Type.Optional(HexBytes),
})
export type ChainBlock = Static<typeof ChainBlock>

const Place = closed({ height: Count, hash: Hash })
/** A reorg that the daemon saw. */
export const ChainReorg = closed({
  number: Positive,
  timeMs: Count,
  depth: Type.Integer({ minimum: 1, description: 'blocks that left the main chain' }),
  fork: Place,
  from: Place,
  to: Place,
  alarm: Type.Boolean({ description: 'as deep as the alarm is set, or deeper' }),
  lost: Type.Array(
    closed({
      ...keyFields,
      version: Positive,
      txid: Hash,
      replacedBy: Type.Optional(Hash),
    }),
    { description: 'versions that the new branch has not, or not by the same transaction: the first 1,000' },
  ),
  lostCount: Count,
})
export type ChainReorg = Static<typeof ChainReorg>

export const chainMethods = {
  chain_reorgs: {
    summary: 'The reorgs that this daemon saw, newest first, with what keys lost.',
    params: closed({
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: '20 when left out' })),
      before: Type.Optional(Positive),
    }),
    result: closed({ reorgs: Type.Array(ChainReorg) }),
    errors: ['unavailable'],
  },
  chain_tip: {
    summary: 'The last block of the main chain.',
    params: closed({}),
    result: Tip,
    errors: ['unavailable'],
  },
  chain_block: {
    summary: 'A block by height or by hash; the tip when neither is given.',
    help: 'One of height and hash, or neither. With `raw`: the block bytes (section 5), with the values that are still kept. If they are more than an answer holds: chain_headers, and tx_get with `raw` for each transaction.',
    params: closed({ height: Type.Optional(Count), hash: Type.Optional(Hash), raw: Type.Optional(Raw) }),
    result: ChainBlock,
    errors: ['not-found', 'refused', 'unavailable'],
  },
} as const satisfies Record<string, MethodSpec>
