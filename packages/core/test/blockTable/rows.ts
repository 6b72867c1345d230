/** What the block table is made of. Owns no expectation. */
import { encodeBlock, type IncludedTransaction } from '@kvchain/core/block'
import type { Outcome } from '@kvchain/core/outcome'
import { computeTxid, type Transaction } from '@kvchain/core/transaction'
import { included, sha256, type TestAccount } from '../helpers.js'
import type { Draft, TableChain } from './chain.js'

/** A block for the tip of a chain, and what becomes of it there. */
export interface Row {
  /** The rule of docs/protocol.md, by its number; or the heading of the part that says it without one. */
  readonly clause: string
  readonly name: string
  readonly chain: TableChain
  readonly bytes: Uint8Array
  /** Undefined: it is the next block of the chain. */
  readonly code: string | undefined
  /** The violation of the transaction, when it is one's. */
  readonly rule: string | undefined
  /** Bytes of the true block of the same header. */
  readonly truth: Uint8Array | undefined
}

/** Collects rows that stand on one chain. */
export class Rows {
  readonly list: Row[] = []

  constructor(readonly chain: TableChain) {}

  good(clause: string, name: string, draft: Draft = {}): this {
    return this.add({ clause, name, bytes: this.chain.bytes(draft) })
  }

  /** `code` may be two: a block's, and behind a space its transaction's. */
  bad(clause: string, name: string, block: Draft | Uint8Array, code: string, truth?: Uint8Array): this {
    const [own, rule] = code.split(' ')
    const bytes = block instanceof Uint8Array ? block : this.chain.bytes(block)
    return this.add({ clause, name, bytes, code: own, rule, truth })
  }

  private add(row: Partial<Row> & Pick<Row, 'clause' | 'name' | 'bytes'>): this {
    this.list.push({ chain: this.chain, code: undefined, rule: undefined, truth: undefined, ...row })
    return this
  }
}

/** A block of these transactions, ending well. */
export function of(...transactions: readonly Transaction[]): Draft {
  return { transactions: transactions.map((transaction) => included(transaction)) }
}

export function ending(transaction: Transaction, outcome: Outcome): Draft {
  return { transactions: [included(transaction, outcome)] }
}

/** Bytes with other ones from `at` on. */
export function patched(bytes: Uint8Array, at: number, ...values: readonly number[]): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy.set(values, at)
  return copy
}

/** Bytes with one bit flipped. */
export function flipped(bytes: Uint8Array, at: number = bytes.length - 1, mask = 1): Uint8Array {
  return patched(bytes, at, (bytes[at] ?? 0) ^ mask)
}

/** A transaction of other body bytes, whatever they are, with a good signature. */
export function forged(
  chain: TableChain,
  sender: TestAccount,
  transaction: Transaction,
  bodyBytes: Uint8Array,
): Transaction {
  const txid = computeTxid(sha256, chain.genesis.hash, bodyBytes)
  return { ...transaction, bodyBytes, txid, signature: sender.sign(txid) }
}

/** The header of one draft with the transactions of another. */
export function grafted(chain: TableChain, draft: Draft, transactions: readonly IncludedTransaction[]): Uint8Array {
  return encodeBlock({ ...chain.make(draft), transactions })
}
