/** The chain methods: blocks and the tip. */
import { type Static, Type } from 'typebox'
import { Address, Count, closed, Hash, HexNumber, type MethodSpec, Outcome, Tip } from './schemas.js'

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
})
export type ChainBlock = Static<typeof ChainBlock>

export const chainMethods = {
  chain_tip: {
    summary: 'The last block of the main chain.',
    params: closed({}),
    result: Tip,
    errors: ['unavailable'],
  },
  chain_block: {
    summary: 'A block by height or by hash; the tip when neither is given.',
    params: closed(
      { height: Type.Optional(Count), hash: Type.Optional(Hash) },
      { maxProperties: 1, description: 'one of height and hash, or neither' },
    ),
    result: ChainBlock,
    errors: ['not-found', 'unavailable'],
  },
} as const satisfies Record<string, MethodSpec>
