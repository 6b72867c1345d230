/**
 * A block without what the others have: header, a short id for each transaction, the outcomes that are not ok, and those transactions that
 * nobody can have yet. Owns its bytes, its bounds, and the short ids, which are keyed for each announcement: who makes transactions
 * cannot know which of them will clash. (protocol.md section 11)
 */
import type { Block } from '@kvchain/core/block'
import { CodecError, decodeAll, encodeWith, type Reader } from '@kvchain/core/codec'
import type { Sha256 } from '@kvchain/core/hash'
import { encodeHeader, HEADER_BYTES, type Header, readHeader, writeHeader } from '@kvchain/core/header'
import { SIGNATURE_BYTES } from '@kvchain/core/keys'
import { MAX_BLOCK_TRANSACTIONS } from '@kvchain/core/limits'
import { type Outcome, readOutcome, writeOutcome } from '@kvchain/core/outcome'
import { readTransaction, type Transaction, transactionSize, writeTransaction } from '@kvchain/core/transaction'
import { hex } from '../runtime/hex.js'

export const SALT_BYTES = 8
const ID_BYTES = 6
const KEY_BYTES = 16
const TXID_BYTES = 32
/** Bytes of transactions that travel within an announcement: what a miner had no time to tell is little. */
const PREFILLED_BYTES = 128 * 1024

export interface Announcement {
  readonly header: Header
  /** Drawn at random by whoever announces. */
  readonly salt: Uint8Array
  /** 48 bits for each transaction, in order. None at all though there are transactions: the block is to be asked for whole. */
  readonly shortIds: readonly number[]
  /** Outcomes that are not ok, by place. */
  readonly failures: ReadonlyMap<number, Outcome>
  /** Whole transactions, by place. */
  readonly prefilled: ReadonlyMap<number, Transaction>
}

/**
 * Gives transactions their short ids under the key of one announcement. The signature counts: a sender can sign one txid in several ways, and the
 * block holds one of them.
 */
export function shortIdsOf(sha256: Sha256, header: Header, salt: Uint8Array): (transaction: Transaction) => number {
  const keyed = new Uint8Array(KEY_BYTES + TXID_BYTES + SIGNATURE_BYTES)
  keyed.set(sha256(encodeWith((writer) => writer.fixed(encodeHeader(header)).fixed(salt))).subarray(0, KEY_BYTES))
  return ({ txid, signature }) => {
    keyed.set(txid, KEY_BYTES)
    keyed.set(signature, KEY_BYTES + TXID_BYTES)
    const digest = sha256(keyed)
    let id = 0
    for (let i = 0; i < ID_BYTES; i++) id = id * 256 + (digest[i] ?? 0)
    return id
  }
}

/** The bytes that announce a block. `untold` are transactions that were not told yet; those of the block go along. */
export function encodeAnnouncement(
  sha256: Sha256,
  block: Block,
  salt: Uint8Array,
  untold: Iterable<Transaction> = [],
  maxBytes = Number.POSITIVE_INFINITY,
): Uint8Array {
  const whole = encodeParts(sha256, block, salt, selectPrefilled(block, untold))
  if (whole.length <= maxBytes) return whole
  const bare = encodeParts(sha256, block, salt, [])
  return bare.length <= maxBytes ? bare : encodeParts(sha256, { header: block.header, transactions: [] }, salt, [])
}

function selectPrefilled({ transactions }: Block, untold: Iterable<Transaction>): [number, Transaction][] {
  const byTxid = new Map<string, Transaction>()
  for (const transaction of untold) byTxid.set(hex(transaction.txid), transaction)
  const selected: [number, Transaction][] = []
  let bytes = 0
  for (const [index, { transaction }] of byTxid.size === 0 ? [] : transactions.entries()) {
    const known = byTxid.get(hex(transaction.txid))
    if (known === undefined) continue
    bytes += transactionSize(known)
    if (bytes > PREFILLED_BYTES) break
    selected.push([index, known])
  }
  return selected
}

function encodeParts(
  sha256: Sha256,
  { header, transactions }: Block,
  salt: Uint8Array,
  prefilled: readonly [number, Transaction][],
): Uint8Array {
  const shortId = shortIdsOf(sha256, header, salt)
  return encodeWith(
    (writer) => {
      writeHeader(writer, header)
      writer.fixed(salt).u32(transactions.length)
      for (const { transaction } of transactions) {
        const id = shortId(transaction)
        writer.u16(Math.floor(id / 2 ** 32)).u32(id % 2 ** 32)
      }
      const failed = [...transactions.entries()].filter(([, { outcome }]) => outcome.code !== 'ok')
      writer.u32(failed.length)
      for (const [index, { outcome }] of failed) writeOutcome(writer.u32(index), outcome)
      writer.u32(prefilled.length)
      for (const [index, transaction] of prefilled) writeTransaction(writer.u32(index), transaction, true)
    },
    HEADER_BYTES + 20 + transactions.length * ID_BYTES,
  )
}

/** Throws CodecError. */
export function decodeAnnouncement(bytes: Uint8Array, sha256: Sha256, genesisHash: Uint8Array): Announcement {
  return decodeAll(bytes, (reader) => {
    const header = readHeader(reader)
    const salt = reader.fixed(SALT_BYTES)
    const shortIds: number[] = []
    for (let left = reader.count(0, MAX_BLOCK_TRANSACTIONS); left > 0; left--) {
      shortIds.push(reader.u16() * 2 ** 32 + reader.u32())
    }
    const failures = readPlaces(reader, shortIds.length, () => readOutcome(reader))
    const prefilled = readPlaces(reader, shortIds.length, () => readTransaction(reader, sha256, genesisHash))
    return { header, salt, shortIds, failures, prefilled }
  })
}

/** What stands at some of `count` places, by strictly ascending place. */
function readPlaces<T>(reader: Reader, count: number, read: () => T): Map<number, T> {
  const places = new Map<number, T>()
  let last = -1
  for (let left = reader.count(0, count); left > 0; left--) {
    const index = reader.u32()
    if (index <= last || index >= count) throw new CodecError('codec-order', 'places must be in order', { index })
    places.set(index, read())
    last = index
  }
  return places
}
