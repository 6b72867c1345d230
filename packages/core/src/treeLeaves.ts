/**
 * Packed leaves: the leaves of a subtree in one array, in path order, since objects for each would cost more than the hashing. Owns the
 * layout, how changes are merged in, and the hash of any part. First path and digest of each leaf; then the hash of each leaf; then, for
 * each leaf but the last, the hash of the subtree that parts between it and the next: there is exactly one such for each pair of
 * neighbours, and a change makes only those anew that hold a changed path. (protocol.md section 9)
 */
import { copyFew } from './bytes.js'
import { assert } from './errors.js'
import { PATH_BITS } from './treeHash.js'
import { EMPTY, type HashJobs, type Place } from './treeJobs.js'

export interface Pathed {
  readonly path: Uint8Array
}

/** Changes [from, to) of a sorted list: those that lie in the subtree at hand. */
export interface ChangeRange<T extends Pathed = Pathed> {
  readonly changes: readonly T[]
  readonly from: number
  readonly to: number
}

interface LeafChange extends Pathed {
  readonly digest: Uint8Array | undefined
}

const PAIR_BYTES = 64
const HASH_BYTES = 32
const LEAF_BYTES = PAIR_BYTES + 2 * HASH_BYTES
export const NO_LEAVES: Uint8Array = new Uint8Array(0)

/** Room for so many leaves. */
export function leafRoom(count: number): Uint8Array {
  return new Uint8Array(count * LEAF_BYTES)
}

/** Gives room as leafRoom does, but with anything in it: all of it must be written. */
export interface LeafRooms {
  take(count: number): Uint8Array
}

/** How many leaves there are, or there is room for. */
export function leafCount(packed: Uint8Array): number {
  return packed.length / LEAF_BYTES
}

function hashAt(packed: Uint8Array, index: number): number {
  return leafCount(packed) * PAIR_BYTES + index * HASH_BYTES
}

/** Where the hash of the subtree stands that parts between this leaf and the next. */
function partingAt(packed: Uint8Array, index: number): number {
  return leafCount(packed) * (PAIR_BYTES + HASH_BYTES) + index * HASH_BYTES
}

/** Views, not copies. */
export function leafAt(packed: Uint8Array, index: number): { path: Uint8Array; digest: Uint8Array } {
  const at = index * PAIR_BYTES
  return { path: packed.subarray(at, at + 32), digest: packed.subarray(at + 32, at + PAIR_BYTES) }
}

/** Where the path of a leaf stands, and its digest behind it. */
export function pairsAt(index: number): number {
  return index * PAIR_BYTES
}

/** Path and digest of leaves [from, to), as a bucket has them on disk. A view. */
export function pairsOf(packed: Uint8Array, from: number, to: number): Uint8Array {
  return packed.subarray(from * PAIR_BYTES, to * PAIR_BYTES)
}

/** Copies leaves [from, to) of one list to another, from leaf `at` on. */
export function copyLeaves(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): void {
  if (from === to) return
  target.set(pairsOf(source, from, to), at * PAIR_BYTES)
  target.set(source.subarray(hashAt(source, from), hashAt(source, to)), hashAt(target, at))
  target.set(source.subarray(partingAt(source, from), partingAt(source, to)), partingAt(target, at))
}

