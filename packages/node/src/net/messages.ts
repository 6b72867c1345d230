/** The messages between nodes, as bytes. Owns their shapes and bounds; says nothing of when they are sent. (protocol.md section 11) */
import { fromBigInt, toBigInt } from '@kvchain/core/bytes'
import { decodeAll, encodeWith, type Reader } from '@kvchain/core/codec'
import type { Sha256 } from '@kvchain/core/hash'
import { HEADER_BYTES, type Header, readHeader, writeHeader } from '@kvchain/core/header'
import { MAX_BLOCK_BYTES, MAX_TRANSACTION_BYTES } from '@kvchain/core/limits'
import { readTransaction, type Transaction, transactionSize, writeTransaction } from '@kvchain/core/transaction'

/** The largest gossip message: room for the largest transaction that a network may allow, packed. One frame over 4 MiB would end the stream that carries it, silently and for good. */
export const MAX_GOSSIP_BYTES: number = 4 + MAX_TRANSACTION_BYTES
/** Transactions in one packed message or answer. */
export const MAX_PACKED = 10_000
export const MAX_LOCATOR = 96
export const MAX_HEADERS = 2_000
export const MAX_BLOCKS = 128
export const MAX_POOL_IDS = 20_000

// --- packed transactions ---------------------------------------------------------------------------------------------

export function encodePacked(transactions: readonly Transaction[]): Uint8Array {
  return encodeWith((writer) => {
    writer.u32(transactions.length)
    for (const transaction of transactions) writeTransaction(writer, transaction, true)
  }, 4096)
}

export function decodePacked(bytes: Uint8Array, sha256: Sha256, genesisHash: Uint8Array): Transaction[] {
  return decodeAll(bytes, (reader) => readList(reader, MAX_PACKED, () => readTransaction(reader, sha256, genesisHash)))
}

// --- status ----------------------------------------------------------------------------------------------------------

/** What a node says of its chain. Nobody believes it: it only tells whom to ask for headers. */
export interface Status {
  readonly tipHash: Uint8Array
  readonly height: number
  readonly chainwork: bigint
}

export function encodeStatus({ tipHash, height, chainwork }: Status): Uint8Array {
  return encodeWith((writer) => writer.fixed(tipHash).u32(height).fixed(fromBigInt(chainwork)), 68)
}

export function decodeStatus(bytes: Uint8Array): Status {
  return decodeAll(bytes, (reader) => ({
    tipHash: reader.fixed(32),
    height: reader.u32(),
    chainwork: toBigInt(reader.fixed(32)),
  }))
}

// --- headers ---------------------------------------------------------------------------------------------------------

export function encodeHashes(hashes: readonly Uint8Array[]): Uint8Array {
  return encodeWith(
    (writer) => {
      writer.u32(hashes.length)
      for (const hash of hashes) writer.fixed(hash)
    },
    4 + hashes.length * 32,
  )
}

export function decodeHashes(bytes: Uint8Array, maximum: number): Uint8Array[] {
  return decodeAll(bytes, (reader) => readList(reader, maximum, () => reader.fixed(32)))
}

export function encodeHeaders(headers: readonly Header[]): Uint8Array {
  return encodeWith(
    (writer) => {
      writer.u32(headers.length)
      for (const header of headers) writeHeader(writer, header)
    },
    4 + headers.length * HEADER_BYTES,
  )
}

export function decodeHeaders(bytes: Uint8Array): Header[] {
  return decodeAll(bytes, (reader) => readList(reader, MAX_HEADERS, () => readHeader(reader)))
}

// --- bodies ----------------------------------------------------------------------------------------------------------

/** Each asked-for block that the answerer has, in the order of asking, as far as fits; a length of 0 stands for one it lacks. */
export function encodeBlocks(blocks: readonly (Uint8Array | undefined)[]): Uint8Array {
  return encodeWith((writer) => {
    writer.u32(blocks.length)
    for (const block of blocks) writer.variable(block ?? new Uint8Array(0))
  }, 4096)
}

export function decodeBlocks(bytes: Uint8Array): (Uint8Array | undefined)[] {
  return decodeAll(bytes, (reader) =>
    readList(reader, MAX_BLOCKS, () => {
      const block = reader.variable(0, MAX_BLOCK_BYTES)
      return block.length === 0 ? undefined : block
    }),
  )
}

/** The transactions of a block at these places. */
export interface BlockTransactionsRequest {
  readonly hash: Uint8Array
  readonly indexes: readonly number[]
}

export function encodeBlockTransactionsRequest({ hash, indexes }: BlockTransactionsRequest): Uint8Array {
  return encodeWith(
    (writer) => {
      writer.fixed(hash).u32(indexes.length)
      for (const index of indexes) writer.u32(index)
    },
    36 + indexes.length * 4,
  )
}

export function decodeBlockTransactionsRequest(bytes: Uint8Array): BlockTransactionsRequest {
  return decodeAll(bytes, (reader) => ({
    hash: reader.fixed(32),
    indexes: readList(reader, MAX_PACKED, () => reader.u32()),
  }))
}

// --- helpers ---------------------------------------------------------------------------------------------------------

function readList<T>(reader: Reader, maximum: number, read: () => T): T[] {
  const list: T[] = []
  for (let left = reader.count(0, maximum); left > 0; left--) list.push(read())
  return list
}

/** As many of the transactions as fit into `maxBytes`, from the first on. */
export function takeWithin(transactions: Iterable<Transaction>, maxBytes: number, maxCount: number): Transaction[] {
  const taken: Transaction[] = []
  let bytes = 0
  for (const transaction of transactions) {
    bytes += transactionSize(transaction)
    if (taken.length >= maxCount || (taken.length > 0 && bytes > maxBytes)) break
    taken.push(transaction)
  }
  return taken
}
