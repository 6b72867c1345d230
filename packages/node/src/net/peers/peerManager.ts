/**
 * Whom to be connected to. Owns the loop that dials the wanted peers, asks peers for others, and keeps the book; carries out what the list of
 * wanted peers, the conduct of peers and the operator's lists decide. Owns no connection and no stream: the host and the streams do the work.
 */
import { KvError } from '@kvchain/core/errors'
import { AbortError, NetError } from '../../runtime/errors.js'
import type { Runtime } from '../../runtime/runtime.js'
import { BaseService } from '../../runtime/service.js'
import { hostOf, parseAddress, withoutPeerId } from '../address.js'
import type { Gate, PeerAddresses, PeerInfo, PeerObserver } from '../host/peer.js'
import type { HandleOptions, RequestHandler, RequestOptions } from '../streams/streams.js'
import { type ConductCode, VERDICTS } from '../verdict.js'
import { Access } from './access.js'
import type { Ban } from './bans.js'
import { Conduct } from './conduct.js'
import type { Wanted, WantedPeer } from './entry.js'
import { readTold, tellPeers } from './exchange.js'
import { netGroup } from './groups.js'
import type { PeerBook } from './peerBook.js'
import { Rotation } from './rotation.js'
import { chooseEviction, type InboundPeer, shuffled } from './slots.js'
import { WantedList } from './wanted.js'

/** A look at the list costs little; half a second is the delay that it adds to a reconnection. */
const LOOP_MS = 500
const DEFAULT_TARGET_OUTBOUND = 8
const DEFAULT_MAX_INBOUND = 48
const MAX_PARALLEL_DIALS = 16

const EXCHANGE_PROTOCOL = 'peers'
const EXCHANGE_INTERVAL_MS = 60_000
/** Asked a second time soon: peers that arrive together are not yet known to the one that they both ask. */
const SECOND_EXCHANGE_MS = 3_000
const EXCHANGE_LIMITS: HandleOptions = { maxRequestBytes: 16, maxConcurrent: 16, maxPerPeer: 2, timeoutMs: 5_000 }
const EXCHANGE_REQUEST: RequestOptions = { maxResponseBytes: 8 * 1024, timeoutMs: 5_000 }

const SAVE_INTERVAL_MS = 60_000

export interface PeerManagerOptions {
  /** Addresses with or without /p2p/. Each is wanted for ever. */
  readonly bootstrap: readonly string[]
  /** Peers remembered or heard of are dialled until so many connections are our own choice. */
  readonly targetOutbound?: number
  /** From here on, only the operator's peers are dialled. */
  readonly maxPeers: number
  /** Peers that came by themselves and stay; one more, and the least useful goes. Default 48. */
  readonly maxInbound?: number
  /**
   * false: dials the operator's addresses and what is on the local network, but nobody that others tell of or that was met before, and
   * tells others of nobody. Default true.
   */
  readonly exchange?: boolean
  /** Peer ids and address ranges. With any on the list, nobody else is let in or dialled. */
  readonly allow?: readonly string[]
  /** Peer ids and address ranges that are neither let in nor dialled, whatever the other list says. */
  readonly deny?: readonly string[]
  /** How often the list of wanted peers is looked at; half a second when left out. */
  readonly lookMs?: number
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
  setGate(gate: Gate | undefined): void
}

/** What PeerManager needs of the streams. */
export interface PeerManagerStreams {
  handle(name: string, options: HandleOptions, handler: RequestHandler): Promise<void>
  unhandle(name: string): Promise<void>
  request(peerId: string, name: string, request: Uint8Array, options: RequestOptions): Promise<Uint8Array>
}

export class PeerManager extends BaseService {
  private readonly runtime: Runtime
  private readonly host: PeerManagerHost
  private readonly streams: PeerManagerStreams
  private readonly book: PeerBook
  private readonly maxInbound: number
  private readonly rotation: Rotation
  private readonly isStale: () => boolean
  private readonly exchanges: boolean
  private readonly access: Access
  private readonly conduct: Conduct
  private list: WantedList | undefined
  /** When each connected peer is next asked for others, in monotonic time. */
  private readonly asking = new Map<string, { readonly atMs: number; readonly again: boolean }>()
  /** Blocks that each connected peer was the first to tell of. */
  private readonly deliveries = new Map<string, { readonly count: number; readonly atMs: number }>()
  private dialling = 0
  private bansChanged = false
  private saveAtMs = 0
  private unobserve: (() => void) | undefined

