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
import { ZERO_32 } from './bytes.js'
import { assert } from './errors.js'
import { DOMAIN, type Sha256 } from './hash.js'

/** Few, so that an update rewrites little; more than one, so that most inner nodes are never stored. */
export const BUCKET_LEAVES = 8
/** 4,096 shelves: with a million keys some 45 buckets each. */
export const SHELF_DEPTH = 12
export const PATH_BITS = 256

export interface Bucket {
  readonly kind: 'bucket'
  readonly hash: Uint8Array
  readonly count: number
  /** LEAF_BYTES for each leaf, in path order; undefined when on disk only. */
  leaves: Uint8Array | undefined
  /** Whether the disk has it, so that it may leave memory. */
  persisted: boolean
}

export interface Inner {
  readonly kind: 'inner'
  readonly hash: Uint8Array
  readonly count: number
  readonly left: TreeNode | undefined
  readonly right: TreeNode | undefined
}

export interface Shelf {
  readonly kind: 'shelf'
  readonly hash: Uint8Array
  readonly count: number
  /** The first SHELF_DEPTH bits of every path below. */
  readonly index: number
  /** Undefined when on disk only. */
  root: Inner | undefined
  persisted: boolean
}

export type TreeNode = Bucket | Inner | Shelf

/** Path, digest, leaf hash: leaves are kept packed, in path order, since objects for each would cost more than the hashing. */
export const LEAF_BYTES = 96

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
export function leafHash(sha256: Sha256, path: Uint8Array, digest: Uint8Array): Uint8Array {
  leafMessage.set(path, PAIR_AT)
  leafMessage.set(digest, PAIR_AT + 32)
  return sha256(leafMessage)
}

/** The tagged hash of two subtrees; an empty one counts as zeros. */
export function nodeHash(sha256: Sha256, left: Uint8Array | undefined, right: Uint8Array | undefined): Uint8Array {
  nodeMessage.set(left ?? ZERO_32, PAIR_AT)
  nodeMessage.set(right ?? ZERO_32, PAIR_AT + 32)
  return sha256(nodeMessage)
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

export function leafCount(packed: Uint8Array): number {
  return packed.length / LEAF_BYTES
}

export function leafAt(packed: Uint8Array, index: number): { path: Uint8Array; digest: Uint8Array } {
  const at = index * LEAF_BYTES
  return { path: packed.subarray(at, at + 32), digest: packed.subarray(at + 32, at + 64) }
}

/** The digest at a path, undefined when no leaf has it. */
export function digestIn(packed: Uint8Array, path: Uint8Array): Uint8Array | undefined {
  for (let at = 0; at < packed.length; at += LEAF_BYTES) {
    if (comparePath(packed, at, path) === 0) return packed.subarray(at + 32, at + 64)
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
    if ((((packed[middle * LEAF_BYTES + byte] ?? 0) >> shift) & 1) === 0) low = middle + 1
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
): Uint8Array | undefined {
  if (from === to) return undefined
  if (to - from === 1) return packed.subarray(from * LEAF_BYTES + 64, to * LEAF_BYTES)
  const middle = splitPacked(packed, from, to, depth)
  const left = packedHash(sha256, packed, from, middle, depth + 1)
  return nodeHash(sha256, left, packedHash(sha256, packed, middle, to, depth + 1))
}

/** The bucket of leaves [from, to). */
export function makeBucket(sha256: Sha256, packed: Uint8Array, from: number, to: number, depth: number): Bucket {
  const leaves = packed.slice(from * LEAF_BYTES, to * LEAF_BYTES)
  const hash = packedHash(sha256, leaves, 0, to - from, depth)
  assert(hash !== undefined, 'a bucket has leaves')
  // A copy, so that the hash does not keep the leaves in memory.
  return {
    kind: 'bucket',
    hash: to - from === 1 ? new Uint8Array(hash) : hash,
    count: to - from,
    leaves,
    persisted: false,
  }
}

interface LeafChange {
  readonly path: Uint8Array
  readonly digest: Uint8Array | undefined
}

function comparePath(packed: Uint8Array, at: number, path: Uint8Array): number {
  for (let i = 0; i < 32; i++) {
    const difference = (packed[at + i] ?? 0) - (path[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Old leaves and sorted changes [from, to) as one packed list. */
export function mergeLeaves(
  sha256: Sha256,
  old: Uint8Array | undefined,
  changes: readonly LeafChange[],
  from: number,
  to: number,
): Uint8Array {
  const before = old ?? new Uint8Array(0)
  const merged = new Uint8Array(before.length + (to - from) * LEAF_BYTES)
  let [next, end] = [0, 0]
  for (let i = from; i < to; i++) {
    const change = changes[i]
    if (change === undefined) break
    const { path, digest } = change
    let order = -1
    const start = next
    while (next < before.length) {
      order = comparePath(before, next, path)
      if (order >= 0) break
      next += LEAF_BYTES
    }
    merged.set(before.subarray(start, next), end)
    end += next - start
    if (order === 0) next += LEAF_BYTES
    if (digest === undefined) continue
    merged.set(path, end)
    merged.set(digest, end + 32)
    merged.set(leafHash(sha256, path, digest), end + 64)
    end += LEAF_BYTES
  }
  merged.set(before.subarray(next), end)
  return merged.subarray(0, end + before.length - next)
}

/** A bucket's leaves as they are stored: path and digest of each. */
export function encodeBucket(packed: Uint8Array): Uint8Array {
  const count = leafCount(packed)
  const bytes = new Uint8Array(count * 64)
  for (let i = 0; i < count; i++) bytes.set(packed.subarray(i * LEAF_BYTES, i * LEAF_BYTES + 64), i * 64)
  return bytes
}

/** The packed leaves of a stored bucket. */
export function decodeBucket(sha256: Sha256, bytes: Uint8Array): Uint8Array {
  assert(bytes.length > 0 && bytes.length % 64 === 0, 'a stored bucket is whole')
  const count = bytes.length / 64
  const packed = new Uint8Array(count * LEAF_BYTES)
  for (let i = 0; i < count; i++) {
    const path = bytes.subarray(i * 64, i * 64 + 32)
    const digest = bytes.subarray(i * 64 + 32, i * 64 + 64)
    packed.set(path, i * LEAF_BYTES)
    packed.set(digest, i * LEAF_BYTES + 32)
    packed.set(leafHash(sha256, path, digest), i * LEAF_BYTES + 64)
  }
  return packed
}
