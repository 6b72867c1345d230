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
import { DOMAIN, type Sha256, taggedHash } from './hash.js'

/** Few, so that an update rewrites little; more than one, so that most inner nodes are never stored. */
export const BUCKET_LEAVES = 8
/** 4,096 shelves: with a million keys some 45 buckets each. */
export const SHELF_DEPTH = 12
export const PATH_BITS = 256

export interface Leaf {
  readonly path: Uint8Array
  readonly digest: Uint8Array
  readonly hash: Uint8Array
}

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

/** Path, digest, leaf hash. */
const LEAF_BYTES = 96

export function bitAt(path: Uint8Array, depth: number): number {
  return ((path[depth >> 3] ?? 0) >> (7 - (depth & 7))) & 1
}

/** The number that the first SHELF_DEPTH bits of a path make. */
export function shelfIndex(path: Uint8Array): number {
  return ((path[0] ?? 0) << 4) | ((path[1] ?? 0) >> 4)
}

export function leafHash(sha256: Sha256, path: Uint8Array, digest: Uint8Array): Uint8Array {
  return taggedHash(sha256, DOMAIN.treeLeaf, path, digest)
}

export function nodeHash(sha256: Sha256, left: Uint8Array | undefined, right: Uint8Array | undefined): Uint8Array {
  return taggedHash(sha256, DOMAIN.treeNode, left ?? ZERO_32, right ?? ZERO_32)
}

export function makeLeaf(sha256: Sha256, path: Uint8Array, digest: Uint8Array): Leaf {
  return { path, digest, hash: leafHash(sha256, path, digest) }
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

/** The hash of the compact subtree over sorted leaves [from, to) that agree in their first `depth` bits; none: undefined. */
export function leavesHash(
  sha256: Sha256,
  leaves: readonly Leaf[],
  from: number,
  to: number,
  depth: number,
): Uint8Array | undefined {
  if (to - from <= 1) return from === to ? undefined : leaves[from]?.hash
  const middle = splitAt(leaves, from, to, depth)
  const left = leavesHash(sha256, leaves, from, middle, depth + 1)
  return nodeHash(sha256, left, leavesHash(sha256, leaves, middle, to, depth + 1))
}

export function makeBucket(sha256: Sha256, leaves: readonly Leaf[], from: number, to: number, depth: number): Bucket {
  const hash = leavesHash(sha256, leaves, from, to, depth)
  assert(hash !== undefined, 'a bucket has leaves')
  const packed = new Uint8Array((to - from) * LEAF_BYTES)
  for (let i = from, at = 0; i < to; i++, at += LEAF_BYTES) {
    const leaf = leaves[i]
    if (leaf === undefined) break
    packed.set(leaf.path, at)
    packed.set(leaf.digest, at + 32)
    packed.set(leaf.hash, at + 64)
  }
  return { kind: 'bucket', hash, count: to - from, leaves: packed, persisted: false }
}

export function unpackLeaves(packed: Uint8Array): Leaf[] {
  const leaves: Leaf[] = []
  for (let at = 0; at < packed.length; at += LEAF_BYTES) {
    leaves.push({
      path: packed.subarray(at, at + 32),
      digest: packed.subarray(at + 32, at + 64),
      hash: packed.subarray(at + 64, at + 96),
    })
  }
  return leaves
}

/** A bucket's leaves as they are stored: path and digest of each. */
export function encodeBucket(packed: Uint8Array): Uint8Array {
  const count = packed.length / LEAF_BYTES
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
