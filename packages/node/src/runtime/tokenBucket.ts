/** How much one caller may ask for: so many units in a second, and more for a moment after a pause. */
import type { Clock } from './runtime.js'

export class TokenBucket {
  private tokens: number
  private atMs: number

  /** Begins full: `burst` at once, then `perSecond`. */
  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private readonly clock: Clock,
  ) {
    this.tokens = burst
    this.atMs = clock.monotonicMs()
  }

  /** Takes one, if there is one. */
  take(): boolean {
    this.fill()
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }

  /** Takes so many, whether they are there or not: what is missing has to come back first. */
  charge(units: number): void {
    this.fill()
    this.tokens -= units
  }

  /** How long until there is one; 0 when there is. */
  waitMs(): number {
    this.fill()
    return this.tokens >= 1 ? 0 : ((1 - this.tokens) / this.perSecond) * 1_000
  }

  private fill(): void {
    const nowMs = this.clock.monotonicMs()
    this.tokens = Math.min(this.burst, this.tokens + ((nowMs - this.atMs) / 1_000) * this.perSecond)
    this.atMs = nowMs
  }
}
