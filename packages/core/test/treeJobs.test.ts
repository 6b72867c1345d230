/** Hashes that are put off: each as if it had been made at once, wherever it is wanted, and nothing left of them afterwards. */
import { toMapKey } from '@kvchain/core/bytes'
import { DOMAIN, taggedHash } from '@kvchain/core/hash'
import { PlainPairs } from '@kvchain/core/pairs'
import { fromText, ZERO_TEXT } from '@kvchain/core/treeHash'
import { EMPTY, type Hashed, HashJobs, NOWHERE } from '@kvchain/core/treeJobs'
import { describe, expect, it } from 'vitest'
import { sha256 } from './helpers.js'

const ZERO = new Uint8Array(32)
const bytes = (count: number, seed: number) => Uint8Array.from({ length: count }, (_, i) => (i * 7 + seed) & 0xff)
const leafHash = (pair: Uint8Array) => taggedHash(sha256, DOMAIN.treeLeaf, pair)
const nodeHash = (left: Uint8Array, right: Uint8Array) => taggedHash(sha256, DOMAIN.treeNode, left, right)
const jobs = HashJobs.of(sha256)

function hashAt(place: number): { readonly node: Hashed; readonly copy: Uint8Array } {
  const node: Hashed = { hash: '', place }
  const copy = new Uint8Array(40).fill(9)
  jobs.settle(node)
  jobs.copyTo(copy, 4, place)
  return { node, copy }
}

function expectHash({ node, copy }: ReturnType<typeof hashAt>, hash: Uint8Array): void {
  expect(fromText(node.hash)).toEqual(hash)
  expect(node.place).toBe(NOWHERE)
  expect(copy).toEqual(Uint8Array.of(9, 9, 9, 9, ...hash, 9, 9, 9, 9))
}

