/**
 * Errors as RPC answers: one exhaustive table from every code that a handler may raise to the error name of the contract. A new code
 * without a row does not compile.
 */
import { ClientError } from '@kvchain/client/errors'
import type { RpcErrorName } from '@kvchain/client/rpcErrors'
import { AddressError } from '@kvchain/core/address'
import { TxError } from '@kvchain/core/checks'
import { CodecError } from '@kvchain/core/codec'
import { type ErrorData, KvError } from '@kvchain/core/errors'
import type { Failure } from '@kvchain/core/outcome'
import { PoolError, type PoolErrorCode } from '../mempool/errors.js'
import { AbortError, BusyError, TimeoutError } from '../runtime/errors.js'
import type { RpcFailure } from './dispatcher.js'

/** What a handler raises when it knows the answer itself. */
export class AnswerError extends KvError<RpcErrorName> {}

/** What was read may be of two tips. */
export function chainChanged(): AnswerError {
  return new AnswerError('unavailable', 'the chain changed while it was read; ask again')
}

/** A write that would fail if it were included now: refused before it costs anything. */
export function refusedBy(rule: Failure, operation: number): AnswerError {
  return new AnswerError('refused', REFUSALS[rule], { rule, operation })
}

const REFUSALS: Readonly<Record<Failure, string>> = {
  'expectation-failed': 'the key is not as the write expects it',
  'not-owner': 'the key belongs to another account, which has not let this one write it',
  'namespace-owner': 'the key lies in the namespace of another account',
  'no-entry': 'there is nothing under the key',
  'insufficient-balance': 'the account holds too few coins',
}

const POOL_ANSWERS: Readonly<Record<PoolErrorCode, RpcErrorName>> = {
  'pool-known': 'refused',
  'pool-full': 'busy',
  'pool-account-full': 'busy',
  'pool-gap': 'refused',
  'pool-replacement': 'refused',
}

function nameOf(error: KvError): RpcErrorName {
  if (error instanceof AnswerError) return error.code
  if (error instanceof TxError) return 'refused'
  if (error instanceof PoolError) return POOL_ANSWERS[error.code]
  if (error instanceof ClientError && error.code === 'bad-params') return 'invalid-params'
  if (error instanceof AddressError || error instanceof CodecError) return 'invalid-params'
  if (error instanceof BusyError) return 'busy'
  if (error instanceof TimeoutError) return 'timed-out'
  if (error instanceof AbortError) return 'unavailable'
  return 'internal'
}

export function toRpcError(error: KvError): RpcFailure {
  const name = nameOf(error)
  if (name === 'internal') return { name, message: 'the daemon failed; its log says why' }
  const isRule = name === 'refused' && !(error instanceof AnswerError)
  const data: ErrorData = isRule ? { ...error.data, rule: error.code } : error.data
  return { name, message: error.message, data }
}
