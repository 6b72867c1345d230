/**
 * Golden proof files (vectors/proofs.json), which make_proofs.py wrote from the pages in docs/: what holds, and what it proves; what does not, and
 * by which code. The code under test never writes them.
 */
import { equalBytes, toHex } from '@kvchain/core/bytes'
import { decodeHeader, HEADER_BYTES } from '@kvchain/core/header'
import { verifyProofFile } from '@kvchain/core/proof'
import { decodeProofFile, encodeProofFile, PROOF_ERROR_CODES } from '@kvchain/core/proofFile'
import { describe, expect, it } from 'vitest'
import { hex, readVectors, sha256, thrownBy } from './helpers.js'

interface ProofVectors {
  readonly genesisHash: string
  readonly proofs: readonly { name: string; bytes: string; report: Readonly<Record<string, unknown>> }[]
  readonly bad: readonly { name: string; bytes: string; code: string }[]
}

const vectors = readVectors<ProofVectors>('proofs')
const trust = { expectedGenesis: hex(vectors.genesisHash) }

describe('a golden proof', () => {
  it.each(vectors.proofs)('$name', ({ bytes, report: expected }) => {
    const report = verifyProofFile(sha256, hex(bytes), trust)
    const { entry, value, block, tip, chainwork } = report
    expect({
      kind: report.kind,
      network: report.network,
      genesis: toHex(report.genesis),
      key: toHex(report.key),
      claim: report.claim,
      version: entry?.version ?? null,
      value: value === undefined ? null : toHex(value),
      height: block.height,
      blockHash: toHex(block.hash),
      tipHeight: tip.height,
      tipHash: toHex(tip.hash),
      tipTimestampMs: tip.timestampMs,
      confirmations: report.confirmations,
      work: report.work.toString(),
      chainwork: chainwork?.toString() ?? null,
      versions: report.records.length,
    }).toEqual(expected)
  })

  it.each(vectors.proofs)('$name: written by this code it is the same', ({ bytes }) => {
    const { headers, ...claim } = decodeProofFile(sha256, hex(bytes))
    const list = Array.from({ length: headers.length / HEADER_BYTES }, (_, i) =>
      decodeHeader(headers.subarray(i * HEADER_BYTES, (i + 1) * HEADER_BYTES)),
    )
    expect(equalBytes(encodeProofFile(sha256, claim, list), hex(bytes))).toBe(true)
  })
})

describe('a golden failure', () => {
  it.each(vectors.bad)('$name: $code', ({ bytes, code }) => {
    expect(thrownBy(() => verifyProofFile(sha256, hex(bytes), trust)).code).toBe(code)
  })

  it('has every code', () => {
    expect(new Set(vectors.bad.map(({ code }) => code))).toEqual(new Set(PROOF_ERROR_CODES))
  })
})
