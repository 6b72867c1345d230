/**
 * An open loop: work begins at its time, whether or not earlier work is done, as the users of a system come whether or not it is quick. Whoever
 * measures counts from the intended time, so that a stall is felt by all that were due meanwhile.
 */
import { systemRuntime } from '@kvchain/node/runtime/runtime'

export interface OpenLoopOptions {
  /** Begun a second. */
  readonly rate: number
  /** Monotonic milliseconds. */
  readonly fromMs: number
  readonly untilMs: number
  /** Begins one; must not throw. */
  readonly begin: (intendedMs: number) => void
  readonly signal: AbortSignal
}

const { clock, timers } = systemRuntime()

/** Resolves when all have begun, with how late each of them was, in milliseconds: the generator's own failing, not the system's. */
export async function runOpenLoop({ rate, fromMs, untilMs, begin, signal }: OpenLoopOptions): Promise<number[]> {
  const lateMs: number[] = []
  const total = Math.round(((untilMs - fromMs) * rate) / 1000)
  while (lateMs.length < total) {
    const nowMs = clock.monotonicMs()
    let intendedMs = fromMs + (lateMs.length * 1000) / rate
    while (lateMs.length < total && intendedMs <= nowMs) {
      lateMs.push(nowMs - intendedMs)
      begin(intendedMs)
      intendedMs = fromMs + (lateMs.length * 1000) / rate
    }
    if (lateMs.length < total) await timers.sleep(Math.max(1, intendedMs - nowMs), signal)
  }
  return lateMs
}
