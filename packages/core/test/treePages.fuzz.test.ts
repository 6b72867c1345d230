/**
 * The state tree over stored pages: whatever is committed, forgotten and opened again, it is the tree of its leaves. The store
 * here is two Maps; its steps are those of a node's.
 */
import { equalBytes, toHex } from '@kvchain/core/bytes'
import { type StateTree, type TreeChange, TreeError } from '@kvchain/core/tree'
import { verifyProof } from '@kvchain/core/treeProof'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes32 } from './arbitraries.js'
import { codeOf, expectBytes, hex, sha256, thrownBy, tries } from './helpers.js'
import { crowdedPath, PageStore } from './pageStore.js'
import { path as anyPath, applyTo, modelRoot } from './treeModel.js'

const path = fc.oneof(
  fc.tuple(fc.constantFrom(0x00, 0xff), fc.nat(140)).map(([fill, n]) => crowdedPath(fill, n)),
  anyPath,
)
const change: fc.Arbitrary<TreeChange> = fc.record({
  path,
  digest: fc.oneof({ weight: 3, arbitrary: bytes32 }, { weight: 2, arbitrary: fc.constant(undefined) }),
})
const step = fc.record({
  changes: fc.uniqueArray(change, { maxLength: 60, selector: (one) => toHex(one.path) }),
  isOpened: fc.boolean(),
})

function contents(pages: PageStore['buckets']): string[] {
  return [...pages.values()].map(({ key, content }) => `${toHex(key)} ${toHex(content)}`).sort()
}

describe('the state tree over pages', () => {
  it('has the root and the proofs of its leaves, and the pages too depend on these alone', () => {
    const first = Array.from({ length: 90 }, (_, n) => ({ path: crowdedPath(0, n), digest: sha256(Uint8Array.of(n)) }))
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 8 }),
        fc.constantFrom(0, 2_000, 1_000_000),
        path,
        (steps, cacheBytes, asked) => {
          const map = new Map<string, Uint8Array>()
          const store = new PageStore(cacheBytes)
          let tree = store.empty()
          for (const { changes, isOpened } of [{ changes: first, isOpened: false }, ...steps]) {
            applyTo(map, changes)
            tree = tree.update(changes)
            store.commit(tree)
            expect(store.cachedBytes).toBeLessThanOrEqual(cacheBytes)
            if (isOpened) tree = store.open()

            const fresh = new PageStore(0)
            fresh.commit(fresh.empty().update([...map].map(([one, digest]) => ({ path: hex(one), digest }))))
            expectBytes(tree.root, modelRoot([...map]))
            expect(tree.size).toBe(map.size)
            expect(contents(store.buckets)).toEqual(contents(fresh.buckets))
            expect(contents(store.shelves)).toEqual(contents(fresh.shelves))
            const digest = map.get(toHex(asked))
            const verdict = verifyProof(sha256, tree.root, asked, tree.prove(asked))
            expect(verdict).toEqual(digest === undefined ? { kind: 'absent' } : { kind: 'present', digest })
          }
        },
      ),
      tries(200),
    )
  })

  it('of a past that is gone, or of a block that never came, never gives a wrong answer', () => {
    const first = Array.from({ length: 90 }, (_, n) => ({ path: crowdedPath(0, n), digest: sha256(Uint8Array.of(n)) }))
    let [right, stale] = [0, 0]
    fc.assert(
      fc.property(fc.array(fc.tuple(step, step), { minLength: 1, maxLength: 6 }), path, (steps, asked) => {
        const store = new PageStore(1_000_000)
        const known: { tree: StateTree; map: Map<string, Uint8Array> }[] = []
        const remember = (from: { tree: StateTree; map: Map<string, Uint8Array> }, changes: readonly TreeChange[]) => {
          const next = { tree: from.tree.update(changes), map: new Map(from.map) }
          applyTo(next.map, changes)
          known.push(next)
          return next
        }
        let tip = remember({ tree: store.empty(), map: new Map() }, first)
        store.commit(tip.tree)
        for (const [{ changes }, other] of steps) {
          const dropped = remember(tip, other.changes)
          remember(dropped, changes)
          tip = remember(tip, changes)
          store.commit(tip.tree)
          if (other.changes.length > 0) expect(codeOf(() => dropped.tree.writePages(() => {}))).toBe('tree-stale')
        }
        for (const { tree, map } of known) {
          expectBytes(tree.root, modelRoot([...map]))
          for (const one of [asked, first[0]?.path ?? asked, first[40]?.path ?? asked]) {
            try {
              expect(tree.digestAt(one)).toEqual(map.get(toHex(one)))
              expect(verifyProof(sha256, tree.root, one, tree.prove(one)).kind).toBe(
                map.has(toHex(one)) ? 'present' : 'absent',
              )
              const next = tree.update([{ path: one, digest: sha256(one) }])
              expectBytes(next.root, modelRoot([...new Map(map).set(toHex(one), sha256(one))]))
              right++
            } catch (error) {
              if (!(error instanceof TreeError)) throw error
              expect(error.code).toBe('tree-stale')
              expect(tree).not.toBe(tip.tree)
              stale++
            }
          }
        }
      }),
      tries(100),
    )
    expect(right).toBeGreaterThan(0)
    expect(stale).toBeGreaterThan(0)
  })

  it('reads no further once the store has moved on, and no page that is not what it says', () => {
    const paths = Array.from({ length: 400 }, (_, n) => sha256(Uint8Array.of(n & 255, n >> 8)))
    for (const one of paths.slice(0, 100)) one.set([0, one[1] ?? 0].map((byte, i) => (i === 1 ? byte & 0x0f : byte)))
    const changes = paths.map((one) => ({ path: one, digest: sha256(one) }))
    const store = new PageStore(0)
    const first = store.empty().update(changes)
    store.commit(first)

    const past = store.open()
    store.commit(store.open().update(changes.slice(0, 1)))
    expect(codeOf(() => past.prove(paths[0] ?? hex('')))).toBe('tree-stale')

    for (const one of [paths[3], paths[300]]) {
      if (one === undefined) continue
      for (const { content } of store.buckets.values()) {
        const at = [...content.keys()].find((i) => i % 64 === 0 && equalBytes(content.subarray(i, i + 32), one))
        if (at === undefined) continue
        content[at + 40] = (content[at + 40] ?? 0) ^ 1
        const error = thrownBy(() => store.open().prove(one))
        expect(error).toBeInstanceOf(TreeError)
        expect(error.code).toBe('tree-page')
        content[at + 40] = (content[at + 40] ?? 0) ^ 1
      }
    }
    store.buckets.clear()
    expect(codeOf(() => store.open().prove(paths[300] ?? hex('')))).toBe('tree-page')
  })
})
