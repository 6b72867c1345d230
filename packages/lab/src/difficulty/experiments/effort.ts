/** How much is played in each experiment, and how the results of many seeds are brought together. */
export interface Effort {
  /** Chains of each kind. */
  readonly seeds: number
}

export const NIGHT_MS: number = 12 * 3_600_000
/** Blocks after which an experiment gives a recovery up; a storm can be that long. */
export const MOST_BLOCKS = 4_000
/** After a night a storm can last for more blocks than anybody wants to wait for. */
export const NIGHT_BLOCKS = 1_500
export const STEADY_BLOCKS = 3_000
export const HOP_BLOCKS = 3_000
/** Of the hash rate, those of forgers. */
export const SHARES = [0.3, 0.49] as const

/** What each of the seeds gives, from 1 on. */
export function over<T>({ seeds }: Effort, run: (seed: number) => T): T[] {
  return Array.from({ length: seeds }, (_, i) => run(i + 1))
}

/** One figure of each result. */
export function pick<K extends string>(results: readonly Readonly<Record<K, number>>[], key: K): number[] {
  return results.map((result) => result[key])
}
