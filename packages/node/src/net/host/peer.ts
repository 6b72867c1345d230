/** The words in which the host and those above it speak of peers: what is told of one, where it may be found, who is let in. Decides nothing. */

/** Addresses kept of what one peer says it listens on. */
export const MAX_ADDRESSES_PER_PEER = 8

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
