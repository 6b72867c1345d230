/**
 * Catching up. Owns the knowledge of what peers say of their chains, headers-first sync by locator, and the fetching of bodies from
 * several peers at once. Tips are exchanged at each connect and on a timer, so that gossip is never the only way to learn a block.
 */
import type { Block } from '@kvchain/core/block'
import { BlockError } from '@kvchain/core/checks'
import type { Chain } from '../chain/chain.js'
import { ancestorAt, type ChainNode, isBetter, locatorOf } from '../chain/headerTree.js'
import type { Mempool } from '../mempool/mempool.js'
import type { Fetcher } from '../net/fetcher.js'
import { MAX_HEADERS, MAX_PACKED, type Status } from '../net/messages.js'
import { ownStatus } from '../net/server.js'
import { verdictOn } from '../net/verdict.js'
import { AbortError, NetError, TimeoutError } from '../runtime/errors.js'
import { hex } from '../runtime/hex.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'

/** How often every peer is asked for its tip. */
const POLL_MS = 5_000
/** Blocks asked of one peer at a time, and blocks under way in all. */
const BATCH_BLOCKS = 16
const WINDOW_BLOCKS = 64
/** A node this far behind the best header it knows is catching up, and does not mine. */
const SYNCING_BLOCKS = 3
/** Pause after a round in which no peer could deliver. */
const RETRY_MS = 1_000
/** Transactions fetched at a time from a peer's mempool. */
const POOL_BATCH = 1_000

export interface SyncDeps {
  readonly runtime: Runtime
  readonly chain: Chain
  readonly mempool: Mempool
  readonly fetcher: Fetcher
  readonly peerIds: () => string[]
  readonly penalize: (peerId: string, points: number, reason: string) => void
}

export class Sync extends BaseService {
  private readonly statuses = new Map<string, Status>()
  /** Peers whose headers are being fetched. */
  private readonly asking = new Set<string>()
  private downloading = false
  /** Peers that failed to deliver a body lately: asked again when nobody else is left. */
  private readonly slow = new Set<string>()

  constructor(private readonly deps: SyncDeps) {
    super('sync', deps.runtime.log.child({ module: 'sync' }))
  }

  /** Whether better blocks are known and being fetched. */
  get isSyncing(): boolean {
    const { tree, tip } = this.deps.chain
    return this.downloading && tree.bestHeader.header.height >= tip.header.height + SYNCING_BLOCKS
  }

  /** What a peer last said of its chain. */
  statusOf(peerId: string): Status | undefined {
    return this.statuses.get(peerId)
  }

  onConnected(peerId: string): void {
    this.track('first exchange', async () => {
      await this.exchange(peerId)
      await this.exchangePool(peerId)
    })
  }

  onDisconnected(peerId: string): void {
    this.statuses.delete(peerId)
    this.slow.delete(peerId)
  }

  /** A peer told its status, or is known to have a block that we lack. */
  onStatus(peerId: string, status: Status): void {
    this.statuses.set(peerId, status)
    if (this.isNews(status)) this.track('headers', () => this.fetchHeaders(peerId))
  }

  /** A peer showed that it knows a block which we cannot place: asks it for its tip now. */
  onBehind(peerId: string): void {
    this.track('exchange', () => this.exchange(peerId))
  }

  private async exchange(peerId: string): Promise<void> {
    await this.blaming(peerId, async () => {
      this.onStatus(peerId, await this.deps.fetcher.status(peerId, ownStatus(this.deps.chain), this.signal))
    })
  }

  /** Whether a peer's tip is one that we lack, or lack an ancestor of, and would follow. */
  private isNews({ tipHash, chainwork }: Status): boolean {
    const { tree, tip } = this.deps.chain
    const node = tree.get(tipHash)
    if (node !== undefined) return !node.complete && !node.invalid
    return chainwork >= tip.chainwork
  }

  private async fetchHeaders(peerId: string): Promise<void> {
    if (this.asking.has(peerId)) return
    this.asking.add(peerId)
    try {
      await this.blaming(peerId, () => this.followHeaders(peerId))
    } finally {
      this.asking.delete(peerId)
    }
    if (!this.downloading) this.track('bodies', () => this.download())
  }

  private async followHeaders(peerId: string): Promise<void> {
    const { chain, fetcher, runtime } = this.deps
    let from = chain.tree.bestHeader
    for (;;) {
      const headers = await fetcher.headers(peerId, locatorOf(from), this.signal)
      const last = chain.addHeaders(headers)
      if (last === undefined || last === from || headers.length < MAX_HEADERS) return
      from = last
      this.log.info({ height: last.header.height, peerId }, 'headers')
      await runtime.timers.yield()
    }
  }

  /** Fetches the bodies of the best chain of headers, window after window, until there is nothing better to have. */
  private async download(): Promise<void> {
    if (this.downloading) return
    this.downloading = true
    try {
      for (;;) {
        const wanted = this.nextWanted()
        if (wanted.length === 0) return
        const failed = this.slow.size
        const progress = await this.fetchWindow(wanted)
        // With a peer found out, the next one is asked at once.
        if (progress || (this.slow.size > failed && this.hasFresh())) continue
        await this.deps.runtime.timers.sleep(RETRY_MS, this.signal)
      }
    } finally {
      this.downloading = false
    }
  }

