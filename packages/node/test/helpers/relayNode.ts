/** A node as far as blocks and transactions travel: a TestLedger behind a real host on loopback, with gossip, streams, relay and
 * sync. */
import { randomBytes } from 'node:crypto'
import type { Network } from '@kvchain/core/params'
import { BlocksInHand } from '@kvchain/node/net/blocksInHand'
import { Fetcher } from '@kvchain/node/net/fetcher'
import { Gossip } from '@kvchain/node/net/gossip'
import { Host } from '@kvchain/node/net/host/host'
import { Relay } from '@kvchain/node/net/relay'
import { serveSync } from '@kvchain/node/net/server'
import { type HandleOptions, type RequestHandler, Streams } from '@kvchain/node/net/streams/streams'
import { hex } from '@kvchain/node/runtime/hex'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { Sync } from '@kvchain/node/sync/sync'
import { easyNetwork, TestLedger } from './ledger.js'

const runtime = systemRuntime()

export interface Charge {
  readonly peerId: string
  readonly points: number
  readonly reason: string
}

export interface RelayNodeOptions {
  readonly network?: Network
  /** Default: a new one. Closed with the node. */
  readonly ledger?: TestLedger
  /** Whether it answers requests. Default true. */
  readonly serves?: boolean
  /** Whether it catches up with whoever it is connected to. Default false. */
  readonly syncs?: boolean
  /** Answers requests of one name in its own way. */
  readonly twist?: {
    readonly name: string
    readonly answer: (honest: RequestHandler, ...call: Parameters<RequestHandler>) => Promise<Uint8Array>
  }
}

export class RelayNode {
  readonly charges: Charge[] = []
  /** Peers that are said to know more. */
  readonly ahead: string[] = []

  private constructor(
    readonly ledger: TestLedger,
    readonly host: Host,
    readonly streams: Streams,
    readonly gossip: Gossip,
    readonly relay: Relay,
    readonly sync: Sync,
    told: { charge: (charge: Charge) => void; behind: (peerId: string) => void },
  ) {
    told.charge = (charge) => this.charges.push(charge)
    told.behind = (peerId) => this.ahead.push(peerId)
  }

  static async open(options: RelayNodeOptions = {}): Promise<RelayNode> {
    const ledger = options.ledger ?? (await TestLedger.open(options.network ?? easyNetwork()))
    const { chain, mempool, own, genesis } = ledger
    const networkId = hex(genesis.hash).slice(0, 16)
    const listen = ['/ip4/127.0.0.1/tcp/0']
    const host = new Host(
      { networkId, identity: randomBytes(32), listen, mdns: false, maxConnections: 50 },
      { runtime },
    )
    const streams = new Streams({}, { runtime, host })
    const gossip = new Gossip({}, { runtime, host })
    const fetcher = new Fetcher(streams, genesis.hash, chain.params.maxBlockBytes)
    const inHand = new BlocksInHand()
    const told = { charge: (_charge: Charge) => {}, behind: (_peerId: string) => {} }
    const relay = new Relay({
      ...{ runtime, chain, mempool, own, gossip, fetcher, inHand },
      peerIds: () => host.peerIds(),
      penalize: (peerId, points, reason) => told.charge({ peerId, points, reason }),
      onBehind: (peerId) => told.behind(peerId),
    })
    const sync = new Sync({
      ...{ runtime, chain, mempool, fetcher },
      peerIds: () => host.peerIds(),
      penalize: (peerId, points, reason) => told.charge({ peerId, points, reason }),
    })
    const { twist } = options
    const twisted = {
      handle: (name: string, limits: HandleOptions, handler: RequestHandler) =>
        streams.handle(name, limits, twist?.name === name ? (...call) => twist.answer(handler, ...call) : handler),
    }
    if (options.serves !== false) {
      const onStatus = () => {}
      await serveSync({ chain, mempool, inHand, streams: twisted, onStatus })
    }
    if (options.syncs === true) host.onPeer({ connected: (peerId) => sync.onConnected(peerId) })
    for (const service of [host, streams, gossip, relay, sync]) await service.start()
    return new RelayNode(ledger, host, streams, gossip, relay, sync, told)
  }

  get peerId(): string {
    return this.host.peerId
  }

  get tip(): string {
    return this.ledger.tipHash
  }

  /** Connects to another node and waits until gossip flows both ways. */
  async connect(other: RelayNode): Promise<void> {
    await this.host.dial(other.host.addresses()[0] ?? '')
    const isMeshed = (from: RelayNode, to: RelayNode) =>
      (['blocks', 'transactions'] as const).every((topic) => from.gossip.meshPeers(topic).includes(to.peerId))
    await until('both are in the mesh', () => isMeshed(this, other) && isMeshed(other, this))
  }

  /** Ends all but the ledger. */
  async leave(): Promise<void> {
    for (const service of [this.sync, this.relay, this.gossip, this.streams, this.host]) await service.stop()
  }

  async close(): Promise<void> {
    await this.leave()
    await this.ledger.close()
  }
}

export async function until(what: string, condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 60_000) throw new Error(`waited in vain until ${what}`)
    await runtime.timers.sleep(10)
  }
}
