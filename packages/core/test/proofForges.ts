/**
 * Honest proofs of one chain, taken apart, and the ways in which their parts are forged and their bytes spoilt. Owns no expectation: whether a
 * forgery is refused, and with which code, is for the tests that use it.
 */
import { decodeHeader, HEADER_BYTES, type Header } from '@kvchain/core/header'
import { decodeProofFile, type ProofClaim, type ProofRecord } from '@kvchain/core/proofFile'
import { sha256, text } from './helpers.js'
import { tellStory, workNetwork } from './proofChain.js'

/** 2^17 hashes a block: a spoilt header has its work by chance once in so many tries, and then it is work. */
export const chain = tellStory(workNetwork(17))
export const trust = { expectedGenesis: chain.genesis.hash }

export interface Parts {
  readonly claim: ProofClaim
  readonly headers: readonly Header[]
}

export const honest: readonly { readonly bytes: Uint8Array; readonly parts: Parts }[] = [
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

export function partsOf(bytes: Uint8Array): Parts {
  const { headers, ...claim } = decodeProofFile(sha256, bytes)
  const count = headers.length / HEADER_BYTES
  const one = (i: number) => decodeHeader(headers.subarray(i * HEADER_BYTES, (i + 1) * HEADER_BYTES))
  return { claim, headers: Array.from({ length: count }, (_, i) => one(i)) }
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

export const forges: Record<string, Forge> = {
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
    return {
      claim,
      headers: headers.map((header) => ({ ...header, height: Math.max(0, header.height + (n % 3) - 1) })),
    }
  },
}
