/**
 * A small chain that an independent implementation made (vectors/chain.json): every block passes every rule, executes to the outcomes,
 * the versions, the accounts and the state root that stand there, and is undone again. Then each block is spoilt in one place.
 */
import { blockSize, decodeBlock, encodeBlock } from '@kvchain/core/block'
import { equalBytes, toHex } from '@kvchain/core/bytes'
import { checkBody, checkHeader, checkSignature } from '@kvchain/core/checks'
import { encodeAccount, encodeEntry, isEmptyAccount } from '@kvchain/core/entry'
import { makeGenesis } from '@kvchain/core/genesis'
import type { Header } from '@kvchain/core/header'
import { FAILURES, type Outcome } from '@kvchain/core/outcome'
import { parseNetwork } from '@kvchain/core/params'
import { targetWork } from '@kvchain/core/pow'
import { checkHeaderContext } from '@kvchain/core/rules'
import { treeChanges, type Undo, undoOf, undoTreeChanges } from '@kvchain/core/state'
import { describe, expect, it } from 'vitest'
import { codeOf, executeBlock, hex, MapState, mine, readVectors, sha256, verifySignature } from './helpers.js'

interface ChainVectors {
  readonly network: unknown
  readonly genesisHash: string
  readonly blocks: {
    bytes: string
    hash: string
    chainwork: string
    txids: string[]
    outcomes: Outcome[]
    versions: string[]
    accounts: string[]
    stateRoot: string
  }[]
  readonly entries: string[]
}

const vectors = readVectors<ChainVectors>('chain')
const network = parseNetwork(vectors.network)
const { params } = network
const genesis = makeGenesis(sha256, network)
const blocks = vectors.blocks.map(({ bytes }) => decodeBlock(hex(bytes), sha256, genesis.hash))

/** The header at a height, and what the one above it is checked against. */
function headerAt(height: number): Header | undefined {
  return height === 0 ? genesis.header : blocks[height - 1]?.header
}

function contextOf(header: Header) {
  return { parent: headerAt(header.height - 1) ?? genesis.header, grandparent: headerAt(header.height - 2) }
}

function startingState(): MapState {
  const state = new MapState()
  for (const account of genesis.accounts) state.accounts.set(toHex(account.publicKey), account)
  return state
}

describe('the chain of the vectors', () => {
  it('stands on its genesis', () => {
    expect(toHex(genesis.hash)).toBe(vectors.genesisHash)
    expect(blocks[0]?.header.parent).toEqual(genesis.hash)
  })

  it('passes every rule that needs no state', () => {
    let parentHash = genesis.hash
    let chainwork = targetWork(genesis.header.target)
    for (const [i, block] of blocks.entries()) {
      const vector = vectors.blocks[i]
      expect(toHex(encodeBlock(block))).toBe(vector?.bytes)
      expect(blockSize(block)).toBe((vector?.bytes.length ?? 0) / 2)
      const hash = checkHeader(params, sha256, block.header)
      expect(toHex(hash)).toBe(vector?.hash)
      expect(block.header.parent).toEqual(parentHash)
      checkHeaderContext(params, block.header, contextOf(block.header))
      checkBody(params, sha256, block)
      for (const { transaction } of block.transactions) checkSignature(verifySignature, transaction)
      expect(block.transactions.map(({ transaction }) => toHex(transaction.txid))).toEqual(vector?.txids)
      chainwork += targetWork(block.header.target)
      expect(chainwork).toBe(BigInt(vector?.chainwork ?? 0))
      parentHash = hash
    }
  })

  it('executes to the outcomes, versions, accounts and state roots that stand there, and is undone to genesis', () => {
    const state = startingState()
    let tree = genesis.tree
    const undos: { undo: Undo; root: string }[] = []
    for (const [i, { header, transactions }] of blocks.entries()) {
      const vector = vectors.blocks[i]
      const { outcomes, changes } = executeBlock(state, params, {
        height: header.height,
        miner: header.miner,
        transactions: transactions.map(({ transaction }) => transaction),
      })
      expect(outcomes).toEqual(vector?.outcomes)
      expect(outcomes).toEqual(transactions.map(({ outcome }) => outcome))
      expect(changes.versions.map((entry) => toHex(encodeEntry(entry)))).toEqual(vector?.versions)
      undos.push({ undo: undoOf(changes), root: toHex(tree.root) })
      state.commit(changes)
      const held = [...state.accounts.values()].filter((account) => !isEmptyAccount(account))
      expect(held.map((account) => toHex(encodeAccount(account))).sort()).toEqual(vector?.accounts)
      tree = tree.update(treeChanges(sha256, changes))
      expect(toHex(tree.root)).toBe(vector?.stateRoot)
      expect(equalBytes(tree.root, header.stateRoot)).toBe(true)
    }
    const entries = [...state.entries.values()].map((entry) => toHex(encodeEntry(entry)))
    expect(entries.sort()).toEqual([...vectors.entries].sort())
    for (const { undo, root } of undos.reverse()) {
      state.revert(undo)
      tree = tree.update(undoTreeChanges(sha256, undo))
      expect(toHex(tree.root)).toBe(root)
    }
    expect(state.entries.size).toBe(0)
    expect(state.accounts).toEqual(startingState().accounts)
  })

  it('has every outcome', () => {
    const codes = new Set(vectors.blocks.flatMap(({ outcomes }) => outcomes.map(({ code }) => code)))
    expect(codes).toEqual(new Set(['ok', ...FAILURES]))
  })

  it('loses its work with any change of a header', () => {
    for (const { header } of blocks) {
      const spoilt = mine({ ...header, timestampMs: header.timestampMs + 1 }, false)
      expect(codeOf(() => checkHeader(params, sha256, spoilt))).toBe('block-pow')
      expect(
        codeOf(() => checkHeaderContext(params, { ...header, height: header.height + 1 }, contextOf(header))),
      ).toBe('block-height')
      const context = contextOf(header)
      expect(codeOf(() => checkHeaderContext(params, { ...header, timestampMs: 0 }, context))).toBe('block-time-old')
      const { target } = header
      const harder = target.with(31, (target[31] ?? 0) ^ 1)
      expect(codeOf(() => checkHeaderContext(params, { ...header, target: harder }, context))).toBe('block-target')
    }
  })

  it('loses its body with any change of a transaction, a signature or an outcome', () => {
    for (const block of blocks) {
      for (const [i, { transaction, outcome }] of block.transactions.entries()) {
        const signature = transaction.signature.with(0, (transaction.signature[0] ?? 0) ^ 1)
        const other: Outcome = outcome.code === 'ok' ? { code: 'no-entry', operation: 0 } : { code: 'ok' }
        for (const changed of [
          { transaction: { ...transaction, signature }, outcome },
          { transaction, outcome: other },
        ]) {
          const transactions = block.transactions.with(i, changed)
          expect(codeOf(() => checkBody(params, sha256, { ...block, transactions }))).toBe('block-mutated')
        }
      }
    }
  })
})
