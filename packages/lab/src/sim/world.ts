/**
 * A world of whole nodes in virtual time, all from one seed. Owns the nodes, the lines between them and what is done to them; what must hold is
 * checks.ts's. The same options give the same events, to the last.
 */
import { type Genesis, makeGenesis } from '@kvchain/core/genesis'
import { type ConsensusParams, type Network, parseNetwork } from '@kvchain/core/params'
import { targetWork } from '@kvchain/core/pow'
import type { ChainNode } from '@kvchain/node/chain/headerTree'
import { keyPairFromSeed, sha256 } from '@kvchain/node/crypto/sodium'
import type { LedgerParts } from '@kvchain/node/ledgerParts'
import { LIMITS, type PoolLimits } from '@kvchain/node/mempool/mempool'
import { peerIdOfSeed } from '@kvchain/node/net/host/host'
import { hex, unhex } from '@kvchain/node/runtime/hex'
import { Random } from '../difficulty/random.js'
import { LabError } from '../errors.js'
import type { Byzantine } from './byzantine.js'
import { SharedRows } from './disk.js'
import { LAN, type LinkOptions, Links } from './links.js'
import { KIND, Loop } from './loop.js'
import { below, EPOCH_MS, seededBytes } from './runtime.js'
import { SimNode, type SimObserver } from './simNode.js'
import { addressOf, type SimTransport } from './transport.js'
import { SharedVerifier } from './verifier.js'

export interface NodeSpec {
  /** Share of the world's hashing power; left out or 0: it does not mine. All shares together need not be 1. */
  readonly hashShare?: number
  /** Left out: honest. */
  readonly byzantine?: Byzantine
  readonly clockOffsetMs?: number
  /** Longest synced write of its disk, in virtual milliseconds. Default 5; a disk that others share may stand still for seconds. */
  readonly maxSyncMs?: number
}

/** Of every disk, in virtual milliseconds. */
const MIN_SYNC_MS = 0.5
const MAX_SYNC_MS = 5

export interface WorldOptions {
  readonly seed: number
  readonly nodes: readonly NodeSpec[]
  /** What differs from a quiet LAN. */
  readonly links?: Partial<LinkOptions>
  /** What differs from the network of simulations: a block each 10 s, a fixed target of 16 hashes, 6 blocks to settle, no fees. */
  readonly network?: Partial<ConsensusParams> & { readonly settleDepth?: number }
  readonly poolLimits?: Partial<PoolLimits>
  /** Peers that each node is told of from the start, of those before it. */
  readonly bootstrap?: number
  /** Connections that each node looks for beyond those; 0: it asks nobody for peers, and dials nobody but those it was told of. */
  readonly targetOutbound?: number
  readonly maxConnections?: number
  /** How often each peer is asked for its tip (5 s), and the list of wanted peers looked at (0.5 s): less often where there are very many nodes. */
  readonly intervals?: { readonly pollMs?: number; readonly lookMs?: number }
}

/** A block that was solved, by whom and when. */
export interface SolvedBlock {
  readonly hash: string
  readonly parent: string
  readonly height: number
  readonly by: number
  readonly atMs: number
}

/** How often is looked whether there is rest, in virtual milliseconds. */
const LOOK_MS = 100
const EASY = `0${'f'.repeat(63)}`

/** The network of simulations; `changes` goes over it. */
export function simNetwork({ settleDepth = 6, ...changes }: NonNullable<WorldOptions['network']> = {}): Network {
  const consensus: ConsensusParams = {
    addressPrefix: 'kvsim',
    proofOfWork: 'sha256',
    genesisTimestampMs: EPOCH_MS - 1_000,
    blockIntervalMs: 10_000,
    targetRule: 'fixed',
    initialTarget: EASY,
    easiestTarget: EASY,
    targetWindowBlocks: 60,
    solveTimeClampBlocks: 60,
    maxFutureMs: 60_000,
    maxValueBytes: 65_536,
    maxTransactionBytes: 262_144,
    maxBlockBytes: 4_194_304,
    maxTransactions: 10_000,
    minFeePerByte: 0,
    blockReward: 10,
    allocations: [],
    ...changes,
  }
  return parseNetwork({ name: 'sim', consensus, policy: { mining: 'always', settleDepth, listen: [], bootstrap: [] } })
}

/** Makes a world and starts all its nodes, in virtual time. */
export async function makeWorld(options: WorldOptions): Promise<World> {
  const world = await World.make(options)
  await world.startAll()
  return world
}

