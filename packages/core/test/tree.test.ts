import { compareBytes, toHex, ZERO_32 } from '@kvchain/core/bytes'
import { AssertionError } from '@kvchain/core/errors'
import { DOMAIN, taggedHash } from '@kvchain/core/hash'
import { StateTree } from '@kvchain/core/tree'
import { decodeProof, encodeProof, type TreeProof, verifyProof } from '@kvchain/core/treeProof'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { proof as anyProof, bytes32 } from './arbitraries.js'
import { codeOf, hex, readVectors, sha256, text, thrownBy, tries } from './helpers.js'
import { PageStore } from './pageStore.js'
import { modelRoot } from './treeModel.js'

interface TreeVectors {
  readonly sets: {
    name: string
    pairs: [string, string][]
    root: string
    proofs: { path: string; digest: string | null; siblings: number; bytes: string }[]
  }[]
  readonly bad: { name: string; path: string; bytes: string; code: string }[]
}

const vectors = readVectors<TreeVectors>('tree')

function treeOf(pairs: readonly (readonly [string, string])[]): StateTree {
  return StateTree.empty(sha256).update(pairs.map(([path, digest]) => ({ path: hex(path), digest: hex(digest) })))
}

const digestOf = (n: number, round: number) => sha256(Uint8Array.of(n >> 8, n, round))
const threeHundred = Array.from({ length: 300 }, (_, n): [string, Uint8Array] => [
  toHex(digestOf(n, 0)),
  digestOf(n, 1),
])

it('a tree of many shelves that become one, leaf by leaf, is right on the way', () => {
  const map = new Map(threeHundred)
  let tree = StateTree.empty(sha256).update(threeHundred.map(([path, digest]) => ({ path: hex(path), digest })))
  for (const [gone] of threeHundred) {
    map.delete(gone)
    tree = tree.update([{ path: hex(gone), digest: undefined }])
    if (map.size % 3 === 0 || map.size < 20) expect(toHex(tree.root)).toBe(toHex(modelRoot([...map].sort())))
  }
})

describe.each([3, 8, 9, 20, 60])('a tree of many shelves that become one of %i leaves at once', (left) => {
  const map = new Map(threeHundred.slice(0, left))
  const additions = threeHundred.map(([path, digest]) => ({ path: hex(path), digest }))
  const removals = threeHundred.slice(left).map(([path]) => ({ path: hex(path), digest: undefined }))

  function expectRightAfterEachChange(rest: StateTree): void {
    expect(toHex(rest.root)).toBe(toHex(modelRoot([...map].sort())))
    for (const path of map.keys()) {
      const digest = digestOf(left, 2)
      const changed = rest.update([{ path: hex(path), digest }])
      expect(toHex(changed.root)).toBe(toHex(modelRoot([...new Map([...map, [path, digest]])].sort())))
    }
  }

  it('is right, and after each change to one of them', () => {
    expectRightAfterEachChange(StateTree.empty(sha256).update(additions).update(removals))
  })

  it('is right as it is read again, and leaves no page of before', () => {
    const store = new PageStore(1_000_000)
    const all = store.empty().update(additions)
    store.commit(all)
    store.commit(all.update(removals))
    expectRightAfterEachChange(store.open())
    const anew = new PageStore(1_000_000)
    anew.commit(anew.empty().update(additions.slice(0, left)))
    expect([...store.buckets.keys()].sort()).toEqual([...anew.buckets.keys()].sort())
    expect([...store.shelves.keys()].sort()).toEqual([...anew.shelves.keys()].sort())
  })
})

