/**
 * The list of wanted peers: given by the operator, seen on the local network, remembered, told by other peers; where each is, how often it
 * failed and when it is dialled again. The operator's peers stay for ever; of hearsay, one provider's peers may fill a part only.
 * Decides and does not act: PeerManager dials, and tells what came of it. Pure but for the clock and the seed.
 */
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Random, Runtime } from '../../runtime/runtime.js'
import { hostOf, parseAddress, peerIdOf, relayOf, withoutPeerId } from '../address.js'
import type { PeerInfo } from '../host/peer.js'
import {
  delayMs,
  type Entry,
  groupOf,
  hopelessDelayMs,
  isHearsay,
  isWorse,
  MAX_ADDRESSES_PER_PEER,
  newEntry,
  type PeerSource,
  provenUntil,
  SOURCES,
  STABLE_MS,
  setAddresses,
  toDial,
  type Wanted,
  type WantedPeer,
} from './entry.js'
import { netGroup } from './groups.js'
import type { SavedPeer } from './peerBook.js'
import { chooseOutbound, type Slots } from './slots.js'

/** Peers wanted at one time. The least promising is dropped first. */
export const MAX_WANTED = 1_024
/** Of those, told by peers of one provider; of a LAN, four times as many. */
const MAX_TOLD_PER_GROUP = 64
const MAX_TOLD_LOCALLY = 256
/** More peers than this on one local network are treated like peers heard of elsewhere. */
const MAX_LOCAL = 64
/** Written into the book: those that were reached, then those that came by themselves. */
const MAX_SAVED = MAX_WANTED
const ANCHORS = 2

/** A local peer that was silent for this long and is heard again has come back: it is dialled at once. It is heard every 10 s. */
const LOCAL_SILENCE_MS = 25_000
/** A peer that is not the operator's is forgotten after so many failures in a row: an hour or so. */
const FORGET_AFTER_FAILURES = 60

/** What the list must know of the moment to say whom to dial. */
export interface Situation {
  readonly peers: readonly PeerInfo[]
  /** Own addresses without peer id. */
  readonly own: () => ReadonlySet<string>
  /** Dials that may be begun now. */
  readonly dials: number
  /** From so many peers on, only the operator's are dialled. */
  readonly maxPeers: number
  /** Connections of our own choice that are wanted. */
  readonly wantedOutbound: number
  refuses(peerId: string): boolean
  /** Where a connected peer says it listens. */
  listenAddresses(peerId: string): readonly string[]
}

export class WantedList {
  /** By peer id, or by address for an operator's address without one. */
  private readonly list = new Map<string, Entry>()
  /** Those of the operator's whose peer id is not known. */
  private readonly unpinned = new Set<Entry>()
  private dialling = 0
  /** No peer of the operator's or of the local network is due before; 0 when that has to be found out again. */
  private insistentDueMs = 0
  /** Something changed that the book should know. */
  changed = false

  private readonly ownId: string
  private readonly clock: Clock
  private readonly random: Random

  /** @param options `hearsay`: whether to want peers that others tell of, or that were met before. */
  constructor(
    private readonly options: { readonly ownId: string; readonly hearsay: boolean },
    { clock, random }: Pick<Runtime, 'clock' | 'random'>,
  ) {
    this.ownId = options.ownId
    this.clock = clock
    this.random = random
  }

  /** For people and tests. */
  all(): WantedPeer[] {
    return [...this.list.values()].map(({ peerId, addresses, source, failures, connectedAtMs }) => ({
      peerId,
      addresses: [...addresses],
      source,
      connected: connectedAtMs !== undefined,
      failures,
    }))
  }

  /** Whether the operator named the peer. */
  isOperators(peerId: string): boolean {
    return this.entriesOf(peerId).some(({ source }) => source === 'bootstrap')
  }

  /** Whether the peer is wanted only as one of so many, if at all. */
  isHearsay(peerId: string): boolean {
    return this.entriesOf(peerId).every(isHearsay)
  }

  /** An address of the operator's, with or without peer id. */
  addBootstrap(address: Multiaddr): void {
    const peerId = peerIdOf(address)
    const text = withoutPeerId(address).toString()
    const entry = this.list.get(peerId ?? text) ?? newEntry('bootstrap', peerId, this.ownId, this.clock.monotonicMs())
    entry.fixed = [...new Set([...entry.fixed, text])]
    setAddresses(entry, [])
    this.list.set(peerId ?? text, entry)
    if (peerId === undefined) this.unpinned.add(entry)
    this.insistentDueMs = 0
  }

