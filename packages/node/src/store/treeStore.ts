/**
 * The pages of the state tree in the database. Owns when they are written: buckets and the top with the commit that changes them, shelves at
 * checkpoints, with a mark for each that is out of date meanwhile; and how the tree is opened again: from the top, with the marked
 * shelves made anew from their buckets, or, when pages do not give the expected root, from the records of the state.
 */
import { equalBytes } from '@kvchain/core/bytes'
import { CodecError } from '@kvchain/core/codec'
import { AssertionError } from '@kvchain/core/errors'
import { StateTree, type TreeChange, TreeError } from '@kvchain/core/tree'
import { encodeBucket } from '@kvchain/core/treeNodes'
import {
  encodeShelf,
  PageCache,
  SHELF_BYTES_PER_LEAF,
  type StoredBucket,
  shelfOfBuckets,
  shelfRange,
  type TreeSource,
} from '@kvchain/core/treePages'
import { sha256 } from '../crypto/sodium.js'
import { StoreError } from '../runtime/errors.js'
import type { Log } from '../runtime/runtime.js'
import { Batch, type Database } from './database.js'
import { kindRange, recordKey } from './schema.js'

export interface TreeStoreOptions {
  /** Memory for pages that the disk has too. */
  readonly cacheBytes: number
}

/** Enough for a million keys without a read; ten million work within it, with reads. */
export const DEFAULT_TREE_CACHE_BYTES: number = 256 << 20
/** Commits between two checkpoints: what a start after a crash has to make good. */
const CHECKPOINT_COMMITS = 128
const SHELVES = 4_096
/** Leaves that a rebuild takes at a time. */
const REBUILD_LEAVES = 50_000

export class TreeStore implements TreeSource {
  generation = 0
  private readonly cache: PageCache
  private readonly marked = new Set<number>()
  private commits = 0

  constructor(
    private readonly database: Database,
    private readonly options: TreeStoreOptions,
    private readonly log: Log,
  ) {
    this.cache = new PageCache(options.cacheBytes)
  }

  bucket(key: Uint8Array): Uint8Array | undefined {
    return this.database.read(recordKey.bucket(key))
  }

  shelf(index: number): Uint8Array | undefined {
    return this.database.read(recordKey.shelf(index))
  }

  /** The tree without leaves, over this store. */
  empty(): StateTree {
    return StateTree.empty(sha256, this, this.cache)
  }

  /** Adds to a commit what `tree` changed since the tree that it was made of, which must be the committed one. */
  addPages(batch: Batch, tree: StateTree): void {
    for (const { key, bucket } of tree.pages.buckets.values()) {
      if (bucket?.leaves === undefined) batch.delete(recordKey.bucket(key))
      else batch.put(recordKey.bucket(key), encodeBucket(bucket.leaves))
    }
    for (const index of tree.pages.shelves) {
      if (!this.marked.has(index)) batch.put(recordKey.shelfMark(index), new Uint8Array(0))
    }
    batch.put(recordKey.meta('tree'), tree.top)
  }

  /** The commit is on disk: from now on the source is of this tree. */
  onCommitted(tree: StateTree): void {
    for (const index of tree.pages.shelves) this.marked.add(index)
    this.generation++
    this.commits++
    tree.markCommitted()
  }

  /** Whether so much is unsaved that a checkpoint is due: many commits, or half the cache in memory. */
  isCheckpointDue(tree: StateTree): boolean {
    const unsavedBytes = (this.marked.size / SHELVES) * tree.size * SHELF_BYTES_PER_LEAF
    return this.commits >= CHECKPOINT_COMMITS || unsavedBytes > this.options.cacheBytes / 2
  }

  /** Writes the shelves that are out of date on disk, and takes their marks off. */
  async checkpoint(tree: StateTree): Promise<void> {
    const batch = new Batch()
    for (const { index, root } of tree.unsavedShelves()) batch.put(recordKey.shelf(index), encodeShelf(root))
    for (const index of this.marked) batch.delete(recordKey.shelfMark(index))
    if (batch.operations.length > 0) await this.database.write(batch, { sync: true, step: 'checkpoint' })
    this.marked.clear()
    this.commits = 0
    tree.markShelvesSaved()
  }

  /** The tree with this root. `leaves` are those of the whole state, for when the pages cannot be used. Throws StoreError. */
  async open(root: Uint8Array, leaves: () => AsyncIterable<TreeChange>): Promise<StateTree> {
    try {
      const tree = await this.openPages()
      if (tree !== undefined && equalBytes(tree.root, root)) return tree
      if (tree !== undefined) this.log.warn({}, 'the pages of the state tree are not of the tip: making them anew')
    } catch (error) {
      const isDamage =
        error instanceof TreeError ||
        error instanceof CodecError ||
        error instanceof AssertionError ||
        (error instanceof StoreError && error.code === 'store-corrupt')
      if (!isDamage) throw error
      this.log.warn({ err: error }, 'the pages of the state tree are damaged: making them anew')
    }
    const tree = await this.rebuild(leaves())
    if (equalBytes(tree.root, root)) return tree
    throw this.database.damage('the stored state does not have the state root of the tip')
  }

  /** The tree as its pages give it, of whatever root; undefined when there are none. Throws TreeError or StoreError for damaged ones. */
  async openPages(): Promise<StateTree | undefined> {
    const top = this.database.read(recordKey.meta('tree'))
    if (top === undefined) return undefined
    const tree = StateTree.open(sha256, top, this, this.cache)
    for await (const { key } of this.database.scan('shelfMark')) this.marked.add(((key[1] ?? 0) << 8) | (key[2] ?? 0))
    for (const index of this.marked) tree.restoreShelf(index, shelfOfBuckets(sha256, await this.bucketsOf(index)))
    return tree
  }

  private async bucketsOf(index: number): Promise<StoredBucket[]> {
    const { gte, lt } = shelfRange(index)
    const range = { gte: recordKey.bucket(gte), lt: lt === undefined ? kindRange('bucket').lt : recordKey.bucket(lt) }
    const records = await this.database.readRange(range)
    return records.map(({ key, content }) => ({ key: key.subarray(1), content }))
  }

  /** Every page anew, a part of the leaves at a time, so that memory stays bounded. */
  async rebuild(leaves: AsyncIterable<TreeChange>): Promise<StateTree> {
    // The top first: without it no start takes what is left of the pages for a tree.
    await this.database.write(new Batch().delete(recordKey.meta('tree')), { sync: true, step: 'tree-part' })
    for (const kind of ['bucket', 'shelf', 'shelfMark'] as const) await this.database.clear(kind)
    this.marked.clear()
    let tree = this.empty()
    let part: TreeChange[] = []
    const take = async () => {
      tree = tree.update(part)
      part = []
      const batch = new Batch()
      this.addPages(batch, tree)
      await this.database.write(batch, { sync: false, step: 'tree-part' })
      this.onCommitted(tree)
      if (this.isCheckpointDue(tree)) await this.checkpoint(tree)
    }
    for await (const leaf of leaves) {
      part.push(leaf)
      if (part.length >= REBUILD_LEAVES) await take()
    }
    await take()
    await this.checkpoint(tree)
    return tree
  }
}
