/**
 * The block table, judged by the rules of core in the order in which a node applies them.
 *
 * 1. every row comes to what it says, from its bytes on; the same bytes are its encoding again;
 * 2. every numbered clause of docs/protocol.md has its rows here, or a named place elsewhere; and the codes in the page's tables of rules are
 *    those that its rows come to;
 * 3. every code of a transaction, a block or bytes is produced.
 */
import { existsSync, readFileSync } from 'node:fs'
import { decodeBlock, encodeBlock } from '@kvchain/core/block'
import { equalBytes, toHex } from '@kvchain/core/bytes'
import {
  BLOCK_ERROR_CODES,
  BlockError,
  blockTransactionError,
  checkBody,
  checkHeader,
  checkSignature,
  TX_ERROR_CODES,
} from '@kvchain/core/checks'
import type { CodecErrorCode } from '@kvchain/core/codec'
import { KvError } from '@kvchain/core/errors'
import { executeBlock } from '@kvchain/core/execution'
import { checkHeaderContext, checkHeaderTime } from '@kvchain/core/rules'
import { treeChanges } from '@kvchain/core/state'
import type { StateTree } from '@kvchain/core/tree'
import { describe, expect, it } from 'vitest'
import { network, nowMs, type TableChain } from './blockTable/chain.js'
import type { Row } from './blockTable/rows.js'
import { blockTable } from './blockTable/table.js'
import { MapState, sha256, verifySignature } from './helpers.js'

const { params } = network
const table = blockTable()

/** The state tree at the tip of a chain, which the table itself does not use. */
const trees = new Map<TableChain, StateTree>()

function treeOf(chain: TableChain): StateTree {
  const known = trees.get(chain)
  if (known !== undefined) return known
  let tree = chain.genesis.tree
  const state = new MapState()
  for (const account of chain.genesis.accounts) state.accounts.set(toHex(account.publicKey), account)
  for (const { header, transactions } of chain.blocks) {
    const steps = executeBlock(state, transactions, header.miner, { params, sha256, height: header.height })
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    state.commit(step.value)
    tree = tree.update(treeChanges(sha256, step.value))
  }
  trees.set(chain, tree)
  return tree
}

/** Everything that a node does to a block that it is sent. Throws what the block breaks. */
function judge({ chain, bytes }: Row): void {
  const block = decodeBlock(bytes, sha256, chain.genesis.hash)
  const { header, transactions } = block
  checkHeader(params, sha256, header)
  const grandparent = chain.height === 0 ? undefined : chain.headerAt(chain.height - 1)
  checkHeaderContext(params, header, { parent: chain.tip, grandparent })
  checkHeaderTime(params, header, nowMs(chain))
  checkBody(params, sha256, block)
  for (const [index, { transaction }] of transactions.entries()) {
    try {
      checkSignature(verifySignature, transaction)
    } catch (error) {
      throw blockTransactionError(error, index)
    }
  }
  const steps = executeBlock(chain.state, transactions, header.miner, { params, sha256, height: header.height })
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  const { root } = treeOf(chain).update(treeChanges(sha256, step.value))
  if (!equalBytes(root, header.stateRoot)) throw new BlockError('block-state-root', 'another state root')
  expect(toHex(encodeBlock(block))).toBe(toHex(bytes))
}

/** The code and, of a transaction in it, the rule; empty for a good block. */
function verdictOf(row: Row): { code: unknown; rule: unknown } {
  try {
    judge(row)
    return { code: undefined, rule: undefined }
  } catch (error) {
    if (!(error instanceof KvError)) throw error
    expect(error.message).toMatch(/^\S.+$/)
    return { code: error.code, rule: error.data.rule }
  }
}

