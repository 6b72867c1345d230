/**
 * Whether a proof file holds, and what it then proves. Owns every check and their order; pure, so that it runs wherever SHA-256 does, a
 * browser included. Knows no daemon and no clock: how old the newest block is, and how much work is enough, is for the reader to judge.
 * (docs/proofs.md)
 */
import { equalBytes, ZERO_32 } from './bytes.js'
import { BlockError, checkHeader } from './checks.js'
import { CodecError } from './codec.js'
import { nextTarget } from './difficulty.js'
import { type Entry, entryDigest, entryPath } from './entry.js'
import { assert } from './errors.js'
import { type Genesis, makeGenesis } from './genesis.js'
import type { Sha256 } from './hash.js'
import { decodeHeader, HEADER_BYTES, type Header } from './header.js'
import { NetworkError, type NetworkIdentity } from './params.js'
import { decodeParams } from './paramsBytes.js'
import { targetWork } from './pow.js'
import {
  decodeProofFile,
  malformed,
  ProofError,
  type ProofFile,
  type ProofKind,
  type ProofRecord,
} from './proofFile.js'
import { valueDigest } from './transaction.js'
import { verifyProof } from './treeProof.js'

/** Headers below the claim's block: as far as the rules on its own header look back, which is to parent and grandparent. */
export const PROOF_CONTEXT_HEADERS = 2

/** The height of the first header in a proof. */
export function firstProofHeight(height: number, fromGenesis: boolean): number {
  return fromGenesis ? 1 : Math.max(1, height - PROOF_CONTEXT_HEADERS)
}

/** A block of the proof's chain. */
export interface ProvenBlock {
  readonly height: number
  readonly hash: Uint8Array
  readonly timestampMs: number
}

/** What a proof that holds proves. */
export interface ProofReport {
  readonly kind: ProofKind
  /** The name that the network gives itself. Anybody may call a network anything: `genesis` is what identifies it. */
  readonly network: string
  readonly genesis: Uint8Array
  readonly addressPrefix: string
  readonly key: Uint8Array
  readonly claim: 'present' | 'deleted' | 'absent'
  /** Undefined when absent. */
  readonly entry: Entry | undefined
  /** Undefined when there is none, or when the proof does not bring it: `entry` has its digest then. */
  readonly value: Uint8Array | undefined
  /** Of kind history: every version up to the claim's block, oldest first. Of kind entry: the one of `entry`, if any. */
  readonly records: readonly ProofRecord[]
  /** The block whose state the claim is about. */
  readonly block: ProvenBlock
  /** The newest block that the prover knew. */
  readonly tip: ProvenBlock
  /** Blocks from the claim's up to the tip, both counted. */
  readonly confirmations: number
  /** Expected hashes for those blocks: what it takes to make another chain in their place. */
  readonly work: bigint
  /** Whether the headers begin at genesis. If not, where the chain below the first of them comes from is not shown. */
  readonly fullChain: boolean
  /** Expected hashes from genesis up to the tip, when the whole chain is there. */
  readonly chainwork: bigint | undefined
}

export interface ProofTrust {
  /** The genesis hash of the network that the reader trusts. Without it the reader must compare the report's. */
  readonly expectedGenesis?: Uint8Array
}

/** Checks a proof file from its first byte to its last. Throws ProofError when it does not hold. */
export function verifyProofFile(sha256: Sha256, bytes: Uint8Array, trust: ProofTrust = {}): ProofReport {
  const file = decodeProofFile(sha256, bytes)
  const network = readNetwork(file.parameters)
  const genesis = makeGenesis(sha256, network)
  const { expectedGenesis } = trust
  if (expectedGenesis !== undefined && !equalBytes(genesis.hash, expectedGenesis)) {
    throw new ProofError('proof-genesis', `a proof of another network, which calls itself ${network.name}`)
  }
  const chain = checkChain(sha256, file, network, genesis)
  const entry = checkClaim(sha256, file, chain.stateRoot)
  return {
    kind: file.kind,
    network: network.name,
    genesis: genesis.hash,
    addressPrefix: network.params.addressPrefix,
    key: file.key,
    claim: entry === undefined ? 'absent' : entry.deleted ? 'deleted' : 'present',
    entry,
    value: file.records.at(-1)?.value,
    records: file.records,
    block: chain.block,
    tip: chain.tip,
    confirmations: chain.tip.height - file.height + 1,
    work: chain.work,
    fullChain: chain.chainwork !== undefined,
    chainwork: chain.chainwork,
  }
}

