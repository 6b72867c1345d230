/**
 * The authenticated state: a compact binary tree over 256-bit paths. A subtree with a single leaf is that leaf, an empty one is 32
 * zero bytes; leaf and inner hashes have domains of their own. Trees are immutable: an update shares what it does not change, so
 * a block under construction, or one that turns out wrong, costs nothing to drop. What is unchanged since the last commit may be on disk
 * only and is read when it is needed (treePages.ts). (protocol.md section 9)
 */
import { compareBytes, equalBytes, toMapKey } from './bytes.js'
import { assert, KvError } from './errors.js'
import type { Sha256 } from './hash.js'
import {
  BUCKET_LEAVES,
  type Bucket,
  bitAt,
  copyLeaves,
  decodeBucket,
  digestIn,
  fromText,
  type Inner,
  leafAt,
  leafCount,
  leafRoom,
  makeBucket,
  mergeLeaves,
  packedHash,
  SHELF_DEPTH,
  type Shelf,
  shelfIndex,
  splitAt,
  splitPacked,
  type TreeNode,
  ZERO_TEXT,
} from './treeNodes.js'
import { bucketKey, decodeShelf, decodeTop, encodeTop, makeInner, PageCache, type TreeSource } from './treePages.js'
import type { TreeProof } from './treeProof.js'

/** Sets the digest at a path, or (undefined) removes it. */
export interface TreeChange {
  readonly path: Uint8Array
  readonly digest: Uint8Array | undefined
}

export type TreeErrorCode =
  /** The tree reads from a store that has been written to since: it is of a past that is gone. */
  | 'tree-stale'
  /** A page is missing, or is not what the tree says. */
  | 'tree-page'

/** A tree that cannot be read on. */
export class TreeError extends KvError<TreeErrorCode> {}

/** The pages that an update touched: what a commit must write. */
export interface PageChanges {
  /** By bucketKey as a map key; undefined where a bucket is no more. */
  readonly buckets: ReadonlyMap<string, { readonly key: Uint8Array; readonly bucket: Bucket | undefined }>
  /** Indexes of shelves that are no longer as they are on disk. */
  readonly shelves: ReadonlySet<number>
}

interface Update {
  readonly changes: readonly TreeChange[]
  readonly buckets: Map<string, { key: Uint8Array; bucket: Bucket | undefined }>
  readonly shelves: Set<number>
  /** Pages that are out of use once the update is committed. */
  readonly replaced: (Bucket | Shelf)[]
}

/** See StateTree.room. Grows to the largest update. */
let scratch = leafRoom(64)

const NO_PAGES: PageChanges = { buckets: new Map(), shelves: new Set() }

/** One immutable version of the state tree. */
export class StateTree {
  private constructor(
    private readonly sha256: Sha256,
    private readonly node: TreeNode | undefined,
    private readonly source: TreeSource | undefined,
    private readonly cache: PageCache,
    private generation: number,
    /** What differs from the tree that this one was made of. */
    readonly pages: PageChanges,
    private readonly replaced: readonly (Bucket | Shelf)[],
  ) {}

  /** The tree without leaves. With a source, a commit of its pages lets them leave memory. */
  static empty(sha256: Sha256, source?: TreeSource, cache: PageCache = new PageCache()): StateTree {
    return new StateTree(sha256, undefined, source, cache, source?.generation ?? 0, NO_PAGES, [])
  }

  /** The tree that a store holds, from its top page. Reads nothing else until it is needed. */
  static open(sha256: Sha256, top: Uint8Array, source: TreeSource, cache: PageCache): StateTree {
    return new StateTree(sha256, decodeTop(top, sha256), source, cache, source.generation, NO_PAGES, [])
  }

  /** 32 bytes that stand for every path and digest in the tree. */
  get root(): Uint8Array {
    return fromText(this.node?.hash ?? ZERO_TEXT)
  }

  /** How many leaves there are. */
  get size(): number {
    return this.node?.count ?? 0
  }

  /** The page above the shelves. */
  get top(): Uint8Array {
    return encodeTop(this.node)
  }

  /** The shelves that are not on disk as they are. */
  *unsavedShelves(): Generator<Shelf & { root: Inner }> {
    const open = [this.node]
    for (let node = open.pop(); node !== undefined || open.length > 0; node = open.pop()) {
      if (node?.kind === 'inner') open.push(node.left, node.right)
      else if (node?.kind === 'shelf' && !node.persisted && node.root !== undefined) yield { ...node, root: node.root }
    }
  }

  /** Gives a shelf back what was made again from its buckets. Throws TreeError when that is not what the tree says. */
  restoreShelf(index: number, root: Inner | undefined): void {
    const open = [this.node]
    for (let node = open.pop(); node !== undefined || open.length > 0; node = open.pop()) {
      if (node?.kind === 'inner') open.push(node.left, node.right)
      if (node?.kind !== 'shelf' || node.index !== index) continue
      if (root?.hash !== node.hash) {
        throw new TreeError('tree-page', 'the buckets of a shelf are not what the tree says', { index })
      }
      node.root = root
      node.persisted = false
      return
    }
  }