describe('the state tree of a vector', () => {
  it.each(vectors.sets)('$name: root in one update', ({ pairs, root }) => {
    expect(toHex(treeOf(pairs).root)).toBe(root)
  })

  it.each(vectors.sets)('$name: root one by one, forwards and backwards', ({ pairs, root }) => {
    for (const order of [pairs, [...pairs].reverse()]) {
      let tree = StateTree.empty(sha256)
      for (const [path, digest] of order) tree = tree.update([{ path: hex(path), digest: hex(digest) }])
      expect(toHex(tree.root)).toBe(root)
    }
  })

  it.each(vectors.sets)('$name: root after others came and went', ({ pairs, root }) => {
    const guests = Array.from({ length: 40 }, (_, i) => ({ path: sha256(text(`guest ${i}`)), digest: ZERO_32 }))
    const with_ = treeOf(pairs).update(guests)
    expect(toHex(with_.root)).not.toBe(root)
    expect(toHex(with_.update(guests.map(({ path }) => ({ path, digest: undefined }))).root)).toBe(root)
    const all = treeOf(pairs).update(pairs.map(([path]) => ({ path: hex(path), digest: undefined })))
    expect(all.root).toEqual(ZERO_32)
  })

  it.each(vectors.sets)('$name: proofs', ({ pairs, root, proofs }) => {
    const tree = treeOf(pairs)
    for (const { path, digest, siblings, bytes } of proofs) {
      const proof = tree.prove(hex(path))
      expect(proof.siblings).toHaveLength(siblings)
      expect(toHex(encodeProof(proof, hex(path)))).toBe(bytes)
      expect(decodeProof(hex(bytes), hex(path))).toEqual(proof)
      const verdict = verifyProof(sha256, hex(root), hex(path), decodeProof(hex(bytes), hex(path)))
      expect(verdict).toEqual(digest === null ? { kind: 'absent' } : { kind: 'present', digest: hex(digest) })
    }
  })

  it.each(vectors.bad)('refuses as a proof: $name', ({ path, bytes, code }) => {
    expect(codeOf(() => decodeProof(hex(bytes), hex(path)))).toBe(code)
  })
})

