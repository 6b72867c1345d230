/**
 * Proof files: what holds and what it reports, then every way in which a proof fails.
 *
 * 1. a proof of each kind, of a key that is present, deleted, never written, at the tip and below, from genesis and from two headers below;
 * 2. the table of codes: each is produced, the table is exhaustive; more ways to the same codes;
 * 3. what no rule can see is documented by a test: a chain of little work, of a network that is not the reader's.
 */
import { concatBytes, equalBytes, toHex, ZERO_32 } from '@kvchain/core/bytes'
import { CodecError, encodeWith, type Writer } from '@kvchain/core/codec'
import { type Entry, encodeEntry, entryDigest, entryPath } from '@kvchain/core/entry'
import { HEADER_BYTES, type Header, headerHash } from '@kvchain/core/header'
import { encodeParams } from '@kvchain/core/params'
import { targetWork } from '@kvchain/core/pow'
import { firstProofHeight, PROOF_CONTEXT_HEADERS, verifyProofFile } from '@kvchain/core/proof'
import {
  decodeProofFile,
  encodeProofFile,
  PROOF_ERROR_CODES,
  type ProofClaim,
  ProofError,
  type ProofErrorCode,
} from '@kvchain/core/proofFile'
import { StateTree } from '@kvchain/core/tree'
import { encodeProof } from '@kvchain/core/treeProof'
import { describe, expect, it } from 'vitest'
import { codeOf, hex, sha256, text, thrownBy } from './helpers.js'
import { type ProveOptions, solve, tellStory, workNetwork } from './proofChain.js'

const network = workNetwork(10)
const chain = tellStory(network)
const { genesis, height: tip } = chain
const trust = { expectedGenesis: genesis.hash }

function verify(bytes: Uint8Array) {
  return verifyProofFile(sha256, bytes, trust)
}

function workOf(from: number, to: number): bigint {
  return chain.headers.slice(from, to + 1).reduce((sum, header) => sum + targetWork(header.target), 0n)
}

