/**
 * The chain: which blocks are known, which branch is the main one, and the state at its tip. Owns the order of every change:
 * check cheaply, check in context, apply to a view, one atomic commit, then memory, then the awaited hook, then observers. One
 * writer at a time. Knows nothing of networks, mempools or miners.
 */
import type { Block, IncludedTransaction } from '@kvchain/core/block'
import { equalBytes } from '@kvchain/core/bytes'
import { BlockError, blockTransactionError, checkBody, checkHeader, signatureError } from '@kvchain/core/checks'
import { assert } from '@kvchain/core/errors'
import type { Genesis } from '@kvchain/core/genesis'
import type { Header } from '@kvchain/core/header'
import type { Network, Params } from '@kvchain/core/params'
import { targetWork } from '@kvchain/core/pow'
import { checkHeaderContext, checkHeaderTime } from '@kvchain/core/rules'
import { treeChanges, undoTreeChanges } from '@kvchain/core/state'
import type { Transaction } from '@kvchain/core/transaction'
import type { StateTree } from '@kvchain/core/tree'
import { sha256 } from '../crypto/sodium.js'
import type { SignatureVerifier } from '../crypto/verifyPool.js'
import { hex } from '../runtime/hex.js'
import { Mutex } from '../runtime/mutex.js'
import { Observers } from '../runtime/observers.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import type { ChainStore, ConnectOptions } from '../store/chainStore.js'
import { executeBlock } from './executor.js'
import { type ChainNode, findForkPoint, HeaderTree, isBetter, pathBetween } from './headerTree.js'
import { OrphanPool } from './orphans.js'

/** One step of the main chain, told to the hook and to observers after it is on disk. */
export interface ChainStep {
  readonly kind: 'connected' | 'disconnected'
  readonly node: ChainNode
  readonly transactions: readonly IncludedTransaction[]
}

/** What became of a block that was handed in. */
export type BlockResult =
  /** It is the tip now, or was on the way there. */
  | 'connected'
  /** It is kept, off the main chain. */
  | 'stored'
  /** It was here already. */
  | 'known'

export interface ChainDeps {
  readonly runtime: Runtime
  readonly store: ChainStore
  readonly verifier: SignatureVerifier
  /** Whether the signature of this very transaction was checked before. */
  readonly isVerified: (transaction: Transaction) => boolean
  /** Awaited after each commit, before the next change: the mempool follows the chain through it. */
  readonly afterCommit: (step: ChainStep) => Promise<void>
  /** A commit failed: memory and disk may disagree, the node must stop. */
  readonly onFatal: (error: unknown) => void
}

export interface AddOptions {
  /** Called for a new block that is one by its header and its bytes: what is left is signatures and execution. */
  readonly onChecked?: () => void
  /** What the block waits for once its signatures are checked, so that blocks which are checked at the same time join in order. Never rejects. */
  readonly after?: Promise<unknown>
  /**
   * false: the chain goes on before the block is safe from a power cut. Only for blocks that others have, when a durable one follows soon: many times
   * as fast. Default true.
   */
  readonly durable?: boolean
}

/** Changes of the chain that may wait. Blocks come from at most some dozens of peers. */
const MAX_WAITING = 1_024
const MAX_ORPHAN_BYTES = 32 << 20
/** Branches that have this many blocks of work less than ours are of no use, and could be had for little. */
const MARGIN_BLOCKS = 144n

export class Chain extends BaseService {
  readonly params: Params
  readonly tree: HeaderTree
  /** Every step of the main chain, for observers. */
  readonly steps: Observers<ChainStep>
  /** The tip after each change, a reorg counting as one. */
  readonly tips: Observers<ChainNode>
  private readonly orphans = new OrphanPool(MAX_ORPHAN_BYTES)
  private readonly mutex = new Mutex('the queue of chain changes', MAX_WAITING)
  private readonly minimumWork: bigint
  private tip_: ChainNode
  private stateTree_: StateTree
  private committing: Promise<void> | undefined

