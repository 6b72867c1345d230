/**
 * The state tree as nodes in memory and as pages on disk. Owns both shapes, the pages' names and bytes, and the memory that loaded pages take;
 * reads and writes nothing itself. The commitment (protocol.md section 9) knows none of this: it only says which subtrees are kept together.
 *
 *   inner    a subtree of more than SHELF_LEAVES leaves: always in memory
 *   shelf    one of at most as many, its parent larger: its hash is always in memory, its leaves (packed, treeLeaves.ts) where they were used
 *   bucket   one of at most BUCKET_LEAVES leaves, its parent larger: a page of a shelf's leaves on disk
 *
 * Which of them a subtree is depends on its leaves alone, so two trees with the same leaves have the same pages. On disk are the buckets, and of
 * each shelf its hash and which buckets it has; the inner nodes are made again from the shelves' hashes. (protocol.md section 12)
 */
import { toMapKey } from './bytes.js'
import { assert } from './errors.js'
import { MAX_INTEGER } from './limits.js'
import { type HashText, PATH_BITS, putText } from './treeHash.js'
import { type Hashed, type HashJobs, NOWHERE, type Place } from './treeJobs.js'
import {
  type ChangeRange,
  hashLeaves,
  type LeafRooms,
  leafCount,
  leafRoom,
  packPairs,
  pairsAt,
  pairsOf,
  splitAt,
  splitPacked,
} from './treeLeaves.js'

/** Few, so that an update writes little; more than one, so that a shelf is not read in too many pieces. */
export const BUCKET_LEAVES = 8
/** Many, so that a tree is few objects; few enough that copying them costs little beside the hashing of an update. */
export const SHELF_LEAVES = 64

export interface Shelf extends Hashed {
  readonly kind: 'shelf'
  readonly count: number
  /** Packed; undefined when on disk only. */
  leaves: Uint8Array | undefined
  /** Whether the disk has it, so that its leaves may leave memory. */
  persisted: boolean
}

export interface Inner extends Hashed {
  readonly kind: 'inner'
  readonly count: number
  readonly left: TreeNode | undefined
  readonly right: TreeNode | undefined
}

export type TreeNode = Shelf | Inner

/** A node at `depth`, which has its hash when the jobs have run. */
export function makeInner(
  jobs: HashJobs,
  left: TreeNode | undefined,
  right: TreeNode | undefined,
  depth: number,
): Inner {
  const count = (left?.count ?? 0) + (right?.count ?? 0)
  const place = jobs.node(depth, jobs.placeOf(left), jobs.placeOf(right))
  const inner: Inner = { kind: 'inner', hash: '', place, count, left, right }
  jobs.settle(inner)
  jobs.runMany()
  return inner
}

export function makeShelf(jobs: HashJobs, leaves: Uint8Array, place: Place): Shelf {
  const shelf: Shelf = { kind: 'shelf', hash: '', place, count: leafCount(leaves), leaves, persisted: false }
  jobs.settle(shelf)
  jobs.runMany()
  return shelf
}

/** Where pages are read from, by pageKey. Answers are of the last commit. */
export interface TreeSource {
  /** Grows with each commit: a tree that was made before it must not read on. */
  readonly generation: number
  /** Path and digest of each leaf. */
  bucket(key: Uint8Array): Uint8Array | undefined
  /** As encodeShelf gives it. */
  shelf(key: Uint8Array): Uint8Array | undefined
}

/**
 * A page that an update writes or takes away: the bucket of leaves [from, to), or their shelf. Bytes and name are made when they are wanted,
 * since most updates (of blocks that are tried out) never reach a disk.
 */
export interface PageWrite {
  readonly kind: 'bucket' | 'shelf'
  readonly leaves: Uint8Array
  readonly from: number
  readonly to: number
  readonly depth: number
  /** The shelf that is written. */
  readonly shelf: Shelf | undefined
  readonly isRemoved: boolean
}

const nameRoom = new Uint8Array(33)

/** The page's name, as pageKey gives it. Valid until the next call. */
export function nameOf({ leaves, from, depth }: PageWrite): Uint8Array {
  return putPageKey(leaves, pairsAt(from), depth, nameRoom)
}

/** Undefined for a page that is no more. A view of leaves, or valid until the next call. */
export function contentOf({ leaves, from, to, depth, shelf, isRemoved }: PageWrite): Uint8Array | undefined {
  if (isRemoved) return undefined
  return shelf === undefined ? pairsOf(leaves, from, to) : encodeShelf(shelf.hash, leaves, depth)
}

/** The name of a page: the path's first `depth` bits, zeros up to 32 bytes, and the depth. Sorts by place. */
export function pageKey(path: Uint8Array, depth: number): Uint8Array {
  return putPageKey(path, 0, depth, new Uint8Array(33))
}

