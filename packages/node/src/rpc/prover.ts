/**
 * Makes proof files of what this daemon knows. Owns at which height a claim is made when nobody says, what goes into the file, its bounds, and
 * that everything in it is of one branch; not the format (core), and not how an older state is reached (chain).
 */
import { MAX_HEADERS } from '@kvchain/client/contract/proof'
import { equalBytes } from '@kvchain/core/bytes'
import { type Entry, encodeEntry, entryDigest, entryPath } from '@kvchain/core/entry'
import { HEADER_BYTES, type Header } from '@kvchain/core/header'
import { encodeParams, type NetworkIdentity } from '@kvchain/core/params'
import { firstProofHeight } from '@kvchain/core/proof'
import {
  encodeProofFile,
  MAX_PROOF_HEADERS,
  type ProofClaim,
  type ProofKind,
  type ProofRecord,
} from '@kvchain/core/proofFile'
import type { TreeProof } from '@kvchain/core/treeProof'
import type { Chain } from '../chain/chain.js'
import { entryAt } from '../chain/entryAt.js'
import { ancestorAt, type ChainNode } from '../chain/headerTree.js'
import { provePathAt, TreeAtError, type TreeAtOptions } from '../chain/treeAt.js'
import { sha256 } from '../crypto/sodium.js'
import { AbortError } from '../runtime/errors.js'
import { Mutex } from '../runtime/mutex.js'
import type { Timers } from '../runtime/runtime.js'
import { AnswerError, chainChanged } from './answers.js'

export interface ProofRequest {
  readonly key: Uint8Array
  readonly kind: ProofKind
  /** Undefined: the newest height whose answer is the present one and is settled, or as near to settled as there is. */
  readonly height: number | undefined
  readonly withValues: boolean
  readonly fromGenesis: boolean
}

/** A proof file, its beginning at least. */
export interface MadeProof {
  readonly bytes: Uint8Array
  readonly entry: Entry | undefined
  readonly block: ChainNode
  readonly tip: ChainNode
  /** Of the whole file. */
  readonly size: number
  /** The headers that the bytes lack. */
  readonly missing: { readonly from: number; readonly count: number } | undefined
}

export interface ProverDeps {
  readonly chain: Chain
  readonly timers: Timers
  readonly network: NetworkIdentity
  readonly settleDepth: number
  readonly treeAt?: TreeAtOptions
  /** Headers that an answer brings along; the caller fetches the others. Default 16,384. */
  readonly maxHeaders?: number
}

/** Versions and their values: with the headers, within the bound of an answer. */
const MAX_RECORDS_BYTES = 8 << 20
/** Versions between two looks at the event loop: some 5 ms of reading and checking. */
const PAGE = 200
/** Callers that may wait for their proofs. One is made at a time. */
const MAX_WAITING = 64
/** Reorgs that one proof outlives. */
const MAX_TRIES = 5

export class Prover {
  private readonly mutex = new Mutex('the queue of proofs', MAX_WAITING)
  private readonly parameters: Uint8Array

  constructor(private readonly deps: ProverDeps) {
    this.parameters = encodeParams(deps.network.name, deps.network.params)
  }

