/**
 * Which peers are connected and known to be of this network. Owns the lists of these members, of peers of another network, and of those that have
 * not said yet what they speak, and whoever waits to hear it. Owns no connection: the host tells what becomes of them, and closes what is to be closed.
 */
import type { IdentifyResult } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../runtime/runtime.js'
import { isDialable } from '../address.js'
import type { Deadline } from '../deadline.js'
import { type DialFailure, unreachable } from './failures.js'
import { MAX_ADDRESSES_PER_PEER, type PeerObserver } from './peer.js'

/** A peer that has not said in so many looks, one a second, which network it belongs to is disconnected. Looks and not time, so that
 * a stall of this process is not held against the peer. */
const SILENT_LOOKS = 10
/** How long a peer of another network is not let in and not dialled again. Short: its operator may be putting the mistake right. */
const STRANGER_MEMORY_MS = 30_000
const MAX_STRANGERS = 1_000
const MAX_AGENT_LENGTH = 64

export interface Member {
  readonly connectedAtMs: number
  readonly agent: string | undefined
  /** Where it says that it listens. */
  readonly addresses: readonly Multiaddr[]
}

export interface MembersDeps {
  readonly clock: Clock
  readonly log: Log
  /** Told of members that come and go. */
  readonly observer: PeerObserver
  /** Whether any connection to a peer is open, member or not. */
  hasConnection(peerId: string): boolean
}

interface Waiter {
  ready(): void
  failed(reason: DialFailure): void
}

export class Members {
  private readonly members = new Map<string, Member>()
  private readonly waiters = new Map<string, Set<Waiter>>()
  /** Peers of another network, with the monotonic time until which they stay out. */
  private readonly strangers = new Map<string, number>()
  /** Peers that have not said yet what they speak, with the looks taken so far. */
  private readonly silent = new Map<string, number>()

  /** @param marker the protocol that every node of this network says it speaks. */
  constructor(
    private readonly marker: string,
    private readonly deps: MembersDeps,
  ) {}

  ids(): string[] {
    return [...this.members.keys()]
  }

  get(peerId: string): Member | undefined {
    return this.members.get(peerId)
  }

  has(peerId: string): boolean {
    return this.members.has(peerId)
  }

  /** Whether a peer was found, lately, to belong to another network. */
  isStranger(peerId: string): boolean {
    const untilMs = this.strangers.get(peerId)
    if (untilMs === undefined) return false
    if (this.deps.clock.monotonicMs() < untilMs) return true
    this.strangers.delete(peerId)
    return false
  }

  /** A peer said, on an open connection, what it speaks. Returns whether it is of this network; one that is not is to be disconnected. */
  onIdentify(result: IdentifyResult): boolean {
    const peerId = result.peerId.toString()
    if (!result.protocols.includes(this.marker)) {
      this.onStranger(peerId)
      return false
    }
    const said = result.signedPeerRecord?.addresses ?? result.listenAddrs
    const addresses = said.filter(isDialable).slice(0, MAX_ADDRESSES_PER_PEER)
    const known = this.members.get(peerId)
    if (known !== undefined) {
      this.members.set(peerId, { ...known, addresses })
      return true
    }
    const agent = result.agentVersion?.slice(0, MAX_AGENT_LENGTH).replace(/[^ -~]/g, '?')
    this.silent.delete(peerId)
    this.members.set(peerId, { connectedAtMs: this.deps.clock.monotonicMs(), agent, addresses })
    this.deps.log.debug({ peerId, address: result.connection.remoteAddr.toString() }, 'peer connected')
    for (const waiter of this.waiters.get(peerId) ?? []) waiter.ready()
    this.deps.observer.connected?.(peerId)
    return true
  }

  /** The last connection to a peer has closed. */
  onDisconnect(peerId: string): void {
    this.silent.delete(peerId)
    for (const waiter of this.waiters.get(peerId) ?? []) waiter.failed('failed')
    if (!this.members.delete(peerId)) return
    this.deps.log.debug({ peerId }, 'peer disconnected')
    this.deps.observer.disconnected?.(peerId)
  }

  /** Resolves once the peer is a member. NetError 'net-unreachable', which calls the peer `text`, if that comes to nothing; the deadline's error. */
  async identified(peerId: string, text: string, deadline: Deadline): Promise<void> {
    if (this.has(peerId)) return
    if (this.isStranger(peerId)) throw unreachable(text, 'network')
    if (!this.deps.hasConnection(peerId)) throw unreachable(text, 'failed')
    const waiting = this.waiters.get(peerId) ?? new Set<Waiter>()
    this.waiters.set(peerId, waiting)
    let waiter: Waiter | undefined
    try {
      await deadline.race(
        new Promise<void>((resolve, reject) => {
          waiter = { ready: resolve, failed: (reason) => reject(unreachable(text, reason)) }
          waiting.add(waiter)
        }),
      )
    } finally {
      if (waiter !== undefined) waiting.delete(waiter)
      if (waiting.size === 0) this.waiters.delete(peerId)
    }
  }

  /** Counts one look at a connected peer. Returns whether it has been silent for too many, and is to be disconnected. */
  countLook(peerId: string): boolean {
    if (this.has(peerId)) return false
    const looks = (this.silent.get(peerId) ?? 0) + 1
    this.silent.set(peerId, looks)
    if (looks <= SILENT_LOOKS) return false
    this.deps.log.debug({ peerId }, 'peer did not say what it speaks')
    return true
  }

  private onStranger(peerId: string): void {
    // Known already, it takes nobody's place, and goes to the end of the list.
    this.strangers.delete(peerId)
    const oldest = this.strangers.keys().next().value
    if (this.strangers.size >= MAX_STRANGERS && oldest !== undefined) this.strangers.delete(oldest)
    this.strangers.set(peerId, this.deps.clock.monotonicMs() + STRANGER_MEMORY_MS)
    this.deps.log.debug({ peerId }, 'peer is of another network')
    for (const waiter of this.waiters.get(peerId) ?? []) waiter.failed('network')
  }
}
