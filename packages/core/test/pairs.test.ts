/** Hashes of pairs with nothing but SHA-256; that others do the same, packages/node/test/unit/pairHasher.test.ts. */
import { DOMAIN, taggedHash } from '@kvchain/core/hash'
import { PlainPairs } from '@kvchain/core/pairs'
import { expect, it } from 'vitest'
import { sha256 } from './helpers.js'

const half = (seed: number) => Uint8Array.from({ length: 32 }, (_, i) => (i * 11 + seed) & 0xff)

it('pairs are hashed from where the jobs say to where they say, as many as they are told', () => {
  const hasher = new PlainPairs(sha256)
  hasher.bytes.set([...half(1), ...half(2), ...half(3)])
  hasher.jobs.set([64, 0, 160, 32, 32, 128, 0, 64, 192])
  hasher.run(DOMAIN.treeNode, 2)
  expect(hasher.bytes.subarray(0, 224)).toEqual(
    Uint8Array.of(
      ...half(1),
      ...half(2),
      ...half(3),
      ...new Uint8Array(32),
      ...taggedHash(sha256, DOMAIN.treeNode, half(2), half(2)),
      ...taggedHash(sha256, DOMAIN.treeNode, half(3), half(1)),
      ...new Uint8Array(32),
    ),
  )
  expect(Buffer.from(hasher.text(32), 'latin1')).toEqual(Buffer.from(half(2)))
})

it('memory for pairs keeps what it has as it grows, and never shrinks', () => {
  const hasher = new PlainPairs(sha256)
  expect(hasher.bytes.length).toBeGreaterThanOrEqual(64)
  hasher.bytes.set(half(4), 32)
  hasher.grow(1 << 20)
  const grown = hasher.bytes
  expect(grown).toHaveLength(1 << 20)
  expect(grown.subarray(32, 64)).toEqual(half(4))
  for (const length of [0, 64, 1 << 20]) {
    hasher.grow(length)
    expect(hasher.bytes).toBe(grown)
  }
})