/** Of the path that stands at `at`. */
function putPageKey(path: Uint8Array, at: number, depth: number, key: Uint8Array): Uint8Array {
  const whole = depth >> 3
  for (let i = 0; i < whole; i++) key[i] = path[at + i] ?? 0
  key.fill(0, whole)
  const spare = depth & 7
  if (spare !== 0) key[whole] = (path[at + whole] ?? 0) & (0xff00 >> spare)
  key[32] = depth
  return key
}

/** What encodeShelf writes to. Grows to the longest. */
let shelfRoom = new Uint8Array(256)

/**
 * A stored shelf: hash `bytes[32]`, then depth `u8` and leaves `u8` of each bucket from left to right; a part without leaves counts as one. Valid until
 * the next call.
 */
function encodeShelf(hash: HashText, leaves: Uint8Array, depth: number): Uint8Array {
  const end = putParts(leaves, 0, leafCount(leaves), depth, 32)
  putText(hash, shelfRoom, 0)
  return shelfRoom.subarray(0, end)
}

function putParts(leaves: Uint8Array, from: number, to: number, depth: number, at: number): number {
  if (to - from <= BUCKET_LEAVES) {
    if (at + 2 > shelfRoom.length) {
      const larger = new Uint8Array(2 * shelfRoom.length)
      larger.set(shelfRoom)
      shelfRoom = larger
    }
    shelfRoom[at] = depth
    shelfRoom[at + 1] = to - from
    return at + 2
  }
  const middle = splitPacked(leaves, from, to, depth)
  return putParts(leaves, middle, to, depth + 1, putParts(leaves, from, middle, depth + 1, at))
}

interface StoredShelf {
  readonly hash: HashText
  readonly count: number
  readonly parts: readonly { readonly depth: number; readonly count: number }[]
}

/** Of what is no stored shelf, something: its hash is the judge. */
function decodeShelf(bytes: Uint8Array): StoredShelf {
  const parts: { depth: number; count: number }[] = []
  for (let at = 32; at < bytes.length; at += 2) parts.push({ depth: bytes[at] ?? 0, count: bytes[at + 1] ?? 0 })
  const count = parts.reduce((sum, part) => sum + part.count, 0)
  return { hash: toMapKey(bytes.subarray(0, 32)), count, parts }
}

/** The leaves of the stored shelf at `path` and `depth`, and their hash; undefined when they are not all there. The caller compares the hash. */
export function readShelf(
  jobs: HashJobs,
  source: TreeSource,
  path: Uint8Array,
  depth: number,
): { leaves: Uint8Array; hash: HashText } | undefined {
  const stored = source.shelf(pageKey(path, depth))
  if (stored === undefined) return undefined
  const { parts, count } = decodeShelf(stored)
  const pairs = new Uint8Array(count * 64)
  const place = pageKey(path, depth).subarray(0, 32)
  let end = 0
  for (const part of parts) {
    if (part.count > 0) {
      const page = source.bucket(pageKey(place, part.depth))
      if (page === undefined || page.length !== part.count * 64) return undefined
      pairs.set(page, end)
      end += page.length
    }
    advance(place, part.depth)
  }
  const leaves = packPairs(pairs)
  if (leaves === undefined) return undefined
  const root: Hashed = { hash: '', place: hashLeaves(jobs, leaves, depth) }
  jobs.settle(root)
  jobs.run()
  return { leaves, hash: root.hash }
}

/** From the place of a subtree to that of the next one to the right: counts its first `depth` bits up by one. */
function advance(place: Uint8Array, depth: number): void {
  for (let bit = depth - 1; bit >= 0; bit--) {
    const mask = 0x80 >> (bit & 7)
    const byte = place[bit >> 3] ?? 0
    place[bit >> 3] = byte ^ mask
    if ((byte & mask) === 0) return
  }
}

/** The tree of all stored shelves, in key order. Their hashes are believed: whoever opens a tree compares its root. */
export function treeOfShelves(
  jobs: HashJobs,
  stored: readonly { readonly key: Uint8Array; readonly content: Uint8Array }[],
): TreeNode | undefined {
  const shelves = stored.map(({ key, content }) => {
    const { hash, count } = decodeShelf(content)
    const shelf: Shelf = { kind: 'shelf', hash, place: NOWHERE, count, leaves: undefined, persisted: true }
    return { path: key, shelf }
  })
  const root = place(0, 0, shelves.length)
  jobs.run()
  return root

  function place(depth: number, from: number, to: number): TreeNode | undefined {
    const first = shelves[from]
    if (from === to || first === undefined) return undefined
    if (to - from === 1 && first.path[32] === depth) return first.shelf
    assert(depth < PATH_BITS, 'a page stands at its place')
    const middle = splitAt(shelves, from, to, depth)
    return makeInner(jobs, place(depth + 1, from, middle), place(depth + 1, middle, to), depth)
  }
}