  prove(request: ProofRequest, signal: AbortSignal): Promise<MadeProof> {
    return this.mutex.run(async () => {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const made = await this.tryToProve(request, signal)
        if (made !== undefined) return made
      }
      throw chainChanged()
    })
  }

  /** Undefined when the chain changed its mind meanwhile. */
  private async tryToProve(request: ProofRequest, signal: AbortSignal): Promise<MadeProof | undefined> {
    const { chain } = this.deps
    const { key, kind } = request
    await chain.consistent()
    const block = this.blockFor(request)
    if (block === undefined) return undefined
    const { height } = block.header
    const path = await this.path(key, block, signal)
    const records = path && (await this.records(request, height, signal))
    if (path === undefined || records === undefined || !fits(path, key, records.at(-1)?.entry)) return undefined
    await chain.consistent()
    if (!chain.isMain(block)) return undefined
    return this.assemble({ kind, parameters: this.parameters, key, height, path, records }, block, request.fromGenesis)
  }

  private blockFor({ key, height }: ProofRequest): ChainNode | undefined {
    const { chain, settleDepth } = this.deps
    const tip = chain.tip.header.height
    if (height !== undefined && height > tip) throw noSuchHeight(height, tip)
    const written = chain.store.entry(key)?.height ?? 0
    return chain.nodeAt(height ?? Math.max(written, tip - settleDepth + 1, 0))
  }

  private async path(key: Uint8Array, block: ChainNode, signal: AbortSignal): Promise<TreeProof | undefined> {
    const { chain, timers, treeAt: options } = this.deps
    try {
      const deps = { chain, timers, signal, ...(options === undefined ? {} : { options }) }
      return await provePathAt(entryPath(sha256, key), block, deps)
    } catch (error) {
      if (!(error instanceof TreeAtError)) throw error
      if (error.code === 'tree-reorged') return undefined
      const advice = 'the history of the key, proven nearer to the tip, shows what it held at every height'
      throw new AnswerError('refused', `${error.message}; ${advice}`, { ...error.data, rule: 'proof-depth' })
    }
  }

  /** What the file says of the key, oldest first. Undefined when versions went while they were read. */
  private async records(
    request: ProofRequest,
    height: number,
    signal: AbortSignal,
  ): Promise<ProofRecord[] | undefined> {
    const { chain, timers } = this.deps
    const { store } = chain
    const { key, kind, withValues } = request
    const latest = await entryAt(store, key, height)
    if (latest === undefined) return []
    const records: ProofRecord[] = []
    let bytes = 0
    const add = (entry: Entry) => {
      const value = this.valueOf(entry, withValues)
      bytes += encodeEntry(entry).length + (value?.length ?? 0)
      if (bytes > MAX_RECORDS_BYTES) throw historyTooLarge(latest.version)
      records.push({ entry, value })
    }
    add(latest)
    for (let before = latest.version; kind === 'history' && before > 1; ) {
      const page = await store.versions(key, before, PAGE)
      if (page.length === 0) return undefined
      for (const entry of page) add(entry)
      before = page.at(-1)?.version ?? 0
      await timers.yield()
      if (signal.aborted) throw new AbortError('a proof')
    }
    return records.reverse()
  }

  private valueOf(entry: Entry, withValues: boolean): Uint8Array | undefined {
    if (entry.deleted) return undefined
    if (entry.valueLength === 0) return new Uint8Array(0)
    return withValues ? this.deps.chain.store.value(entry.valueDigest) : undefined
  }

  private assemble(claim: ProofClaim, block: ChainNode, fromGenesis: boolean): MadeProof {
    const { tip } = this.deps.chain
    const first = firstProofHeight(claim.height, fromGenesis)
    const count = tip.header.height - first + 1
    if (count > MAX_PROOF_HEADERS) {
      const message = `a proof has at most ${MAX_PROOF_HEADERS} headers, this one would have ${count}`
      throw new AnswerError('refused', message, { rule: 'proof-size', headers: count })
    }
    const headers = headersFrom(this.deps.chain, tip, first, Math.min(count, this.deps.maxHeaders ?? MAX_HEADERS))
    const bytes = encodeProofFile(sha256, claim, headers, count)
    const left = count - headers.length
    return {
      bytes,
      entry: claim.records.at(-1)?.entry,
      block,
      tip,
      size: bytes.length + left * HEADER_BYTES,
      missing: left === 0 ? undefined : { from: first + headers.length, count: left },
    }
  }
}

/** Headers of the chain that ends in `tip`, from a height on, lowest first; fewer when it ends before. */
export function headersFrom(chain: Chain, tip: ChainNode, from: number, count: number): Header[] {
  const last = Math.min(from + count - 1, tip.header.height)
  const headers: Header[] = []
  let node = chain.isMain(tip) ? chain.nodeAt(last) : ancestorAt(tip, last)
  for (; node !== undefined && node.header.height >= from; node = node.parent) headers.push(node.header)
  return headers.reverse()
}

export function noSuchHeight(height: number, tip: number): AnswerError {
  return new AnswerError('not-found', `there is no block at height ${height} yet: the tip is at ${tip}`, {
    height: tip,
  })
}

/** Whether the version records say what the tree says. */
function fits({ terminal }: TreeProof, key: Uint8Array, entry: Entry | undefined): boolean {
  const isThere = terminal.kind === 'leaf' && equalBytes(terminal.path, entryPath(sha256, key))
  return isThere ? entry !== undefined && equalBytes(terminal.digest, entryDigest(sha256, entry)) : entry === undefined
}

function historyTooLarge(versions: number): AnswerError {
  const message = `a history of ${versions} versions is more than a proof holds (${MAX_RECORDS_BYTES} bytes): leave the values out, or prove it at a lower height`
  return new AnswerError('refused', message, { rule: 'proof-size', versions })
}
