/**
 * Shelves, buckets and the cache over stored pages, one rule at a time:
 * 1. lookups through pages that are on disk; what is kept in memory and what is given up; the bound holds after a lookup too;
 * 2. what an update writes: the buckets that changed, their shelves, nothing else;
 * 3. pages that are missing, of another tree, or damaged are never believed.
 */
import { StateTree, type TreeChange, TreeError } from '@kvchain/core/tree'
import { NOWHERE } from '@kvchain/core/treeJobs'
import { BUCKET_LEAVES, PageCache, pageKey, SHELF_LEAVES } from '@kvchain/core/treePages'
import { verifyProof } from '@kvchain/core/treeProof'
import { describe, expect, it } from 'vitest'
import { codeOf, sha256, thrownBy } from './helpers.js'
import { crowdedPath, PageStore } from './pageStore.js'

const digest = (n: number) => sha256(Uint8Array.of(n, 1))
const changes = (fill: number, from: number, to: number): TreeChange[] =>
  Array.from({ length: to - from }, (_, i) => ({ path: crowdedPath(fill, from + i), digest: digest(from + i) }))

/** 40 leaves on the far left, 40 on the far right: a shelf each. */
function stored(cacheBytes = 1_000_000): { store: PageStore; tree: StateTree } {
  const store = new PageStore(cacheBytes)
  const tree = store.empty().update([...changes(0x00, 0, 40), ...changes(0xff, 100, 140)])
  store.commit(tree)
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
  store.shelf = (key) => {
    counts.shelves++
    return shelf(key)
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
      // Beside every shelf: a path that no leaf comes near.
      expect(one.digestAt(new Uint8Array(32).fill(0x80))).toBeUndefined()
    }
    expect(StateTree.empty(sha256).digestAt(crowdedPath(0, 1))).toBeUndefined()
    expect(StateTree.empty(sha256).size).toBe(0)
    expect(tree.size).toBe(80)
  })

  it('read a shelf once while there is room, and each time when there is none', () => {
    const { store } = stored()
    const roomy = store.open()
    const counts = counted(store)
    const buckets = [...store.buckets.values()].filter(({ key }) => key[0] === 0).length
    for (let i = 0; i < 3; i++) roomy.digestAt(crowdedPath(0x00, 7))
    expect(counts).toEqual({ buckets, shelves: 1 })

    const narrow = stored(0)
    const tight = narrow.store.open()
    const again = counted(narrow.store)
    for (let i = 0; i < 3; i++) expect(tight.digestAt(crowdedPath(0x00, 7))).toEqual(digest(7))
    expect(again).toEqual({ buckets: 3 * buckets, shelves: 3 })
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
  it('write the buckets that they change and the shelves of these, once', () => {
    const { store, tree } = stored()
    const next = tree.update([{ path: crowdedPath(0xff, 100), digest: digest(1) }])
    expect(store.commit(next)).toEqual({ buckets: 1, shelves: 1, removed: 0 })
    next.writePages(() => expect.fail('all is written'))
    expect(store.open().root).toEqual(next.root)
    const none = next.update([])
    expect(store.commit(none)).toEqual({ buckets: 0, shelves: 0, removed: 0 })
  })

  it('put as many leaves into buckets and shelves as fit, and one more into two', () => {
    const store = new PageStore(1_000_000)
    let tree = store.empty()
    const all = changes(0x00, 0, 200)
    const set = (changes: readonly TreeChange[]) => {
      tree = tree.update(changes)
      store.commit(tree)
    }
    for (const [count, buckets, shelves] of [
      [BUCKET_LEAVES, 1, 1],
      [SHELF_LEAVES, undefined, 1],
    ] as const) {
      while (tree.size < count) set(all.slice(tree.size, tree.size + 1))
      if (buckets !== undefined) expect(store.buckets.size).toBe(buckets)
      expect(store.shelves.size).toBe(shelves)
      set(all.slice(count, count + 1))
      expect(Math.max(...[...store.buckets.values()].map(({ content }) => content.length / 64))).toBeLessThanOrEqual(
        BUCKET_LEAVES,
      )
      expect(store.buckets.size).toBeGreaterThan(1)
      expect(store.shelves.size).toBe(count === SHELF_LEAVES ? 2 : 1)
    }
    for (let n = SHELF_LEAVES; n >= 0; n--) {
      set([{ path: all[n]?.path ?? expect.fail('a path'), digest: undefined }])
      expect(store.shelves.size).toBe(n === 0 ? 0 : 1)
      if (n > 0 && n <= BUCKET_LEAVES) expect(store.buckets.size).toBe(1)
    }
    expect(store.buckets.size).toBe(0)
  })

  it('count in the cache only what the disk has, and forget what another shelf took the place of', () => {
    const store = new PageStore(1_000_000)
    const tree = store.empty().update(changes(0x00, 0, 40))
    expect(store.cachedBytes).toBe(0)
    store.commit(tree)
    const all = store.cachedBytes
    expect(all).toBeGreaterThan(0)
    // The same leaves anew: the same pages, the same bytes.
    const same = tree.update([{ path: crowdedPath(0x00, 5), digest: digest(9) }])
    store.commit(same)
    expect(store.cachedBytes).toBe(all)
    const none = same.update(Array.from({ length: 40 }, (_, n) => ({ path: crowdedPath(0x00, n), digest: undefined })))
    store.commit(none)
    expect(store.cachedBytes).toBe(0)
    expect(store.buckets.size).toBe(0)
    expect(store.shelves.size).toBe(0)
    expect(none.root).toEqual(StateTree.empty(sha256).root)
  })

  it('write nothing but what changes where a shelf is cut in two or two become one, and keep no more in memory than is left', () => {
    // One leaf for each six bits, so eight in each bucket; one more has no room in its bucket, nor in the shelf.
    const full = Array.from({ length: 64 }, (_, n) => ({ path: new Uint8Array(32).fill(n << 2), digest: digest(n) }))
    const more = { path: new Uint8Array(32).fill(2), digest: digest(64) }
    const store = new PageStore(1_000_000)
    const one = store.empty().update(full)
    expect(store.commit(one)).toEqual({ buckets: 8, shelves: 1, removed: 0 })
    const bytes = store.cachedBytes
    const two = one.update([more])
    expect(store.commit(two)).toEqual({ buckets: 2, shelves: 2, removed: 2 })
    const again = two.update([{ ...more, digest: undefined }])
    // The half that changes is written on the way, and removed.
    expect(store.commit(again)).toEqual({ buckets: 1, shelves: 2, removed: 4 })
    expect(store.shelves.size).toBe(1)
    expect(again.root).toEqual(one.root)
    expect(store.cachedBytes).toBe(bytes)
  })

  it('read the shelf beside, wherever it is, when two become one', () => {
    for (const fill of [0x80, 0xc0]) {
      const store = new PageStore(1_000_000)
      // 33 leaves that begin with bits 10, 32 with 11.
      const [left, right] = [changes(0x80, 0, 33), changes(0xc0, 33, 65)]
      store.commit(store.empty().update([...left, ...right]))
      expect(store.shelves.size).toBe(2)
      const gone = (fill === 0x80 ? left : right)[0] ?? expect.fail('a leaf')
      const after = store.open().update([{ ...gone, digest: undefined }])
      store.commit(after)
      expect(store.shelves.size).toBe(1)
      expect(store.open().root).toEqual(after.root)
      for (const { path, digest } of [...left, ...right]) {
        expect(store.open().digestAt(path)).toEqual(path === gone.path ? undefined : digest)
      }
    }
  })

  it('count what is read again after a commit', () => {
    const { store, tree } = stored(0)
    expect(store.cachedBytes).toBe(0)
    tree.prove(crowdedPath(0x00, 3))
    expect(store.cachedBytes).toBeGreaterThan(0)
    tree.trim()
    expect(store.cachedBytes).toBe(0)
  })

  it('keep in memory what the disk does not have yet, whatever is looked up and however small the cache', () => {
    const store = new PageStore(0)
    let tree = store.empty().update(changes(0x00, 0, 40))
    for (let round = 0; round < 2; round++) {
      for (const n of [0, 39, 0]) expect(tree.digestAt(crowdedPath(0x00, n))).toEqual(digest(n + round))
      expect(store.cachedBytes).toBe(0)
      store.commit(tree)
      tree = tree.update(changes(0x00, 0, 40).map(({ path }, n) => ({ path, digest: digest(n + 1) })))
    }
  })

  it('go on from pages as from memory', () => {
    const { store, tree } = stored()
    const change = [
      { path: crowdedPath(0x00, 3), digest: undefined },
      { path: crowdedPath(0xff, 200), digest: digest(200) },
    ]
    expect(store.open().update(change).root).toEqual(tree.update(change).root)
    // Down to so few leaves that shelves are joined again.
    const few = Array.from({ length: 36 }, (_, n) => ({ path: crowdedPath(0x00, n), digest: undefined }))
    expect(store.open().update(few).root).toEqual(
      StateTree.empty(sha256).update([...changes(0x00, 36, 40), ...changes(0xff, 100, 140)]).root,
    )
  })

  it('leave the tree that they were made of as it was, also where both are in the same shelf', () => {
    const { tree } = stored()
    const before = tree.prove(crowdedPath(0x00, 7))
    const [root, size] = [tree.root, tree.size]
    tree.update([
      { path: crowdedPath(0x00, 7), digest: digest(1) },
      { path: crowdedPath(0x00, 8), digest: undefined },
      { path: crowdedPath(0x00, 77), digest: digest(2) },
    ])
    expect(tree.root).toEqual(root)
    expect(tree.size).toBe(size)
    expect(tree.prove(crowdedPath(0x00, 7))).toEqual(before)
  })
})

