/**
 * The nodes of the state tree as they are held in memory. Owns their hashes and the packing of leaves; the commitment (compact binary tree,
 * protocol.md section 9) does not know buckets or shelves: they only say which subtrees are kept together.
 *
 *   bucket   a subtree of at most BUCKET_LEAVES leaves; its leaves may be on disk only
 *   inner    a larger subtree
 *   shelf    an inner node at SHELF_DEPTH; what is below may be on disk only
 *
 * Which of them a subtree is depends on its leaves alone, so two trees with the same leaves have the same pages.
 */
import { toMapKey, ZERO_32 } from './bytes.js'
import { assert } from './errors.js'
import { DOMAIN, type Sha256 } from './hash.js'

/** Few, so that an update rewrites little; more than one, so that most inner nodes are never stored. */
export const BUCKET_LEAVES = 8
/** 4,096 shelves: with a million keys some 45 buckets each. */
export const SHELF_DEPTH = 12
export const PATH_BITS = 256

/**
 * A hash as text of 32 characters, each the value of a byte. A tree holds millions: as text they take a quarter of the memory that arrays
 * take, and the collector a fraction of the time.
 */
export type HashText = string

export const ZERO_TEXT: HashText = toMapKey(ZERO_32)

export interface Bucket {
  readonly kind: 'bucket'
  readonly hash: HashText
  readonly count: number
  /** Packed (see below); undefined when on disk only. */
  leaves: Uint8Array | undefined
  /** Whether the disk has it, so that it may leave memory. */
  persisted: boolean
}

export interface Inner {
  readonly kind: 'inner'
  readonly hash: HashText
  readonly count: number
  readonly left: TreeNode | undefined
  readonly right: TreeNode | undefined
}

export interface Shelf {
  readonly kind: 'shelf'
  readonly hash: HashText
  readonly count: number
  /** The first SHELF_DEPTH bits of every path below. */
  readonly index: number
  /** Undefined when on disk only. */
  root: Inner | undefined
  persisted: boolean
}

export type TreeNode = Bucket | Inner | Shelf

export function bitAt(path: Uint8Array, depth: number): number {
  return ((path[depth >> 3] ?? 0) >> (7 - (depth & 7))) & 1
}

/** The number that the first SHELF_DEPTH bits of a path make. */
export function shelfIndex(path: Uint8Array): number {
  return ((path[0] ?? 0) << 4) | ((path[1] ?? 0) >> 4)
}

const PAIR_AT = 16
const leafMessage = message(DOMAIN.treeLeaf)
const nodeMessage = message(DOMAIN.treeNode)

function message(tag: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PAIR_AT + 64)
  bytes.set(tag)
  return bytes
}

/** The tagged hash of path and digest. The function must be done with its input when it returns. */
function leafHash(sha256: Sha256, path: Uint8Array, digest: Uint8Array): HashText {
  copy(path, 0, leafMessage, PAIR_AT, 32)
  copy(digest, 0, leafMessage, PAIR_AT + 32, 32)
  return hashText(sha256, leafMessage)
}

/** The tagged hash of two subtrees; an empty one counts as zeros. */
export function nodeHash(sha256: Sha256, left: HashText | undefined, right: HashText | undefined): HashText {
  putText(left ?? ZERO_TEXT, nodeMessage, PAIR_AT)
  putText(right ?? ZERO_TEXT, nodeMessage, PAIR_AT + 32)
  return hashText(sha256, nodeMessage)
}

function hashText(sha256: Sha256, message: Uint8Array): HashText {
  return sha256.text?.(message) ?? toMapKey(sha256(message))
}

function putText(text: HashText, to: Uint8Array, at: number): void {
  for (let i = 0; i < 32; i++) to[at + i] = text.charCodeAt(i)
}

export function fromText(text: HashText): Uint8Array {
  const bytes = new Uint8Array(32)
  putText(text, bytes, 0)
  return bytes
}

/** For so few bytes faster than set(), which wants a view of them first. */
function copy(from: Uint8Array, start: number, to: Uint8Array, at: number, count: number): void {
  for (let i = 0; i < count; i++) to[at + i] = from[start + i] ?? 0
}

/** The first index in [from, to) whose path has bit 1 at `depth`; the paths are sorted and agree above it. */
export function splitAt(
  items: readonly { readonly path: Uint8Array }[],
  from: number,
  to: number,
  depth: number,
): number {
  assert(depth < PATH_BITS, 'two paths that agree in every bit')
  let [low, high] = [from, to]
  while (low < high) {
    const middle = (low + high) >> 1
    const item = items[middle]
    if (item !== undefined && bitAt(item.path, depth) === 0) low = middle + 1
    else high = middle
  }
  return low
}

// --- packed leaves ---------------------------------------------------------------------------------------------------
//
// Leaves are kept packed, in path order, since objects for each would cost more than the hashing: first path and digest of each leaf, which is
// what a bucket is on disk, then the leaf hash of each. Room for more leaves than there are is allowed in a list that is being made.

const PAIR_BYTES = 64
const HASH_BYTES = 32
const LEAF_BYTES = PAIR_BYTES + HASH_BYTES

/** Room for so many leaves. */
export function leafRoom(count: number): Uint8Array {
  return new Uint8Array(count * LEAF_BYTES)
}

/** How many leaves there are, or there is room for. */
export function leafCount(packed: Uint8Array): number {
  return packed.length / LEAF_BYTES
}

function hashesAt(packed: Uint8Array): number {
  return leafCount(packed) * PAIR_BYTES
}

export function leafAt(packed: Uint8Array, index: number): { path: Uint8Array; digest: Uint8Array } {
  const at = index * PAIR_BYTES
  return { path: packed.subarray(at, at + 32), digest: packed.subarray(at + 32, at + PAIR_BYTES) }
}

