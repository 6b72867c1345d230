/**
 * The outside world of a simulated node, for one life of it: virtual clock and timers, seeded randomness, a log that is only read for errors. After
 * `end` nothing of that life happens any more, as after a loss of power.
 */
import { setMaxListeners } from 'node:events'
import { AbortError } from '@kvchain/node/runtime/errors'
import type { CancelTimer, Log, Runtime, Timers } from '@kvchain/node/runtime/runtime'
import type { Random } from '../difficulty/random.js'
import { KIND, type Kind, type Loop } from './loop.js'

// A service's one signal ends all its waits, and a node of a crowded world has many: more listeners are no leak here.
setMaxListeners(0)

/** Wall time at which worlds begin, in milliseconds since 1970. */
export const EPOCH_MS = 1_700_000_000_000

export interface LifeOptions {
  readonly loop: Loop
  /** Index of the node. */
  readonly owner: number
  readonly random: Random
  /** How far the node's clock is ahead of true time. */
  readonly clockOffsetMs: number
  /** Told of everything that is logged as an error. */
  readonly onError: (message: string, data: object) => void
}

/** A whole number in [0, bound). */
export function below(random: Random, bound: number): number {
  return Math.floor(random.uniform() * bound)
}

export function seededBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => below(random, 256))
}

export class Life implements Runtime {
  readonly clock = {
    nowMs: (): number => Math.floor(EPOCH_MS + this.options.loop.nowMs + this.options.clockOffsetMs),
    monotonicMs: (): number => this.options.loop.nowMs,
  }
  readonly random = {
    bytes: (length: number): Uint8Array => seededBytes(this.options.random, length),
    below: (bound: number): number => below(this.options.random, bound),
  }
  readonly timers: Timers = {
    after: (delayMs, callback) => this.after(delayMs, KIND.timer, callback),
    sleep: (delayMs, signal) => this.sleep(delayMs, signal),
    yield: () => new Promise((resolve) => this.after(0, KIND.timer, resolve)),
  }
  readonly log: Log
  private isOver_ = false

  constructor(readonly options: LifeOptions) {
    const log: Log = {
      debug() {},
      info() {},
      warn() {},
      error: (data, message) => {
        if (!this.isOver_) options.onError(message, data)
      },
      child: () => log,
    }
    this.log = log
  }

  get isOver(): boolean {
    return this.isOver_
  }

  end(): void {
    this.isOver_ = true
  }

  /** Has something happen to this node, if it still lives then. */
  after(delayMs: number, kind: Kind, run: () => void): CancelTimer {
    const { loop, owner } = this.options
    return loop.after(delayMs, kind, owner, () => {
      if (!this.isOver_) run()
    })
  }

  private sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(new AbortError('a wait'))
        return
      }
      const onAbort = () => {
        cancel()
        reject(new AbortError('a wait'))
      }
      const cancel = this.after(delayMs, KIND.timer, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}
