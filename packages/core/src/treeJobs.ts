/**
 * Hashes of the state tree that are put off until there is a good deal to hash: many at once cost a fraction of as many single ones. Owns what is
 * still to be hashed, in which order, and where the results are wanted; the caller sees to it that they are made before anything is read.
 * (protocol.md section 9)
 */
import { copyFew } from './bytes.js'
import { DOMAIN, type PairHasher, type Sha256 } from './hash.js'
import { PlainPairs } from './pairs.js'
import { type HashText, PATH_BITS, putText } from './treeHash.js'

const HASH_BYTES = 32
/** Enough for four at a time to be worth it at each depth; little enough to stay in a processor's cache. */
const MANY_JOBS = 4_096

/** Where a hash will be, in a HashJobs, until that has run. */
export type Place = number

/** The place of the hash of an empty subtree. */
export const EMPTY: Place = 0
/** For what has its hash. */
export const NOWHERE: Place = -1

/** Something that has a hash, or will have it. */
export interface Hashed {
  hash: HashText
  /** Where the hash will be; NOWHERE once `hash` is it. */
  place: Place
}

/** Left, right and result of a job, and which comes next of the same depth. */
const JOB_NUMBERS = 4
const NO_JOB = -1
/** Leaves come before the nodes of any depth. */
const LEAF_LEVEL = PATH_BITS

/** Hashes of leaves and nodes that wait to be made, those of a subtree before its parent's. What is made of one place lies in a place as well. */
export class HashJobs {
  private static readonly all = new WeakMap<Sha256, HashJobs>()
  private readonly hasher: PairHasher
  private bytes: Uint8Array
  private end = HASH_BYTES
  private jobs: Int32Array = new Int32Array(1024)
  private jobsEnd = 0
  /** The last job of each depth, and of the leaves. */
  private readonly last = new Int32Array(PATH_BITS + 1).fill(NO_JOB)
  /** Where hashes are wanted beside: the arrays, how many targets there are up to each, and of each target where and which. */
  private arrays: Uint8Array[] = []
  private arrayEnds: number[] = []
  private targets: Int32Array = new Int32Array(1024)
  private targetsEnd = 0
  private unsettled: Hashed[] = []

  private constructor(sha256: Sha256) {
    this.hasher = sha256.pairs ?? new PlainPairs(sha256)
    this.bytes = this.hasher.bytes
  }

  /** The jobs of a hash function: the same for each call. */
  static of(sha256: Sha256): HashJobs {
    const known = HashJobs.all.get(sha256)
    if (known !== undefined) return known
    const made = new HashJobs(sha256)
    HashJobs.all.set(sha256, made)
    return made
  }

  /** The place of a hash that is known: bytes[at..at + 32). */
  known(bytes: Uint8Array, at: number): Place {
    const place = this.take(1)
    copyFew(bytes, at, HASH_BYTES, this.bytes, place)
    return place
  }

  /** The place of the hash of a subtree, made or not. */
  placeOf(node: Hashed | undefined): Place {
    if (node === undefined) return EMPTY
    if (node.place !== NOWHERE) return node.place
    const place = this.take(1)
    putText(node.hash, this.bytes, place)
    return place
  }

  /** The place of the hash of a leaf, whose path and digest are bytes[at..at + 64). */
  leaf(bytes: Uint8Array, at: number): Place {
    const left = this.take(2)
    copyFew(bytes, at, 2 * HASH_BYTES, this.bytes, left)
    return this.add(LEAF_LEVEL, left, left + HASH_BYTES)
  }

  /** The place of the hash of two subtrees, of a node at `depth`. */
  node(depth: number, left: Place, right: Place): Place {
    return this.add(depth, left, right)
  }

  /** The hash is also to be written to bytes[at..at + 32). */
  copyTo(bytes: Uint8Array, at: number, place: Place): void {
    if (this.arrays.at(-1) !== bytes) {
      this.arrayEnds.push(this.targetsEnd)
      this.arrays.push(bytes)
    }
    if (this.targetsEnd === this.targets.length) this.targets = doubled(this.targets)
    this.targets[this.targetsEnd++] = at
    this.targets[this.targetsEnd++] = place
  }

  /** `node` gets its hash from its place. */
  settle(node: Hashed): void {
    this.unsettled.push(node)
  }

  /** Makes all hashes if there are many. No place of before is one then, but nodes know their hashes. */
  runMany(): void {
    if (this.jobsEnd >= MANY_JOBS * JOB_NUMBERS) this.run()
  }

  /** Makes all hashes, writes them to where they are wanted, and forgets all places. */
  run(): void {
    for (let level = LEAF_LEVEL; level >= 0; level--) {
      const last = this.last[level] ?? NO_JOB
      if (last !== NO_JOB) this.runLevel(level === LEAF_LEVEL ? DOMAIN.treeLeaf : DOMAIN.treeNode, last)
    }
    const { bytes, arrays, arrayEnds, targets } = this
    arrayEnds.push(this.targetsEnd)
    for (const [i, array] of arrays.entries()) {
      const end = arrayEnds[i + 1] ?? 0
      for (let at = arrayEnds[i] ?? end; at < end; at += 2) {
        copyFew(bytes, targets[at + 1] ?? EMPTY, HASH_BYTES, array, targets[at] ?? 0)
      }
    }
    for (const node of this.unsettled) {
      node.hash = this.hasher.text(node.place)
      node.place = NOWHERE
    }
    this.forget()
  }

  /** Forgets what waits: of an update that came to nothing. */
  forget(): void {
    this.end = HASH_BYTES
    this.jobsEnd = 0
    this.last.fill(NO_JOB)
    this.arrays = []
    this.arrayEnds = []
    this.targetsEnd = 0
    this.unsettled = []
  }

  /** The jobs of one level: none needs another's result. */
  private runLevel(tag: Uint8Array, last: number): void {
    const { hasher, jobs } = this
    const table = hasher.jobs
    let end = 0
    for (let job = last; job !== NO_JOB; job = jobs[job + 3] ?? NO_JOB) {
      table[end++] = jobs[job] ?? EMPTY
      table[end++] = jobs[job + 1] ?? EMPTY
      table[end++] = jobs[job + 2] ?? EMPTY
      if (end < table.length) continue
      hasher.run(tag, end / 3)
      end = 0
    }
    hasher.run(tag, end / 3)
  }

  private add(level: number, left: Place, right: Place): Place {
    const result = this.take(1)
    if (this.jobsEnd === this.jobs.length) this.jobs = doubled(this.jobs)
    const { jobs, jobsEnd } = this
    jobs[jobsEnd] = left
    jobs[jobsEnd + 1] = right
    jobs[jobsEnd + 2] = result
    jobs[jobsEnd + 3] = this.last[level] ?? NO_JOB
    this.last[level] = jobsEnd
    this.jobsEnd += JOB_NUMBERS
    return result
  }

  private take(places: number): Place {
    const place = this.end
    this.end += places * HASH_BYTES
    if (this.end > this.bytes.length) {
      this.hasher.grow(2 * this.end)
      this.bytes = this.hasher.bytes
    }
    return place
  }
}

function doubled(numbers: Int32Array): Int32Array {
  const larger = new Int32Array(2 * numbers.length)
  larger.set(numbers)
  return larger
}
