/**
 * Records of the chain as bytes, and what they become when read. Owns their shape; when they are written is chainStore.ts's. (protocol.md section 12)
 */
import { type IncludedTransaction, readBody, writeBody } from '@kvchain/core/block'
import { equalBytes } from '@kvchain/core/bytes'
import { decodeAll, encodeFor, encodeWith } from '@kvchain/core/codec'
import {
  type Account,
  decodeAccount,
  type Entry,
  encodeAccount,
  entryPath,
  isEmptyAccount,
  writeEntry,
} from '@kvchain/core/entry'
import type { Genesis } from '@kvchain/core/genesis'
import { encodeHeader, HEADER_BYTES, type Header, readHeader } from '@kvchain/core/header'
import { PUBLIC_KEY_BYTES } from '@kvchain/core/keys'
import { type Outcome, readOutcome, writeOutcome } from '@kvchain/core/outcome'
import type { Transaction } from '@kvchain/core/transaction'
import { sha256 } from '../crypto/sodium.js'
import { StoreError } from '../runtime/errors.js'
import type { Batch } from './batch.js'
import { recordKey, SCHEMA_VERSION } from './schema.js'

/** A header as it is kept. */
export interface StoredHeader {
  readonly header: Header
  readonly hash: Uint8Array
  readonly invalid: boolean
}

/** Where a transaction stands in the main chain. */
export interface TransactionLocation {
  readonly height: number
  readonly index: number
  /** Kept here too, so that nobody decodes a block to learn them. */
  readonly outcome: Outcome
  readonly sender: Uint8Array
}

/** Undefined when a record is absent, the decoded record otherwise. */
export function decoded<T>(content: Uint8Array | undefined, decode: (bytes: Uint8Array) => T): T | undefined {
  return content === undefined ? undefined : decode(content)
}

export function u32(value: number): Uint8Array {
  return encodeWith((writer) => writer.u32(value), 4)
}

/** Throws StoreError `store-schema`: what another version has written is left as it is. */
export function checkSchema(content: Uint8Array): void {
  const version = decodeAll(content, (reader) => reader.u32())
  if (version === SCHEMA_VERSION) return
  const age = version < SCHEMA_VERSION ? 'an older' : 'a newer'
  const advice = 'use the version of kvchain that made it, or another folder with --data-dir'
  throw new StoreError(
    'store-schema',
    `the data folder is of ${age} kvchain (schema ${version}, this one has ${SCHEMA_VERSION}): ${advice}`,
    { version, expected: SCHEMA_VERSION },
  )
}

/** Throws StoreError `store-network`. */
export function checkNetwork(genesisHash: Uint8Array, genesis: Genesis): void {
  if (equalBytes(genesisHash, genesis.hash)) return
  throw new StoreError(
    'store-network',
    'the data folder belongs to another network: say which with --network, or choose another folder with --data-dir',
  )
}

/** A header from its record. */
export function storedHeader(key: Uint8Array, content: Uint8Array): StoredHeader {
  return decodeAll(content, (reader) => ({
    header: readHeader(reader),
    hash: key.subarray(5),
    invalid: reader.tag(0, 1) === 1,
  }))
}

export function encodeLocation({ height, index, outcome, sender }: TransactionLocation): Uint8Array {
  return encodeWith((writer) => {
    writeOutcome(writer.u32(height).u32(index), outcome)
    writer.fixed(sender)
  }, 43)
}

export function decodeLocation(bytes: Uint8Array): TransactionLocation {
  return decodeAll(bytes, (reader) => ({
    height: reader.u32(),
    index: reader.u32(),
    outcome: readOutcome(reader),
    sender: reader.fixed(PUBLIC_KEY_BYTES),
  }))
}

/** Without values. */
export function putBody(batch: Batch, hash: Uint8Array, transactions: readonly IncludedTransaction[]): void {
  encodeFor(
    (writer) => writeBody(writer, transactions, false),
    (content) => batch.put(recordKey.body(hash), content),
  )
}

export function decodeBody(bytes: Uint8Array, genesisHash: Uint8Array): IncludedTransaction[] {
  return decodeAll(bytes, (reader) => readBody(reader, sha256, genesisHash))
}

/** The account of a record; one that nobody has heard of when there is none. */
export function accountOf(publicKey: Uint8Array, record: Uint8Array | undefined): Account {
  return decoded(record, decodeAccount) ?? { publicKey, balance: 0, nonce: 0 }
}

export function headerRecord(header: Header, invalid: boolean): Uint8Array {
  return encodeWith((writer) => writer.fixed(encodeHeader(header)).u8(invalid ? 1 : 0), HEADER_BYTES + 1)
}

/** A version of a key; the latest is its entry too. */
export function putVersion(batch: Batch, entry: Entry, isLatest: boolean): void {
  const key = recordKey.version(entryPath(sha256, entry.key), entry.version)
  encodeFor(
    (writer) => writeEntry(writer, entry),
    (content) => {
      batch.put(key, content)
      if (isLatest) batch.put(recordKey.entry(entry.key), content)
    },
  )
}

export function putAccount(batch: Batch, account: Account): void {
  const key = recordKey.account(account.publicKey)
  if (isEmptyAccount(account)) batch.delete(key)
  else batch.put(key, encodeAccount(account))
}

export function putValues(batch: Batch, transaction: Transaction): void {
  let next = 0
  for (const operation of transaction.body.operations) {
    const value = operation.kind === 'put' ? transaction.values?.[next++] : undefined
    if (operation.kind === 'put' && value !== undefined) batch.putBare(recordKey.value(operation.valueDigest), value)
  }
}
