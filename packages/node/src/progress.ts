/** How far a long work is, told now and then: how much is done, how fast, how long it may still take. */
import type { Clock } from './runtime/runtime.js'

export interface Progress {
  /** What is counted: one word or a few. */
  readonly what: string
  readonly done: number
  /** How many there are, where that is known. */
  readonly of?: number
  readonly perSecond: number
  readonly secondsLeft?: number
}

/** Tells of the work that is noted, not more often than every `intervalMs`. */
export class ProgressTeller {
  private what = ''
  private startMs = 0
  private toldMs: number

  constructor(
    private readonly clock: Clock,
    private readonly intervalMs: number,
    private readonly tell: (progress: Progress) => void,
  ) {
    this.toldMs = clock.monotonicMs()
  }

  /** `what` begins anew when it is not what was noted last. */
  note(what: string, done: number, of?: number): void {
    const nowMs = this.clock.monotonicMs()
    if (what !== this.what) [this.what, this.startMs] = [what, nowMs]
    if (nowMs < this.toldMs + this.intervalMs) return
    this.toldMs = nowMs
    const perSecond = nowMs > this.startMs ? (done * 1_000) / (nowMs - this.startMs) : 0
    const secondsLeft = of === undefined || perSecond === 0 ? undefined : Math.ceil(Math.max(0, of - done) / perSecond)
    this.tell({
      what,
      done,
      ...(of === undefined ? {} : { of }),
      perSecond: Math.round(perSecond),
      ...(secondsLeft === undefined ? {} : { secondsLeft }),
    })
  }
}