describe('the block table', () => {
  it.each(table.map((row) => [row.clause, row.name, row.code ?? 'good', row] as const))(
    '%s: %s: %s',
    (_, __, ___, row) => {
      expect(verdictOf(row)).toEqual({ code: row.code, rule: row.rule })
    },
  )

  it('has no row twice', () => {
    const names = table.map(({ clause, name, code }) => `${clause} ${name} ${code}`)
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
    const bad = table.filter(({ code }) => code !== undefined)
    const blocks = bad.map(({ bytes, chain }) => `${chain.tip.timestampMs} ${toHex(bytes)}`)
    expect(bad.filter((_, i) => blocks.indexOf(blocks[i] ?? '') !== i).map(({ name }) => name)).toEqual([])
  })

  it('has for each row that speaks of another body the true one, which is good', () => {
    const truths = table.flatMap((row) => (row.truth === undefined ? [] : [{ ...row, bytes: row.truth }]))
    expect(truths.length).toBeGreaterThan(10)
    for (const row of truths) expect(verdictOf(row)).toEqual({ code: undefined, rule: undefined })
  })
})

// --- completeness ----------------------------------------------------------------------------------------------------

const page = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')
/** Sections 1 to 10 are consensus. */
const consensus = page.slice(0, page.indexOf('\n## 11.'))
const clauses = [...consensus.matchAll(/^(?:- \*\*|\| )(\d+\.\d+)(?:\*\* | \|)/gm)].map(([, number]) => number ?? '')

/** Clauses that no block can break: what they define is pinned by vectors or has tests of its own. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  '2.1': 'hash.test.ts',
  '2.2': 'hash.test.ts',
  '2.3': 'hash.test.ts',
  '3.11': 'operations.test.ts',
  '7.1': 'header.test.ts',
  '7.3': 'header.test.ts',
  '7.4': 'difficulty.test.ts',
  '9.1': 'tree.test.ts',
  '9.2': 'tree.test.ts',
  '9.3': 'tree.test.ts',
  '9.4': 'tree.test.ts',
  '10.1': 'params.test.ts',
  '10.2': 'genesis.test.ts',
  '10.3': 'genesis.test.ts',
  '10.4': 'genesis.test.ts',
  '10.5': 'genesis.test.ts',
}

describe('every clause', () => {
  it('of the page is found', () => {
    expect(clauses.length).toBeGreaterThan(50)
    expect(clauses.filter((clause) => /^[456]\./.test(clause))).toHaveLength(8 + 10 + 6)
  })

  it('has rows here or a place elsewhere, and no row has another', () => {
    const here = new Set(table.map(({ clause }) => clause).filter((clause) => /^\d/.test(clause)))
    expect([...here, ...Object.keys(ELSEWHERE)].sort()).toEqual([...clauses].sort())
    for (const file of Object.values(ELSEWHERE)) expect(existsSync(new URL(file, import.meta.url))).toBe(true)
  })

  it('without a number is a heading of the page', () => {
    const named = new Set(table.map(({ clause }) => clause).filter((clause) => !/^\d/.test(clause)))
    for (const clause of named) expect(consensus).toContain(`\n### ${clause}\n`)
  })

  it('in a table of rules is broken with the code that stands there, and kept', () => {
    const rules = [...consensus.matchAll(/^\| (\d+\.\d+) \|.*\| ([^|]+) \|$/gm)]
    expect(rules).toHaveLength(8 + 10 + 6)
    for (const [, clause, codes = ''] of rules) {
      const rows = table.filter((row) => row.clause === clause)
      const produced = rows.flatMap(({ code, rule }) => [code, rule])
      for (const [, code] of codes.matchAll(/`((?:tx|block)-[a-z-]+)`/g)) expect([clause, ...produced]).toContain(code)
      expect([clause, rows.some(({ code }) => code === undefined)]).toEqual([clause, true])
    }
  })
})

describe('every code', () => {
  const produced = new Set(table.flatMap(({ code, rule }) => [code, rule]))

  it('of a transaction is produced', () => {
    expect(TX_ERROR_CODES.filter((code) => !produced.has(code))).toEqual([])
  })

  it('of a block is produced, but for those that say what a node knows of the chain', () => {
    const known = ['block-orphan', 'block-invalid-ancestor', 'block-known-invalid']
    expect(BLOCK_ERROR_CODES.filter((code) => !produced.has(code))).toEqual(known)
  })

  it('of bytes is produced', () => {
    const codes: Record<CodecErrorCode, true> = {
      'codec-truncated': true,
      'codec-trailing': true,
      'codec-length': true,
      'codec-tag': true,
      'codec-integer': true,
      'codec-order': true,
    }
    expect(Object.keys(codes).filter((code) => !produced.has(code))).toEqual([])
  })
})
