/**
 * The transactions that clients of this daemon made. Owns the promise that an accepted one is not lost: it is journalled before anybody hears of it, the
 * client included, comes back after a restart or a reorg, and is forgotten only when it is beyond rescue, or settled with many settled after it. One that
 * others had heard of before it was on disk could be in a block of theirs: after a crash this daemon would give its account nonce to another.
 */
import { equalBytes } from '@kvchain/core/bytes'
import { TxError } from '@kvchain/core/checks'
import { type Transaction, transactionSize } from '@kvchain/core/transaction'
import type { ChainStep } from '../chain/chain.js'
import { hex } from '../runtime/hex.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import type { TransactionLocation } from '../store/chainStore.js'
import type { Journal } from '../store/journal.js'
import { PoolError } from './errors.js'
import type { Mempool } from './mempool.js'

/** Settled transactions that are still known, since a reorg may be deeper than what counts as settled. */
export interface KeptLimits {
  readonly transactions: number
  readonly bytes: number
}

/** Some minutes of a client that writes without pause, hours of others. Beyond it, those that settled first are forgotten. */
export const KEPT: KeptLimits = { transactions: 10_000, bytes: 16 << 20 }

export interface OwnTransactionsDeps {
  readonly runtime: Runtime
  readonly mempool: Mempool
  readonly journal: Journal
  /** Confirmations from which on a transaction may be forgotten. */
  readonly settleDepth: number
  /** KEPT unless said otherwise. */
  readonly kept?: KeptLimits
  readonly tipHeight: () => number
  readonly location: (txid: Uint8Array) => TransactionLocation | undefined
}

interface OwnTransaction {
  readonly transaction: Transaction
  /** Height of the block that holds it, or at which it was dropped; undefined while it waits. */
  endedAt: number | undefined
  confirmed: boolean
}

interface Arriving {
  readonly transaction: Transaction
  readonly taken: Promise<void>
}

export class OwnTransactions extends BaseService {
  private readonly own = new Map<string, OwnTransaction>()
  /** Being written to disk, by txid. At most as many as clients may ask for at once. */
  private readonly arriving = new Map<string, Arriving>()

  constructor(private readonly deps: OwnTransactionsDeps) {
    super('own transactions', deps.runtime.log.child({ module: 'own' }))
  }

  /**
   * Takes in a signed transaction of a client: resolves once it is on disk and pooled. Throws TxError or PoolError, and StoreError when it could not be
   * written. Until then nobody hears of it, and its account nonce is not given to another.
   */
  submit(transaction: Transaction): Promise<void> {
    const txid = hex(transaction.txid)
    const known = this.arriving.get(txid)
    if (known !== undefined) return known.taken
    const taken = this.take(transaction, txid).finally(() => this.arriving.delete(txid))
    this.arriving.set(txid, { transaction, taken })
    return taken
  }

  private async take(transaction: Transaction, txid: string): Promise<void> {
    const { mempool, journal, location } = this.deps
    mempool.checkLocal(transaction)
    await journal.add(transaction)
    try {
      mempool.addLocal(transaction)
    } catch (error) {
      // While it was written it came from others, to whom the client gave it too, or the chain or the pool went on so that it cannot be taken.
      if (!(error instanceof PoolError && error.code === 'pool-known')) {
        await journal.remove([transaction.txid])
        throw error
      }
    }
    const place = location(transaction.txid)
    this.own.set(txid, { transaction, endedAt: place?.height, confirmed: place !== undefined })
  }

  /** The account nonce that the account's next transaction must carry, those counted that are pooled or on their way to the disk. */
  nextNonce(publicKey: Uint8Array): number {
    const { mempool } = this.deps
    let nonce = mempool.nextNonce(publicKey)
    if (this.arriving.size === 0) return nonce
    const taken = new Set<number>()
    for (const { transaction } of this.arriving.values()) {
      const { sender, accountNonce } = transaction.body
      if (equalBytes(sender, publicKey)) taken.add(accountNonce)
    }
    while (taken.has(nonce) || mempool.hasNonce(publicKey, nonce)) nonce++
    return nonce
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
    if (this.own.size === 0) return
    for (const { transaction } of transactions) {
      const own = this.own.get(hex(transaction.txid))
      if (own === undefined) continue
      own.confirmed = kind === 'connected'
      own.endedAt = own.confirmed ? node.header.height : undefined
    }
  }

  /** Called when the tip stands still again: what a reorg or a full pool threw out gets another try. */
  async onTip(height: number): Promise<void> {
    const settled: OwnTransaction[] = []
    const over: OwnTransaction[] = []
    for (const [txid, own] of this.own) {
      const isOld = own.endedAt !== undefined && height - own.endedAt + 1 >= this.deps.settleDepth
      if (isOld) (own.confirmed ? settled : over).push(own)
      else if (!own.confirmed) this.retry(txid, own, height)
    }
    over.push(...surplus(settled, this.deps.kept ?? KEPT))
    if (over.length === 0) return
    for (const { transaction } of over) this.own.delete(hex(transaction.txid))
    await this.deps.journal.remove(over.map(({ transaction }) => transaction.txid))
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
    const { length } = this.waiting()
    if (length > 0) this.log.info({ transactions: length }, 'own transactions wait for a block')
  }

  protected async onStop(): Promise<void> {
    await Promise.allSettled([...this.arriving.values()].map(({ taken }) => taken))
  }
}

/** Those of the lowest blocks, as many as are too many. */
function surplus(settled: OwnTransaction[], { transactions, bytes }: KeptLimits): OwnTransaction[] {
  let left = settled.reduce((sum, { transaction }) => sum + transactionSize(transaction), 0)
  if (settled.length <= transactions && left <= bytes) return []
  settled.sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0))
  let count = 0
  for (const { transaction } of settled) {
    if (settled.length - count <= transactions && left <= bytes) break
    left -= transactionSize(transaction)
    count++
  }
  return settled.slice(0, count)
}
