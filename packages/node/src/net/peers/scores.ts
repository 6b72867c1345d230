/** Penalty points of peers, or of groups of addresses. They wear off; so many are kept, the mildest dropped first. Pure but for the clock. */
import type { Clock } from '../../runtime/runtime.js'

const HALF_LIFE_MS = 600_000
/** Kept in memory. */
const MAX_SCORES = 1_000

interface Score {
  readonly points: number
  readonly atMs: number
}

export class Scores {
  private readonly scores = new Map<string, Score>()

  constructor(private readonly clock: Pick<Clock, 'monotonicMs'>) {}

  /** What is left: 0 for a good one, negative otherwise. */
  of(name: string): number {
    const score = this.scores.get(name)
    return score === undefined ? 0 : decayed(score, this.clock.monotonicMs())
  }

  /** Takes points away. Returns what is left. */
  take(name: string, points: number): number {
    const left = this.of(name) - points
    this.scores.delete(name)
    this.makeRoom()
    this.scores.set(name, { points: left, atMs: this.clock.monotonicMs() })
    return left
  }

  forgive(name: string): void {
    this.scores.delete(name)
  }

  private makeRoom(): void {
    if (this.scores.size < MAX_SCORES) return
    const now = this.clock.monotonicMs()
    let mildest: { name: string; points: number } | undefined
    for (const [name, score] of this.scores) {
      const points = decayed(score, now)
      if (mildest === undefined || points > mildest.points) mildest = { name, points }
    }
    if (mildest !== undefined) this.scores.delete(mildest.name)
  }
}

function decayed(score: Score, now: number): number {
  return score.points * 0.5 ** ((now - score.atMs) / HALF_LIFE_MS)
}