function comparePath(packed: Uint8Array, index: number, path: Uint8Array): number {
  const at = index * PAIR_BYTES
  for (let i = 0; i < 32; i++) {
    const difference = (packed[at + i] ?? 0) - (path[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The first of leaves [from, end) whose path is not below `path`. */
function lowerBound(packed: Uint8Array, from: number, end: number, path: Uint8Array): number {
  let [low, high] = [from, end]
  while (low < high) {
    const middle = (low + high) >> 1
    if (comparePath(packed, middle, path) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The digest at a path, undefined when no leaf has it. */
export function digestIn(packed: Uint8Array, path: Uint8Array): Uint8Array | undefined {
  const index = lowerBound(packed, 0, leafCount(packed), path)
  return index < leafCount(packed) && comparePath(packed, index, path) === 0 ? leafAt(packed, index).digest : undefined
}

/** The first of leaves [from, to) whose path has bit 1 at `depth`; they agree above it. */
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

/** The same on a sorted list of things with paths. */
export function splitAt(items: readonly Pathed[], from: number, to: number, depth: number): number {
  assert(depth < PATH_BITS, 'two paths that agree in every bit')
  const [byte, shift] = [depth >> 3, 7 - (depth & 7)]
  let [low, high] = [from, to]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((((items[middle]?.path[byte] ?? 0) >> shift) & 1) === 0) low = middle + 1
    else high = middle
  }
  return low
}

// --- merging ---------------------------------------------------------------------------------------------------------

/**
 * Puts old leaves and sorted changes together in `room`, which must be large enough. Returns how many leaves there are. Hashes of subtrees that
 * hold a changed path are then those of before, or none: `hashLeaves` with the same changes makes them.
 */
export function mergeLeaves(
  before: Uint8Array,
  { changes, from, to }: ChangeRange<LeafChange>,
  room: Uint8Array,
): number {
  const oldCount = leafCount(before)
  let [next, end] = [0, 0]
  for (let i = from; i < to; i++) {
    const change = changes[i]
    if (change === undefined) break
    const place = lowerBound(before, next, oldCount, change.path)
    copyLeaves(before, next, place, room, end)
    end += place - next
    next = place < oldCount && comparePath(before, place, change.path) === 0 ? place + 1 : place
    if (change.digest === undefined) continue
    copyFew(change.path, 0, HASH_BYTES, room, end * PAIR_BYTES)
    copyFew(change.digest, 0, HASH_BYTES, room, end * PAIR_BYTES + 32)
    end++
  }
  copyLeaves(before, next, oldCount, room, end)
  return end + oldCount - next
}

/**
 * A copy of the leaves with other digests, when that is all that the changes are, as mostly; undefined when a leaf comes or goes. As after
 * mergeLeaves, hashLeaves makes the hashes of subtrees.
 */
export function replaceDigests(
  before: Uint8Array,
  { changes, from, to }: ChangeRange<LeafChange>,
  rooms: LeafRooms,
): Uint8Array | undefined {
  const count = leafCount(before)
  let place = 0
  for (let i = from; i < to; i++) {
    const change = changes[i]
    if (change?.digest === undefined) return undefined
    place = lowerBound(before, place, count, change.path)
    if (place === count || comparePath(before, place, change.path) !== 0) return undefined
  }
  const now = rooms.take(count)
  now.set(before)
  place = 0
  for (let i = from; i < to; i++) {
    const { path, digest } = changes[i] ?? {}
    if (path === undefined || digest === undefined) continue
    place = lowerBound(before, place, count, path)
    copyFew(digest, 0, HASH_BYTES, now, place * PAIR_BYTES + 32)
  }
  return now
}

/** The packed leaves of stored pairs, without their hashes; undefined when they cannot be pairs. */
export function packPairs(pairs: Uint8Array): Uint8Array | undefined {
  const count = pairs.length / PAIR_BYTES
  if (count === 0 || !Number.isInteger(count)) return undefined
  const packed = leafRoom(count)
  packed.set(pairs)
  return packed
}

// --- hashing ---------------------------------------------------------------------------------------------------------

/**
 * The hash of the subtree of all leaves, which agree in their first `depth` bits. Anew where it holds a change; everywhere without `changed`. What
 * is made is noted among the leaves as well, once the jobs have run.
 */
export function hashLeaves(jobs: HashJobs, packed: Uint8Array, depth: number, changed?: ChangeRange): Place {
  const { changes, from, to } = changed ?? { changes: undefined, from: 0, to: 0 }
  return hashPart(jobs, packed, 0, leafCount(packed), changes, from, to, depth)
}

/** The hash of the subtree of leaves [from, to), when all that it is made of is up to date. */
export function hashOfPart(jobs: HashJobs, packed: Uint8Array, from: number, to: number, depth: number): Place {
  return from === to ? EMPTY : hashPart(jobs, packed, from, to, [], 0, 0, depth)
}

/** Notes the hash of the subtree that parts after leaf `index`. */
export function setParting(jobs: HashJobs, packed: Uint8Array, index: number, hash: Place): void {
  jobs.copyTo(packed, partingAt(packed, index), hash)
}

/** The hash of leaves [from, to), at least one. */
function hashPart(
  jobs: HashJobs,
  packed: Uint8Array,
  from: number,
  to: number,
  changes: readonly Pathed[] | undefined,
  changesFrom: number,
  changesTo: number,
  depth: number,
): Place {
  const isChanged = changes === undefined || changesFrom !== changesTo
  if (to - from === 1) {
    const at = hashAt(packed, from)
    if (!isChanged) return jobs.known(packed, at)
    const place = jobs.leaf(packed, pairsAt(from))
    jobs.copyTo(packed, at, place)
    return place
  }
  // No two leaves agree so far, unless their page is damaged. Nothing has this hash.
  if (depth >= PATH_BITS) return EMPTY
  const middle = splitPacked(packed, from, to, depth)
  const parts = middle !== from && middle !== to
  if (parts && !isChanged) return jobs.known(packed, partingAt(packed, middle - 1))
  const between = changes === undefined ? 0 : splitAt(changes, changesFrom, changesTo, depth)
  const left = middle === from ? EMPTY : hashPart(jobs, packed, from, middle, changes, changesFrom, between, depth + 1)
  const right = middle === to ? EMPTY : hashPart(jobs, packed, middle, to, changes, between, changesTo, depth + 1)
  const place = jobs.node(depth, left, right)
  if (parts) setParting(jobs, packed, middle - 1, place)
  return place
}
