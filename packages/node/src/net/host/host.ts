/**
 * The libp2p host of a node: listening, dialling, who is connected, and who is refused. Owns the connections and nothing that
 * travels over them. A peer counts as connected only once it is known to speak this network's protocols: their ids carry the
 * network's id, so peers of another network are told apart at the first exchange, dropped, and not redialled at once.
 */
import '../polyfill.js'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { assert, type KvError } from '@kvchain/core/errors'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify, identifyPush } from '@libp2p/identify'
import type {
  Connection,
  ConnectionGater,
  IdentifyResult,
  Libp2p,
  PeerInfo as LibraryPeerInfo,
  PeerDiscovery,
  PeerId,
  Stream,
} from '@libp2p/interface'
import { type MulticastDNSComponents, mdns } from '@libp2p/mdns'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { AbortError, NetError, OptionsError } from '../../runtime/errors.js'
import type { Runtime } from '../../runtime/runtime.js'
import { BaseService } from '../../runtime/service.js'
import {
  badAddress,
  hostOf,
  isDialable,
  isLocal,
  parseAddress,
  parseAnnounced,
  peerIdOf,
  relayOf,
  withoutPeerId,
} from '../address.js'
import { Deadline } from '../deadline.js'
import { type GossipRouter, gossipRouter } from '../gossip.js'
import { Circuits } from './circuit.js'
import { Door, guardedTcp, MAX_PENDING_INBOUND } from './inbound.js'
import { PrivateNetwork } from './privateNetwork.js'

/** What a peer reads about us; the text after the slash is the wire's generation, not the release. */
const AGENT = 'kvchain/1'
/** A dial, from the first packet to knowing the peer's network. A LAN answers in milliseconds; a dead address costs this much. */
const DIAL_TIMEOUT_MS = 5_000
/** One address of several may not eat the whole of a dial. */
const ADDRESS_DIAL_TIMEOUT_MS = 3_000
/** A stream that does not settle its protocol by then is given up. The gossip library opens its streams one after another, so this
 * is also how long one silent peer can hold up the others. */
const NEGOTIATION_TIMEOUT_MS = 3_000
/** A peer that has not said in so many looks, one a second, which network it belongs to is disconnected. Looks and not time, so that
 * a stall of this process is not held against the peer. */
const SILENT_LOOKS = 10
/** How long a peer of another network is not let in and not dialled again. Short: its operator may be putting the mistake right. */
const STRANGER_MEMORY_MS = 30_000
const MAX_STRANGERS = 1_000
/** A graceful close gets this long, then the connection is cut. */
const CLOSE_TIMEOUT_MS = 500
/** Connections per second from one address. A machine with a dozen nodes that start at once needs more than the library's 5. */
const INBOUND_PER_SECOND = 100
/** The first failed ping closes a connection, so the limit leaves room for a busy event loop on either side; a silent partition is
 * noticed after at most interval + limit. */
const PING_INTERVAL_MS = 10_000
const PING_LIMIT_MS = 15_000
const HOUSEKEEPING_MS = 1_000
/** How often a relay is asked that had no place. */
const ASK_RELAYS_MS = 5_000
/** The library remembers every peer that it ever met; those gone for this long are dropped from its memory. */
const FORGET_PEERS_MS = 60_000
/** Addresses kept of what one peer says it listens on. */
const MAX_ADDRESSES_PER_PEER = 8
const MAX_AGENT_LENGTH = 64
const MDNS_INTERVAL_MS = 10_000

export interface HostOptions {
  /** Short lower-case hex. Part of every topic, protocol id and mDNS tag, so that two networks never mix. */
  readonly networkId: string
  /** The 32-byte seed of the Ed25519 key that the peer id is made from. */
  readonly identity: Uint8Array
  /** Multiaddrs; port 0 lets the system choose. */
  readonly listen: readonly string[]
  readonly mdns: boolean
  /** Addresses told to others as our own, besides those that it listens on. */
  readonly announce?: readonly string[]
  /** Addresses of relays, with peer ids, to be reached through: a place at each is asked for whenever it is connected. */
  readonly relays?: readonly string[]
  /** Whether it passes connections on to members that nobody can dial. */
  readonly relayService?: boolean
  readonly maxConnections: number
  /** 32 bytes: only who has them, too, can connect. */
  readonly psk?: Uint8Array | undefined
}

