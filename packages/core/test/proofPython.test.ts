/**
 * The verifier in Python (vectors/verify_proof.py), which was written from the pages in docs/ and shares no line with this code, says the same of
 * every file: that it holds, and what it proves; or that it does not, and by which code. Skipped where there is no python3.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { toHex } from '@kvchain/core/bytes'
import { type ProofReport, verifyProofFile } from '@kvchain/core/proof'
import { encodeProofFile, PROOF_ERROR_CODES, ProofError } from '@kvchain/core/proofFile'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bytes32, mutate, mutation } from './arbitraries.js'
import { sha256 } from './helpers.js'
import { chain, forges, honest, trust } from './proofForges.js'

const script = fileURLToPath(new URL('./vectors/verify_proof.py', import.meta.url))
const hasPython = spawnSync('python3', ['--version']).status === 0

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvchain-proofs-'))
})

afterAll(() => rmSync(folder, { recursive: true }))

function pythonSays(files: readonly Uint8Array[]): unknown[] {
  const names = files.map((bytes, i) => {
    const name = join(folder, `${i}.proof`)
    writeFileSync(name, bytes)
    return name
  })
  const args = [script, '--genesis', toHex(trust.expectedGenesis), ...names]
  const { stdout, stderr } = spawnSync('python3', args, { encoding: 'utf8', maxBuffer: 1 << 28 })
  expect(stderr).toBe('')
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const { file: _, text: __, ...said } = JSON.parse(line)
      return said
    })
}

/** What this code says, in the same words. */
function weSay(bytes: Uint8Array): unknown {
  try {
    return factsOf(verifyProofFile(sha256, bytes, trust))
  } catch (error) {
    if (error instanceof ProofError) return { holds: false, code: error.code }
    throw error
  }
}

function factsOf(report: ProofReport): unknown {
  const { entry, value, block, tip, chainwork } = report
  return {
    holds: true,
    kind: report.kind,
    network: report.network,
    genesis: toHex(report.genesis),
    key: toHex(report.key),
    claim: report.claim,
    version: entry?.version ?? null,
    value: value === undefined ? null : toHex(value),
    valueDigest: entry === undefined ? null : toHex(entry.valueDigest),
    txid: entry === undefined ? null : toHex(entry.txid),
    height: block.height,
    blockHash: toHex(block.hash),
    tip: { height: tip.height, hash: toHex(tip.hash), timestampMs: tip.timestampMs },
    confirmations: report.confirmations,
    work: report.work.toString(),
    chainwork: chainwork?.toString() ?? null,
    versions: report.records.length,
  }
}

function expectAgreement(files: readonly Uint8Array[]): Set<string> {
  const codes = new Set<string>()
  for (const [i, said] of pythonSays(files).entries()) {
    const ours = weSay(files[i] ?? expect.fail('a file for each line'))
    expect({ i, said }).toEqual({ i, said: ours })
    if (typeof ours === 'object' && ours !== null && 'code' in ours) codes.add(String(ours.code))
  }
  return codes
}

describe.skipIf(!hasPython)('the verifier in Python', () => {
  it('finds the same in every honest proof', () => {
    const more = ['k', 'gone', 'late', 'never', 'list/7'].flatMap((key) =>
      [0, 1, 3, 4, 7, 12, 36].map((height) => chain.prove(key, height, { kind: height % 2 ? 'history' : 'entry' })),
    )
    const codes = expectAgreement([...honest.map(({ bytes }) => bytes), ...more, chain.prove('k', 0, { tip: 0 })])
    expect(codes.size).toBe(0)
  })

  it('refuses forged parts by the same codes', () => {
    const names = Object.keys(forges)
    const one = fc.tuple(
      fc.constantFrom(...honest),
      fc.constantFrom(...honest),
      fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 2 }),
      fc.nat(),
      fc.nat(),
      bytes32,
    )
    const files = fc.sample(one, { numRuns: 1_500, seed: 62 }).map(([proof, other, chosen, n, m, noise]) => {
      const parts = chosen.reduce((so, name) => forges[name]?.(so, other.parts, n, m, noise) ?? so, proof.parts)
      return encodeProofFile(sha256, parts.claim, parts.headers)
    })
    const codes = expectAgreement(files)
    expect(codes.size).toBeGreaterThan(9)
  })

  it('refuses spoilt bytes by the same codes', () => {
    const one = fc.tuple(fc.constantFrom(...honest), fc.array(mutation, { minLength: 1, maxLength: 3 }))
    const files = fc
      .sample(one, { numRuns: 1_500, seed: 63 })
      .map(([{ bytes }, changes]) => changes.reduce(mutate, bytes))
    const codes = expectAgreement(files)
    // Spoilt claims alone: every bit of the first 400 bytes of one proof.
    const [first] = honest
    const bits = Array.from({ length: 3_200 }, (_, bit) => {
      const bytes = first?.bytes ?? new Uint8Array(0)
      return bytes.with(bit >> 3, (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7)))
    })
    for (const code of expectAgreement(bits)) codes.add(code)
    expect(codes.size).toBeGreaterThan(7)
    for (const code of codes) expect(PROOF_ERROR_CODES).toContain(code)
  })

  it('has a command line', () => {
    expect(spawnSync('python3', [script]).status).toBe(2)
    const file = join(folder, 'one.proof')
    writeFileSync(file, honest[0]?.bytes ?? new Uint8Array(0))
    expect(JSON.parse(execFileSync('python3', [script, file], { encoding: 'utf8' }))).toMatchObject({ holds: true })
    writeFileSync(file, 'no proof')
    expect(spawnSync('python3', [script, file]).status).toBe(1)
  })
})
