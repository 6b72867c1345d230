/**
 * The rewrite alarm: looks on as the chain reorganises, and says afterwards which keys lost which versions. Owns the record of it, the line in the
 * log and who is told; changes nothing.
 */
import { equalBytes } from '@kvchain/core/bytes'
import { hex } from '../runtime/hex.js'
import { Observers } from '../runtime/observers.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import type { LostVersion, Reorg, ReorgLog } from '../store/reorgLog.js'
import type { Chain, ChainStep } from './chain.js'
import { changesOf, type KeyChange } from './changes.js'
import { type ChainNode, findForkPoint, pathBetween } from './headerTree.js'

export interface ReorgWatchOptions {
  /** So many blocks that leave the main chain ring the alarm. */
  readonly alarmDepth: number
}

export interface ReorgWatchDeps {
  readonly runtime: Runtime
  readonly chain: Chain
  readonly reorgLog: ReorgLog
}

/** Lost versions that are recorded by name; more are counted only. */
const MAX_LOST = 1_000

export class ReorgWatch extends BaseService {
  /** Every reorg, once it is recorded. */
  readonly reorgs: Observers<Reorg>
  private before: ChainNode | undefined
  private readonly undo: (() => void)[] = []
  private queue: Promise<void> = Promise.resolve()

  constructor(
    private readonly options: ReorgWatchOptions,
    private readonly deps: ReorgWatchDeps,
  ) {
    super('reorg watch', deps.runtime.log.child({ module: 'reorgs' }))
    this.reorgs = new Observers(this.log)
  }

  protected async onStart(): Promise<void> {
    const { chain } = this.deps
    this.undo.push(chain.steps.add((step) => this.onStep(step)))
    this.undo.push(chain.tips.add((tip) => this.onTip(tip)))
  }

  protected async onStop(): Promise<void> {
    for (const step of this.undo) step()
  }

  /** Resolves when every reorg so far is recorded. */
  idle(): Promise<void> {
    return this.queue
  }

  private onStep({ kind, node }: ChainStep): void {
    if (kind === 'disconnected') this.before ??= node
  }

  private onTip(tip: ChainNode): void {
    const { before } = this
    if (before === undefined) return
    this.before = undefined
    this.queue = this.queue.then(
      () => new Promise((resolve) => this.track('reorg', () => this.record(before, tip).finally(resolve))),
    )
  }

  private async record(from: ChainNode, to: ChainNode): Promise<void> {
    const { chain, reorgLog, runtime } = this.deps
    const fork = findForkPoint(from, to)
    const lostBlocks = pathBetween(fork, from)
    const changes = await changesOf(chain.store, fork, lostBlocks, () => true)
    const lost: LostVersion[] = []
    let lostCount = 0
    for (const change of changes?.flat() ?? []) {
      const now = await this.versionOf(change)
      if (now !== undefined && equalBytes(now, change.txid)) continue
      lostCount++
      if (lost.length < MAX_LOST) lost.push(lostText(change, now))
    }
    const depth = lostBlocks.length
    const alarm = depth >= this.options.alarmDepth
    const place = ({ header, hash }: ChainNode) => ({ height: header.height, hash: hex(hash) })
    const reorg = await reorgLog.add({
      timeMs: Math.round(runtime.clock.nowMs()),
      depth,
      fork: place(fork),
      from: place(from),
      to: place(to),
      alarm,
      lost,
      lostCount,
    })
    const facts = { depth, forkHeight: fork.header.height, lostCount, lost: lost.slice(0, 10) }
    if (alarm) this.log.error(facts, 'ALARM: the chain was rewritten')
    else if (lostCount > 0) this.log.warn(facts, 'a reorg took versions from keys')
    this.reorgs.notify(reorg)
  }

  /** The transaction that made this version of the key in the main chain of now. */
  private async versionOf({ key, version }: KeyChange): Promise<Uint8Array | undefined> {
    const { chain } = this.deps
    await chain.consistent()
    const [entry] = await chain.store.versions(key, version + 1, 1)
    return entry?.version === version ? entry.txid : undefined
  }
}

function lostText({ key, version, txid }: KeyChange, now: Uint8Array | undefined): LostVersion {
  return { key: hex(key), version, txid: hex(txid), ...(now === undefined ? {} : { replacedBy: hex(now) }) }
}