export type Direction = 'inbound' | 'outbound'

export interface PeerInfo {
  readonly peerId: string
  readonly address: string
  /** 'outbound' if the connection was dialled by us: of several, a direct one counts, and of those, one that was. */
  readonly direction: Direction
  readonly connectedForMs: number
  readonly agent?: string
  /** How long a ping took, there and back; unknown before the first, and where nobody pings. */
  readonly rttMs?: number | undefined
}

/** Told of changes after they happened. Must be quick and must not throw. */
export interface PeerObserver {
  /** Once per peer, when the first of its connections is known to speak this network's protocols. */
  connected?(peerId: string): void
  /** Once per peer, when the last of its connections has closed. */
  disconnected?(peerId: string): void
  /** A peer was seen on the local network. Repeated for as long as it is seen. */
  discovered?(peerId: string, addresses: readonly string[]): void
}

/** A peer and where it may be found. */
export interface PeerAddresses {
  readonly peerId: string
  readonly addresses: readonly string[]
}

/** Who is let in and dialled. Asked often, so it must be quick. */
export interface Gate {
  /** Whether a connection that comes from this IP address is taken at all. Each call is one connection. */
  admitsHost(host: string): boolean
  /** Whether this peer may be connected, at this IP address; which is unknown before a dial. */
  admitsPeer(peerId: string, host: string | undefined): boolean
}

/** Why a dial failed; `data.reason` of the NetError 'net-unreachable'. */
export type DialFailure = 'self' | 'network' | 'refused' | 'timeout' | 'failed'

/** What a registered protocol does with a stream that a peer opened. Must not throw. */
export type StreamHandler = (stream: Stream, from: string) => void

export interface StreamLimits {
  /** Open at one time on one connection; one more is reset by the library. */
  readonly maxInbound: number
  readonly maxOutbound: number
}

interface Peer {
  readonly connectedAtMs: number
  readonly agent: string | undefined
  readonly addresses: readonly Multiaddr[]
}

interface Waiter {
  ready(): void
  failed(error: KvError): void
}

/** The peer id of a host that has the seed for its identity. */
export async function peerIdOfSeed(seed: Uint8Array): Promise<string> {
  return peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seed)).toString()
}

export class Host extends BaseService {
  readonly networkId: string
  private readonly runtime: Runtime
  private node: Libp2p<{ pubsub: GossipRouter }> | undefined
  private readonly marker: string
  private readonly connected_ = new Map<string, Peer>()
  private readonly waiters = new Map<string, Set<Waiter>>()
  private readonly observers = new Set<PeerObserver>()
  /** Peers of another network, with the monotonic time until which they stay out. */
  private readonly strangers = new Map<string, number>()
  /** Peers that have not said yet what they speak, with the looks taken so far. */
  private readonly silent = new Map<string, number>()
  private gate: Gate | undefined
  private readonly privateNetwork: PrivateNetwork | undefined
  private circuits: Circuits | undefined

  constructor(
    private readonly options: HostOptions,
    deps: { readonly runtime: Runtime },
  ) {
    super('host', deps.runtime.log.child({ module: 'host' }))
    this.runtime = deps.runtime
    this.networkId = options.networkId
    this.privateNetwork =
      options.psk &&
      new PrivateNetwork(options.psk, (host) =>
        this.log.warn({ host }, 'a connection made no sense: has the other side the same pre-shared key?'),
      )
    // Registered by every node and never spoken: its presence in a peer's list of protocols tells the network.
    this.marker = this.protocol('member')
  }

  get peerId(): string {
    return this.running.peerId.toString()
  }

  /** The gossip library's router. Only net/gossip uses it. */
  get router(): GossipRouter {
    return this.running.services.pubsub
  }

  /** The full id of one of this network's stream protocols. */
  protocol(name: string): string {
    return `/kvchain/${this.networkId}/${name}/1`
  }