  /** Every shelf is on disk now. */
  markShelvesSaved(): void {
    const open = [this.node]
    for (let node = open.pop(); node !== undefined || open.length > 0; node = open.pop()) {
      if (node?.kind === 'inner') open.push(node.left, node.right)
      else if (node?.kind === 'shelf' && !node.persisted) {
        node.persisted = true
        this.cache.use(node)
      }
    }
    this.cache.trim()
  }

  /** The buckets in `pages` are on disk, and the source is of this tree. */
  markCommitted(): void {
    this.generation = this.source?.generation ?? 0
    if (this.source === undefined) return
    for (const page of this.replaced) this.cache.drop(page)
    for (const { bucket } of this.pages.buckets.values()) {
      if (bucket === undefined) continue
      bucket.persisted = true
      this.cache.use(bucket)
    }
    this.cache.trim()
  }

  /** Gives up pages that were read until the cache keeps its bound. A commit does so by itself; whoever only reads must. */
  trim(): void {
    this.cache.trim()
  }

  /** The tree with the changes made. Paths must be distinct; the order does not matter. Costs O(changes x depth) hashes. */
  update(changes: readonly TreeChange[]): StateTree {
    const sorted = sortByPath(changes)
    for (let i = 1; i < sorted.length; i++) {
      const [before, here] = [sorted[i - 1], sorted[i]]
      assert(before && here && !equalBytes(before.path, here.path), 'tree changes have distinct paths')
    }
    const update: Update = { changes: sorted, buckets: new Map(), shelves: new Set(), replaced: [] }
    const node = this.apply(update, this.node, 0, 0, sorted.length)
    const { sha256, source, cache, generation } = this
    return new StateTree(sha256, node, source, cache, generation, update, update.replaced)
  }

  /** The digest that the tree holds at a path, undefined when it holds none there. Keeps the bound of the cache. */
  digestAt(path: Uint8Array): Uint8Array | undefined {
    let depth = 0
    let node = this.opened(this.node, path, 0)
    while (node?.kind === 'inner') {
      const next: TreeNode | undefined = bitAt(path, depth) === 1 ? node.right : node.left
      depth++
      node = this.opened(next, path, depth)
    }
    const digest = node && digestIn(this.leavesOf(node, path, depth), path)
    this.cache.trim()
    return digest
  }

  /** The proof of presence or absence for a path. */
  prove(path: Uint8Array): TreeProof {
    const siblings: Uint8Array[] = []
    let node = this.opened(this.node, path, 0)
    for (let depth = 0; node?.kind === 'inner'; depth++) {
      const right = bitAt(path, depth) === 1
      siblings.push(fromText((right ? node.left : node.right)?.hash ?? ZERO_TEXT))
      node = this.opened(right ? node.right : node.left, path, depth + 1)
    }
    if (node === undefined) return { siblings, terminal: { kind: 'empty' } }
    return this.proveInBucket(this.leavesOf(node, path, siblings.length), path, siblings)
  }

  private proveInBucket(leaves: Uint8Array, path: Uint8Array, siblings: Uint8Array[]): TreeProof {
    let [from, to] = [0, leafCount(leaves)]
    for (let depth = siblings.length; to - from > 1; depth++) {
      const middle = splitPacked(leaves, from, to, depth)
      const isRight = bitAt(path, depth) === 1
      const [low, high] = isRight ? [from, middle] : [middle, to]
      siblings.push(fromText(packedHash(this.sha256, leaves, low, high, depth + 1) ?? ZERO_TEXT))
      if (isRight) from = middle
      else to = middle
    }
    if (from === to) return { siblings, terminal: { kind: 'empty' } }
    return { siblings, terminal: { kind: 'leaf', ...leafAt(leaves, from) } }
  }

  private apply(
    update: Update,
    node: TreeNode | undefined,
    depth: number,
    from: number,
    to: number,
  ): TreeNode | undefined {
    const path = update.changes[from]?.path
    if (from === to || path === undefined) return node
    if (node?.kind === 'shelf') update.replaced.push(node)
    const opened = this.opened(node, path, depth)
    if (opened?.kind !== 'inner') {
      const old = opened && this.leavesOf(opened, path, depth)
      if (opened !== undefined) this.removeBucket(update, opened, path, depth)
      const room = this.room((opened?.count ?? 0) + to - from)
      const count = mergeLeaves(this.sha256, old, update.changes, from, to, room)
      return this.build(update, room, 0, count, depth)
    }
    const middle = splitAt(update.changes, from, to, depth)
    const left = this.apply(update, opened.left, depth + 1, from, middle)
    const right = this.apply(update, opened.right, depth + 1, middle, to)
    return this.join(update, left, right, path, depth)
  }

