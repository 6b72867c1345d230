/**
 * What the node may know of the outside: time, timers, randomness and a log. Everything in packages/node takes these from here
 * and from nowhere else, so that the lab can put a virtual clock and a seeded generator in their place.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { AbortError } from './errors.js'

/** Wall time (may jump) and monotonic time (never goes back), both in milliseconds. */
export interface Clock {
  nowMs(): number
  monotonicMs(): number
}

/** Cancels the timer that it came from; harmless when called again. */
export type CancelTimer = () => void

/** One-shot timers. A timer never keeps the process alive by itself. */
export interface Timers {
  after(delayMs: number, callback: () => void): CancelTimer
  /** Resolves after `delayMs`; rejects with AbortError as soon as `signal` aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
  /** Lets the event loop serve whatever is waiting (sockets, timers), then goes on. */
  yield(): Promise<void>
}

/** Randomness. `bytes` is fit for keys. */
export interface Random {
  bytes(length: number): Uint8Array
  /** A whole number in [0, bound). */
  below(bound: number): number
}

/** Structured log: data first, then one short sentence. Follows pino's call shape. */
export interface Log {
  debug(data: object, message: string): void
  info(data: object, message: string): void
  warn(data: object, message: string): void
  error(data: object, message: string): void
  child(bindings: object): Log
}

/** The injected outside world. */
export interface Runtime {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
}

/** A log that says nothing. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
}

/** The machine's own clock, timers and randomness. */
export function systemRuntime(log: Log = silentLog): Runtime {
  return {
    log,
    clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
    random: { bytes: (length) => randomBytes(length), below: (bound) => (bound <= 1 ? 0 : randomInt(bound)) },
    timers: {
      after(delayMs, callback) {
        const timer = setTimeout(callback, delayMs)
        timer.unref()
        return () => clearTimeout(timer)
      },
      async sleep(delayMs, signal) {
        try {
          await delay(delayMs, undefined, { ref: false, ...(signal ? { signal } : {}) })
        } catch {
          throw new AbortError('a wait')
        }
      },
      yield: () => new Promise((resolve) => setImmediate(resolve)),
    },
  }
}