  /** Where others can reach us, each with /p2p/ and our peer id. A wildcard is expanded into the machine's interfaces. */
  addresses(): string[] {
    return this.running.getMultiaddrs().map(String)
  }

  peers(): PeerInfo[] {
    const now = this.runtime.clock.monotonicMs()
    const found: PeerInfo[] = []
    for (const [peerId, peer] of this.connected_) {
      const [best] = this.connectionsTo(peerId)
      if (best === undefined) continue
      found.push({
        peerId,
        address: best.remoteAddr.toString(),
        direction: best.direction,
        connectedForMs: Math.round(now - peer.connectedAtMs),
        ...(peer.agent === undefined ? {} : { agent: peer.agent }),
        rttMs: best.rtt,
      })
    }
    return found
  }

  peerIds(): string[] {
    return [...this.connected_.keys()]
  }

  isConnected(peerId: string): boolean {
    return this.connected_.has(peerId)
  }

  /**
   * Addresses without peer id at which a connected peer can be dialled, likeliest first: where we reached it, then what it says it
   * listens on. Loopback addresses are left out unless the peer is on this machine, or behind a relay there.
   */
  listenAddresses(peerId: string): string[] {
    const peer = this.connected_.get(peerId)
    const connections = this.connectionsTo(peerId)
    if (peer === undefined || connections.length === 0) return []
    const local = connections.some((connection) => isLocal(connection.remoteAddr))
    const reached = connections.filter((connection) => connection.direction === 'outbound')
    const remoteHosts = new Set(connections.map((connection) => hostOf(connection.remoteAddr)))
    const said = peer.addresses.filter((address) => local || !isLocal(address))
    const sameHost = said.filter((address) => remoteHosts.has(hostOf(address)))
    const all = [...reached.map((connection) => withoutPeerId(connection.remoteAddr)), ...sameHost, ...said]
    return [...new Set(all.map(String))].slice(0, MAX_ADDRESSES_PER_PEER)
  }

  /** Whether a peer was found, lately, to belong to another network. */
  isStranger(peerId: string): boolean {
    const untilMs = this.strangers.get(peerId)
    if (untilMs === undefined) return false
    if (this.runtime.clock.monotonicMs() < untilMs) return true
    this.strangers.delete(peerId)
    return false
  }

  /** Installs what keeps peers out, in both directions. One at a time; the last one counts. */
  setGate(gate: Gate | undefined): void {
    this.gate = gate
  }

  /** Returns the function that removes the observer again. */
  onPeer(observer: PeerObserver): () => void {
    this.observers.add(observer)
    return () => this.observers.delete(observer)
  }

  /**
   * Connects and waits until the peer is known to be of this network; returns its id. A peer that is already connected is a success.
   * NetError 'net-address' or 'net-unreachable' (`data.reason` is a DialFailure); AbortError.
   */
  async dial(target: string | PeerAddresses, signal?: AbortSignal): Promise<string> {
    const node = this.running
    const { addresses, peerId, text } = dialTarget(target)
    if (peerId === this.peerId) throw unreachable(text, 'self')
    if (peerId !== undefined && this.isConnected(peerId)) return peerId
    if (peerId !== undefined && this.isStranger(peerId)) throw unreachable(text, 'network')
    const deadline = new Deadline(this.runtime, `dialling ${text}`, DIAL_TIMEOUT_MS, this.signal, signal)
    try {
      const connection = await node.dial(addresses, { signal: deadline.signal })
      const found = connection.remotePeer.toString()
      await this.identified(found, text, deadline)
      return found
    } catch (error) {
      if (error instanceof NetError) throw error
      const ended = deadline.error
      if (ended instanceof AbortError) throw ended
      throw unreachable(text, ended === undefined ? dialFailure(error) : 'timeout', error)
    } finally {
      deadline.clear()
    }
  }