function readNetwork(parameters: Uint8Array): NetworkIdentity {
  try {
    return decodeParams(parameters)
  } catch (error) {
    if (!(error instanceof CodecError) && !(error instanceof NetworkError)) throw error
    throw new ProofError('proof-network', `not the parameters of a network: ${error.message}`, error.data, error)
  }
}

// --- headers ---------------------------------------------------------------------------------------------------------

interface ProvenChain {
  readonly block: ProvenBlock
  readonly stateRoot: Uint8Array
  readonly tip: ProvenBlock
  readonly work: bigint
  /** Undefined unless the headers begin at genesis. */
  readonly chainwork: bigint | undefined
}

function checkChain(sha256: Sha256, file: ProofFile, network: NetworkIdentity, genesis: Genesis): ProvenChain {
  const { height, headers } = file
  const count = headers.length / HEADER_BYTES
  const first = count === 0 ? 1 : readHeight(headers)
  const last = first + count - 1
  if (first !== 1 && first !== firstProofHeight(height, false)) throw rangeError(height, first, last)
  if (height > last) throw rangeError(height, first, last)
  const fullChain = first === 1
  const start = { header: genesis.header, hash: genesis.hash }
  const walk = new HeaderWalk(sha256, network, fullChain ? start : undefined)
  let claimed = fullChain && height === 0 ? start : undefined
  let work = claimed === undefined ? 0n : targetWork(genesis.header.target)
  let chainwork = targetWork(genesis.header.target)
  for (let i = 0; i < count; i++) {
    const step = walk.next(headers.subarray(i * HEADER_BYTES, (i + 1) * HEADER_BYTES), first + i)
    if (step.header.height === height) claimed = step
    if (step.header.height >= height) work += step.work
    chainwork += step.work
  }
  const { block: tip } = walk
  assert(claimed !== undefined && tip !== undefined, 'a claim within the range of the headers is met on the way')
  return {
    block: placeOf(claimed),
    stateRoot: claimed.header.stateRoot,
    tip: placeOf(tip),
    work,
    chainwork: fullChain ? chainwork : undefined,
  }
}

function rangeError(height: number, first: number, last: number): ProofError {
  const message = `headers from height ${first} to ${last} do not fit a claim at height ${height}`
  return new ProofError('proof-range', message, { height, first, last })
}

function placeOf({ header, hash }: CheckedHeader): ProvenBlock {
  return { height: header.height, hash, timestampMs: header.timestampMs }
}

function readHeight(headers: Uint8Array): number {
  return readHeader(headers.subarray(0, HEADER_BYTES)).height
}

function readHeader(bytes: Uint8Array): Header {
  try {
    return decodeHeader(bytes)
  } catch (error) {
    if (error instanceof CodecError) throw malformed(error)
    throw error
  }
}

interface CheckedHeader {
  readonly header: Header
  readonly hash: Uint8Array
}

/** Checks headers one after the other. Holds no more of the chain than the rules look back. */
class HeaderWalk {
  /** The last one that was checked. */
  block: CheckedHeader | undefined
  private grandparent: Header | undefined
  private lastTarget: Uint8Array = ZERO_32
  private lastWork = 0n

  constructor(
    private readonly sha256: Sha256,
    private readonly network: NetworkIdentity,
    genesis: CheckedHeader | undefined,
  ) {
    this.block = genesis
  }

  next(bytes: Uint8Array, height: number): CheckedHeader & { readonly work: bigint } {
    const header = readHeader(bytes)
    const parent = this.block
    if (header.height !== height) {
      throw new ProofError('proof-height', `a header of height ${header.height} where ${height} is due`, { height })
    }
    if (parent !== undefined && !equalBytes(header.parent, parent.hash)) {
      throw new ProofError('proof-link', `the block at height ${height} is not the child of the one before it`, {
        height,
      })
    }
    const hash = this.checkWork(header)
    if (parent !== undefined) this.checkContext(header, parent.header)
    this.remember(header, hash)
    return { header, hash, work: this.workOf(header.target) }
  }

