/**
 * The authenticated state: a compact binary tree over 256-bit paths. A subtree with a single leaf is that leaf, an empty one is 32
 * zero bytes; leaf and inner hashes have domains of their own. Trees are immutable: an update shares what it does not change, so
 * a block under construction, or one that turns out wrong, costs nothing to drop. What is unchanged since the last commit may be on disk
 * only and is read when it is needed (treePages.ts). (protocol.md section 9)
 */
import { compareBytes, equalBytes } from './bytes.js'
import { assert, KvError } from './errors.js'
import type { Sha256 } from './hash.js'
import { bitAt, fromText, ZERO_TEXT } from './treeHash.js'
import { HashJobs, type Place } from './treeJobs.js'
import {
  type ChangeRange,
  copyLeaves,
  digestIn,
  hashLeaves,
  hashOfPart,
  leafAt,
  leafCount,
  leafRoom,
  mergeLeaves,
  NO_LEAVES,
  pairsOf,
  replaceDigests,
  setParting,
  splitAt,
  splitPacked,
} from './treeLeaves.js'
import {
  addBuckets,
  BUCKET_LEAVES,
  bucketWrites,
  contentOf,
  makeInner,
  makeShelf,
  nameOf,
  PageCache,
  type PageWrite,
  readShelf,
  SHELF_LEAVES,
  type Shelf,
  type TreeNode,
  type TreeSource,
  treeOfShelves,
} from './treePages.js'
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

/** What an update does beside making nodes. */
interface Update {
  readonly changes: readonly TreeChange[]
  /** In the order in which they must be written. */
  readonly writes: PageWrite[]
  readonly made: Set<Shelf>
  /** Shelves of before that are out of use once the update is committed. */
  readonly replaced: Shelf[]
}

/** See StateTree.room. Grows to the largest update. */
let scratch = leafRoom(256)

const NO_UPDATE: Update = { changes: [], writes: [], made: new Set(), replaced: [] }

/** One immutable version of the state tree. */
export class StateTree {
  private constructor(
    private readonly jobs: HashJobs,
    private readonly node: TreeNode | undefined,
    private readonly source: TreeSource | undefined,
    private readonly cache: PageCache,
    private generation: number,
    /** What differs from the tree that this one was made of, until it is committed. */
    private last: Update,
  ) {}

  /** The tree without leaves. With a source, a commit of its pages lets them leave memory. */
  static empty(sha256: Sha256, source?: TreeSource, cache: PageCache = new PageCache()): StateTree {
    return new StateTree(HashJobs.of(sha256), undefined, source, cache, source?.generation ?? 0, NO_UPDATE)
  }

  /** The tree of all the shelves that a store holds, in key order. Reads nothing else until it is needed; the caller compares the root. */
  static open(
    sha256: Sha256,
    shelves: readonly { readonly key: Uint8Array; readonly content: Uint8Array }[],
    source: TreeSource,
    cache: PageCache,
  ): StateTree {
    const jobs = HashJobs.of(sha256)
    return new StateTree(jobs, treeOfShelves(jobs, shelves), source, cache, source.generation, NO_UPDATE)
  }

  /** 32 bytes that stand for every path and digest in the tree. */
  get root(): Uint8Array {
    return fromText(this.node?.hash ?? ZERO_TEXT)
  }

  /** How many leaves there are. */
  get size(): number {
    return this.node?.count ?? 0
  }

  /** The pages that a commit must write, in order, or (without content) remove. Content and key are the visitor's until it returns. Throws TreeError. */
  writePages(visit: (kind: PageWrite['kind'], key: Uint8Array, content: Uint8Array | undefined) => void): void {
    if (this.source?.generation !== this.generation && this.last !== NO_UPDATE) throw staleError()
    for (const write of this.last.writes) visit(write.kind, nameOf(write), contentOf(write))
  }

  /** The pages are on disk, and the source is of this tree. */
  markCommitted(): void {
    this.generation = this.source?.generation ?? 0
    if (this.source === undefined) return
    for (const shelf of this.last.replaced) this.cache.reuse(shelf)
    for (const shelf of this.last.made) {
      shelf.persisted = true
      this.cache.use(shelf)
    }
    this.last = NO_UPDATE
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
    const update: Update = { changes: sorted, writes: [], made: new Set(), replaced: [] }
    const { jobs, source, cache, generation } = this
    // Of an update that came to an error.
    jobs.forget()
    const node = this.apply(update, this.node, 0, 0, sorted.length)
    jobs.run()
    return new StateTree(jobs, node, source, cache, generation, update)
  }

