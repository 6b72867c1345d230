/**
 * The composition root: makes the parts, hands each what it needs, starts them in order and stops them in reverse. Owns no behaviour of
 * its own. Nothing in this package imports it.
 */
import { readFile } from 'node:fs/promises'
import type { HandlerContext, Handlers, Params, Result } from '@kvchain/client/contract'
import { toAddress } from '@kvchain/core/address'
import type { Network } from '@kvchain/core/params'
import { writeBackup } from './backup.js'
import type { Chain } from './chain/chain.js'
import { ReorgWatch } from './chain/reorgWatch.js'
import type { HttpServer } from './http/server.js'
import { type Identity, loadIdentity } from './identity.js'
import { Ledger } from './ledger.js'
import type { Mempool } from './mempool/mempool.js'
import { Miner, type MiningMode } from './miner/miner.js'
import { PowPool } from './miner/powPool.js'
import { Gossip } from './net/gossip.js'
import { Host } from './net/host/host.js'
import { peerBook } from './net/peers/peerBook.js'
import type { PeerManager } from './net/peers/peerManager.js'
import type { Relay } from './net/relay.js'
import { Streams } from './net/streams/streams.js'
import { makePeering } from './peering.js'
import { readPsk } from './pskFile.js'
import { toRpcError } from './rpc/answers.js'
import { chainHandlers } from './rpc/chainHandlers.js'
import type { CallRecord } from './rpc/dispatcher.js'
import { kvHandlers } from './rpc/kvHandlers.js'
import { netHandlers } from './rpc/netHandlers.js'
import { type NodeFacts, nodeHandlers } from './rpc/nodeHandlers.js'
import { proofHandlers } from './rpc/proofHandlers.js'
import { Prover } from './rpc/prover.js'
import { RpcServer } from './rpc/socketServer.js'
import { ReorgedOut, TxWaiter } from './rpc/txStatus.js'
import { Watcher } from './rpc/watcher.js'
import { Writer } from './rpc/writer.js'
import { BusyError } from './runtime/errors.js'
import { type Failpoints, NO_FAILPOINTS } from './runtime/failpoints.js'
import { hex } from './runtime/hex.js'
import type { Runtime } from './runtime/runtime.js'
import { BaseService, type Service } from './runtime/service.js'
import { ReorgLog } from './store/reorgLog.js'
import type { Sync } from './sync/sync.js'

export interface NodeOptions {
  readonly network: Network
  readonly dataDir: string
  /** Multiaddrs. */
  readonly listen: readonly string[]
  readonly bootstrap: readonly string[]
  readonly mdns: boolean
  /** Addresses told to others as its own, besides those that it listens on: forwarded to it by a router. */
  readonly announce?: readonly string[]
  /** Multiaddrs with peer ids of relays, which it is connected to and reached through. */
  readonly relays?: readonly string[]
  /** Whether it passes connections on to members that nobody can dial. Default false. */
  readonly relayService?: boolean
  /** Whether it connects to peers that others tell of or that it met before, and tells others of its own. Default true. */
  readonly peerExchange?: boolean
  /** Peer ids, IP addresses and ranges of those: with any, nobody else is let in or dialled. */
  readonly allow?: readonly string[]
  /** Who is neither let in nor dialled, whatever `allow` says. */
  readonly deny?: readonly string[]
  /** A file with a pre-shared key: only who has the same can connect. */
  readonly psk?: string | undefined
  readonly mine: MiningMode
  readonly minerThreads: number
  readonly rpcSocket: string
  /** Requests of one connection to the socket in a second; after a pause, twice as many at once. */
  readonly rpcRate?: number
  /** Blocks that a reorg must take off the main chain to ring the alarm; half the network's settle depth when left out. */
  readonly reorgAlarmDepth?: number
  /** Where to serve HTTP; not at all when left out. */
  readonly http?: HttpListen | undefined
}

