/**
 * The miner: decides when to work, on what, and hands solved blocks to the chain. The search itself runs in worker threads
 * (powPool.ts); a new tip calls it off at once.
 */

import { transactionRoot } from '@kvchain/core/block'
import { equalBytes } from '@kvchain/core/bytes'
import { BlockError } from '@kvchain/core/checks'
import { headerHash } from '@kvchain/core/header'
import type { Chain } from '../chain/chain.js'
import type { ChainNode } from '../chain/headerTree.js'
import { sha256 } from '../crypto/sodium.js'
import type { Mempool } from '../mempool/mempool.js'
import { AbortError } from '../runtime/errors.js'
import { hex } from '../runtime/hex.js'
import { Observers } from '../runtime/observers.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import type { PowSearcher } from './powPool.js'
import { type Template, TemplateBuilder } from './template.js'

/** off: never. always: whatever is there. pending: only while something can be confirmed, or is unsettled. */
export type MiningMode = 'off' | 'always' | 'pending'

export interface MinerOptions {
  readonly mode: MiningMode
  /** Who is paid. */
  readonly account: Uint8Array
  readonly settleDepth: number
}

export interface MinerDeps {
  readonly runtime: Runtime
  readonly chain: Chain
  readonly mempool: Mempool
  readonly searcher: PowSearcher
  /** Nothing is mined while better blocks are being fetched. */
  readonly isSyncing: () => boolean
  /** A client waits for confirmations, perhaps for more of them than settle a write. */
  readonly isAwaited: () => boolean
}

/** The whole nonce space: never exhausted in practice, still handled. */
const NONCES = Number.MAX_SAFE_INTEGER
/**
 * A template is replaced this long after new transactions came, or after an eighth of the interval where that is longer: often enough to be
 * fresh, seldom enough that the few milliseconds of search which each change throws away do not count.
 */
const MIN_REFRESH_MS = 250
/** An empty block is no use to whoever just wrote. */
const EMPTY_REFRESH_MS = 10
/** How often conditions that nobody announces (syncing, clock) are looked at again. */
const IDLE_CHECK_MS = 500

export class Miner extends BaseService {
  /** Blocks that this node solved, once they are connected. */
  readonly solved: Observers<ChainNode>
  private readonly builder: TemplateBuilder
  private readonly emptyRoot = transactionRoot(sha256, [])
  /** Calls off the search under way, or ends the wait. */
  private interrupt = new AbortController()
  private preparing: Promise<Template | undefined> | undefined
  /** The last template without transactions. */
  private barren: Template | undefined
  private active_ = false
  private idle_ = false

  constructor(
    private readonly options: MinerOptions,
    private readonly deps: MinerDeps,
  ) {
    super('miner', deps.runtime.log.child({ module: 'miner' }))
    this.solved = new Observers(this.log)
    this.builder = new TemplateBuilder(deps.chain, deps.mempool, options.account, deps.runtime)
  }

  /** Whether a search is under way. */
  get active(): boolean {
    return this.active_
  }

  get mode(): MiningMode {
    return this.options.mode
  }

  private async run(): Promise<void> {
    while (!this.signal.aborted) {
      this.interrupt = new AbortController()
      try {
        if (this.isWanted()) await this.mineOne()
        else await this.idle()
      } catch (error) {
        if (error instanceof AbortError) continue
        this.log.error({ err: error }, 'mining failed, trying again')
        await this.idle().catch(() => {})
      }
    }
  }

  private async idle(): Promise<void> {
    this.idle_ = true
    try {
      await this.deps.runtime.timers.sleep(IDLE_CHECK_MS, this.interrupt.signal)
    } finally {
      this.idle_ = false
    }
  }

  private isWanted(): boolean {
    if (this.deps.isSyncing()) return false
    if (this.options.mode === 'always' || this.deps.isAwaited() || this.hasUnsettledWrite()) return true
    return this.deps.mempool.size > 0 && !this.isBarren()
  }

