/**
 * Writes as the contract says them, turned into the operations that are signed and the values that travel beside them: by the daemon for its
 * own account, by SigningClient for a key of the caller's. Owns the reading of keys, values, expectations and access; not whether a write is
 * allowed. Runs in a browser too.
 */
import { fromAddress } from '@kvchain/core/address'
import { compareBytes, fromHex } from '@kvchain/core/bytes'
import { assert } from '@kvchain/core/errors'
import type { Sha256 } from '@kvchain/core/hash'
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from '@kvchain/core/limits'
import {
  type AccessChange as CoreAccess,
  type Expectation,
  type Operation,
  valueDigest,
} from '@kvchain/core/transaction'
import type { BatchOperation } from './contract/kv.js'
import type { AccessChange, Expect, KeyEncoding, ValueEncoding } from './contract/schemas.js'
import type { Params } from './contract.js'
import { ClientError } from './errors.js'
import { decodeText } from './text.js'

/** The methods that become a transaction. */
export type WriteMethod = 'kv_put' | 'kv_delete' | 'kv_access' | 'kv_batch' | 'coin_send'

export interface ParsedOperations {
  readonly operations: readonly Operation[]
  /** One for each put, in order. */
  readonly values: readonly Uint8Array[]
}

const OPERATIONS_OF: { readonly [M in WriteMethod]: (params: Params<M>) => readonly BatchOperation[] } = {
  kv_put: (params) => [{ op: 'put', ...params }],
  kv_delete: (params) => [{ op: 'delete', ...params }],
  kv_access: (params) => [{ op: 'access', ...params }],
  kv_batch: ({ operations }) => operations,
  coin_send: ({ to, amount }) => [{ op: 'send', to, amount }],
}

/** What a write does, whichever method asks for it. */
export function operationsOf<M extends WriteMethod>(method: M, params: Params<M>): readonly BatchOperation[] {
  return OPERATIONS_OF[method](params)
}

/**
 * `prefix` is that of the network's addresses. Throws ClientError `bad-params` for what is no key or value, and AddressError.
 */
export function parseOperations(sha256: Sha256, batch: readonly BatchOperation[], prefix: string): ParsedOperations {
  const values = batch.filter((operation) => operation.op === 'put').map(parseValue)
  let next = 0
  const operations = batch.map((operation) => {
    const value = operation.op === 'put' ? values[next++] : undefined
    return parseOperation(sha256, operation, value, prefix)
  })
  return { operations, values }
}

function parseOperation(
  sha256: Sha256,
  operation: BatchOperation,
  value: Uint8Array | undefined,
  prefix: string,
): Operation {
  if (operation.op === 'send') {
    return { kind: 'transfer', to: fromAddress(operation.to, prefix), amount: operation.amount }
  }
  const target = { key: parseKey(operation), expect: parseExpect(sha256, operation.expect) }
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

/** The bytes of a key: 1 to 512. Throws ClientError `bad-params`. */
export function parseKey(params: { readonly key: string; readonly keyEncoding?: KeyEncoding }): Uint8Array {
  const key = decodeText(params.key, params.keyEncoding ?? 'utf8')
  if (key === undefined) throw badParam('key', `is not ${params.keyEncoding ?? 'utf8'}`)
  if (key.length === 0 || key.length > MAX_KEY_BYTES) {
    throw badParam('key', `must have 1 to ${MAX_KEY_BYTES} bytes, it has ${key.length}`)
  }
  return key
}

/** The bytes of a value. Throws ClientError `bad-params`. */
export function parseValue(params: { readonly value: string; readonly encoding?: ValueEncoding }): Uint8Array {
  const value = decodeText(params.value, params.encoding ?? 'utf8')
  if (value === undefined) throw badParam('value', `is not ${params.encoding ?? 'utf8'}`)
  if (value.length > MAX_VALUE_BYTES) {
    throw badParam('value', `has at most ${MAX_VALUE_BYTES} bytes on any network, it has ${value.length}`)
  }
  return value
}

function parseExpect(sha256: Sha256, expect: Expect | undefined): Expectation {
  if (expect === undefined) return { kind: 'any' }
  if ('absent' in expect) return { kind: 'absent' }
  if ('version' in expect) return { kind: 'version', version: expect.version }
  if ('value' in expect) return { kind: 'digest', digest: valueDigest(sha256, parseValue(expect)) }
  const digest = fromHex(expect.digest)
  if (digest === undefined) throw badParam('expect', 'has a digest that is not hex')
  return { kind: 'digest', digest }
}

function parseAccess(access: AccessChange | undefined, prefix: string): CoreAccess {
  if (access === undefined) return { kind: 'keep' }
  if (typeof access === 'string') return { kind: access }
  const writers = access.writers.map((address) => fromAddress(address, prefix)).sort(compareBytes)
  const distinct = writers.filter((writer, i) => i === 0 || compareBytes(writer, writers[i - 1] ?? writer) !== 0)
  return { kind: 'writers', writers: distinct }
}

function badParam(field: string, message: string): ClientError {
  return new ClientError('bad-params', `${field} ${message}`, { field })
}
