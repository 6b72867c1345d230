/**
 * A forged or mutated proof never verifies: 10,000 tries, 1,000,000 with KVCHAIN_LONG=1.
 *
 * Plan: take an honest proof, spoil its bytes (bits, bytes, cuts, swaps) or its parts (key, height, siblings, terminal, records, values,
 * headers; parts of two proofs put together), and hand it to the verifier, which trusts the one genesis. Whatever it accepts must be true of
 * the chain: a part of a proof that is a proof itself, such as one with fewer blocks on top. And it fails by a ProofError, or not at all.
 */
import { equalBytes, toHex } from '@kvchain/core/bytes'
import { encodeEntry } from '@kvchain/core/entry'
import { decodeHeader, HEADER_BYTES, type Header, headerHash } from '@kvchain/core/header'
import { type ProofReport, verifyProofFile } from '@kvchain/core/proof'
import {
  decodeProofFile,
  encodeProofFile,
  type ProofClaim,
  ProofError,
  type ProofRecord,
} from '@kvchain/core/proofFile'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes32, type Mutation, mutate, mutation } from './arbitraries.js'
import { sha256, text } from './helpers.js'
import { tellStory, workNetwork } from './proofChain.js'

const LONG = process.env.KVCHAIN_LONG === '1'
const TRIES = LONG ? 1_000_000 : 10_000
const TIMEOUT_MS = LONG ? 3_600_000 : 120_000

/** 2^17 hashes a block: a spoilt header has its work by chance once in so many tries, and then it is work. */
const chain = tellStory(workNetwork(17))
const trust = { expectedGenesis: chain.genesis.hash }

interface Parts {
  readonly claim: ProofClaim
  readonly headers: readonly Header[]
}

const honest: readonly { readonly bytes: Uint8Array; readonly parts: Parts }[] = [
  ['k', 20, {}],
  ['k', 31, {}],
  ['k', 8, {}],
  ['gone', 18, {}],
  ['never', 25, {}],
  ['late', 14, {}],
  ['other', 36, {}],
  ['k', 33, { kind: 'history' }],
  ['k', 9, { kind: 'history', values: false }],
  ['never', 21, { kind: 'history' }],
  ['k', 30, { fromGenesis: true }],
  ['k', 0, {}],
].map(([key, height, way]) => {
  const bytes = chain.prove(key as string, height as number, way as object)
  return { bytes, parts: partsOf(bytes) }
})

function partsOf(bytes: Uint8Array): Parts {
  const { headers, ...claim } = decodeProofFile(sha256, bytes)
  const count = headers.length / HEADER_BYTES
  const one = (i: number) => decodeHeader(headers.subarray(i * HEADER_BYTES, (i + 1) * HEADER_BYTES))
  return { claim, headers: Array.from({ length: count }, (_, i) => one(i)) }
}

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

type Forge = (parts: Parts, other: Parts, n: number, m: number, noise: Uint8Array) => Parts

function withClaim({ claim, headers }: Parts, changes: Partial<ProofClaim>): Parts {
  return { claim: { ...claim, ...changes }, headers }
}

function at<T>(list: readonly T[], n: number): number {
  return list.length === 0 ? 0 : n % list.length
}

function swapped<T>(list: readonly T[], n: number, m: number): readonly T[] {
  const [i, j] = [at(list, n), at(list, m)]
  const [a, b] = [list[i], list[j]]
  return a === undefined || b === undefined ? list : list.with(i, b).with(j, a)
}

function withRecord(parts: Parts, n: number, change: (record: ProofRecord) => ProofRecord): Parts {
  const { records } = parts.claim
  const record = records[at(records, n)]
  return record === undefined ? parts : withClaim(parts, { records: records.with(at(records, n), change(record)) })
}

function withHeader(parts: Parts, n: number, change: (header: Header) => Header): Parts {
  const header = parts.headers[at(parts.headers, n)]
  return header === undefined ? parts : { ...parts, headers: parts.headers.with(at(parts.headers, n), change(header)) }
}

const keys = ['k', 'gone', 'late', 'other', 'never', 'list/3', 'K'].map(text)

