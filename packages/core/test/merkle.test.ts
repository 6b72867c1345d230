import { toHex, ZERO_32 } from '@kvchain/core/bytes'
import { encodeWith } from '@kvchain/core/codec'
import { DOMAIN, taggedHash } from '@kvchain/core/hash'
import { MerkleTree, merkleRoot } from '@kvchain/core/merkle'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes32 } from './arbitraries.js'
import { readVectors, sha256, text, tries } from './helpers.js'

const vectors = readVectors<{ roots: { count: number; root: string }[] }>('merkle')

function leaf(i: number): Uint8Array {
  return sha256(encodeWith((writer) => writer.fixed(text('leaf')).u32(i)))
}

function leaves(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => leaf(i))
}

describe('merkleRoot', () => {
  it.each(vectors.roots)('of $count leaves', ({ count, root }) => {
    expect(toHex(merkleRoot(sha256, leaves(count)))).toBe(root)
  })

  it('is that of a tree which grows leaf by leaf, at every step', () => {
    const tree = new MerkleTree(sha256)
    for (let count = 0; count <= 70; count++) {
      const root = merkleRoot(sha256, leaves(count))
      expect(tree.root()).toEqual(root)
      expect(tree.root()).toEqual(root)
      tree.add(leaf(count))
    }
  })

  it('does not change its argument', () => {
    const list = leaves(5)
    merkleRoot(sha256, list)
    expect(list).toEqual(leaves(5))
  })

  it('is that of one list only: no leaf doubled, dropped, swapped or taken for an inner node', () => {
    const [a, b, c, d] = [leaf(0), leaf(1), leaf(2), leaf(3)]
    const inner = (x: Uint8Array, y: Uint8Array) => taggedHash(sha256, DOMAIN.txNode, x, y)
    const lists = [
      [],
      [ZERO_32],
      [a],
      [a, a],
      [a, b],
      [b, a],
      [a, b, c],
      [a, b, c, c],
      [a, b, c, d],
      [a, b, d, c],
      [inner(a, b)],
      [inner(a, b), c],
      [inner(a, b), inner(c, d)],
      [inner(inner(a, b), inner(c, d))],
    ]
    expect(new Set(lists.map((list) => toHex(merkleRoot(sha256, list)))).size).toBe(lists.length)
  })

  it('changes with any leaf', () => {
    fc.assert(
      fc.property(fc.array(bytes32, { minLength: 1, maxLength: 40 }), fc.nat(), bytes32, (list, at, other) => {
        const changed = list.map((old, i) => (i === at % list.length ? other : old))
        const same = toHex(other) === toHex(list[at % list.length] ?? ZERO_32)
        expect(toHex(merkleRoot(sha256, changed)) === toHex(merkleRoot(sha256, list))).toBe(same)
      }),
      tries(200),
    )
  })
})