/**
 * The buckets that a change of leaves writes and removes, in order. `before` and `now` are all the leaves of one subtree, whose parent holds more
 * than a bucket both times.
 */
export function bucketWrites(
  before: Uint8Array,
  now: Uint8Array,
  depth: number,
  { changes, from: firstChange, to: endChange }: ChangeRange,
  writes: PageWrite[],
): void {
  compare(0, leafCount(before), 0, leafCount(now), firstChange, endChange, depth)

  function compare(
    oldFrom: number,
    oldTo: number,
    from: number,
    to: number,
    changesFrom: number,
    changesTo: number,
    depth: number,
  ): void {
    // Without a change here it is divided as it was, since what is above is divided before and after.
    if (changesFrom === changesTo) return
    const [wasBucket, isBucket] = [oldTo - oldFrom <= BUCKET_LEAVES, to - from <= BUCKET_LEAVES]
    if (wasBucket || isBucket) {
      if (!(wasBucket && isBucket && to > from)) addBuckets(writes, before, oldFrom, oldTo, depth, true)
      addBuckets(writes, now, from, to, depth, false)
      return
    }
    const oldMiddle = splitPacked(before, oldFrom, oldTo, depth)
    const middle = splitPacked(now, from, to, depth)
    const between = splitAt(changes, changesFrom, changesTo, depth)
    compare(oldFrom, oldMiddle, from, middle, changesFrom, between, depth + 1)
    compare(oldMiddle, oldTo, middle, to, between, changesTo, depth + 1)
  }
}

/** Every bucket of leaves [from, to). */
export function addBuckets(
  writes: PageWrite[],
  leaves: Uint8Array,
  from: number,
  to: number,
  depth: number,
  isRemoved: boolean,
): void {
  if (from === to) return
  if (to - from <= BUCKET_LEAVES) {
    writes.push({ kind: 'bucket', leaves, from, to, depth, shelf: undefined, isRemoved })
    return
  }
  const middle = splitPacked(leaves, from, to, depth)
  addBuckets(writes, leaves, from, middle, depth + 1, isRemoved)
  addBuckets(writes, leaves, middle, to, depth + 1, isRemoved)
}

/** The array's object, its memory's, and the entry of the cache. Measured. */
const SHELF_OVERHEAD_BYTES = 400
/** As much as a commit of some thousand changes replaces. */
const MAX_FREE_BYTES = 32 << 20

/**
 * Leaves in memory that the disk has too. Bounded in bytes; whatever was not used for longest is given up first. Those that a block has just
 * changed do not count until they are written.
 */
export class PageCache implements LeafRooms {
  private readonly shelves = new Map<Shelf, number>()
  private bytes_ = 0
  /** Memory that held leaves and may hold others, by how many. To make and to collect it costs more than all the hashing. */
  private readonly free: Uint8Array[][] = Array.from({ length: SHELF_LEAVES + 1 }, () => [])
  private freeBytes = 0

  constructor(readonly maxBytes: number = MAX_INTEGER) {}

  get bytes(): number {
    return this.bytes_
  }

  /** Notes that a shelf's leaves are in memory and were used now. */
  use(shelf: Shelf): void {
    const known = this.shelves.get(shelf)
    if (known !== undefined) {
      this.shelves.delete(shelf)
      this.shelves.set(shelf, known)
      return
    }
    const bytes = (shelf.leaves?.length ?? 0) + SHELF_OVERHEAD_BYTES
    this.shelves.set(shelf, bytes)
    this.bytes_ += bytes
  }

  /** Forgets a shelf that another has taken the place of. */
  drop(shelf: Shelf): void {
    const bytes = this.shelves.get(shelf)
    if (bytes === undefined) return
    this.shelves.delete(shelf)
    this.bytes_ -= bytes
  }

  /** Forgets a shelf that no tree of the present has, and takes its memory back: nothing may look into it any more. */
  reuse(shelf: Shelf): void {
    this.drop(shelf)
    const { leaves } = shelf
    shelf.leaves = undefined
    if (leaves === undefined || this.freeBytes + leaves.length > MAX_FREE_BYTES) return
    this.free[shelf.count]?.push(leaves)
    this.freeBytes += leaves.length
  }

  /** Room for leaves, those of a shelf mostly, with anything in it. */
  take(count: number): Uint8Array {
    const room = this.free[count]?.pop()
    this.freeBytes -= room?.length ?? 0
    return room ?? leafRoom(count)
  }

  /** Gives up leaves until the rest fits. Not during an update: what it holds must stay. */
  trim(): void {
    for (const [shelf] of this.shelves) {
      if (this.bytes_ <= this.maxBytes) return
      this.drop(shelf)
      shelf.leaves = undefined
    }
  }
}
