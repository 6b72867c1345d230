/**
 * Whom to be connected to. Owns the list of wanted peers (given by the operator, seen on the local network, remembered, told by other
 * peers), when each is dialled again, and who is banned. The operator's peers are dialled for ever; a peer that restarts where it
 * was is found again within seconds. Owns no connection and no stream: the host and the streams do the work.
 */
import { KvError } from '@kvchain/core/errors'
import type { Multiaddr } from '@multiformats/multiaddr'
import { AbortError, NetError } from '../runtime/errors.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import {
  hostOf,
  isLocal,
  type PeerAddresses,
  type PeerInfo,
  type PeerObserver,
  parseAddress,
  peerIdOf,
  withoutPeerId,
} from './host.js'
import type { HandleOptions, RequestHandler, RequestOptions } from './streams.js'

/** A look at the list costs little; half a second is the delay that it adds to a reconnection. */
const LOOP_MS = 500
const DEFAULT_TARGET_OUTBOUND = 8
/** Peers wanted at one time, and so the most that the book holds. The least promising is dropped first. */
const MAX_WANTED = 256
/** More peers than this on one local network are treated like peers heard of elsewhere. */
const MAX_LOCAL = 64
const MAX_ADDRESSES_PER_PEER = 4
const MAX_PARALLEL_DIALS = 16

/** Back-off doubles from the first to the last, with jitter. */
const FIRST_DELAY_MS = 1_000
const LAST_DELAY_MS = 60_000
/** An operator's peer that has been away for long is still looked for this often. */
const LAST_BOOTSTRAP_DELAY_MS = 15_000
/** For this long after it went away, an operator's or a local peer is looked for often: it is probably restarting. */
const RESTART_WINDOW_MS = 60_000
const RESTART_DELAY_MS = 3_000
/** A connection that lasted this long was a success; a shorter one counts as a failure. */
const STABLE_MS = 10_000
/** Two peers that hear of each other at the same moment would dial each other at the same moment; the one with the greater id waits. */
const COURTESY_MS = 1_000
/** A local peer that was silent for this long and is heard again has come back: it is dialled at once. It is heard every 10 s. */
const LOCAL_SILENCE_MS = 25_000
/** A peer that is not the operator's is forgotten after so many failures in a row: an hour or so. */
const FORGET_AFTER_FAILURES = 60

const EXCHANGE_PROTOCOL = 'peers'
const EXCHANGE_INTERVAL_MS = 60_000
/** Asked a second time soon: peers that arrive together are not yet known to the one that they both ask. */
const SECOND_EXCHANGE_MS = 3_000
const MAX_EXCHANGED = 32
const MAX_EXCHANGED_PER_PEER = 2
const EXCHANGE_LIMITS: HandleOptions = { maxRequestBytes: 16, maxConcurrent: 16, maxPerPeer: 2, timeoutMs: 5_000 }
const EXCHANGE_REQUEST: RequestOptions = { maxResponseBytes: 8 * 1024, timeoutMs: 5_000 }
const MALFORMED_EXCHANGE_POINTS = 20

const SAVE_INTERVAL_MS = 60_000

const BAN_SCORE = -100
const BAN_MS = 600_000
const SCORE_HALF_LIFE_MS = 600_000
const MAX_SCORES = 1_000

/** A peer that was connected once. */
export interface SavedPeer {
  readonly peerId: string
  /** Without the peer id. */
  readonly addresses: readonly string[]
  /** Wall time in milliseconds. */
  readonly lastSeenMs: number
}

/** Where peers are kept over a restart. At most 256 are saved; each save replaces what was there. */
export interface PeerBook {
  load(): Promise<SavedPeer[]>
  save(peers: readonly SavedPeer[]): Promise<void>
}

/** A book of blank pages, for a node that remembers nobody. */
export const emptyBook: PeerBook = { load: async () => [], save: async () => {} }

export interface PeerManagerOptions {
  /** Addresses with or without /p2p/. Each is wanted for ever. */
  readonly bootstrap: readonly string[]
  /** Peers remembered or heard of are dialled until so many connections are our own choice. */
  readonly targetOutbound?: number
  /** From here on, only the operator's peers are dialled. */
  readonly maxPeers: number
  /**
   * false: dials the operator's addresses and what is on the local network, but nobody that others tell of or that was met before, and
   * tells others of nobody. Default true.
   */
  readonly exchange?: boolean
}

