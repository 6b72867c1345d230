/** Writes as the contract says them, turned into operations and the values that travel beside them. */
import type { BatchOperation } from '@kvchain/client/contract/kv'
import { fromAddress } from '@kvchain/core/address'
import { assert } from '@kvchain/core/errors'
import { type Operation, valueDigest } from '@kvchain/core/transaction'
import { sha256 } from '../crypto/sodium.js'
import { parseAccess, parseExpect, parseKey, parseValue } from './context.js'

export interface ParsedOperations {
  readonly operations: readonly Operation[]
  /** One for each put, in order. */
  readonly values: readonly Uint8Array[]
}

/** Throws AnswerError `invalid-params` for what is no key or value, and AddressError. `prefix` is that of the network's addresses. */
export function parseOperations(batch: readonly BatchOperation[], prefix: string): ParsedOperations {
  const values = batch.filter((operation) => operation.op === 'put').map(parseValue)
  let next = 0
  const operations = batch.map((operation) => {
    const value = operation.op === 'put' ? values[next++] : undefined
    return parseOperation(operation, value, prefix)
  })
  return { operations, values }
}

function parseOperation(operation: BatchOperation, value: Uint8Array | undefined, prefix: string): Operation {
  if (operation.op === 'send') {
    return { kind: 'transfer', to: fromAddress(operation.to, prefix), amount: operation.amount }
  }
  const target = { key: parseKey(operation), expect: parseExpect(operation.expect) }
  switch (operation.op) {
    case 'put': {
      assert(value !== undefined, 'a put has a value')
      const content = { valueDigest: valueDigest(sha256, value), valueLength: value.length }
      return { kind: 'put', ...target, ...content, access: parseAccess(operation.access, prefix) }
    }
    case 'access': {
      const owner = operation.owner === undefined ? undefined : fromAddress(operation.owner, prefix)
      return { kind: 'access', ...target, owner, access: parseAccess(operation.access, prefix) }
    }
    default:
      return { kind: operation.op, ...target }
  }
}
