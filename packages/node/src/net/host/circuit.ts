/**
 * Connections through relays, for members that nobody can dial. Owns which relays this node has a place at (those that the operator named
 * and no others), and what it gives away when it is one: how many places, and how long and how much a connection may pass on. What passes
 * is enciphered from end to end, so a relay can only cut it. The library keeps the places; whom it meets on its own is not its business.
 */
import '../polyfill.js'
import { setMaxListeners } from 'node:events'
import {
  type CircuitRelayService,
  type CircuitRelayTransportComponents,
  circuitRelayServer,
  circuitRelayTransport,
  RELAY_V2_HOP_CODEC,
  RELAY_V2_STOP_CODEC,
} from '@libp2p/circuit-relay-v2'
import type { Connection, PeerId, Topology, Transport } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { AbortError } from '../../runtime/errors.js'
import { hostOf, isLocal, parseRelay, peerIdOf, relayOf } from '../address.js'
import { banGroup } from '../peers/groups.js'
import type { Door } from './inbound.js'

/** Members that a relay keeps a place for, and of these, at one address. */
const MAX_PLACES = 16
const MAX_PLACES_PER_ADDRESS = 4
/** Connections that a relay passes on at one time: to one place, and from one peer. */
const MAX_CIRCUITS = 16
/** What is said before a place is given or a connection is passed on. */
const TALK_TIMEOUT_MS = 10_000
/** Addresses told of one's place at one relay, which says itself how it can be reached. */
const MAX_ADDRESSES_PER_RELAY = 4
/** How the library calls a place at a relay yet to be found. */
const ANY_RELAY = '/p2p-circuit'

type Registrar = CircuitRelayTransportComponents['registrar']

/** What a relay gives to one peer. Where its figures end, it cuts: who wants more comes again. */
export interface RelayLimits {
  /** How long a place holds that is not renewed. Members renew theirs five minutes before the end, but wait for half a minute at least. */
  readonly placeMs: number
  /** How long a connection is passed on. */
  readonly circuitMs: number
  /** How much passes over one connection, both ways together. */
  readonly circuitBytes: number
}

/** A cut connection is dialled anew, which takes a second: the more rarely, the less is asked twice. A newcomer may have the whole chain to fetch. */
const DEFAULT_LIMITS: RelayLimits = {
  placeMs: 2 * 3_600_000,
  circuitMs: 24 * 3_600_000,
  circuitBytes: 1024 * 1024 * 1024,
}

export interface CircuitOptions {
  /** Whether to be a relay for others. */
  readonly serve: boolean
  /** What it then gives to each; the defaults for what is left out. */
  readonly limits?: Partial<RelayLimits>
  /** Addresses with peer ids of relays to have a place at. */
  readonly relays: readonly string[]
}

export class Circuits {
  /** The operator's relays, by peer id. */
  private readonly relays: ReadonlyMap<string, Multiaddr>
  private readonly serve: boolean
  private readonly limits: RelayLimits
  private topology: Topology | undefined
  private server: CircuitRelayService | undefined

  /** NetError 'net-address' for a relay that is none. */
  constructor({ serve, limits, relays }: CircuitOptions) {
    this.serve = serve
    this.limits = { ...DEFAULT_LIMITS, ...limits }
    this.relays = new Map(relays.map(parseRelay).map((address) => [peerIdOf(address) ?? '', address]))
  }

  /** What to listen on for a place at each relay. */
  get listen(): string[] {
    return Array.from(this.relays, () => ANY_RELAY)
  }

  isRelay(peerId: string): boolean {
    return this.relays.has(peerId)
  }

  /** What dials through relays and, if there are any of the operator's, has places at them. */
  transport(door: Door): (components: CircuitRelayTransportComponents) => Transport {
    return (components) => {
      const seen = changed(components, {
        // Peers that the library finds by itself are neither dialled nor asked.
        connectionManager: changed(components.connectionManager, { isDialable: async () => false }),
        peerStore: changed(components.peerStore, { all: async () => [] }),
        registrar: this.registrar(components.registrar),
        upgrader: door.guard(components.upgrader),
      })
      return circuitRelayTransport({ maxInboundStopStreams: MAX_CIRCUITS })(seen)
    }
  }