  /** Throws OptionsError for a list of whom to allow or deny that holds something else. */
  constructor(
    private readonly options: PeerManagerOptions,
    deps: {
      readonly runtime: Runtime
      readonly host: PeerManagerHost
      readonly book: PeerBook
      readonly streams: PeerManagerStreams
      /** Whether the tip has stood still for so long that peers may be keeping blocks back. */
      readonly isStale?: () => boolean
    },
  ) {
    super('peerManager', deps.runtime.log.child({ module: 'peerManager' }))
    this.runtime = deps.runtime
    this.host = deps.host
    this.book = deps.book
    this.streams = deps.streams
    this.maxInbound = options.maxInbound ?? DEFAULT_MAX_INBOUND
    this.rotation = new Rotation(options.targetOutbound ?? DEFAULT_TARGET_OUTBOUND, deps.runtime.clock)
    this.isStale = deps.isStale ?? (() => false)
    this.exchanges = options.exchange ?? true
    this.access = new Access({ allow: options.allow ?? [], deny: options.deny ?? [] })
    this.conduct = new Conduct(deps.runtime.clock)
  }

  /** The peers that this node tries to be connected to. */
  wanted(): WantedPeer[] {
    return this.list?.all() ?? []
  }

  /** Takes points from a peer; what that leads to is Conduct's to say. */
  penalize(peerId: string, points: number, reason: string): void {
    const { disconnect, bans, score } = this.conduct.penalize(peerId, this.hostOfPeer(peerId), points, reason)
    this.log.debug({ peerId, points, reason, score }, 'peer penalized')
    for (const { target, untilMs } of bans) this.log.warn({ target, reason, peerId, untilMs }, 'banned')
    if (bans.length > 0) this.onBans()
    if (disconnect) this.hangUp(peerId)
  }

  /** A peer was the first to tell of a block. */
  credit(peerId: string): void {
    if (!this.host.isConnected(peerId)) return
    this.deliveries.set(peerId, { count: (this.deliveries.get(peerId)?.count ?? 0) + 1, atMs: this.nowMs() })
  }

  /** What is left of a peer's penalties: 0 for a good peer, negative otherwise. */
  score(peerId: string): number {
    return this.conduct.score(peerId)
  }

  /** The bans in force, the one that ends first foremost. */
  bans(): Ban[] {
    return this.conduct.bans.all()
  }

  /** Shuts out a peer id, an IP address or a range of those, whoever it is. Throws OptionsError for anything else. */
  ban(target: string, seconds: number, reason: string): Ban {
    const ban = this.conduct.bans.impose(target, seconds, reason)
    this.log.info({ target: ban.target, reason, untilMs: ban.untilMs }, 'banned, as a client asked')
    this.onBans()
    return ban
  }

  /** Lifts a ban and forgives. False if there was none. Throws OptionsError. */
  unban(target: string): boolean {
    const wasBanned = this.conduct.forgive(target)
    this.log.info({ target, wasBanned }, 'ban lifted, as a client asked')
    this.bansChanged = true
    this.saveAtMs = this.nowMs()
    return wasBanned
  }

  isBanned(peerId: string): boolean {
    return this.conduct.bans.hasPeer(peerId)
  }