  private build(update: Update, leaves: Uint8Array, from: number, to: number, depth: number): TreeNode | undefined {
    if (from === to) return undefined
    const { path } = leafAt(leaves, from)
    if (to - from <= BUCKET_LEAVES) {
      const bucket = makeBucket(this.sha256, leaves, from, to, depth)
      const key = bucketKey(path, depth)
      update.buckets.set(toMapKey(key), { key, bucket })
      return bucket
    }
    const middle = splitPacked(leaves, from, to, depth)
    const left = this.build(update, leaves, from, middle, depth + 1)
    const right = this.build(update, leaves, middle, to, depth + 1)
    return this.shelved(update, makeInner(this.sha256, left, right), path, depth)
  }

  /** Two subtrees as one: a bucket where few leaves are left. `path` leads to them. */
  private join(
    update: Update,
    left: TreeNode | undefined,
    right: TreeNode | undefined,
    path: Uint8Array,
    depth: number,
  ): TreeNode | undefined {
    const count = (left?.count ?? 0) + (right?.count ?? 0)
    if (count > BUCKET_LEAVES) return this.shelved(update, makeInner(this.sha256, left, right), path, depth)
    const room = this.room(count)
    let end = 0
    for (const [bit, child] of [left, right].entries()) {
      if (child === undefined) continue
      assert(child.kind === 'bucket', 'a subtree of few leaves is a bucket')
      const place = withBit(path, depth, bit)
      copyLeaves(this.leavesOf(child, place, depth + 1), 0, child.count, room, end)
      end += child.count
      this.removeBucket(update, child, place, depth + 1)
    }
    return this.build(update, room, 0, count, depth)
  }

  /** Where leaves are put together before they are cut into buckets: the same for every call, so one must be done before the next. */
  private room(count: number): Uint8Array {
    if (leafCount(scratch) < count) scratch = leafRoom(count * 2)
    return scratch
  }

  private shelved(update: Update, inner: Inner, path: Uint8Array, depth: number): Inner | Shelf {
    if (depth !== SHELF_DEPTH) return inner
    const { hash, count } = inner
    const index = shelfIndex(path)
    update.shelves.add(index)
    return { kind: 'shelf', hash, count, index, root: inner, persisted: false }
  }

  private removeBucket(update: Update, bucket: Bucket, path: Uint8Array, depth: number): void {
    const key = bucketKey(path, depth)
    update.buckets.set(toMapKey(key), { key, bucket: undefined })
    update.replaced.push(bucket)
  }

  /** A shelf's own root, read if need be; anything else as it is. */
  private opened(node: TreeNode | undefined, path: Uint8Array, depth: number): Bucket | Inner | undefined {
    if (node?.kind !== 'shelf') return node
    assert(depth === SHELF_DEPTH && shelfIndex(path) === node.index, 'a shelf stands at its place')
    node.root ??= decodeShelf(this.read(this.reading.shelf(node.index)), this.sha256)
    if (node.root.hash !== node.hash) throw new TreeError('tree-page', 'a shelf is not what the tree says')
    if (node.persisted) this.cache.use(node)
    return node.root
  }

  /** A bucket's packed leaves, read if need be. */
  private leavesOf(bucket: Bucket, path: Uint8Array, depth: number): Uint8Array {
    if (bucket.leaves === undefined) {
      const leaves = decodeBucket(this.sha256, this.read(this.reading.bucket(bucketKey(path, depth))))
      const hash = leaves && packedHash(this.sha256, leaves, 0, leafCount(leaves), depth)
      if (leaves === undefined || hash !== bucket.hash) {
        throw new TreeError('tree-page', 'a bucket is not what the tree says')
      }
      bucket.leaves = leaves
    }
    if (bucket.persisted) this.cache.use(bucket)
    return bucket.leaves
  }

  /** The source, as long as it still is of this tree. */
  private get reading(): TreeSource {
    if (this.source?.generation !== this.generation) throw new TreeError('tree-stale', 'the state has moved on')
    return this.source
  }

  private read(page: Uint8Array | undefined): Uint8Array {
    if (page === undefined) throw new TreeError('tree-page', 'a page of the state tree is missing')
    return page
  }
}

/** The first 48 bits decide nearly always, and numbers compare far faster than bytes. */
function sortByPath(changes: readonly TreeChange[]): TreeChange[] {
  return changes
    .map((change) => ({ change, first: firstBits(change.path) }))
    .sort((a, b) => a.first - b.first || compareBytes(a.change.path, b.change.path))
    .map(({ change }) => change)
}

function firstBits(path: Uint8Array): number {
  let value = 0
  for (let i = 0; i < 6; i++) value = value * 256 + (path[i] ?? 0)
  return value
}

/** A path whose bit at `depth` is `bit`. */
function withBit(path: Uint8Array, depth: number, bit: number): Uint8Array {
  if (bitAt(path, depth) === bit) return path
  // Not slice(): a Node Buffer would share its memory.
  const other = new Uint8Array(path)
  other[depth >> 3] = (other[depth >> 3] ?? 0) ^ (0x80 >> (depth & 7))
  return other
}