  /** Closes every connection to a peer: gracefully if that goes quickly, else at once. */
  async disconnect(peerId: string): Promise<void> {
    const deadline = new Deadline(this.runtime, 'closing a connection', CLOSE_TIMEOUT_MS)
    try {
      await this.node?.hangUp(peerIdFromString(peerId), { signal: deadline.signal })
    } catch (error) {
      this.log.debug({ err: error, peerId }, 'a connection did not close cleanly')
    } finally {
      deadline.clear()
    }
  }

  /** Serves a protocol of this network. */
  async handle(protocol: string, limits: StreamLimits, handler: StreamHandler): Promise<void> {
    await this.running.handle(protocol, (stream, connection) => handler(stream, connection.remotePeer.toString()), {
      maxInboundStreams: limits.maxInbound,
      maxOutboundStreams: limits.maxOutbound,
      runOnLimitedConnection: true,
    })
  }

  async unhandle(protocol: string): Promise<void> {
    await this.node?.unhandle(protocol)
  }

  /** Opens a stream to a connected peer. NetError 'net-unreachable' if there is no connection; the library's errors otherwise. */
  async openStream(peerId: string, protocol: string, maxOutbound: number, signal: AbortSignal): Promise<Stream> {
    const connection = this.connectionsTo(peerId)[0]
    if (connection === undefined) {
      throw new NetError('net-unreachable', `there is no connection to peer ${peerId}`, { peerId, reason: 'failed' })
    }
    return await connection.newStream(protocol, {
      signal,
      maxOutboundStreams: maxOutbound,
      runOnLimitedConnection: true,
    })
  }

  /** Whether data can still flow over some stream of one of the protocols, opened by us ('outbound') or by the peer. */
  hasStream(peerId: string, direction: Direction, protocols: readonly string[]): boolean {
    return this.connectionsTo(peerId)
      .flatMap((connection) => connection.streams)
      .some(
        (stream) =>
          stream.direction === direction &&
          protocols.includes(stream.protocol) &&
          stream.status === 'open' &&
          (direction === 'outbound' ? stream.writeStatus : stream.remoteWriteStatus) === 'writable',
      )
  }

  protected async onStart(): Promise<void> {
    if (!/^[0-9a-f]{1,32}$/.test(this.networkId))
      throw new OptionsError('a network id is 1 to 32 digits of lower-case hex')
    if (this.options.identity.length !== 32) throw new OptionsError('a peer identity is a seed of 32 bytes')
    for (const address of this.options.listen)
      if (relayOf(parseAddress(address)) !== undefined) throw badAddress(address)
    this.node = await this.create()
    this.observe(this.node)
    await this.node.handle(this.marker, (stream) => stream.abort(new AbortError('a stream that carries nothing')))
    try {
      await this.node.start()
    } catch (error) {
      throw this.listenError(error)
    }
    this.track('housekeeping', () => this.housekeeping())
    this.log.info({ peerId: this.peerId, addresses: this.addresses() }, 'listening for peers')
  }

  protected async onStop(): Promise<void> {
    await this.node?.stop()
    for (const peerId of [...this.connected_.keys()]) this.onDisconnect(peerId)
    this.observers.clear()
  }

  private get running(): Libp2p<{ pubsub: GossipRouter }> {
    assert(this.node !== undefined, 'the host has started')
    return this.node
  }

