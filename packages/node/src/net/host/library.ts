/**
 * How libp2p is put together for a node: transports, encryption, limits, services, and discovery on the local network. Owns the library's settings;
 * what it is to refuse, and who hears of what it finds, is given.
 */
import '../polyfill.js'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify, identifyPush } from '@libp2p/identify'
import type { ConnectionGater, Libp2p, PeerInfo as LibraryPeerInfo, PeerDiscovery } from '@libp2p/interface'
import { type MulticastDNSComponents, mdns } from '@libp2p/mdns'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { createLibp2p } from 'libp2p'
import { parseAnnounced, relayOf } from '../address.js'
import { type GossipRouter, gossipRouter } from '../gossip.js'
import type { Circuits } from './circuit.js'
import { Door, guardedTcp, MAX_PENDING_INBOUND } from './inbound.js'
import { MAX_ADDRESSES_PER_PEER, type PeerObserver } from './peer.js'
import type { PrivateNetwork } from './privateNetwork.js'

/** A dial, from the first packet to knowing the peer's network. A LAN answers in milliseconds; a dead address costs this much. */
export const DIAL_TIMEOUT_MS = 5_000
/** A graceful close gets this long, then the connection is cut. */
export const CLOSE_TIMEOUT_MS = 500
/** What a peer reads about us; the text after the slash is the wire's generation, not the release. */
const AGENT = 'kvchain/1'
/** One address of several may not eat the whole of a dial. */
const ADDRESS_DIAL_TIMEOUT_MS = 3_000
/** A stream that does not settle its protocol by then is given up. The gossip library opens its streams one after another, so this
 * is also how long one silent peer can hold up the others. */
const NEGOTIATION_TIMEOUT_MS = 3_000
/** Connections per second from one address. A machine with a dozen nodes that start at once needs more than the library's 5. */
const INBOUND_PER_SECOND = 100
/** The first failed ping closes a connection, so the limit leaves room for a busy event loop on either side; a silent partition is
 * noticed after at most interval + limit. */
const PING_INTERVAL_MS = 10_000
const PING_LIMIT_MS = 15_000
const MDNS_INTERVAL_MS = 10_000

export interface LibraryOptions {
  /** Short lower-case hex. Part of every topic, protocol id and mDNS tag, so that two networks never mix. */
  readonly networkId: string
  /** The 32-byte seed of the Ed25519 key that the peer id is made from. */
  readonly identity: Uint8Array
  /** Multiaddrs; port 0 lets the system choose. */
  readonly listen: readonly string[]
  readonly mdns: boolean
  /** Addresses told to others as our own, besides those that it listens on. */
  readonly announce?: readonly string[]
  readonly maxConnections: number
}

export interface LibraryDeps {
  readonly circuits: Circuits
  readonly privateNetwork: PrivateNetwork | undefined
  readonly gater: ConnectionGater
  /** Told of peers on the local network. */
  readonly observer: PeerObserver
}

export type Library = Libp2p<{ pubsub: GossipRouter }>

/** The library, not yet started. NetError 'net-address' for an address that cannot be told others as our own. */
export async function createLibrary(options: LibraryOptions, deps: LibraryDeps): Promise<Library> {
  const { networkId, listen, announce = [] } = options
  const { circuits, privateNetwork, gater, observer } = deps
  const door = new Door()
  const privateKey = await generateKeyPairFromSeed('Ed25519', options.identity)
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
    ...(privateNetwork === undefined ? {} : { connectionProtector: privateNetwork.protector }),
    connectionManager: {
      maxConnections: options.maxConnections,
      maxIncomingPendingConnections: MAX_PENDING_INBOUND,
      inboundConnectionThreshold: INBOUND_PER_SECOND,
      dialTimeout: DIAL_TIMEOUT_MS,
      addressDialTimeout: ADDRESS_DIAL_TIMEOUT_MS,
      connectionCloseTimeout: CLOSE_TIMEOUT_MS,
      outboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS,
      inboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS,
    },
    connectionMonitor: { pingInterval: PING_INTERVAL_MS, pingTimeout: { minTimeout: PING_LIMIT_MS } },
    connectionGater: gater,
    peerDiscovery: options.mdns ? [discovery(networkId, ownId, observer)] : [],
    services: {
      identify: identify(),
      // A place at a relay comes and goes while peers are connected.
      identifyPush: identifyPush(),
      ping: ping(),
      pubsub: gossipRouter(networkId),
      ...circuits.services(),
    },
  })
}

/** Listens to mDNS directly: the library's own discovery event fires once per peer, and a peer that moved must be heard again. */
function discovery(
  networkId: string,
  ownId: string,
  observer: PeerObserver,
): (components: MulticastDNSComponents) => PeerDiscovery {
  return (components) => {
    const found = mdns({ serviceTag: `_kvchain-${networkId}._udp.local`, interval: MDNS_INTERVAL_MS })(components)
    found.addEventListener('peer', (event: CustomEvent<LibraryPeerInfo>) => {
      const peerId = event.detail.id.toString()
      if (peerId === ownId) return
      const direct = event.detail.multiaddrs.filter((address) => relayOf(address) === undefined)
      const addresses = direct.map(String).slice(0, MAX_ADDRESSES_PER_PEER)
      if (addresses.length > 0) observer.discovered?.(peerId, addresses)
    })
    return found
  }
}
