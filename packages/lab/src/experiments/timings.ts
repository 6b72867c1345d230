/** How long calls take: measured on the monotonic clock, and put into a few figures. */
import { systemRuntime } from '@kvchain/node/runtime/runtime'

/** Milliseconds. All NaN when there are no samples. */
export interface Timings {
  readonly count: number
  readonly best: number
  readonly median: number
  readonly p99: number
  readonly worst: number
}

const { clock } = systemRuntime()

export function summarize(samples: readonly number[]): Timings {
  const sorted = [...samples].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
  return { count: sorted.length, best: at(0), median: at(0.5), p99: at(0.99), worst: at(1) }
}

/** What `work` takes, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = clock.monotonicMs()
  await work()
  return clock.monotonicMs() - startMs
}

/** Runs `work` one time after the other: `count` times, or fewer when `limitMs` has passed; once at least. */
export async function sample(
  count: number,
  limitMs: number,
  work: (index: number) => Promise<unknown>,
): Promise<Timings> {
  const startMs = clock.monotonicMs()
  const samples: number[] = []
  do samples.push(await timed(() => work(samples.length)))
  while (samples.length < count && clock.monotonicMs() - startMs < limitMs)
  return summarize(samples)
}
