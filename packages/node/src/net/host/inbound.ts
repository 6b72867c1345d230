/**
 * TCP as the library has it, but for connections that are not yet known: whoever is in the middle of its handshake. Owns how many of them there are, over
 * all and from one address, so that sockets which say nothing keep nobody else out. A handshake that is done is no concern of this any more.
 */
import '../polyfill.js'
import type {
  CreateListenerOptions,
  Listener,
  MultiaddrConnection,
  Transport,
  Upgrader,
  UpgraderOptions,
} from '@libp2p/interface'
import { type TCPComponents, tcp } from '@libp2p/tcp'
import { AbortError } from '../../runtime/errors.js'
import { hostOf } from '../address.js'
import { readLength } from '../streams/framing.js'

/** Handshakes in progress at one time. One more ends the oldest of whoever has most. */
export const MAX_PENDING_INBOUND = 64
/** Of these, from one address. A machine with a dozen nodes that start at once needs a few milliseconds for each. */
const MAX_PENDING_PER_HOST = 24

interface Pending {
  readonly host: string
  readonly end: AbortController
}

/** The transport, with the bounds. */
export function guardedTcp(door: Door): (components: TCPComponents) => Transport {
  return (components) => {
    const transport = tcp()(components)
    const createListener = transport.createListener.bind(transport)
    transport.createListener = (options: CreateListenerOptions): Listener =>
      createListener({ ...options, upgrader: door.guard(options.upgrader) })
    return transport
  }
}

/** The bounds, over all ways by which connections come in. */
export class Door {
  /** In the order of coming. */
  private readonly pending = new Set<Pending>()

  /** What makes connections of those that come in, with the bounds before it. */
  guard(upgrader: Upgrader): Upgrader {
    const made: Upgrader = Object.create(upgrader)
    made.upgradeInbound = (connection: MultiaddrConnection, options: UpgraderOptions) =>
      this.enter(upgrader, connection, options)
    return made
  }

  private async enter(upgrader: Upgrader, connection: MultiaddrConnection, options: UpgraderOptions): Promise<void> {
    const host = hostOf(connection.remoteAddr) ?? ''
    if (this.of(host).length >= MAX_PENDING_PER_HOST) {
      const error = new AbortError('a handshake')
      connection.abort(error)
      throw error
    }
    if (this.pending.size >= MAX_PENDING_INBOUND) this.endOne()
    const entry: Pending = { host, end: new AbortController() }
    this.pending.add(entry)
    const stop = (): void => entry.end.abort(new AbortError('a handshake'))
    options.signal.addEventListener('abort', stop, { once: true })
    try {
      // The library hands the options on to whoever reads the first frames, which has the same weakness as our own frames: see readLength.
      const handedOn = { ...options, signal: entry.end.signal, lengthDecoder: readLength }
      await upgrader.upgradeInbound(connection, handedOn)
    } finally {
      options.signal.removeEventListener('abort', stop)
      this.pending.delete(entry)
    }
  }

  private of(host: string): Pending[] {
    return [...this.pending].filter((entry) => entry.host === host)
  }

  /** Ends the oldest handshake of the address that has most of them. */
  private endOne(): void {
    let most: Pending[] = []
    for (const host of new Set([...this.pending].map((entry) => entry.host))) {
      const entries = this.of(host)
      if (entries.length > most.length) most = entries
    }
    const [oldest] = most
    if (oldest === undefined) return
    this.pending.delete(oldest)
    oldest.end.abort(new AbortError('a handshake'))
  }
}
