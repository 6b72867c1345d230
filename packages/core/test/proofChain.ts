/**
 * A chain to prove things of, made in memory with real proof of work, and the honest prover. Owns no expectation. One story for all tests:
 * keys that are written, written again, deleted, handed over, opened; heights that pass with nothing; a target that moves.
 */
import { fromUtf8 } from '@kvchain/core/bytes'
import { nextTarget } from '@kvchain/core/difficulty'
import { type Entry, entryPath } from '@kvchain/core/entry'
import { assert } from '@kvchain/core/errors'
import { type Genesis, makeGenesis } from '@kvchain/core/genesis'
import type { Header } from '@kvchain/core/header'
import { headerCommitment, headerHash } from '@kvchain/core/header'
import { encodeParams, type Network, parseNetwork } from '@kvchain/core/params'
import { firstProofHeight } from '@kvchain/core/proof'
import { encodeProofFile, type ProofClaim, type ProofKind, type ProofRecord } from '@kvchain/core/proofFile'
import { treeChanges } from '@kvchain/core/state'
import type { StateTree } from '@kvchain/core/tree'
import { createPowSearch } from '@kvchain/node/miner/powWasm'
import {
  executeBlock,
  MapState,
  makeTransaction,
  type NetworkJson,
  networkJson,
  put,
  remove,
  type Step,
  setAccess,
  sha256,
  testAccount,
} from './helpers.js'

const search = createPowSearch()
const INTERVAL_MS = 2_000

/** The header with the first nonce that meets its target, or `target` when given. */
export function solve(header: Header, target: Uint8Array = header.target): Header {
  const nonce = search.search(headerCommitment(sha256, header), target, 0, 2 ** 40)
  assert(nonce !== undefined, 'there is a nonce')
  return { ...header, nonce }
}

/** A network file with some 2^bits hashes for each block. */
export function workNetworkJson(bits: number, consensus: Record<string, unknown> = {}): NetworkJson {
  const target = ((1n << BigInt(256 - bits)) - 1n).toString(16).padStart(64, '0')
  const easiest = ((1n << BigInt(258 - bits)) - 1n).toString(16).padStart(64, '0')
  return networkJson({
    targetRule: 'relative-exponential',
    initialTarget: target,
    easiestTarget: easiest,
    allocations: [],
    ...consensus,
  })
}

export function workNetwork(bits: number, consensus: Record<string, unknown> = {}): Network {
  return parseNetwork(workNetworkJson(bits, consensus))
}

export interface ProveOptions {
  readonly kind?: ProofKind
  readonly fromGenesis?: boolean
  readonly values?: boolean
  /** The tip that the prover knew; the chain's own when left out. */
  readonly tip?: number
}

export class ProofChain {
  readonly genesis: Genesis
  /** By height, genesis first. */
  readonly headers: Header[]
  private readonly trees: StateTree[]
  private readonly state = new MapState()
  private readonly versions: Entry[] = []
  private readonly values = new Map<string, Uint8Array>()
  private nonce = 0
  private readonly writer = testAccount('writer')

  constructor(readonly network: Network) {
    this.genesis = makeGenesis(sha256, network)
    this.headers = [this.genesis.header]
    this.trees = [this.genesis.tree]
  }

  get height(): number {
    return this.headers.length - 1
  }

  /** One block with one transaction for each list of steps. `solveMs` is how long it took. */
  mine(steps: readonly (readonly Step[])[] = [], solveMs: number = INTERVAL_MS): void {
    const parent = this.headerAt(this.height)
    const height = this.height + 1
    const transactions = steps.map((list) =>
      makeTransaction(this.writer, list, { nonce: this.nonce++, genesis: this.genesis.hash }),
    )
    for (const { operation, value } of steps.flat()) {
      if (operation.kind === 'put' && value !== undefined) this.values.set(operation.valueDigest.join(), value)
    }
    const miner = testAccount('miner').publicKey
    const { outcomes, changes } = executeBlock(this.state, this.network.params, { height, miner, transactions })
    assert(
      outcomes.every(({ code }) => code === 'ok'),
      'the story is told without a failure',
    )
    this.state.commit(changes)
    this.versions.push(...changes.versions)
    const tree = this.treeAt(height - 1).update(treeChanges(sha256, changes))
    this.trees.push(tree)
    const header = {
      parent: headerHash(sha256, parent),
      height,
      timestampMs: parent.timestampMs + solveMs,
      target: this.nextTarget(),
      txRoot: sha256(fromUtf8(`transactions of ${height}`)),
      stateRoot: tree.root,
      miner,
      nonce: 0,
    }
    this.headers.push(solve(header))
  }

  /** What the next block must carry. */
  nextTarget(): Uint8Array {
    return nextTarget(this.network.params, this.headerAt(this.height), this.headers[this.height - 1])
  }

  headerAt(height: number): Header {
    const header = this.headers[height]
    assert(header !== undefined, 'a block of that height')
    return header
  }

  /** The versions of a key up to a height, oldest first. */
  versionsAt(key: string | Uint8Array, height: number): Entry[] {
    const bytes = (typeof key === 'string' ? fromUtf8(key) : key).join()
    return this.versions.filter((entry) => entry.key.join() === bytes && entry.height <= height)
  }

  claim(key: string, height: number, { kind = 'entry', values = true }: ProveOptions = {}): ProofClaim {
    const versions = this.versionsAt(key, height)
    const chosen = kind === 'history' ? versions : versions.slice(-1)
    const path = entryPath(sha256, fromUtf8(key))
    return {
      kind,
      parameters: encodeParams(this.network.name, this.network.params),
      key: fromUtf8(key),
      height,
      path: this.treeAt(height).prove(path),
      records: chosen.map((entry) =>
        values || entry.valueLength === 0 ? this.recordOf(entry) : { entry, value: undefined },
      ),
    }
  }

  /** A version with its value. */
  recordOf(entry: Entry): ProofRecord
  recordOf(entry: Entry | undefined): ProofRecord | undefined
  recordOf(entry: Entry | undefined): ProofRecord | undefined {
    return entry && { entry, value: entry.deleted ? undefined : this.values.get(entry.valueDigest.join()) }
  }

  headersFor(height: number, { fromGenesis = false, tip = this.height }: ProveOptions = {}): Header[] {
    return this.headers.slice(firstProofHeight(height, fromGenesis), tip + 1)
  }

  prove(key: string, height: number, options: ProveOptions = {}): Uint8Array {
    return encodeProofFile(sha256, this.claim(key, height, options), this.headersFor(height, options))
  }

  private treeAt(height: number): StateTree {
    const tree = this.trees[height]
    assert(tree !== undefined, 'a block of that height')
    return tree
  }
}

/** What all tests prove things of: 36 blocks. `k` has eight versions, two of them in one block and two without a value. */
export function tellStory(network: Network): ProofChain {
  const chain = new ProofChain(network)
  const blocks: Record<number, Step[][]> = {
    1: [[put('k', 'one')]],
    2: [Array.from({ length: 20 }, (_, i) => put(`list/${i}`, `${i}`))],
    4: [[put('k', 'two')], [put('gone', 'x')]],
    5: [[remove('gone')]],
    6: [[put('k', '')]],
    7: [[remove('k')]],
    9: [[put('k', 'three')], [put('k', 'four')]],
    10: [[setAccess('k', { access: { kind: 'open' } })]],
    15: [[put('late', 'riser')]],
    30: [[put('k', 'five')], [put('other', 'o'.repeat(300))]],
  }
  for (let height = 1; height <= 36; height++) chain.mine(blocks[height] ?? [], 500 * (1 + (height % 7)))
  return chain
}