export class World {
  readonly nodes: SimNode[] = []
  readonly genesis: Genesis
  readonly links: Links
  /** Every block that was solved by a miner of the usual kind, in order. */
  readonly solved: SolvedBlock[] = []
  /** Hexadecimal txids of the writes that honest nodes accepted, with the node. */
  readonly accepted = new Map<string, SimNode>()
  /** What a node logged as an error, and why a node could not go on. None is right. */
  readonly failures: { readonly node: number; readonly message: string; readonly cause: unknown }[] = []
  /** Called after each event, with the index of the node it happened to (-1: none). What it throws ends the run. */
  onEvent: (owner: number) => void = () => {}
  private readonly loop = new Loop()
  private readonly random: Random
  private readonly byAddress = new Map<string, number>()

  private constructor(
    readonly options: WorldOptions,
    readonly network: Network,
  ) {
    this.random = new Random(options.seed, 0x51)
    this.genesis = makeGenesis(sha256, network)
    const links = { ...LAN, ...options.links }
    this.links = new Links(this.loop, new Random(options.seed, 0x52), options.nodes.length, links)
  }

  /** The world before anything happens: no node runs. */
  static async make(options: WorldOptions): Promise<World> {
    const network = simNetwork(options.network)
    const world = new World(options, network)
    const shared = {
      network,
      genesis: world.genesis,
      targetOutbound: options.targetOutbound ?? 8,
      intervals: options.intervals ?? {},
      maxConnections: options.maxConnections ?? 64,
      poolLimits: { ...LIMITS, ...options.poolLimits },
    }
    const deps = {
      loop: world.loop,
      verifier: new SharedVerifier(),
      rows: new SharedRows(),
      neighbourhood: {
        links: world.links,
        indexAt: (address: string) => world.byAddress.get(address),
        live: (index: number): SimTransport | undefined => world.nodes[index]?.transport,
      },
      observer: world.observer(),
    }
    const { params } = network
    const hashRate = Number(targetWork(params.initialTarget)) / params.blockIntervalMs
    for (const [index, spec] of options.nodes.entries()) {
      const random = new Random(options.seed, 0x1000 + index)
      world.byAddress.set(addressOf(index), index)
      const node = new SimNode(
        {
          ...shared,
          index,
          account: keyPairFromSeed(seededBytes(random, 32)),
          peerId: await peerIdOfSeed(seededBytes(random, 32)),
          bootstrap: world.someBefore(index),
          hashRate: (spec.hashShare ?? 0) * hashRate,
          clockOffsetMs: spec.clockOffsetMs ?? 0,
          diskTimes: { minSyncMs: MIN_SYNC_MS, maxSyncMs: spec.maxSyncMs ?? MAX_SYNC_MS },
          byzantine: spec.byzantine,
        },
        { ...deps, random },
      )
      world.nodes.push(node)
    }
    return world
  }

  /** Addresses of nodes that were made before, by lot: so that everybody is linked with everybody. */
  private someBefore(index: number): string[] {
    const others = this.nodes.slice(0, index)
    const chosen: string[] = []
    for (let left = Math.min(this.options.bootstrap ?? 3, index); left > 0; left--) {
      const [node] = others.splice(below(this.random, others.length), 1)
      if (node !== undefined) chosen.push(`${addressOf(node.index)}/p2p/${node.peerId}`)
    }
    return chosen
  }

  private observer(): SimObserver {
    return {
      begun: (node, ledger) => this.follow(node, ledger),
      solved: (node, block) => {
        this.loop.note(KIND.solved, node.index, block.header.height)
        this.solved.push({
          hash: hex(block.hash),
          parent: hex(block.header.parent),
          height: block.header.height,
          by: node.index,
          atMs: this.loop.nowMs,
        })
      },
      failed: (node, message, cause) => this.failures.push({ node: node.index, message, cause }),
      accepted: (node, txid) => {
        if (node.isHonest) this.accepted.set(txid, node)
      },
    }
  }

  /** Every step of every chain goes into the rolling hash. */
  private follow(node: SimNode, { chain }: LedgerParts): void {
    chain.steps.add(({ kind, node: block }) => {
      this.loop.note(KIND.step, node.index, kind === 'connected' ? firstWord(block) : ~firstWord(block))
    })
  }

  /** Virtual milliseconds since the world began. */
  get nowMs(): number {
    return this.loop.nowMs
  }

  /** How many events there were, and their rolling hash: equal for equal seeds. */
  get events(): { readonly count: number; readonly hash: string } {
    return { count: this.loop.events, hash: this.loop.hash }
  }

