/**
 * Which peer to ask for bodies next, and for how many. Owns what each peer has shown of itself lately; asks nobody. A peer that stalls, lacks what it
 * is asked for or cannot be reached is left alone for a while; one that lies, for long.
 */
import type { Clock } from '../runtime/runtime.js'
import type { Ending } from './blame.js'

/** Requests of one peer at a time: while one is answered, the next is on its way. */
const PER_PEER = 2
const FIRST_BATCH = 16
const MAX_BATCH = 64
/** How long a peer's answer may take. Doubles when one took longer, since a slow line is no fault; comes down again with each that came. */
const MIN_STALL_MS = 2_000
const MAX_STALL_MS = 64_000
const STALL_DECAY = 0.85
/** How long a peer that failed is left alone, first and at most. */
const PAUSE_MS = 1_000
const MAX_PAUSE_MS = 16_000
const LIAR_PAUSE_MS = 600_000
/** For so long a peer that failed is asked only when no other is connected. */
const GRUDGE_MS = 60_000

interface Source {
  asked: number
  /** Blocks in one request. */
  batch: number
  /** How long its next answer may take. */
  stallMs: number
  /** Failures in a row. */
  failures: number
  /** Not to be asked before. Monotonic. */
  freeAtMs: number
  /** When it was last asked, in turns. */
  turn: number
}

export class Sources {
  private readonly sources = new Map<string, Source>()
  private turns = 0

  constructor(
    private readonly clock: Clock,
    private readonly peerIds: () => string[],
  ) {}

  /**
   * A peer that may be asked now, for how many blocks: the one with the fewest requests, then the one that was asked longest ago. One that failed is
   * asked only when all have: whoever stops answering would hold up what the others wait for.
   */
  next(): { readonly peerId: string; readonly batch: number } | undefined {
    const nowMs = this.clock.monotonicMs()
    const all = this.peerIds().map((peerId) => ({ peerId, source: this.of(peerId) }))
    for (const { source } of all) if (source.freeAtMs + GRUDGE_MS <= nowMs) source.failures = 0
    const good = all.filter(({ source }) => source.failures === 0)
    const free = (good.length > 0 ? good : all).filter(
      ({ source }) => source.asked < PER_PEER && source.freeAtMs <= nowMs,
    )
    const [best] = free.sort((a, b) => a.source.asked - b.source.asked || a.source.turn - b.source.turn)
    return best && { peerId: best.peerId, batch: best.source.batch }
  }

  /** Returns how long the answer may take, in milliseconds. */
  begin(peerId: string): number {
    const source = this.of(peerId)
    source.asked++
    source.turn = ++this.turns
    return source.stallMs
  }

  /** `came` of the `wanted` blocks came, within the `stallMs` that the request was given. */
  end(peerId: string, ending: Ending, came: number, wanted: number, stallMs: number): void {
    const source = this.of(peerId)
    source.asked--
    if (ending === 'violation') {
      this.shun(peerId)
    } else if (came > 0) {
      source.failures = 0
      if (came === wanted) source.batch = Math.min(MAX_BATCH, source.batch * 2)
      source.stallMs = Math.max(MIN_STALL_MS, source.stallMs * STALL_DECAY)
    } else {
      // Once for requests that were under way together.
      if (ending === 'stalled' && stallMs === source.stallMs) {
        source.batch = Math.max(1, Math.floor(source.batch / 2))
        source.stallMs = Math.min(MAX_STALL_MS, source.stallMs * 2)
      }
      this.pause(source, Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** source.failures++))
    }
  }

  /** A peer told what is not true. */
  shun(peerId: string): void {
    const source = this.of(peerId)
    source.failures++
    this.pause(source, LIAR_PAUSE_MS)
  }

  forget(peerId: string): void {
    if (this.sources.get(peerId)?.asked === 0) this.sources.delete(peerId)
  }

  private pause(source: Source, pauseMs: number): void {
    source.freeAtMs = Math.max(source.freeAtMs, this.clock.monotonicMs() + pauseMs)
  }

  private of(peerId: string): Source {
    let source = this.sources.get(peerId)
    if (source === undefined) {
      source = { asked: 0, batch: FIRST_BATCH, stallMs: MIN_STALL_MS, failures: 0, freeAtMs: 0, turn: 0 }
      this.sources.set(peerId, source)
    }
    return source
  }
}
