import { equalBytes, toHex } from '@kvchain/core/bytes'
import { CodecError } from '@kvchain/core/codec'
import { StateTree } from '@kvchain/core/tree'
import { decodeProof, encodeProof, verifyProof } from '@kvchain/core/treeProof'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes32, mutate, mutation } from './arbitraries.js'
import { hex, sha256, tries } from './helpers.js'
import { applyTo, modelRoot, path, treeOf, update } from './treeModel.js'

describe('the state tree', () => {
  it('has after any sequence of updates the root of a tree made from scratch of what a Map then holds', () => {
    fc.assert(
      fc.property(fc.array(update, { maxLength: 6 }), (updates) => {
        const map = new Map<string, Uint8Array>()
        let tree = StateTree.empty(sha256)
        for (const changes of updates) {
          tree = tree.update(changes)
          applyTo(map, changes)
          const root = toHex(modelRoot([...map]))
          expect(toHex(tree.root)).toBe(root)
          expect(toHex(treeOf(map).root)).toBe(root)
        }
        for (const [held, digest] of map) {
          const proof = tree.prove(hex(held))
          expect(verifyProof(sha256, tree.root, hex(held), proof)).toEqual({ kind: 'present', digest })
        }
      }),
      tries(200),
    )
  })

  it('does not depend on the order of changes, nor on how they are divided', () => {
    fc.assert(
      fc.property(update, fc.array(fc.nat()), fc.nat(20), (changes, keys, cut) => {
        const shuffled = changes
          .map((one, i) => ({ one, key: keys[i] ?? i }))
          .sort((a, b) => a.key - b.key)
          .map(({ one }) => one)
        const whole = StateTree.empty(sha256).update(changes)
        const divided = StateTree.empty(sha256).update(shuffled.slice(0, cut)).update(shuffled.slice(cut))
        expect(divided.root).toEqual(whole.root)
      }),
      tries(300),
    )
  })

  it('proves presence and absence', () => {
    fc.assert(
      fc.property(update, path, (changes, asked) => {
        const map = new Map<string, Uint8Array>()
        applyTo(map, changes)
        const tree = treeOf(map)
        const bytes = encodeProof(tree.prove(asked), asked)
        const verdict = verifyProof(sha256, tree.root, asked, decodeProof(bytes, asked))
        const digest = map.get(toHex(asked))
        expect(verdict).toEqual(digest === undefined ? { kind: 'absent' } : { kind: 'present', digest })
      }),
      tries(1_000),
    )
  })

  it('is proven by no other bytes than those of its own proof', () => {
    const map = new Map<string, Uint8Array>()
    for (let n = 0; n < 200; n++) map.set(toHex(sha256(Uint8Array.of(n, 1))), sha256(Uint8Array.of(n, 2)))
    for (let bit = 0; bit < 256; bit += 15) {
      const bytes = new Uint8Array(32)
      bytes[bit >> 3] = 0x80 >> (bit & 7)
      map.set(toHex(bytes), sha256(bytes))
    }
    const tree = treeOf(map)
    const held = [...map.keys()].map(hex)
    const asked = fc.oneof(fc.constantFrom(...held), path, bytes32)
    let decoded = 0
    fc.assert(
      fc.property(asked, fc.array(mutation, { minLength: 1, maxLength: 3 }), (of, changes) => {
        const honest = encodeProof(tree.prove(of), of)
        const forged = changes.reduce(mutate, honest)
        if (equalBytes(forged, honest)) return
        try {
          const proof = decodeProof(forged, of)
          decoded++
          expect(verifyProof(sha256, tree.root, of, proof).kind).toBe('invalid')
        } catch (error) {
          if (!(error instanceof CodecError)) throw error
        }
      }),
      tries(10_000),
    )
    expect(decoded).toBeGreaterThan(0.1 * tries(10_000).numRuns)
  })
})
