/** The pooled transactions of one account, by account nonce. Owns which of them can stand in the next block, and in what order. */
import type { Transaction } from '@kvchain/core/transaction'

/** A transaction in the pool. */
export interface PooledTransaction {
  readonly transaction: Transaction
  /** Hexadecimal. */
  readonly txid: string
  /** Map key of the sender. */
  readonly account: string
  readonly bytes: number
  readonly feePerByte: number
  /** Monotonic milliseconds. */
  readonly arrivedMs: number
  /** A count that grows with each arrival: the order among equals. */
  readonly order: number
  /** Made by a client of this daemon: journalled, and never dropped for its age. */
  readonly local: boolean
}

export class AccountQueue {
  private readonly byNonce = new Map<number, PooledTransaction>()
  private bytes_ = 0
  private fees_ = 0
  private highest_ = -1
  /** A known run of pooled account nonces [from, to), so that a queue of thousands is not walked for each new one. */
  private readonly run = { from: 0, to: 0 }

  get size(): number {
    return this.byNonce.size
  }

  get bytes(): number {
    return this.bytes_
  }

  /** What all of them pay together. */
  get fees(): number {
    return this.fees_
  }

  get(accountNonce: number): PooledTransaction | undefined {
    return this.byNonce.get(accountNonce)
  }

  set(pooled: PooledTransaction): void {
    const { accountNonce, fee } = pooled.transaction.body
    this.delete(accountNonce)
    this.byNonce.set(accountNonce, pooled)
    this.bytes_ += pooled.bytes
    this.fees_ += fee
    this.highest_ = Math.max(this.highest_, accountNonce)
  }

  delete(accountNonce: number): PooledTransaction | undefined {
    const pooled = this.byNonce.get(accountNonce)
    if (pooled === undefined) return undefined
    this.byNonce.delete(accountNonce)
    this.bytes_ -= pooled.bytes
    this.fees_ -= pooled.transaction.body.fee
    if (accountNonce >= this.run.from && accountNonce < this.run.to) this.run.to = accountNonce
    return pooled
  }

  /** The one with the highest account nonce: what goes first when room is needed, since nothing depends on it. */
  last(): PooledTransaction | undefined {
    if (this.size === 0) return undefined
    while (!this.byNonce.has(this.highest_)) this.highest_--
    return this.byNonce.get(this.highest_)
  }

  /** The first account nonce from `from` on that is not pooled: what the account's next transaction must carry. */
  nextFree(from: number): number {
    const { run } = this
    if (from < run.from || from > run.to) run.to = from
    run.from = from
    while (this.byNonce.has(run.to)) run.to++
    return run.to
  }

  /** All of them, in no order. */
  all(): IterableIterator<PooledTransaction> {
    return this.byNonce.values()
  }
}