  /** The lowest blocks of the best header chain whose bodies are missing. */
  private nextWanted(): ChainNode[] {
    const { tree, tip } = this.deps.chain
    const goal = tree.bestHeader
    if (!isBetter(goal, tip)) return []
    let low: ChainNode | undefined = goal
    while (low !== undefined && !low.complete) low = low.parent
    const top = ancestorAt(goal, (low?.header.height ?? 0) + WINDOW_BLOCKS)
    const wanted: ChainNode[] = []
    for (let at = top; at !== undefined && at !== low; at = at.parent) if (!at.hasBody) wanted.push(at)
    return wanted.reverse()
  }

  /** Asks several peers for their share and takes in what comes, in order. True when at least one block came. */
  private async fetchWindow(wanted: readonly ChainNode[]): Promise<boolean> {
    const peers = this.sources()
    if (peers.length === 0) return false
    const batches: ChainNode[][] = []
    const size = Math.max(1, Math.min(BATCH_BLOCKS, Math.ceil(wanted.length / peers.length)))
    for (let i = 0; i < wanted.length; i += size) batches.push(wanted.slice(i, i + size))
    const fetches = batches.map((batch, i) => this.fetchBatch(peers[i % peers.length] ?? '', batch))
    // Awaited one after the other: one that fails before its turn must not count as unhandled.
    for (const fetch of fetches) fetch.catch(() => {})
    let progress = false
    for (const fetch of fetches) {
      for (const { block, peerId } of await fetch) progress = (await this.takeIn(block, peerId)) || progress
    }
    if (this.isSyncing) this.log.info(this.progress(), 'catching up')
    return progress
  }

  private progress(): { height: number; of: number } {
    const { tree, tip } = this.deps.chain
    return { height: tip.header.height, of: tree.bestHeader.header.height }
  }

  private hasFresh(): boolean {
    return this.deps.peerIds().some((peerId) => !this.slow.has(peerId))
  }

  /** Connected peers but for those that lately failed. Once all of them have, all begin anew: not before, or the same would be asked for ever. */
  private sources(): string[] {
    const peers = this.deps.peerIds()
    const good = peers.filter((peerId) => !this.slow.has(peerId))
    if (good.length > 0) return good
    this.slow.clear()
    return peers
  }

  private async fetchBatch(peerId: string, batch: readonly ChainNode[]): Promise<{ block: Block; peerId: string }[]> {
    const blocks: { block: Block; peerId: string }[] = []
    await this.blaming(peerId, async () => {
      const hashes = batch.map(({ hash }) => hash)
      const answer = await this.deps.fetcher.blocks(peerId, hashes, this.signal)
      for (const block of answer) if (block !== undefined) blocks.push({ block, peerId })
    })
    if (blocks.length === 0) this.slow.add(peerId)
    return blocks
  }

  private async takeIn(block: Block, peerId: string): Promise<boolean> {
    let taken = false
    await this.blaming(peerId, async () => {
      await this.deps.chain.addBlock(block, peerId)
      taken = true
    })
    return taken
  }

  /** What waits in the peer's mempool and not in ours: gossip does not repeat what was told before we came. */
  private async exchangePool(peerId: string): Promise<void> {
    await this.blaming(peerId, async () => {
      const { fetcher, mempool, chain } = this.deps
      const unknown = (await fetcher.poolIds(peerId, this.signal)).filter(
        (txid) => mempool.get(hex(txid)) === undefined && chain.store.location(txid) === undefined,
      )
      for (let i = 0; i < unknown.length; i += POOL_BATCH) {
        const batch = unknown.slice(i, Math.min(i + POOL_BATCH, i + MAX_PACKED))
        for (const result of await mempool.addAll(await fetcher.transactions(peerId, batch, this.signal))) {
          const verdict = verdictOn(result)
          if (verdict !== undefined && verdict.penalty > 0) this.deps.penalize(peerId, verdict.penalty, 'pool')
        }
      }
    })
  }

  /** Runs work that depends on a peer: a violation is charged to it, a failure of the network is taken as bad luck. */
  private async blaming(peerId: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const verdict = verdictOn(error)
      if (verdict !== undefined) {
        const code = error instanceof BlockError ? error.code : 'violation'
        this.log.debug({ peerId, code }, 'sync refused')
        if (verdict.penalty > 0) this.deps.penalize(peerId, verdict.penalty, code)
        return
      }
      if (error instanceof AbortError) throw error
      if (!(error instanceof NetError || error instanceof TimeoutError)) throw error
      this.log.debug({ peerId, err: error }, 'a peer did not answer')
    }
  }

  private async poll(): Promise<void> {
    for (;;) {
      await this.deps.runtime.timers.sleep(POLL_MS, this.signal)
      await Promise.all(this.deps.peerIds().map((peerId) => this.exchange(peerId)))
    }
  }

  protected async onStart(): Promise<void> {
    this.track('polling', () => this.poll())
  }

  protected async onStop(): Promise<void> {}
}
