/** Numbers out of samples. */

/** A distribution in a few figures, in the unit of its samples. */
export interface Summary {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Undefined when there are no samples: no figure is better than a wrong one. */
export function summarize(samples: readonly number[]): Summary | undefined {
  if (samples.length === 0) return undefined
  const sorted = Float64Array.from(samples).sort()
  return {
    count: sorted.length,
    mean: sorted.reduce((sum, sample) => sum + sample, 0) / sorted.length,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    max: sorted.at(-1) ?? 0,
  }
}

/** The smallest sample that at least `share` of all samples do not exceed. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
}

/** Of at least one sample; of an even number, the lower of the two in the middle. */
export function median(samples: readonly number[]): number {
  return percentile(Float64Array.from(samples).sort(), 0.5)
}

/** Counts by name, such as errors by code. */
export class Tally {
  private readonly counts = new Map<string, number>()

  add(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0)
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.counts)
  }
}