  constructor(
    network: Network,
    readonly genesis: Genesis,
    private readonly deps: ChainDeps,
  ) {
    super('chain', deps.runtime.log.child({ module: 'chain' }))
    deps.store.expectBodies((hash) => this.tree.get(hash)?.hasBody === true)
    this.params = network.params
    this.minimumWork = BigInt(`0x${network.policy.minimumChainwork ?? '0'}`)
    this.tree = new HeaderTree(genesis.header, genesis.hash)
    this.tip_ = this.tree.genesis
    this.stateTree_ = genesis.tree
    this.steps = new Observers(this.log)
    this.tips = new Observers(this.log)
  }

  /** The best tip. */
  get tip(): ChainNode {
    return this.tip_
  }

  /** The state tree at the best tip. */
  get stateTree(): StateTree {
    return this.stateTree_
  }

  /**
   * The chainwork that a branch of others must show before any of it is kept: that of the network's policy, or the tip's but for some blocks, whichever
   * is more. What comes by `addHeaders` and `addBlock` is kept in any case: whoever brings it asks before.
   */
  get requiredWork(): bigint {
    const { chainwork, header } = this.tip_
    const own = chainwork - targetWork(header.target) * MARGIN_BLOCKS
    return own > this.minimumWork ? own : this.minimumWork
  }

  get store(): ChainStore {
    return this.deps.store
  }

  /** Whether a block is on the main chain. */
  isMain(node: ChainNode): boolean {
    const hash = this.deps.store.hashAt(node.header.height)
    return hash !== undefined && equalBytes(hash, node.hash)
  }

  /** The block of the main chain at a height. */
  nodeAt(height: number): ChainNode | undefined {
    const hash = this.deps.store.hashAt(height)
    return hash && this.tree.get(hash)
  }

  /**
   * Takes headers in, each the child of one that is known. Returns the last. Throws BlockError at the first that breaks a rule; those before
   * it stay. Stores nothing on disk.
   */
  addHeaders(headers: readonly Header[]): ChainNode | undefined {
    let last: ChainNode | undefined
    for (const header of headers) last = this.admitHeader(header)
    return last
  }

  /** Checks a header against all rules and puts it into the tree, if it is not there. */
  private admitHeader(header: Header): ChainNode {
    const hash = checkHeader(this.params, sha256, header)
    const known = this.tree.get(hash)
    if (known !== undefined) {
      if (known.invalid) throw new BlockError('block-known-invalid', 'the block was found invalid before')
      return known
    }
    const parent = this.tree.get(header.parent)
    if (parent === undefined) throw new BlockError('block-orphan', 'the parent is not known')
    if (parent.invalid) throw new BlockError('block-invalid-ancestor', 'an ancestor is invalid')
    checkHeaderContext(this.params, header, this.tree.contextFor(parent))
    checkHeaderTime(this.params, header, this.deps.runtime.clock.nowMs())
    return this.tree.add(header, hash, { hasBody: false })
  }

  /**
   * Takes a block in. `from` says who sent it, for the orphan pool's fairness. Throws BlockError when it breaks a rule, and with `block-orphan`
   * when its parent is unknown (it is kept and tried again once the parent comes).
   */
  async addBlock(block: Block, from: string, options: AddOptions = {}): Promise<BlockResult> {
    const hash = checkHeader(this.params, sha256, block.header)
    if (this.tree.get(block.header.parent) === undefined) {
      checkBody(this.params, sha256, block)
      this.orphans.add(block, hash, from)
      throw new BlockError('block-orphan', 'the parent is not known')
    }
    const node = this.admitHeader(block.header)
    if (node.hasBody) return 'known'
    await this.checkContent(node, block, options.onChecked)
    await options.after
    const result = await this.mutex.run(() => this.accept(node, block, options.durable !== false))
    for (const orphan of this.orphans.takeChildren(hash)) this.retryOrphan(orphan.block, orphan.from)
    return result
  }

  private retryOrphan(block: Block, from: string): void {
    this.track('orphan', async () => {
      try {
        await this.addBlock(block, from)
      } catch (error) {
        if (!(error instanceof BlockError)) throw error
        this.log.debug({ code: error.code, from }, 'orphan refused')
      }
    })
  }

