/**
 * Transactions: what an account asks for. Owns their shape, bytes, txid and signature; not whether they are allowed (checks.ts,
 * rules.ts) nor what they do (state.ts). The signed body commits to each value by digest and length; the values travel beside
 * it as payloads, so that they can be dropped later and everything still verifies. (protocol.md section 4)
 */

import { compareBytes } from './bytes.js'
import { CodecError, decodeAll, encodeWith, type Reader, type Writer } from './codec.js'
import { DOMAIN, type Sha256, taggedHash } from './hash.js'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES, type SignMessage } from './keys.js'
import { MAX_KEY_BYTES, MAX_OPERATIONS, MAX_VALUE_BYTES, MAX_WRITERS } from './limits.js'

/** What must hold of a key for an operation to go ahead. */
export type Expectation =
  | { readonly kind: 'any' }
  /** No entry, or a deleted one. */
  | { readonly kind: 'absent' }
  /** The entry has this version. */
  | { readonly kind: 'version'; readonly version: number }
  /** The entry is not deleted and its value has this digest. */
  | { readonly kind: 'digest'; readonly digest: Uint8Array }

/** Who besides the owner may write a key. */
export type WriteAccess =
  | { readonly kind: 'private' }
  | { readonly kind: 'open' }
  /** Strictly ascending, 1..64 of them. */
  | { readonly kind: 'writers'; readonly writers: readonly Uint8Array[] }

/** What an operation makes of a key's access: `keep` is private on a new key. */
export type AccessChange = { readonly kind: 'keep' } | WriteAccess

export interface PutOperation {
  readonly kind: 'put'
  readonly key: Uint8Array
  readonly expect: Expectation
  readonly valueDigest: Uint8Array
  readonly valueLength: number
  readonly access: AccessChange
}

export type Operation =
  | PutOperation
  | {
      readonly kind: 'delete'
      readonly key: Uint8Array
      readonly expect: Expectation
    }
  | {
      readonly kind: 'access'
      readonly key: Uint8Array
      readonly expect: Expectation
      /** The account that the key is handed over to, if any. */
      readonly owner: Uint8Array | undefined
      readonly access: AccessChange
    }
  | {
      readonly kind: 'transfer'
      readonly to: Uint8Array
      readonly amount: number
    }
  | {
      readonly kind: 'assert'
      readonly key: Uint8Array
      readonly expect: Expectation
    }

export interface TransactionBody {
  readonly sender: Uint8Array
  /** 0 for an account's first transaction, then one more each time. */
  readonly accountNonce: number
  readonly fee: number
  /** The last height at which it may be included; 0 for no limit. */
  readonly validUntil: number
  readonly operations: readonly Operation[]
}

export interface Transaction {
  readonly body: TransactionBody
  /** The encoding of `body`, as received. */
  readonly bodyBytes: Uint8Array
  readonly txid: Uint8Array
  readonly signature: Uint8Array
  /** One value for each put, in order; undefined when they were dropped. */
  readonly values: readonly Uint8Array[] | undefined
}

const BODY_VERSION = 1
const ANY: Expectation = { kind: 'any' }

/** The digest that a body commits to for a value. */
export function valueDigest(sha256: Sha256, value: Uint8Array): Uint8Array {
  return taggedHash(sha256, DOMAIN.value, value)
}

/** The txid: the digest that is signed. It covers the network (genesis hash) and the body, nothing else. */
export function computeTxid(sha256: Sha256, genesisHash: Uint8Array, bodyBytes: Uint8Array): Uint8Array {
  return taggedHash(sha256, DOMAIN.txid, genesisHash, bodyBytes)
}

/** Encodes and signs a body. `values` holds one value for each put, in order. */
export function signTransaction(
  sha256: Sha256,
  genesisHash: Uint8Array,
  body: TransactionBody,
  values: readonly Uint8Array[],
  sign: SignMessage,
): Transaction {
  const bodyBytes = encodeBody(body)
  const txid = computeTxid(sha256, genesisHash, bodyBytes)
  // Read back: what no reader would take must not be signed.
  return { body: decodeBody(bodyBytes), bodyBytes, txid, values, signature: sign(txid) }
}

/** Bytes of a transaction with all its payloads: what sizes and fees are counted by, dropped payloads or not. */
export function transactionSize(transaction: Transaction): number {
  let size = transaction.bodyBytes.length + SIGNATURE_BYTES + 1
  for (const operation of transaction.body.operations) if (operation.kind === 'put') size += operation.valueLength
  return size
}

// --- body ------------------------------------------------------------------------------------------------------------

export function encodeBody(body: TransactionBody): Uint8Array {
  return encodeWith((writer) => {
    writer.u8(BODY_VERSION).fixed(body.sender).u64(body.accountNonce).u64(body.fee).u32(body.validUntil)
    writer.u32(body.operations.length)
    for (const operation of body.operations) writeOperation(writer, operation)
  })
}

export function decodeBody(bytes: Uint8Array): TransactionBody {
  return decodeAll(bytes, readBody)
}

function readBody(reader: Reader): TransactionBody {
  reader.tag(BODY_VERSION, BODY_VERSION)
  const sender = reader.fixed(PUBLIC_KEY_BYTES)
  const accountNonce = reader.u64()
  const fee = reader.u64()
  const validUntil = reader.u32()
  const count = reader.count(1, MAX_OPERATIONS)
  const operations: Operation[] = []
  for (let i = 0; i < count; i++) operations.push(readOperation(reader))
  return { sender, accountNonce, fee, validUntil, operations }
}

const OPERATION_TAG = {
  put: 1,
  delete: 2,
  access: 3,
  transfer: 4,
  assert: 5,
} as const

