/**
 * The pages of the state tree in the database. Owns their records, which are written with the commit that changes them; and how the tree is
 * opened again: from its shelves, or, when these do not give the expected root, from the records of the state.
 */
import { equalBytes } from '@kvchain/core/bytes'
import { AssertionError } from '@kvchain/core/errors'
import { StateTree, type TreeChange } from '@kvchain/core/tree'
import { PageCache, type TreeSource } from '@kvchain/core/treePages'
import { sha256 } from '../crypto/sodium.js'
import { StoreError } from '../runtime/errors.js'
import type { Log } from '../runtime/runtime.js'
import { Batch } from './batch.js'
import type { Database } from './database.js'
import { passingPageKey, recordKey } from './schema.js'

export interface TreeStoreOptions {
  /** Memory for pages that the disk has too. */
  readonly cacheBytes: number
}

/** Enough for a million keys without a read; ten million work within it, with reads. */
export const DEFAULT_TREE_CACHE_BYTES: number = 256 << 20
/** Leaves that a rebuild takes at a time. */
const REBUILD_LEAVES = 50_000

export class TreeStore implements TreeSource {
  generation = 0
  private readonly cache: PageCache

  constructor(
    private readonly database: Database,
    options: TreeStoreOptions,
    private readonly log: Log,
  ) {
    this.cache = new PageCache(options.cacheBytes)
  }

  bucket(key: Uint8Array): Uint8Array | undefined {
    return this.database.read(recordKey.bucket(key))
  }

  shelf(key: Uint8Array): Uint8Array | undefined {
    return this.database.read(recordKey.shelf(key))
  }

  /** The tree without leaves, over this store. */
  empty(): StateTree {
    return StateTree.empty(sha256, this, this.cache)
  }

  /** Adds to a commit what `tree` changed since the tree that it was made of, which must be the committed one. */
  addPages(batch: Batch, tree: StateTree): void {
    tree.writePages((kind, key, content) => {
      const record = passingPageKey(kind, key)
      if (content === undefined) batch.delete(record)
      else batch.put(record, content)
    })
  }

  /** The commit is on disk: from now on the source is of this tree. */
  onCommitted(tree: StateTree): void {
    this.generation++
    tree.markCommitted()
  }

  /** The tree with this root. `leaves` are those of the whole state, for when the pages cannot be used. Throws StoreError. */
  async open(root: Uint8Array, leaves: () => AsyncIterable<TreeChange>): Promise<StateTree> {
    try {
      const tree = await this.openPages()
      if (equalBytes(tree.root, root)) return tree
      if (equalBytes(tree.root, this.empty().root)) this.log.info({}, 'the state tree has no pages yet: making them')
      else this.log.warn({}, 'the pages of the state tree are not of the tip: making them anew')
    } catch (error) {
      const isDamage =
        error instanceof AssertionError || (error instanceof StoreError && error.code === 'store-corrupt')
      if (!isDamage) throw error
      this.log.warn({ err: error }, 'the pages of the state tree are damaged: making them anew')
    }
    const tree = await this.rebuild(leaves())
    if (equalBytes(tree.root, root)) return tree
    throw this.database.damage('the stored state does not have the state root of the tip')
  }

  /** The tree as its shelves give it, of whatever root. Throws StoreError or AssertionError for damaged ones. */
  async openPages(): Promise<StateTree> {
    const shelves: { key: Uint8Array; content: Uint8Array }[] = []
    for await (const { key, content } of this.database.scan('shelf')) shelves.push({ key: key.subarray(1), content })
    return StateTree.open(sha256, shelves, this, this.cache)
  }

  /** Every page anew, a part of the leaves at a time, so that memory stays bounded. */
  async rebuild(leaves: AsyncIterable<TreeChange>): Promise<StateTree> {
    for (const kind of ['shelf', 'bucket'] as const) await this.database.clear(kind)
    let tree = this.empty()
    let part: TreeChange[] = []
    const take = async () => {
      tree = tree.update(part)
      part = []
      const batch = new Batch()
      this.addPages(batch, tree)
      await this.database.write(batch, { sync: false, step: 'tree-part' })
      this.onCommitted(tree)
    }
    for await (const leaf of leaves) {
      part.push(leaf)
      if (part.length >= REBUILD_LEAVES) await take()
    }
    await take()
    return tree
  }
}