  /** Body and signatures. What the header commits to and breaks a rule makes the block invalid for ever. */
  private async checkContent(node: ChainNode, block: Block, onChecked: (() => void) | undefined): Promise<void> {
    try {
      checkBody(this.params, sha256, block)
      onChecked?.()
      await this.checkSignatures(block)
    } catch (error) {
      if (error instanceof BlockError && error.code !== 'block-mutated') {
        await this.mutex.run(() => this.markInvalid(node, error))
      }
      throw error
    }
  }

  private async markInvalid(node: ChainNode, { code }: BlockError): Promise<void> {
    await this.commit(
      () => this.deps.store.markInvalid(node.header, node.hash),
      () => this.tree.markInvalid(node),
    )
    this.log.warn({ code, height: node.header.height, hash: hex(node.hash) }, 'invalid block')
  }

  private async checkSignatures(block: Block): Promise<void> {
    const unverified: { index: number; transaction: Transaction }[] = []
    for (const [index, { transaction }] of block.transactions.entries()) {
      if (!this.deps.isVerified(transaction)) unverified.push({ index, transaction })
    }
    if (unverified.length === 0) return
    const verdicts = await this.deps.verifier.verifyBatch(
      unverified.map(({ transaction: { signature, txid, body } }) => ({
        signature,
        message: txid,
        publicKey: body.sender,
      })),
    )
    const bad = unverified[verdicts.indexOf(false)]
    if (bad !== undefined) throw blockTransactionError(signatureError(), bad.index)
  }

  private async accept(node: ChainNode, block: Block, isDurable: boolean): Promise<BlockResult> {
    if (node.hasBody) return 'known'
    if (node.invalid) throw new BlockError('block-known-invalid', 'the block was found invalid before')
    if (node.parent === this.tip_) {
      await this.connect(node, block, { isStored: false, isDurable })
      this.tree.markBody(node)
      this.tips.notify(this.tip_)
      // Bodies that came before this one may have waited for it.
      await this.activateBest()
      return 'connected'
    }
    await this.deps.store.storeBlock(block, node.hash)
    this.tree.markBody(node)
    await this.activateBest()
    return this.isMain(node) ? 'connected' : 'stored'
  }

  /** Moves the tip to the best complete block, however far away. An invalid branch on the way is marked and left. */
  private async activateBest(): Promise<void> {
    const { store } = this.deps
    let moved = false
    while (isBetter(this.tree.bestComplete, this.tip_)) {
      const goal = this.tree.bestComplete
      const fork = findForkPoint(this.tip_, goal)
      if (fork !== this.tip_) {
        const depth = this.tip_.header.height - fork.header.height
        this.log.info({ depth, forkHeight: fork.header.height, to: hex(goal.hash) }, 'reorg')
        store.failpoints.pass('reorg-begin')
        while (this.tip_ !== fork) await this.disconnectTip()
        store.failpoints.pass('reorg-fork')
      }
      moved = true
      for (const node of pathBetween(fork, goal)) {
        const transactions = store.bodyWithValues(node.hash)
        assert(transactions !== undefined, 'a complete block has a body')
        try {
          await this.connect(node, { header: node.header, transactions }, { isStored: true, isDurable: true })
        } catch (error) {
          if (!(error instanceof BlockError)) throw error
          break
        }
      }
    }
    if (!moved) return
    store.failpoints.pass('reorg-end')
    this.tips.notify(this.tip_)
  }

  /** Executes a block on the tip and commits it. Throws BlockError, and marks the block invalid, when execution disagrees. */
  private async connect(node: ChainNode, block: Block, options: ConnectOptions): Promise<void> {
    assert(node.parent === this.tip_, 'a block is connected to the tip')
    const { header, transactions } = block
    const step: ChainStep = { kind: 'connected', node, transactions }
    const context = { params: this.params, sha256, height: header.height }
    try {
      const { store, runtime } = this.deps
      const changes = await executeBlock(store.unchecked, transactions, header.miner, context, runtime.timers)
      const state = store.guardTree(() => this.stateTree_.update(treeChanges(sha256, changes)))
      if (!equalBytes(state.root, header.stateRoot)) {
        throw new BlockError('block-state-root', 'the state root is not what the transactions make', {
          height: header.height,
        })
      }
      await this.commit(
        () => this.deps.store.connect(block, node.hash, changes, state, options),
        () => this.moveTip(node, state, step),
      )
      // Nothing was waited for: many blocks in a row would hold the event loop.
      if (!options.isDurable) await runtime.timers.yield()
    } catch (error) {
      if (error instanceof BlockError) {
        this.checkTouched(block)
        await this.markInvalid(node, error)
      }
      throw error
    }
    this.log.debug({ height: header.height, transactions: transactions.length }, 'connected')
    this.steps.notify(step)
  }

