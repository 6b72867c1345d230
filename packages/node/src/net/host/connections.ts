/** What the open connections to one peer say of it: which of them counts, and where the peer can be dialled. Pure. */
import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { hostOf, isLocal, withoutPeerId } from '../address.js'
import { MAX_ADDRESSES_PER_PEER } from './peer.js'

/** The open ones, direct ones first, and of those, the ones that we dialled. */
export function bestFirst(connections: readonly Connection[]): Connection[] {
  const open = connections.filter(({ status }) => status === 'open')
  const rank = ({ limits, direction }: Connection): number =>
    (limits === undefined ? 0 : 2) + (direction === 'outbound' ? 0 : 1)
  return open.sort((a, b) => rank(a) - rank(b))
}

/**
 * Addresses without peer id, likeliest first: where we reached the peer, then where it says that it listens (`told`). Loopback addresses
 * are left out unless the peer is on this machine, or behind a relay there.
 */
export function dialableAddresses(connections: readonly Connection[], told: readonly Multiaddr[]): string[] {
  const local = connections.some((connection) => isLocal(connection.remoteAddr))
  const reached = connections.filter((connection) => connection.direction === 'outbound')
  const remoteHosts = new Set(connections.map((connection) => hostOf(connection.remoteAddr)))
  const said = told.filter((address) => local || !isLocal(address))
  const sameHost = said.filter((address) => remoteHosts.has(hostOf(address)))
  const all = [...reached.map((connection) => withoutPeerId(connection.remoteAddr)), ...sameHost, ...said]
  return [...new Set(all.map(String))].slice(0, MAX_ADDRESSES_PER_PEER)
}
