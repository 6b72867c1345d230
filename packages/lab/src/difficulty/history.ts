/**
 * What a target rule sees of a chain: a timestamp and a target for each header. Grows by one block at a time and can take blocks back,
 * so that a forger can think ahead. Knows no rule but the lower bounds of a timestamp.
 */
import { assert } from '@kvchain/core/errors'

/** What a timestamp must exceed: the parent's, or the median of the last 11, as in Bitcoin. */
export type Floor = 'median' | 'parent'

const MEDIAN_SPAN = 11

export class History {
  private constructor(
    private readonly timestamps: number[],
    private readonly targets: bigint[],
    /** Sum of all targets up to this one: a rule that averages takes a difference. */
    private readonly sums: bigint[],
    private readonly medians: (number | undefined)[],
  ) {}

  /** A chain of `length` blocks, each of which took exactly the interval. The last one was found at length x interval. */
  static steady(length: number, intervalMs: number, target: bigint): History {
    const history = new History([], [], [], [])
    for (let i = 1; i <= length; i++) history.push(i * intervalMs, target)
    return history
  }

  clone(): History {
    return new History([...this.timestamps], [...this.targets], [...this.sums], [...this.medians])
  }

  get length(): number {
    return this.timestamps.length
  }

  push(timestampMs: number, target: bigint): void {
    this.sums.push((this.sums.at(-1) ?? 0n) + target)
    this.timestamps.push(timestampMs)
    this.targets.push(target)
    this.medians.push(undefined)
  }

  pop(): void {
    this.sums.pop()
    this.timestamps.pop()
    this.targets.pop()
    this.medians.pop()
  }

  /** Of the tip with `back` 0, of its parent with 1, and so on. */
  timestampMs(back: number): number {
    const timestampMs = this.timestamps[this.timestamps.length - 1 - back]
    assert(timestampMs !== undefined, 'the history reaches back far enough')
    return timestampMs
  }

  target(back: number): bigint {
    const target = this.targets[this.targets.length - 1 - back]
    assert(target !== undefined, 'the history reaches back far enough')
    return target
  }

  /** Sum of the targets of the tip and its ancestors, `count` of them. */
  targetSum(count: number): bigint {
    const to = this.sums[this.sums.length - 1]
    const from = this.sums[this.sums.length - 1 - count]
    assert(to !== undefined && from !== undefined, 'the history reaches back far enough')
    return to - from
  }

  /** The median of the last 11 timestamps, as of the block `back` below the tip. */
  medianTimeMs(back = 0): number {
    const at = this.timestamps.length - 1 - back
    const known = this.medians[at]
    if (known !== undefined) return known
    const last = this.timestamps.slice(Math.max(0, at + 1 - MEDIAN_SPAN), at + 1).sort((a, b) => a - b)
    const median = last[(last.length - 1) >> 1]
    assert(median !== undefined, 'the history reaches back far enough')
    this.medians[at] = median
    return median
  }

  /** The lowest timestamp that the next block may have. */
  lowestMs(floor: Floor): number {
    return 1 + (floor === 'median' ? this.medianTimeMs() : this.timestampMs(0))
  }
}