export interface HttpListen {
  /** An IP address. */
  readonly host: string
  /** 0: one that the system chooses. */
  readonly port: number
  /** Whether `host` may be one that other machines reach. */
  readonly allowRemote: boolean
}

export interface NodeDeps {
  readonly runtime: Runtime
  /** The node cannot go on; whoever runs it should stop it and end the process. */
  readonly onFatal: (error: unknown) => void
  /** For tests of crashes. */
  readonly failpoints?: Failpoints
}

/** What a person wants to know of a node that has started. */
export interface NodeSummary {
  readonly peerId: string
  readonly account: string
  readonly addresses: readonly string[]
  readonly network: string
  readonly genesis: string
  readonly tip: { readonly height: number; readonly hash: string }
  readonly http?: { readonly url: string; readonly tokenFile: string }
}

/** Far more than the eight that a node looks for: up to half of these are dialled, and the rest come by themselves. */
const MAX_PEERS = 64
const MAX_INBOUND = 48
/** Over that many connections the host takes none: there is room for newcomers to be weighed against who is there. */
const MAX_CONNECTIONS = 96
const VERIFY_THREADS = 1
/** Hexadecimal digits of the genesis hash that stand in topics and protocol ids. */
const NETWORK_ID_LENGTH = 16
const EXPIRY_MS = 60_000
/** So that the answer to a stop request is out before the socket closes. */
const STOP_DELAY_MS = 50

/** Everything about other nodes. */
interface Net {
  readonly host: Host
  readonly sync: Sync
  readonly relay: Relay
  readonly peers: PeerManager
}

/** What the HTTP server looks at, besides the handlers. */
interface HttpParts {
  readonly chain: Chain
  readonly mempool: Mempool
  readonly miner: Miner
  readonly reorgs: ReorgWatch
  readonly net: Net
  readonly powPool: PowPool
  readonly handlers: Handlers
  readonly version: string
}

type OnCall = (call: CallRecord) => void

export class KvNode extends BaseService {
  private readonly started: Service[] = []
  private readonly runtime: Runtime
  private readonly startedAtMs: number
  private http: HttpServer | undefined
  private stopRequest: () => void = () => {}
  private isBackingUp = false
  private summarise: () => NodeSummary | undefined = () => undefined

  constructor(
    private readonly options: NodeOptions,
    private readonly deps: NodeDeps,
  ) {
    super('node', deps.runtime.log.child({ module: 'node' }))
    this.runtime = deps.runtime
    this.startedAtMs = deps.runtime.clock.monotonicMs()
  }

  /** Called when a client asks the node to stop. */
  onStopRequest(callback: () => void): void {
    this.stopRequest = callback
  }

  /** Undefined until the node has started. */
  get summary(): NodeSummary | undefined {
    return this.summarise()
  }

  protected async onStart(): Promise<void> {
    const { network, dataDir } = this.options
    const identity = await loadIdentity(dataDir, this.runtime.random)
    const { runtime } = this
    const { onFatal, failpoints = NO_FAILPOINTS } = this.deps
    const ledger = await this.begin(
      new Ledger({ network, dataDir, verifyThreads: VERIFY_THREADS }, { runtime, onFatal, failpoints }),
    )
    const net = await this.startNet(ledger, identity)
    const address = toAddress(identity.account.publicKey, network.params.addressPrefix)
    await this.startService(ledger, net, identity, address)
    this.track('expiry', () => this.expire(ledger.mempool))
    this.summarise = () => ({
      peerId: net.host.peerId,
      account: address,
      addresses: net.host.addresses(),
      network: network.name,
      genesis: hex(ledger.genesis.hash),
      tip: { height: ledger.chain.tip.header.height, hash: hex(ledger.chain.tip.hash) },
      ...(this.http === undefined ? {} : { http: { url: this.http.url, tokenFile: this.http.tokenFile } }),
    })
  }

