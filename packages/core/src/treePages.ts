/**
 * The state tree on disk: one page a bucket, one a shelf, one for what is above the shelves. Owns their names and bytes, and the memory that
 * loaded pages take; reads and writes nothing itself. Buckets are written with the block that changes them. Shelves and the top can be
 * made again from the buckets, so they are written at checkpoints only. (protocol.md section 12)
 */
import { toMapKey } from './bytes.js'
import { decodeAll, encodeWith, type Reader, type Writer } from './codec.js'
import { assert } from './errors.js'
import type { Sha256 } from './hash.js'
import { MAX_INTEGER } from './limits.js'
import {
  BUCKET_LEAVES,
  type Bucket,
  decodeBucket,
  fromText,
  type Inner,
  leafCount,
  nodeHash,
  packedHash,
  SHELF_DEPTH,
  type Shelf,
  splitAt,
  type TreeNode,
} from './treeNodes.js'

/** Where pages are read from. Answers are of the last commit. */
export interface TreeSource {
  /** Grows with each commit: a tree that was made before it must not read on. */
  readonly generation: number
  /** Path and digest of each leaf. */
  bucket(key: Uint8Array): Uint8Array | undefined
  shelf(index: number): Uint8Array | undefined
}

/** The name of a bucket: the path's first `depth` bits, zeros up to 32 bytes, and the depth. Sorts by place. */
export function bucketKey(path: Uint8Array, depth: number): Uint8Array {
  const key = new Uint8Array(33)
  key.set(path.subarray(0, (depth + 7) >> 3))
  const spare = depth & 7
  if (spare !== 0) {
    const last = depth >> 3
    key[last] = (key[last] ?? 0) & (0xff00 >> spare)
  }
  key[32] = depth
  return key
}

const TAG = { empty: 0, bucket: 1, inner: 2, shelf: 3 } as const

/** A subtree, root first, left before right. Hashes of inner nodes are not stored: they are made again, which checks the page. */
function writeNode(writer: Writer, node: TreeNode | undefined): void {
  if (node === undefined) {
    writer.u8(TAG.empty)
    return
  }
  writer.u8(TAG[node.kind])
  if (node.kind === 'inner') {
    writeNode(writer, node.left)
    writeNode(writer, node.right)
    return
  }
  writer.u64(node.count).fixed(fromText(node.hash))
}

function readNode(reader: Reader, sha256: Sha256, depth: number, prefix: number): TreeNode | undefined {
  assert(depth <= 256, 'a page is no deeper than a path')
  switch (reader.tag(TAG.empty, TAG.shelf)) {
    case TAG.empty:
      return undefined
    case TAG.bucket: {
      const count = reader.u64()
      return { kind: 'bucket', count, hash: toMapKey(reader.fixed(32)), leaves: undefined, persisted: true }
    }
    case TAG.inner: {
      const left = readNode(reader, sha256, depth + 1, prefix * 2)
      const right = readNode(reader, sha256, depth + 1, prefix * 2 + 1)
      return makeInner(sha256, left, right)
    }
    default: {
      const count = reader.u64()
      return { kind: 'shelf', count, hash: toMapKey(reader.fixed(32)), index: prefix, root: undefined, persisted: true }
    }
  }
}

export function makeInner(sha256: Sha256, left: TreeNode | undefined, right: TreeNode | undefined): Inner {
  const count = (left?.count ?? 0) + (right?.count ?? 0)
  return { kind: 'inner', left, right, count, hash: nodeHash(sha256, left?.hash, right?.hash) }
}

/** What is above the shelves, and the buckets that reach so high. */
export function encodeTop(root: TreeNode | undefined): Uint8Array {
  return encodeWith((writer) => writeNode(writer, root), 4096)
}

export function decodeTop(bytes: Uint8Array, sha256: Sha256): TreeNode | undefined {
  return decodeAll(bytes, (reader) => readNode(reader, sha256, 0, 0))
}

export function encodeShelf(root: Inner): Uint8Array {
  return encodeWith((writer) => writeNode(writer, root), 4096)
}

