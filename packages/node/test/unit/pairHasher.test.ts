/** Hashes of pairs by WebAssembly against node's own SHA-256, and the state tree by either. */
import { createHash, randomBytes } from 'node:crypto'
import { DOMAIN } from '@kvchain/core/hash'
import { PlainPairs } from '@kvchain/core/pairs'
import { StateTree, type TreeChange } from '@kvchain/core/tree'
import { createPairHasher } from '@kvchain/node/crypto/pairHasher'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { assert, describe, expect, it } from 'vitest'

const lanes = createPairHasher()
assert(lanes !== undefined, 'this machine has WebAssembly SIMD')
const plainHash = (data: Uint8Array) => new Uint8Array(createHash('sha256').update(data).digest())
const hashers = [
  { kind: 'lanes', hasher: lanes },
  { kind: 'plain', hasher: new PlainPairs(plainHash) },
]

describe.each(hashers)('pairs by $kind', ({ hasher }) => {
  const half = (at: number) => hasher.bytes.slice(at, at + 32)
  const expected = (tag: Uint8Array, left: number, right: number) =>
    plainHash(Buffer.concat([tag, half(left), half(right)]))

  it('has nothing but zeros at first', () => {
    expect(hasher.bytes.every((byte) => byte === 0)).toBe(true)
  })

  it('does as many jobs as it is told, wherever their hashes lie, and touches nothing else', () => {
    hasher.grow(64 * 1024)
    for (const count of [0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 256]) {
      hasher.bytes.set(randomBytes(64 * 1024))
      const before = hasher.bytes.slice()
      const tag = randomBytes(16)
      const jobs = Array.from({ length: count }, (_, i) => {
        const [left = 0, right = 0] = randomBytes(2).map((byte) => byte)
        return { left: 32 * left, right: 32 * right, result: 32 * (300 + 3 * i) }
      })
      for (const [i, { left, right, result }] of jobs.entries()) hasher.jobs.set([left, right, result], 3 * i)
      const hashes = jobs.map(({ left, right }) => expected(tag, left, right))
      hasher.run(tag, count)
      for (const [i, { result }] of jobs.entries()) {
        expect(half(result)).toEqual(hashes[i])
        expect(Buffer.from(hasher.text(result), 'latin1')).toEqual(Buffer.from(hashes[i] ?? []))
        before.set(hashes[i] ?? [], result)
      }
      expect(Buffer.from(hasher.bytes.subarray(0, before.length)).equals(before)).toBe(true)
    }
  })

  it('keeps what is there when it grows, and does jobs in all of its room', () => {
    const old = hasher.bytes
    old.set(randomBytes(96))
    const kept = old.slice(0, 96)
    const length = 3 << 20
    hasher.grow(length)
    expect(hasher.bytes.length).toBeGreaterThanOrEqual(length)
    expect(half(32)).toEqual(kept.slice(32, 64))
    const result = length - 32
    hasher.jobs.set([0, 64, result])
    hasher.run(DOMAIN.treeNode, 1)
    expect(half(result)).toEqual(expected(DOMAIN.treeNode, 0, 64))
  })

  it('fills its table', () => {
    const count = hasher.jobs.length / 3
    hasher.grow(32 * (count + 2))
    hasher.bytes.set(randomBytes(64))
    for (let i = 0; i < count; i++) hasher.jobs.set([0, 32, 64 + 32 * i], 3 * i)
    hasher.run(DOMAIN.treeLeaf, count)
    const hash = expected(DOMAIN.treeLeaf, 0, 32)
    for (const i of [0, 1, count - 2, count - 1]) expect(half(64 + 32 * i)).toEqual(hash)
  })
})

it('refuses a tag of another size, and more jobs than there is room for', () => {
  expect(() => lanes.run(new Uint8Array(15), 1)).toThrow()
  expect(() => lanes.run(new Uint8Array(16), lanes.jobs.length / 3 + 1)).toThrow()
})

describe('the state tree', () => {
  const change = (paths: Uint8Array[]): TreeChange[] => paths.map((path) => ({ path, digest: randomBytes(32) }))
  const paths = (count: number) => Array.from({ length: count }, () => randomBytes(32))

  it('has the same roots and proofs by lanes as by plain hashes', () => {
    expect(sha256.pairs).toBeDefined()
    let [fast, plain] = [StateTree.empty(sha256), StateTree.empty(plainHash)]
    let known: Uint8Array[] = []
    // The largest is more than waits at a time.
    for (const count of [1, 2, 70, 3, 5_000, 40, 1]) {
      const fresh = paths(count)
      const gone = known.filter((_, i) => i % 7 === 0).map((path) => ({ path, digest: undefined }))
      const changed = change([...fresh, ...known.filter((_, i) => i % 7 === 1)])
      known = [...known.filter((_, i) => i % 7 !== 0), ...fresh]
      ;[fast, plain] = [fast.update([...changed, ...gone]), plain.update([...changed, ...gone])]
      expect(fast.root).toEqual(plain.root)
      for (const path of [...known.slice(-5), ...paths(5)]) expect(fast.prove(path)).toEqual(plain.prove(path))
    }
    const all = known.map((path) => ({ path, digest: undefined }))
    expect(fast.update(all).root).toEqual(new Uint8Array(32))
  })
})
