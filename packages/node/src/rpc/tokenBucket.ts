/** How much one caller may ask for: so many requests in a second, and more for a moment after a pause. */
import type { Clock } from '../runtime/runtime.js'

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
    const nowMs = this.clock.monotonicMs()
    this.tokens = Math.min(this.burst, this.tokens + ((nowMs - this.atMs) / 1_000) * this.perSecond)
    this.atMs = nowMs
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }
}
