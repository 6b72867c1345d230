/** The state tree as protocol.md section 9 says it, from scratch over a Map; and generators of changes to it. Owns no expectation. */
import { toHex, ZERO_32 } from '@kvchain/core/bytes'
import { DOMAIN, taggedHash } from '@kvchain/core/hash'
import { StateTree, type TreeChange } from '@kvchain/core/tree'
import fc from 'fast-check'
import { bytes32 } from './arbitraries.js'
import { hex, sha256 } from './helpers.js'

/** protocol.md 9.1, from scratch: the hash of pairs that agree in their first `depth` bits. */
export function modelRoot(pairs: readonly (readonly [string, Uint8Array])[], depth = 0): Uint8Array {
  const [first] = pairs
  if (first === undefined) return ZERO_32
  if (pairs.length === 1) return taggedHash(sha256, DOMAIN.treeLeaf, hex(first[0]), first[1])
  const side = (bit: number) =>
    pairs.filter(([path]) => ((Number.parseInt(path.charAt(depth >> 2), 16) >> (3 - (depth & 3))) & 1) === bit)
  return taggedHash(sha256, DOMAIN.treeNode, modelRoot(side(0), depth + 1), modelRoot(side(1), depth + 1))
}

/** Few enough that paths meet again, some of them equal in all bits but one, early or late. */
export const path: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.nat(60).map((n) => sha256(Uint8Array.of(n))),
  fc.tuple(fc.constantFrom(0x00, 0xff), fc.nat(255)).map(([fill, bit]) => {
    const bytes = new Uint8Array(32).fill(fill)
    bytes[bit >> 3] = fill ^ (0x80 >> (bit & 7))
    return bytes
  }),
)

const change: fc.Arbitrary<TreeChange> = fc.record({
  path,
  digest: fc.oneof({ weight: 2, arbitrary: bytes32 }, { weight: 1, arbitrary: fc.constant(undefined) }),
})

export const update = fc.uniqueArray(change, { maxLength: 20, selector: (one) => toHex(one.path) })

export function applyTo(map: Map<string, Uint8Array>, changes: readonly TreeChange[]): void {
  for (const { path, digest } of changes) {
    if (digest === undefined) map.delete(toHex(path))
    else map.set(toHex(path), digest)
  }
}

export function treeOf(map: ReadonlyMap<string, Uint8Array>): StateTree {
  return StateTree.empty(sha256).update([...map].map(([path, digest]) => ({ path: hex(path), digest })))
}
