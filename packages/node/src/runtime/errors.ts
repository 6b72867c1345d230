/** Failures: what this node could not do, as opposed to violations (somebody's data breaks a rule, see core). */
import { KvError } from '@kvchain/core/errors'

/** The database cannot be read, written or trusted. */
export class StoreError extends KvError<
  'store-locked' | 'store-open' | 'store-write' | 'store-corrupt' | 'store-schema' | 'store-network' | 'store-io'
> {}

/** The network room could not do it. */
export class NetError extends KvError<
  'net-listen' | 'net-address' | 'net-stream' | 'net-response' | 'net-limit' | 'net-unreachable' | 'net-busy'
> {}

/** A worker thread died, or answered out of turn. */
export class WorkerError extends KvError<'worker-exit' | 'worker-reply' | 'worker-stopped'> {}

/** The caller, or a stop, called the work off. */
export class AbortError extends KvError<'aborted'> {
  constructor(what: string) {
    super('aborted', `${what} was called off`)
  }
}

/** A deadline passed. */
export class TimeoutError extends KvError<'timeout'> {
  constructor(what: string, timeoutMs: number) {
    super('timeout', `${what} took longer than ${timeoutMs} ms`, { timeoutMs })
  }
}

/** A bounded queue or pool is full: the caller may try again later. */
export class BusyError extends KvError<'busy'> {
  constructor(what: string, limit: number) {
    super('busy', `${what} is full (limit ${limit}); try again later`, { limit })
  }
}

/** An operator's option makes no sense. */
export class OptionsError extends KvError<'options'> {
  constructor(message: string, cause?: unknown) {
    super('options', message, {}, cause)
  }
}
