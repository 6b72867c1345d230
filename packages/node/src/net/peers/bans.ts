/**
 * Who is shut out, until when, and why. A ban is of a peer id or of a range of addresses, in wall time, so that it survives a restart. The
 * node's own bans double each time, if they follow within a day. Bounded. Pure but for the clock; the book keeps them on disk.
 */
import type { Clock } from '../../runtime/runtime.js'
import { parseTarget, type Target } from './groups.js'

const FIRST_BAN_MS = 600_000
const LONGEST_BAN_MS = 86_400_000
/** For this long after its end a ban is remembered, to make the next one longer. */
const MEMORY_MS = 86_400_000
/** Bans in memory and on disk. What ends first is dropped first. */
const MAX_BANS = 1_000
/** What an operator may ask for; also what is believed of a clock that was put back. */
export const MAX_BAN_SECONDS = 366 * 86_400

export interface Ban {
  /** A peer id, an IP address, or a range of those. */
  readonly target: string
  /** Wall time in milliseconds. */
  readonly untilMs: number
  readonly reason: string
  readonly by: 'node' | 'operator'
  /** How often it was banned in a row. */
  readonly times: number
}

export class Bans {
  private readonly bans = new Map<string, { readonly ban: Ban; readonly target: Target }>()

  constructor(private readonly clock: Pick<Clock, 'nowMs'>) {}

  /** Those in force, the one that ends first foremost. */
  all(): Ban[] {
    return this.remembered()
      .filter(({ untilMs }) => untilMs > this.clock.nowMs())
      .sort((a, b) => a.untilMs - b.untilMs)
  }

  /** Those in force and those that are over and not forgotten: what the book is to keep. */
  remembered(): Ban[] {
    return [...this.bans.values()].map(({ ban }) => ban)
  }

  hasPeer(peerId: string): boolean {
    return (this.bans.get(peerId)?.ban.untilMs ?? 0) > this.clock.nowMs()
  }

  hasHost(host: string): boolean {
    const now = this.clock.nowMs()
    for (const { ban, target } of this.bans.values()) {
      if (target.kind === 'address' && ban.untilMs > now && target.range.contains(host)) return true
    }
    return false
  }

  /** A ban by the node: ten minutes, doubled each time, a day at most. */
  punish(target: Target, reason: string): Ban {
    this.forget()
    const times = (this.bans.get(target.text)?.ban.times ?? 0) + 1
    const untilMs = this.clock.nowMs() + Math.min(FIRST_BAN_MS * 2 ** (times - 1), LONGEST_BAN_MS)
    return this.put({ target: target.text, reason, by: 'node', times, untilMs }, target)
  }

  /** A ban by the operator. Throws OptionsError for a target that is none. */
  impose(target: string, seconds: number, reason: string): Ban {
    const parsed = parseTarget(target)
    const untilMs = this.clock.nowMs() + seconds * 1_000
    return this.put({ target: parsed.text, reason, by: 'operator', times: 0, untilMs }, parsed)
  }

  /** False if there was none in force. Throws OptionsError for a target that is none. */
  lift(target: string): boolean {
    const { text } = parseTarget(target)
    const wasBanned = (this.bans.get(text)?.ban.untilMs ?? 0) > this.clock.nowMs()
    this.bans.delete(text)
    return wasBanned
  }

  /** Takes in what the book kept. What is no ban is left out. */
  restore(bans: readonly Ban[]): void {
    const latest = this.clock.nowMs() + MAX_BAN_SECONDS * 1_000
    for (const ban of bans.slice(0, MAX_BANS)) {
      try {
        this.put({ ...ban, untilMs: Math.min(ban.untilMs, latest) }, parseTarget(ban.target))
      } catch {
        // A ban that nobody can read bans nobody.
      }
    }
  }

  private put(ban: Ban, target: Target): Ban {
    this.bans.delete(ban.target)
    this.makeRoom()
    this.bans.set(ban.target, { ban, target })
    return ban
  }

  private forget(): void {
    const oldest = this.clock.nowMs() - MEMORY_MS
    for (const [name, { ban }] of this.bans) if (ban.untilMs < oldest) this.bans.delete(name)
  }

  private makeRoom(): void {
    this.forget()
    if (this.bans.size < MAX_BANS) return
    const [first] = this.remembered().sort((a, b) => a.untilMs - b.untilMs)
    if (first !== undefined) this.bans.delete(first.target)
  }
}
