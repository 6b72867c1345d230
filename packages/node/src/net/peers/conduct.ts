/**
 * What penalties lead to. A peer that has lost half of its points is hung up on, at all of them it is banned. Its points also count against
 * the address that it came from, so that fresh peer ids are of no use: an address that has lost those of one peer is let in slowly,
 * with a third it is banned. Loopback and private addresses are never banned, for one member is not its LAN. Pure but for the clock.
 */
import type { Clock } from '../../runtime/runtime.js'
import type { ConductCode } from '../verdict.js'
import { type Ban, Bans } from './bans.js'
import { AddressRange, banGroup, isPrivate } from './groups.js'
import { Scores } from './scores.js'

/** At so many points a peer is disconnected. It may come back. */
export const DISCONNECT_POINTS = 50
export const BAN_POINTS = 100
/** No number of these hangs up on anybody: it may be the line, or this machine. */
const HARMLESS = 'answer-slow' satisfies ConductCode
/** Of all peers of an address together: of one that was banned, and of three, though the first ones' have worn off a little. */
export const SLOW_ADDRESS_POINTS = 100
export const BAN_ADDRESS_POINTS = 250
/** Connections in a second, and at once, from an address that is let in slowly. */
const SLOW_PER_SECOND = 5
const SLOW_BURST = 5
/** Addresses that are let in slowly, at one time; the one that was silent for longest is forgotten first. */
const MAX_SLOW = 1_000

export interface Consequence {
  /** The peer, or every peer of the address, is to be disconnected. */
  readonly disconnect: boolean
  /** What is banned from now on. */
  readonly bans: readonly Ban[]
  /** The peer's points that are left. */
  readonly score: number
}

export class Conduct {
  readonly bans: Bans
  private readonly peers: Scores
  private readonly addresses: Scores
  private readonly slow = new Map<string, { tokens: number; atMs: number }>()

  constructor(private readonly clock: Clock) {
    this.bans = new Bans(clock)
    this.peers = new Scores(clock)
    this.addresses = new Scores(clock)
  }

  /** What is left of a peer's points: 0 for a good peer, negative otherwise. */
  score(peerId: string): number {
    return this.peers.of(peerId)
  }

  /** @param host where the peer is connected from, if it still is. */
  penalize(peerId: string, host: string | undefined, points: number, reason: string): Consequence {
    const before = this.peers.of(peerId)
    if (reason === HARMLESS && before - points <= -DISCONNECT_POINTS)
      return { disconnect: false, bans: [], score: before }
    const score = this.peers.take(peerId, points)
    const bans: Ban[] = []
    if (score <= -BAN_POINTS && !this.bans.hasPeer(peerId)) {
      bans.push(this.bans.punish({ kind: 'peer', text: peerId }, reason))
    }
    if (host !== undefined) {
      const group = banGroup(host)
      const left = this.addresses.take(group, points)
      const isBanned = isPrivate(host) || this.bans.hasHost(host)
      if (left <= -BAN_ADDRESS_POINTS && !isBanned) {
        const range = new AddressRange(group)
        bans.push(this.bans.punish({ kind: 'address', text: group, range }, reason))
      }
    }
    const crossed = before > -DISCONNECT_POINTS && score <= -DISCONNECT_POINTS
    return { disconnect: crossed || bans.length > 0, bans, score }
  }

  /** Whether a connection from this address is let in now. Each call counts as one. */
  admits(host: string): boolean {
    if (this.bans.hasHost(host)) return false
    const group = banGroup(host)
    if (this.addresses.of(group) > -SLOW_ADDRESS_POINTS) return true
    const now = this.clock.monotonicMs()
    const bucket = this.slow.get(group) ?? { tokens: SLOW_BURST, atMs: now }
    const tokens = Math.min(SLOW_BURST, bucket.tokens + ((now - bucket.atMs) * SLOW_PER_SECOND) / 1_000)
    this.slow.delete(group)
    this.slow.set(group, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: now })
    const oldest = this.slow.keys().next().value
    if (this.slow.size > MAX_SLOW && oldest !== undefined) this.slow.delete(oldest)
    return tokens >= 1
  }

  /** Lifts a ban, and gives the peer or the address its points back. False if it was not banned. Throws OptionsError. */
  forgive(target: string): boolean {
    const lifted = this.bans.lift(target)
    this.peers.forgive(target)
    this.addresses.forgive(target)
    return lifted
  }
}