  private async create(): Promise<Libp2p<{ pubsub: GossipRouter }>> {
    const { listen, announce = [], relays = [], relayService = false } = this.options
    const circuits = new Circuits({ serve: relayService, relays })
    this.circuits = circuits
    const door = new Door()
    const privateKey = await generateKeyPairFromSeed('Ed25519', this.options.identity)
    const ownId = peerIdFromPrivateKey(privateKey).toString()
    return await createLibp2p({
      start: false,
      privateKey,
      nodeInfo: { name: 'kvchain', userAgent: AGENT },
      addresses: {
        listen: [...listen, ...circuits.listen],
        appendAnnounce: announce.map((text) => parseAnnounced(text, ownId).toString()),
        announceFilter: (addresses) => circuits.announced(addresses),
      },
      transports: [guardedTcp(door), circuits.transport(door)],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      ...(this.privateNetwork === undefined ? {} : { connectionProtector: this.privateNetwork.protector }),
      connectionManager: {
        maxConnections: this.options.maxConnections,
        maxIncomingPendingConnections: MAX_PENDING_INBOUND,
        inboundConnectionThreshold: INBOUND_PER_SECOND,
        dialTimeout: DIAL_TIMEOUT_MS,
        addressDialTimeout: ADDRESS_DIAL_TIMEOUT_MS,
        connectionCloseTimeout: CLOSE_TIMEOUT_MS,
        outboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS,
        inboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS,
      },
      connectionMonitor: { pingInterval: PING_INTERVAL_MS, pingTimeout: { minTimeout: PING_LIMIT_MS } },
      connectionGater: this.gater(circuits),
      peerDiscovery: this.options.mdns ? [(components) => this.discovery(components)] : [],
      services: {
        identify: identify(),
        // A place at a relay comes and goes while peers are connected.
        identifyPush: identifyPush(),
        ping: ping(),
        pubsub: gossipRouter(this.networkId),
        ...circuits.services(),
      },
    })
  }

  /** Asks the gate at every step of a connection, and before one is passed on. */
  private gater(circuits: Circuits): ConnectionGater {
    const refused = (peer: PeerId, address?: Multiaddr): boolean =>
      this.gate?.admitsPeer(peer.toString(), address === undefined ? undefined : hostOf(address)) === false
    return {
      denyInboundConnection: ({ remoteAddr }) => this.gate?.admitsHost(hostOf(remoteAddr) ?? '') === false,
      denyDialPeer: (peer) => refused(peer),
      denyOutboundEncryptedConnection: (peer, connection) => {
        this.privateNetwork?.proven(connection)
        return refused(peer, connection.remoteAddr)
      },
      denyInboundEncryptedConnection: (peer, connection) => {
        this.privateNetwork?.proven(connection)
        return refused(peer, connection.remoteAddr) || this.isStranger(peer.toString())
      },
      denyInboundRelayedConnection: (_relay, peer) => refused(peer) || this.isStranger(peer.toString()),
      denyInboundRelayReservation: async (peer) => {
        if (refused(peer) || !(await this.isMember(peer))) return true
        const [connection] = this.connectionsTo(peer.toString())
        const isConnected = (other: PeerId): boolean => this.connectionsTo(other.toString()).length > 0
        return connection === undefined || !circuits.hasRoomFor(connection, isConnected)
      },
      denyOutboundRelayedConnection: async (from, to) => {
        if (refused(from) || refused(to) || !(await this.isMember(from)) || !(await this.isMember(to))) return true
        circuits.passingOnTo(to)
        return false
      },
    }
  }

  /** Whether a peer is of this network. One that has just connected may not have said so yet. */
  private async isMember(peer: PeerId): Promise<boolean> {
    const peerId = peer.toString()
    const deadline = new Deadline(this.runtime, 'a peer to say what it speaks', DIAL_TIMEOUT_MS, this.signal)
    try {
      await this.identified(peerId, peerId, deadline)
      return true
    } catch {
      return false
    } finally {
      deadline.clear()
    }
  }

  /** Listens to mDNS directly: the host's own discovery event fires once per peer, and a peer that moved must be heard again. */
  private discovery(components: MulticastDNSComponents): PeerDiscovery {
    const found = mdns({ serviceTag: `_kvchain-${this.networkId}._udp.local`, interval: MDNS_INTERVAL_MS })(components)
    found.addEventListener('peer', (event: CustomEvent<LibraryPeerInfo>) => {
      const peerId = event.detail.id.toString()
      if (peerId === this.node?.peerId.toString()) return
      const direct = event.detail.multiaddrs.filter((address) => relayOf(address) === undefined)
      const addresses = direct.map(String).slice(0, MAX_ADDRESSES_PER_PEER)
      if (addresses.length > 0) this.notify((observer) => observer.discovered?.(peerId, addresses))
    })
    return found
  }

  private observe(node: Libp2p): void {
    node.addEventListener('peer:identify', (event) => this.onIdentify(event.detail))
    node.addEventListener('peer:disconnect', (event) => this.onDisconnect(event.detail.toString()))
  }