/** What PeerManager needs of the host. */
export interface PeerManagerHost {
  readonly peerId: string
  addresses(): string[]
  peers(): PeerInfo[]
  isConnected(peerId: string): boolean
  isStranger(peerId: string): boolean
  listenAddresses(peerId: string): string[]
  dial(target: string | PeerAddresses, signal?: AbortSignal): Promise<string>
  disconnect(peerId: string): Promise<void>
  onPeer(observer: PeerObserver): () => void
  setGate(refuse: (peerId: string) => boolean): void
}

/** What PeerManager needs of the streams. */
export interface PeerManagerStreams {
  handle(name: string, options: HandleOptions, handler: RequestHandler): Promise<void>
  unhandle(name: string): Promise<void>
  request(peerId: string, name: string, request: Uint8Array, options: RequestOptions): Promise<Uint8Array>
}

/** Where a wanted peer is known from, most insistent first. */
const SOURCES = ['bootstrap', 'mdns', 'saved', 'exchange'] as const
export type PeerSource = (typeof SOURCES)[number]

/** One line of the list of wanted peers. */
export interface WantedPeer {
  /** Unknown for an operator's address without peer id, until the first connection. */
  readonly peerId: string | undefined
  readonly addresses: readonly string[]
  readonly source: PeerSource
  readonly connected: boolean
  /** Failures in a row. */
  readonly failures: number
}

interface Entry {
  source: PeerSource
  peerId: string | undefined
  /** The id was known from the start, so another peer at these addresses is not what is wanted. */
  readonly pinned: boolean
  /** The operator's addresses: always kept, and tried first. */
  fixed: string[]
  /** All addresses, without the peer id. */
  addresses: string[]
  failures: number
  nextDialMs: number
  absentSinceMs: number
  connectedAtMs: number | undefined
  dialling: boolean
  /** When it was last heard on the local network, in monotonic time. */
  heardMs: number
  /** Wall time of the last connection; 0 for never. */
  lastSeenMs: number
}

interface Score {
  readonly points: number
  readonly atMs: number
  readonly bannedUntilMs: number
}

export class PeerManager extends BaseService {
  private readonly runtime: Runtime
  private readonly host: PeerManagerHost
  private readonly streams: PeerManagerStreams
  private readonly book: PeerBook
  private readonly targetOutbound: number
  private readonly exchanges: boolean
  /** By peer id, or by address for an operator's address without one. */
  private readonly list = new Map<string, Entry>()
  /** When each connected peer is next asked for others, in monotonic time. */
  private readonly asking = new Map<string, { readonly atMs: number; readonly again: boolean }>()
  private readonly scores = new Map<string, Score>()
  private dialling = 0
  private bookChanged = false
  private saveAtMs = 0
  private unobserve: (() => void) | undefined

  constructor(
    private readonly options: PeerManagerOptions,
    deps: {
      readonly runtime: Runtime
      readonly host: PeerManagerHost
      readonly book: PeerBook
      readonly streams: PeerManagerStreams
    },
  ) {
    super('peerManager', deps.runtime.log.child({ module: 'peerManager' }))
    this.runtime = deps.runtime
    this.host = deps.host
    this.book = deps.book
    this.streams = deps.streams
    this.targetOutbound = options.targetOutbound ?? DEFAULT_TARGET_OUTBOUND
    this.exchanges = options.exchange ?? true
  }

  /** The peers that this node tries to be connected to. */
  wanted(): WantedPeer[] {
    return [...this.list.values()].map(({ peerId, addresses, source, failures, connectedAtMs }) => ({
      peerId,
      addresses: [...addresses],
      source,
      connected: connectedAtMs !== undefined,
      failures,
    }))
  }

