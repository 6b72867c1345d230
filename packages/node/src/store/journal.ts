/**
 * Own transactions that may have to be sent again. Owns the promise that what the daemon accepted survives a crash: `add` resolves once
 * the transaction is on disk. Waiting additions share one synced batch.
 */
import { equalBytes } from '@kvchain/core/bytes'
import { CodecError } from '@kvchain/core/codec'
import { decodeTransaction, encodeTransaction, type Transaction } from '@kvchain/core/transaction'
import { sha256 } from '../crypto/sodium.js'
import { Batch } from './batch.js'
import type { Database } from './database.js'
import { recordKey } from './schema.js'

type JournalStep = 'journal-add' | 'journal-remove'

export class Journal {
  private pending: { readonly batch: Batch; readonly steps: Set<JournalStep> } | undefined
  private flushing: Promise<void> = Promise.resolve()

  constructor(
    private readonly database: Database,
    private readonly genesisHash: Uint8Array,
  ) {}

  /** Resolves when the transaction is on disk. Rejects with StoreError when it could not be written. */
  add(transaction: Transaction): Promise<void> {
    return this.enqueue('journal-add', (batch) =>
      batch.put(recordKey.journal(transaction.txid), encodeTransaction(transaction)),
    )
  }

  /** Forgets transactions that are settled or will never be. */
  remove(txids: readonly Uint8Array[]): Promise<void> {
    return this.enqueue('journal-remove', (batch) => {
      for (const txid of txids) batch.delete(recordKey.journal(txid))
    })
  }

  /** All of them, by account nonce. Throws StoreError `store-corrupt` when one is damaged. */
  async load(): Promise<Transaction[]> {
    const transactions: Transaction[] = []
    for await (const { key, content } of this.database.scan('journal')) {
      const transaction = journalled(key, content, this.genesisHash)
      if (transaction === undefined) throw this.database.damage('a record of an own transaction is damaged')
      transactions.push(transaction)
    }
    return transactions.sort((a, b) => a.body.accountNonce - b.body.accountNonce)
  }

  private enqueue(step: JournalStep, change: (batch: Batch) => void): Promise<void> {
    if (this.pending === undefined) {
      const pending = { batch: new Batch(), steps: new Set<JournalStep>() }
      this.pending = pending
      // A failed write fails its own callers, not those of the next one.
      this.flushing = this.flushing.catch(() => {}).then(() => this.flush(pending))
    }
    this.pending.steps.add(step)
    change(this.pending.batch)
    return this.flushing
  }

  private async flush({ batch, steps }: NonNullable<Journal['pending']>): Promise<void> {
    this.pending = undefined
    const { failpoints } = this.database
    for (const step of steps) failpoints.pass(`${step}-before`)
    await this.database.write(batch, { sync: true })
    for (const step of steps) failpoints.pass(`${step}-after`)
  }
}

/** The transaction of a journal record, undefined when it is not the one that the key names. */
export function journalled(key: Uint8Array, content: Uint8Array, genesisHash: Uint8Array): Transaction | undefined {
  try {
    const transaction = decodeTransaction(content, sha256, genesisHash)
    return equalBytes(recordKey.journal(transaction.txid), key) ? transaction : undefined
  } catch (error) {
    if (error instanceof CodecError) return undefined
    throw error
  }
}