  /** The digest that the tree holds at a path, undefined when it holds none there. Keeps the bound of the cache. */
  digestAt(path: Uint8Array): Uint8Array | undefined {
    let depth = 0
    let node = this.node
    while (node?.kind === 'inner') {
      node = bitAt(path, depth) === 1 ? node.right : node.left
      depth++
    }
    const digest = node && digestIn(this.leavesOf(node, path, depth), path)
    this.cache.trim()
    return digest && new Uint8Array(digest)
  }

  /** The proof of presence or absence for a path. */
  prove(path: Uint8Array): TreeProof {
    const siblings: Uint8Array[] = []
    let node = this.node
    for (let depth = 0; node?.kind === 'inner'; depth++) {
      const right = bitAt(path, depth) === 1
      siblings.push(fromText((right ? node.left : node.right)?.hash ?? ZERO_TEXT))
      node = right ? node.right : node.left
    }
    if (node === undefined) return { siblings, terminal: { kind: 'empty' } }
    return this.proveInShelf(this.leavesOf(node, path, siblings.length), path, siblings)
  }

  private proveInShelf(leaves: Uint8Array, path: Uint8Array, siblings: Uint8Array[]): TreeProof {
    let [from, to] = [0, leafCount(leaves)]
    for (let depth = siblings.length; to - from > 1; depth++) {
      const middle = splitPacked(leaves, from, to, depth)
      const isRight = bitAt(path, depth) === 1
      const [low, high] = isRight ? [from, middle] : [middle, to]
      const sibling = new Uint8Array(32)
      this.jobs.copyTo(sibling, 0, hashOfPart(this.jobs, leaves, low, high, depth + 1))
      siblings.push(sibling)
      if (isRight) from = middle
      else to = middle
    }
    this.jobs.run()
    if (from === to) return { siblings, terminal: { kind: 'empty' } }
    const pair = new Uint8Array(pairsOf(leaves, from, from + 1))
    return { siblings, terminal: { kind: 'leaf', ...leafAt(pair, 0) } }
  }

  private apply(
    update: Update,
    node: TreeNode | undefined,
    depth: number,
    from: number,
    to: number,
  ): TreeNode | undefined {
    const { changes } = update
    const path = changes[from]?.path
    if (from === to || path === undefined) return node
    if (node?.kind === 'inner') {
      const middle = splitAt(changes, from, to, depth)
      const left = this.apply(update, node.left, depth + 1, from, middle)
      const right = this.apply(update, node.right, depth + 1, middle, to)
      return this.join(update, left, right, path, depth)
    }
    const changed = { changes, from, to }
    if (node === undefined) return this.rebuild(update, NO_LEAVES, depth, changed)
    const old = this.leavesOf(node, path, depth)
    const same = replaceDigests(old, changed, this.cache)
    if (same === undefined) {
      const made = this.rebuild(update, old, depth, changed)
      this.remove(update, node, old, depth, made?.kind === 'shelf')
      return made
    }
    bucketWrites(old, same, depth, changed, update.writes)
    this.remove(update, node, old, depth, true)
    return this.shelve(update, same, hashLeaves(this.jobs, same, depth, changed), depth)
  }

  /** The subtree of old leaves and changes: some of them come or go. */
  private rebuild(
    update: Update,
    old: Uint8Array,
    depth: number,
    changed: ChangeRange<TreeChange>,
  ): TreeNode | undefined {
    const room = this.room(leafCount(old) + changed.to - changed.from)
    const count = mergeLeaves(old, changed, room)
    const made = this.build(update, room, 0, count, depth, changed)
    const now = made?.kind === 'shelf' && made.leaves ? made.leaves : this.ownLeaves(room, 0, count)
    bucketWrites(old, now, depth, changed, update.writes)
    return made
  }

