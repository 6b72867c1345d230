/**
 * The libp2p host of a node: listening, dialling, streams, and the end of connections. Owns the connections and nothing that travels over
 * them. A peer counts as connected only once it is known to speak this network's protocols: their ids carry the network's id, so peers of
 * another network are told apart at the first exchange, dropped, and not redialled at once (members.ts).
 */
import '../polyfill.js'
import { assert } from '@kvchain/core/errors'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Connection, Stream } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { AbortError, NetError, OptionsError } from '../../runtime/errors.js'
import type { Runtime } from '../../runtime/runtime.js'
import { BaseService } from '../../runtime/service.js'
import { badAddress, parseAddress, relayOf } from '../address.js'
import { Deadline } from '../deadline.js'
import type { GossipRouter } from '../gossip.js'
import { Circuits, type RelayLimits } from './circuit.js'
import { bestFirst, dialableAddresses } from './connections.js'
import { dialFailure, dialTarget, listenError, unreachable } from './failures.js'
import { connectionGater } from './gater.js'
import { CLOSE_TIMEOUT_MS, createLibrary, DIAL_TIMEOUT_MS, type Library, type LibraryOptions } from './library.js'
import { Members } from './members.js'
import { PeerObservers } from './observers.js'
import type { Direction, Gate, PeerAddresses, PeerInfo, PeerObserver } from './peer.js'
import { PrivateNetwork } from './privateNetwork.js'

const HOUSEKEEPING_MS = 1_000
/** How often a relay is asked that had no place. */
const ASK_RELAYS_MS = 5_000
/** The library remembers every peer that it ever met; those gone for this long are dropped from its memory. */
const FORGET_PEERS_MS = 60_000

export interface HostOptions extends LibraryOptions {
  /** Addresses of relays, with peer ids, to be reached through: a place at each is asked for whenever it is connected. */
  readonly relays?: readonly string[]
  /** Whether it passes connections on to members that nobody can dial. */
  readonly relayService?: boolean
  /** What it gives to each of them. Left out: a place for two hours, a connection for a day or 1 GiB. For tests, and relays with little to give. */
  readonly relayLimits?: Partial<RelayLimits>
  /** 32 bytes: only who has them, too, can connect. */
  readonly psk?: Uint8Array | undefined
}

/** What a registered protocol does with a stream that a peer opened. Must not throw. */
export type StreamHandler = (stream: Stream, from: string) => void

export interface StreamLimits {
  /** Open at one time on one connection; one more is reset by the library. */
  readonly maxInbound: number
  readonly maxOutbound: number
}

/** The peer id of a host that has the seed for its identity. */
export async function peerIdOfSeed(seed: Uint8Array): Promise<string> {
  return peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seed)).toString()
}

export class Host extends BaseService {
  readonly networkId: string
  private readonly runtime: Runtime
  private node: Library | undefined
  private readonly marker: string
  private readonly members: Members
  private readonly observers: PeerObservers
  private gate: Gate | undefined
  private circuits: Circuits | undefined

  constructor(
    private readonly options: HostOptions,
    deps: { readonly runtime: Runtime },
  ) {
    super('host', deps.runtime.log.child({ module: 'host' }))
    this.runtime = deps.runtime
    this.networkId = options.networkId
    // Registered by every node and never spoken: its presence in a peer's list of protocols tells the network.
    this.marker = this.protocol('member')
    this.observers = new PeerObservers(this.log)
    this.members = new Members(this.marker, {
      clock: this.runtime.clock,
      log: this.log,
      observer: this.observers,
      hasConnection: (peerId) => this.connectionsTo(peerId).length > 0,
    })
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
    for (const peerId of this.members.ids()) {
      const member = this.members.get(peerId)
      const [best] = this.connectionsTo(peerId)
      if (member === undefined || best === undefined) continue
      found.push({
        peerId,
        address: best.remoteAddr.toString(),
        direction: best.direction,
        connectedForMs: Math.round(now - member.connectedAtMs),
        ...(member.agent === undefined ? {} : { agent: member.agent }),
        rttMs: best.rtt,
      })
    }
    return found
  }

  peerIds(): string[] {
    return this.members.ids()
  }

  isConnected(peerId: string): boolean {
    return this.members.has(peerId)
  }

  /** Addresses without peer id at which a connected peer can be dialled, likeliest first. */
  listenAddresses(peerId: string): string[] {
    const member = this.members.get(peerId)
    const connections = this.connectionsTo(peerId)
    if (member === undefined || connections.length === 0) return []
    return dialableAddresses(connections, member.addresses)
  }

  /** Whether a peer was found, lately, to belong to another network. */
  isStranger(peerId: string): boolean {
    return this.members.isStranger(peerId)
  }

  /** Installs what keeps peers out, in both directions. One at a time; the last one counts. */
  setGate(gate: Gate | undefined): void {
    this.gate = gate
  }

  /** Returns the function that removes the observer again. */
  onPeer(observer: PeerObserver): () => void {
    return this.observers.add(observer)
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
      await this.members.identified(found, text, deadline)
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
      throw listenError(error, this.options.listen)
    }
    this.track('housekeeping', () => this.housekeeping())
    this.log.info({ peerId: this.peerId, addresses: this.addresses() }, 'listening for peers')
  }

  protected async onStop(): Promise<void> {
    await this.node?.stop()
    for (const peerId of this.members.ids()) this.members.onDisconnect(peerId)
    this.observers.clear()
  }

  private get running(): Library {
    assert(this.node !== undefined, 'the host has started')
    return this.node
  }

  private async create(): Promise<Library> {
    const { relays = [], relayService = false, relayLimits = {}, psk } = this.options
    const circuits = new Circuits({ serve: relayService, limits: relayLimits, relays })
    this.circuits = circuits
    const privateNetwork =
      psk &&
      new PrivateNetwork(psk, (host) =>
        this.log.warn({ host }, 'a connection made no sense: has the other side the same pre-shared key?'),
      )
    const gater = connectionGater({
      circuits,
      privateNetwork,
      gate: () => this.gate,
      isStranger: (peerId) => this.isStranger(peerId),
      isMember: (peerId) => this.isMember(peerId),
      connectionsTo: (peerId) => this.connectionsTo(peerId),
    })
    return await createLibrary(this.options, { circuits, privateNetwork, gater, observer: this.observers })
  }

  /** Whether a peer is of this network. One that has just connected may not have said so yet. */
  private async isMember(peerId: string): Promise<boolean> {
    const deadline = new Deadline(this.runtime, 'a peer to say what it speaks', DIAL_TIMEOUT_MS, this.signal)
    try {
      await this.members.identified(peerId, peerId, deadline)
      return true
    } catch {
      return false
    } finally {
      deadline.clear()
    }
  }

  private observe(node: Library): void {
    node.addEventListener('peer:identify', ({ detail }) => {
      if (this.signal.aborted || detail.connection.status !== 'open' || this.members.onIdentify(detail)) return
      this.track('disconnect a stranger', () => this.disconnect(detail.peerId.toString()))
    })
    node.addEventListener('peer:disconnect', ({ detail }) => this.members.onDisconnect(detail.toString()))
  }

  /** The open connections, the one that counts first. */
  private connectionsTo(peerId: string): Connection[] {
    return this.node === undefined ? [] : bestFirst(this.node.getConnections(peerIdFromString(peerId)))
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
      if (this.members.countLook(peerId)) await this.disconnect(peerId)
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
}
