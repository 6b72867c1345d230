/**
 * Errors as HTTP answers: one exhaustive table from every error name to a status, and the one shape of body. Owns no error of the
 * contract: those come from the dispatcher as they are; only what HTTP itself can get wrong has its names here.
 */
import { RPC_ERRORS, type RpcErrorName } from '@kvchain/client/rpcErrors'
import { type ErrorData, KvError } from '@kvchain/core/errors'
import type { RpcFailure } from '../rpc/dispatcher.js'

/** What can be wrong with a request before it means anything to the contract. */
type DoorErrorName =
  | 'unauthorised'
  | 'forbidden'
  | 'bad-request'
  | 'no-such-path'
  | 'bad-method'
  | 'too-slow'
  | 'too-large'
  | 'media-type'

export type HttpErrorName = RpcErrorName | DoorErrorName

/** The HTTP status of every error. */
export const HTTP_STATUS: Readonly<Record<HttpErrorName, number>> = {
  parse: 400,
  'invalid-request': 400,
  'unknown-method': 404,
  'invalid-params': 400,
  internal: 500,
  'not-found': 404,
  refused: 409,
  'timed-out': 504,
  busy: 503,
  failed: 409,
  unavailable: 503,
  unauthorised: 401,
  forbidden: 403,
  'bad-request': 400,
  'no-such-path': 404,
  'bad-method': 405,
  'too-slow': 408,
  'too-large': 413,
  'media-type': 415,
}

export const PRECONDITION_FAILED = 412

/** An error that a caller over HTTP is told. */
export class HttpError extends KvError<HttpErrorName> {
  /** A write whose expectation does not hold is what HTTP calls a failed precondition, whichever way it was asked for. */
  get status(): number {
    return this.data.rule === 'expectation-failed' ? PRECONDITION_FAILED : HTTP_STATUS[this.code]
  }

  /** The error that a call of the contract ended with. */
  static of({ name, message, data }: RpcFailure): HttpError {
    return new HttpError(name, message, data)
  }
}

/** The body of every error: `code` is the number that JSON-RPC has for it, or the HTTP status where it has none. */
export function errorBody({ code: name, message, data, status }: HttpError): string {
  return JSON.stringify({ error: { code: codeOf(name, status), name, message, data } satisfies ErrorBody })
}

interface ErrorBody {
  readonly code: number
  readonly name: HttpErrorName
  readonly message: string
  readonly data: ErrorData
}

function codeOf(name: HttpErrorName, status: number): number {
  return isRpcError(name) ? RPC_ERRORS[name].code : status
}

function isRpcError(name: HttpErrorName): name is RpcErrorName {
  return Object.hasOwn(RPC_ERRORS, name)
}
