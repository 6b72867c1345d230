/**
 * What libp2p is for a daemon: connections, requests and gossip of one life of a simulated node, over the lines of the world. Owns what host, streams
 * and gossip promise to those above them (peering.ts of the node): who is connected, one answer or a typed error for a request, and each message to
 * everybody judged once and passed on when it was accepted. Deals in whole messages: framing, encryption and multiplexing are not simulated.
 */
import { AssertionError, type KvError } from '@kvchain/core/errors'
import { sha256 } from '@kvchain/node/crypto/sodium'
import type { GossipHandler, Topic } from '@kvchain/node/net/gossip'
import type { Gate, PeerAddresses, PeerInfo, PeerObserver } from '@kvchain/node/net/host/peer'
import type { HandleOptions, RequestHandler, RequestOptions } from '@kvchain/node/net/streams/streams'
import type { Transport } from '@kvchain/node/peering'
import { AbortError, BusyError, NetError, TimeoutError } from '@kvchain/node/runtime/errors'
import { hex } from '@kvchain/node/runtime/hex'
import type { Byzantine } from './byzantine.js'
import type { Links } from './links.js'
import { KIND } from './loop.js'
import { below, type Life } from './runtime.js'

/** As the daemon's host and gossip have them. */
const DIAL_TIMEOUT_MS = 5_000
const SEEN_MS = 120_000
const FLOOD_UP_TO_PEERS = 12
/** Peers that a message is passed on to. */
const MESH_PEERS = 8
/** A silent line is noticed after so long: pings go out every 10 s and are waited for up to 15 s. */
const MIN_SILENCE_MS = 10_000
const MAX_SILENCE_MS = 25_000
/** What a request or an answer weighs beside its content. */
const FRAME_BYTES = 64

export interface TransportOptions {
  readonly index: number
  readonly peerId: string
  readonly maxConnections: number
  readonly byzantine: Byzantine | undefined
}

/** Where others are found. */
export interface Neighbourhood {
  readonly links: Links
  /** The node at an address, whether it lives or not. */
  indexAt(address: string): number | undefined
  /** Its transport, while it lives. */
  live(index: number): SimTransport | undefined
}

/** A message to everybody. The same object goes from node to node, so that its name is made once. */
interface Message {
  readonly id: string
  readonly topic: Topic
  readonly data: Uint8Array
}

interface Connection {
  readonly peer: SimTransport
  readonly direction: 'inbound' | 'outbound'
  readonly sinceMs: number
  /** Requests under way on it: told when it closes. */
  readonly waiting: Set<(error: KvError<string>) => void>
}

interface Served {
  readonly options: HandleOptions
  readonly handler: RequestHandler
  running: number
}

type Answer = { readonly bytes: Uint8Array } | { readonly refusal: 'busy' | 'bad-request' | 'internal' | 'unserved' }

/** The address of a node: of no host on this machine, so that peers tell one another of it. */
export function addressOf(index: number): string {
  return `/ip4/${hostAt(index)}/tcp/9000`
}