describe('an update', () => {
  const one = { path: sha256(text('one')), digest: sha256(text('1')) }
  const two = { path: sha256(text('two')), digest: sha256(text('2')) }

  it('leaves the tree that it was made of', () => {
    const before = StateTree.empty(sha256).update([one])
    const root = toHex(before.root)
    const after = before.update([two, { ...one, digest: undefined }])
    expect(toHex(before.root)).toBe(root)
    expect(before.prove(two.path).terminal).toMatchObject({ kind: 'leaf', path: one.path })
    expect(after.prove(one.path).terminal).toMatchObject({ kind: 'leaf', path: two.path })
  })

  it('of nothing, to the same, or that removes what is not there changes nothing', () => {
    const tree = StateTree.empty(sha256).update([one, two])
    expect(tree.update([]).root).toEqual(tree.root)
    expect(tree.update([one]).root).toEqual(tree.root)
    expect(tree.update([{ path: ZERO_32, digest: undefined }]).root).toEqual(tree.root)
    expect(StateTree.empty(sha256).update([{ ...one, digest: undefined }]).root).toEqual(ZERO_32)
  })

  it('has each path once, and leaves its argument alone', () => {
    const changes = [two, one, { ...two, digest: ZERO_32 }]
    for (const twice of [changes, [one, { ...one, digest: undefined }], [one, one]]) {
      expect(thrownBy(() => StateTree.empty(sha256).update(twice))).toBeInstanceOf(AssertionError)
    }
    const sorted = [one, two].sort((a, b) => compareBytes(b.path, a.path))
    const copy = [...sorted]
    StateTree.empty(sha256).update(sorted)
    expect(sorted).toEqual(copy)
  })

  it('makes no hash anew but those that a change is in; a proof makes none', () => {
    let hashes = 0
    // One leaf for each six bits: 63 nodes above 64 leaves.
    const full = Array.from({ length: 64 }, (_, n) => ({ path: new Uint8Array(32).fill(n << 2), digest: ZERO_32 }))
    const [first, second, ...rest] = full.map(({ path }) => ({ path, digest: one.digest }))
    if (first === undefined || second === undefined) expect.fail('leaves')
    let tree = StateTree.empty((data) => {
      hashes++
      return sha256(data)
    })
    const steps = [
      { changes: full, made: 64 + 63 },
      { changes: [], made: 0 },
      { changes: [first], made: 1 + 6 },
      { changes: [first, second], made: 2 + 6 },
      { changes: [first, ...rest.slice(-1)], made: 2 + 5 + 6 },
      // The leaf beside it moves up and is hashed again.
      { changes: [{ ...second, digest: undefined }], made: 1 + 5 },
      { changes: [second], made: 1 + 6 },
      // One more than a shelf holds: it is cut in two, hashes and all.
      { changes: [{ path: new Uint8Array(32).fill(2), digest: ZERO_32 }], made: 1 + 7 },
    ]
    for (const { changes, made } of steps) {
      hashes = 0
      tree = tree.update(changes)
      expect(hashes).toBe(made)
      tree.prove(first.path)
      expect(hashes).toBe(made)
    }
  })

  it('may bring more leaves than any before, and keeps the hashes of those that were there', () => {
    const pairs = Array.from({ length: 1_060 }, (_, n): [string, Uint8Array] => [toHex(digestOf(n, 2)), digestOf(n, 3)])
    const changes = pairs.map(([path, digest]) => ({ path: hex(path), digest }))
    const tree = StateTree.empty(sha256).update(changes.slice(0, 60)).update(changes.slice(60))
    expect(tree.root).toEqual(modelRoot(pairs))
  })

  it('takes no hash of a leaf, which stands behind the leaves, for another path', () => {
    const low = { path: ZERO_32, digest: one.digest }
    const tree = StateTree.empty(sha256).update([low])
    const path = taggedHash(sha256, DOMAIN.treeLeaf, low.path, low.digest)
    expect(tree.root).toEqual(path)
    expect(tree.digestAt(path)).toBeUndefined()
    expect(tree.update([{ path, digest: undefined }]).root).toEqual(tree.root)
    const both = tree.update([{ path, digest: two.digest }])
    expect(both.size).toBe(2)
    expect(both.digestAt(path)).toEqual(two.digest)
    expect(both.digestAt(low.path)).toEqual(low.digest)
  })
})