  /** What the book kept. Addresses that are none are left out. */
  restore(saved: readonly SavedPeer[]): void {
    for (const peer of saved.slice(0, MAX_SAVED)) {
      const addresses = peer.addresses.filter(isAddress)
      const entry = addresses.length === 0 ? undefined : this.want(peer.peerId, addresses, 'saved')
      if (entry === undefined) continue
      entry.lastSeenMs = peer.lastSeenMs
      entry.provenMs = peer.provenMs ?? 0
      entry.anchor = peer.anchor ?? false
    }
  }

  /** What the book is to keep: those that we reached, longest first, then the others that were connected, latest first. */
  toSave(): SavedPeer[] {
    const now = this.clock.monotonicMs()
    const anchors = [...this.list.values()]
      .filter(({ source, outboundSinceMs }) => source !== 'bootstrap' && outboundSinceMs !== undefined)
      .sort((a, b) => (a.outboundSinceMs ?? 0) - (b.outboundSinceMs ?? 0))
      .slice(0, ANCHORS)
    // A run that reached nobody keeps the anchors of the one before.
    const isAnchor = (entry: Entry): boolean => (anchors.length > 0 ? anchors.includes(entry) : entry.anchor)
    const saved: SavedPeer[] = []
    for (const entry of this.list.values()) {
      const { peerId, addresses, lastSeenMs } = entry
      if (peerId === undefined || lastSeenMs === 0 || addresses.length === 0) continue
      const provenMs = Math.round(provenUntil(entry, now))
      saved.push({ peerId, addresses: [...addresses], lastSeenMs, provenMs, anchor: isAnchor(entry) })
    }
    const proof = ({ provenMs = 0 }: SavedPeer): number => provenMs
    return saved.sort((a, b) => proof(b) - proof(a) || b.lastSeenMs - a.lastSeenMs).slice(0, MAX_SAVED)
  }

  /** Another peer told of a peer. `teller` is the address that it is connected from. */
  told(peerId: string, addresses: readonly string[], teller: string): void {
    const group = netGroup(teller) ?? 'local'
    const entry = this.list.get(peerId)
    if (entry === undefined && !this.makeRoomFor(group)) return
    const wanted = this.want(peerId, addresses, 'exchange')
    if (wanted !== undefined && entry === undefined) wanted.teller = group
  }

  /** A peer is connected. */
  connected(
    peerId: string,
    addresses: readonly string[],
    { direction, address }: Pick<PeerInfo, 'direction' | 'address'>,
  ) {
    const now = this.clock.monotonicMs()
    if (addresses.length > 0) this.told(peerId, addresses, hostOf(parseAddress(address)) ?? '')
    this.insistentDueMs = 0
    for (const entry of this.entriesOf(peerId)) {
      // Where it was reached, and what it says now, is better than what was heard before.
      if (addresses.length > 0 && this.options.hearsay) setAddresses(entry, addresses)
      entry.connectedAtMs = now
      entry.outboundSinceMs = direction === 'outbound' ? now : undefined
      entry.lastSeenMs = this.clock.nowMs()
      this.changed = true
    }
  }

  disconnected(peerId: string): void {
    const now = this.clock.monotonicMs()
    this.insistentDueMs = 0
    for (const entry of this.entriesOf(peerId)) {
      const lasted = now - (entry.connectedAtMs ?? now)
      entry.provenMs = provenUntil(entry, now)
      entry.failures = lasted > STABLE_MS ? 0 : entry.failures + 1
      // A peer that comes and goes does not begin its minute of attention anew.
      if (entry.failures <= 1) entry.absentSinceMs = now
      entry.connectedAtMs = undefined
      entry.outboundSinceMs = undefined
      entry.nextDialMs = now + delayMs(entry, now, this.random)
      entry.lastSeenMs = this.clock.nowMs()
      this.changed = true
    }
  }

  /** A peer was heard on the local network. */
  heard(peerId: string, discovered: readonly string[]): void {
    const addresses = discovered.filter(isAddress).slice(0, MAX_ADDRESSES_PER_PEER)
    const locals = [...this.list.values()].filter(({ source }) => source === 'mdns').length
    const before = this.list.get(peerId)?.addresses ?? []
    const entry = this.want(peerId, addresses, locals < MAX_LOCAL ? 'mdns' : 'exchange')
    if (entry === undefined || addresses.length === 0) return
    this.insistentDueMs = 0
    const now = this.clock.monotonicMs()
    const returned = now - entry.heardMs > LOCAL_SILENCE_MS || addresses.some((address) => !before.includes(address))
    entry.heardMs = now
    if (entry.connectedAtMs !== undefined) return
    // What is on the local network now replaces what was known: addresses there change.
    setAddresses(entry, addresses)
    if (!returned || entry.failures === 0) return
    entry.failures = 0
    entry.absentSinceMs = now
    entry.nextDialMs = now
  }