  /**
   * Takes points from a peer; they come back with a half-life of ten minutes. At -100 the peer is disconnected and refused for ten
   * minutes, in both directions.
   */
  penalize(peerId: string, points: number, reason: string): void {
    const now = this.nowMs()
    const banned = this.isBanned(peerId)
    const left = this.score(peerId) - points
    const bans = !banned && left <= BAN_SCORE
    const bannedUntilMs = bans ? now + BAN_MS : (this.scores.get(peerId)?.bannedUntilMs ?? 0)
    this.scores.delete(peerId)
    this.makeRoomForScore(now)
    this.scores.set(peerId, { points: left, atMs: now, bannedUntilMs })
    this.log.debug({ peerId, points, reason, score: left }, 'peer penalized')
    if (!bans) return
    this.log.warn({ peerId, reason }, 'peer banned')
    this.track('disconnect a banned peer', () => this.host.disconnect(peerId))
  }

  /** What is left of a peer's penalties: 0 for a good peer, negative otherwise. */
  score(peerId: string): number {
    const score = this.scores.get(peerId)
    return score === undefined ? 0 : decayed(score, this.nowMs())
  }

  isBanned(peerId: string): boolean {
    return (this.scores.get(peerId)?.bannedUntilMs ?? 0) > this.nowMs()
  }

  protected async onStart(): Promise<void> {
    for (const text of this.options.bootstrap) this.wantBootstrap(parseAddress(text))
    for (const saved of (await this.loadBook()).slice(0, MAX_WANTED)) {
      const addresses = saved.addresses.filter(isAddress)
      const entry = addresses.length === 0 ? undefined : this.want(saved.peerId, addresses, 'saved')
      if (entry !== undefined) entry.lastSeenMs = saved.lastSeenMs
    }
    this.host.setGate((peerId) => this.isBanned(peerId))
    this.unobserve = this.host.onPeer({
      connected: (peerId) => this.onConnected(peerId),
      disconnected: (peerId) => this.onDisconnected(peerId),
      discovered: (peerId, addresses) => this.onDiscovered(peerId, addresses),
    })
    if (this.exchanges) {
      await this.streams.handle(EXCHANGE_PROTOCOL, EXCHANGE_LIMITS, async (_request, from) => this.tellPeers(from))
    }
    for (const { peerId } of this.host.peers()) this.onConnected(peerId)
    this.saveAtMs = this.nowMs() + SAVE_INTERVAL_MS
    this.track('loop', () => this.loop())
  }

  protected async onStop(): Promise<void> {
    this.unobserve?.()
    await this.streams.unhandle(EXCHANGE_PROTOCOL)
    await this.saveBook()
    this.host.setGate(() => false)
  }

  private async loop(): Promise<void> {
    while (!this.signal.aborted) {
      const now = this.nowMs()
      this.dialDue(now)
      for (const [peerId, { atMs, again }] of this.asking) {
        if (atMs > now) continue
        this.asking.set(peerId, { atMs: now + (again ? EXCHANGE_INTERVAL_MS : SECOND_EXCHANGE_MS), again: true })
        this.track('ask for peers', () => this.askPeers(peerId))
      }
      if (this.bookChanged && now >= this.saveAtMs) await this.saveBook()
      await this.runtime.timers.sleep(LOOP_MS, this.signal)
    }
  }

  private nowMs(): number {
    return this.runtime.clock.monotonicMs()
  }

  // The list of wanted peers.

  private wantBootstrap(address: Multiaddr): void {
    const peerId = peerIdOf(address)
    const text = withoutPeerId(address).toString()
    const entry = this.list.get(peerId ?? text) ?? this.newEntry('bootstrap', peerId)
    entry.fixed = [...new Set([...entry.fixed, text])]
    setAddresses(entry, [])
    this.list.set(peerId ?? text, entry)
  }

  /**
   * Puts a peer on the list, or makes it more insistent. New addresses go behind those that are there. Undefined if there is nothing
   * to do: the list is full, the peer is this node, or it is at an operator's address without peer id, which is wanted already.
   */
  private want(peerId: string, addresses: readonly string[], source: PeerSource): Entry | undefined {
    if (peerId === this.host.peerId || !(this.exchanges || source === 'mdns')) return undefined
    let entry = this.list.get(peerId)
    if (entry === undefined) {
      const unpinned = [...this.list.values()].filter(({ pinned }) => !pinned)
      if (unpinned.some(({ fixed }) => addresses.some((address) => fixed.includes(address)))) return undefined
      if (!this.makeRoom(source)) return undefined
      entry = this.newEntry(source, peerId)
      this.list.set(peerId, entry)
    }
    if (SOURCES.indexOf(source) < SOURCES.indexOf(entry.source)) entry.source = source
    setAddresses(entry, [...entry.addresses, ...addresses])
    return entry
  }