describe('pages that are not what the tree says', () => {
  const path = crowdedPath(0x00, 7)

  it('are never believed: a shelf', () => {
    const { store } = stored()
    const [first, last] = [...store.shelves.entries()]
    if (first === undefined || last === undefined) throw new TypeError('two shelves')
    const [name, { key, content }] = first
    const refusal = (spoiled: Uint8Array | undefined) => {
      store.shelves.set(name, { key, content })
      const tree = store.open()
      if (spoiled === undefined) store.shelves.delete(name)
      else store.shelves.set(name, { key, content: spoiled })
      return codeOf(() => tree.digestAt(path))
    }
    expect(refusal(undefined)).toBe('tree-page')
    expect(refusal(last[1].content)).toBe('tree-page')
    expect(refusal(content.subarray(0, 32))).toBe('tree-page')
    let refused = 0
    for (let at = 32; at < content.length; at++) {
      store.shelves.set(name, { key, content })
      const tree = store.open()
      store.shelves.set(name, { key, content: content.with(at, 7 ^ (content[at] ?? 0)) })
      // Where the leaves are found all the same (the place of a last part without any), nothing is lost.
      try {
        expect(tree.digestAt(path)).toEqual(digest(7))
      } catch (error) {
        if (!(error instanceof TreeError)) throw error
        expect(error.code).toBe('tree-page')
        refused++
      }
    }
    expect(refused).toBeGreaterThan((content.length - 32) / 2)
  })

  it('are never believed: a bucket', () => {
    const { store } = stored()
    for (const [name, held] of [...store.buckets.entries()].filter(([, { key }]) => key[0] === 0)) {
      const twice = new Uint8Array(held.content)
      twice.set(twice.subarray(0, 64), twice.length - 64)
      const spoiled = [new Uint8Array(0), held.content.subarray(0, 63), new Uint8Array(held.content.length), twice]
      for (const content of spoiled) {
        // Once whole, so that no hash of before can help what comes after.
        expect(store.open().digestAt(path)).toEqual(digest(7))
        store.buckets.set(name, { ...held, content })
        if (content !== twice || held.content.length > 64)
          expect(codeOf(() => store.open().digestAt(path))).toBe('tree-page')
        store.buckets.set(name, held)
      }
    }
  })

  it('give another root when a hash in a shelf is another', () => {
    const { store, tree } = stored()
    const [name, { key, content }] = [...store.shelves.entries()][0] ?? expect.fail('a shelf')
    store.shelves.set(name, { key, content: content.with(3, 1 ^ (content[3] ?? 0)) })
    expect(store.open().root).not.toEqual(tree.root)
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

it('what was read and proved stays when its memory is used again', () => {
  const { store, tree } = stored()
  const path = crowdedPath(0x00, 1)
  const [read, proof] = [tree.digestAt(path), tree.prove(path)]
  const before = structuredClone({ read, proof })
  let tip = tree
  for (let round = 1; round <= 3; round++) {
    tip = tip.update(changes(0x00, 0, 40).map(({ path, digest }) => ({ path, digest: digest?.with(0, round) })))
    store.commit(tip)
  }
  expect({ read, proof }).toEqual(before)
  expect(tip.digestAt(path)).not.toEqual(read)
})

it('the name of a page is the first bits of its paths, and their number', () => {
  const path = new Uint8Array(32).fill(0xff)
  for (const [depth, ...bytes] of [
    [0, 0, 0],
    [1, 0x80, 0],
    [8, 0xff, 0],
    [11, 0xff, 0xe0],
  ] as const) {
    expect([...pageKey(path, depth)]).toEqual([...bytes, ...new Array<number>(30).fill(0), depth])
  }
})

it('a cache gives up what was not used for longest', () => {
  const cache = new PageCache(1_500)
  const shelf = (count: number) => ({
    kind: 'shelf' as const,
    hash: '',
    place: NOWHERE,
    count,
    leaves: new Uint8Array(100 * count),
    persisted: true,
  })
  const [a, b, c] = [shelf(1), shelf(2), shelf(4)]
  for (const one of [a, b, c]) cache.use(one)
  expect(cache.bytes).toBe(3 * 400 + 700)
  cache.use(a)
  cache.trim()
  expect([a, b, c].map(({ leaves }) => leaves === undefined)).toEqual([false, true, false])
  cache.drop(a)
  cache.drop(a)
  expect(cache.bytes).toBe(400 + 400)
})

it('a shelf whose leaves part late has a page for each, and is read again', () => {
  const store = new PageStore(0)
  const late = Array.from({ length: 12 }, (_, n) => new Uint8Array(32).fill(0xa5).with(31, n))
  const tree = store.empty().update(late.map((path, n) => ({ path, digest: digest(n) })))
  expect(store.commit(tree)).toEqual({ buckets: 2, shelves: 1, removed: 0 })
  const [shelf] = [...store.shelves.values()]
  // Hash, a part without leaves for each bit that all have in common, and the two that have some.
  expect(shelf?.content).toHaveLength(32 + 2 * (252 + 2))
  const read = store.open()
  expect(read.root).toEqual(tree.root)
  for (const [n, path] of late.entries()) expect(read.digestAt(path)).toEqual(digest(n))
})

it('a cache gives the memory of a shelf that is no more to another of as many leaves, and keeps not too much', () => {
  const cache = new PageCache()
  const shelf = (count: number, bytes: number) => ({
    kind: 'shelf' as const,
    hash: '',
    place: NOWHERE,
    count,
    leaves: new Uint8Array(bytes),
    persisted: true,
  })
  const old = shelf(3, 3 * 128)
  const { leaves } = old
  cache.use(old)
  cache.reuse(old)
  expect(cache.bytes).toBe(0)
  expect(old.leaves).toBeUndefined()
  cache.reuse(old)
  expect(cache.take(2)).not.toBe(leaves)
  expect(cache.take(3)).toBe(leaves)
  expect(cache.take(3)).not.toBe(leaves)
  expect(cache.take(200)).toHaveLength(200 * 128)

  const full = shelf(SHELF_LEAVES, SHELF_LEAVES * 128)
  const fullMemory = full.leaves
  cache.reuse(full)
  expect(cache.take(SHELF_LEAVES)).toBe(fullMemory)

  const [large, last] = [shelf(3, 32 << 20), shelf(3, 1)]
  const [memory, lastMemory] = [large.leaves, last.leaves]
  cache.reuse(large)
  cache.reuse(last)
  expect(cache.take(3)).toBe(memory)
  cache.reuse({ ...last, leaves: lastMemory })
  expect(cache.take(3)).toBe(lastMemory)
})