function writeOperation(writer: Writer, operation: Operation): void {
  writer.u8(OPERATION_TAG[operation.kind])
  if (operation.kind === 'transfer') {
    writer.fixed(operation.to).u64(operation.amount)
    return
  }
  writer.variable(operation.key)
  writeExpectation(writer, operation.expect)
  switch (operation.kind) {
    case 'put':
      writer.u32(operation.valueLength).fixed(operation.valueDigest)
      writeAccess(writer, operation.access)
      return
    case 'access':
      if (operation.owner === undefined) writer.u8(0)
      else writer.u8(1).fixed(operation.owner)
      writeAccess(writer, operation.access)
      return
    case 'delete':
    case 'assert':
      return
  }
}

function readOperation(reader: Reader): Operation {
  const tag = reader.tag(OPERATION_TAG.put, OPERATION_TAG.assert)
  if (tag === OPERATION_TAG.transfer) {
    return {
      kind: 'transfer',
      to: reader.fixed(PUBLIC_KEY_BYTES),
      amount: reader.u64(),
    }
  }
  const key = reader.variable(1, MAX_KEY_BYTES)
  const expect = readExpectation(reader)
  switch (tag) {
    case OPERATION_TAG.put: {
      const valueLength = reader.count(0, MAX_VALUE_BYTES)
      return {
        kind: 'put',
        key,
        expect,
        valueLength,
        valueDigest: reader.fixed(32),
        access: readAccess(reader),
      }
    }
    case OPERATION_TAG.access: {
      const owner = reader.tag(0, 1) === 1 ? reader.fixed(PUBLIC_KEY_BYTES) : undefined
      return { kind: 'access', key, expect, owner, access: readAccess(reader) }
    }
    case OPERATION_TAG.delete:
      return { kind: 'delete', key, expect }
    default:
      return { kind: 'assert', key, expect }
  }
}

function writeExpectation(writer: Writer, expect: Expectation): void {
  switch (expect.kind) {
    case 'any':
      writer.u8(0)
      return
    case 'absent':
      writer.u8(1)
      return
    case 'version':
      writer.u8(2).u64(expect.version)
      return
    case 'digest':
      writer.u8(3).fixed(expect.digest)
      return
  }
}

function readExpectation(reader: Reader): Expectation {
  switch (reader.tag(0, 3)) {
    case 0:
      return ANY
    case 1:
      return { kind: 'absent' }
    case 2:
      return { kind: 'version', version: reader.u64() }
    default:
      return { kind: 'digest', digest: reader.fixed(32) }
  }
}

const ACCESS_TAG = { keep: 0, private: 1, open: 2, writers: 3 } as const

export function writeAccess(writer: Writer, access: AccessChange): void {
  writer.u8(ACCESS_TAG[access.kind])
  if (access.kind !== 'writers') return
  writer.u32(access.writers.length)
  for (const account of access.writers) writer.fixed(account)
}

function readAccess(reader: Reader): AccessChange {
  return readAccessTag(reader, ACCESS_TAG.keep) ?? { kind: 'keep' }
}

/** The access rule as an entry holds it: never `keep`. */
export function readWriteAccess(reader: Reader): WriteAccess {
  return readAccessTag(reader, ACCESS_TAG.private) ?? { kind: 'private' }
}

function readAccessTag(reader: Reader, first: number): WriteAccess | undefined {
  switch (reader.tag(first, ACCESS_TAG.writers)) {
    case ACCESS_TAG.keep:
      return undefined
    case ACCESS_TAG.private:
      return { kind: 'private' }
    case ACCESS_TAG.open:
      return { kind: 'open' }
    default:
      return { kind: 'writers', writers: readWriters(reader) }
  }
}

function readWriters(reader: Reader): Uint8Array[] {
  const count = reader.count(1, MAX_WRITERS)
  const writers: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    const account = reader.fixed(PUBLIC_KEY_BYTES)
    const previous = writers[i - 1]
    if (previous !== undefined && compareBytes(previous, account) >= 0) {
      throw new CodecError('codec-order', 'writers must be strictly ascending', { index: i })
    }
    writers.push(account)
  }
  return writers
}

// --- whole transaction -----------------------------------------------------------------------------------------------

/** Body, signature, a flag, and (flag 1) the values one after the other: their lengths stand in the body. */
export function writeTransaction(writer: Writer, transaction: Transaction, withValues: boolean): void {
  writer.fixed(transaction.bodyBytes).fixed(transaction.signature)
  if (!withValues || transaction.values === undefined) {
    writer.u8(0)
    return
  }
  writer.u8(1)
  for (const value of transaction.values) writer.fixed(value)
}

/** Reads one transaction; the result keeps views of the input. */
export function readTransaction(reader: Reader, sha256: Sha256, genesisHash: Uint8Array): Transaction {
  const start = reader.offset
  const body = readBody(reader)
  const bodyBytes = reader.bytes.subarray(start, reader.offset)
  const signature = reader.fixed(SIGNATURE_BYTES)
  let values: Uint8Array[] | undefined
  if (reader.tag(0, 1) === 1) {
    values = []
    for (const operation of body.operations) {
      if (operation.kind === 'put') values.push(reader.fixed(operation.valueLength))
    }
  }
  return {
    body,
    bodyBytes,
    txid: computeTxid(sha256, genesisHash, bodyBytes),
    signature,
    values,
  }
}

export function encodeTransaction(transaction: Transaction): Uint8Array {
  return encodeWith((writer) => writeTransaction(writer, transaction, true), transactionSize(transaction))
}

export function decodeTransaction(bytes: Uint8Array, sha256: Sha256, genesisHash: Uint8Array): Transaction {
  return decodeAll(bytes, (reader) => readTransaction(reader, sha256, genesisHash))
}