  /** Whether nothing in the pool can be in a block on this tip: nonces that do not follow on, fees that nobody can pay. They may wait for long. */
  private isBarren(): boolean {
    const { chain, mempool } = this.deps
    return this.barren?.parent === chain.tip && this.barren.arrivalCount === mempool.arrivalCount
  }

  /** Whether one of the newest blocks, too young to be settled, holds transactions. */
  private hasUnsettledWrite(): boolean {
    let node: ChainNode | undefined = this.deps.chain.tip
    for (let depth = 1; node?.parent !== undefined && depth < this.options.settleDepth; depth++) {
      if (!equalBytes(node.header.txRoot, this.emptyRoot)) return true
      node = node.parent
    }
    return false
  }

  private async mineOne(): Promise<void> {
    const template = await this.nextTemplate()
    if (template === undefined) return
    if (template.transactions.length === 0) {
      this.barren = template
      if (!this.isWanted()) return
    }
    const cancelRefresh = this.refreshOnArrival(template)
    this.active_ = true
    try {
      const nonce = await this.deps.searcher.search(
        { commitment: template.commitment, target: template.header.target, start: 0, count: NONCES },
        this.interrupt.signal,
      )
      if (nonce !== undefined) await this.hand(template, nonce)
    } finally {
      this.active_ = false
      cancelRefresh()
    }
  }

  /** The template that was built while the last one was searched, if the tip is still its parent; else a new one. */
  private async nextTemplate(): Promise<Template | undefined> {
    const pending = this.preparing
    this.preparing = undefined
    const prepared = await pending
    return prepared?.parent === this.deps.chain.tip ? prepared : this.builder.build()
  }

  /** Calls the search off some time after the first arrival that the template lacks. Returns the function that takes this back. */
  private refreshOnArrival(template: Template): () => void {
    const { runtime, chain, mempool } = this.deps
    const interrupt = this.interrupt
    const isEmpty = template.transactions.length === 0
    const delayMs = isEmpty ? EMPTY_REFRESH_MS : Math.max(MIN_REFRESH_MS, chain.params.blockIntervalMs / 8)
    let cancelTimer = () => {}
    let waiting = false
    const refresh = () => {
      if (waiting) return
      waiting = true
      cancelTimer = runtime.timers.after(delayMs, () => this.prepare(interrupt))
    }
    const removeObserver = mempool.added.add(refresh)
    if (mempool.arrivalCount !== template.arrivalCount) refresh()
    return () => {
      removeObserver()
      cancelTimer()
    }
  }

  /** Builds the next template while the search goes on, then calls it off. */
  private prepare(interrupt: AbortController): void {
    this.track('preparing a template', async () => {
      this.preparing = this.builder.build()
      await this.preparing
      interrupt.abort()
    })
  }

  private async hand(template: Template, nonce: number): Promise<void> {
    const { chain } = this.deps
    const block = { header: { ...template.header, nonce }, transactions: template.transactions }
    try {
      const result = await chain.addBlock(block, 'miner')
      const node = chain.tree.get(headerHash(sha256, block.header))
      this.log.debug({ height: block.header.height, transactions: block.transactions.length, result }, 'block solved')
      if (node !== undefined) this.solved.notify(node)
    } catch (error) {
      if (!(error instanceof BlockError)) throw error
      this.log.warn(
        { code: error.code, height: block.header.height, parent: hex(template.parent.hash) },
        'own block refused',
      )
    }
  }

  protected async onStart(): Promise<void> {
    if (this.options.mode === 'off') return
    const wake = () => this.interrupt.abort()
    const removeTip = this.deps.chain.tips.add(wake)
    const removeArrival = this.deps.mempool.added.add(() => {
      if (this.idle_) wake()
    })
    this.signal.addEventListener('abort', () => {
      removeTip()
      removeArrival()
      wake()
    })
    this.track('mining', () => this.run())
  }

  protected async onStop(): Promise<void> {}
}
