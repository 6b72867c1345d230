/** The search by WebAssembly against a plain loop over node's own SHA-256: same lowest nonce, on any range and target. */
import { createHash, randomBytes } from 'node:crypto'
import { createHashSearch, createPowSearch, createWasmSearch, maxNonce, meetsTarget } from '@kvchain/node/miner/powWasm'
import { assert, describe, expect, it } from 'vitest'

const wasm = createWasmSearch()
assert(wasm !== undefined, 'this machine has WebAssembly SIMD')
const plain = createHashSearch()
const both = [wasm, plain]

const easiest = new Uint8Array(32).fill(0xff)
const impossible = new Uint8Array(32)
const lowWords = 2 ** 32

/** A target that about one hash in 2^bits meets, its lower bytes random. */
function targetOf(bits: number): Uint8Array {
  const target = randomBytes(32)
  target.writeUInt32BE(Math.floor(2 ** (32 - bits)) - 1, 0)
  return target
}

function hashOf(commitment: Uint8Array, nonce: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(nonce))
  return createHash('sha256').update(commitment).update(bytes).digest()
}

/** The definition, written once more: the test's own oracle for small ranges. */
function lowestByDefinition(commitment: Uint8Array, target: Uint8Array, start: number, count: number) {
  const bound = BigInt(`0x${Buffer.from(target).toString('hex')}`)
  for (let nonce = start; nonce < start + count; nonce++) {
    if (BigInt(`0x${hashOf(commitment, nonce).toString('hex')}`) <= bound) return nonce
  }
  return undefined
}

function expectSame(commitment: Uint8Array, target: Uint8Array, start: number, count: number): number | undefined {
  const expected = plain.search(commitment, target, start, count)
  expect(wasm?.search(commitment, target, start, count)).toBe(expected)
  return expected
}

it('prefers WebAssembly', () => {
  expect(createPowSearch().kind).toBe('wasm')
})

describe.each(both.map((search) => ({ kind: search.kind, search })))('search by $kind', ({ search }) => {
  it('agrees with the definition', () => {
    for (let i = 0; i < 300; i++) {
      const commitment = randomBytes(32)
      const start = Math.floor(Math.random() * 2 ** (1 + (i % 52)))
      const target = targetOf(i % 9)
      const count = i % 41
      expect(search.search(commitment, target, start, count)).toBe(lowestByDefinition(commitment, target, start, count))
    }
  })

  it('finds nothing in an empty range', () => {
    expect(search.search(randomBytes(32), easiest, 5, 0)).toBeUndefined()
  })

  it('takes the first nonce when every hash will do', () => {
    for (const start of [0, 1, 2, 3, 7, lowWords - 1, lowWords, maxNonce]) {
      expect(search.search(randomBytes(32), easiest, start, 1)).toBe(start)
    }
  })

  it('exhausts a range that holds none', () => {
    for (const count of [1, 2, 3, 4, 5, 1000, 1003]) {
      expect(search.search(randomBytes(32), impossible, 0, count)).toBeUndefined()
    }
  })

  it('searches up to the largest nonce and not past it', () => {
    expect(search.search(randomBytes(32), impossible, maxNonce - 9, 10)).toBeUndefined()
    expect(() => search.search(randomBytes(32), impossible, maxNonce - 9, 11)).toThrow()
  })

  it('takes a hash that equals the target and refuses one above it', () => {
    for (let i = 0; i < 20; i++) {
      const commitment = randomBytes(32)
      const start = 1000 * i
      const nonce = start + (i % 7)
      // The lowest hash of the range and the number just below it.
      const hashes = Array.from({ length: 11 }, (_, k) => hashOf(commitment, start + k))
      const exact = hashes.reduce((a, b) => (a.compare(b) < 0 ? a : b))
      const below = Buffer.from((BigInt(`0x${exact.toString('hex')}`) - 1n).toString(16).padStart(64, '0'), 'hex')
      expect(search.search(commitment, exact, start, 11)).toBe(start + hashes.indexOf(exact))
      expect(search.search(commitment, below, start, 11)).toBeUndefined()
      expect(meetsTarget(commitment, nonce, hashOf(commitment, nonce))).toBe(true)
    }
  })

  it('refuses what is not a range', () => {
    const commitment = randomBytes(32)
    for (const [start, count] of [
      [-1, 1],
      [0.5, 1],
      [0, -1],
      [0, 1.5],
      [Number.NaN, 1],
      [maxNonce + 1, 1],
    ] as const) {
      expect(() => search.search(commitment, easiest, start, count)).toThrow()
    }
    expect(() => search.search(commitment.subarray(1), easiest, 0, 1)).toThrow()
    expect(() => search.search(commitment, easiest.subarray(1), 0, 1)).toThrow()
  })
})

