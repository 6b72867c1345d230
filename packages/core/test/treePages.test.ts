/**
 * Shelves, buckets and the cache over stored pages, one rule at a time:
 * 1. lookups through a shelf that is on disk; what is kept in memory and what is given up; the bound holds after a lookup too;
 * 2. a shelf is read once, and again when it was given up; an update makes a new one, marked until it is saved;
 * 3. pages that are missing, of another tree, or damaged are never believed;
 * 4. the ranges of shelves cover every bucket once; a bucket above the shelves is in none.
 */
import { StateTree, type TreeChange, TreeError } from '@kvchain/core/tree'
import { encodeShelf, PageCache, shelfOfBuckets, shelfRange } from '@kvchain/core/treePages'
import { verifyProof } from '@kvchain/core/treeProof'
import { describe, expect, it } from 'vitest'
import { codeOf, sha256, thrownBy } from './helpers.js'
import { crowdedPath, PageStore } from './pageStore.js'

const digest = (n: number) => sha256(Uint8Array.of(n, 1))
const changes = (fill: number, from: number, to: number): TreeChange[] =>
  Array.from({ length: to - from }, (_, i) => ({ path: crowdedPath(fill, from + i), digest: digest(from + i) }))

/** 40 leaves in the first shelf, 40 in the last, committed and saved. */
function stored(cacheBytes = 1_000_000): { store: PageStore; tree: StateTree } {
  const store = new PageStore(cacheBytes)
  const tree = store.empty().update([...changes(0x00, 0, 40), ...changes(0xff, 100, 140)])
  store.commit(tree)
  store.checkpoint(tree)
  return { store, tree }
}

/** Counts what is read. */
function counted(store: PageStore): { buckets: number; shelves: number } {
  const counts = { buckets: 0, shelves: 0 }
  const [bucket, shelf] = [store.bucket.bind(store), store.shelf.bind(store)]
  store.bucket = (key) => {
    counts.buckets++
    return bucket(key)
  }
  store.shelf = (index) => {
    counts.shelves++
    return shelf(index)
  }
  return counts
}

describe('lookups', () => {
  it('find every leaf and nothing else, from memory and from pages', () => {
    const { store, tree } = stored()
    for (const one of [tree, store.open()]) {
      for (const n of [0, 17, 39]) expect(one.digestAt(crowdedPath(0x00, n))).toEqual(digest(n))
      for (const n of [100, 139]) expect(one.digestAt(crowdedPath(0xff, n))).toEqual(digest(n))
      for (const n of [40, 99]) expect(one.digestAt(crowdedPath(0x00, n))).toBeUndefined()
      // Beside every bucket: a path that no leaf comes near.
      expect(one.digestAt(new Uint8Array(32).fill(0x80))).toBeUndefined()
    }
    expect(StateTree.empty(sha256).digestAt(crowdedPath(0, 1))).toBeUndefined()
    expect(StateTree.empty(sha256).size).toBe(0)
    expect(tree.size).toBe(80)
  })

  it('read a page once while there is room, and each time when there is none', () => {
    const { store } = stored()
    const roomy = store.open()
    const counts = counted(store)
    for (let i = 0; i < 3; i++) roomy.digestAt(crowdedPath(0x00, 7))
    expect(counts).toEqual({ buckets: 1, shelves: 1 })

    const narrow = stored(0)
    const tight = narrow.store.open()
    const again = counted(narrow.store)
    for (let i = 0; i < 3; i++) expect(tight.digestAt(crowdedPath(0x00, 7))).toEqual(digest(7))
    expect(again).toEqual({ buckets: 3, shelves: 3 })
    expect(narrow.store.cachedBytes).toBe(0)
  })

  it('prove with pages what they find; whoever only proves keeps the bound by trim', () => {
    const { store, tree } = stored(0)
    const opened = store.open()
    for (const [path, kind] of [
      [crowdedPath(0x00, 3), 'present'],
      [crowdedPath(0x00, 60), 'absent'],
    ] as const) {
      expect(verifyProof(sha256, tree.root, path, opened.prove(path)).kind).toBe(kind)
    }
    expect(store.cachedBytes).toBeGreaterThan(0)
    opened.trim()
    expect(store.cachedBytes).toBe(0)
  })
})

