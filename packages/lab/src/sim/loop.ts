/**
 * Virtual time: one queue of events in order of time, and of making where times are equal; nothing else happens in a simulation. Owns the clock and
 * the rolling hash of everything that happened, by which two runs of a seed are compared. After each event everything that it set in motion
 * (microtasks) ends before the next begins.
 */
import { assert } from '@kvchain/core/errors'
import TinyQueue from 'tinyqueue'

/** What happened, as a number for the rolling hash. */
export const KIND = {
  timer: 1,
  message: 2,
  lost: 3,
  disk: 4,
  connected: 5,
  disconnected: 6,
  step: 7,
  solved: 8,
  fault: 9,
  script: 10,
} as const
export type Kind = (typeof KIND)[keyof typeof KIND]

interface Event {
  readonly atUs: number
  readonly order: number
  readonly kind: Kind
  /** Index of the node that it happens to, -1 for none. */
  readonly owner: number
  /** Undefined once cancelled. */
  run: (() => void) | undefined
}

/** Events that are queued on the machine's own event loop at a time: each turn of that costs as much as several events. */
const BATCH = 64

function compareEvents(a: Event, b: Event): number {
  return a.atUs - b.atUs || a.order - b.order
}

export class Loop {
  /** Events that happened. */
  events = 0
  private readonly queue = new TinyQueue<Event>([], compareEvents)
  private nowUs = 0
  private orders = 0
  private a = 0x811c9dc5
  private b = 0x1b873593
  private running = false

  /** Milliseconds since the world began, in steps of a thousandth. */
  get nowMs(): number {
    return this.nowUs / 1_000
  }

  /** The rolling hash of all that happened so far: 16 hexadecimal digits. */
  get hash(): string {
    return [this.a, this.b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }

  /** Mixes a fact into the rolling hash. */
  note(kind: Kind, owner: number, fact: number): void {
    this.mix(kind)
    this.mix(owner)
    this.mix(fact)
  }

  private mix(word: number): void {
    this.a = Math.imul(this.a ^ word, 0x01000193)
    this.b = Math.imul((this.b << 13) | (this.b >>> 19), 0x85ebca6b) + (word | 0)
  }

  /** Has `run` happen `delayMs` from now; at least a moment later than now. Returns what takes it back. */
  after(delayMs: number, kind: Kind, owner: number, run: () => void): () => void {
    const atUs = this.nowUs + Math.max(0, Math.round(delayMs * 1_000))
    const event: Event = { atUs, order: this.orders++, kind, owner, run }
    this.queue.push(event)
    return () => {
      event.run = undefined
    }
  }

  /**
   * Lets things happen until `untilMs`, or until `isDone` says so between two events. `between` is called after each event, when all that it set
   * in motion has ended; what it or an event throws ends the run.
   */
  run(untilMs: number, between: (owner: number) => void, isDone: () => boolean = () => false): Promise<void> {
    assert(!this.running, 'a world runs once at a time')
    this.running = true
    return new Promise((resolve, reject) => {
      let owner = -1
      let left = 0
      let isOver = false
      const end = (settle: () => void) => {
        isOver = true
        this.running = false
        settle()
      }
      const turn = () => {
        left--
        if (isOver) return
        try {
          between(owner)
          const next = isDone() ? undefined : this.take(untilMs)
          if (next === undefined) return end(resolve)
          owner = next.owner
          next.run?.()
        } catch (error) {
          return end(() => reject(error))
        }
        if (left === 0) queue()
      }
      const queue = () => {
        left = BATCH
        for (let i = 0; i < BATCH; i++) setImmediate(turn)
      }
      queue()
    })
  }

  /** The next event, time set to it; undefined, and time set to `untilMs`, when there is none until then. */
  private take(untilMs: number): Event | undefined {
    const untilUs = Math.round(untilMs * 1_000)
    for (let next = this.queue.peek(); next !== undefined && next.atUs <= untilUs; next = this.queue.peek()) {
      this.queue.pop()
      if (next.run === undefined) continue
      this.nowUs = next.atUs
      this.events++
      this.note(next.kind, next.owner, next.atUs)
      return next
    }
    this.nowUs = Math.max(this.nowUs, untilUs)
    return undefined
  }
}