  /**
   * Whom to dial now, each of which counts as being dialled until `dialled` or `failed` is called. The operator's peers first, then the
   * local ones, then as many others as connections of our own are missing.
   */
  due(situation: Situation): Wanted[] {
    const now = this.clock.monotonicMs()
    const slots = this.slots(situation)
    if (now < this.insistentDueMs && slots.free <= 0) return []
    const insistent: [string, Entry][] = []
    const hearsay: [string, Entry][] = []
    for (const [key, entry] of this.list) {
      if (entry.dialling || entry.connectedAtMs !== undefined || entry.nextDialMs > now) continue
      if (isHearsay(entry)) hearsay.push([key, entry])
      else insistent.push([key, entry])
    }
    insistent.sort(([, a], [, b]) => SOURCES.indexOf(a.source) - SOURCES.indexOf(b.source))
    const chosen: [string, Entry][] = []
    let room = situation.maxPeers - situation.peers.length - this.dialling
    for (const [key, entry] of insistent) {
      if (chosen.length >= situation.dials) break
      if (!this.isUsable(key, entry, situation) || this.adopt(entry, situation, now)) continue
      if (entry.source !== 'bootstrap' && room <= 0) continue
      room--
      chosen.push([key, entry])
    }
    const dials = Math.min(situation.dials - chosen.length, room)
    chosen.push(...this.chooseHearsay(hearsay, { ...slots, free: Math.min(slots.free, dials) }, situation))
    for (const [, entry] of chosen) entry.dialling = true
    this.dialling += chosen.length
    this.insistentDueMs = this.nextInsistent()
    return chosen.map(([key, entry]) => toDial(key, entry))
  }

  /** A dial reached this peer. */
  dialled(key: string, peerId: string, isConnected: boolean): void {
    const entry = this.list.get(key)
    if (entry === undefined) return
    entry.dialling = false
    this.dialling--
    this.insistentDueMs = 0
    entry.peerId = peerId
    if (isConnected) entry.connectedAtMs ??= this.clock.monotonicMs()
    else this.postpone(key, entry, false)
  }

  /** A dial came to nothing. `reason` is the host's DialFailure, undefined when the dial was called off. */
  failed(key: string, reason: unknown): void {
    const entry = this.list.get(key)
    if (entry === undefined) return
    entry.dialling = false
    this.dialling--
    this.insistentDueMs = 0
    if (reason === 'self') this.drop(key, entry)
    else if (reason !== undefined) this.postpone(key, entry, reason === 'network' || reason === 'refused')
  }

  private postpone(key: string, entry: Entry, isHopeless: boolean): void {
    entry.failures++
    const now = this.clock.monotonicMs()
    entry.nextDialMs = now + (isHopeless ? hopelessDelayMs(this.random) : delayMs(entry, now, this.random))
    if (entry.source !== 'bootstrap' && entry.failures >= FORGET_AFTER_FAILURES) this.list.delete(key)
  }

  /** When the next of the operator's or of the local network is due. */
  private nextInsistent(): number {
    let next = Number.POSITIVE_INFINITY
    for (const entry of this.list.values()) {
      if (!isHearsay(entry) && !entry.dialling && entry.connectedAtMs === undefined)
        next = Math.min(next, entry.nextDialMs)
    }
    return next
  }

  /** Drops from the list what is this node itself. */
  private isUsable(key: string, entry: Entry, { refuses, own }: Situation): boolean {
    if (entry.peerId === this.ownId || (!entry.pinned && entry.fixed.every((address) => own().has(address)))) {
      this.drop(key, entry)
      return false
    }
    return entry.peerId === undefined || !refuses(entry.peerId)
  }

  private chooseHearsay(due: readonly [string, Entry][], slots: Slots, situation: Situation): [string, Entry][] {
    if (slots.free <= 0) return []
    const candidates = due
      .filter(([key, entry]) => this.isUsable(key, entry, situation))
      .map(([key, entry]) => ({ key, entry, group: entry.group, anchor: entry.anchor, provenMs: entry.provenMs }))
    return chooseOutbound(candidates, slots, this.random).map(({ key, entry }) => [key, entry])
  }