describe('hashes that are put off', () => {
  it('are the same jobs for the same function, others for another', () => {
    expect(HashJobs.of(sha256)).toBe(jobs)
    expect(HashJobs.of((data) => sha256(data))).not.toBe(jobs)
  })

  it('are made of leaves, of nodes at every depth, of known hashes and of none', () => {
    const pair = bytes(70, 1)
    const known = bytes(40, 2)
    const leaf = jobs.leaf(pair, 3)
    const deep = jobs.node(255, leaf, jobs.known(known, 5))
    const middle = jobs.node(17, EMPTY, deep)
    const root = jobs.node(0, middle, leaf)
    const found = [leaf, deep, middle, root, EMPTY].map(hashAt)
    jobs.run()
    const expectedLeaf = leafHash(pair.slice(3, 67))
    const expectedDeep = nodeHash(expectedLeaf, known.slice(5, 37))
    const expectedMiddle = nodeHash(ZERO, expectedDeep)
    const expected = [expectedLeaf, expectedDeep, expectedMiddle, nodeHash(expectedMiddle, expectedLeaf), ZERO]
    for (const [i, one] of found.entries()) expectHash(one, expected[i] ?? ZERO)
  })

  it('have a place by the node that they are of, made or not', () => {
    const made: Hashed = { hash: toMapKey(bytes(32, 3)), place: NOWHERE }
    const unmade: Hashed = { hash: '', place: jobs.leaf(bytes(64, 4), 0) }
    jobs.settle(unmade)
    const found = hashAt(jobs.node(8, jobs.placeOf(made), jobs.placeOf(unmade)))
    const alone = hashAt(jobs.node(8, jobs.placeOf(undefined), jobs.placeOf(made)))
    jobs.run()
    expectHash(found, nodeHash(bytes(32, 3), leafHash(bytes(64, 4))))
    expectHash(alone, nodeHash(ZERO, bytes(32, 3)))
    // Made by now.
    const later = hashAt(jobs.node(9, jobs.placeOf(unmade), EMPTY))
    jobs.run()
    expectHash(later, nodeHash(leafHash(bytes(64, 4)), ZERO))
  })

  it('go to several arrays, in whatever order', () => {
    const [one, other] = [new Uint8Array(64), new Uint8Array(64)]
    const places = [1, 2, 3, 4].map((seed) => jobs.leaf(bytes(64, seed), 0))
    for (const [i, place] of places.entries()) jobs.copyTo(i % 2 === 0 ? one : other, i < 2 ? 0 : 32, place)
    jobs.run()
    const hashes = [1, 2, 3, 4].map((seed) => leafHash(bytes(64, seed)))
    expect(one).toEqual(Uint8Array.of(...(hashes[0] ?? []), ...(hashes[2] ?? [])))
    expect(other).toEqual(Uint8Array.of(...(hashes[1] ?? []), ...(hashes[3] ?? [])))
  })

  it('are nothing any more when they are forgotten', () => {
    const { node, copy } = hashAt(jobs.leaf(bytes(64, 5), 0))
    jobs.forget()
    jobs.run()
    expect(node.hash).toBe('')
    expect(copy).toEqual(new Uint8Array(40).fill(9))
    const next = hashAt(jobs.leaf(bytes(64, 6), 0))
    jobs.run()
    expectHash(next, leafHash(bytes(64, 6)))
  })

  it('wait until there are many', () => {
    const first: Hashed = { hash: '', place: jobs.leaf(bytes(64, 0), 0) }
    jobs.settle(first)
    let last = first.place
    for (let count = 1; count < 4_096; count++) {
      expect(first.hash).toBe('')
      last = jobs.node(count & 0xff, EMPTY, first.place)
      jobs.runMany()
    }
    expect(fromText(first.hash)).toEqual(leafHash(bytes(64, 0)))
    // All room is free again.
    expect(jobs.known(ZERO, 0)).toBeLessThan(last)
    jobs.run()
  })

  it('are right in any number, as memory grows', () => {
    const fresh = HashJobs.of((data) => sha256(data))
    const copy = new Uint8Array(32 * 3_000)
    for (let i = 0; i < 3_000; i++) {
      const leaf = fresh.leaf(bytes(64, i), 0)
      fresh.copyTo(copy, 32 * i, i % 2 === 0 ? leaf : fresh.node(i & 0xff, leaf, leaf))
    }
    fresh.run()
    for (let i = 0; i < 3_000; i++) {
      const leaf = leafHash(bytes(64, i))
      expect(copy.slice(32 * i, 32 * i + 32)).toEqual(i % 2 === 0 ? leaf : nodeHash(leaf, leaf))
    }
  })

  it('are made as many at once as the hasher takes, in memory that grows when it is full', () => {
    class Counting extends PlainPairs {
      readonly counts: number[] = []
      readonly lengths: number[] = []

      override run(tag: Uint8Array, count: number): void {
        this.counts.push(count)
        super.run(tag, count)
      }

      override grow(length: number): void {
        this.lengths.push(length)
        super.grow(length)
      }
    }
    const pairs = new Counting(sha256)
    const places = pairs.bytes.length / 32
    const atOnce = pairs.jobs.length / 3
    const fresh = HashJobs.of(Object.assign((data: Uint8Array) => sha256(data), { pairs }))
    // The empty subtree has a place, each leaf three.
    for (let i = 0; i < (places - 1) / 3; i++) fresh.leaf(bytes(64, i), 0)
    expect(pairs.lengths).toEqual([])
    fresh.known(ZERO, 0)
    expect(pairs.lengths).toEqual([2 * (places + 1) * 32])
    fresh.run()
    expect(pairs.counts).toEqual([(places - 1) / 3])
    for (let i = 0; i < 2 * atOnce + 7; i++) fresh.node(5, EMPTY, EMPTY)
    fresh.run()
    expect(pairs.counts.slice(1)).toEqual([atOnce, atOnce, 7])
  })
})

it('an empty subtree has the hash of 32 zeros', () => {
  expect(fromText(ZERO_TEXT)).toEqual(ZERO)
})
