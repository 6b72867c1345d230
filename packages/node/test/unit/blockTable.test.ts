/**
 * The block table of core on a real chain and a real store. For each row: the block comes to the same end and the same code as by the rules
 * alone; a bad one leaves tip and state as they were, comes to what the protocol says when it is sent again (section 5, what holds for ever),
 * and does not stand in the way of its own true body, nor of another block; a good one is the tip, after a restart too.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeBlock, encodeBlock } from '@kvchain/core/block'
import { BLOCK_ERROR_CODES } from '@kvchain/core/checks'
import { KvError } from '@kvchain/core/errors'
import { headerHash } from '@kvchain/core/header'
import { Chain } from '@kvchain/node/chain/chain'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { VerifyPool } from '@kvchain/node/crypto/verifyPool'
import { hex } from '@kvchain/node/runtime/hex'
import { silentLog, systemRuntime } from '@kvchain/node/runtime/runtime'
import { ChainStore } from '@kvchain/node/store/chainStore'
import { Database } from '@kvchain/node/store/database'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { network, nowMs, type TableChain } from '../../../core/test/blockTable/chain.js'
import { blockTable } from '../../../core/test/blockTable/table.js'

const table = blockTable()
const system = systemRuntime(silentLog)
const verifier = new VerifyPool({ threads: 0 }, { runtime: system })

beforeAll(() => verifier.start())
afterAll(() => verifier.stop())

/** A chain on a store in a temporary folder, whose clock stands still. */
class Ledger {
  private constructor(
    readonly on: TableChain,
    readonly folder: string,
    readonly database: Database,
    readonly chain: Chain,
  ) {}

  static async open(on: TableChain, folder: string): Promise<Ledger> {
    const clock = { nowMs: () => nowMs(on), monotonicMs: () => 0 }
    const database = new Database(join(folder, 'db'), silentLog)
    await database.start()
    const chain = new Chain(network, on.genesis, {
      runtime: { ...system, clock },
      store: new ChainStore(database, on.genesis, silentLog, { cacheBytes: 1 << 20 }),
      verifier,
      isVerified: () => false,
      afterCommit: async () => {},
      onFatal: (error) => expect.fail(`a commit failed: ${error}`),
    })
    await chain.start()
    return new Ledger(on, folder, database, chain)
  }

  /** On top of the blocks of a table chain. */
  static async on(on: TableChain): Promise<Ledger> {
    const ledger = await Ledger.open(on, mkdtempSync(join(tmpdir(), 'kvchain-table-')))
    for (const block of on.blocks) expect(await ledger.chain.addBlock(block, 'test')).toBe('connected')
    return ledger
  }

  get now(): string {
    return `${hex(this.chain.tip.hash)} ${hex(this.chain.stateTree.root)} ${this.chain.tip.header.height}`
  }

  /** What becomes of bytes that a peer sent: as a node takes them in. */
  async take(bytes: Uint8Array): Promise<{ code: string; rule: unknown }> {
    try {
      const code = await this.chain.addBlock(decodeBlock(bytes, sha256, this.on.genesis.hash), 'test')
      return { code, rule: undefined }
    } catch (error) {
      if (!(error instanceof KvError)) throw error
      return { code: error.code, rule: error.data.rule }
    }
  }

  async stop(): Promise<void> {
    await this.chain.stop()
    await this.database.stop()
  }
}

let ledger: Ledger | undefined

afterEach(async () => {
  await ledger?.stop()
  if (ledger !== undefined) rmSync(ledger.folder, { recursive: true })
  ledger = undefined
})

/** What the rules of a header alone say does not depend on what was known of it before. */
const OF_HEADERS = ['block-target', 'block-pow', 'block-height', 'block-time-old']
/** A parent that is unknown; one that is invalid. */
const OF_PARENTS = ['block-orphan', 'block-invalid-ancestor']

function codeOfSecondTry(code: string): string {
  const isKept = !code.startsWith('codec-') && code !== 'block-mutated' && code !== 'block-time-future'
  return isKept && !OF_HEADERS.includes(code) ? 'block-known-invalid' : code
}

describe('a good block', () => {
  const good = table.filter(({ code }) => code === undefined)

  test.each(good.map((row) => [row.clause, row.name, row] as const))('%s: %s', async (_, __, row) => {
    ledger = await Ledger.on(row.chain)
    expect(await ledger.take(row.bytes)).toEqual({ code: 'connected', rule: undefined })
    const { now } = ledger
    expect(ledger.chain.tip.header.height).toBe(row.chain.height + 1)
    expect(await ledger.take(row.bytes)).toEqual({ code: 'known', rule: undefined })
    await ledger.stop()
    ledger = await Ledger.open(row.chain, ledger.folder)
    expect(ledger.now).toBe(now)
  })
})

describe('a bad block', () => {
  const bad = table.flatMap((row) => (row.code === undefined ? [] : [{ ...row, code: row.code }]))

  test.each(bad.map((row) => [row.clause, row.name, row.code, row] as const))(
    '%s: %s: %s',
    async (_, __, code, row) => {
      ledger = await Ledger.on(row.chain)
      const { now } = ledger
      expect(await ledger.take(row.bytes)).toEqual({ code, rule: row.rule })
      expect(ledger.now).toBe(now)
      expect((await ledger.take(row.bytes)).code).toBe(codeOfSecondTry(code))
      expect(ledger.now).toBe(now)
      expect(await ledger.take(row.truth ?? row.chain.bytes())).toEqual({ code: 'connected', rule: undefined })
      expect(ledger.chain.tip.header.height).toBe(row.chain.height + 1)
    },
  )
})

test('every code of a block comes out of a chain', () => {
  const ofRows = table.flatMap(({ code }) => (code?.startsWith('block-') === true ? [code, codeOfSecondTry(code)] : []))
  const produced = new Set([...ofRows, ...OF_PARENTS])
  expect([...produced].sort()).toEqual([...BLOCK_ERROR_CODES].sort())
})

test('a block is judged by its parent first', async () => {
  const row = table.find(({ code }) => code === 'block-state-root') ?? expect.fail('no such row')
  ledger = await Ledger.on(row.chain)
  await ledger.take(row.bytes)
  const { header } = decodeBlock(row.bytes, sha256, row.chain.genesis.hash)
  const codes: string[] = []
  for (const parent of [sha256(row.bytes), headerHash(sha256, header)]) {
    const child = row.chain.make({ header: { parent, height: 1 } })
    codes.push((await ledger.take(encodeBlock(child))).code)
  }
  expect(codes).toEqual(OF_PARENTS)
})
