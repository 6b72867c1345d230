/**
 * The transactions that clients of this daemon made. Owns the promise that an accepted one is not lost: it is journalled before the
 * answer, comes back after a restart or a reorg, and is forgotten only once settled or beyond rescue.
 */
import { TxError } from '@kvchain/core/checks'
import type { Transaction } from '@kvchain/core/transaction'
import type { ChainStep } from '../chain/chain.js'
import { hex } from '../runtime/hex.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import type { TransactionLocation } from '../store/chainStore.js'
import type { Journal } from '../store/journal.js'
import type { PooledTransaction } from './accountQueue.js'
import { PoolError } from './errors.js'
import type { Mempool } from './mempool.js'

export interface OwnTransactionsDeps {
  readonly runtime: Runtime
  readonly mempool: Mempool
  readonly journal: Journal
  /** Confirmations at which a transaction is forgotten. */
  readonly settleDepth: number
  readonly tipHeight: () => number
  readonly location: (txid: Uint8Array) => TransactionLocation | undefined
}

interface OwnTransaction {
  readonly transaction: Transaction
  /** Height of the block that holds it, or at which it was dropped; undefined while it waits. */
  endedAt: number | undefined
  confirmed: boolean
}

export class OwnTransactions extends BaseService {
  private readonly own = new Map<string, OwnTransaction>()

  constructor(private readonly deps: OwnTransactionsDeps) {
    super('own transactions', deps.runtime.log.child({ module: 'own' }))
  }

  /** Takes in a signed transaction of a client: resolves once it is pooled and on disk. Throws TxError or PoolError. */
  async submit(transaction: Transaction): Promise<PooledTransaction> {
    const pooled = this.deps.mempool.addLocal(transaction)
    this.own.set(pooled.txid, { transaction, endedAt: undefined, confirmed: false })
    try {
      await this.deps.journal.add(transaction)
    } catch (error) {
      this.own.delete(pooled.txid)
      this.deps.mempool.withdraw(pooled.txid)
      throw error
    }
    return pooled
  }

  /** Whether a transaction (hexadecimal txid) is one of them, and not forgotten yet. */
  has(txid: string): boolean {
    return this.own.has(txid)
  }

  /** Those that wait for a block, in account-nonce order: what other nodes may not have heard of. */
  waiting(): Transaction[] {
    const transactions: Transaction[] = []
    for (const { transaction, endedAt } of this.own.values()) if (endedAt === undefined) transactions.push(transaction)
    return transactions.sort((a, b) => a.body.accountNonce - b.body.accountNonce)
  }

  /** Follows the chain, after the mempool. */
  onStep({ kind, node, transactions }: ChainStep): void {
    for (const { transaction } of transactions) {
      const own = this.own.get(hex(transaction.txid))
      if (own === undefined) continue
      own.confirmed = kind === 'connected'
      own.endedAt = own.confirmed ? node.header.height : undefined
    }
  }

  /** Called when the tip stands still again: what a reorg or a full pool threw out gets another try. */
  async onTip(height: number): Promise<void> {
    const settled: string[] = []
    for (const [txid, own] of this.own) {
      if (own.endedAt !== undefined && height - own.endedAt + 1 >= this.deps.settleDepth) settled.push(txid)
      else if (!own.confirmed) this.retry(txid, own, height)
    }
    if (settled.length === 0) return
    const txids = settled.map((txid) => this.own.get(txid)?.transaction.txid).filter((txid) => txid !== undefined)
    for (const txid of settled) this.own.delete(txid)
    await this.deps.journal.remove(txids)
  }

  private retry(txid: string, own: OwnTransaction, height: number): void {
    if (this.deps.mempool.get(txid) !== undefined) {
      own.endedAt = undefined
      return
    }
    try {
      this.deps.mempool.addLocal(own.transaction)
      own.endedAt = undefined
    } catch (error) {
      // No room now is no reason to give it up.
      if (error instanceof PoolError && error.code !== 'pool-known') return
      if (!(error instanceof TxError || error instanceof PoolError)) throw error
      own.endedAt ??= height
    }
  }

  protected async onStart(): Promise<void> {
    for (const transaction of await this.deps.journal.load()) {
      const place = this.deps.location(transaction.txid)
      this.own.set(hex(transaction.txid), { transaction, endedAt: place?.height, confirmed: place !== undefined })
    }
    await this.onTip(this.deps.tipHeight())
    if (this.own.size > 0) this.log.info({ transactions: this.own.size }, 'own unsettled transactions found')
  }

  protected async onStop(): Promise<void> {}
}
