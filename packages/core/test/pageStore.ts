/** The pages of a state tree in two Maps, with the steps that a node takes; and paths that crowd one part of the tree. */
import { toMapKey } from '@kvchain/core/bytes'
import { StateTree } from '@kvchain/core/tree'
import { PageCache, type TreeSource } from '@kvchain/core/treePages'
import { sha256 } from './helpers.js'

interface Page {
  readonly key: Uint8Array
  readonly content: Uint8Array
}

export class PageStore implements TreeSource {
  /** Not 0, so that a tree has to ask. */
  generation = 7
  readonly buckets = new Map<string, Page>()
  readonly shelves = new Map<string, Page>()
  private cache: PageCache

  constructor(private readonly cacheBytes: number) {
    this.cache = new PageCache(cacheBytes)
  }

  get cachedBytes(): number {
    return this.cache.bytes
  }

  empty(): StateTree {
    return StateTree.empty(sha256, this, this.cache)
  }

  bucket(key: Uint8Array): Uint8Array | undefined {
    return this.buckets.get(toMapKey(key))?.content
  }

  shelf(key: Uint8Array): Uint8Array | undefined {
    return this.shelves.get(toMapKey(key))?.content
  }

  /** Returns how many pages of each kind were written, and how many removed. */
  commit(tree: StateTree): { buckets: number; shelves: number; removed: number } {
    const counts = { buckets: 0, shelves: 0, removed: 0 }
    tree.writePages((kind, key, content) => {
      const pages = { bucket: this.buckets, shelf: this.shelves }[kind]
      if (content === undefined) {
        pages.delete(toMapKey(key))
        counts.removed++
        return
      }
      pages.set(toMapKey(key), { key: new Uint8Array(key), content: new Uint8Array(content) })
      counts[kind === 'bucket' ? 'buckets' : 'shelves']++
    })
    this.generation++
    tree.markCommitted()
    return counts
  }

  /** As after a crash: nothing is in memory. */
  open(): StateTree {
    this.cache = new PageCache(this.cacheBytes)
    const shelves = [...this.shelves.values()].sort((a, b) => Buffer.compare(a.key, b.key))
    return StateTree.open(sha256, shelves, this, this.cache)
  }
}

/** One of many paths that begin with the same 12 bits. */
export function crowdedPath(fill: number, n: number): Uint8Array {
  const bytes = sha256(Uint8Array.of(n))
  bytes.set([fill, (fill & 0xf0) | ((bytes[1] ?? 0) & 0x0f)])
  return bytes
}