describe('WebAssembly against the plain loop', () => {
  it('finds the same nonce for random commitments, targets and ranges', () => {
    let found = 0
    for (let i = 0; i < 400; i++) {
      const start = Math.floor(Math.random() * 2 ** (i % 53))
      const count = Math.floor(Math.random() * 2 ** (i % 14))
      if (expectSame(randomBytes(32), targetOf(i % 18), start, count) !== undefined) found++
    }
    expect(found).toBeGreaterThan(20)
  })

  it('goes on where the low word of the nonce wraps', () => {
    for (let i = 0; i < 60; i++) {
      const boundary = lowWords * (1 + Math.floor(Math.random() * 2 ** 20))
      const before = i % 10
      const commitment = randomBytes(32)
      expectSame(commitment, targetOf(i % 12), boundary - before, 4000)
      // Only a nonce on one side of the boundary will do.
      for (const nonce of [boundary - 1, boundary, boundary + 1]) {
        const exact = hashOf(commitment, nonce)
        expect(wasm.search(commitment, exact, nonce, 1)).toBe(nonce)
        expectSame(commitment, exact, boundary - before - 1, before + 3)
      }
    }
  })

  it('compares the whole hash, not its first word', () => {
    let checked = 0
    for (let i = 0; i < 200; i++) {
      const commitment = randomBytes(32)
      const nonce = 4 * i + (i % 4)
      // The first word is met and the rest decides.
      const target = Buffer.concat([hashOf(commitment, nonce).subarray(0, 4), i % 2 === 0 ? easiest : impossible], 32)
      if (expectSame(commitment, target, nonce - (i % 3), 1 + (i % 3)) !== nonce) checked++
    }
    expect(checked).toBeGreaterThan(50)
  })

  it('gives the lowest of all the valid nonces', () => {
    const commitment = randomBytes(32)
    const target = targetOf(6)
    const valid = Array.from({ length: 5000 }, (_, nonce) => nonce).filter((n) => meetsTarget(commitment, n, target))
    const seen: number[] = []
    for (let next = 0; next < 5000; ) {
      const nonce = wasm.search(commitment, target, next, 5000 - next)
      if (nonce === undefined) break
      seen.push(nonce)
      next = nonce + 1
    }
    expect(seen).toEqual(valid)
  })

  it('keeps nothing from one search to the next', () => {
    const inputs = Array.from({ length: 30 }, (_, i) => ({ commitment: randomBytes(32), target: targetOf(i % 10) }))
    const run = () => inputs.map(({ commitment, target }) => wasm.search(commitment, target, lowWords - 50, 3000))
    const first = run()
    expect(run()).toEqual(first)
  })

  it('leaves its inputs as they were', () => {
    const commitment = randomBytes(32)
    const copy = Uint8Array.from(commitment)
    wasm.search(commitment, targetOf(4), 0, 1000)
    expect(Uint8Array.from(commitment)).toEqual(copy)
  })

  it('finds the same in a long search as the plain loop', () => {
    const commitment = randomBytes(32)
    expectSame(commitment, targetOf(19), 12_345, 1_500_001)
  })
})