  private async startNet(ledger: Ledger, identity: Identity): Promise<Net> {
    const { runtime, options } = this
    const host = new Host(
      {
        networkId: hex(ledger.genesis.hash).slice(0, NETWORK_ID_LENGTH),
        identity: identity.peerSeed,
        listen: options.listen,
        mdns: options.mdns,
        announce: options.announce ?? [],
        relays: options.relays ?? [],
        relayService: options.relayService ?? false,
        maxConnections: MAX_CONNECTIONS,
        psk: options.psk === undefined ? undefined : await readPsk(options.psk),
      },
      { runtime },
    )
    const streams = new Streams({}, { runtime, host })
    const gossip = new Gossip({}, { runtime, host })
    const { sync, relay, peers } = await makePeering(
      {
        network: options.network,
        bootstrap: [...options.bootstrap, ...(options.relays ?? [])],
        maxPeers: MAX_PEERS / 2,
        maxInbound: MAX_INBOUND,
        exchange: options.peerExchange ?? true,
        allow: options.allow ?? [],
        deny: options.deny ?? [],
      },
      { runtime, ledger, transport: { host, streams, gossip }, book: peerBook(ledger.database, runtime.log) },
    )
    gossip.misconduct.add((peerId) => peers.charge(peerId, 'gossip-malformed'))
    streams.misconduct.add(({ peerId, code }) => peers.charge(peerId, code))
    for (const service of [host, streams, gossip, sync, relay, peers]) await this.begin(service)
    return { host, sync, relay, peers }
  }

  /** What the node does for its clients and for itself: answers, and mines. */
  private async startService(ledger: Ledger, net: Net, identity: Identity, address: string): Promise<void> {
    const { runtime, options } = this
    const { chain, mempool, own } = ledger
    const { params, policy } = options.network
    const powPool = await this.begin(new PowPool({ threads: options.minerThreads }, { runtime }))
    const context = { chain, mempool, runtime, prefix: params.addressPrefix, settleDepth: policy.settleDepth }
    const reorgLog = new ReorgLog(ledger.database)
    const alarmDepth = options.reorgAlarmDepth ?? Math.max(2, Math.ceil(policy.settleDepth / 2))
    const reorgs = await this.begin(new ReorgWatch({ alarmDepth }, { runtime, chain, reorgLog }))
    const statusContext = { ...context, reorgedOut: new ReorgedOut(chain) }
    const waiter = new TxWaiter(statusContext)
    const watcher = new Watcher(context)
    if (options.mine === 'pending' && params.targetRule !== 'fixed') {
      const advice =
        'mining only while something is pending makes the target of this network ever easier: use --mine=always'
      this.log.warn({}, advice)
    }
    const miner = new Miner(
      { mode: options.mine, account: identity.account.publicKey, settleDepth: policy.settleDepth },
      {
        runtime,
        chain,
        mempool,
        searcher: powPool,
        isSyncing: () => net.sync.isSyncing,
        isAwaited: () => waiter.isAwaited,
      },
    )
    miner.solved.add((node) => net.relay.announce(node))
    const facts = this.facts(ledger, net, miner, powPool, address)
    const { network } = options
    const prover = new Prover({ chain, timers: runtime.timers, network, settleDepth: policy.settleDepth })
    const version = await readVersion()
    const writer = new Writer({ chain, own, account: identity.account })
    const handlers = {
      ...kvHandlers(context, writer),
      ...chainHandlers(statusContext, writer, waiter, reorgLog),
      kv_watch: (params: Params<'kv_watch'>, { signal }: HandlerContext) => watcher.watch(params, signal),
      ...proofHandlers(context, prover),
      ...netHandlers(net),
      ...nodeHandlers(context, { ...facts, version }),
    }
    const parts = { chain, mempool, miner, reorgs, net, powPool }
    const http = options.http && (await this.httpServer({ ...options.http, ...parts, handlers, version }))
    const onCall = http?.onCall
    const rate = options.rpcRate
    const limits = rate === undefined ? {} : { requestsPerSecond: rate, requestBurst: 2 * rate }
    await this.begin(
      new RpcServer({ socketPath: options.rpcSocket, ...limits }, { runtime, handlers, toRpcError, onCall }),
    )
    if (http !== undefined) this.http = await this.begin(http.server)
    await this.begin(miner)
  }

