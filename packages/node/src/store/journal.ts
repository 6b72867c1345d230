/**
 * Own transactions that are not settled yet. Owns the promise that what the daemon accepted survives a crash: `add` resolves once
 * the transaction is on disk. Waiting additions share one synced batch.
 */
import { decodeTransaction, encodeTransaction, type Transaction } from '@kvchain/core/transaction'
import { sha256 } from '../crypto/sodium.js'
import { Batch, type Database } from './database.js'
import { recordKey } from './schema.js'

export class Journal {
  private pending: Batch | undefined
  private flushing: Promise<void> = Promise.resolve()

  constructor(
    private readonly database: Database,
    private readonly genesisHash: Uint8Array,
  ) {}

  /** Resolves when the transaction is on disk. Rejects with StoreError when it could not be written. */
  add(transaction: Transaction): Promise<void> {
    return this.enqueue((batch) => batch.put(recordKey.journal(transaction.txid), encodeTransaction(transaction)))
  }

  /** Forgets transactions that are settled or will never be. */
  remove(txids: readonly Uint8Array[]): Promise<void> {
    return this.enqueue((batch) => {
      for (const txid of txids) batch.delete(recordKey.journal(txid))
    })
  }

  async load(): Promise<Transaction[]> {
    const transactions: Transaction[] = []
    for await (const { content } of this.database.scan('journal')) {
      transactions.push(decodeTransaction(content, sha256, this.genesisHash))
    }
    return transactions.sort((a, b) => a.body.accountNonce - b.body.accountNonce)
  }

  private enqueue(change: (batch: Batch) => void): Promise<void> {
    if (this.pending === undefined) {
      const batch = new Batch()
      this.pending = batch
      // A failed write fails its own callers, not those of the next one.
      this.flushing = this.flushing.catch(() => {}).then(() => this.flush(batch))
    }
    change(this.pending)
    return this.flushing
  }

  private async flush(batch: Batch): Promise<void> {
    this.pending = undefined
    await this.database.write(batch, { sync: true })
  }
}