describe('a proof that holds', () => {
  const cases: [string, number, string, number | undefined, string | undefined][] = [
    ['k', 0, 'absent', undefined, undefined],
    ['k', 1, 'present', 1, 'one'],
    ['k', 3, 'present', 1, 'one'],
    ['k', 4, 'present', 2, 'two'],
    ['k', 6, 'present', 3, ''],
    ['k', 7, 'deleted', 4, undefined],
    ['k', 8, 'deleted', 4, undefined],
    ['k', 9, 'present', 6, 'four'],
    ['k', 10, 'present', 7, 'four'],
    ['k', 30, 'present', 8, 'five'],
    ['k', tip, 'present', 8, 'five'],
    ['gone', 4, 'present', 1, 'x'],
    ['gone', tip, 'deleted', 2, undefined],
    ['late', 14, 'absent', undefined, undefined],
    ['late', 15, 'present', 1, 'riser'],
    ['never', tip, 'absent', undefined, undefined],
    ['never', 20, 'absent', undefined, undefined],
    ['other', 31, 'present', 1, 'o'.repeat(300)],
  ]
  const ways: ProveOptions[] = [{}, { fromGenesis: true }, { kind: 'history' }, { kind: 'history', fromGenesis: true }]

  it.each(cases)('%s at height %d: %s, version %s', (key, height, claim, version, value) => {
    for (const way of ways) {
      const report = verify(chain.prove(key, height, way))
      const fullChain = way.fromGenesis === true || height <= PROOF_CONTEXT_HEADERS + 1
      expect(report).toMatchObject({
        kind: way.kind ?? 'entry',
        network: 'test',
        genesis: genesis.hash,
        addressPrefix: 'kvt',
        key: text(key),
        claim,
        value: value === undefined ? undefined : text(value),
        block: { height, hash: headerHash(sha256, chain.headerAt(height)) },
        tip: { height: tip, timestampMs: chain.headerAt(tip).timestampMs },
        confirmations: tip - height + 1,
        work: workOf(height, tip),
        fullChain,
        chainwork: fullChain ? workOf(0, tip) : undefined,
      })
      expect(report.entry?.version).toBe(version)
      const versions = report.records.map(({ entry }) => entry.version)
      const all = Array.from({ length: version ?? 0 }, (_, i) => i + 1)
      expect(versions).toEqual(way.kind === 'history' ? all : all.slice(-1))
      expect(report.records.at(-1)?.entry).toEqual(report.entry)
    }
  })

  it('holds without values, and with the tip that its prover knew', () => {
    const bare = verify(chain.prove('k', 9, { kind: 'history', values: false }))
    expect(bare.records.map(({ value }) => value && toHex(value))).toEqual([
      undefined,
      undefined,
      '',
      undefined,
      undefined,
      undefined,
    ])
    for (const known of [15, 16, 20, 35]) {
      const report = verify(chain.prove('late', 15, { tip: known }))
      expect(report).toMatchObject({ confirmations: known - 14, work: workOf(15, known), tip: { height: known } })
    }
  })

  it('holds at genesis, alone or with blocks on top', () => {
    const alone = verify(chain.prove('k', 0, { tip: 0 }))
    expect(alone).toMatchObject({ claim: 'absent', confirmations: 1, fullChain: true, tip: { height: 0 } })
    expect(alone.work).toBe(targetWork(genesis.header.target))
    expect(alone.chainwork).toBe(alone.work)
    expect(alone.block).toEqual(alone.tip)
  })

  it('has the genesis of its network as its identity, whoever checks it', () => {
    const bytes = chain.prove('k', 20)
    expect(verifyProofFile(sha256, bytes).genesis).toEqual(genesis.hash)
    expect(verifyProofFile(sha256, bytes, {}).network).toBe('test')
  })

  it('is one encoding of itself, and its beginning plus its other headers make it whole', () => {
    for (const way of ways) {
      const bytes = chain.prove('k', 25, way)
      const { headers, ...claim } = decodeProofFile(sha256, bytes)
      const all = chain.headersFor(25, way)
      expect(headers.length).toBe(all.length * HEADER_BYTES)
      expect(equalBytes(encodeProofFile(sha256, claim, all), bytes)).toBe(true)
      const start = encodeProofFile(sha256, claim, all.slice(0, 3), all.length)
      const rest = headers.subarray(3 * HEADER_BYTES)
      expect(equalBytes(concatBytes([start, rest]), bytes)).toBe(true)
      expect(codeOf(() => verify(start))).toBe('proof-malformed')
    }
  })

  it('begins with two headers below the claim, or at height 1', () => {
    expect([0, 1, 3, 4, 100].map((height) => firstProofHeight(height, false))).toEqual([1, 1, 1, 2, 98])
    expect(firstProofHeight(100, true)).toBe(1)
  })

  it('holds on every network file of the sort, a target that never moves included', () => {
    const fixed = tellStory(workNetwork(6, { targetRule: 'fixed', allocations: [] }))
    for (const way of ways) {
      const report = verifyProofFile(sha256, fixed.prove('k', 20, way), { expectedGenesis: fixed.genesis.hash })
      expect(report.work).toBe(17n * 64n)
    }
  })
})

// --- failures --------------------------------------------------------------------------------------------------------

const AT = 20
const FIRST = firstProofHeight(AT, false)
const good = chain.prove('k', AT)
const claim = chain.claim('k', AT)
const headers = chain.headersFor(AT)

/** The proof with another claim or other headers. */
function forged(changes: Partial<ProofClaim>, otherHeaders: readonly Header[] = headers): () => unknown {
  return () => verify(encodeProofFile(sha256, { ...claim, ...changes }, otherHeaders))
}

function patched(bytes: Uint8Array, offset: number, patch: Uint8Array): () => unknown {
  const copy = Uint8Array.from(bytes)
  copy.set(patch, offset)
  return () => verify(copy)
}

