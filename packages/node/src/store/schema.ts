/**
 * The layout of the database on one page. One byte names the kind of record, the rest is fixed-width, so that records of a kind sort
 * together and in a useful order. Every record but a value ends in a seal (seal.ts). (protocol.md section 12)
 *
 *   M name                  meta: schema version, genesis hash, tip hash
 *   H height(4) hash(32)    header (184 bytes), flag: 1 when found invalid
 *   B hash(32)              body: transactions without values, and outcomes
 *   V digest(32)            value; its digest is its seal
 *   C height(4)             hash of the block of the main chain at that height
 *   T txid(32)              height(4), index(4), outcome(3), sender(32) of a transaction of the main chain
 *   E key                   the latest entry of a key, deleted or not
 *   e path(32) version(8)   every version of an entry
 *   A public key(32)        account
 *   U hash(32)              undo of a block of the main chain
 *   N page key(33)          bucket of the state tree: path(32) and digest(32) of each leaf
 *   S page key(33)          shelf of the state tree: its hash, and which buckets it has
 *   J txid(32)              own transaction that may have to be sent again
 *   P                       addresses of peers
 *   P "bans"                who is shut out
 *   R number(4)             a reorg that was seen, as JSON
 */
import { concatBytes, fromUtf8 } from '@kvchain/core/bytes'
import { encodeWith } from '@kvchain/core/codec'

/** Raised whenever a record changes its shape. */
export const SCHEMA_VERSION = 2

const PREFIX = {
  meta: 0x4d,
  header: 0x48,
  body: 0x42,
  value: 0x56,
  mainChain: 0x43,
  transaction: 0x54,
  entry: 0x45,
  version: 0x65,
  account: 0x41,
  undo: 0x55,
  bucket: 0x4e,
  shelf: 0x53,
  journal: 0x4a,
  peers: 0x50,
  reorg: 0x52,
} as const

export type RecordKind = keyof typeof PREFIX

const KINDS = new Map<number | undefined, RecordKind>()
for (const kind of Object.keys(PREFIX).filter(isKind)) KINDS.set(PREFIX[kind], kind)

function isKind(name: string): name is RecordKind {
  return Object.hasOwn(PREFIX, name)
}

/** The kind of the record under a key, undefined when it is none of ours. */
export function kindOf(key: Uint8Array): RecordKind | undefined {
  return KINDS.get(key[0])
}

function keyed(kind: RecordKind, id: Uint8Array, key: Uint8Array = new Uint8Array(1 + id.length)): Uint8Array {
  key[0] = PREFIX[kind]
  key.set(id, 1)
  return key
}

const pageRoom = new Uint8Array(34)

/** The key of a page, as recordKey gives it, but valid until the next call. */
export function passingPageKey(kind: 'bucket' | 'shelf', pageKey: Uint8Array): Uint8Array {
  return keyed(kind, pageKey, pageRoom)
}

export const recordKey = {
  meta: (name: 'schema' | 'genesis' | 'tip') => keyed('meta', fromUtf8(name)),
  header: (height: number, hash: Uint8Array) => encodeWith((w) => w.u8(PREFIX.header).u32(height).fixed(hash), 37),
  body: (hash: Uint8Array) => keyed('body', hash),
  value: (digest: Uint8Array) => keyed('value', digest),
  mainChain: (height: number) => encodeWith((w) => w.u8(PREFIX.mainChain).u32(height), 5),
  transaction: (txid: Uint8Array) => keyed('transaction', txid),
  entry: (key: Uint8Array) => keyed('entry', key),
  version: (path: Uint8Array, version: number) => encodeWith((w) => w.u8(PREFIX.version).fixed(path).u64(version), 41),
  account: (publicKey: Uint8Array) => keyed('account', publicKey),
  undo: (hash: Uint8Array) => keyed('undo', hash),
  bucket: (pageKey: Uint8Array) => keyed('bucket', pageKey),
  shelf: (pageKey: Uint8Array) => keyed('shelf', pageKey),
  journal: (txid: Uint8Array) => keyed('journal', txid),
  peers: () => keyed('peers', new Uint8Array(0)),
  bans: () => keyed('peers', fromUtf8('bans')),
  reorg: (number: number) => encodeWith((w) => w.u8(PREFIX.reorg).u32(number), 5),
} as const

/** Half-open. */
export interface KeyRange {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
}

/** The range of the latest entries of keys that begin with `prefix` and come after `after`. */
export function entryRange(prefix: Uint8Array, after: Uint8Array | undefined): KeyRange {
  const first = recordKey.entry(prefix)
  const gte = after === undefined ? first : concatBytes([recordKey.entry(after), Uint8Array.of(0)])
  // The first that no longer begins so; the byte of the kind, which is not 255, always has a next one.
  const end = first.findLastIndex((byte) => byte !== 0xff)
  const lt = first.slice(0, end + 1)
  lt[end] = (lt[end] ?? 0) + 1
  return { gte, lt }
}

/** The range that holds every record of a kind. */
export function kindRange(kind: RecordKind): KeyRange {
  return { gte: Uint8Array.of(PREFIX[kind]), lt: Uint8Array.of(PREFIX[kind] + 1) }
}
