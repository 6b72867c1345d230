/**
 * Catching up with peers of which only some have what is wanted. The peers are real ledgers; between them and the node there is no wire, so that a
 * test says who is asked what.
 */

import type { Block } from '@kvchain/core/block'
import { toHex } from '@kvchain/core/bytes'
import { ancestorAt } from '@kvchain/node/chain/headerTree'
import type { Fetcher } from '@kvchain/node/net/fetcher'
import { ownStatus } from '@kvchain/node/net/server'
import { AbortError } from '@kvchain/node/runtime/errors'
import { Sync } from '@kvchain/node/sync/sync'
import { afterEach, expect, test } from 'vitest'
import { TestLedger } from '../helpers/ledger.js'

const closing: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function ledger(): Promise<TestLedger> {
  const made = await TestLedger.open()
  closing.push(() => made.close())
  return made
}

/** Answers for every peer out of `far`; of `empty` ones come headers alone. */
function wireTo(far: TestLedger, empty: readonly string[], asked: string[]): Fetcher {
  const answers: Pick<Fetcher, 'status' | 'headers' | 'blocks' | 'poolIds'> = {
    status: async () => ownStatus(far.chain),
    headers: async (_peerId, locator) => {
      const known = locator.map((hash) => far.chain.tree.get(hash)).find((node) => node !== undefined)
      const from = (known?.header.height ?? 0) + 1
      const heights = Array.from({ length: far.chain.tip.header.height - from + 1 }, (_, i) => from + i)
      return heights.map((height) => ancestorAt(far.chain.tip, height)?.header).filter((header) => header !== undefined)
    },
    blocks: async (peerId, hashes) => {
      asked.push(peerId)
      return hashes.map((hash): Block | undefined => {
        const node = far.chain.tree.get(hash)
        const transactions = node && far.store.bodyWithValues(hash)
        if (empty.includes(peerId) || node === undefined || transactions === undefined) return undefined
        return { header: node.header, transactions }
      })
    },
    poolIds: async () => [],
  }
  return answers as Fetcher
}

test('a block that the first peers lack is asked of the others', async () => {
  const [near, far] = [await ledger(), await ledger()]
  await far.mine(1, 8)
  const asked: string[] = []
  const sync = new Sync({
    runtime: near.runtime,
    chain: near.chain,
    mempool: near.mempool,
    fetcher: wireTo(far, ['a', 'b'], asked),
    peerIds: () => ['a', 'b', 'c'],
    penalize: () => {},
  })
  await sync.start()
  closing.push(() => sync.stop())
  const arrived = new Promise<void>((resolve) => {
    near.chain.tips.add(() => resolve())
  })
  sync.onConnected('a')
  await arrived
  expect(toHex(near.chain.tip.hash)).toBe(toHex(far.chain.tip.hash))
  expect(asked).toEqual(['a', 'b', 'c'])
}, 20_000)

test('when none of them can deliver, all are asked again, and the block is had once one can', async () => {
  const [near, far] = [await ledger(), await ledger()]
  await far.mine(1, 8)
  const asked: string[] = []
  const empty = ['a', 'b']
  const sync = new Sync({
    runtime: near.runtime,
    chain: near.chain,
    mempool: near.mempool,
    fetcher: wireTo(far, empty, asked),
    peerIds: () => ['a', 'b'],
    penalize: () => {},
  })
  await sync.start()
  closing.push(() => sync.stop())
  const arrived = new Promise<void>((resolve) => {
    near.chain.tips.add(() => resolve())
  })
  sync.onConnected('a')
  while (asked.length < 3) await near.runtime.timers.sleep(20)
  empty.pop()
  await arrived
  expect(asked.slice(0, 3)).toEqual(['a', 'b', 'a'])
  expect(toHex(near.chain.tip.hash)).toBe(toHex(far.chain.tip.hash))
}, 20_000)

test('a tip whose body came before those of its ancestors is news still', async () => {
  const [near, far] = [await ledger(), await ledger()]
  await far.mine(3)
  const { chain, store } = far
  const nodes = Array.from({ length: chain.tip.header.height }, (_, i) => ancestorAt(chain.tip, i + 1))
  near.chain.addHeaders(nodes.map((node) => node?.header).filter((header) => header !== undefined))
  const transactions = store.bodyWithValues(chain.tip.hash) ?? []
  expect(await near.chain.addBlock({ header: chain.tip.header, transactions }, 'a')).toBe('stored')
  const sync = new Sync({
    runtime: near.runtime,
    chain: near.chain,
    mempool: near.mempool,
    fetcher: wireTo(far, [], []),
    peerIds: () => ['a'],
    penalize: () => {},
  })
  await sync.start()
  closing.push(() => sync.stop())
  const arrived = new Promise<void>((resolve) => {
    near.chain.tips.add(() => resolve())
  })
  sync.onConnected('a')
  await arrived
  while (near.chain.tip !== near.chain.tree.bestHeader) await near.runtime.timers.sleep(20)
  expect(toHex(near.chain.tip.hash)).toBe(toHex(far.chain.tip.hash))
}, 20_000)

test('a stop in the middle of several fetches ends them all, and none goes unhandled', async () => {
  const [near, far] = [await ledger(), await ledger()]
  await far.mine(40, 8)
  let asked = 0
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  closing.push(async () => {
    process.off('unhandledRejection', note)
  })
  const fetcher: Fetcher = Object.assign(wireTo(far, [], []), {
    blocks: (_peerId: string, _hashes: unknown, signal: AbortSignal) =>
      new Promise<never>((_resolve, reject) => {
        asked++
        signal.addEventListener('abort', () => reject(new AbortError('a request')), { once: true })
      }),
  })
  const { runtime, chain, mempool } = near
  const sync = new Sync({ runtime, chain, mempool, fetcher, peerIds: () => ['a', 'b'], penalize: () => {} })
  await sync.start()
  sync.onConnected('a')
  while (asked < 2) await runtime.timers.sleep(10)
  await sync.stop()
  await runtime.timers.sleep(10)
  expect(unhandled).toEqual([])
}, 20_000)

test('a peer that shows block after block that cannot be placed is asked for its tip once at a time', async () => {
  const [near, far] = [await ledger(), await ledger()]
  await far.mine(2, 8)
  const waiting: (() => void)[] = []
  let asked = 0
  const fetcher: Fetcher = Object.assign(wireTo(far, [], []), {
    status: async () => {
      asked++
      await new Promise<void>((resolve) => waiting.push(resolve))
      return ownStatus(far.chain)
    },
  })
  const { runtime, chain, mempool } = near
  const sync = new Sync({ runtime, chain, mempool, fetcher, peerIds: () => ['a'], penalize: () => {}, pollMs: 600_000 })
  await sync.start()
  closing.push(() => sync.stop())
  for (let n = 0; n < 1_000; n++) sync.onBehind('a')
  sync.onBehind('b')
  expect(asked).toBe(2)
  waiting[0]?.()
  while (asked < 3) await runtime.timers.sleep(10)
  for (const answer of waiting.splice(1)) answer()
  while (chain.tip.header.height < 2) await runtime.timers.sleep(10)
  expect(asked).toBe(3)
  // Once it has answered, it is asked again.
  while (asked < 4) {
    await runtime.timers.sleep(10)
    sync.onBehind('a')
  }
  for (const answer of waiting) answer()
}, 20_000)