/** The proof with the newest header changed and its work done again. */
function retold(changes: Partial<Header>, target?: Uint8Array): () => unknown {
  const last = { ...chain.headerAt(tip), ...changes }
  return forged({}, [...headers.slice(0, -1), solve(last, target)])
}

/** A proof on a block whose miner put any entry he liked into the state: real work, and a lie. */
function liedAbout(entries: readonly Entry[], changes: Partial<ProofClaim> = {}): () => unknown {
  const entry = entries.at(-1)
  const path = entryPath(sha256, text('k'))
  const tree = StateTree.empty(sha256).update(entry === undefined ? [] : [{ path, digest: entryDigest(sha256, entry) }])
  const parent = chain.headerAt(tip)
  const lie = solve({
    ...parent,
    parent: headerHash(sha256, parent),
    height: tip + 1,
    timestampMs: parent.timestampMs + 2_000,
    target: chain.nextTarget(),
    stateRoot: tree.root,
  })
  const lying: ProofClaim = {
    ...claim,
    height: tip + 1,
    path: tree.prove(path),
    records: entries.map((one) => ({ entry: one, value: undefined })),
    ...changes,
  }
  return () => verify(encodeProofFile(sha256, lying, [...chain.headers.slice(firstProofHeight(tip + 1, false)), lie]))
}

const [first, second] = chain.versionsAt('k', 4)
if (first === undefined || second === undefined) expect.fail('two versions')
const record = claim.records[0] ?? expect.fail('a record')
const harder = (target: Uint8Array) => target.with(31, (target[31] ?? 0) ^ 1)

