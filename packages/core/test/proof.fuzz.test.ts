/**
 * A forged or mutated proof never verifies: 10,000 tries, 1,000,000 with KVCHAIN_LONG=1.
 *
 * Plan: take an honest proof, spoil its bytes (bits, bytes, cuts, swaps) or its parts (key, height, siblings, terminal, records, values,
 * headers; parts of two proofs put together), and hand it to the verifier, which trusts the one genesis. Whatever it accepts must be true of
 * the chain: a part of a proof that is a proof itself, such as one with fewer blocks on top. And it fails by a ProofError, or not at all.
 */
import { equalBytes, toHex } from '@kvchain/core/bytes'
import { encodeEntry } from '@kvchain/core/entry'
import { HEADER_BYTES, headerHash } from '@kvchain/core/header'
import { type ProofReport, verifyProofFile } from '@kvchain/core/proof'
import { decodeProofFile, encodeProofFile, ProofError, type ProofRecord } from '@kvchain/core/proofFile'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes32, type Mutation, mutate, mutation } from './arbitraries.js'
import { sha256 } from './helpers.js'
import { chain, forges, honest, trust } from './proofForges.js'

const LONG = process.env.KVCHAIN_LONG === '1'
const TRIES = LONG ? 1_000_000 : 10_000
const TIMEOUT_MS = LONG ? 3_600_000 : 120_000

/** Whether a report says nothing that is not so. */
function isTrue(report: ProofReport): boolean {
  const { key, block, tip, records, entry } = report
  const versions = chain.versionsAt(key, block.height)
  const last = versions.at(-1)
  const claim = last === undefined ? 'absent' : last.deleted ? 'deleted' : 'present'
  const told = report.kind === 'history' ? versions : versions.slice(-1)
  const own = chain.headers[block.height]
  // The newest block may have come out as another one with work of its own; whatever lies below may not.
  const isOwn = own !== undefined && (block.height === tip.height || equalBytes(block.hash, headerHash(sha256, own)))
  return (
    isOwn &&
    report.claim === claim &&
    (entry === undefined
      ? last === undefined
      : last !== undefined && equalBytes(encodeEntry(entry), encodeEntry(last))) &&
    records.length === told.length &&
    records.every((record, i) => isSame(record, chain.recordOf(told[i])))
  )
}

function isSame(found: ProofRecord, expected: ProofRecord | undefined): boolean {
  if (expected === undefined || !equalBytes(encodeEntry(found.entry), encodeEntry(expected.entry))) return false
  return found.value === undefined || (expected.value !== undefined && equalBytes(found.value, expected.value))
}

/** What the verifier makes of it: the report, or undefined when it refuses. */
function judge(bytes: Uint8Array): ProofReport | undefined {
  try {
    return verifyProofFile(sha256, bytes, trust)
  } catch (error) {
    if (error instanceof ProofError) return undefined
    throw error
  }
}

/** Refuses what is false; counts what is true all the same. */
class Tally {
  refused = 0
  accepted = 0

  count(bytes: Uint8Array, original: Uint8Array): void {
    if (equalBytes(bytes, original)) return
    const report = judge(bytes)
    if (report === undefined) {
      this.refused++
      return
    }
    if (!isTrue(report)) expect.fail(`accepted, and not true: ${toHex(bytes)}`)
    this.accepted++
  }
}

/** By its number, so that a counterexample can be read. */
const one = fc.nat(honest.length - 1)

function proofOf(n: number): (typeof honest)[number] {
  return honest[n] ?? expect.fail('no such proof')
}

describe('a forged or mutated proof never verifies', () => {
  it('by any bit', () => {
    // Every single bit of a claim; of its headers, and of a history, one in so many.
    const tally = new Tally()
    for (const [which, step] of [
      [0, 1],
      [7, LONG ? 1 : 7],
    ] as const) {
      const { bytes, parts } = proofOf(which)
      const claimBits = 8 * (bytes.length - parts.headers.length * HEADER_BYTES)
      for (let bit = 0; bit < 8 * bytes.length; bit += bit < claimBits ? step : 11 * step) {
        const at = bit >> 3
        tally.count(bytes.with(at, (bytes[at] ?? 0) ^ (0x80 >> (bit & 7))), bytes)
      }
    }
    expect(tally.refused).toBeGreaterThan(5_000)
    expect(tally.accepted).toBeLessThan(2)
  })

  it(
    'by its bytes',
    () => {
      const tally = new Tally()
      const changes: fc.Arbitrary<Mutation[]> = fc.array(mutation, { minLength: 1, maxLength: 3 })
      const property = fc.property(one, changes, (which, list) => {
        const { bytes } = proofOf(which)
        tally.count(list.reduce(mutate, bytes), bytes)
      })
      fc.assert(property, { numRuns: TRIES / 2 })
      expect(tally.refused).toBeGreaterThan(0.9 * (TRIES / 2))
      expect(tally.accepted).toBeLessThan(10)
    },
    TIMEOUT_MS,
  )

  it(
    'by its parts',
    () => {
      const tally = new Tally()
      const names = Object.keys(forges)
      const refusedBy = new Map<string, number>()
      const steps = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 2 })
      const property = fc.property(
        one,
        one,
        steps,
        fc.nat(),
        fc.nat(),
        bytes32,
        (which, second, chosen, n, m, noise) => {
          const [proof, other] = [proofOf(which), proofOf(second)]
          const parts = chosen.reduce((so, name) => forges[name]?.(so, other.parts, n, m, noise) ?? so, proof.parts)
          const before = tally.refused
          tally.count(encodeProofFile(sha256, parts.claim, parts.headers), proof.bytes)
          if (tally.refused > before) for (const name of chosen) refusedBy.set(name, (refusedBy.get(name) ?? 0) + 1)
        },
      )
      fc.assert(property, { numRuns: TRIES / 2 })
      expect(tally.refused).toBeGreaterThan(0.6 * (TRIES / 2))
      // What leaves something out can be true; every forge was refused at some time.
      expect([...refusedBy.keys()].sort()).toEqual(names.sort())
    },
    TIMEOUT_MS,
  )

  it(
    'by random bytes behind a proper beginning',
    () => {
      const tally = new Tally()
      const start = honest[0]?.bytes.subarray(0, 13) ?? new Uint8Array(0)
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 600 }), (noise) => {
          const bytes = new Uint8Array(start.length + noise.length)
          bytes.set(start)
          bytes.set(noise, start.length)
          tally.count(bytes, start)
        }),
        { numRuns: TRIES / 10 },
      )
      expect(tally.accepted).toBe(0)
    },
    TIMEOUT_MS,
  )
})

it('whatever is accepted is the one encoding of what was understood', () => {
  const changes = fc.array(mutation, { minLength: 1, maxLength: 2 })
  let decoded = 0
  fc.assert(
    fc.property(one, changes, (which, list) => {
      const spoilt = list.reduce(mutate, proofOf(which).bytes)
      try {
        const { headers, ...claim } = decodeProofFile(sha256, spoilt)
        const again = encodeProofFile(sha256, claim, [], headers.length / HEADER_BYTES)
        expect(equalBytes(again, spoilt.subarray(0, again.length))).toBe(true)
        expect(again.length + headers.length).toBe(spoilt.length)
        decoded++
      } catch (error) {
        if (!(error instanceof ProofError)) throw error
      }
    }),
    { numRuns: 3_000 },
  )
  expect(decoded).toBeGreaterThan(500)
})