function hostAt(index: number): string {
  return `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
}

export class SimTransport implements Transport {
  private readonly connections = new Map<string, Connection>()
  private readonly observers = new Set<PeerObserver>()
  private readonly served = new Map<string, Served>()
  private readonly handlers = new Map<Topic, GossipHandler>()
  /** Ids of messages that were seen, with the time until which they are remembered, oldest first. */
  private readonly seen = new Map<string, number>()
  private readonly never = new AbortController().signal
  private gate: Gate | undefined

  constructor(
    readonly options: TransportOptions,
    readonly life: Life,
    private readonly world: Neighbourhood,
  ) {}

  get index(): number {
    return this.options.index
  }

  get peerId(): string {
    return this.options.peerId
  }

  // --- host ----------------------------------------------------------------------------------------------------------

  readonly host: Transport['host'] = this.makeHost()

  private makeHost(): Transport['host'] {
    const transport = this
    return {
      get peerId() {
        return transport.peerId
      },
      addresses: () => [`${addressOf(transport.index)}/p2p/${transport.peerId}`],
      peers: () => transport.peers(),
      peerIds: () => [...transport.connections.keys()],
      isConnected: (peerId) => transport.connections.has(peerId),
      isStranger: () => false,
      listenAddresses: (peerId) => {
        const connection = transport.connections.get(peerId)
        return connection === undefined ? [] : [addressOf(connection.peer.index)]
      },
      dial: (target, signal) => transport.dial(target, signal),
      disconnect: async (peerId) => transport.disconnect(peerId),
      onPeer: (observer) => {
        transport.observers.add(observer)
        return () => transport.observers.delete(observer)
      },
      setGate: (gate) => {
        transport.gate = gate
      },
    }
  }

  private peers(): PeerInfo[] {
    const now = this.life.clock.monotonicMs()
    return [...this.connections].map(([peerId, { peer, direction, sinceMs }]) => ({
      peerId,
      address: addressOf(peer.index),
      direction,
      connectedForMs: now - sinceMs,
    }))
  }

  /** Three ways there and back: TCP, the handshake, and what either is. A line that is cut, or an address of nobody, is silent. */
  private dial(target: string | PeerAddresses, signal?: AbortSignal): Promise<string> {
    const address = typeof target === 'string' ? target : (target.addresses[0] ?? '')
    const peerId = typeof target === 'string' ? undefined : target.peerId
    const { links } = this.world
    const to = this.world.indexAt(address)
    return this.limited(DIAL_TIMEOUT_MS, `dialling ${address}`, signal, (resolve, reject) => {
      if (to === this.index) return reject(unreachable(address, 'self'))
      if (to === undefined || !this.isOpen(to)) return
      const { delayMs, jitterMs } = links.options(this.index, to)
      this.life.after(6 * delayMs + jitterMs, KIND.connected, () => {
        const peer = this.world.live(to)
        if (!this.isOpen(to)) return
        if (peer === undefined) return reject(unreachable(address, 'refused'))
        if (peerId !== undefined && peer.peerId !== peerId) return reject(unreachable(address, 'failed'))
        const isFull = peer.connections.size >= peer.options.maxConnections
        if (isFull || this.refuses(peer) || !peer.letsIn(this)) {
          return reject(unreachable(address, 'refused'))
        }
        this.connect(peer)
        resolve(peer.peerId)
      })
    })
  }

  private refuses(peer: SimTransport): boolean {
    return this.gate?.admitsPeer(peer.peerId, hostAt(peer.index)) === false
  }

  private letsIn(peer: SimTransport): boolean {
    return this.gate?.admitsHost(hostAt(peer.index)) !== false && !this.refuses(peer)
  }

  /** Both ways. */
  private isOpen(to: number): boolean {
    const { links } = this.world
    return links.isOpen(this.index, to) && links.isOpen(to, this.index)
  }

  private connect(peer: SimTransport): void {
    if (this.connections.has(peer.peerId)) return
    // Of a life before this one, whose end the peer has not heard of.
    const former = peer.connections.get(this.peerId)
    if (former !== undefined) peer.lose(former)
    const sinceMs = this.life.clock.monotonicMs()
    this.connections.set(peer.peerId, { peer, direction: 'outbound', sinceMs, waiting: new Set() })
    peer.connections.set(this.peerId, { peer: this, direction: 'inbound', sinceMs, waiting: new Set() })
    for (const observer of this.observers) observer.connected?.(peer.peerId)
    for (const observer of peer.observers) observer.connected?.(this.peerId)
  }

  /** Closes the connection here now, and there when word of it comes. */
  private disconnect(peerId: string): void {
    const connection = this.connections.get(peerId)
    if (connection === undefined) return
    this.lose(connection)
    const { peer } = connection
    const theirs = peer.connections.get(this.peerId)
    const { delayMs } = this.world.links.options(this.index, peer.index)
    peer.life.after(delayMs, KIND.disconnected, () => {
      if (theirs !== undefined) peer.lose(theirs)
    })
  }

  private lose(connection: Connection): void {
    const { peerId } = connection.peer
    if (this.connections.get(peerId) !== connection) return
    this.connections.delete(peerId)
    for (const tell of connection.waiting)
      tell(new NetError('net-stream', 'the stream to the peer broke off', { peerId }))
    for (const observer of this.observers) observer.disconnected?.(peerId)
  }

  /** This life ends: the others find the line closed. */
  vanish(): void {
    for (const { peer } of this.connections.values()) {
      const theirs = peer.connections.get(this.peerId)
      const { delayMs } = this.world.links.options(this.index, peer.index)
      peer.life.after(delayMs, KIND.disconnected, () => {
        if (theirs !== undefined) peer.lose(theirs)
      })
    }
    this.connections.clear()
  }

  /** A line is cut: a connection over it dies of silence, unless the line comes back before that is noticed. */
  watchSilence(): void {
    for (const connection of this.connections.values()) {
      const { peer } = connection
      if (this.isOpen(peer.index)) continue
      const afterMs = MIN_SILENCE_MS + below(this.life.options.random, MAX_SILENCE_MS - MIN_SILENCE_MS)
      this.life.after(afterMs, KIND.disconnected, () => {
        if (!this.isOpen(peer.index)) this.lose(connection)
      })
    }
  }

  // --- streams -------------------------------------------------------------------------------------------------------

  readonly streams: Transport['streams'] = {
    handle: async (name, options, handler) => {
      this.served.set(name, { options, handler, running: 0 })
    },
    unhandle: async (name) => {
      this.served.delete(name)
    },
    request: (peerId, name, request, options) => this.request(peerId, name, request, options),
  }

  private request(peerId: string, name: string, request: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    const facts = { peerId, protocol: name }
    const connection = this.connections.get(peerId)
    if (connection === undefined || this.options.byzantine?.asks?.(name) === false) {
      return Promise.reject(new NetError('net-unreachable', `there is no connection to peer ${peerId}`, facts))
    }
    const { peer, waiting } = connection
    const { links } = this.world
    return this.limited(options.timeoutMs, `the request ${name}`, options.signal, (resolve, reject) => {
      waiting.add(reject)
      const onAnswer = (answer: Answer) => {
        if (this.life.isOver) return
        if ('refusal' in answer) reject(refused(answer.refusal, facts))
        else if (answer.bytes.length > options.maxResponseBytes) {
          reject(new NetError('net-limit', 'the answer of the peer is over the limit', facts))
        } else resolve(answer.bytes)
      }
      links.send(this.index, peer.index, FRAME_BYTES + request.length, () => {
        if (peer.life.isOver || !peer.connections.has(this.peerId)) return
        void peer.answer(name, request, this.peerId).then((answer) => {
          if (peer.life.isOver || answer === undefined) return
          const bytes = FRAME_BYTES + ('bytes' in answer ? answer.bytes.length : 0)
          links.send(peer.index, this.index, bytes, () => onAnswer(answer))
        })
      })
      return () => waiting.delete(reject)
    })
  }

  /** What a request is answered with; undefined: with nothing. */
  private async answer(name: string, request: Uint8Array, from: string): Promise<Answer | undefined> {
    const served = this.served.get(name)
    if (served === undefined) return { refusal: 'unserved' }
    const { options, handler } = served
    if (request.length > options.maxRequestBytes) return { refusal: 'bad-request' }
    if (served.running >= options.maxConcurrent) return { refusal: 'busy' }
    served.running++
    try {
      const bytes = await handler(request, from, this.never)
      const { byzantine } = this.options
      if (byzantine?.answer === undefined) return { bytes }
      const lie = byzantine.answer({ name, request, from }, bytes)
      return lie && { bytes: lie }
    } catch (error) {
      if (error instanceof AssertionError) throw error
      return { refusal: error instanceof BusyError ? 'busy' : 'bad-request' }
    } finally {
      served.running--
    }
  }

  // --- gossip --------------------------------------------------------------------------------------------------------

  readonly gossip: Transport['gossip'] = {
    publish: async (topic, data) => this.publish(topic, data),
    setHandler: (topic, handler) => {
      this.handlers.set(topic, handler)
    },
  }

  /** To everybody, or, where there are many, to some who pass it on. `isFor`: only to nodes with these indexes. */
  publish(topic: Topic, data: Uint8Array, isFor: (index: number) => boolean = () => true): void {
    const message = { id: hex(sha256(data)).slice(0, 40), topic, data }
    const { byzantine } = this.options
    if (!this.isNew(message.id) || byzantine?.tells?.({ topic, data }) === false) return
    for (const peer of this.some(this.connections.size <= FLOOD_UP_TO_PEERS ? FLOOD_UP_TO_PEERS : MESH_PEERS)) {
      if (isFor(peer.index)) this.tell(peer, message)
    }
  }

  private tell(peer: SimTransport, message: Message): void {
    this.world.links.send(this.index, peer.index, FRAME_BYTES + message.data.length, () => peer.receive(message, this))
  }

  private receive(message: Message, from: SimTransport): void {
    const { topic, data, id } = message
    if (this.life.isOver || !this.connections.has(from.peerId) || !this.isNew(id)) return
    const { byzantine } = this.options
    if (byzantine?.receives?.({ topic, data }) === false) return
    const handler = this.handlers.get(topic)
    if (handler === undefined) return
    void handler(data, from.peerId).then((verdict) => {
      if (verdict !== 'accept' || this.life.isOver || byzantine?.forwards?.({ topic, data }) === false) return
      for (const peer of this.some(MESH_PEERS)) if (peer !== from) this.tell(peer, message)
    })
  }

  private isNew(id: string): boolean {
    const now = this.life.clock.monotonicMs()
    if ((this.seen.get(id) ?? 0) > now) return false
    for (const [oldest, untilMs] of this.seen) {
      if (untilMs > now) break
      this.seen.delete(oldest)
    }
    this.seen.set(id, now + SEEN_MS)
    return true
  }

  /** So many connected peers, or all of them, by lot. */
  private some(count: number): SimTransport[] {
    const peers = [...this.connections.values()].map(({ peer }) => peer)
    for (let i = 0; i < Math.min(count, peers.length - 1); i++) {
      const j = i + below(this.life.options.random, peers.length - i)
      const [a, b] = [peers[i], peers[j]]
      if (a !== undefined && b !== undefined) [peers[i], peers[j]] = [b, a]
    }
    return peers.slice(0, count)
  }

  // --- helpers -------------------------------------------------------------------------------------------------------

  /** A promise that ends in time, or with the signal. `begin` returns what is to be undone when it has ended. */
  private limited<T>(
    timeoutMs: number,
    what: string,
    signal: AbortSignal | undefined,
    // biome-ignore lint/suspicious/noConfusingVoidType: most have nothing to undo.
    begin: (resolve: (result: T) => void, reject: (error: KvError<string>) => void) => (() => void) | void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let isOver = false
      let undo: (() => void) | undefined
      const end = (settle: () => void) => {
        if (isOver) return
        isOver = true
        cancel()
        signal?.removeEventListener('abort', onAbort)
        undo?.()
        settle()
      }
      const onAbort = () => end(() => reject(new AbortError(what)))
      const onTimeout = () => end(() => reject(new TimeoutError(what, timeoutMs)))
      const cancel = this.life.after(timeoutMs, KIND.timer, onTimeout)
      if (signal?.aborted === true) return onAbort()
      signal?.addEventListener('abort', onAbort, { once: true })
      const undoing = begin(
        (result) => end(() => resolve(result)),
        (error) => end(() => reject(error)),
      )
      if (isOver) undoing?.()
      else undo = undoing ?? undefined
    })
  }
}

function unreachable(address: string, reason: 'self' | 'refused' | 'failed'): NetError {
  return new NetError('net-unreachable', `${address} cannot be reached`, { address, reason })
}

function refused(
  refusal: 'busy' | 'bad-request' | 'internal' | 'unserved',
  facts: { peerId: string; protocol: string },
): NetError {
  if (refusal === 'busy') return new NetError('net-busy', 'the peer is busy; ask again later or ask another', facts)
  if (refusal === 'unserved') return new NetError('net-stream', `the peer does not serve ${facts.protocol}`, facts)
  return new NetError('net-response', 'the peer did not accept the request', { ...facts, status: refusal })
}