  /** Rules 5.1 and 5.2. */
  private checkWork(header: Header): Uint8Array {
    try {
      return checkHeader(this.network.params, this.sha256, header)
    } catch (error) {
      if (!(error instanceof BlockError)) throw error
      const code = error.code === 'block-pow' ? 'proof-work' : 'proof-target'
      throw new ProofError(code, `height ${header.height}: ${error.message}`, error.data, error)
    }
  }

  /** Rules 5.4 and 5.5, as far as what they look back to is there. */
  private checkContext(header: Header, parent: Header): void {
    const { height } = header
    if (this.grandparent !== undefined || parent.height === 0) {
      const target = nextTarget(this.network.params, parent, this.grandparent)
      if (!equalBytes(header.target, target)) {
        throw new ProofError('proof-target', `height ${height}: the target is not the one that the rule gives`, {
          height,
        })
      }
    }
    if (header.timestampMs <= parent.timestampMs) {
      throw new ProofError('proof-time', `height ${height}: the timestamp is not above the parent's`, { height })
    }
  }

  private remember(header: Header, hash: Uint8Array): void {
    this.grandparent = this.block?.header
    this.block = { header, hash }
  }

  /** Targets often stay: a division of big integers costs as much as the hashes. */
  private workOf(target: Uint8Array): bigint {
    if (!equalBytes(target, this.lastTarget)) {
      this.lastTarget = target
      this.lastWork = targetWork(target)
    }
    return this.lastWork
  }
}

// --- the claim -------------------------------------------------------------------------------------------------------

/** What the tree holds under the key, checked against what the file says. Undefined when it holds nothing. */
function checkClaim(sha256: Sha256, file: ProofFile, stateRoot: Uint8Array): Entry | undefined {
  const verdict = verifyProof(sha256, stateRoot, entryPath(sha256, file.key), file.path)
  if (verdict.kind === 'invalid') {
    throw new ProofError('proof-tree', 'the tree path does not lead to the state root of the block')
  }
  const entry = file.records.at(-1)?.entry
  const claimed = entry && entryDigest(sha256, entry)
  const shown = verdict.kind === 'present' ? verdict.digest : undefined
  if (claimed === undefined || shown === undefined ? claimed !== shown : !equalBytes(claimed, shown)) {
    throw new ProofError('proof-claim', 'the state holds something else under the key than the proof says')
  }
  for (const record of file.records) checkRecord(sha256, file, record)
  if (file.kind === 'history') checkVersions(sha256, file.records)
  return entry
}

/** What execution makes of every entry (protocol.md sections 6 and 8). */
function checkRecord(sha256: Sha256, { key, height }: ProofFile, { entry, value }: ProofRecord): void {
  const { version } = entry
  if (!equalBytes(entry.key, key)) throw new ProofError('proof-entry', 'an entry of another key', { version })
  const isFirst = equalBytes(entry.previous, ZERO_32)
  const isEmpty = entry.valueLength === 0 && equalBytes(entry.valueDigest, ZERO_32)
  const isPossible = version >= 1 && isFirst === (version === 1) && (!entry.deleted || (isEmpty && !isFirst))
  if (!isPossible || entry.height < 1 || entry.height > height) {
    throw new ProofError('proof-entry', 'an entry that no transaction up to that height can have made', { version })
  }
  if (value !== undefined && !equalBytes(valueDigest(sha256, value), entry.valueDigest)) {
    throw new ProofError('proof-value', 'the value is not the one that the entry names', { version })
  }
}

/** 8.5: versions from 1 on, each naming the one before, none made before it. */
function checkVersions(sha256: Sha256, records: readonly ProofRecord[]): void {
  let before: Entry | undefined
  for (const { entry } of records) {
    const { version } = entry
    const isNext =
      before === undefined
        ? version === 1
        : version === before.version + 1 &&
          entry.height >= before.height &&
          equalBytes(entry.previous, entryDigest(sha256, before))
    if (!isNext)
      throw new ProofError('proof-history', 'the versions are not an unbroken chain from version 1', { version })
    before = entry
  }
}