const every: Record<ProofErrorCode, (() => unknown)[]> = {
  'proof-magic': [
    () => verify(new Uint8Array(0)),
    () => verify(hex('6b7670726f6f66')),
    patched(good, 0, text('K')),
    patched(good, 7, hex('01')),
  ],
  'proof-version': [patched(good, 8, hex('00000002')), patched(good, 8, hex('00000000'))],
  'proof-malformed': [
    () => verify(good.subarray(0, 8)),
    () => verify(good.subarray(0, -1)),
    () => verify(concatBytes([good, hex('00')])),
    // Kind 0 and kind 3.
    patched(good, 12, hex('00')),
    patched(good, 12, hex('03')),
    // A key of no bytes.
    forged({ key: new Uint8Array(0) }),
    // More than one version where one is asked for.
    forged({ records: [record, record] }),
    // A value that is left out though it has no bytes, and one of a deleted entry.
    () => {
      const empty = chain.claim('k', 6)
      const records = empty.records.map(({ entry }) => ({ entry, value: undefined }))
      verify(encodeProofFile(sha256, { ...empty, records }, chain.headersFor(6)))
    },
    () => {
      const deleted = chain.claim('k', 7)
      const records = deleted.records.map(({ entry }) => ({ entry, value: new Uint8Array(0) }))
      verify(encodeProofFile(sha256, { ...deleted, records }, chain.headersFor(7)))
    },
    // A header of version 2; a first header that cannot be read.
    patched(good, good.length - HEADER_BYTES, hex('00000002')),
    patched(good, good.length - headers.length * HEADER_BYTES, hex('00000002')),
    // A nonce over 2^53 - 1.
    patched(good, good.length - 8, hex('0020000000000000')),
    // More headers than a proof may have, and one fewer than it says.
    () => verify(encodeProofFile(sha256, claim, [], (1 << 22) + 1)),
    () => verify(encodeProofFile(sha256, claim, headers, headers.length + 1)),
  ],
  'proof-network': [
    forged({ parameters: hex('00') }),
    forged({ parameters: encodeParams('Test', network.params) }),
    forged({ parameters: encodeParams('test', { ...network.params, blockIntervalMs: 0 }) }),
    forged({ parameters: encodeParams('test', { ...network.params, initialTarget: ZERO_32 }) }),
  ],
  'proof-genesis': [
    forged({ parameters: encodeParams('tset', network.params) }),
    forged({ parameters: encodeParams('test', { ...network.params, blockReward: 51 }) }),
    () => verifyProofFile(sha256, good, { expectedGenesis: ZERO_32 }),
  ],
  'proof-range': [
    // A header too few below the claim, one too many, one from genesis on too few.
    forged({}, headers.slice(1)),
    forged({}, chain.headers.slice(AT - PROOF_CONTEXT_HEADERS - 1)),
    forged({}, chain.headers.slice(2)),
    // A claim above the newest header; a height that is another's.
    forged({}, headers.slice(0, PROOF_CONTEXT_HEADERS)),
    forged({ height: AT + 1 }),
    forged({ height: tip + 1 }, chain.headers.slice(1)),
    forged({ height: 2 ** 32 - 1 }),
    // That comes before anything in the headers.
    forged({ height: tip + 1 }, [...chain.headers.slice(1, -1), unsolved(chain.headerAt(tip))]),
    forged({}, [unsolved(chain.headerAt(FIRST + 1)), ...headers.slice(2)]),
    // No headers at all.
    forged({}, []),
  ],
  'proof-height': [
    // Dropped, doubled, swapped.
    forged({}, headers.toSpliced(5, 1)),
    forged({}, headers.toSpliced(5, 0, chain.headerAt(AT))),
    forged({}, headers.with(23 - FIRST, chain.headerAt(24)).with(24 - FIRST, chain.headerAt(23))),
    retold({ height: tip + 1 }),
  ],
  'proof-link': [
    // A sibling in the middle: the block above is not its child.
    forged({}, headers.with(25 - FIRST, solve({ ...chain.headerAt(25), miner: ZERO_32 }))),
    retold({ parent: ZERO_32 }),
    // A chain from height 1 that stands on another genesis.
    () => {
      const other = tellStory(workNetwork(10, { blockReward: 7 }))
      const bytes = encodeProofFile(sha256, other.claim('k', 5), chain.headersFor(5, { fromGenesis: true }))
      verifyProofFile(sha256, bytes, { expectedGenesis: other.genesis.hash })
    },
    () => {
      const empty = { ...chain.claim('k', 0), parameters: encodeParams('tset', network.params) }
      verifyProofFile(sha256, encodeProofFile(sha256, empty, chain.headersFor(0)))
    },
  ],
  'proof-target': [
    // Easier than the rule, harder than the rule, and impossible on this network.
    retold({ target: network.params.easiestTarget }),
    retold({ target: harder(chain.headerAt(tip).target) }),
    retold({ target: new Uint8Array(32).fill(0xff) }),
    retold({ target: ZERO_32 }, network.params.easiestTarget),
    // The first header has nothing to be measured by but the easiest target.
    forged({}, [{ ...chain.headerAt(FIRST), target: new Uint8Array(32).fill(0xff) }, ...headers.slice(1)]),
    // The first block has the initial target.
    () => {
      const [one, ...more] = chain.headersFor(5, { fromGenesis: true })
      const easy = solve({ ...(one ?? expect.fail('a header')), target: network.params.easiestTarget })
      verify(encodeProofFile(sha256, chain.claim('k', 5), [easy, ...more]))
    },
  ],
  'proof-work': [
    forged({}, [...headers.slice(0, -1), unsolved(chain.headerAt(tip))]),
    forged({}, [unsolved(chain.headerAt(FIRST)), ...headers.slice(1)]),
  ],
  'proof-time': [
    retold({ timestampMs: chain.headerAt(tip - 1).timestampMs }),
    retold({ timestampMs: 0 }),
    // From genesis.
    () => {
      const early = chain.headersFor(2, { tip: 2 })
      const late = solve({ ...chain.headerAt(2), timestampMs: genesis.header.timestampMs })
      verify(encodeProofFile(sha256, chain.claim('k', 2), [...early.slice(0, -1), late]))
    },
  ],
  'proof-tree': [
    // The path of another height, of another key, with its siblings swapped, with one more or one less.
    forged({ path: chain.claim('k', 14).path }),
    forged({ path: chain.claim('other', AT).path }),
    forged({ key: text('j') }),
    forged({ path: { ...claim.path, siblings: claim.path.siblings.toReversed() } }),
    forged({ path: { ...claim.path, siblings: claim.path.siblings.slice(1) } }),
    forged({ path: { ...claim.path, siblings: [...claim.path.siblings, ZERO_32] } }),
    // Absence claimed of what is there.
    forged({ path: { ...claim.path, terminal: { kind: 'empty' } }, records: [] }),
  ],
  'proof-claim': [
    // An older version, one with a field changed, none; and one where there is none.
    forged({ records: [{ entry: first, value: text('one') }] }),
    forged({ records: [{ ...record, entry: { ...record.entry, owner: ZERO_32 } }] }),
    forged({ records: [] }),
    () =>
      verify(
        encodeProofFile(
          sha256,
          { ...chain.claim('late', 14), records: chain.claim('late', 15).records },
          chain.headersFor(14),
        ),
      ),
  ],
  'proof-entry': [
    liedAbout([{ ...first, key: text('j') }]),
    liedAbout([{ ...first, version: 0 }]),
    liedAbout([{ ...second, version: 0 }]),
    liedAbout([{ ...first, version: 2 }]),
    liedAbout([{ ...second, version: 1 }]),
    liedAbout([{ ...first, height: tip + 2 }]),
    liedAbout([{ ...first, height: 0 }]),
    liedAbout([{ ...second, deleted: true }]),
    liedAbout([{ ...second, deleted: true, valueLength: 0 }]),
    liedAbout([{ ...second, deleted: true, valueDigest: ZERO_32 }]),
    liedAbout([{ ...first, deleted: true, valueLength: 0, valueDigest: ZERO_32 }]),
  ],
  'proof-value': [
    forged({ records: [{ ...record, value: text('FOUR') }] }),
    () => {
      const history = chain.claim('k', AT, { kind: 'history' })
      const records = history.records.with(0, { entry: first, value: text('ONE') })
      verify(encodeProofFile(sha256, { ...history, records }, headers))
    },
  ],
  'proof-history': [
    // Its end alone, its beginning cut off, one dropped, two swapped, one doubled, one changed.
    ...[
      (records: ProofClaim['records']) => records.slice(-1),
      (records: ProofClaim['records']) => records.slice(1),
      (records: ProofClaim['records']) => records.toSpliced(2, 1),
      (records: ProofClaim['records']) => records.with(1, records[2] ?? record).with(2, records[1] ?? record),
      (records: ProofClaim['records']) => records.toSpliced(2, 0, records[2] ?? record),
      (records: ProofClaim['records']) => records.with(0, { entry: { ...first, owner: ZERO_32 }, value: undefined }),
    ].map((change) => () => {
      const history = chain.claim('k', AT, { kind: 'history' })
      verify(encodeProofFile(sha256, { ...history, records: change(history.records) }, headers))
    }),
    // A version said to be older than the one it replaced.
    () => {
      const [early, late] = [
        { ...first, height: 5 },
        { ...second, height: 4 },
      ]
      liedAbout([early, { ...late, previous: entryDigest(sha256, early) }], { kind: 'history' })()
    },
    // A version left out, and its digest with it.
    liedAbout([first, { ...second, version: 3, previous: entryDigest(sha256, first) }], { kind: 'history' }),
  ],
}

