/** The coin methods: what pays for writes where a network asks for a fee. */
import { type Static, Type } from 'typebox'
import { Address, Count, closed, Fee, type MethodSpec, Positive, Receipt, TipRef } from './schemas.js'

export const CoinBalance = closed({
  address: Address,
  balance: Count,
  pendingBalance: Type.Optional(Count),
  accountNonce: Count,
  tip: TipRef,
})
export type CoinBalance = Static<typeof CoinBalance>

export const coinMethods = {
  coin_send: {
    summary: 'Send coins from this daemon’s account.',
    params: closed({ to: Address, amount: Positive, fee: Type.Optional(Fee) }),
    result: Receipt,
    errors: ['refused', 'busy', 'unavailable'],
  },
  coin_balance: {
    summary: 'The coins of an account, by default this daemon’s.',
    params: closed({ address: Type.Optional(Address) }),
    result: CoinBalance,
    errors: ['unavailable'],
  },
} as const satisfies Record<string, MethodSpec>