  private newEntry(source: PeerSource, peerId: string | undefined): Entry {
    const now = this.nowMs()
    const courteous = source !== 'bootstrap' && peerId !== undefined && this.host.peerId > peerId
    return {
      source,
      peerId,
      pinned: peerId !== undefined,
      fixed: [],
      addresses: [],
      failures: 0,
      nextDialMs: now + (courteous ? COURTESY_MS : 0),
      absentSinceMs: now,
      connectedAtMs: undefined,
      dialling: false,
      heardMs: now,
      lastSeenMs: 0,
    }
  }

  /** Drops the least promising entry if the list is full. False if the list is better left as it is. */
  private makeRoom(source: PeerSource): boolean {
    if (this.list.size < MAX_WANTED) return true
    let worst: [string, Entry] | undefined
    for (const [key, entry] of this.list) {
      if (entry.source === 'bootstrap' || entry.connectedAtMs !== undefined || entry.dialling) continue
      if (worst === undefined || isWorse(entry, worst[1])) worst = [key, entry]
    }
    // One piece of hearsay does not push out another that has not failed yet.
    if (worst === undefined || (source === 'exchange' && worst[1].failures === 0)) return false
    return this.list.delete(worst[0])
  }

  private entriesOf(peerId: string): Entry[] {
    return [...this.list.values()].filter((entry) => entry.peerId === peerId)
  }

  // Dialling.

  private dialDue(now: number): void {
    const peers = this.host.peers()
    const own = new Set(this.host.addresses().map((address) => withoutPeerId(parseAddress(address)).toString()))
    let hearsayRoom = this.targetOutbound - peers.filter(({ direction }) => direction === 'outbound').length
    for (const entry of this.list.values()) if (entry.dialling && isHearsay(entry)) hearsayRoom--
    for (const [key, entry] of this.inOrder()) {
      if (this.dialling >= MAX_PARALLEL_DIALS) return
      if (entry.dialling || entry.connectedAtMs !== undefined || entry.nextDialMs > now) continue
      if (entry.peerId !== undefined && (this.isBanned(entry.peerId) || this.host.isStranger(entry.peerId))) continue
      if (entry.peerId === this.host.peerId || (!entry.pinned && entry.fixed.every((address) => own.has(address)))) {
        this.list.delete(key)
        continue
      }
      if (this.adopt(entry, peers, now)) continue
      if (entry.source !== 'bootstrap' && peers.length + this.dialling >= this.options.maxPeers) continue
      if (isHearsay(entry) && hearsayRoom-- <= 0) continue
      this.startDial(key, entry)
    }
  }

  /** The operator's peers first, then the local ones, then the rest in random order. */
  private inOrder(): [string, Entry][] {
    const insistent = [...this.list].filter(([, entry]) => !isHearsay(entry))
    insistent.sort(([, a], [, b]) => SOURCES.indexOf(a.source) - SOURCES.indexOf(b.source))
    return [...insistent, ...this.shuffled([...this.list].filter(([, entry]) => isHearsay(entry)))]
  }