/** What an error says of the place where the proof fails. */
const place: Partial<Record<ProofErrorCode, readonly string[]>> = {
  'proof-version': ['version'],
  'proof-malformed': ['offset'],
  'proof-range': ['height', 'first', 'last'],
  'proof-height': ['height'],
  'proof-link': ['height'],
  'proof-target': ['height'],
  'proof-work': ['height'],
  'proof-time': ['height'],
  'proof-entry': ['version'],
  'proof-value': ['version'],
  'proof-history': ['version'],
}

/** With a nonce that does not meet the target. */
function unsolved(header: Header): Header {
  for (let nonce = 0; ; nonce++) {
    const tried = { ...header, nonce }
    if (headerHash(sha256, tried)[0] !== 0) return tried
  }
}

describe('a proof that does not hold', () => {
  it.each(PROOF_ERROR_CODES)('%s', (code) => {
    expect(every[code].length).toBeGreaterThan(0)
    for (const [i, produce] of every[code].entries()) {
      const error = thrownBy(produce)
      expect({ i, code: error.code }).toEqual({ i, code })
      expect(error).toBeInstanceOf(ProofError)
      expect(error.message).toMatch(/^\S[^\n]+[^\s:]$/)
      expect(Object.keys(error.data)).toEqual(expect.arrayContaining([...(place[code] ?? [])]))
    }
  })

  it('is told from a bug, wherever that shows', () => {
    const bug = new TypeError('a bug')
    let hashes = 0
    const counting = (data: Uint8Array) => {
      hashes++
      return sha256(data)
    }
    verifyProofFile(counting, good)
    for (let n = 0; n < hashes; n++) {
      let left = n
      const broken = (data: Uint8Array) => {
        if (left-- === 0) throw bug
        return sha256(data)
      }
      expect(() => verifyProofFile(broken, good)).toThrow(bug)
    }
  })

  it('has no other codes', () => {
    expect(Object.keys(every)).toEqual([...PROOF_ERROR_CODES])
  })

  it('holds when nothing was changed', () => {
    forged({})()
    retold({})()
    liedAbout([first])()
    liedAbout([])()
  })
})