  protected async onStart(): Promise<void> {
    const list = new WantedList({ ownId: this.host.peerId, hearsay: this.exchanges }, this.runtime)
    this.list = list
    for (const text of this.options.bootstrap) list.addBootstrap(parseAddress(text))
    await this.loadBook(list)
    this.host.setGate({
      admitsHost: (host) => this.access.admitsHost(host) && this.conduct.admits(host),
      admitsPeer: (peerId, host) => !this.refuses(peerId, host),
    })
    this.unobserve = this.host.onPeer({
      connected: (peerId) => this.onConnected(list, peerId),
      disconnected: (peerId) => {
        this.asking.delete(peerId)
        this.deliveries.delete(peerId)
        list.disconnected(peerId)
      },
      discovered: (peerId, addresses) => list.heard(peerId, addresses),
    })
    if (this.exchanges) {
      await this.streams.handle(EXCHANGE_PROTOCOL, EXCHANGE_LIMITS, async (_request, from) => this.tellPeers(from))
    }
    for (const { peerId } of this.host.peers()) this.onConnected(list, peerId)
    this.saveAtMs = this.nowMs() + SAVE_INTERVAL_MS
    this.track('loop', () => this.loop(list))
  }

  protected async onStop(): Promise<void> {
    this.unobserve?.()
    await this.streams.unhandle(EXCHANGE_PROTOCOL)
    if (this.list !== undefined) await this.saveBook(this.list)
    this.host.setGate(undefined)
  }

  private async loop(list: WantedList): Promise<void> {
    while (!this.signal.aborted) {
      const now = this.nowMs()
      this.dialDue(list)
      for (const [peerId, { atMs, again }] of this.asking) {
        if (atMs > now) continue
        this.asking.set(peerId, { atMs: now + (again ? EXCHANGE_INTERVAL_MS : SECOND_EXCHANGE_MS), again: true })
        this.track('ask for peers', () => this.askPeers(list, peerId))
      }
      if (now >= this.saveAtMs) await this.saveBook(list)
      await this.runtime.timers.sleep(this.options.lookMs ?? LOOP_MS, this.signal)
    }
  }

  private nowMs(): number {
    return this.runtime.clock.monotonicMs()
  }

  private refuses(peerId: string, host?: string): boolean {
    if (this.conduct.bans.hasPeer(peerId) || !this.access.admitsPeer(peerId, host)) return true
    return host !== undefined && this.conduct.bans.hasHost(host)
  }

  private onConnected(list: WantedList, peerId: string): void {
    const peer = this.infoOf(peerId)
    if (peer === undefined) return
    list.connected(peerId, this.host.listenAddresses(peerId), peer)
    if (this.exchanges) this.asking.set(peerId, { atMs: this.nowMs(), again: false })
    if (peer.direction === 'inbound') this.makeRoom(list)
  }

  /** Too many came by themselves: the least useful goes, who may be the last that came. */
  private makeRoom(list: WantedList): void {
    const inbound = this.host.peers().filter(({ direction }) => direction === 'inbound')
    if (inbound.length <= this.maxInbound) return
    const candidates = inbound.filter(({ peerId }) => !list.isOperators(peerId))
    const loser = chooseEviction(candidates.map((peer) => this.asInbound(peer)))
    if (loser === undefined) return
    this.log.debug({ peerId: loser.peerId, inbound: inbound.length }, 'no room for more peers: the least useful goes')
    this.hangUp(loser.peerId)
  }

  private asInbound({ peerId, address, connectedForMs, rttMs }: PeerInfo): InboundPeer {
    const host = hostOf(parseAddress(address)) ?? ''
    const deliveries = this.deliveries.get(peerId)?.count ?? 0
    return { peerId, group: netGroup(host) ?? host, connectedForMs, rttMs, deliveries, score: this.score(peerId) }
  }

  /** How many connections of our own are wanted now. One of them may be let go for another. */
  private wantedOutbound(list: WantedList, peers: readonly PeerInfo[]): number {
    const outbound = peers.filter(({ direction }) => direction === 'outbound')
    const ours = outbound
      .filter(({ peerId }) => list.isHearsay(peerId))
      .map(({ peerId, connectedForMs }) => {
        return { peerId, connectedForMs, deliveredAtMs: this.deliveries.get(peerId)?.atMs ?? 0 }
      })
    const { wanted, letGo } = this.rotation.look(this.isStale(), outbound.length, ours)
    if (letGo !== undefined) {
      this.log.info({ peerId: letGo }, 'a peer that brings no blocks makes room for another')
      this.hangUp(letGo)
    }
    return wanted
  }

  private infoOf(peerId: string): PeerInfo | undefined {
    return this.host.peers().find((peer) => peer.peerId === peerId)
  }

