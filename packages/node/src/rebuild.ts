/**
 * A database made anew from what is whole of a damaged one: the best chain whose blocks are all there is connected again, block by block, from
 * genesis, so that every rule is checked; peers give the rest later. Owns the order of the steps, each of which a crash may follow (folders.ts).
 */
import { BlockError } from '@kvchain/core/checks'
import type { Genesis } from '@kvchain/core/genesis'
import type { Network } from '@kvchain/core/params'
import { Chain } from './chain/chain.js'
import { type ChainNode, findForkPoint, HeaderTree, isBetter, pathBetween } from './chain/headerTree.js'
import type { SignatureVerifier } from './crypto/verifyPool.js'
import { type Progress, ProgressTeller } from './progress.js'
import { StoreError } from './runtime/errors.js'
import type { Failpoints } from './runtime/failpoints.js'
import type { Log, Runtime } from './runtime/runtime.js'
import { ChainStore } from './store/chainStore.js'
import { Database } from './store/database.js'
import {
  damagedFolder,
  markSuspect,
  moveAside,
  moveBack,
  newFolder,
  removeNew,
  resumeFolders,
  swapIn,
} from './store/folders.js'
import type { StoredHeader } from './store/records.js'
import { salvage } from './store/salvage.js'

export interface RebuildOptions {
  readonly dataDir: string
  readonly network: Network
  readonly genesis: Genesis
  readonly runtime: Runtime
  readonly verifier: SignatureVerifier
  readonly failpoints: Failpoints
  /** Told now and then. Default: the log. */
  readonly onProgress?: (progress: Progress) => void
}

/** What came of it. */
export interface Rebuilt {
  readonly height: number
  /** Of the best header that was found: what is above `height` must come from peers. */
  readonly bestHeight: number
}

const PROGRESS_MS = 2_000

/**
 * Makes the database of a data folder anew, from wherever an earlier attempt ended. The folder must be locked. Throws StoreError when it is not ours to
 * touch.
 */
export async function rebuild(options: RebuildOptions): Promise<Rebuilt> {
  const log = options.runtime.log.child({ module: 'rebuild' })
  const { onProgress = (progress: Progress) => log.info(progress, 'making the database anew') } = options
  const teller = new ProgressTeller(options.runtime.clock, PROGRESS_MS, onProgress)
  await resumeFolders(options)
  markSuspect(options, 'the database is damaged and is being made anew')
  await moveAside(options)
  let rebuilt: Rebuilt
  try {
    rebuilt = await fill(options, teller, log)
  } catch (error) {
    const isForeign = error instanceof StoreError && ['store-schema', 'store-network'].includes(error.code)
    if (isForeign) await moveBack(options)
    throw error
  }
  await swapIn(options)
  const isWhole = rebuilt.height >= rebuilt.bestHeight
  log.warn({ ...rebuilt }, isWhole ? 'the database is new' : 'the database is new; peers must give the blocks above')
  return rebuilt
}

/** The new database, complete and closed when it resolves. */
async function fill(options: RebuildOptions, teller: ProgressTeller, log: Log): Promise<Rebuilt> {
  const { dataDir, genesis, failpoints } = options
  await removeNew(dataDir)
  const database = new Database(newFolder(dataDir), log, { failpoints })
  await database.start()
  try {
    const { chain, failure } = makeChain(options, database, log)
    await chain.start()
    try {
      failpoints.pass('salvage-before')
      const onFile = (done: number, of: number) => teller.note('files read', done, of)
      const folder = damagedFolder(dataDir)
      const headers = await salvage({ dataDir, folder, genesis, log, target: database, onFile })
      failpoints.pass('salvage-after')
      failpoints.pass('replay-before')
      const bestHeight = await new Replay(chain, options.genesis, teller, log).run(headers)
      failpoints.pass('replay-after')
      return { height: chain.tip.header.height, bestHeight }
    } finally {
      if (failure.error === undefined) await chain.stop()
    }
  } finally {
    await database.stop()
  }
}

/** A chain by itself: nobody writes, nobody follows it. */
function makeChain({ network, genesis, runtime, verifier }: RebuildOptions, database: Database, log: Log) {
  const failure: { error?: unknown } = {}
  const chain = new Chain(network, genesis, {
    runtime,
    store: new ChainStore(database, genesis, log),
    verifier,
    isVerified: () => false,
    afterCommit: async () => {},
    onFatal: (error) => {
      failure.error ??= error
    },
  })
  return { chain, failure }
}

/** Connects the best chain whose blocks are whole. */
class Replay {
  private readonly tree: HeaderTree

  constructor(
    private readonly chain: Chain,
    genesis: Genesis,
    private readonly teller: ProgressTeller,
    private readonly log: Log,
  ) {
    this.tree = new HeaderTree(genesis.header, genesis.hash)
  }

  /** Returns the height of the best header. */
  async run(headers: readonly StoredHeader[]): Promise<number> {
    const nodes: ChainNode[] = []
    for (const { header, hash } of headers) {
      const isConnected = this.tree.get(hash) === undefined && this.tree.get(header.parent) !== undefined
      // Taken for complete until its block is looked at.
      if (isConnected) nodes.push(this.tree.add(header, hash, { hasBody: true }))
    }
    const bestHeight = this.tree.bestHeader.header.height
    for (let goal = this.goal(); goal !== undefined; goal = this.goal()) await this.goTo(goal)
    // The branches that lost, lowest first: so that they need not be fetched again.
    for (const node of nodes) {
      if (!node.invalid && this.chain.tree.get(node.hash) === undefined && !(await this.take(node))) {
        this.tree.markInvalid(node)
      }
    }
    return bestHeight
  }

  /** The best block that is better than the tip and not found wanting. */
  private goal(): ChainNode | undefined {
    const { bestComplete } = this.tree
    return isBetter(bestComplete, this.chain.tip) ? bestComplete : undefined
  }

  private async goTo(goal: ChainNode): Promise<void> {
    const known = this.tree.get(this.chain.tip.hash) ?? this.tree.genesis
    for (const node of pathBetween(findForkPoint(known, goal), goal)) {
      if (!(await this.take(node))) {
        // Here: not to be had.
        this.tree.markInvalid(node)
        return
      }
      this.teller.note('blocks connected', this.chain.tip.header.height, goal.header.height)
    }
    // The chain has found something wrong on the way.
    if (this.goal() === goal) this.tree.markInvalid(goal)
  }

  private async take(node: ChainNode): Promise<boolean> {
    const { header, hash } = node
    const transactions = this.chain.store.bodyWithValues(hash)
    if (transactions === undefined) return false
    if (transactions.some(({ transaction }) => transaction.values === undefined)) return false
    try {
      await this.chain.addBlock({ header, transactions }, 'rebuild')
      return true
    } catch (error) {
      if (!(error instanceof BlockError)) throw error
      this.log.warn({ code: error.code, height: node.header.height }, 'a stored block breaks a rule')
      return false
    }
  }
}
