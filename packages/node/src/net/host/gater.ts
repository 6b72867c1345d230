/**
 * Who is let in, dialled, given a place at this relay, and passed on: the library asks at every step of a connection. Owns no list: asks the gate, the
 * members and the relay in the order in which the answer costs least.
 */
import type { Connection, ConnectionGater, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { hostOf } from '../address.js'
import type { Circuits } from './circuit.js'
import type { Gate } from './peer.js'
import type { PrivateNetwork } from './privateNetwork.js'

export interface GaterDeps {
  readonly circuits: Circuits
  /** Told of who proved who he is. */
  readonly privateNetwork: PrivateNetwork | undefined
  /** The one that counts now. */
  gate(): Gate | undefined
  isStranger(peerId: string): boolean
  /** Whether a peer is of this network. Waits for one that has just connected and has not said so yet. */
  isMember(peerId: string): Promise<boolean>
  /** The open connections, best first. */
  connectionsTo(peerId: string): readonly Connection[]
}

export function connectionGater(deps: GaterDeps): ConnectionGater {
  const { circuits, privateNetwork } = deps
  const refused = (peer: PeerId, address?: Multiaddr): boolean =>
    deps.gate()?.admitsPeer(peer.toString(), address === undefined ? undefined : hostOf(address)) === false
  const isStranger = (peer: PeerId): boolean => deps.isStranger(peer.toString())
  const isMember = (peer: PeerId): Promise<boolean> => deps.isMember(peer.toString())
  return {
    denyInboundConnection: ({ remoteAddr }) => deps.gate()?.admitsHost(hostOf(remoteAddr) ?? '') === false,
    denyDialPeer: (peer) => refused(peer),
    denyOutboundEncryptedConnection: (peer, connection) => {
      privateNetwork?.proven(connection)
      return refused(peer, connection.remoteAddr)
    },
    denyInboundEncryptedConnection: (peer, connection) => {
      privateNetwork?.proven(connection)
      return refused(peer, connection.remoteAddr) || isStranger(peer)
    },
    denyInboundRelayedConnection: (_relay, peer) => refused(peer) || isStranger(peer),
    denyInboundRelayReservation: async (peer) => {
      if (refused(peer) || !(await isMember(peer))) return true
      const [connection] = deps.connectionsTo(peer.toString())
      const isConnected = (other: PeerId): boolean => deps.connectionsTo(other.toString()).length > 0
      return connection === undefined || !circuits.hasRoomFor(connection, isConnected)
    },
    denyOutboundRelayedConnection: async (from, to) => {
      if (refused(from) || refused(to) || !(await isMember(from)) || !(await isMember(to))) return true
      circuits.passingOnTo(to)
      return false
    },
  }
}
