/**
 * Catching up. Owns the knowledge of what peers say of their chains, and when their headers (headers.ts) and bodies
 * (bodies.ts) are fetched. Tips are exchanged at each connect and on a timer, so that gossip is never the only way to learn a block.
 */
import type { Chain } from '../chain/chain.js'
import type { Mempool } from '../mempool/mempool.js'
import type { Fetcher } from '../net/fetcher.js'
import { MAX_PACKED, type Status } from '../net/messages.js'
import { ownStatus } from '../net/server.js'
import { verdictOn } from '../net/verdict.js'
import { hex } from '../runtime/hex.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import { blaming } from './blame.js'
import { Bodies } from './bodies.js'
import { Headers } from './headers.js'

/** How often every peer is asked for its tip. */
const POLL_MS = 5_000
/** A node this far behind the best header it knows is catching up, and does not mine. */
const SYNCING_BLOCKS = 3
/**
 * Of blocks that do not come for so long, it is not known that they exist: whoever shows headers alone must not keep everybody from mining. Long
 * against what a slow peer takes for a body.
 */
const STALLED_MS = 15_000
/** How often a long catching up is told of in the log. */
const TELL_MS = 5_000
/** Transactions fetched at a time from a peer's mempool. */
const POOL_BATCH = 1_000

export interface SyncProgress {
  /** Of the best header known. */
  readonly targetHeight: number
  /** Since this catching up began. */
  readonly blocksPerSecond: number
  readonly secondsLeft?: number
}

export interface SyncDeps {
  readonly runtime: Runtime
  readonly chain: Chain
  readonly mempool: Mempool
  readonly fetcher: Fetcher
  readonly peerIds: () => string[]
  readonly penalize: (peerId: string, points: number, reason: string) => void
  /** How often every peer is asked for its tip; 5 seconds when left out. */
  readonly pollMs?: number | undefined
}

export class Sync extends BaseService {
  private readonly statuses = new Map<string, Status>()
  /** Peers whose headers are being fetched. */
  private readonly asking = new Set<string>()
  /** Peers that are asked for their tip because of a block that we cannot place, and whether another one came meanwhile. */
  private readonly behind = new Map<string, boolean>()
  private downloading = false
  private readonly headers: Headers
  private readonly bodies: Bodies
  private run = { startMs: 0, startHeight: 0 }
  /** When the last body came, or the catching up began. */
  private cameMs = 0
  private toldMs = 0

  constructor(private readonly deps: SyncDeps) {
    super('sync', deps.runtime.log.child({ module: 'sync' }))
    const { runtime, chain, fetcher, peerIds, penalize } = deps
    this.headers = new Headers({ runtime, chain, fetcher, log: this.log, signal: this.signal })
    this.bodies = new Bodies({
      ...{ runtime, chain, fetcher, peerIds, penalize },
      log: this.log,
      signal: this.signal,
      track: (what, work) => this.track(what, work),
      onProgress: () => {
        this.cameMs = runtime.clock.monotonicMs()
        this.tell()
      },
    })
  }

  /** Whether better blocks are known and being fetched, and come. */
  get isSyncing(): boolean {
    const { tree, tip } = this.deps.chain
    const isStalled = this.deps.runtime.clock.monotonicMs() >= this.cameMs + STALLED_MS
    return this.downloading && !isStalled && tree.bestHeader.header.height >= tip.header.height + SYNCING_BLOCKS
  }

  /** How far catching up has come; undefined when there is nothing to catch up with. */
  get progress(): SyncProgress | undefined {
    if (!this.isSyncing) return undefined
    const { tree, tip } = this.deps.chain
    const targetHeight = tree.bestHeader.header.height
    const seconds = (this.deps.runtime.clock.monotonicMs() - this.run.startMs) / 1_000
    const done = Math.max(0, tip.header.height - this.run.startHeight)
    const blocksPerSecond = seconds > 0 ? Math.round((done * 10) / seconds) / 10 : 0
    const secondsLeft =
      blocksPerSecond > 0 ? { secondsLeft: Math.ceil((targetHeight - tip.header.height) / blocksPerSecond) } : {}
    return { targetHeight, blocksPerSecond, ...secondsLeft }
  }

  /** Says now and then how far it has come. */
  private tell(): void {
    const nowMs = this.deps.runtime.clock.monotonicMs()
    const { progress } = this
    if (progress === undefined || nowMs < Math.max(this.toldMs, this.run.startMs) + TELL_MS) return
    this.toldMs = nowMs
    this.log.info({ height: this.deps.chain.tip.header.height, ...progress }, 'catching up')
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
    this.bodies.sources.forget(peerId)
  }

  /** A peer told its status, or is known to have a block that we lack. */
  onStatus(peerId: string, status: Status): void {
    this.statuses.set(peerId, status)
    if (this.isNews(status)) this.track('headers', () => this.fetchHeaders(peerId))
  }

  /** A peer showed that it knows a block which we cannot place: asks it for its tip now, and once more if it shows others before it has answered. */
  onBehind(peerId: string): void {
    const isAsked = this.behind.has(peerId)
    this.behind.set(peerId, isAsked)
    if (isAsked) return
    this.track('exchange', async () => {
      try {
        do {
          this.behind.set(peerId, false)
          await this.exchange(peerId)
        } while (this.behind.get(peerId) === true)
      } finally {
        this.behind.delete(peerId)
      }
    })
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
      await this.blaming(peerId, () => this.headers.follow(peerId))
    } finally {
      this.asking.delete(peerId)
    }
    if (!this.downloading) this.track('bodies', () => this.download())
  }

  private async download(): Promise<void> {
    if (this.downloading) return
    this.downloading = true
    this.run = { startMs: this.deps.runtime.clock.monotonicMs(), startHeight: this.deps.chain.tip.header.height }
    this.cameMs = this.run.startMs
    try {
      await this.bodies.run()
    } finally {
      this.downloading = false
    }
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

  private async blaming(peerId: string, work: () => Promise<void>): Promise<void> {
    await blaming({ log: this.log, penalize: this.deps.penalize }, peerId, work)
  }

  private async poll(): Promise<void> {
    for (;;) {
      await this.deps.runtime.timers.sleep(this.deps.pollMs ?? POLL_MS, this.signal)
      await Promise.all(this.deps.peerIds().map((peerId) => this.exchange(peerId)))
    }
  }

  protected async onStart(): Promise<void> {
    this.track('polling', () => this.poll())
  }

  protected async onStop(): Promise<void> {}
}
