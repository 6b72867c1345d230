/**
 * The chain on a real store: connect, fork choice, reorgs, orphans, invalid and mutated blocks, restart. Two ledgers mine branches of
 * their own; the blocks of one are then handed to the other.
 */

import { transactionRoot } from '@kvchain/core/block'
import { fromUtf8, ZERO_32 } from '@kvchain/core/bytes'
import { BlockError } from '@kvchain/core/checks'
import { headerHash } from '@kvchain/core/header'
import { isBetter, locatorOf } from '@kvchain/node/chain/headerTree'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { hex } from '@kvchain/node/runtime/hex'
import { afterEach, describe, expect, test } from 'vitest'
import { easyNetwork, TestLedger } from '../helpers/ledger.js'

const open: TestLedger[] = []

async function ledger(): Promise<TestLedger> {
  const made = await TestLedger.open()
  open.push(made)
  return made
}

async function reopened(old: TestLedger): Promise<TestLedger> {
  open.splice(open.indexOf(old), 1)
  const made = await old.reopen()
  open.push(made)
  return made
}

afterEach(async () => {
  for (const made of open.splice(0)) await made.close()
})

/** The code of the BlockError that `work` ends in. */
async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof BlockError) return error.code
    throw error
  }
  return 'none'
}

describe('one branch', () => {
  test('a put is in the block, the state and the history', async () => {
    const a = await ledger()
    await a.pool(a.put('k', 'one', { from: 1, nonce: 0 }), a.put('k', 'two', { from: 1, nonce: 1 }))
    await a.mine()
    expect(a.get('k')).toBe('two')
    const versions = await a.store.versions(fromUtf8('k'), 10, 10)
    expect(versions.map(({ version, height }) => [version, height])).toEqual([
      [2, 1],
      [1, 1],
    ])
    expect(a.mempool.size).toBe(0)
  })

  test('everything is there after a restart', async () => {
    const a = await ledger()
    await a.pool(a.put('k', 'one', { from: 1, nonce: 0, fee: 5 }))
    await a.mine(3)
    const { tipHash, stateRoot } = a
    const again = await reopened(a)
    expect(again.tipHash).toBe(tipHash)
    expect(again.stateRoot).toBe(stateRoot)
    expect(again.get('k')).toBe('one')
    await again.pool(again.put('k', 'two', { from: 1, nonce: 1 }))
    await again.mine()
    expect(again.get('k')).toBe('two')
  })

  test('a block that is known is not taken twice', async () => {
    const a = await ledger()
    const [block] = await a.mine()
    expect(block && (await a.chain.addBlock(block, 'test'))).toBe('known')
  })

  test('a folder of another network is refused', async () => {
    const a = await ledger()
    const { folder } = a
    open.splice(open.indexOf(a), 1)
    await a.own.stop()
    await a.chain.stop()
    await a.verifier.stop()
    await a.database.stop()
    await expect(TestLedger.open(easyNetwork({ blockReward: 11 }), folder)).rejects.toMatchObject({
      code: 'store-network',
    })
    open.push(await TestLedger.open(easyNetwork(), folder))
  })
})