  /** Before a block is held to be invalid: what it reads of the state is what the state root of the tip says. Throws `store-corrupt`. */
  private checkTouched({ header, transactions }: Block): void {
    const { store } = this.deps
    store.account(header.miner)
    for (const { transaction } of transactions) {
      store.account(transaction.body.sender)
      for (const operation of transaction.body.operations) {
        if (operation.kind === 'transfer') store.account(operation.to)
        else store.entry(operation.key)
      }
    }
  }

  private async disconnectTip(): Promise<void> {
    const node = this.tip_
    const { parent, header, hash } = node
    assert(parent !== undefined, 'genesis is never disconnected')
    const { store } = this.deps
    const undo = store.undo(hash)
    const transactions = store.bodyWithValues(hash)
    assert(transactions !== undefined, 'a connected block has a body')
    const step: ChainStep = { kind: 'disconnected', node, transactions }
    const state = store.guardTree(() => this.stateTree_.update(undoTreeChanges(sha256, undo)))
    if (!equalBytes(state.root, parent.header.stateRoot)) {
      throw store.damage('undoing a block does not give the state before it')
    }
    await this.commit(
      () => store.disconnect(header, hash, transactions, undo, state),
      () => this.moveTip(parent, state, step),
    )
    this.steps.notify(step)
  }

  /** Memory after disk, the hook (the mempool) after memory: all before anybody reads again. */
  private async moveTip(node: ChainNode, state: StateTree, step: ChainStep): Promise<void> {
    this.tip_ = node
    this.stateTree_ = state
    await this.deps.afterCommit(step)
  }

  /** Resolves when what is on disk and what is in memory are of the same tip: at once, unless a commit is under way. */
  async consistent(): Promise<void> {
    while (this.committing !== undefined) await this.committing
  }

  /**
   * What `read` gives, all of it of one tip: it must not wait, and runs when no commit is under way. After `consistent` alone one may have begun by
   * the time that its caller goes on.
   */
  async steady<T>(read: () => T): Promise<T> {
    do await this.consistent()
    while (this.committing !== undefined)
    return read()
  }

  /** Whether a commit is under way: reads of the state may then be of the old tip or of the new one. */
  get isCommitting(): boolean {
    return this.committing !== undefined
  }

  private async commit(write: () => Promise<void>, remember: () => void | Promise<void>): Promise<void> {
    let done = () => {}
    this.committing = new Promise((resolve) => {
      done = resolve
    })
    try {
      await write()
      await remember()
    } catch (error) {
      this.deps.onFatal(error)
      throw error
    } finally {
      this.committing = undefined
      done()
    }
  }

  protected async onStart(): Promise<void> {
    const { store } = this.deps
    const tipHash = await store.initialise()
    for await (const { header, hash, invalid } of store.headers()) {
      if (equalBytes(hash, this.genesis.hash)) continue
      // The body of its parent had not come yet when this one was stored, so it hangs in the air: both are fetched again.
      if (this.tree.get(header.parent) === undefined) continue
      this.tree.add(header, hash, { hasBody: !invalid, invalid })
    }
    const tip = this.tree.get(tipHash)
    if (tip === undefined) throw store.damage('the tip has lost its header')
    this.tip_ = tip
    const main = [this.genesis.hash, ...pathBetween(this.tree.genesis, tip).map(({ hash }) => hash)]
    this.stateTree_ = await store.openState(tip.header, main)
    await this.mutex.run(() => this.activateBest())
    this.log.info({ height: this.tip_.header.height, headers: this.tree.size }, 'chain loaded')
  }

  protected async onStop(): Promise<void> {
    // After the change under way.
    await this.mutex.run(async () => {})
  }
}