  /** How the connections of our own choice are spread, those that are being made included. */
  private slots({ peers, wantedOutbound }: Situation): Slots {
    const groups = new Map<string, number>()
    let taken = 0
    let proven = 0
    const count = (group: string | undefined, isProven: boolean): void => {
      taken++
      if (isProven) proven++
      if (group !== undefined) groups.set(group, (groups.get(group) ?? 0) + 1)
    }
    for (const { peerId, address, direction } of peers) {
      if (direction !== 'outbound') continue
      const entry = this.list.get(peerId)
      count(entry?.group ?? groupOf(address), entry !== undefined && (entry.provenMs > 0 || entry.anchor))
    }
    if (this.dialling > 0)
      for (const entry of this.list.values()) {
        if (entry.dialling && isHearsay(entry)) count(entry.group, entry.provenMs > 0)
      }
    return {
      free: wantedOutbound - taken,
      groups,
      proven,
      provenWanted: Math.ceil(wantedOutbound / 2),
    }
  }

  /**
   * Puts a peer on the list, or makes it more insistent. New addresses go behind those that are there. Undefined if there is nothing
   * to do: the list is full, the peer is this node, or it is at an operator's address without peer id, which is wanted already.
   */
  private want(peerId: string, addresses: readonly string[], source: PeerSource): Entry | undefined {
    if (peerId === this.ownId || !(this.options.hearsay || source === 'mdns')) return undefined
    let entry = this.list.get(peerId)
    if (entry === undefined) {
      if ([...this.unpinned].some(({ fixed }) => addresses.some((address) => fixed.includes(address)))) return undefined
      if (!this.makeRoom(source)) return undefined
      entry = newEntry(source, peerId, this.ownId, this.clock.monotonicMs())
      this.list.set(peerId, entry)
    }
    if (SOURCES.indexOf(source) < SOURCES.indexOf(entry.source)) entry.source = source
    setAddresses(entry, [...entry.addresses, ...addresses])
    return entry
  }

  /** Keeps what peers of one provider told within its part of the list. False if the newcomer is not better than what is there. */
  private makeRoomFor(teller: string): boolean {
    const told = [...this.list].filter(([, entry]) => entry.teller === teller && entry.source === 'exchange')
    if (told.length < (teller === 'local' ? MAX_TOLD_LOCALLY : MAX_TOLD_PER_GROUP)) return true
    return this.dropWorst(told.filter(([, { failures }]) => failures > 0))
  }

  /** Drops the least promising entry if the list is full. False if the list is better left as it is. */
  private makeRoom(source: PeerSource): boolean {
    if (this.list.size < MAX_WANTED) return true
    // One piece of hearsay does not push out another that has not failed yet.
    return this.dropWorst([...this.list].filter(([, { failures }]) => source !== 'exchange' || failures > 0))
  }

  private dropWorst(among: readonly [string, Entry][]): boolean {
    let worst: [string, Entry] | undefined
    for (const [key, entry] of among) {
      if (entry.source === 'bootstrap' || entry.connectedAtMs !== undefined || entry.dialling) continue
      if (worst === undefined || isWorse(entry, worst[1])) worst = [key, entry]
    }
    return worst !== undefined && this.list.delete(worst[0])
  }

  /** It is this node itself. */
  private drop(key: string, entry: Entry): void {
    this.list.delete(key)
    this.unpinned.delete(entry)
  }

  private entriesOf(peerId: string): Entry[] {
    const entry = this.list.get(peerId)
    const found = [...this.unpinned].filter((other) => other.peerId === peerId)
    return entry === undefined ? found : [entry, ...found]
  }

  /**
   * An operator's address without peer id is satisfied by a peer that is already connected from that host and listens there. What it
   * says it listens on does not suffice: it could say anything. Behind a relay nobody is seen to be at a host.
   */
  private adopt(entry: Entry, { peers, listenAddresses }: Situation, now: number): boolean {
    if (entry.pinned) return false
    const found = peers.find(
      ({ peerId, address }) =>
        relayOf(parseAddress(address)) === undefined &&
        listenAddresses(peerId).some((listens) => entry.fixed.includes(listens)) &&
        entry.fixed.some((fixed) => hostOf(parseAddress(fixed)) === hostOf(parseAddress(address))),
    )
    if (found === undefined) return false
    entry.peerId = found.peerId
    entry.connectedAtMs = now
    return true
  }
}

function isAddress(text: string): boolean {
  try {
    parseAddress(text)
    return true
  } catch {
    return false
  }
}
