/** The coin methods: what pays for writes where a network asks for a fee. */
import { Type } from '@kvchain/core/typebox'
import type { Static } from 'typebox'
import { Address, Count, closed, type MethodSpec, Positive, Receipt, TipRef, writeParams } from './schemas.js'

export const CoinBalance = closed({
  address: Address,
  balance: Count,
  pendingBalance: Type.Optional(Count),
  accountNonce: Count,
  nextNonce: Type.Integer({ minimum: 0, description: 'what the next transaction must carry, pending ones counted' }),
  tip: TipRef,
})
export type CoinBalance = Static<typeof CoinBalance>

export const coinMethods = {
  coin_send: {
    summary: 'Send coins from this daemon’s account.',
    params: closed({ to: Address, amount: Positive, ...writeParams }),
    result: Receipt,
    errors: ['refused', 'busy', 'unavailable'],
  },
  coin_balance: {
    summary: 'The coins of an account, by default this daemon’s.',
    params: closed({ address: Type.Optional(Address) }),
    result: CoinBalance,
    errors: ['unavailable'],
  },
  coin_fee: {
    summary: 'What a write should pay.',
    help: 'The least that the network takes, and more when the mempool holds more than the next blocks have room for.',
    params: closed({
      size: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 1 << 24, description: 'bytes of the transaction; 300 when left out' }),
      ),
      blocks: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 1_000, description: 'to be in one of the next so many; 1 when left out' }),
      ),
    }),
    result: closed({
      fee: Type.Integer({ minimum: 0, description: 'for the whole transaction' }),
      minimum: Type.Integer({ minimum: 0, description: 'the least that the network takes for it' }),
      feePerByte: Type.Number({ minimum: 0 }),
      pendingBytes: Count,
    }),
    errors: ['unavailable'],
  },
} as const satisfies Record<string, MethodSpec>