describe('verifyProof', () => {
  const pairs = Array.from({ length: 64 }, (_, i) => ({ path: sha256(text(`p${i}`)), digest: sha256(text(`d${i}`)) }))
  const tree = StateTree.empty(sha256).update(pairs)
  const [first] = pairs
  const path = first?.path ?? ZERO_32
  const proof = tree.prove(path)
  const verify = (forged: TreeProof, of = path, root = tree.root) => verifyProof(sha256, root, of, forged).kind

  it('takes a proof for its own path and root only', () => {
    expect(verify(proof)).toBe('present')
    expect(verify(proof, sha256(path))).toBe('invalid')
    expect(verify(proof, path, sha256(tree.root))).toBe('invalid')
    expect(verify(proof, path, ZERO_32)).toBe('invalid')
  })

  it('takes no proof without its leaf, with another, or with another digest', () => {
    expect(verify({ ...proof, terminal: { kind: 'empty' } })).toBe('invalid')
    for (const pair of pairs.slice(1)) expect(verify({ ...proof, terminal: { kind: 'leaf', ...pair } })).toBe('invalid')
    expect(verify({ ...proof, terminal: { kind: 'leaf', path, digest: ZERO_32 } })).toBe('invalid')
  })

  it('takes no proof with a sibling missing, added, changed or moved', () => {
    const { siblings, terminal } = proof
    expect(siblings.length).toBeGreaterThan(3)
    const forgeries = [
      siblings.slice(1),
      siblings.slice(0, -1),
      [...siblings, ZERO_32],
      [ZERO_32, ...siblings],
      [...siblings].reverse(),
      [],
      ...siblings.map((_, i) => siblings.map((sibling, j) => (i === j ? sha256(sibling) : sibling))),
    ]
    for (const forged of forgeries) expect(verify({ siblings: forged, terminal })).toBe('invalid')
  })

  it('takes no proof of more than 256 levels', () => {
    expect(verify({ siblings: new Array<Uint8Array>(257).fill(ZERO_32), terminal: { kind: 'empty' } })).toBe('invalid')
  })

  it('takes no leaf of another path as a stop on the way to an absent one, unless it stands there', () => {
    const absentPath = sha256(text('absent'))
    const honest = tree.prove(absentPath)
    expect(verify(honest, absentPath)).toBe('absent')
    for (const pair of pairs) {
      const other = tree.prove(pair.path)
      if (other.siblings.length === honest.siblings.length) continue
      expect(verify(other, absentPath)).toBe('invalid')
    }
  })

  it('takes no leaf that stands on the wrong side, even under a root that somebody made so', () => {
    for (const depth of [0, 1, 2, 7, 8, 9]) {
      const strayed = path.with(depth >> 3, (path[depth >> 3] ?? 0) ^ (0x80 >> (depth & 7)))
      const digest = sha256(strayed)
      const siblings = Array.from({ length: 10 }, (_, i) => sha256(text(`sibling ${i}`)))
      let root = taggedHash(sha256, DOMAIN.treeLeaf, strayed, digest)
      for (let i = 9; i >= 0; i--) {
        const sibling = siblings[i] ?? ZERO_32
        const isRight = ((path[i >> 3] ?? 0) >> (7 - (i & 7))) & 1
        const [left, right] = isRight === 1 ? [sibling, root] : [root, sibling]
        root = taggedHash(sha256, DOMAIN.treeNode, left, right)
      }
      expect(verify({ siblings, terminal: { kind: 'leaf', path: strayed, digest } }, path, root)).toBe('invalid')
    }
  })

  it('takes no leaf that is cut into path and digest elsewhere than at 32 bytes', () => {
    const { siblings } = proof
    const whole = Uint8Array.of(...path, ...(first?.digest ?? ZERO_32))
    for (let cut = 0; cut <= 64; cut++) {
      const terminal = { kind: 'leaf', path: whole.slice(0, cut), digest: whole.slice(cut) } as const
      expect(verify({ siblings, terminal })).toBe(cut === 32 ? 'present' : 'invalid')
    }
  })
})

describe('a proof as bytes', () => {
  it('decodes to itself, and what is accepted re-encodes to itself', () => {
    fc.assert(
      fc.property(anyProof, bytes32, fc.boolean(), (proof, other, own) => {
        const path = own && proof.terminal.kind === 'leaf' ? proof.terminal.path : other
        const bytes = encodeProof(proof, path)
        expect(decodeProof(bytes, path)).toEqual(proof)
        expect(codeOf(() => decodeProof(bytes.subarray(0, -1), path))).toBe('codec-truncated')
        expect(codeOf(() => decodeProof(Uint8Array.of(...bytes, 0), path))).toBe('codec-trailing')
      }),
      tries(500),
    )
  })

  it('holds up to 256 siblings', () => {
    for (const count of [0, 1, 7, 8, 9, 255, 256]) {
      const siblings = Array.from({ length: count }, (_, i) => (i % 3 === 0 ? ZERO_32 : sha256(text(`${i}`))))
      const proof: TreeProof = { siblings, terminal: { kind: 'empty' } }
      const bytes = encodeProof(proof, ZERO_32)
      const marked = siblings.filter((_, i) => i % 3 !== 0).length
      expect(bytes).toHaveLength(2 + Math.ceil(count / 8) + 32 * marked + 1)
      expect(decodeProof(bytes, ZERO_32)).toEqual(proof)
    }
  })
})
