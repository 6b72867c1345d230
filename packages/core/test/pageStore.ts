/** The pages of a state tree in two Maps, with the steps that a node takes; and paths that crowd one shelf. */
import { toMapKey } from '@kvchain/core/bytes'
import { StateTree } from '@kvchain/core/tree'
import { encodeBucket } from '@kvchain/core/treeNodes'
import { encodeShelf, PageCache, shelfOfBuckets, shelfRange, type TreeSource } from '@kvchain/core/treePages'
import { sha256 } from './helpers.js'

export class PageStore implements TreeSource {
  generation = 0
  readonly buckets = new Map<string, { key: Uint8Array; content: Uint8Array }>()
  readonly shelves = new Map<number, Uint8Array>()
  readonly marked = new Set<number>()
  private top: Uint8Array = StateTree.empty(sha256).top
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

  shelf(index: number): Uint8Array | undefined {
    return this.shelves.get(index)
  }

  commit(tree: StateTree): void {
    for (const [name, { key, bucket }] of tree.pages.buckets) {
      if (bucket?.leaves === undefined) this.buckets.delete(name)
      else this.buckets.set(name, { key, content: encodeBucket(bucket.leaves) })
    }
    for (const index of tree.pages.shelves) this.marked.add(index)
    this.top = tree.top
    this.generation++
    tree.markCommitted()
  }

  checkpoint(tree: StateTree): void {
    for (const { index, root } of tree.unsavedShelves()) this.shelves.set(index, encodeShelf(root))
    this.marked.clear()
    tree.markShelvesSaved()
  }

  /** As after a crash: nothing is in memory. */
  open(): StateTree {
    this.cache = new PageCache(this.cacheBytes)
    const tree = StateTree.open(sha256, this.top, this, this.cache)
    for (const index of this.marked) {
      const { gte, lt } = shelfRange(index)
      const inside = [...this.buckets.values()]
        .filter(({ key }) => Buffer.compare(key, gte) >= 0 && (lt === undefined || Buffer.compare(key, lt) < 0))
        .sort((a, b) => Buffer.compare(a.key, b.key))
      tree.restoreShelf(index, shelfOfBuckets(sha256, inside))
    }
    return tree
  }
}

/** One of many paths of one shelf. */
export function crowdedPath(fill: number, n: number): Uint8Array {
  const bytes = sha256(Uint8Array.of(n))
  bytes.set([fill, (fill & 0xf0) | ((bytes[1] ?? 0) & 0x0f)])
  return bytes
}