const forges: Record<string, Forge> = {
  'another key': (parts, _, n) => withClaim(parts, { key: keys[at(keys, n)] ?? text('k') }),
  'another height': (parts, _, n) => withClaim(parts, { height: n % 40 }),
  'the other kind': (parts) => withClaim(parts, { kind: parts.claim.kind === 'entry' ? 'history' : 'entry' }),
  'siblings swapped': (parts, _, n, m) => {
    const { path } = parts.claim
    return withClaim(parts, { path: { ...path, siblings: swapped(path.siblings, n, m) } })
  },
  'a sibling replaced': (parts, _, n, __, noise) => {
    const { path } = parts.claim
    return withClaim(parts, {
      path: { ...path, siblings: path.siblings.map((sibling, i) => (i === at(path.siblings, n) ? noise : sibling)) },
    })
  },
  'siblings cut': (parts, _, n) => {
    const { path } = parts.claim
    return withClaim(parts, { path: { ...path, siblings: path.siblings.slice(at(path.siblings, n)) } })
  },
  'another terminal': (parts, other) => {
    return withClaim(parts, { path: { ...parts.claim.path, terminal: other.claim.path.terminal } })
  },
  'no terminal, nothing claimed': (parts) => {
    return withClaim(parts, { path: { ...parts.claim.path, terminal: { kind: 'empty' } }, records: [] })
  },
  'a leaf of its own making': (parts, _, __, ___, noise) => {
    const { path } = parts.claim
    return withClaim(parts, { path: { ...path, terminal: { kind: 'leaf', path: noise, digest: noise } } })
  },
  'the path of another proof': (parts, other) => withClaim(parts, { path: other.claim.path }),
  'the records of another proof': (parts, other) => withClaim(parts, { records: other.claim.records }),
  'the claim of another proof': ({ headers }, other) => ({ claim: other.claim, headers }),
  'the claim of another proof at its own height': ({ claim, headers }, other) => {
    return { claim: { ...other.claim, height: claim.height }, headers }
  },
  'a record dropped': (parts, _, n) => {
    const { records } = parts.claim
    return withClaim(parts, { records: records.toSpliced(at(records, n), 1) })
  },
  'records swapped': (parts, _, n, m) => withClaim(parts, { records: swapped(parts.claim.records, n, m) }),
  'another value': (parts, _, n, m, noise) =>
    withRecord(parts, n, (record) => ({
      ...record,
      value: record.value && noise.subarray(0, Math.min(record.value.length, 1 + (m % 32))),
    })),
  'another value and its digest': (parts, _, n, __, noise) =>
    withRecord(parts, n, ({ entry }) => ({
      entry: { ...entry, valueLength: 32, valueDigest: sha256(noise) },
      value: noise,
    })),
  'a value left out': (parts, _, n) => withRecord(parts, n, ({ entry }) => ({ entry, value: undefined })),
  'another owner': (parts, _, n, __, noise) =>
    withRecord(parts, n, ({ entry, value }) => ({ entry: { ...entry, owner: noise }, value })),
  'another version': (parts, _, n, m) =>
    withRecord(parts, n, ({ entry, value }) => ({ entry: { ...entry, version: m % 10 }, value })),
  'another height of a version': (parts, _, n, m) =>
    withRecord(parts, n, ({ entry, value }) => ({ entry: { ...entry, height: m % 40 }, value })),
  'a header dropped': ({ claim, headers }, _, n) => ({ claim, headers: headers.toSpliced(at(headers, n), 1) }),
  'headers swapped': ({ claim, headers }, _, n, m) => ({ claim, headers: swapped(headers, n, m) }),
  'headers cut at the top': ({ claim, headers }, _, n) => ({ claim, headers: headers.slice(0, at(headers, n)) }),
  'headers cut at the bottom': ({ claim, headers }, _, n) => ({ claim, headers: headers.slice(at(headers, n)) }),
  'the headers of another proof': ({ claim }, { headers }) => ({ claim, headers }),
  'another state root': (parts, _, n, __, noise) => withHeader(parts, n, (header) => ({ ...header, stateRoot: noise })),
  'another parent': (parts, _, n, __, noise) => withHeader(parts, n, (header) => ({ ...header, parent: noise })),
  'another nonce': (parts, _, n, m) => withHeader(parts, n, (header) => ({ ...header, nonce: m })),
  'an easier target': (parts, _, n) =>
    withHeader(parts, n, (header) => ({ ...header, target: chain.network.params.easiestTarget })),
  'an earlier timestamp': (parts, _, n, m) => withHeader(parts, n, (header) => ({ ...header, timestampMs: m })),
  'two blocks as one chain': ({ claim, headers }, _, n) => {
    return { claim, headers: headers.map((header) => ({ ...header, height: header.height + (n % 3) - 1 })) }
  },
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