/** Copies leaves [from, to) of one list to another, from leaf `at` on. */
export function copyLeaves(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): void {
  const count = to - from
  copy(source, from * PAIR_BYTES, target, at * PAIR_BYTES, count * PAIR_BYTES)
  const [hashes, targetHashes] = [hashesAt(source), hashesAt(target)]
  copy(source, hashes + from * HASH_BYTES, target, targetHashes + at * HASH_BYTES, count * HASH_BYTES)
}

/** The digest at a path, undefined when no leaf has it. */
export function digestIn(packed: Uint8Array, path: Uint8Array): Uint8Array | undefined {
  for (let i = 0; i < leafCount(packed); i++) {
    if (comparePath(packed, i, path) === 0) return leafAt(packed, i).digest
  }
  return undefined
}

/** As splitAt, on packed leaves. */
export function splitPacked(packed: Uint8Array, from: number, to: number, depth: number): number {
  assert(depth < PATH_BITS, 'two paths that agree in every bit')
  const [byte, shift] = [depth >> 3, 7 - (depth & 7)]
  let [low, high] = [from, to]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((((packed[middle * PAIR_BYTES + byte] ?? 0) >> shift) & 1) === 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The hash of the compact subtree over leaves [from, to), which agree in their first `depth` bits; none: undefined. */
export function packedHash(
  sha256: Sha256,
  packed: Uint8Array,
  from: number,
  to: number,
  depth: number,
): HashText | undefined {
  if (from === to) return undefined
  if (to - from === 1) {
    const at = hashesAt(packed) + from * HASH_BYTES
    return toMapKey(packed.subarray(at, at + HASH_BYTES))
  }
  // No two leaves agree so far, unless their page is damaged: then any hash is the wrong one.
  if (depth >= PATH_BITS) return undefined
  const middle = splitPacked(packed, from, to, depth)
  const left = middle - from > 1 ? packedHash(sha256, packed, from, middle, depth + 1) : undefined
  const right = to - middle > 1 ? packedHash(sha256, packed, middle, to, depth + 1) : undefined
  putSubtree(left, packed, from, middle, PAIR_AT)
  putSubtree(right, packed, middle, to, PAIR_AT + 32)
  return hashText(sha256, nodeMessage)
}

/** Puts the hash of a subtree into the message: `hash`, else that of its only leaf, else zeros. */
function putSubtree(hash: HashText | undefined, packed: Uint8Array, from: number, to: number, at: number): void {
  if (hash !== undefined) putText(hash, nodeMessage, at)
  else if (from < to) copy(packed, hashesAt(packed) + from * HASH_BYTES, nodeMessage, at, HASH_BYTES)
  else nodeMessage.fill(0, at, at + HASH_BYTES)
}

/** The bucket of leaves [from, to). */
export function makeBucket(sha256: Sha256, packed: Uint8Array, from: number, to: number, depth: number): Bucket {
  const count = to - from
  const leaves = leafRoom(count)
  copyLeaves(packed, from, to, leaves, 0)
  const hash = packedHash(sha256, leaves, 0, count, depth)
  assert(hash !== undefined, 'a bucket has leaves')
  return { kind: 'bucket', hash, count, leaves, persisted: false }
}

interface LeafChange {
  readonly path: Uint8Array
  readonly digest: Uint8Array | undefined
}

function comparePath(packed: Uint8Array, index: number, path: Uint8Array): number {
  const at = index * PAIR_BYTES
  for (let i = 0; i < 32; i++) {
    const difference = (packed[at + i] ?? 0) - (path[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Puts old leaves and sorted changes [from, to) together in `room`, which must be large enough. Returns how many leaves there are. */
export function mergeLeaves(
  sha256: Sha256,
  old: Uint8Array | undefined,
  changes: readonly LeafChange[],
  from: number,
  to: number,
  room: Uint8Array,
): number {
  const before = old ?? EMPTY
  const oldCount = leafCount(before)
  let [next, end] = [0, 0]
  for (let i = from; i < to; i++) {
    const change = changes[i]
    if (change === undefined) break
    const { path, digest } = change
    let order = -1
    const start = next
    while (next < oldCount) {
      order = comparePath(before, next, path)
      if (order >= 0) break
      next++
    }
    copyLeaves(before, start, next, room, end)
    end += next - start
    if (order === 0) next++
    if (digest === undefined) continue
    copy(path, 0, room, end * PAIR_BYTES, 32)
    copy(digest, 0, room, end * PAIR_BYTES + 32, 32)
    putText(leafHash(sha256, path, digest), room, hashesAt(room) + end * HASH_BYTES)
    end++
  }
  copyLeaves(before, next, oldCount, room, end)
  return end + oldCount - next
}

const EMPTY = new Uint8Array(0)

/** A bucket's leaves as they are stored: path and digest of each. A view, not a copy. */
export function encodeBucket(packed: Uint8Array): Uint8Array {
  return packed.subarray(0, hashesAt(packed))
}

/** The packed leaves of a stored bucket, undefined when it cannot be one. */
export function decodeBucket(sha256: Sha256, bytes: Uint8Array): Uint8Array | undefined {
  const count = bytes.length / PAIR_BYTES
  if (count === 0 || !Number.isInteger(count)) return undefined
  const packed = leafRoom(count)
  packed.set(bytes)
  for (let i = 0; i < count; i++) {
    const { path, digest } = leafAt(bytes, i)
    putText(leafHash(sha256, path, digest), packed, hashesAt(packed) + i * HASH_BYTES)
  }
  return packed
}