describe('the bounds of the format', () => {
  /** The bytes of a proof file up to some field, which a test then writes as it likes. */
  function fileWith(write: (writer: Writer) => void): Uint8Array {
    return encodeWith((writer) => write(writer.fixed(good.subarray(0, 12))))
  }

  function upToPath(writer: Writer): Writer {
    return writer.u8(1).variable(claim.parameters).variable(claim.key).u32(AT)
  }

  function upToRecords(writer: Writer, kind: number): Writer {
    writer.u8(kind).variable(claim.parameters).variable(claim.key).u32(AT)
    return writer.variable(encodeProof(claim.path, entryPath(sha256, claim.key)))
  }

  /** What the codec says of it. */
  function causeOf(bytes: Uint8Array): string {
    const error = thrownBy(() => decodeProofFile(sha256, bytes))
    expect(error.code).toBe('proof-malformed')
    return error.cause instanceof CodecError ? error.cause.code : 'none'
  }

  const path = (length: number) => (writer: Writer) => upToPath(writer).variable(new Uint8Array(length))
  const records = (kind: number, count: number) => (writer: Writer) => upToRecords(writer, kind).u32(count)
  const entry = (length: number) => (writer: Writer) => upToRecords(writer, 1).u32(1).variable(new Uint8Array(length))
  const headersOf = (count: number) => (writer: Writer) => upToRecords(writer, 1).u32(0).u32(count)

  it.each<[string, (writer: Writer) => unknown, string]>([
    ['no parameters', (writer) => writer.u8(1).u32(0), 'codec-length'],
    ['400,178 bytes of parameters', (writer) => writer.u8(1).u32(400_178), 'codec-truncated'],
    ['400,179', (writer) => writer.u8(1).u32(400_179), 'codec-length'],
    ['a key of 512 bytes', (writer) => writer.u8(1).variable(claim.parameters).u32(512), 'codec-truncated'],
    ['of 513', (writer) => writer.u8(1).variable(claim.parameters).u32(513), 'codec-length'],
    ['a path of 2 bytes', path(2), 'codec-length'],
    ['of 8,292', path(8_292), 'codec-length'],
    ['one record of an entry', records(1, 1), 'codec-truncated'],
    ['two', records(1, 2), 'codec-length'],
    ['2^20 records of a history', records(2, 1 << 20), 'codec-truncated'],
    ['one more', records(2, (1 << 20) + 1), 'codec-length'],
    ['an entry of 150 bytes', entry(150), 'codec-length'],
    ['of 2,715', entry(2_715), 'codec-length'],
    ['a value flag of 2', (writer) => upToRecords(writer, 1).u32(1).variable(encodeEntry(first)).u8(2), 'codec-tag'],
    ['2^22 headers', headersOf(1 << 22), 'codec-truncated'],
    ['one more', headersOf((1 << 22) + 1), 'codec-length'],
  ])('%s', (_, write, code) => {
    expect(causeOf(fileWith(write))).toBe(code)
  })

  it('are as wide as the longest path, the longest entry and the shortest', () => {
    const siblings = Array.from({ length: 256 }, (_, i) => sha256(Uint8Array.of(i)))
    const longest: ProofClaim = {
      ...claim,
      path: { siblings, terminal: { kind: 'leaf', path: ZERO_32, digest: ZERO_32 } },
      records: [],
    }
    expect(decodeProofFile(sha256, encodeProofFile(sha256, longest, [])).path.siblings).toHaveLength(256)
    const shortest: ProofClaim = { ...longest, path: { siblings: [], terminal: { kind: 'empty' } } }
    expect(decodeProofFile(sha256, encodeProofFile(sha256, shortest, [])).path).toEqual(shortest.path)
    const writers = Array.from({ length: 64 }, (_, i) => new Uint8Array(32).fill(i))
    for (const own of [
      { ...first, key: new Uint8Array(512).fill(1), access: { kind: 'writers', writers } as const },
      { ...first, key: new Uint8Array(1) },
    ]) {
      const bytes = encodeProofFile(sha256, { ...claim, records: [{ entry: own, value: text('one') }] }, [])
      expect(decodeProofFile(sha256, bytes).records[0]?.entry).toEqual(own)
    }
  })

  it('let no value stand where there can be none', () => {
    const deleted = { ...first, deleted: true, valueLength: 5 }
    const bytes = encodeProofFile(sha256, { ...claim, records: [{ entry: deleted, value: text('value') }] }, [])
    expect(causeOf(bytes)).toBe('codec-tag')
    const bare = encodeProofFile(sha256, { ...claim, records: [{ entry: deleted, value: undefined }] }, [])
    expect(decodeProofFile(sha256, bare).records[0]?.value).toBeUndefined()
  })
})