  node(index: number): SimNode {
    const node = this.nodes[index]
    if (node === undefined) throw new LabError('lab-options', `there is no node ${index}`)
    return node
  }

  /** Lets time pass until `untilMs` of virtual time. */
  run(untilMs: number): Promise<void> {
    return this.loop.run(untilMs, this.onEvent)
  }

  /** Lets time pass until `work` has ended, and at most for `maxMs`. Throws LabError `lab-timeout`. */
  async finish<T>(work: Promise<T>, maxMs = 600_000): Promise<T> {
    let isDone = false
    const settle = () => {
      isDone = true
    }
    work.then(settle, settle)
    await this.loop.run(this.nowMs + maxMs, this.onEvent, () => isDone)
    if (!isDone) throw new LabError('lab-timeout', `what was waited for took more than ${maxMs} ms of virtual time`)
    return work
  }

  /** Lets time pass until `holds`, looked at after each event. Throws LabError `lab-timeout`. */
  async until(what: string, holds: () => boolean, maxMs: number): Promise<void> {
    await this.loop.run(this.nowMs + maxMs, this.onEvent, holds)
    if (!holds()) throw new LabError('lab-timeout', `${what} took more than ${maxMs} ms of virtual time`)
  }

  /**
   * Lets time pass until all honest nodes run and have one tip, with every accepted write on it. Returns how long that took, in virtual milliseconds. Throws
   * LabError `lab-broken` after `maxMs`.
   */
  async rest(maxMs: number): Promise<number> {
    const startMs = this.nowMs
    while (!this.isAtRest()) {
      if (this.nowMs - startMs >= maxMs) {
        throw new LabError('lab-broken', `seed ${this.options.seed}: no rest within ${maxMs} ms${this.nodesText()}`)
      }
      await this.run(this.nowMs + LOOK_MS)
    }
    return this.nowMs - startMs
  }

  private isAtRest(): boolean {
    const honest = this.nodes.filter(({ isHonest }) => isHonest)
    const ledgers = honest.map(({ running }) => running?.ledger)
    if (ledgers.some((ledger) => ledger === undefined || ledger.chain.isCommitting)) return false
    if (new Set(honest.map(({ tipHash }) => tipHash)).size > 1) return false
    return [...this.accepted.keys()].every((txid) => ledgers[0]?.store.isIndexed(unhex(txid)) === true)
  }

  /** Where everybody stands, for whoever has to find out why. */
  private nodesText(): string {
    const lines = this.nodes.map(({ index, running }) => {
      if (running === undefined) return `\nnode ${index}: down`
      const { chain, store, mempool } = running.ledger
      const missing = [...this.accepted.keys()].filter((txid) => !store.isIndexed(unhex(txid))).length
      const peers = running.transport.host.peerIds().length
      const { height } = chain.tip.header
      const tip = hex(chain.tip.hash).slice(0, 8)
      return `\nnode ${index}: height ${height} ${tip}, ${peers} peers, ${mempool.size} pooled, ${missing} missing`
    })
    return lines.join('')
  }

  /** Has `action` happen later, as an event of nobody's. */
  after(delayMs: number, action: () => void): void {
    this.loop.after(delayMs, KIND.script, -1, action)
  }

  async startAll(): Promise<void> {
    await this.finish(Promise.all(this.nodes.map((node) => node.start())))
  }

  // --- faults ----------------------------------------------------------------------------------------------------------

  /** Groups of nodes that no longer hear of one another; who is in no group is with the others that are in none. */
  partition(...groups: readonly (readonly number[])[]): void {
    this.loop.note(KIND.fault, -1, groups.length)
    this.links.partition(groups)
    this.watchSilence()
  }

  /** A one-way cut. */
  cut(from: number, to: number): void {
    this.loop.note(KIND.fault, from, to)
    this.links.cut(from, to)
    this.watchSilence()
  }

  heal(): void {
    this.loop.note(KIND.fault, -1, 0)
    this.links.heal()
  }

  private watchSilence(): void {
    for (const node of this.nodes) node.transport?.watchSilence()
  }

  /** A loss of power. */
  crash(index: number): void {
    this.loop.note(KIND.fault, index, 1)
    this.node(index).crash()
  }

  /** Starts a node that is down. Takes virtual time: `world.finish(world.restart(i))`, or go on meanwhile. */
  restart(index: number): Promise<void> {
    this.loop.note(KIND.fault, index, 2)
    return this.node(index).start()
  }
}

function firstWord({ hash }: ChainNode): number {
  return new DataView(hash.buffer, hash.byteOffset).getInt32(0)
}
