/**
 * One simulated node over all its lives: the daemon's own database, chain, mempool, peers, relay, sync and miner, put together as the daemon does, over a
 * virtual clock, disk and network. Owns its disk and keys, and how it starts, stops and crashes.
 */
import { parseOperations } from '@kvchain/client/operations'
import { fromUtf8 } from '@kvchain/core/bytes'
import type { Genesis } from '@kvchain/core/genesis'
import type { Network } from '@kvchain/core/params'
import type { Chain } from '@kvchain/node/chain/chain'
import type { ChainNode } from '@kvchain/node/chain/headerTree'
import { type KeyPair, sha256 } from '@kvchain/node/crypto/sodium'
import type { SignatureVerifier } from '@kvchain/node/crypto/verifyPool'
import { composeLedger, type LedgerParts } from '@kvchain/node/ledgerParts'
import type { PoolLimits } from '@kvchain/node/mempool/mempool'
import { Miner } from '@kvchain/node/miner/miner'
import { peerBook } from '@kvchain/node/net/peers/peerBook'
import { makePeering, type Peering } from '@kvchain/node/peering'
import { Writer } from '@kvchain/node/rpc/writer'
import { hex } from '@kvchain/node/runtime/hex'
import type { Service } from '@kvchain/node/runtime/service'
import { Database } from '@kvchain/node/store/database'
import type { Random } from '../difficulty/random.js'
import { LabError } from '../errors.js'
import type { Byzantine } from './byzantine.js'
import { Disk, DiskEngine, type DiskTimes, type SharedRows } from './disk.js'
import { Forger } from './forger.js'
import type { Loop } from './loop.js'
import { Life } from './runtime.js'
import { DrawnSearcher } from './searcher.js'
import { type Neighbourhood, SimTransport } from './transport.js'

/** Memory of each node for pages of its state tree: little, so that pages are read again. */
const TREE_CACHE_BYTES = 1 << 20
const EXPIRY_MS = 60_000

export interface SimNodeOptions {
  readonly index: number
  readonly network: Network
  readonly genesis: Genesis
  readonly account: KeyPair
  readonly peerId: string
  /** Addresses with peer ids. */
  readonly bootstrap: readonly string[]
  /** Connections that it looks for beyond those; 0: it asks nobody for peers, and dials nobody but those it was told of. */
  readonly targetOutbound: number
  /** See PeeringOptions. */
  readonly intervals: { readonly pollMs?: number; readonly lookMs?: number }
  readonly maxConnections: number
  /** Hashes in a millisecond; 0: it does not mine. */
  readonly hashRate: number
  readonly clockOffsetMs: number
  readonly diskTimes: DiskTimes
  readonly poolLimits: PoolLimits
  readonly byzantine: Byzantine | undefined
}

export interface SimNodeDeps {
  readonly loop: Loop
  readonly random: Random
  readonly verifier: SignatureVerifier
  readonly neighbourhood: Neighbourhood
  readonly rows: SharedRows
  readonly observer: SimObserver
}

/** Told of what a node does, as it happens. */
export interface SimObserver {
  /** Of each life, before anything else happens in it. */
  begun(node: SimNode, ledger: LedgerParts): void
  solved(node: SimNode, block: ChainNode): void
  /** Something was logged as an error, or a node cannot go on. */
  failed(node: SimNode, message: string, cause: unknown): void
  accepted(node: SimNode, txid: string): void
}

/** What a running node consists of. */
export interface Running {
  readonly life: Life
  readonly ledger: LedgerParts
  readonly transport: SimTransport
  readonly peering: Peering
  readonly miner: Miner | Forger
  readonly writer: Writer
  readonly services: readonly Service[]
}

/** A key as a node sees it at its tip. */
export interface SimEntry {
  readonly value: string
  readonly version: number
  readonly confirmations: number
}

export class SimNode {
  private readonly disk: Disk
  private running_: Running | undefined
  private life: Life | undefined
  private transport_: SimTransport | undefined
  private searcher: DrawnSearcher | undefined
  lives = 0

  constructor(
    readonly options: SimNodeOptions,
    private readonly deps: SimNodeDeps,
  ) {
    this.disk = new Disk(deps.random, options.diskTimes, deps.rows)
  }

  get index(): number {
    return this.options.index
  }

  get peerId(): string {
    return this.options.peerId
  }

  get isHonest(): boolean {
    return this.options.byzantine === undefined
  }

  /** Undefined while it is down, starting or stopping. */
  get running(): Running | undefined {
    return this.running_
  }

  /** While others can reach it. */
  get transport(): SimTransport | undefined {
    return this.transport_
  }

  /** The parts of the node. Throws LabError `lab-options` while it does not run. */
  get up(): Running {
    if (this.running_ === undefined) throw new LabError('lab-options', `node ${this.index} does not run`)
    return this.running_
  }

  /** Whether it lives: runs, starts or stops. */
  get isUp(): boolean {
    return this.life !== undefined
  }

  get ledger(): LedgerParts {
    return this.up.ledger
  }

  get chain(): Chain {
    return this.up.ledger.chain
  }

  get tip(): ChainNode {
    return this.chain.tip
  }

