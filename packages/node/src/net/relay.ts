/**
 * What goes out and comes in over gossip: packed transactions here, blocks in blockRelay.ts. Owns the packing and the verdict that gossip asks
 * for. Gossip is never the only way to learn a thing: see sync/.
 */
import { type Transaction, transactionSize } from '@kvchain/core/transaction'
import type { Chain } from '../chain/chain.js'
import type { ChainNode } from '../chain/headerTree.js'
import { sha256 } from '../crypto/sodium.js'
import type { Mempool } from '../mempool/mempool.js'
import type { OwnTransactions } from '../mempool/ownTransactions.js'
import { hex } from '../runtime/hex.js'
import { Observers } from '../runtime/observers.js'
import type { CancelTimer, Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import { BlockRelay } from './blockRelay.js'
import type { BlocksInHand } from './blocksInHand.js'
import type { Fetcher } from './fetcher.js'
import type { GossipHandler, GossipVerdict, Topic } from './gossip.js'
import { decodePacked, encodePacked } from './messages.js'
import { conductOn, VERDICTS, verdictOn } from './verdict.js'

/** One message a transaction saturates gossip at some 1,500 a second; packs of 50 carry ten times that. */
const PACK_TRANSACTIONS = 50
const PACK_BYTES = 32 * 1024
const PACK_DELAY_MS = 15
/** How often own transactions that still wait are told again, and how many of them. */
const REPEAT_MS = 10_000
const REPEAT_TRANSACTIONS = 2_000
/** For an announcement that was not its block's: a clash of short ids is so unlikely that ten of these within minutes are none. */
const MISFIT_POINTS = 10

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
  readonly inHand: BlocksInHand
  readonly peerIds: () => string[]
  readonly penalize: (peerId: string, points: number, reason: string) => void
  /** This peer knows a block whose parent we lack. */
  readonly onBehind: (peerId: string) => void
}

export class Relay extends BaseService {
  /** The hash of each announced block once it may be passed on: header and bytes are right, execution comes later. */
  readonly received: Observers<Uint8Array>
  private outgoing: Transaction[] = []
  private outgoingBytes = 0
  private cancelFlush: CancelTimer | undefined
  /**
   * Pooled transactions (txids) that this node has not passed on: of each, the first pack that holds it is. What came with a neighbour's whole pool
   * is known here and not told to those behind, so that its maker's telling it again must not end here. At most as many as are pooled.
   */
  private readonly unspread = new Set<string>()
  /** Taken off the main chain since the tip last stood still. */
  private returned: Transaction[] = []
  /** Being verified. A block that holds them may overtake them. */
  private readonly arriving = new Set<readonly Transaction[]>()
  private readonly blocks: BlockRelay

  constructor(private readonly deps: RelayDeps) {
    super('relay', deps.runtime.log.child({ module: 'relay' }))
    this.received = new Observers(this.log)
    const { runtime, chain, fetcher, inHand, peerIds, onBehind } = deps
    this.blocks = new BlockRelay(
      {
        ...{ runtime, chain, fetcher, inHand, peerIds, onBehind },
        pooled: () => this.pooled(),
        onBad: (peerId, error) => this.judge(error, peerId),
        onMisfit: (peerId) => deps.penalize(peerId, MISFIT_POINTS, 'block-announcement'),
      },
      this.log,
      this.signal,
    )
  }

  /** Tells everybody of a block that this node solved. */
  announce(node: ChainNode): void {
    const announcement = this.blocks.announcementOf(node, this.outgoing)
    if (announcement !== undefined) this.publish('blocks', announcement)
  }

  /** Tells everybody of transactions, some milliseconds later, many in a message. */
  tell(transactions: Iterable<Transaction>): void {
    for (const transaction of transactions) {
      this.unspread.delete(hex(transaction.txid))
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
      this.arriving.add(transactions)
      const results = await mempool.addAll(transactions).finally(() => this.arriving.delete(transactions))
      const offence = results.map(verdictOn).find((verdict) => verdict?.verdict === 'reject')
      if (offence !== undefined)
        return this.judge(
          results.find((r) => verdictOn(r) === offence),
          from,
        )
      const unspread = transactions.filter(({ txid }) => this.unspread.delete(hex(txid)))
      return unspread.length > 0 ? 'accept' : 'ignore'
    } catch (error) {
      return this.judge(error, from)
    }
  }

  /** Resolves to the verdict as soon as the block may be passed on. That it is executed goes on in the background. */
  private onBlock(data: Uint8Array, from: string): Promise<GossipVerdict> {
    if (this.signal.aborted) return Promise.resolve('ignore')
    return new Promise((resolve) => {
      this.track('an announced block', async () => {
        try {
          const onChecked = (hash: Uint8Array) => {
            resolve('accept')
            this.received.notify(hash)
          }
          resolve(await this.blocks.receive(data, from, onChecked))
        } catch (error) {
          resolve(this.judge(error, from))
        }
      })
    })
  }

  private *pooled(): Generator<Transaction> {
    for (const { transaction } of this.deps.mempool.all()) yield transaction
    for (const transactions of this.arriving) yield* transactions
  }

  /** The verdict on whatever went wrong. A failure of our own is nobody's fault. */
  private judge(error: unknown, from: string): GossipVerdict {
    const verdict = verdictOn(error)
    if (verdict === undefined) {
      const conduct = conductOn(error)
      if (conduct !== undefined) this.deps.penalize(from, VERDICTS[conduct].penalty, conduct)
      this.log.debug({ err: error, from, conduct }, 'gossip could not be handled')
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
        else this.unspread.add(pooled.txid)
      }),
      mempool.dropped.add(({ pooled }) => this.unspread.delete(pooled.txid)),
      chain.steps.add(({ kind, transactions }) => {
        if (kind === 'connected') {
          this.blocks.onConnected(transactions)
          for (const { transaction } of transactions) this.unspread.delete(hex(transaction.txid))
        } else this.returned.push(...transactions.map(({ transaction }) => transaction))
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
