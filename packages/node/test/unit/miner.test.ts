/** The miner on a real ledger and real search threads: when it works, when it rests, and that a new tip or a stop calls it off. */
import { Miner, type MiningMode } from '@kvchain/node/miner/miner'
import { PowPool } from '@kvchain/node/miner/powPool'
import { afterEach, expect, test } from 'vitest'
import { account, easyNetwork, TestLedger } from '../helpers/ledger.js'

const stops: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/** One hash in some 60,000 is good enough: milliseconds for a thread. */
const TARGET = `0000f${'f'.repeat(59)}`
/** Out of reach. */
const HARD = `${'0'.repeat(40)}${'f'.repeat(24)}`

interface Rig {
  readonly ledger: TestLedger
  readonly miner: Miner
  syncing: boolean
  awaited: boolean
}

async function rig(mode: MiningMode, target = TARGET): Promise<Rig> {
  const ledger = await TestLedger.open(easyNetwork({ initialTarget: target }))
  stops.push(() => ledger.close())
  const searcher = new PowPool({ threads: 1 }, { runtime: ledger.runtime })
  await searcher.start()
  stops.push(() => searcher.stop())
  const made: Rig = {
    ledger,
    syncing: false,
    awaited: false,
    miner: new Miner(
      { mode, account: account(9).publicKey, settleDepth: 3 },
      {
        runtime: ledger.runtime,
        chain: ledger.chain,
        mempool: ledger.mempool,
        searcher,
        isSyncing: () => made.syncing,
        isAwaited: () => made.awaited,
      },
    ),
  }
  stops.push(() => made.miner.stop())
  return made
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

test('always: block after block, each told to observers', async () => {
  const { ledger, miner } = await rig('always')
  const heights: number[] = []
  miner.solved.add(({ header }) => heights.push(header.height))
  await miner.start()
  await until(() => ledger.chain.tip.header.height >= 5)
  await miner.stop()
  expect(heights.slice(0, 5)).toEqual([1, 2, 3, 4, 5])
  expect(ledger.store.account(account(9).publicKey).balance).toBe(heights.length * 10)
})

test('pending: rests until a transaction comes, goes on until it is settled, and rests again', async () => {
  const { ledger, miner } = await rig('pending')
  await miner.start()
  await ledger.pool(ledger.put('k', 'v', { from: 1, nonce: 0 }))
  await until(() => !miner.active && ledger.chain.tip.header.height >= 3)
  expect(ledger.get('k')).toBe('v')
  // The write is in block 1: with settle depth 3 it has its three confirmations at height 3.
  expect(ledger.chain.tip.header.height).toBe(3)
})

test('pending: a client that waits for more confirmations gets them', async () => {
  const made = await rig('pending')
  await made.miner.start()
  await made.ledger.pool(made.ledger.put('k', 'v', { from: 1, nonce: 0 }))
  made.awaited = true
  await until(() => made.ledger.chain.tip.header.height >= 8)
})

test('pending: what cannot be in a block makes none, and is in one when it can be', async () => {
  const { ledger, miner } = await rig('pending')
  await miner.start()
  // The nonce before is missing.
  await ledger.pool(ledger.put('later', 'v', { from: 1, nonce: 1 }))
  // Far longer than a block takes: it looks again and again in that time.
  await ledger.runtime.timers.sleep(1_500)
  expect([miner.active, ledger.chain.tip.header.height]).toEqual([false, 0])
  await ledger.pool(ledger.put('sooner', 'v', { from: 1, nonce: 0 }))
  await until(() => ledger.get('later') === 'v')
})

test('nothing is mined while better blocks are being fetched', async () => {
  const made = await rig('always')
  made.syncing = true
  await made.miner.start()
  await made.ledger.pool(made.ledger.put('k', 'v', { from: 1, nonce: 0 }))
  expect(made.miner.active).toBe(false)
  made.syncing = false
  await until(() => made.ledger.get('k') === 'v')
})

test('off: never', async () => {
  const { ledger, miner } = await rig('off')
  await miner.start()
  await ledger.pool(ledger.put('k', 'v', { from: 1, nonce: 0 }))
  expect(miner.active).toBe(false)
  expect(ledger.chain.tip.header.height).toBe(0)
})

test('stopping calls a hopeless search off', async () => {
  const { ledger, miner } = await rig('always', HARD)
  await miner.start()
  await until(() => miner.active)
  await miner.stop()
  expect(miner.active).toBe(false)
  expect(ledger.chain.tip.header.height).toBe(0)
})
