/**
 * What is done about a violation. core says why something is wrong; this one table says what it costs whoever sent it: the gossip verdict, the
 * penalty points, and whether the block's hash counts as bad for ever. What may be honest bad luck (early, late, twice, unknown
 * parent, a full pool) costs nothing, or next to nothing. A new code without a row does not compile. docs/operations.md has the table, too.
 */
import { BlockError, type BlockErrorCode, TxError, type TxErrorCode } from '@kvchain/core/checks'
import { CodecError, type CodecErrorCode } from '@kvchain/core/codec'
import { PoolError, type PoolErrorCode } from '../mempool/errors.js'
import { NetError, TimeoutError } from '../runtime/errors.js'
import type { GossipVerdict } from './gossip.js'

export interface Verdict {
  readonly verdict: GossipVerdict
  /** Points; at 50 a peer is hung up on, at 100 it is banned. */
  readonly penalty: number
  /** Whether the block hash is kept as invalid for ever. */
  readonly rememberInvalid: boolean
}

/** How a peer behaves when it asks and answers, whatever the data says. */
export type ConductCode =
  | 'request-malformed'
  | 'request-too-long'
  | 'request-rate'
  | 'answer-malformed'
  | 'answer-too-long'
  | 'answer-unasked'
  | 'answer-slow'
  | 'peers-malformed'
  | 'gossip-malformed'

export type ViolationCode = CodecErrorCode | TxErrorCode | BlockErrorCode | PoolErrorCode

const luck: Verdict = { verdict: 'ignore', penalty: 0, rememberInvalid: false }
const impatience: Verdict = { verdict: 'ignore', penalty: 2, rememberInvalid: false }
const nuisance: Verdict = { verdict: 'reject', penalty: 10, rememberInvalid: false }
const clumsiness: Verdict = { verdict: 'reject', penalty: 20, rememberInvalid: false }
const offence: Verdict = { verdict: 'reject', penalty: 50, rememberInvalid: false }
const fraud: Verdict = { verdict: 'reject', penalty: 100, rememberInvalid: true }

export const VERDICTS: Readonly<Record<ViolationCode | ConductCode, Verdict>> = {
  'codec-truncated': offence,
  'codec-trailing': offence,
  'codec-length': offence,
  'codec-tag': offence,
  'codec-integer': offence,
  'codec-order': offence,
  'tx-size': nuisance,
  'tx-value-size': nuisance,
  'tx-value-missing': nuisance,
  'tx-value-digest': offence,
  'tx-amount': nuisance,
  'tx-assert-any': nuisance,
  'tx-namespace': nuisance,
  'tx-signature': offence,
  'tx-nonce-used': luck,
  'tx-nonce-gap': luck,
  'tx-expired': luck,
  'tx-fee': luck,
  'tx-balance': luck,
  'block-pow': fraud,
  // Not the hash's fault, and perhaps not the sender's: short ids may clash.
  'block-mutated': nuisance,
  'block-size': fraud,
  'block-count': fraud,
  'block-transaction': fraud,
  'block-height': fraud,
  'block-target': fraud,
  'block-time-old': fraud,
  'block-time-future': luck,
  'block-outcome': fraud,
  'block-state-root': fraud,
  'block-orphan': luck,
  'block-invalid-ancestor': nuisance,
  'block-known-invalid': nuisance,
  'pool-known': luck,
  'pool-full': luck,
  'pool-account-full': luck,
  'pool-gap': luck,
  'pool-replacement': luck,
  'request-malformed': clumsiness,
  'request-too-long': clumsiness,
  'request-rate': impatience,
  'answer-malformed': offence,
  'answer-too-long': offence,
  'answer-unasked': offence,
  'answer-slow': impatience,
  'peers-malformed': clumsiness,
  'gossip-malformed': clumsiness,
}

/** The verdict on an error, or undefined when it is no violation but a failure or a bug of our own. */
export function verdictOn(error: unknown): Verdict | undefined {
  const isViolation =
    error instanceof CodecError || error instanceof TxError || error instanceof BlockError || error instanceof PoolError
  return isViolation ? VERDICTS[error.code] : undefined
}

/** What a request that failed says of the peer that was asked; undefined when it may be anybody's bad luck. */
export function conductOn(error: unknown): ConductCode | undefined {
  if (error instanceof TimeoutError) return 'answer-slow'
  if (!(error instanceof NetError)) return undefined
  if (error.code === 'net-limit') return 'answer-too-long'
  if (error.code !== 'net-response') return undefined
  if (error.data.status === 'unasked') return 'answer-unasked'
  return error.data.status === 'malformed' ? 'answer-malformed' : undefined
}
