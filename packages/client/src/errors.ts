/**
 * What can go wrong for a client: the daemon cannot be reached or does not talk sense (ClientError), or it answered with an
 * error of the table (RpcError). Also owns how each of them makes a command line exit.
 */
import { type ErrorData, KvError } from '@kvchain/core/errors'
import { RPC_ERRORS, type RpcErrorName } from './rpcErrors.js'

export type ClientErrorCode =
  /** Nobody listens on the socket, or there is no socket. */
  | 'no-daemon'
  /** The socket is somebody else's. */
  | 'no-access'
  /** The socket path cannot be one: too long, or in a folder that others may write. */
  | 'socket-path'
  /** The connection ended before the answer came. The request may have been carried out. */
  | 'connection-lost'
  /** No answer in time. The request may have been carried out. */
  | 'timed-out'
  /** The caller's signal called it off. The request may have been carried out. */
  | 'aborted'
  /** The client was closed. */
  | 'closed'
  /** Too many requests wait for an answer. */
  | 'busy'
  /** A line is longer than the bound. */
  | 'line-too-long'
  /** The parameters do not fit the contract: nothing was sent. */
  | 'bad-params'
  /** The daemon's network is not the one that it says or that was meant: nothing was signed. */
  | 'other-network'
  /** The answer is not JSON-RPC, or not what the contract says. */
  | 'bad-answer'

/** The client could not get an answer. */
export class ClientError extends KvError<ClientErrorCode> {}

/** The daemon answered with an error. `code` is its name in the table; `data` says more, such as the rule. */
export class RpcError extends KvError<RpcErrorName> {
  get rpcCode(): number {
    return RPC_ERRORS[this.code].code
  }
}

const CLIENT_EXIT_CODES: Readonly<Record<ClientErrorCode, number>> = {
  'no-daemon': 5,
  'no-access': 5,
  'socket-path': 2,
  'connection-lost': 1,
  'timed-out': 6,
  aborted: 1,
  closed: 1,
  busy: 1,
  'line-too-long': 1,
  'bad-params': 2,
  'other-network': 1,
  'bad-answer': 1,
}

/** How a command line exits for an error. A write that was included and broke a rule is refused, whenever that came out. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof ClientError) return CLIENT_EXIT_CODES[error.code]
  if (!(error instanceof RpcError)) return 1
  if (error.code === 'failed' && typeof error.data.rule === 'string') return RPC_ERRORS.refused.exitCode
  return RPC_ERRORS[error.code].exitCode
}

/** Keeps of a JSON value what an error may carry: flat, small facts. */
export function toErrorData(value: unknown): ErrorData {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  const data: Record<string, string | number | boolean | null> = Object.create(null)
  for (const [name, fact] of Object.entries(value)) {
    if (fact === null || typeof fact === 'string' || typeof fact === 'number' || typeof fact === 'boolean') {
      data[name] = fact
    }
  }
  return { ...data }
}