export function decodeShelf(bytes: Uint8Array, sha256: Sha256): Inner {
  const root = decodeAll(bytes, (reader) => readNode(reader, sha256, SHELF_DEPTH, 0))
  assert(root?.kind === 'inner', 'a shelf holds more than a bucket')
  return root
}

/** A stored bucket: its key and what is stored. */
export interface StoredBucket {
  readonly key: Uint8Array
  readonly content: Uint8Array
}

/** The range of keys that holds the buckets of a shelf. `lt` is undefined for the last one. */
export function shelfRange(index: number): { gte: Uint8Array; lt: Uint8Array | undefined } {
  return { gte: shelfStart(index), lt: index + 1 < 1 << SHELF_DEPTH ? shelfStart(index + 1) : undefined }
}

function shelfStart(index: number): Uint8Array {
  return Uint8Array.of(index >> 4, (index & 15) << 4)
}

/** A shelf made again from all its buckets, in key order; undefined when it has none below SHELF_DEPTH. */
export function shelfOfBuckets(sha256: Sha256, buckets: readonly StoredBucket[]): Inner | undefined {
  const pages = buckets
    .filter(({ key }) => (key[32] ?? 0) > SHELF_DEPTH)
    .map(({ key, content }) => ({ path: key, bucket: stubOf(sha256, content, key[32] ?? 0) }))
  const root = place(SHELF_DEPTH, 0, pages.length)
  return root?.kind === 'inner' ? root : undefined

  function place(depth: number, from: number, to: number): TreeNode | undefined {
    const first = pages[from]
    if (from === to || first === undefined) return undefined
    if (to - from === 1 && first.path[32] === depth) return first.bucket
    const middle = splitAt(pages, from, to, depth)
    return makeInner(sha256, place(depth + 1, from, middle), place(depth + 1, middle, to))
  }
}

function stubOf(sha256: Sha256, content: Uint8Array, depth: number): Bucket {
  const leaves = decodeBucket(sha256, content)
  assert(leaves !== undefined, 'a stored bucket has leaves')
  const count = leafCount(leaves)
  const hash = packedHash(sha256, leaves, 0, count, depth)
  assert(hash !== undefined, 'a stored bucket has leaves')
  return { kind: 'bucket', hash, count, leaves: undefined, persisted: true }
}

/** Memory of a bucket's leaves, and of a shelf for each of its buckets: the arrays, their objects and the nodes above. Measured. */
const BUCKET_OVERHEAD_BYTES = 300
export const SHELF_BYTES_PER_LEAF = 80

/**
 * Pages in memory that the disk has too. Bounded in bytes; whatever was not used for longest is given up first. Pages that a block has just
 * changed do not count until they are written.
 */
export class PageCache {
  private readonly pages = new Map<Bucket | Shelf, number>()
  private bytes_ = 0

  constructor(readonly maxBytes: number = MAX_INTEGER) {}

  get bytes(): number {
    return this.bytes_
  }

  /** Notes that a page is in memory and was used now. */
  use(page: Bucket | Shelf): void {
    const known = this.pages.get(page)
    if (known !== undefined) {
      this.pages.delete(page)
      this.pages.set(page, known)
      return
    }
    const bytes =
      page.kind === 'bucket'
        ? (page.leaves?.length ?? 0) + BUCKET_OVERHEAD_BYTES
        : page.count * SHELF_BYTES_PER_LEAF + BUCKET_LEAVES
    this.pages.set(page, bytes)
    this.bytes_ += bytes
  }

  /** Forgets a page that another has taken the place of. */
  drop(page: Bucket | Shelf): void {
    const bytes = this.pages.get(page)
    if (bytes === undefined) return
    this.pages.delete(page)
    this.bytes_ -= bytes
  }

  /** Gives up pages until the rest fits. Not during an update: what it holds must stay. */
  trim(): void {
    for (const [page] of this.pages) {
      if (this.bytes_ <= this.maxBytes) return
      this.drop(page)
      if (page.kind === 'bucket') page.leaves = undefined
      else page.root = undefined
    }
  }
}
