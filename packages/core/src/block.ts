/**
 * Blocks: a header and the transactions it commits to, each with its outcome. Owns their bytes and the transaction root; the
 * rules are in checks.ts and rules.ts. (protocol.md section 5)
 */
import { decodeAll, encodeFor, encodeWith, type Reader, type Writer } from './codec.js'
import { DOMAIN, type Sha256, taggedHash } from './hash.js'
import { HEADER_BYTES, type Header, readHeader, writeHeader } from './header.js'
import { MAX_BLOCK_TRANSACTIONS } from './limits.js'
import { merkleRoot } from './merkle.js'
import { type Outcome, readOutcome, writeOutcome } from './outcome.js'
import { readTransaction, type Transaction, transactionSize, writeTransaction } from './transaction.js'

export interface IncludedTransaction {
  readonly transaction: Transaction
  readonly outcome: Outcome
}

export interface Block {
  readonly header: Header
  readonly transactions: readonly IncludedTransaction[]
}

const COUNT_BYTES = 4
export const OUTCOME_BYTES = 3
/** Bytes of a block without transactions. */
export const EMPTY_BLOCK_BYTES: number = HEADER_BYTES + COUNT_BYTES

/** Bytes of a block with all its payloads, which the block limit counts. */
export function blockSize(block: Block): number {
  let size = EMPTY_BLOCK_BYTES
  for (const { transaction } of block.transactions) size += transactionSize(transaction) + OUTCOME_BYTES
  return size
}

/** What the transaction root is made of: so a header fixes every byte of its block. */
export function transactionLeaf(sha256: Sha256, { transaction, outcome }: IncludedTransaction): Uint8Array {
  const { txid, signature } = transaction
  return encodeFor(
    (writer) => writeOutcome(writer.fixed(signature), outcome),
    (rest) => taggedHash(sha256, DOMAIN.txLeaf, txid, rest),
  )
}

/** The root over the leaves of all transactions, in order. */
export function transactionRoot(sha256: Sha256, transactions: readonly IncludedTransaction[]): Uint8Array {
  return merkleRoot(
    sha256,
    transactions.map((included) => transactionLeaf(sha256, included)),
  )
}

/** The transactions with their outcomes: a u32 count, then each. */
export function writeBody(writer: Writer, transactions: readonly IncludedTransaction[], withValues: boolean): void {
  writer.u32(transactions.length)
  for (const { transaction, outcome } of transactions) {
    writeTransaction(writer, transaction, withValues)
    writeOutcome(writer, outcome)
  }
}

export function readBody(reader: Reader, sha256: Sha256, genesisHash: Uint8Array): IncludedTransaction[] {
  const count = reader.count(0, MAX_BLOCK_TRANSACTIONS)
  const transactions: IncludedTransaction[] = []
  for (let i = 0; i < count; i++) {
    const transaction = readTransaction(reader, sha256, genesisHash)
    transactions.push({ transaction, outcome: readOutcome(reader) })
  }
  return transactions
}

export function encodeBlock(block: Block): Uint8Array {
  return encodeWith((writer) => {
    writeHeader(writer, block.header)
    writeBody(writer, block.transactions, true)
  }, blockSize(block))
}

export function decodeBlock(bytes: Uint8Array, sha256: Sha256, genesisHash: Uint8Array): Block {
  return decodeAll(bytes, (reader) => {
    const header = readHeader(reader)
    return { header, transactions: readBody(reader, sha256, genesisHash) }
  })
}
