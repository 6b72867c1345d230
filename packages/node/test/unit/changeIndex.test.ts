/**
 * The index of changes, against a Map; and the hash that it looks for keys by.
 *
 * 1. Whatever is put, removed and put again, in batches of any size: the last change of each key is found, no other key is, and each is handed over
 *    once, in the order in which the keys first came. The same when keys collide, all of them or some.
 * 2. Keys that begin alike, that begin one another, and empty values are told apart.
 * 3. The hash tells apart what differs in one byte, in length or in order; keys made to collide under one draw do not under another.
 */
import { fromUtf8, toHex } from '@kvchain/core/bytes'
import { MAX_KEY_BYTES } from '@kvchain/core/limits'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { Batch } from '@kvchain/node/store/batch'
import { ChangeIndex } from '@kvchain/node/store/changeIndex'
import { hashKey, type KeyHash, keyHashFrom } from '@kvchain/node/store/keyHash'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

type Step = readonly [key: Uint8Array, value: Uint8Array | undefined]

function batchOf(steps: readonly Step[]): Batch {
  const batch = new Batch()
  for (const [key, value] of steps) {
    if (value === undefined) batch.delete(key)
    else batch.putBare(key, value)
  }
  return batch
}

/** What a Map of the same changes holds: values in hexadecimal, `gone` for a removal. */
function expected(batches: readonly (readonly Step[])[]): [string, string][] {
  const map = new Map<string, string>()
  for (const [key, value] of batches.flat()) map.set(toHex(key), value === undefined ? 'gone' : toHex(value))
  return [...map]
}

function handedOver(index: ChangeIndex): [string, string][] {
  const changes: [string, string][] = []
  index.replay({
    put: (key, value) => changes.push([toHex(key), toHex(value)]),
    del: (key) => changes.push([toHex(key), 'gone']),
  })
  return changes
}

function found(index: ChangeIndex, key: Uint8Array): string | undefined {
  const change = index.find(key)
  return change && (change.value === undefined ? 'gone' : toHex(change.value))
}

function indexOf(batches: readonly (readonly Step[])[], hash?: KeyHash): ChangeIndex {
  const index = new ChangeIndex(hash)
  for (const steps of batches) index.add(batchOf(steps))
  return index
}

const numbered = (n: number) => fromUtf8(`key ${n}`)

const HASHES: readonly (readonly [string, KeyHash])[] = [
  ['that of the process', hashKey],
  ['one that is always the same', () => 0],
  ['the highest bit set', () => -1],
  ['the length alone', (_, from, to) => to - from],
  ['the length in the upper bits', (_, from, to) => (to - from) << 28],
]

describe.each(HASHES)('hash: %s', (_, hash) => {
  // Few letters, so that keys come again and begin one another.
  const key = fc
    .array(fc.constantFrom(0, 1, 255), { minLength: 1, maxLength: 4 })
    .map((bytes) => Uint8Array.from(bytes))
  const value = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined })
  const batches = fc.array(fc.array(fc.tuple(key, value), { maxLength: 40 }), { maxLength: 8 })

  test('like a Map', () => {
    fc.assert(
      fc.property(batches, fc.array(key), (steps, others) => {
        const index = indexOf(steps, hash)
        const changes = new Map(expected(steps))
        expect(index.count).toBe(changes.size)
        expect(handedOver(index)).toEqual([...changes])
        for (const any of [...others, ...steps.flat().map(([changed]) => changed)]) {
          expect(found(index, any)).toBe(changes.get(toHex(any)))
        }
      }),
    )
  })

  test('grows', () => {
    const steps = Array.from({ length: 40 }, (_, n) =>
      Array.from({ length: 50 }, (_, i): Step => {
        const number = 40 * n + i
        return [numbered(number), number % 7 === 0 ? undefined : fromUtf8(`${n}`)]
      }),
    )
    const index = indexOf(steps, hash)
    expect(handedOver(index)).toEqual(expected(steps))
    for (const [key, value] of expected(steps)) expect(found(index, Buffer.from(key, 'hex'))).toBe(value)
    expect(found(index, numbered(99_999))).toBeUndefined()
  })
})

test('values longer than a stretch of the batch, and none', () => {
  const values = [0, 1, 1023, 1024, 5000, 300_000, 0, 7].map((length, n) => new Uint8Array(length).fill(n))
  const steps = values.map((value, n): Step => [numbered(n), value])
  const index = indexOf([steps.slice(0, 4), steps.slice(4), [[numbered(5), new Uint8Array(0)]]])
  for (const [n, value] of values.entries()) expect(found(index, numbered(n))).toBe(n === 5 ? '' : toHex(value))
})

test('seals come along', () => {
  const index = new ChangeIndex()
  index.add(new Batch().put(numbered(1), fromUtf8('content')))
  expect(index.find(numbered(1))?.value?.length).toBe('content'.length + 8)
})

describe('the hash', () => {
  const hashOf = (key: Uint8Array, hash = hashKey) => hash(key, 0, key.length) >>> 0

  test('is of the bytes, wherever they lie', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), fc.uint8Array(), (before, key, after) => {
        const all = Uint8Array.from([...before, ...key, ...after])
        expect(hashKey(all, before.length, before.length + key.length) >>> 0).toBe(hashOf(key))
      }),
    )
  })

  /** As of a process, but the same in each run. */
  function drawn(seed: number): KeyHash {
    const bytes = Array.from({ length: 65 }, (_, n) => [...sha256(Uint8Array.of(seed, n))]).flat()
    return keyHashFrom(new Int32Array(Uint8Array.from(bytes).buffer))
  }

  test.each([1, 2, 3, 4])('tells keys apart that are alike: draw %i', (seed) => {
    const hash = drawn(seed)
    const keys = [
      ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
      ...Array.from({ length: MAX_KEY_BYTES }, (_, length) => new Uint8Array(length + 2)),
      ...Array.from({ length: MAX_KEY_BYTES }, (_, at) => new Uint8Array(MAX_KEY_BYTES + 1).fill(1, at + 1, at + 2)),
      ...Array.from({ length: 3000 }, (_, n) => numbered(n)),
    ]
    expect(new Set(keys.map((key) => hashOf(key, hash))).size).toBe(keys.length)
  })

  test('what collides under one draw does not under another', () => {
    const [one, other] = [drawn(1), drawn(2)]
    const chain = (key: Uint8Array, hash: KeyHash) => hashOf(key, hash) >>> 24
    const keys = Array.from({ length: 65_536 }, (_, n) => Uint8Array.of(n >> 8, n & 255, 3, 5))
    const chosen = keys.filter((key) => chain(key, one) === 0)
    expect(chosen.length).toBeGreaterThan(100)
    expect(new Set(chosen.map((key) => chain(key, other))).size).toBeGreaterThan(100)
  })
})
