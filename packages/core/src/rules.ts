/**
 * Rules that need context: the chain that a header joins, the state that a transaction meets. Pure: whoever calls brings the
 * context, the clock included. (protocol.md sections 5 and 6)
 */
import { equalBytes } from './bytes.js'
import { BlockError, TxError } from './checks.js'
import { nextTarget } from './difficulty.js'
import type { Account } from './entry.js'
import type { Header } from './header.js'
import type { Params } from './params.js'
import { type Transaction, transactionSize } from './transaction.js'

/** What a header is checked against. */
export interface HeaderContext {
  readonly parent: Header
  readonly grandparent: Header | undefined
}

/** Rules 5.3 to 5.5: height, target and timestamp against the chain that the header joins. */
export function checkHeaderContext(params: Params, header: Header, context: HeaderContext): void {
  const { parent, grandparent } = context
  if (header.height !== parent.height + 1) {
    throw new BlockError('block-height', 'the height is not one more than the parent', { height: header.height })
  }
  if (!equalBytes(header.target, nextTarget(params, parent, grandparent))) {
    throw new BlockError('block-target', 'the target is not the one that the rule gives', { height: header.height })
  }
  // Above the parent's, not above a median of ancestors: with timestamps that may fall, solve times that count for at most the clamp
  // can be made out of nothing wherever the chain slept or slowed down. (docs/difficulty.md)
  if (header.timestampMs <= parent.timestampMs) {
    throw new BlockError('block-time-old', "the timestamp is not above the parent's", { height: header.height })
  }
}

/** Rule 5.6, the only one that depends on a clock: broken today it may hold tomorrow, so it is never held against a hash. */
export function checkHeaderTime(params: Params, header: Header, nowMs: number): void {
  if (header.timestampMs > nowMs + params.maxFutureMs) {
    throw new BlockError('block-time-future', 'the timestamp is too far ahead of the clock', {
      aheadMs: header.timestampMs - nowMs,
    })
  }
}

/** The least fee that a network takes for a transaction of this size. */
export function minimumFee(params: Params, sizeBytes: number): number {
  return params.minFeePerByte * sizeBytes
}

/** Rules 6.1 to 6.4: whether a transaction may stand in a block of this height, given its sender's account. */
export function checkIncludable(params: Params, transaction: Transaction, sender: Account, height: number): void {
  const { accountNonce, fee, validUntil } = transaction.body
  if (accountNonce !== sender.nonce) {
    const code = accountNonce < sender.nonce ? 'tx-nonce-used' : 'tx-nonce-gap'
    throw new TxError(code, `account nonce ${accountNonce}, expected ${sender.nonce}`, {
      accountNonce,
      expected: sender.nonce,
    })
  }
  if (validUntil !== 0 && height > validUntil) {
    throw new TxError('tx-expired', `valid until height ${validUntil}`, {
      validUntil,
      height,
    })
  }
  const minimum = minimumFee(params, transactionSize(transaction))
  if (fee < minimum) throw new TxError('tx-fee', `the fee is ${fee}, at least ${minimum} is due`, { fee, minimum })
  if (fee > sender.balance) {
    throw new TxError('tx-balance', `the account holds ${sender.balance}, the fee is ${fee}`, {
      balance: sender.balance,
      fee,
    })
  }
}
