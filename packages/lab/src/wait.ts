/** Waiting for conditions, never for times. Owns the polling; what is waited for is the caller's. */
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { LabError } from './errors.js'

export interface WaitOptions {
  /** What is waited for, as it should stand in the error: "the same tip". */
  readonly what: string
  /** Default 30 s: far longer than anything takes, on a machine that is busy with something else too. */
  readonly timeoutMs?: number
  /** Default 50 ms. */
  readonly everyMs?: number
  readonly signal?: AbortSignal
}

const { clock, timers } = systemRuntime()

/** Anything but "not yet". */
export type Found<T> = Exclude<T, undefined | null | false>

/** Asks again and again until the answer is neither undefined, null nor false; returns it. Throws LabError `lab-timeout`. */
export async function waitUntil<T>(condition: () => T | Promise<T>, options: WaitOptions): Promise<Found<T>> {
  const { what, timeoutMs = 30_000, everyMs = 50, signal } = options
  const deadlineMs = clock.monotonicMs() + timeoutMs
  for (;;) {
    const answer = await condition()
    if (isFound(answer)) return answer
    if (clock.monotonicMs() >= deadlineMs) {
      throw new LabError('lab-timeout', `${what} did not come within ${timeoutMs / 1000} s`, { what, timeoutMs })
    }
    await timers.sleep(everyMs, signal)
  }
}

function isFound<T>(answer: T): answer is Found<T> {
  return answer !== undefined && answer !== null && answer !== false
}