describe('updates', () => {
  it('mark the shelves that they touch until these are saved, and only these', () => {
    const { store, tree } = stored()
    expect([...tree.unsavedShelves()]).toEqual([])
    const next = tree.update([{ path: crowdedPath(0xff, 100), digest: digest(1) }])
    expect([...next.pages.shelves]).toEqual([4_095])
    expect([...next.unsavedShelves()].map(({ index }) => index)).toEqual([4_095])
    store.commit(next)
    const [unsaved] = next.unsavedShelves()
    store.checkpoint(next)
    expect([...next.unsavedShelves()]).toEqual([])
    expect(store.shelf(4_095)).toEqual(unsaved && encodeShelf(unsaved.root))
    expect(store.open().root).toEqual(next.root)
  })

  it('count in the cache only what the disk has, and forget what another page took the place of', () => {
    const store = new PageStore(1_000_000)
    const tree = store.empty().update(changes(0x00, 0, 40))
    expect(store.cachedBytes).toBe(0)
    store.commit(tree)
    const buckets = store.cachedBytes
    expect(buckets).toBeGreaterThan(0)
    store.checkpoint(tree)
    const all = store.cachedBytes
    expect(all).toBeGreaterThan(buckets)
    // The same leaves anew: the same pages, the same bytes.
    const same = tree.update([{ path: crowdedPath(0x00, 5), digest: digest(9) }])
    store.commit(same)
    store.checkpoint(same)
    expect(store.cachedBytes).toBe(all)
    const none = same.update(Array.from({ length: 40 }, (_, n) => ({ path: crowdedPath(0x00, n), digest: undefined })))
    store.commit(none)
    store.checkpoint(none)
    expect(store.cachedBytes).toBe(0)
    expect(store.buckets.size).toBe(0)
    expect(none.root).toEqual(StateTree.empty(sha256).root)
  })

  it('go on from pages as from memory', () => {
    const { store, tree } = stored()
    const change = [
      { path: crowdedPath(0x00, 3), digest: undefined },
      { path: crowdedPath(0xff, 200), digest: digest(200) },
    ]
    expect(store.open().update(change).root).toEqual(tree.update(change).root)
    // Down to so few leaves that buckets are joined again.
    const few = Array.from({ length: 36 }, (_, n) => ({ path: crowdedPath(0x00, n), digest: undefined }))
    expect(store.open().update(few).root).toEqual(
      StateTree.empty(sha256).update([...changes(0x00, 36, 40), ...changes(0xff, 100, 140)]).root,
    )
  })
})

describe('pages that are not what the tree says', () => {
  it('are never believed', () => {
    const { store } = stored()
    const path = crowdedPath(0x00, 7)
    const refuse = (spoil: () => void) => {
      spoil()
      return thrownBy(() => store.open().digestAt(path)).code
    }
    const shelves = new Map(store.shelves)
    expect(refuse(() => store.shelves.delete(0))).toBe('tree-page')
    store.shelves.set(0, shelves.get(4_095) ?? new Uint8Array())
    expect(codeOf(() => store.open().digestAt(path))).toBe('tree-page')
    store.shelves.set(0, shelves.get(0) ?? new Uint8Array())
    const [first, second] = [...store.buckets.entries()]
    if (first === undefined || second === undefined) throw new TypeError('two buckets')
    for (const [name, held] of [...store.buckets.entries()]) {
      for (const content of [new Uint8Array(0), held.content.subarray(0, 63), new Uint8Array(64)]) {
        store.buckets.set(name, { ...held, content })
      }
    }
    expect(codeOf(() => store.open().digestAt(path))).toBe('tree-page')
  })

  it('a shelf is restored from buckets that make it, and from no others', () => {
    const { store, tree } = stored()
    const opened = store.open()
    const wrong = shelfOfBuckets(sha256, [])
    expect(wrong).toBeUndefined()
    expect(codeOf(() => opened.restoreShelf(0, wrong))).toBe('tree-page')
    store.marked.add(0)
    const restored = store.open()
    expect([...restored.unsavedShelves()].map(({ index }) => index)).toEqual([0])
    expect(restored.root).toEqual(tree.root)
    expect(restored.digestAt(crowdedPath(0x00, 7))).toEqual(digest(7))
  })

  it('a tree of a past that is gone does not read on', () => {
    const { store } = stored(0)
    const old = store.open()
    const next = store.open().update([{ path: crowdedPath(0x00, 1), digest: digest(2) }])
    store.commit(next)
    const error = thrownBy(() => old.digestAt(crowdedPath(0x00, 1)))
    expect(error).toBeInstanceOf(TreeError)
    expect(error.code).toBe('tree-stale')
  })
})

it('the ranges of shelves follow one another; the last has no end', () => {
  for (const index of [0, 1, 15, 16, 255, 4_094]) expect(shelfRange(index).lt).toEqual(shelfRange(index + 1).gte)
  expect(shelfRange(0).gte).toEqual(Uint8Array.of(0, 0))
  expect(shelfRange(0x123).gte).toEqual(Uint8Array.of(0x12, 0x30))
  expect(shelfRange(4_095)).toEqual({ gte: Uint8Array.of(0xff, 0xf0), lt: undefined })
})

it('a cache gives up what was not used for longest', () => {
  const cache = new PageCache(1_500)
  const page = (count: number) => ({
    kind: 'bucket' as const,
    hash: '',
    count,
    leaves: new Uint8Array(96 * count),
    persisted: true,
  })
  const [a, b, c] = [page(1), page(2), page(4)]
  for (const one of [a, b, c]) cache.use(one)
  expect(cache.bytes).toBe(3 * 300 + 7 * 96)
  cache.use(a)
  cache.trim()
  expect([a, b, c].map(({ leaves }) => leaves === undefined)).toEqual([false, true, false])
  cache.drop(a)
  cache.drop(a)
  expect(cache.bytes).toBe(300 + 4 * 96)
})
