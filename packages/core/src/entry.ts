/**
 * The two kinds of record that the state holds: entries (what a key holds) and accounts. Owns their bytes, digests and places
 * in the tree. (protocol.md section 8)
 */
import { decodeAll, encodeFor, encodeWith, type Writer } from './codec.js'
import { DOMAIN, type Sha256, taggedHash } from './hash.js'
import { PUBLIC_KEY_BYTES } from './keys.js'
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from './limits.js'
import { readWriteAccess, type WriteAccess, writeAccess } from './transaction.js'

/** What a key holds. Each change makes the next version, which names the one it replaced: the history is a chain. */
export interface Entry {
  readonly key: Uint8Array
  /** 1, 2, ... */
  readonly version: number
  readonly deleted: boolean
  /** Of the value; of nothing (0, zeros) when deleted. */
  readonly valueLength: number
  readonly valueDigest: Uint8Array
  readonly owner: Uint8Array
  readonly access: WriteAccess
  /** Where this version was made. */
  readonly height: number
  readonly txid: Uint8Array
  /** Digest of the entry that this one replaced; zeros for version 1. */
  readonly previous: Uint8Array
}

/** An account that has never been heard of has balance 0 and nonce 0, and no place in the tree. */
export interface Account {
  readonly publicKey: Uint8Array
  readonly balance: number
  /** The account nonce that its next transaction must carry. */
  readonly nonce: number
}

export function encodeEntry(entry: Entry): Uint8Array {
  return encodeWith((writer) => writeEntry(writer, entry))
}

/** As encodeEntry gives it. */
export function writeEntry(writer: Writer, entry: Entry): void {
  writer
    .variable(entry.key)
    .u64(entry.version)
    .u8(entry.deleted ? 1 : 0)
  writer.u32(entry.valueLength).fixed(entry.valueDigest).fixed(entry.owner)
  writeAccess(writer, entry.access)
  writer.u32(entry.height).fixed(entry.txid).fixed(entry.previous)
}

export function decodeEntry(bytes: Uint8Array): Entry {
  return decodeAll(bytes, (reader) => ({
    key: reader.variable(1, MAX_KEY_BYTES),
    version: reader.u64(),
    deleted: reader.tag(0, 1) === 1,
    valueLength: reader.count(0, MAX_VALUE_BYTES),
    valueDigest: reader.fixed(32),
    owner: reader.fixed(PUBLIC_KEY_BYTES),
    access: readWriteAccess(reader),
    height: reader.u32(),
    txid: reader.fixed(32),
    previous: reader.fixed(32),
  }))
}

export function encodeAccount(account: Account): Uint8Array {
  return encodeWith((writer) => writeAccount(writer, account), 48)
}

function writeAccount(writer: Writer, account: Account): void {
  writer.fixed(account.publicKey).u64(account.balance).u64(account.nonce)
}

export function decodeAccount(bytes: Uint8Array): Account {
  return decodeAll(bytes, (reader) => ({
    publicKey: reader.fixed(PUBLIC_KEY_BYTES),
    balance: reader.u64(),
    nonce: reader.u64(),
  }))
}

/** The digest that the tree and the next version commit to. */
export function entryDigest(sha256: Sha256, entry: Entry): Uint8Array {
  return encodeFor(
    (writer) => writeEntry(writer, entry),
    (bytes) => taggedHash(sha256, DOMAIN.entry, bytes),
  )
}

export function accountDigest(sha256: Sha256, account: Account): Uint8Array {
  return encodeFor(
    (writer) => writeAccount(writer, account),
    (bytes) => taggedHash(sha256, DOMAIN.account, bytes),
  )
}

/** The 256-bit place of a key in the tree. */
export function entryPath(sha256: Sha256, key: Uint8Array): Uint8Array {
  return taggedHash(sha256, DOMAIN.entryPath, key)
}

/** The 256-bit place of an account in the tree. */
export function accountPath(sha256: Sha256, publicKey: Uint8Array): Uint8Array {
  return taggedHash(sha256, DOMAIN.accountPath, publicKey)
}

/** Whether an account has a place in the tree at all. */
export function isEmptyAccount(account: Account): boolean {
  return account.balance === 0 && account.nonce === 0
}
