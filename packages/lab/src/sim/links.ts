/**
 * The lines between simulated nodes. Owns how long a message takes, whether it is lost or comes twice, and who is cut off from whom; knows nothing of
 * connections or of what a message says. Each message takes its own time, so that later ones may come first.
 */
import type { Random } from '../difficulty/random.js'
import { KIND, type Loop } from './loop.js'

/** One direction of a line. */
export interface LinkOptions {
  readonly delayMs: number
  /** Added to the delay: uniform from 0 to this. */
  readonly jitterMs: number
  /** Shares from 0 to 1 of the messages that never come, and that come twice. */
  readonly loss: number
  readonly duplicates: number
  /** Bytes in a millisecond, one message after the other; infinite when left out. */
  readonly bytesPerMs: number
}

export const LAN: LinkOptions = {
  delayMs: 2,
  jitterMs: 1,
  loss: 0,
  duplicates: 0,
  bytesPerMs: Number.POSITIVE_INFINITY,
}

export class Links {
  private usual: LinkOptions
  private readonly special = new Map<number, LinkOptions>()
  /** When the last byte sent on a line of limited speed has left. */
  private readonly freeAtMs = new Map<number, number>()
  /** The part of the world that each node is in. */
  private readonly part: number[]
  /** One-way cuts. */
  private readonly cuts = new Set<number>()
  readonly counts = { sent: 0, lost: 0, duplicated: 0, bytes: 0 }

  constructor(
    private readonly loop: Loop,
    private readonly random: Random,
    private readonly nodes: number,
    usual: LinkOptions,
  ) {
    this.usual = usual
    this.part = Array.from({ length: nodes }, () => 0)
  }

  /** Sets all lines, or those from one node to another. */
  set(options: LinkOptions): void {
    this.usual = options
    this.special.clear()
  }

  setOne(from: number, to: number, options: LinkOptions): void {
    this.special.set(this.line(from, to), options)
  }

  /** Nodes in different groups no longer hear of one another; those in no group are together in one more. */
  partition(groups: readonly (readonly number[])[]): void {
    this.part.fill(0)
    for (const [i, group] of groups.entries()) for (const node of group) this.part[node] = i + 1
  }

  /** Nothing that `from` sends reaches `to` any more. */
  cut(from: number, to: number): void {
    this.cuts.add(this.line(from, to))
  }

  /** Ends every partition and every cut. */
  heal(): void {
    this.part.fill(0)
    this.cuts.clear()
  }

  isOpen(from: number, to: number): boolean {
    return this.part[from] === this.part[to] && !(this.cuts.size > 0 && this.cuts.has(this.line(from, to)))
  }

  options(from: number, to: number): LinkOptions {
    return this.special.size === 0 ? this.usual : (this.special.get(this.line(from, to)) ?? this.usual)
  }

  /** Sends so many bytes. `arrive` is called once, twice or never. */
  send(from: number, to: number, bytes: number, arrive: () => void): void {
    this.counts.sent++
    this.counts.bytes += bytes
    const { loss, duplicates } = this.options(from, to)
    if (!this.isOpen(from, to) || (loss > 0 && this.random.uniform() < loss)) {
      this.counts.lost++
      this.loop.note(KIND.lost, to, bytes)
      return
    }
    this.loop.after(this.delayMs(from, to, bytes), KIND.message, to, arrive)
    if (duplicates === 0 || this.random.uniform() >= duplicates) return
    this.counts.duplicated++
    this.loop.after(this.delayMs(from, to, bytes), KIND.message, to, arrive)
  }

  private delayMs(from: number, to: number, bytes: number): number {
    const { delayMs, jitterMs, bytesPerMs } = this.options(from, to)
    const travelMs = delayMs + (jitterMs === 0 ? 0 : jitterMs * this.random.uniform())
    if (bytesPerMs === Number.POSITIVE_INFINITY) return travelMs
    const line = this.line(from, to)
    const now = this.loop.nowMs
    const leftMs = Math.max(now, this.freeAtMs.get(line) ?? 0) + bytes / bytesPerMs
    this.freeAtMs.set(line, leftMs)
    return leftMs - now + travelMs
  }

  private line(from: number, to: number): number {
    return from * this.nodes + to
  }
}