describe('fork choice', () => {
  test('more chainwork wins, at any depth, and the writes of the lost branch wait again', async () => {
    const [a, b] = [await ledger(), await ledger()]
    await a.pool(a.put('only-a', '1', { from: 1, nonce: 0 }), a.put('both', 'a', { from: 1, nonce: 1 }))
    await a.mine(40, 8)
    await b.pool(b.put('only-b', '1', { from: 2, nonce: 0 }), b.put('both', 'b', { from: 2, nonce: 1 }))
    const blocks = await b.mine(41, 9)
    for (const block of blocks) await a.chain.addBlock(block, 'b')
    expect(a.tipHash).toBe(b.tipHash)
    expect(a.stateRoot).toBe(b.stateRoot)
    expect([a.get('only-a'), a.get('only-b'), a.get('both')]).toEqual([undefined, '1', 'b'])
    expect(a.mempool.size).toBe(2)
    await a.mine()
    expect(a.get('only-a')).toBe('1')
    expect(a.get('both')).toBe('b')
    const outcomes = a.store.body(a.chain.tip.hash)?.map(({ outcome }) => outcome)
    expect(outcomes).toEqual([{ code: 'ok' }, { code: 'not-owner', operation: 0 }])
    expect((await reopened(a)).get('only-a')).toBe('1')
  })

  test('at equal chainwork the lower hash wins, whatever came first', async () => {
    const [a, b] = [await ledger(), await ledger()]
    const [left] = await a.mine(1, 8)
    const [right] = await b.mine(1, 9)
    if (left === undefined || right === undefined) throw new TypeError('unreachable')
    await a.chain.addBlock(right, 'test')
    await b.chain.addBlock(left, 'test')
    const lower = [a.hashOf(left), a.hashOf(right)].sort()[0]
    expect(a.tipHash).toBe(lower)
    expect(b.tipHash).toBe(lower)
  })

  test('the best tip does not depend on the order of arrival', async () => {
    const makers = [await ledger(), await ledger(), await ledger()]
    const blocks = (await Promise.all(makers.map((maker, i) => maker.mine(4, 7 + i)))).flat()
    const tips = new Set<string>()
    for (let turn = 0; turn < 4; turn++) {
      const c = await ledger()
      const rotated = [...blocks.slice(turn * 3), ...blocks.slice(0, turn * 3)]
      if (turn % 2 === 1) rotated.reverse()
      for (const block of rotated) await codeOf(c.chain.addBlock(block, 'test'))
      await until(() => c.chain.tree.size === blocks.length + 1)
      for (const block of rotated) expect(await c.chain.addBlock(block, 'test')).toBe('known')
      await until(() => c.chain.tip === c.chain.tree.bestComplete)
      tips.add(c.tipHash)
    }
    expect(tips.size).toBe(1)
  })

  test('the same state comes back after a reorg there and back', async () => {
    const [a, b] = [await ledger(), await ledger()]
    await a.pool(a.put('x', '1', { from: 1, nonce: 0 }), a.put('y', '1', { from: 2, nonce: 0 }))
    const first = await a.mine(2, 8)
    for (const block of first) await b.chain.addBlock(block, 'a')
    await a.pool(a.put('x', '2', { from: 1, nonce: 1 }), a.put('z', '1', { from: 2, nonce: 1 }))
    await a.mine(1, 8)
    const { stateRoot } = a
    const lost = await b.mine(2, 9)
    for (const block of lost) await a.chain.addBlock(block, 'b')
    expect(a.tipHash).toBe(b.tipHash)
    expect(a.get('x')).toBe('1')
    expect(a.get('z')).toBeUndefined()
    expect(a.steps.filter(({ kind }) => kind === 'disconnected')).toHaveLength(1)
    expect(stateRoot).not.toBe(a.stateRoot)
    expect(await a.store.versions(fromUtf8('x'), 10, 10)).toHaveLength(1)
  })
})

describe('orphans', () => {
  test('a branch that arrives backwards is connected once its root comes', async () => {
    const [a, b] = [await ledger(), await ledger()]
    const blocks = await b.mine(5)
    for (const block of [...blocks].reverse().slice(0, 4)) {
      expect(await codeOf(a.chain.addBlock(block, 'b'))).toBe('block-orphan')
    }
    const [first] = blocks
    if (first !== undefined) await a.chain.addBlock(first, 'b')
    await until(() => a.tipHash === b.tipHash)
    expect(a.stateRoot).toBe(b.stateRoot)
  })

  test('a block that is stored before its parent is not damage at the next start, and both are taken again', async () => {
    const [a, b] = [await ledger(), await ledger()]
    const [first, second] = await b.mine(2)
    if (first === undefined || second === undefined) throw new TypeError('two blocks were mined')
    a.chain.addHeaders([first.header])
    expect(await a.chain.addBlock(second, 'test')).toBe('stored')
    const again = await a.reopen()
    open.push(again)
    expect(again.fatal).toEqual([])
    expect(again.chain.tree.get(headerHash(sha256, second.header))).toBeUndefined()
    for (const block of [first, second]) await again.chain.addBlock(block, 'test')
    expect(again.tipHash).toBe(b.tipHash)
  })

  test('bodies may come in any order once the headers are known', async () => {
    const [a, b] = [await ledger(), await ledger()]
    const blocks = await b.mine(5)
    a.chain.addHeaders(blocks.map(({ header }) => header))
    expect(a.chain.tree.bestHeader.header.height).toBe(5)
    for (const block of [...blocks].reverse()) await a.chain.addBlock(block, 'b')
    expect(a.tipHash).toBe(b.tipHash)
  })
})

