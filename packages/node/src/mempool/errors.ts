/** Why this node does not take a transaction that breaks no rule: policy, not consensus. */
import { KvError } from '@kvchain/core/errors'

export const POOL_ERROR_CODES = [
  /** It is in the pool, or in the main chain, already. */
  'pool-known',
  /** The pool is full and this one pays no more than what is in it. */
  'pool-full',
  /** Its account has as many pooled transactions as one may have. */
  'pool-account-full',
  /** Its account nonce is too far ahead of what is known of the account. */
  'pool-gap',
  /** Another transaction with this account nonce is pooled, and this one does not pay enough more to replace it. */
  'pool-replacement',
] as const

export type PoolErrorCode = (typeof POOL_ERROR_CODES)[number]

export class PoolError extends KvError<PoolErrorCode> {}