  private onIdentify(result: IdentifyResult): void {
    const peerId = result.peerId.toString()
    if (this.signal.aborted || result.connection.status !== 'open') return
    if (!result.protocols.includes(this.marker)) {
      this.onStranger(peerId)
      return
    }
    const said = result.signedPeerRecord?.addresses ?? result.listenAddrs
    const addresses = said.filter(isDialable).slice(0, MAX_ADDRESSES_PER_PEER)
    const known = this.connected_.get(peerId)
    if (known !== undefined) {
      this.connected_.set(peerId, { ...known, addresses })
      return
    }
    const agent = result.agentVersion?.slice(0, MAX_AGENT_LENGTH).replace(/[^ -~]/g, '?')
    this.silent.delete(peerId)
    this.connected_.set(peerId, {
      connectedAtMs: this.runtime.clock.monotonicMs(),
      agent,
      addresses,
    })
    this.log.debug({ peerId, address: result.connection.remoteAddr.toString() }, 'peer connected')
    for (const waiter of this.waiters.get(peerId) ?? []) waiter.ready()
    this.notify((observer) => observer.connected?.(peerId))
  }

  private onStranger(peerId: string): void {
    const oldest = this.strangers.keys().next().value
    if (this.strangers.size >= MAX_STRANGERS && oldest !== undefined) this.strangers.delete(oldest)
    this.strangers.set(peerId, this.runtime.clock.monotonicMs() + STRANGER_MEMORY_MS)
    this.log.debug({ peerId }, 'peer is of another network')
    for (const waiter of this.waiters.get(peerId) ?? []) waiter.failed(unreachable(peerId, 'network'))
    this.track('disconnect a stranger', () => this.disconnect(peerId))
  }

  private onDisconnect(peerId: string): void {
    this.silent.delete(peerId)
    for (const waiter of this.waiters.get(peerId) ?? []) waiter.failed(unreachable(peerId, 'failed'))
    if (!this.connected_.delete(peerId)) return
    this.log.debug({ peerId }, 'peer disconnected')
    this.notify((observer) => observer.disconnected?.(peerId))
  }

  /** Resolves once the peer counts as connected. */
  private async identified(peerId: string, text: string, deadline: Deadline): Promise<void> {
    if (this.isConnected(peerId)) return
    if (this.isStranger(peerId)) throw unreachable(text, 'network')
    if (this.connectionsTo(peerId).length === 0) throw unreachable(text, 'failed')
    const waiting = this.waiters.get(peerId) ?? new Set<Waiter>()
    this.waiters.set(peerId, waiting)
    let waiter: Waiter | undefined
    try {
      await deadline.race(
        new Promise<void>((resolve, reject) => {
          waiter = { ready: resolve, failed: reject }
          waiting.add(waiter)
        }),
      )
    } finally {
      if (waiter !== undefined) waiting.delete(waiter)
      if (waiting.size === 0) this.waiters.delete(peerId)
    }
  }

  private notify(tell: (observer: PeerObserver) => void): void {
    for (const observer of [...this.observers]) {
      try {
        tell(observer)
      } catch (error) {
        this.log.error({ err: error }, 'an observer of peers failed')
      }
    }
  }

  /** The open connections, direct ones first, and of those, the ones that we dialled. */
  private connectionsTo(peerId: string): Connection[] {
    if (this.node === undefined) return []
    const open = this.node.getConnections(peerIdFromString(peerId)).filter(({ status }) => status === 'open')
    const rank = ({ limits, direction }: Connection): number =>
      (limits === undefined ? 0 : 2) + (direction === 'outbound' ? 0 : 1)
    return open.sort((a, b) => rank(a) - rank(b))
  }