describe('bad blocks', () => {
  test('a wrong state root is invalid for ever, and so is what stands on it', async () => {
    const a = await ledger()
    const good = await a.solve()
    const bad = { ...good, header: { ...good.header, stateRoot: ZERO_32 } }
    expect(await codeOf(a.chain.addBlock(bad, 'test'))).toBe('block-state-root')
    expect(await codeOf(a.chain.addBlock(bad, 'test'))).toBe('block-known-invalid')
    const child = { ...good.header, parent: headerHash(sha256, bad.header), height: 2, timestampMs: Date.now() }
    expect(await codeOf(a.chain.addBlock({ header: child, transactions: [] }, 'test'))).toBe('block-invalid-ancestor')
    expect(await a.chain.addBlock(good, 'test')).toBe('connected')
    const again = await reopened(a)
    expect(await codeOf(again.chain.addBlock(bad, 'test'))).toBe('block-known-invalid')
  })

  test('a wrong outcome is invalid', async () => {
    const a = await ledger()
    await a.pool(a.put('k', '1', { from: 1, nonce: 0 }))
    const good = await a.solve()
    const transactions = good.transactions.map(({ transaction }) => ({
      transaction,
      outcome: { code: 'not-owner', operation: 0 } as const,
    }))
    const header = { ...good.header, txRoot: transactionRoot(sha256, transactions) }
    expect(await codeOf(a.chain.addBlock({ header, transactions }, 'test'))).toBe('block-outcome')
  })

  test('a bad signature inside a block is the header’s fault', async () => {
    const a = await ledger()
    await a.pool(a.put('k', '1', { from: 1, nonce: 0 }))
    const good = await a.solve()
    const transactions = good.transactions.map(({ transaction, outcome }) => ({
      transaction: { ...transaction, signature: transaction.signature.map((byte, i) => (i === 3 ? byte ^ 1 : byte)) },
      outcome,
    }))
    const header = { ...good.header, txRoot: transactionRoot(sha256, transactions) }
    expect(await codeOf(a.chain.addBlock({ header, transactions }, 'test'))).toBe('block-transaction')
    expect(await codeOf(a.chain.addBlock({ header, transactions }, 'test'))).toBe('block-known-invalid')
    expect(await a.chain.addBlock(good, 'test')).toBe('connected')
  })

  test('a mutated body is not held against the block', async () => {
    const a = await ledger()
    await a.pool(a.put('k', '1', { from: 1, nonce: 0 }))
    const good = await a.solve()
    expect(await codeOf(a.chain.addBlock({ header: good.header, transactions: [] }, 'test'))).toBe('block-mutated')
    const [included] = good.transactions
    if (included === undefined) throw new TypeError('unreachable')
    const doubled = { header: good.header, transactions: [included, included] }
    expect(await codeOf(a.chain.addBlock(doubled, 'test'))).toBe('block-mutated')
    const otherValue = { ...included, transaction: { ...included.transaction, values: [fromUtf8('2')] } }
    expect(await codeOf(a.chain.addBlock({ header: good.header, transactions: [otherValue] }, 'test'))).toBe(
      'block-mutated',
    )
    expect(await a.chain.addBlock(good, 'test')).toBe('connected')
  })

  test('a future timestamp is refused today and may be right tomorrow', async () => {
    const a = await ledger()
    const good = await a.solve()
    const early = { ...good, header: { ...good.header, timestampMs: Date.now() + 120_000 } }
    expect(await codeOf(a.chain.addBlock(early, 'test'))).toBe('block-time-future')
    expect(a.chain.tree.size).toBe(1)
  })

  test('an invalid block in the middle of a better branch leaves the old branch standing', async () => {
    const [a, b] = [await ledger(), await ledger()]
    await a.mine(2, 8)
    const { tipHash, stateRoot } = a
    const blocks = await b.mine(2, 9)
    const last = await b.solve()
    const bad = { ...last, header: { ...last.header, stateRoot: ZERO_32 } }
    for (const block of blocks) await a.chain.addBlock(block, 'b')
    await codeOf(a.chain.addBlock(bad, 'b'))
    const best = [tipHash, b.tipHash].sort()[0]
    expect(a.tipHash).toBe(best)
    if (best === tipHash) expect(a.stateRoot).toBe(stateRoot)
    expect(a.fatal).toEqual([])
  })
})

test('a locator thins out towards genesis and always ends there', async () => {
  const a = await ledger()
  await a.mine(60)
  const locator = locatorOf(a.chain.tip)
  expect(hex(locator[0] ?? ZERO_32)).toBe(a.tipHash)
  expect(hex(locator.at(-1) ?? ZERO_32)).toBe(hex(a.genesis.hash))
  expect(locator.length).toBeLessThan(20)
  expect(isBetter(a.chain.tip, a.chain.tree.genesis)).toBe(true)
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}
