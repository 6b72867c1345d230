/**
 * What goes out and comes in over gossip: packed transactions, and blocks as header and short ids. Owns the packing, the rebuilding of a
 * block from the mempool, and the verdict that gossip asks for; what is missing is fetched over streams. Gossip is never the only way
 * to learn a thing: see sync/.
 */
import type { Block, IncludedTransaction } from '@kvchain/core/block'
import { BlockError, checkHeader } from '@kvchain/core/checks'
import { OK } from '@kvchain/core/outcome'
import { type Transaction, transactionSize } from '@kvchain/core/transaction'
import type { Chain } from '../chain/chain.js'
import type { ChainNode } from '../chain/headerTree.js'
import { sha256 } from '../crypto/sodium.js'
import type { PooledTransaction } from '../mempool/accountQueue.js'
import type { Mempool } from '../mempool/mempool.js'
import type { OwnTransactions } from '../mempool/ownTransactions.js'
import { hex } from '../runtime/hex.js'
import type { CancelTimer, Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import type { Fetcher } from './fetcher.js'
import type { GossipHandler, GossipVerdict, Topic } from './gossip.js'
import {
  type Announcement,
  decodeAnnouncement,
  decodePacked,
  encodeAnnouncement,
  encodePacked,
  shortId,
} from './messages.js'
import { verdictOn } from './verdict.js'

/** One message a transaction saturates gossip at some 1,500 a second; packs of 50 carry ten times that. */
const PACK_TRANSACTIONS = 50
const PACK_BYTES = 32 * 1024
const PACK_DELAY_MS = 15
/** How often own transactions that still wait are told again, and how many of them. */
const REPEAT_MS = 10_000
const REPEAT_TRANSACTIONS = 2_000

/** What Relay needs of gossip. */
export interface RelayGossip {
  publish(topic: Topic, data: Uint8Array): Promise<unknown>
  setHandler(topic: Topic, handler: GossipHandler): void
}

export interface RelayDeps {
  readonly runtime: Runtime
  readonly chain: Chain
  readonly mempool: Mempool
  readonly own: OwnTransactions
  readonly gossip: RelayGossip
  readonly fetcher: Fetcher
  readonly penalize: (peerId: string, points: number, reason: string) => void
  /** This peer knows a block whose parent we lack. */
  readonly onBehind: (peerId: string) => void
}

export class Relay extends BaseService {
  private outgoing: Transaction[] = []
  private outgoingBytes = 0
  private cancelFlush: CancelTimer | undefined
  /** Taken off the main chain since the tip last stood still. */
  private returned: Transaction[] = []

  constructor(private readonly deps: RelayDeps) {
    super('relay', deps.runtime.log.child({ module: 'relay' }))
  }

  /** Tells everybody of a block that this node solved. */
  announce(node: ChainNode): void {
    const transactions = this.deps.chain.store.body(node.hash)
    if (transactions === undefined) return
    this.publish('blocks', encodeAnnouncement({ header: node.header, transactions }))
  }

  /** Tells everybody of transactions, some milliseconds later, many in a message. */
  tell(transactions: Iterable<Transaction>): void {
    for (const transaction of transactions) {
      const bytes = transactionSize(transaction)
      if (this.outgoing.length > 0 && this.outgoingBytes + bytes > PACK_BYTES) this.flush()
      this.outgoing.push(transaction)
      this.outgoingBytes += bytes
      if (this.outgoing.length >= PACK_TRANSACTIONS) this.flush()
    }
    if (this.outgoing.length > 0) {
      this.cancelFlush ??= this.deps.runtime.timers.after(PACK_DELAY_MS, () => this.flush())
    }
  }

  private flush(): void {
    this.cancelFlush?.()
    this.cancelFlush = undefined
    if (this.outgoing.length === 0) return
    const packed = encodePacked(this.outgoing)
    this.outgoing = []
    this.outgoingBytes = 0
    this.publish('transactions', packed)
  }

  private publish(topic: Topic, data: Uint8Array): void {
    this.track(`publishing ${topic}`, async () => {
      await this.deps.gossip.publish(topic, data)
    })
  }

  private async onTransactions(data: Uint8Array, from: string): Promise<GossipVerdict> {
    try {
      const { mempool, chain } = this.deps
      const transactions = decodePacked(data, sha256, chain.genesis.hash)
      const results = await mempool.addAll(transactions)
      const offence = results.map(verdictOn).find((verdict) => verdict?.verdict === 'reject')
      if (offence !== undefined)
        return this.judge(
          results.find((r) => verdictOn(r) === offence),
          from,
        )
      return results.some((result) => !(result instanceof Error)) ? 'accept' : 'ignore'
    } catch (error) {
      return this.judge(error, from)
    }
  }

  private async onBlock(data: Uint8Array, from: string): Promise<GossipVerdict> {
    const { chain } = this.deps
    try {
      const announcement = decodeAnnouncement(data, hex)
      const hash = checkHeader(chain.params, sha256, announcement.header)
      if (chain.tree.get(hash)?.hasBody === true) return 'ignore'
      if (chain.tree.get(announcement.header.parent) === undefined) {
        this.deps.onBehind(from)
        return 'ignore'
      }
      await this.takeIn(announcement, hash, from)
      return 'accept'
    } catch (error) {
      return this.judge(error, from)
    }
  }

  /** Rebuilds the block; when that gives another root (a short id that clashed), fetches it whole. */
  private async takeIn(announcement: Announcement, hash: Uint8Array, from: string): Promise<void> {
    const { chain, fetcher } = this.deps
    try {
      await chain.addBlock(await this.rebuild(announcement, hash, from), from)
    } catch (error) {
      if (!(error instanceof BlockError && error.code === 'block-mutated')) throw error
      this.log.debug({ hash: hex(hash), from }, 'announcement does not fit, fetching the block')
      const [block] = await fetcher.blocks(from, [hash], this.signal)
      if (block === undefined) throw error
      await chain.addBlock(block, from)
    }
  }

  private async rebuild(announcement: Announcement, hash: Uint8Array, from: string): Promise<Block> {
    const { header, shortIds, failures } = announcement
    const pooled = new Map<string, PooledTransaction>()
    for (const transaction of this.deps.mempool.all()) pooled.set(shortId(transaction.txid), transaction)
    const found = shortIds.map((id) => pooled.get(id)?.transaction)
    const missing = [...found.entries()].filter(([, transaction]) => transaction === undefined).map(([index]) => index)
    if (missing.length > 0) {
      const fetched = await this.deps.fetcher.blockTransactions(from, hash, missing, this.signal)
      for (const [i, index] of missing.entries()) found[index] = fetched[i]
    }
    const transactions: IncludedTransaction[] = []
    for (const [index, transaction] of found.entries()) {
      if (transaction === undefined) throw new BlockError('block-mutated', 'a transaction could not be fetched')
      transactions.push({ transaction, outcome: failures.get(index) ?? OK })
    }
    return { header, transactions }
  }

  /** The verdict on whatever went wrong. A failure of our own is nobody's fault. */
  private judge(error: unknown, from: string): GossipVerdict {
    const verdict = verdictOn(error)
    if (verdict === undefined) {
      this.log.debug({ err: error, from }, 'gossip could not be handled')
      this.deps.onBehind(from)
      return 'ignore'
    }
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'violation'
    if (verdict.penalty > 0) this.deps.penalize(from, verdict.penalty, reason)
    return verdict.verdict
  }

  private async repeat(): Promise<void> {
    const { runtime, own } = this.deps
    for (;;) {
      await runtime.timers.sleep(REPEAT_MS, this.signal)
      const oldest = runtime.clock.monotonicMs() - REPEAT_MS
      const late = own.waiting().filter(({ txid }) => {
        const pooled = this.deps.mempool.get(hex(txid))
        return pooled !== undefined && pooled.arrivedMs < oldest
      })
      this.tell(late.slice(0, REPEAT_TRANSACTIONS))
    }
  }

  protected async onStart(): Promise<void> {
    const { gossip, mempool, chain } = this.deps
    gossip.setHandler('transactions', (data, from) => this.onTransactions(data, from))
    gossip.setHandler('blocks', (data, from) => this.onBlock(data, from))
    const removers = [
      mempool.added.add((pooled) => {
        if (pooled.local) this.tell([pooled.transaction])
      }),
      chain.steps.add(({ kind, transactions }) => {
        if (kind === 'disconnected') this.returned.push(...transactions.map(({ transaction }) => transaction))
      }),
      // After a reorg the others may never have heard of what only the lost branch held.
      chain.tips.add(() => {
        const waiting = this.returned.map(({ txid }) => mempool.get(hex(txid))?.transaction)
        this.returned = []
        this.tell(waiting.filter((transaction) => transaction !== undefined))
      }),
    ]
    this.signal.addEventListener('abort', () => {
      for (const remove of removers) remove()
      this.cancelFlush?.()
    })
    this.track('repeating', () => this.repeat())
  }

  protected async onStop(): Promise<void> {}
}