  /** Starts it on its disk. Takes virtual time. */
  async start(): Promise<void> {
    if (this.life !== undefined) throw new LabError('lab-options', `node ${this.index} runs already`)
    const { index, network, genesis, byzantine, maxConnections, targetOutbound, bootstrap, poolLimits } = this.options
    const { loop, random, verifier, neighbourhood, observer } = this.deps
    const life = new Life({
      loop,
      owner: index,
      random,
      clockOffsetMs: this.options.clockOffsetMs,
      onError: (message, data) => observer.failed(this, message, data),
    })
    this.life = life
    this.lives++
    const onFatal = (error: unknown) => observer.failed(this, 'the node cannot go on', error)
    const engine = () => new DiskEngine(this.disk, life)
    const database = new Database('', life.log, { engine, onDamage: onFatal })
    const ledger = composeLedger(
      { network, genesis, treeCacheBytes: TREE_CACHE_BYTES, poolLimits },
      { runtime: life, database, verifier, onFatal },
    )
    observer.begun(this, ledger)
    const { chain, mempool, own } = ledger
    for (const service of [database, chain, own]) await service.start()
    chain.tips.add(({ header }) => this.watch(life, 'own transactions', own.onTip(header.height)))
    const transport = new SimTransport({ index, peerId: this.peerId, maxConnections, byzantine }, life, neighbourhood)
    const peering = await makePeering(
      {
        network,
        bootstrap,
        targetOutbound,
        exchange: targetOutbound > 0,
        maxPeers: maxConnections / 2,
        ...this.options.intervals,
      },
      { runtime: life, ledger, transport, book: peerBook(database, life.log) },
    )
    this.transport_ = transport
    byzantine?.begin?.({ chain, announce: (block) => peering.relay.announce(block) })
    const miner = this.miner(life, ledger, peering, transport)
    const services = [database, chain, own, peering.sync, peering.relay, peering.peers, miner]
    for (const service of services.slice(3)) await service.start()
    const expire = () => {
      mempool.expire()
      life.timers.after(EXPIRY_MS, expire)
    }
    life.timers.after(EXPIRY_MS, expire)
    const writer = new Writer({ chain, own, account: this.options.account })
    this.running_ = { life, ledger, transport, peering, miner, writer, services }
  }

  private miner(
    life: Life,
    { chain, mempool }: LedgerParts,
    { sync, relay }: Peering,
    transport: SimTransport,
  ): Miner | Forger {
    const { hashRate, account, network, byzantine } = this.options
    const searcher = new DrawnSearcher(life, this.deps.random, hashRate)
    this.searcher = searcher
    const forge = byzantine?.forge?.bind(byzantine)
    if (forge !== undefined) {
      return new Forger({ life, chain, mempool, searcher, transport, account: account.publicKey, forge })
    }
    const miner = new Miner(
      {
        mode: hashRate > 0 ? 'always' : 'off',
        account: account.publicKey,
        settleDepth: network.policy.settleDepth,
      },
      {
        runtime: life,
        chain,
        mempool,
        searcher,
        isSyncing: () => sync.isSyncing,
        isAwaited: () => false,
      },
    )
    miner.solved.add((block) => {
      this.deps.observer.solved(this, block)
      if (byzantine?.announces?.(block) !== false) relay.announce(block)
    })
    return miner
  }

  /** From now on, until it starts again, the miner searches at this part of its hash rate: 0 for a pause. */
  mineAt(part: number): void {
    this.searcher?.setRate(part * this.options.hashRate)
  }

  /** As by a loss of power: it does nothing more, and its disk loses what was not synced. */
  crash(): void {
    this.life?.end()
    this.transport_?.vanish()
    this.disk.crash()
    this.life = undefined
    this.transport_ = undefined
    this.running_ = undefined
  }

  /** As a daemon stops. Takes virtual time. */
  async stop(): Promise<void> {
    const { services, life, transport } = this.up
    this.running_ = undefined
    for (const service of [...services].reverse()) {
      await service.stop()
      if (life.isOver) return
    }
    transport.vanish()
    life.end()
    this.life = undefined
    this.transport_ = undefined
  }

  /**
   * Puts a key of the node's own account, or of another whose key the client has; resolves with the txid once the write is accepted. Takes virtual
   * time.
   */
  async put(key: string, value: string, account: KeyPair = this.options.account): Promise<string> {
    const { ledger, writer } = this.up
    const own = account === this.options.account ? writer : new Writer({ ...ledger, account })
    const { addressPrefix } = this.options.network.params
    const { txid } = await own.write(parseOperations(sha256, [{ op: 'put', key, value }], addressPrefix), {})
    this.deps.observer.accepted(this, txid)
    return txid
  }

  /** The latest value of a key at this node's tip; undefined when there is none. */
  get(key: string): SimEntry | undefined {
    const { chain, store } = this.up.ledger
    const entry = store.entry(fromUtf8(key))
    if (entry === undefined || entry.deleted) return undefined
    const value = store.value(entry.valueDigest)
    return {
      value: new TextDecoder().decode(value),
      version: entry.version,
      confirmations: chain.tip.header.height - entry.height + 1,
    }
  }

  /** How often a block of this height or above it stands on a transaction; undefined when it is in no block of the main chain. */
  heightOf(txid: Uint8Array): number | undefined {
    return this.up.ledger.store.location(txid)?.height
  }

  get tipHash(): string {
    return hex(this.tip.hash)
  }

  private watch(life: Life, what: string, work: Promise<void>): void {
    void work.catch((error: unknown) => {
      if (!life.isOver) this.deps.observer.failed(this, what, error)
    })
  }
}