  /** Only who asks for it pays for loading it. */
  private async httpServer(wanted: HttpListen & HttpParts): Promise<{ server: HttpServer; onCall: OnCall }> {
    const [{ HttpServer }, { Metrics }] = await Promise.all([import('./http/server.js'), import('./http/metrics.js')])
    const { runtime } = this
    const { network, dataDir } = this.options
    const { chain, mempool, miner, reorgs, net, powPool, handlers, version, ...listen } = wanted
    const isSyncing = () => net.sync.isSyncing
    const metrics = new Metrics(
      { version, network: network.name, dataDir },
      {
        chain,
        mempool,
        miner,
        reorgs,
        isSyncing,
        hashRate: () => powPool.hashRate,
        directions: () => net.host.peers().map(({ direction }) => direction),
      },
    )
    const health = { height: () => chain.tip.header.height, isSyncing, peers: () => net.host.peerIds().length }
    const deps = { runtime, handlers, toRpcError, health, version, metrics, chain }
    const server = new HttpServer({ ...listen, dataDir }, deps)
    return { server, onCall: (call) => metrics.onCall(call) }
  }

  private facts(
    ledger: Ledger,
    { host, sync }: Net,
    miner: Miner,
    powPool: PowPool,
    address: string,
  ): Omit<NodeFacts, 'version'> {
    const { runtime, options } = this
    return {
      status: () => ({
        network: options.network.name,
        genesis: hex(ledger.genesis.hash),
        peerId: host.peerId,
        account: address,
        addresses: host.addresses(),
        dataDir: options.dataDir,
        uptimeMs: Math.round(runtime.clock.monotonicMs() - this.startedAtMs),
        syncing: sync.isSyncing,
        ...(sync.progress === undefined ? {} : { catchingUp: sync.progress }),
        peers: host.peerIds().length,
        mining: {
          mode: miner.mode,
          active: miner.active,
          threads: options.minerThreads,
          hashRate: Math.round(powPool.hashRate),
          address,
        },
      }),
      backup: (params, signal) => this.backup(ledger, params, signal),
      requestStop: () => {
        runtime.timers.after(STOP_DELAY_MS, () => this.stopRequest())
      },
    }
  }

  private async backup(
    { database, genesis }: Ledger,
    { path, keys = false }: Params<'node_backup'>,
    signal: AbortSignal,
  ): Promise<Result<'node_backup'>> {
    if (this.isBackingUp) throw new BusyError('the list of backups under way', 1)
    this.isBackingUp = true
    try {
      const { runtime } = this
      const { dataDir } = this.options
      const made = await writeBackup({ dataDir, genesis, runtime, path, withKeys: keys, signal }, database)
      this.log.info({ ...made, keys }, 'a backup is made')
      return { ...made }
    } finally {
      this.isBackingUp = false
    }
  }

  /** Stops what has started, last first. Every failure is reported, none keeps the others from stopping. */
  protected async onStop(): Promise<void> {
    for (let service = this.started.pop(); service !== undefined; service = this.started.pop()) {
      try {
        await service.stop()
      } catch (error) {
        this.log.error({ err: error }, 'a part could not be stopped')
      }
    }
  }

  private async begin<T extends Service>(service: T): Promise<T> {
    await service.start()
    this.started.push(service)
    return service
  }

  private async expire(mempool: Mempool): Promise<void> {
    for (;;) {
      await this.runtime.timers.sleep(EXPIRY_MS, this.signal)
      mempool.expire()
    }
  }
}

async function readVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  const json: unknown = JSON.parse(text)
  return typeof json === 'object' && json !== null && 'version' in json ? String(json.version) : 'unknown'
}