  private hostOfPeer(peerId: string): string | undefined {
    const peer = this.infoOf(peerId)
    return peer === undefined ? undefined : hostOf(parseAddress(peer.address))
  }

  // Dialling.

  private dialDue(list: WantedList): void {
    const peers = this.host.peers()
    const due = list.due({
      peers,
      own: () => new Set(this.host.addresses().map((address) => withoutPeerId(parseAddress(address)).toString())),
      dials: MAX_PARALLEL_DIALS - this.dialling,
      maxPeers: this.options.maxPeers,
      wantedOutbound: this.wantedOutbound(list, peers),
      refuses: (peerId) => this.refuses(peerId) || this.host.isStranger(peerId),
      listenAddresses: (peerId) => this.host.listenAddresses(peerId),
    })
    for (const wanted of due) this.dial(list, wanted)
  }

  private dial(list: WantedList, { key, peerId: known, addresses }: Wanted): void {
    this.dialling++
    this.track('dial', async () => {
      try {
        const target = known === undefined ? (addresses[0] ?? '') : { peerId: known, addresses }
        const peerId = await this.host.dial(target, this.signal)
        list.dialled(key, peerId, this.host.isConnected(peerId))
      } catch (error) {
        this.log.debug({ err: error, addresses }, 'a peer could not be reached')
        const reason = error instanceof KvError ? (error.data.reason ?? 'failed') : 'failed'
        list.failed(key, error instanceof AbortError ? undefined : reason)
      } finally {
        this.dialling--
      }
    })
  }

  // Peers told by peers.

  private tellPeers(to: string): Uint8Array {
    const peers = shuffled(this.host.peers(), this.runtime.random)
    return tellPeers(this.infoOf(to), peers, (peerId) => this.host.listenAddresses(peerId))
  }

  private async askPeers(list: WantedList, peerId: string): Promise<void> {
    let answer: Uint8Array
    try {
      const options = { ...EXCHANGE_REQUEST, signal: this.signal }
      answer = await this.streams.request(peerId, EXCHANGE_PROTOCOL, new Uint8Array(0), options)
    } catch (error) {
      if (error instanceof NetError && error.code === 'net-limit') this.charge(peerId, 'answer-too-long')
      this.log.debug({ err: error, peerId }, 'a peer did not tell its peers')
      return
    }
    const told = readTold(answer)
    const teller = this.hostOfPeer(peerId)
    if (told === undefined) this.charge(peerId, 'peers-malformed')
    else if (teller !== undefined) {
      for (const peer of told) if (!this.refuses(peer.peerId)) list.told(peer.peerId, [peer.address], teller)
    }
  }

  /** Takes the points that the table of verdicts sets for this conduct. */
  charge(peerId: string, code: ConductCode): void {
    this.penalize(peerId, VERDICTS[code].penalty, code)
  }

  // Bans.

  /** Hangs up on everybody who is banned by now, and has the book written soon: who is banned stays so. */
  private onBans(): void {
    this.bansChanged = true
    this.saveAtMs = this.nowMs()
    for (const { peerId, address } of this.host.peers()) {
      if (this.refuses(peerId, hostOf(parseAddress(address)))) this.hangUp(peerId)
    }
  }

  private hangUp(peerId: string): void {
    this.track('hang up', () => this.host.disconnect(peerId))
  }

  // The book.

  private async loadBook(list: WantedList): Promise<void> {
    try {
      const { peers, bans } = await this.book.load()
      this.conduct.bans.restore(bans)
      list.restore(peers)
    } catch (error) {
      this.log.warn({ err: error }, 'the saved peers cannot be read; starting without them')
    }
  }

  private async saveBook(list: WantedList): Promise<void> {
    if (!list.changed && !this.bansChanged) return
    list.changed = false
    this.bansChanged = false
    this.saveAtMs = this.nowMs() + SAVE_INTERVAL_MS
    try {
      await this.book.save({ peers: list.toSave(), bans: this.conduct.bans.remembered() })
    } catch (error) {
      this.log.warn({ err: error }, 'the peers could not be saved')
    }
  }
}