describe('what a proof cannot show', () => {
  it('is that a miner told the truth: the state root is his word, and the work on it what the word costs', () => {
    const owner = sha256(text('somebody'))
    const report = liedAbout([{ ...first, owner }])() as ReturnType<typeof verify>
    expect(report.entry?.owner).toEqual(owner)
    expect(report).toMatchObject({ claim: 'present', confirmations: 1, fullChain: false })
    expect(report.work).toBe(targetWork(chain.nextTarget()))
  })

  it('is, without the chain from genesis, that its blocks are of this network at all', () => {
    const other = tellStory(workNetwork(10, { maxFutureMs: 1 }))
    const stolen = { ...other.claim('k', AT), parameters: claim.parameters }
    const report = verify(encodeProofFile(sha256, stolen, other.headersFor(AT)))
    expect(report).toMatchObject({ fullChain: false, genesis: genesis.hash })
    expect(codeOf(() => verify(encodeProofFile(sha256, stolen, other.headersFor(AT, { fromGenesis: true }))))).toBe(
      'proof-link',
    )
  })

  it('is that no longer chain is known: fewer headers make a proof of less', () => {
    const shorter = chain.prove('k', AT, { tip: AT })
    expect(verify(shorter)).toMatchObject({ confirmations: 1, work: workOf(AT, AT) })
  })
})
