/**
 * Checks that need no context: what a transaction, a header or a block must be wherever it comes from. Cheapest first; signatures are
 * checked apart, since they cost most and may run in other threads. Owns the codes of every violation by a transaction or a
 * block. (protocol.md sections 4, 5 and 6)
 */
import { AddressError, namespaceOwner } from './address.js'
import { type Block, blockSize, transactionRoot } from './block.js'
import { equalBytes, ZERO_32 } from './bytes.js'
import { KvError } from './errors.js'
import type { Sha256 } from './hash.js'
import { type Header, headerHash } from './header.js'
import type { VerifySignature } from './keys.js'
import type { Params } from './params.js'
import { meetsTarget } from './pow.js'
import { type Operation, type Transaction, transactionSize, valueDigest } from './transaction.js'

export const TX_ERROR_CODES = [
  // Context-free.
  'tx-size',
  'tx-value-size',
  'tx-value-missing',
  'tx-value-digest',
  'tx-amount',
  'tx-assert-any',
  'tx-namespace',
  'tx-signature',
  // In context (rules.ts).
  'tx-nonce-used',
  'tx-nonce-gap',
  'tx-expired',
  'tx-fee',
  'tx-balance',
] as const

export type TxErrorCode = (typeof TX_ERROR_CODES)[number]

/** A transaction that may not be included. */
export class TxError extends KvError<TxErrorCode> {}

export const BLOCK_ERROR_CODES = [
  // Header, context-free (as is `block-target` by rule 5.1).
  'block-pow',
  // Body against header: not the header's fault.
  'block-mutated',
  // Body.
  'block-size',
  'block-count',
  'block-transaction',
  // Header in context (rules.ts).
  'block-height',
  'block-target',
  'block-time-old',
  'block-time-future',
  // By execution: rules 6.5 and 6.6 (whoever executes blocks).
  'block-outcome',
  'block-state-root',
  // By what is known of the chain (node).
  'block-orphan',
  'block-invalid-ancestor',
  'block-known-invalid',
] as const

export type BlockErrorCode = (typeof BLOCK_ERROR_CODES)[number]

/** A header or block that breaks a rule, or cannot be judged yet. */
export class BlockError extends KvError<BlockErrorCode> {}

/** Rules 4.1 to 4.7. Everything but the signature. */
export function checkTransaction(params: Params, sha256: Sha256, transaction: Transaction): void {
  const size = transactionSize(transaction)
  if (size > params.maxTransactionBytes) {
    throw new TxError('tx-size', `${size} bytes; at most ${params.maxTransactionBytes}`, { size })
  }
  for (const [index, operation] of transaction.body.operations.entries()) checkOperation(params, operation, index)
  checkValues(sha256, transaction)
}

function checkOperation(params: Params, operation: Operation, index: number): void {
  switch (operation.kind) {
    case 'transfer':
      if (operation.amount === 0)
        throw new TxError('tx-amount', 'a transfer of nothing', {
          operation: index,
        })
      return
    case 'assert':
      if (operation.expect.kind === 'any')
        throw new TxError('tx-assert-any', 'an assert of nothing', {
          operation: index,
        })
      return
    case 'put':
      if (operation.valueLength > params.maxValueBytes) {
        throw new TxError(
          'tx-value-size',
          `a value of ${operation.valueLength} bytes; at most ${params.maxValueBytes}`,
          {
            operation: index,
            size: operation.valueLength,
          },
        )
      }
      try {
        namespaceOwner(operation.key, params.addressPrefix)
      } catch (error) {
        if (!(error instanceof AddressError)) throw error
        throw new TxError('tx-namespace', error.message, { operation: index }, error)
      }
      return
    case 'delete':
    case 'access':
      return
  }
}

function checkValues(sha256: Sha256, transaction: Transaction): void {
  const { values, body } = transaction
  if (values === undefined) throw new TxError('tx-value-missing', 'the values were dropped')
  let next = 0
  for (const [index, operation] of body.operations.entries()) {
    if (operation.kind !== 'put') continue
    const value = values[next++]
    if (value === undefined || value.length !== operation.valueLength) {
      throw new TxError('tx-value-missing', 'a value is missing or of another length', { operation: index })
    }
    if (!equalBytes(valueDigest(sha256, value), operation.valueDigest)) {
      throw new TxError('tx-value-digest', 'a value does not have the digest that was signed', { operation: index })
    }
  }
  if (next !== values.length) throw new TxError('tx-value-missing', 'more values than puts')
}

/** Rule 4.8. */
export function checkSignature(verify: VerifySignature, transaction: Transaction): void {
  if (!verify(transaction.signature, transaction.txid, transaction.body.sender)) throw signatureError()
}

/** What a failed signature check raises, wherever the check ran. */
export function signatureError(): TxError {
  return new TxError('tx-signature', 'the signature is not the sender’s')
}

/** Rules 5.1 and 5.2: returns the hash of a header whose work is real and whose claim is possible on this network. */
export function checkHeader(params: Params, sha256: Sha256, header: Header): Uint8Array {
  const hash = headerHash(sha256, header)
  if (equalBytes(header.target, ZERO_32) || !meetsTarget(header.target, params.easiestTarget)) {
    throw new BlockError('block-target', 'a target that this network never has', { height: header.height })
  }
  if (!meetsTarget(hash, header.target)) {
    throw new BlockError('block-pow', 'the hash does not meet the target', {
      height: header.height,
    })
  }
  return hash
}

/**
 * Rules 5.7 to 5.10: the body against its header and the limits. Signatures apart. The root comes first: once it fits, whatever else is
 * wrong is the header's own fault. Throws BlockError, a TxError as its cause.
 */
export function checkBody(params: Params, sha256: Sha256, block: Block): void {
  if (!equalBytes(transactionRoot(sha256, block.transactions), block.header.txRoot)) {
    throw new BlockError('block-mutated', 'the transactions are not those of the header')
  }
  const count = block.transactions.length
  if (count > params.maxTransactions) {
    throw new BlockError('block-count', `${count} transactions; at most ${params.maxTransactions}`, { count })
  }
  const size = blockSize(block)
  if (size > params.maxBlockBytes) {
    throw new BlockError('block-size', `${size} bytes; at most ${params.maxBlockBytes}`, { size })
  }
  for (const [index, { transaction }] of block.transactions.entries()) {
    try {
      checkTransaction(params, sha256, transaction)
    } catch (error) {
      throw blockTransactionError(error, index)
    }
  }
}

/** A transaction's violation as its block's; anything else passes unchanged. Values that do not fit the body are the sender's fault,
 * since the header commits to the digests and not to the values. */
export function blockTransactionError(error: unknown, index: number): unknown {
  if (!(error instanceof TxError)) return error
  const mutated = error.code === 'tx-value-missing' || error.code === 'tx-value-digest'
  const code = mutated ? 'block-mutated' : 'block-transaction'
  return new BlockError(code, `transaction ${index}: ${error.message}`, { index, rule: error.code }, error)
}