  private build(
    update: Update,
    leaves: Uint8Array,
    from: number,
    to: number,
    depth: number,
    changed: ChangeRange,
  ): TreeNode | undefined {
    if (from === to) return undefined
    if (to - from <= SHELF_LEAVES) {
      const own = this.ownLeaves(leaves, from, to)
      return this.shelve(update, own, hashLeaves(this.jobs, own, depth, changed), depth)
    }
    const { changes } = changed
    const middle = splitPacked(leaves, from, to, depth)
    const between = splitAt(changes, changed.from, changed.to, depth)
    const left = this.build(update, leaves, from, middle, depth + 1, { changes, from: changed.from, to: between })
    const right = this.build(update, leaves, middle, to, depth + 1, { changes, from: between, to: changed.to })
    return makeInner(this.jobs, left, right, depth)
  }

  private shelve(update: Update, leaves: Uint8Array, place: Place, depth: number): Shelf {
    const shelf = makeShelf(this.jobs, leaves, place)
    update.made.add(shelf)
    update.writes.push({ kind: 'shelf', leaves, from: 0, to: shelf.count, depth, shelf, isRemoved: false })
    return shelf
  }

  /** Two subtrees as one: a shelf where few leaves are left. `path` leads to them. */
  private join(
    update: Update,
    left: TreeNode | undefined,
    right: TreeNode | undefined,
    path: Uint8Array,
    depth: number,
  ): TreeNode | undefined {
    const count = (left?.count ?? 0) + (right?.count ?? 0)
    if (count > SHELF_LEAVES) return makeInner(this.jobs, left, right, depth)
    if (count === 0) return undefined
    // Their leaves are copied, hashes and all.
    this.jobs.run()
    const leaves = this.cache.take(count)
    let end = 0
    for (const [bit, child] of [left, right].entries()) {
      if (child === undefined) continue
      assert(child.kind === 'shelf', 'a subtree of few leaves is a shelf')
      const own = this.leavesOf(child, withBit(path, depth, bit), depth + 1)
      copyLeaves(own, 0, child.count, leaves, end)
      end += child.count
      this.remove(update, child, own, depth + 1, false)
      if (count <= BUCKET_LEAVES) addBuckets(update.writes, own, 0, child.count, depth + 1, true)
    }
    // One leaf alone is its own subtree, at any depth.
    const { jobs } = this
    const place = count === 1 ? jobs.placeOf(left ?? right) : jobs.node(depth, jobs.placeOf(left), jobs.placeOf(right))
    if (left !== undefined && right !== undefined) setParting(jobs, leaves, left.count - 1, place)
    if (count <= BUCKET_LEAVES) addBuckets(update.writes, leaves, 0, count, depth, false)
    return this.shelve(update, leaves, place, depth)
  }

  private ownLeaves(packed: Uint8Array, from: number, to: number): Uint8Array {
    const own = this.cache.take(to - from)
    copyLeaves(packed, from, to, own, 0)
    return own
  }

  /** Where leaves are put together before they are cut into shelves: the same for every call, so one must be done before the next. */
  private room(count: number): Uint8Array {
    if (leafCount(scratch) < count) scratch = leafRoom(count * 2)
    return scratch
  }

  /** Another has taken the shelf's place, under the same name or not. */
  private remove(update: Update, shelf: Shelf, leaves: Uint8Array, depth: number, isWritten: boolean): void {
    if (!update.made.delete(shelf)) update.replaced.push(shelf)
    if (isWritten) return
    update.writes.push({ kind: 'shelf', leaves, from: 0, to: shelf.count, depth, shelf: undefined, isRemoved: true })
  }

  /** A shelf's packed leaves, read if need be. */
  private leavesOf(shelf: Shelf, path: Uint8Array, depth: number): Uint8Array {
    if (shelf.leaves === undefined) {
      const read = readShelf(this.jobs, this.reading, path, depth)
      if (read?.hash !== shelf.hash || leafCount(read.leaves) !== shelf.count) {
        throw new TreeError('tree-page', 'a shelf of the state tree is missing, or not what the tree says')
      }
      shelf.leaves = read.leaves
    }
    if (shelf.persisted) this.cache.use(shelf)
    return shelf.leaves
  }

  /** The source, as long as it still is of this tree. */
  private get reading(): TreeSource {
    if (this.source?.generation !== this.generation) throw staleError()
    return this.source
  }
}

function staleError(): TreeError {
  return new TreeError('tree-stale', 'the state has moved on')
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
