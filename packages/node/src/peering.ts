/**
 * Everything about other nodes but how bytes reach them: whom to be connected to, relay, catching up and answering, put together over a transport.
 * Owns no behaviour. A daemon's transport is libp2p (node.ts); a simulation brings its own.
 */
import type { Network } from '@kvchain/core/params'
import type { Chain } from './chain/chain.js'
import type { LedgerParts } from './ledgerParts.js'
import { BlocksInHand } from './net/blocksInHand.js'
import { Fetcher } from './net/fetcher.js'
import type { PeerBook } from './net/peers/peerBook.js'
import { PeerManager, type PeerManagerHost, type PeerManagerStreams } from './net/peers/peerManager.js'
import { Relay, type RelayGossip } from './net/relay.js'
import { serveSync } from './net/server.js'
import type { Clock, Runtime } from './runtime/runtime.js'
import { Sync } from './sync/sync.js'

/** So many intervals without a block come by chance once in e^20 times. */
const STALE_INTERVALS = 20
/** On a quick network that may as well be a miner who stopped. */
const MIN_STALE_MS = 30_000

/** How bytes reach other nodes: connections, requests, and messages to everybody. */
export interface Transport {
  readonly host: PeerManagerHost & { peerIds(): string[] }
  readonly streams: PeerManagerStreams
  readonly gossip: RelayGossip
}

export interface PeeringOptions {
  readonly network: Network
  /** Besides those of the network's policy. */
  readonly bootstrap: readonly string[]
  /** From so many connections on only the operator's peers are dialled. */
  readonly maxPeers: number
  /** How many connections of our own choice to peers that others told of. */
  readonly targetOutbound?: number
  /** How many peers that came by themselves; one more, and the least useful goes. */
  readonly maxInbound?: number
  /** Whether peers that others tell of, or that were met before, are dialled, and others told. Default true. */
  readonly exchange?: boolean
  /** Peer ids and address ranges; see PeerManagerOptions. */
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
  /** How often each peer is asked for its tip, and how often the list of wanted peers is looked at: for simulations of many nodes. */
  readonly pollMs?: number
  readonly lookMs?: number
}

export interface PeeringDeps {
  readonly runtime: Runtime
  readonly ledger: Omit<LedgerParts, 'database' | 'store'>
  readonly transport: Transport
  readonly book: PeerBook
}

/** To be started once the transport runs, in this order: sync, relay, peers. */
export interface Peering {
  readonly sync: Sync
  readonly relay: Relay
  readonly peers: PeerManager
}

/** Makes the parts, registers what is served, and has them follow who is connected. Starts nothing. */
export async function makePeering(options: PeeringOptions, deps: PeeringDeps): Promise<Peering> {
  const { runtime, book } = deps
  const { chain, mempool, own } = deps.ledger
  const { host, streams, gossip } = deps.transport
  const { network, bootstrap, pollMs, ...limits } = options
  const isStale = staleWatch(chain, runtime.clock, network.params.blockIntervalMs)
  const peers = new PeerManager(
    { bootstrap: [...bootstrap, ...network.policy.bootstrap], ...limits },
    { runtime, host, streams, book, isStale },
  )
  const penalize = (peerId: string, points: number, reason: string) => peers.penalize(peerId, points, reason)
  const fetcher = new Fetcher(streams, chain.genesis.hash, network.params.maxBlockBytes)
  const peerIds = () => host.peerIds()
  const sync = new Sync({ runtime, chain, mempool, fetcher, peerIds, penalize, pollMs })
  const onBehind = (peerId: string) => sync.onBehind(peerId)
  const inHand = new BlocksInHand()
  const relay = new Relay({
    runtime,
    chain,
    mempool,
    own,
    gossip: credited(gossip, peers),
    fetcher,
    inHand,
    peerIds,
    penalize,
    onBehind,
  })
  await serveSync({ chain, mempool, inHand, streams, onStatus: (peerId, status) => sync.onStatus(peerId, status) })
  host.onPeer({
    connected: (peerId) => sync.onConnected(peerId),
    disconnected: (peerId) => sync.onDisconnected(peerId),
  })
  return { sync, relay, peers }
}

/** Notes who was the first to tell of a block, which is what makes a peer useful. */
function credited(gossip: RelayGossip, peers: PeerManager): RelayGossip {
  return {
    publish: (topic, data) => gossip.publish(topic, data),
    setHandler: (topic, handler) =>
      gossip.setHandler(topic, async (data, from) => {
        const verdict = await handler(data, from)
        if (topic === 'blocks' && verdict === 'accept') peers.credit(from)
        return verdict
      }),
  }
}

/** Whether the tip has stood still for much longer than blocks take. On an idle network that is so, too, and costs one more peer. */
function staleWatch(chain: Chain, clock: Clock, blockIntervalMs: number): () => boolean {
  let movedAtMs = clock.monotonicMs()
  chain.tips.add(() => {
    movedAtMs = clock.monotonicMs()
  })
  return () => clock.monotonicMs() - movedAtMs > Math.max(STALE_INTERVALS * blockIntervalMs, MIN_STALE_MS)
}
