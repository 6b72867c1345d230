/** The contents of the records whose bytes are the store's own (the others' are core's), and whether a block mark is that of a block. */
import { type IncludedTransaction, readBody, writeBody } from '@kvchain/core/block'
import { equalBytes } from '@kvchain/core/bytes'
import { decodeAll, encodeWith } from '@kvchain/core/codec'
import { decodeEntry, type Entry, encodeEntry } from '@kvchain/core/entry'
import { encodeHeader, HEADER_BYTES, type Header, headerHash, readHeader } from '@kvchain/core/header'
import { PUBLIC_KEY_BYTES } from '@kvchain/core/keys'
import { type Outcome, readOutcome, writeOutcome } from '@kvchain/core/outcome'
import type { TransactionBody } from '@kvchain/core/transaction'
import { sha256 } from '../crypto/sodium.js'

// --- H ---------------------------------------------------------------------------------------------------------------

/** A header as it is kept. */
export interface StoredHeader {
  readonly header: Header
  readonly hash: Uint8Array
  readonly invalid: boolean
}

export function encodeStoredHeader(header: Header, invalid: boolean): Uint8Array {
  return encodeWith((writer) => writer.fixed(encodeHeader(header)).u8(invalid ? 1 : 0), HEADER_BYTES + 1)
}

/** The hash is in the record's name. */
export function decodeStoredHeader(key: Uint8Array, content: Uint8Array): StoredHeader {
  return decodeAll(content, (reader) => ({
    header: readHeader(reader),
    hash: key.subarray(5),
    invalid: reader.tag(0, 1) === 1,
  }))
}

// --- C ---------------------------------------------------------------------------------------------------------------

/** A block of the main chain. */
export interface MainBlock {
  readonly header: Header
  readonly hash: Uint8Array
  /** Transactions from genesis up to and with this block. */
  readonly transactions: number
}

export function encodeMainBlock({ header, transactions }: Omit<MainBlock, 'hash'>): Uint8Array {
  return encodeWith((writer) => writer.fixed(encodeHeader(header)).u64(transactions), HEADER_BYTES + 8)
}

export function decodeMainBlock(content: Uint8Array): MainBlock {
  return decodeAll(content, (reader) => {
    const header = readHeader(reader)
    return { header, hash: headerHash(sha256, header), transactions: reader.u64() }
  })
}

/** The height is in the record's name. */
export function heightOfKey(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(1)
}

// --- B ---------------------------------------------------------------------------------------------------------------

export function encodeBody(transactions: readonly IncludedTransaction[]): Uint8Array {
  return encodeWith((writer) => writeBody(writer, transactions, false), 4096)
}

export function decodeBody(content: Uint8Array, genesisHash: Uint8Array): IncludedTransaction[] {
  return decodeAll(content, (reader) => readBody(reader, sha256, genesisHash))
}

/** The digests of all values that a transaction brings, in order. */
export function valueDigests({ operations }: TransactionBody): Uint8Array[] {
  const digests: Uint8Array[] = []
  for (const operation of operations) if (operation.kind === 'put') digests.push(operation.valueDigest)
  return digests
}

// --- block marks -----------------------------------------------------------------------------------------------------

/** Few bytes, since only accidents are to be noticed; the last ones, since proof of work makes the first ones zero. */
const MARK_BYTES = 8

function markOf(hash: Uint8Array): Uint8Array {
  return hash.subarray(hash.length - MARK_BYTES)
}

/** Whether a record was written by this block. */
export function isMarkOf(mark: Uint8Array, hash: Uint8Array | undefined): boolean {
  return hash !== undefined && equalBytes(mark, markOf(hash))
}

// --- T ---------------------------------------------------------------------------------------------------------------

/** Where a transaction stands in the main chain. */
export interface TransactionLocation {
  readonly height: number
  readonly index: number
  /** Kept here too, so that nobody decodes a block to learn them. */
  readonly outcome: Outcome
  readonly sender: Uint8Array
}

export interface MarkedLocation extends TransactionLocation {
  readonly mark: Uint8Array
}

export function encodeLocation(location: TransactionLocation, block: Uint8Array): Uint8Array {
  return encodeWith((writer) => {
    writeOutcome(writer.u32(location.height).u32(location.index), location.outcome)
    writer.fixed(location.sender).fixed(markOf(block))
  }, 51)
}

export function decodeLocation(content: Uint8Array): MarkedLocation {
  return decodeAll(content, (reader) => ({
    height: reader.u32(),
    index: reader.u32(),
    outcome: readOutcome(reader),
    sender: reader.fixed(PUBLIC_KEY_BYTES),
    mark: reader.fixed(MARK_BYTES),
  }))
}

// --- e ---------------------------------------------------------------------------------------------------------------

export interface MarkedVersion {
  readonly entry: Entry
  /** The entry's own bytes. */
  readonly bytes: Uint8Array
  readonly mark: Uint8Array
}

export function encodeVersion(entry: Entry, block: Uint8Array): Uint8Array {
  const bytes = encodeEntry(entry)
  const content = new Uint8Array(bytes.length + MARK_BYTES)
  content.set(bytes)
  content.set(markOf(block), bytes.length)
  return content
}

export function decodeVersion(content: Uint8Array): MarkedVersion {
  const end = Math.max(0, content.length - MARK_BYTES)
  const bytes = content.subarray(0, end)
  return { entry: decodeEntry(bytes), bytes, mark: content.subarray(end) }
}