  /** The relay, as a service of the libp2p host; none unless it is to serve. */
  services(): { circuits?: (components: Parameters<ReturnType<typeof circuitRelayServer>>[0]) => CircuitRelayService } {
    if (!this.serve) return {}
    const { placeMs, circuitMs, circuitBytes } = this.limits
    const server = circuitRelayServer({
      hopTimeout: TALK_TIMEOUT_MS,
      maxInboundHopStreams: MAX_CIRCUITS,
      maxOutboundStopStreams: MAX_CIRCUITS,
      reservations: {
        maxReservations: MAX_PLACES,
        reservationTtl: placeMs,
        defaultDurationLimit: circuitMs,
        defaultDataLimit: BigInt(circuitBytes),
      },
    })
    return {
      circuits: (components) => {
        this.server = server(components)
        return this.server
      },
    }
  }

  /** Of addresses to be told as our own, those that are fit: through the operator's relays only, and not all that a relay makes up. */
  announced(addresses: readonly Multiaddr[]): Multiaddr[] {
    const told = new Map<string, number>()
    return addresses.filter((address) => {
      const relay = relayOf(address)
      if (relay === undefined) return true
      const named = this.relays.get(relay)
      const count = told.get(relay) ?? 0
      if (named === undefined || count >= MAX_ADDRESSES_PER_RELAY || (isLocal(address) && !isLocal(named))) return false
      told.set(relay, count + 1)
      return true
    })
  }

  /** Asks the relays that are connected and gave no place, because they were full or busy. */
  askAgain(own: readonly Multiaddr[], connectionTo: (peerId: string) => Connection | undefined): void {
    const had = new Set(own.map(relayOf))
    for (const peerId of this.relays.keys()) {
      const connection = had.has(peerId) ? undefined : connectionTo(peerId)
      if (connection !== undefined) this.topology?.onConnect?.(connection.remotePeer, connection)
    }
  }

  /**
   * Whether a relay, this node, has a place for a peer that asks. Forgets those that went away, which the library would keep for hours, and
   * the place of who asks anew, who thus gets a new one: the library would prolong the old one, but stops its first timer only. The timer of
   * the first renewal would end the place, and what is passed on, in spite of a second renewal.
   */
  hasRoomFor({ remotePeer, remoteAddr }: Connection, isConnected: (peerId: PeerId) => boolean): boolean {
    const reservations = this.server?.reservations
    if (reservations === undefined) return false
    const group = banGroup(hostOf(remoteAddr) ?? '')
    let neighbours = 0
    for (const [peerId, { addr, signal }] of reservations) {
      if (peerId.equals(remotePeer) || !isConnected(peerId)) {
        signal.clear()
        reservations.delete(peerId)
      } else if (banGroup(hostOf(addr) ?? '') === group) neighbours++
    }
    return neighbours < MAX_PLACES_PER_ADDRESS
  }

  /** A connection to this peer is about to be passed on: each listens to the end of its place, and the bound is ours. */
  passingOnTo(peerId: PeerId): void {
    const signal = this.server?.reservations.get(peerId)?.signal
    if (signal !== undefined) setMaxListeners(0, signal)
  }

  /** The library's view of who speaks what: of relays, the operator's alone, as what we ask and as whose calls we take. */
  private registrar(registrar: Registrar): Registrar {
    const register: Registrar['register'] = async (protocol, topology) => {
      if (protocol !== RELAY_V2_HOP_CODEC) return await registrar.register(protocol, topology)
      this.topology = topology
      const onConnect: Topology['onConnect'] = (peerId, connection) => {
        if (this.isRelay(peerId.toString())) topology.onConnect?.(peerId, connection)
      }
      return await registrar.register(protocol, { onConnect })
    }
    const handle: Registrar['handle'] = async (protocol, handler, options) => {
      if (protocol === RELAY_V2_STOP_CODEC && this.relays.size === 0) return
      const guarded: typeof handler = (stream, connection) => {
        if (this.isRelay(connection.remotePeer.toString())) return handler(stream, connection)
        stream.abort(new AbortError('a call by a relay that nobody named'))
      }
      await registrar.handle(protocol, guarded, options)
    }
    return changed(registrar, { register, handle })
  }
}

/** The same object, but for some of its parts. */
function changed<T extends object>(real: T, changes: Partial<T>): T {
  return new Proxy(real, {
    get(target, name) {
      if (Object.hasOwn(changes, name)) return Reflect.get(changes, name)
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