  private shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, rank: this.runtime.random.below(1_000_000) }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ item }) => item)
  }

  /**
   * An operator's address without peer id is satisfied by a peer that is already connected from that host and listens there. What it
   * says it listens on does not suffice: it could say anything.
   */
  private adopt(entry: Entry, peers: readonly PeerInfo[], now: number): boolean {
    if (entry.pinned) return false
    const found = peers.find(
      ({ peerId, address }) =>
        this.host.listenAddresses(peerId).some((listens) => entry.fixed.includes(listens)) &&
        entry.fixed.some((fixed) => hostOf(parseAddress(fixed)) === hostOf(parseAddress(address))),
    )
    if (found === undefined) return false
    entry.peerId = found.peerId
    entry.connectedAtMs = now
    return true
  }

  private startDial(key: string, entry: Entry): void {
    entry.dialling = true
    this.dialling++
    this.track('dial', async () => {
      try {
        const { pinned, peerId: known, addresses, fixed } = entry
        // At an operator's address without peer id, whoever answers is the one.
        const target = pinned && known !== undefined ? { peerId: known, addresses } : (fixed[0] ?? '')
        const peerId = await this.host.dial(target, this.signal)
        entry.peerId = peerId
        if (this.host.isConnected(peerId)) entry.connectedAtMs ??= this.nowMs()
        else this.onDialFailed(key, entry, undefined)
      } catch (error) {
        if (!(error instanceof AbortError)) this.onDialFailed(key, entry, error)
      } finally {
        entry.dialling = false
        this.dialling--
      }
    })
  }

  private onDialFailed(key: string, entry: Entry, error: unknown): void {
    const reason = error instanceof KvError ? error.data.reason : undefined
    if (reason === 'self') {
      this.list.delete(key)
      return
    }
    this.log.debug({ err: error, addresses: entry.addresses, failures: entry.failures }, 'a peer could not be reached')
    entry.failures++
    const now = this.nowMs()
    const hopeless = reason === 'network' || reason === 'refused'
    entry.nextDialMs = now + (hopeless ? this.jittered(LAST_DELAY_MS) : this.delayMs(entry, now))
    if (entry.source !== 'bootstrap' && entry.failures >= FORGET_AFTER_FAILURES) this.list.delete(key)
  }

  private delayMs(entry: Entry, now: number): number {
    const doubled = FIRST_DELAY_MS * 2 ** Math.min(Math.max(entry.failures - 1, 0), 10)
    const restarting = !isHearsay(entry) && now - entry.absentSinceMs < RESTART_WINDOW_MS
    const last = entry.source === 'bootstrap' ? LAST_BOOTSTRAP_DELAY_MS : LAST_DELAY_MS
    return this.jittered(Math.min(doubled, restarting ? RESTART_DELAY_MS : last))
  }

  /** Between 80 and 120 of a hundred, so that nodes that lost the same peer don't come back to it in step. */
  private jittered(delayMs: number): number {
    return (delayMs * (80 + this.runtime.random.below(41))) / 100
  }

  // What the host tells.

  private onConnected(peerId: string): void {
    const now = this.nowMs()
    const addresses = this.host.listenAddresses(peerId)
    const wanted = addresses.length === 0 ? undefined : this.want(peerId, addresses, 'exchange')
    // Where it was reached, and what it says now, is better than what was heard before.
    if (wanted !== undefined) setAddresses(wanted, addresses)
    for (const entry of this.entriesOf(peerId)) {
      entry.connectedAtMs = now
      entry.lastSeenMs = this.runtime.clock.nowMs()
      this.bookChanged = true
    }
    if (this.exchanges) this.asking.set(peerId, { atMs: now, again: false })
  }

  private onDisconnected(peerId: string): void {
    this.asking.delete(peerId)
    const now = this.nowMs()
    for (const entry of this.entriesOf(peerId)) {
      const lasted = now - (entry.connectedAtMs ?? now)
      entry.failures = lasted > STABLE_MS ? 0 : entry.failures + 1
      // A peer that comes and goes does not begin its minute of attention anew.
      if (entry.failures <= 1) entry.absentSinceMs = now
      entry.connectedAtMs = undefined
      entry.nextDialMs = now + this.delayMs(entry, now)
      entry.lastSeenMs = this.runtime.clock.nowMs()
      this.bookChanged = true
    }
  }

  private onDiscovered(peerId: string, discovered: readonly string[]): void {
    const addresses = discovered.filter(isAddress).slice(0, MAX_ADDRESSES_PER_PEER)
    const locals = [...this.list.values()].filter(({ source }) => source === 'mdns').length
    const before = this.list.get(peerId)?.addresses ?? []
    const entry = this.want(peerId, addresses, locals < MAX_LOCAL ? 'mdns' : 'exchange')
    if (entry === undefined || addresses.length === 0) return
    const now = this.nowMs()
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

  // Peers told by peers: one address to a line, with the peer id.

  private tellPeers(to: string): Uint8Array {
    const peers = this.host.peers()
    const asker = peers.find(({ peerId }) => peerId === to)
    const local = asker !== undefined && isLocal(parseAddress(asker.address))
    const lines: string[] = []
    for (const { peerId } of this.shuffled(peers)) {
      if (peerId === to) continue
      const addresses = this.host.listenAddresses(peerId).filter((text) => local || !isLocal(parseAddress(text)))
      for (const address of addresses.slice(0, MAX_EXCHANGED_PER_PEER)) lines.push(`${address}/p2p/${peerId}`)
    }
    return new TextEncoder().encode(lines.slice(0, MAX_EXCHANGED).join('\n'))
  }

  private async askPeers(peerId: string): Promise<void> {
    let answer: Uint8Array
    try {
      const options = { ...EXCHANGE_REQUEST, signal: this.signal }
      answer = await this.streams.request(peerId, EXCHANGE_PROTOCOL, new Uint8Array(0), options)
    } catch (error) {
      const tooLong = error instanceof NetError && error.code === 'net-limit'
      if (tooLong) this.penalize(peerId, MALFORMED_EXCHANGE_POINTS, 'peers-too-long')
      this.log.debug({ err: error, peerId }, 'a peer did not tell its peers')
      return
    }
    const lines = new TextDecoder().decode(answer).split('\n').filter(Boolean)
    if (lines.length > MAX_EXCHANGED || !lines.every(isPeerAddress)) {
      this.penalize(peerId, MALFORMED_EXCHANGE_POINTS, 'peers-malformed')
      return
    }
    for (const address of lines.map(parseAddress)) {
      const told = peerIdOf(address)
      if (told !== undefined && !this.isBanned(told)) this.want(told, [withoutPeerId(address).toString()], 'exchange')
    }
  }

  // The book.

  private async loadBook(): Promise<SavedPeer[]> {
    try {
      return await this.book.load()
    } catch (error) {
      this.log.warn({ err: error }, 'the saved peers cannot be read; starting without them')
      return []
    }
  }

  private async saveBook(): Promise<void> {
    if (!this.bookChanged) return
    this.bookChanged = false
    this.saveAtMs = this.nowMs() + SAVE_INTERVAL_MS
    const peers: SavedPeer[] = []
    for (const { peerId, addresses, lastSeenMs } of this.list.values()) {
      if (peerId === undefined || lastSeenMs === 0 || addresses.length === 0) continue
      peers.push({ peerId, addresses: [...addresses], lastSeenMs })
    }
    peers.sort((a, b) => b.lastSeenMs - a.lastSeenMs)
    try {
      await this.book.save(peers.slice(0, MAX_WANTED))
    } catch (error) {
      this.log.warn({ err: error }, 'the peers could not be saved')
    }
  }

  // Penalties.

  /** Drops the score closest to forgiven; a ban only if there is nothing else. */
  private makeRoomForScore(now: number): void {
    if (this.scores.size < MAX_SCORES) return
    let mildest: { peerId: string; banned: boolean; points: number } | undefined
    for (const [peerId, score] of this.scores) {
      const found = { peerId, banned: score.bannedUntilMs > now, points: decayed(score, now) }
      const milder =
        mildest === undefined || (found.banned === mildest.banned ? found.points > mildest.points : mildest.banned)
      if (milder) mildest = found
    }
    if (mildest !== undefined) this.scores.delete(mildest.peerId)
  }
}

/** Remembered or told by others: dialled only while we want more peers. */
function isHearsay(entry: Entry): boolean {
  return entry.source === 'saved' || entry.source === 'exchange'
}

function isWorse(a: Entry, b: Entry): boolean {
  if (isHearsay(a) !== isHearsay(b)) return isHearsay(a)
  return a.failures === b.failures ? a.lastSeenMs < b.lastSeenMs : a.failures > b.failures
}

/** The operator's addresses, and behind them a few of the others. */
function setAddresses(entry: Entry, others: readonly string[]): void {
  const more = new Set(others.filter((address) => !entry.fixed.includes(address)))
  entry.addresses = [...entry.fixed, ...[...more].slice(0, MAX_ADDRESSES_PER_PEER)]
}

function decayed(score: Score, now: number): number {
  return score.points * 0.5 ** ((now - score.atMs) / SCORE_HALF_LIFE_MS)
}

function isAddress(text: string): boolean {
  try {
    parseAddress(text)
    return true
  } catch {
    return false
  }
}

function isPeerAddress(text: string): boolean {
  return isAddress(text) && peerIdOf(parseAddress(text)) !== undefined
}
