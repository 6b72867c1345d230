/**
 * The checks of the simulator find what they are there for. Plan: a sound world passes; then one thing at a time is made wrong behind a node's back,
 * and the check that must notice does.
 */
import { fromUtf8 } from '@kvchain/core/bytes'
import { encodeEntry } from '@kvchain/core/entry'
import { Checks } from '@kvchain/lab/sim/checks'
import { makeWorld, type World } from '@kvchain/lab/sim/world'
import { Batch } from '@kvchain/node/store/batch'
import { recordKey } from '@kvchain/node/store/schema'
import { beforeEach, describe, expect, test } from 'vitest'

describe('checks', () => {
  let world: World
  let checks: Checks

  beforeEach(async () => {
    world = await makeWorld({ seed: 11, nodes: [{ hashShare: 1 }, {}, {}] })
    checks = new Checks(world, { fullEvery: 1_000 })
    await world.finish(world.node(1).put('k', 'v'))
    await world.until('settling', () => (world.node(2).get('k')?.confirmations ?? 0) > 6, 600_000)
    await world.run(world.nowMs + 2_000)
  })

  test('a sound world passes, and its seed is in what a check says', () => {
    checks.atRest()
    expect(checks.counts.cheap).toBeGreaterThan(100)
    world.accepted.set('00'.repeat(32), world.node(1))
    expect(() => checks.atRest()).toThrow(/^seed 11, after [\d.]+ ms: node 1: it accepted the write 0000/)
  })

  test('an entry that no block wrote', async () => {
    const { database, store } = world.node(2).ledger
    const key = fromUtf8('k')
    const entry = store.entry(key)
    if (entry === undefined) throw new TypeError('the entry is there')
    const forged = encodeEntry({ ...entry, version: entry.version + 1 })
    await world.finish(database.write(new Batch().put(recordKey.entry(key), forged), { sync: true }))
    expect(() => checks.full()).toThrow(/node 2: the stored state is not what the state root of the tip says/)
  })

  test('a block of an honest node that is held to be invalid, and a tip that is not the best', () => {
    const { tree, tip } = world.node(0).chain
    tree.markInvalid(tip)
    expect(() => checks.full()).toThrow(/node 0: its tip is not the best block that it holds/)
  })

  test('two nodes that do not agree', async () => {
    world.partition([2])
    await world.run(world.nowMs + 60_000)
    checks.full()
    expect(() => checks.atRest()).toThrow(/node 2: its tip is not that of node 0/)
  })

  test('an error in a log', async () => {
    world.failures.push({ node: 2, message: 'background task failed', cause: undefined })
    await expect(world.run(world.nowMs + 60_000)).rejects.toThrow(/node 2: background task failed/)
  })

  test('a mempool over its bound', async () => {
    await world.finish(world.node(1).put('l', 'v'))
    const { mempool } = world.node(2).ledger
    await world.until('the transaction of another', () => mempool.size === 1, 60_000)
    Object.defineProperty(mempool, 'size', { get: () => 1_000_000 })
    await expect(world.run(world.nowMs + 60_000)).rejects.toThrow(/node 2: 1000000 transactions of \d+ bytes/)
  })
})