  private async housekeeping(): Promise<void> {
    let absent = new Set<string>()
    let sweepAtMs = this.runtime.clock.monotonicMs() + FORGET_PEERS_MS
    let askAtMs = 0
    while (!this.signal.aborted) {
      await this.runtime.timers.sleep(HOUSEKEEPING_MS, this.signal)
      const now = this.runtime.clock.monotonicMs()
      await this.closeSilent()
      if (now >= askAtMs) {
        askAtMs = now + ASK_RELAYS_MS
        this.circuits?.askAgain(this.running.getMultiaddrs(), (peerId) => this.memberConnection(peerId))
      }
      if (now < sweepAtMs) continue
      absent = await this.forget(absent)
      sweepAtMs = now + FORGET_PEERS_MS
    }
  }

  private memberConnection(peerId: string): Connection | undefined {
    return this.isConnected(peerId) ? this.connectionsTo(peerId)[0] : undefined
  }

  private async closeSilent(): Promise<void> {
    for (const peer of this.running.getPeers()) {
      const peerId = peer.toString()
      if (this.connected_.has(peerId)) continue
      const looks = (this.silent.get(peerId) ?? 0) + 1
      this.silent.set(peerId, looks)
      if (looks <= SILENT_LOOKS) continue
      this.log.debug({ peerId }, 'peer did not say what it speaks')
      await this.disconnect(peerId)
    }
  }

  /**
   * Drops from the library's memory the peers that were already absent at the last sweep. Not those that left just now: on a
   * disconnect the library looks the peer up there, a moment later, to tell the gossip router.
   */
  private async forget(absentBefore: ReadonlySet<string>): Promise<Set<string>> {
    const node = this.running
    const absent = new Set<string>()
    for (const { id } of await node.peerStore.all()) {
      if (id.equals(node.peerId) || node.getConnections(id).length > 0) continue
      if (absentBefore.has(id.toString())) await node.peerStore.delete(id)
      else absent.add(id.toString())
    }
    return absent
  }

  /** The library folds the causes into one text and keeps no code, so the system's code is looked for in it. */
  private listenError(error: unknown): unknown {
    if (!(error instanceof Error) || error.name !== 'UnsupportedListenAddressesError') return error
    const wanted = this.options.listen.map((address) => multiaddr(address).toString())
    const address = wanted.find((text) => error.message.includes(`\n  ${text}: `)) ?? wanted.join(', ')
    const report = error.message.split(`\n  ${address}: `)[1] ?? error.message
    const code = /\bE[A-Z]{3,}\b/.exec(report)?.[0] ?? 'unknown'
    const why =
      { EADDRINUSE: 'another program uses that port', EACCES: 'this user may not use that port' }[code] ??
      (code === 'EADDRNOTAVAIL' ? 'this machine has no such address' : `the system says ${code}`)
    return new NetError('net-listen', `cannot listen on ${address}: ${why}`, { address, systemCode: code }, error)
  }
}

function dialTarget(target: string | PeerAddresses): {
  addresses: Multiaddr[]
  peerId: string | undefined
  text: string
} {
  if (typeof target === 'string') {
    const address = parseAddress(target)
    return { addresses: [address], peerId: peerIdOf(address), text: target }
  }
  if (target.addresses.length === 0) throw badAddress(`a peer without an address (${target.peerId})`)
  const addresses = target.addresses.map((text) =>
    parseAddress(`${withoutPeerId(parseAddress(text))}/p2p/${target.peerId}`),
  )
  return { addresses, peerId: target.peerId, text: addresses.map(String)[0] ?? target.peerId }
}

function unreachable(address: string, reason: DialFailure, cause?: unknown): NetError {
  const why: Record<DialFailure, string> = {
    self: 'it is this node itself',
    network: 'it belongs to another network',
    refused: 'the peer is banned here',
    timeout: 'no answer in time',
    failed: 'the connection failed',
  }
  return new NetError('net-unreachable', `cannot connect to ${address}: ${why[reason]}`, { address, reason }, cause)
}

function dialFailure(error: unknown): DialFailure {
  if (!(error instanceof Error)) return 'failed'
  if (error.name === 'DialDeniedError' || error.name === 'ConnectionInterceptedError') return 'refused'
  // Raised only for the node's own id: before the dial if the address names it, after the handshake if it does not.
  if (error.name === 'InvalidPeerIdError') return 'self'
  return 'failed'
}
