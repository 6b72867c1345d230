/**
 * What clients ask, on a real chain:
 * 1. batches: all or nothing, expectations on each operation, terms;
 * 2. reads: as of a block, with confirmations, with pending writes, and how sure they are;
 * 3. scans in order, page by page;
 * 4. watches: without a gap, over restarts and reorgs, what settles;
 * 5. the life of a transaction; sending again; the record of reorgs.
 */
import type { Params, Result } from '@kvchain/client/contract'
import { blockSize, decodeBlock } from '@kvchain/core/block'
import { toHex } from '@kvchain/core/bytes'
import { reversalProbability } from '@kvchain/core/certainty'
import { headerHash } from '@kvchain/core/header'
import { encodeTransaction, type Transaction } from '@kvchain/core/transaction'
import type { ReorgWatch } from '@kvchain/node/chain/reorgWatch'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { hex, unhex } from '@kvchain/node/runtime/hex'
import { afterEach, describe, expect, test } from 'vitest'
import { easyNetwork, TestLedger } from '../helpers/ledger.js'
import { never, type Surface, surfaceOf } from '../helpers/surface.js'

const open: { ledger: TestLedger; reorgs: ReorgWatch }[] = []

async function start(
  network = easyNetwork(),
  folder?: string,
): Promise<{ ledger: TestLedger; rpc: Surface; reorgs: ReorgWatch }> {
  const ledger = await TestLedger.open(network, folder)
  const { rpc, reorgs } = await surfaceOf(ledger)
  open.push({ ledger, reorgs })
  return { ledger, rpc, reorgs }
}

afterEach(async () => {
  for (const { ledger, reorgs } of open.splice(0)) {
    await reorgs.stop()
    await ledger.close()
  }
})

async function refusal(work: Promise<unknown>): Promise<Record<string, unknown>> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(Error)
  const { code, message, data } = error as { code: string; message: string; data: object }
  return { code, message, ...data }
}

/** Two ledgers of one network: what `far` mines, `near` hears of when told. */
async function pair() {
  const [near, far] = [await start(), await start()]
  const tell = async () => {
    for (const { node } of far.ledger.steps.filter(({ kind }) => kind === 'connected')) {
      const transactions = far.ledger.store.bodyWithValues(node.hash)
      if (transactions !== undefined) await near.ledger.chain.addBlock({ header: node.header, transactions }, 'far')
    }
    await near.reorgs.idle()
  }
  return { near, far, tell }
}

test('what is read in the middle of reorgs is of one tip', async () => {
  const { near, far, tell } = await pair()
  await near.rpc.kv_put({ key: 'k', value: 'near' }, never)
  await near.ledger.mine(12)
  await far.rpc.kv_put({ key: 'k', value: 'far' }, never)
  await far.ledger.mine(16)
  let isOver = false
  const read = async () => {
    let answers = 0
    while (!isOver) {
      const asked = [near.rpc.kv_get({ key: 'k' }, never), near.rpc.coin_balance({}, never)] as const
      const [entry, balance] = await Promise.allSettled(asked)
      expect(balance.status).toBe('fulfilled')
      if (entry.status === 'rejected') expect(entry.reason).toMatchObject({ code: 'not-found' })
      else {
        const { height = -1, blockHash, confirmations, tip } = entry.value
        expect(blockHash).toMatch(/^[0-9a-f]{64}$/)
        expect(confirmations).toBe(tip.height - height + 1)
        answers++
      }
      await near.ledger.runtime.timers.yield()
    }
    return answers
  }
  const readers = Array.from({ length: 8 }, read)
  await tell()
  isOver = true
  const answers = await Promise.all(readers)
  expect(Math.min(...answers)).toBeGreaterThan(0)
  expect(await near.rpc.kv_get({ key: 'k' }, never)).toMatchObject({ value: 'far' })
})

describe('batches', () => {
  test('all of it, or nothing, and the outcome says which operation it was', async () => {
    const { ledger, rpc } = await start()
    const operations: Params<'kv_batch'>['operations'] = [
      { op: 'put', key: 'a', value: '1' },
      { op: 'put', key: 'a', value: '2', expect: { version: 1 } },
      { op: 'put', key: '00ff', keyEncoding: 'hex', value: '/w==', encoding: 'base64', access: 'open' },
      { op: 'assert', key: 'nothing', expect: { absent: true } },
      { op: 'send', to: (await rpc.coin_balance({}, never)).address, amount: 1 },
    ]
    const { txid } = await rpc.kv_batch({ operations }, never)
    await ledger.mine()
    expect(await rpc.tx_status({ txid }, never)).toMatchObject({ status: 'confirmed', height: 1 })
    expect(await rpc.kv_get({ key: 'a' }, never)).toMatchObject({ value: '2', version: 2 })
    expect(await rpc.kv_get({ key: '00ff', keyEncoding: 'hex' }, never)).toMatchObject({
      value: '/w==',
      writers: 'open',
    })

    const bad = rpc.kv_batch(
      {
        operations: [
          { op: 'put', key: 'b', value: '' },
          { op: 'delete', key: 'none' },
        ],
      },
      never,
    )
    expect(await refusal(bad)).toMatchObject({ code: 'refused', rule: 'no-entry', operation: 1 })
    const access = rpc.kv_access({ key: 'a', access: 'open', expect: { version: 1 } }, never)
    expect(await refusal(access)).toMatchObject({ code: 'refused', rule: 'expectation-failed' })
  })

  test('a write that may wait for so many blocks expires after them', async () => {
    const { ledger, rpc } = await start()
    const receipt = await rpc.kv_put({ key: 'a', value: '1', validFor: 2 }, never)
    expect(receipt.validUntil).toBe(2)
    // Two blocks without it.
    const empty = await start(easyNetwork())
    for (const block of await empty.ledger.mine(2)) await ledger.chain.addBlock(block, 'other')
    expect(await rpc.tx_status({ txid: receipt.txid }, never)).toMatchObject({ status: 'dropped', reason: 'expired' })
  })
})

describe('reads', () => {
  test('as of a height, a hash, the newest block with so many confirmations', async () => {
    const { ledger, rpc } = await start()
    for (const [nonce, value] of ['one', 'two', 'three'].entries()) {
      await ledger.pool(ledger.put('k', value, { from: 1, nonce }))
      await ledger.mine()
    }
    const hash = hex(ledger.chain.nodeAt(1)?.hash ?? new Uint8Array())
    const value = async (params: Omit<Params<'kv_get'>, 'key'>) =>
      (await rpc.kv_get({ key: 'k', ...params }, never)).value
    expect(await value({})).toBe('three')
    expect(await value({ height: 2 })).toBe('two')
    expect(await value({ hash })).toBe('one')
    expect(await value({ minConfirmations: 1 })).toBe('three')
    expect(await value({ minConfirmations: 3 })).toBe('one')
    expect(await refusal(rpc.kv_get({ key: 'k', minConfirmations: 4 }, never))).toMatchObject({
      code: 'not-found',
      height: 0,
    })
    expect(await refusal(rpc.kv_get({ key: 'k', minConfirmations: 5 }, never))).toMatchObject({ code: 'not-found' })
    expect(await refusal(rpc.kv_get({ key: 'k', hash: '0'.repeat(64) }, never))).toMatchObject({
      message: 'no such block',
    })
    expect(await refusal(rpc.kv_get({ key: 'k', hash, height: 1 }, never))).toMatchObject({ code: 'invalid-params' })
  })

  test('each says how likely it is undone, for a share that the caller may set', async () => {
    const { ledger, rpc } = await start()
    await ledger.pool(ledger.put('k', 'v', { from: 1, nonce: 0 }))
    await ledger.mine(4)
    const ordinary = await rpc.kv_get({ key: 'k' }, never)
    expect(ordinary).toMatchObject({ confirmations: 4, settled: true, reversal: { attackerShare: 0.1 } })
    expect(ordinary.reversal.probability).toBe(reversalProbability(0.1, 4))
    const strong = await rpc.kv_get({ key: 'k', attackerShare: 0.3 }, never)
    expect(strong.reversal).toEqual({ attackerShare: 0.3, probability: reversalProbability(0.3, 4) })
  })

  test('pending: own writes at once, in their order', async () => {
    const { ledger, rpc } = await start()
    await rpc.kv_put({ key: 'k', value: 'mined' }, never)
    await ledger.mine()
    expect(await rpc.kv_get({ key: 'k', pending: true }, never)).toMatchObject({ value: 'mined', height: 1 })
    await rpc.kv_put({ key: 'other', value: 'x' }, never)
    await rpc.kv_put({ key: 'k', value: 'second' }, never)
    const { txid } = await rpc.kv_put({ key: 'k', value: 'third' }, never)
    const pending = await rpc.kv_get({ key: 'k', pending: true }, never)
    expect(pending).toMatchObject({ value: 'third', version: 3, txid, pending: true, confirmations: 0 })
    expect(pending.reversal.probability).toBe(1)
    expect(pending.height).toBeUndefined()
    expect(await rpc.kv_get({ key: 'k' }, never)).toMatchObject({ value: 'mined' })
    await rpc.kv_delete({ key: 'k' }, never)
    expect(await refusal(rpc.kv_get({ key: 'k', pending: true }, never))).toMatchObject({
      code: 'not-found',
      deleted: true,
    })
    // Somebody else's pending write is nothing to rely on.
    await ledger.pool(ledger.put('theirs', 'v', { from: 2, nonce: 0 }))
    expect(await refusal(rpc.kv_get({ key: 'theirs', pending: true }, never))).toMatchObject({ code: 'not-found' })
  })

  test('what a write should pay', async () => {
    const { ledger, rpc } = await start(easyNetwork({ minFeePerByte: 1, maxTransactions: 2 }))
    expect(await rpc.coin_fee({ size: 100 }, never)).toMatchObject({ fee: 100, minimum: 100, feePerByte: 1 })
    for (const [nonce, fee] of [300, 280, 260].entries())
      await ledger.pool(ledger.put('k', 'v', { from: 1, nonce, fee }))
    const crowded = await rpc.coin_fee({ size: 100 }, never)
    expect(crowded.fee).toBeGreaterThan(100)
    expect(await rpc.coin_fee({ size: 100, blocks: 10 }, never)).toMatchObject({ fee: 100 })
    expect((await rpc.coin_balance({}, never)).nextNonce).toBe(3)
  })
})

describe('scans', () => {
  const scanAll = async (rpc: Surface, params: Params<'kv_scan'>) => {
    const keys: string[] = []
    let after: string | undefined
    for (let pages = 0; pages < 100; pages++) {
      const page: Result<'kv_scan'> = await rpc.kv_scan({ ...params, ...(after === undefined ? {} : { after }) }, never)
      keys.push(...page.entries.map(({ key }) => key))
      after = page.next?.key
      if (after === undefined) return keys
    }
    throw new Error('a scan without end')
  }

  test('every key once, in the order of its bytes, whatever the size of the pages', async () => {
    const { ledger, rpc } = await start()
    const keys = ['a', 'a/1', 'a/2', 'a/20', 'ab', 'b', 'ä', '\u{10ffff}', 'zz']
    for (const key of keys) await rpc.kv_put({ key, value: `value of ${key}` }, never)
    await ledger.mine()
    const inOrder = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    for (const limit of [1, 2, 3, 100]) expect(await scanAll(rpc, { limit })).toEqual(inOrder)
    expect(await scanAll(rpc, { prefix: 'a/', limit: 2 })).toEqual(['a/1', 'a/2', 'a/20'])
    expect(await scanAll(rpc, { prefix: 'f4', keyEncoding: 'hex' })).toEqual(['f48fbfbf'])
    expect(await scanAll(rpc, { prefix: 'ff', keyEncoding: 'hex' })).toEqual([])
    const [entry] = (await rpc.kv_scan({ prefix: 'b' }, never)).entries
    expect(entry).toMatchObject({ value: 'value of b', encoding: 'utf8', version: 1, height: 1, confirmations: 1 })
  })

  test('deleted keys only when they are asked for; keys only', async () => {
    const { ledger, rpc } = await start()
    for (const key of ['a', 'b', 'c']) await rpc.kv_put({ key, value: 'v' }, never)
    await rpc.kv_delete({ key: 'b' }, never)
    await ledger.mine()
    expect(await scanAll(rpc, { limit: 1 })).toEqual(['a', 'c'])
    expect(await scanAll(rpc, { deleted: true })).toEqual(['a', 'b', 'c'])
    const { entries } = await rpc.kv_scan({ keysOnly: true }, never)
    expect(entries.every(({ value }) => value === undefined)).toBe(true)
  })

  test('a page ends when it has grown large', async () => {
    const { ledger, rpc } = await start()
    const keys = Array.from({ length: 40 }, (_, i) => `big/${i + 10}`)
    for (const key of keys) await rpc.kv_put({ key, value: 'x'.repeat(60_000) }, never)
    await ledger.mine()
    const { entries, next } = await rpc.kv_scan({ prefix: 'big/', limit: 1_000 }, never)
    expect(entries.length).toBeLessThan(20)
    expect(next?.key).toBe(entries.at(-1)?.key)
    expect(await scanAll(rpc, { prefix: 'big/', limit: 1_000 })).toEqual(keys)
  })

  test('bad questions', async () => {
    const { rpc } = await start()
    expect(await refusal(rpc.kv_scan({ prefix: 'x', after: 'y' }, never))).toMatchObject({ code: 'invalid-params' })
    expect(await refusal(rpc.kv_scan({ prefix: 'xyz', keyEncoding: 'hex' }, never))).toMatchObject({ field: 'prefix' })
    expect(await refusal(rpc.kv_scan({ prefix: 'x'.repeat(513) }, never))).toMatchObject({ field: 'prefix' })
  })
})

describe('watches', () => {
  const told = (page: Result<'kv_watch'>) =>
    page.events.map(({ kind, key, version, height, value }) =>
      [kind, key, version, height, ...(value === undefined ? [] : [value])].join(' '),
    )

  /** All that there is to tell from a cursor on. */
  async function drain(rpc: Surface, params: Params<'kv_watch'>): Promise<{ told: string[]; cursor: string }> {
    const all: string[] = []
    let { cursor } = params
    for (let i = 0; i < 100; i++) {
      const { cursor: _old, fromHeight, ...others } = params
      const begin = cursor !== undefined ? { cursor } : fromHeight !== undefined ? { fromHeight } : {}
      const page = await rpc.kv_watch({ ...others, ...begin, timeoutMs: 0 }, never)
      all.push(...told(page))
      if (page.cursor === cursor && page.events.length === 0) return { told: all, cursor }
      cursor = page.cursor
    }
    throw new Error('a watch without end')
  }

  test('put, delete, access, several in one block; other keys are not told', async () => {
    const { ledger, rpc } = await start()
    const begin = await rpc.kv_watch({ prefix: 'a/', timeoutMs: 0 }, never)
    expect(begin.events).toEqual([])
    const waiting = rpc.kv_watch({ prefix: 'a/', cursor: begin.cursor }, never)
    await rpc.kv_put({ key: 'a/1', value: 'one' }, never)
    await rpc.kv_put({ key: 'b/1', value: 'no' }, never)
    await rpc.kv_put({ key: 'a/1', value: 'two' }, never)
    await rpc.kv_access({ key: 'a/1', access: 'open' }, never)
    await ledger.mine()
    const page = await waiting
    expect(told(page)).toEqual(['put a/1 1 1 one', 'put a/1 2 1 two', 'access a/1 3 1'])
    await rpc.kv_delete({ key: 'a/1' }, never)
    await ledger.mine()
    expect(told(await rpc.kv_watch({ prefix: 'a/', cursor: page.cursor }, never))).toEqual(['delete a/1 4 2'])
    expect((await drain(rpc, { key: 'a/1', fromHeight: 1 })).told).toHaveLength(4)
    expect((await drain(rpc, { key: 'a/1', fromHeight: 2 })).told).toEqual(['delete a/1 4 2'])
  })

  test('a failed write is not told', async () => {
    const { ledger, rpc } = await start()
    await ledger.pool(ledger.put('k', 'theirs', { from: 2, nonce: 0 }))
    await ledger.pool(ledger.put('k', 'mine', { from: 1, nonce: 0 }))
    await ledger.mine()
    expect((await drain(rpc, { fromHeight: 1 })).told).toEqual(['put k 1 1 theirs'])
  })

  test('a reorg takes back what it takes, last first, then tells what came instead; the cursor outlives a restart', async () => {
    const { near, far, tell } = await pair()
    const begin = await near.rpc.kv_watch({ timeoutMs: 0 }, never)
    await near.rpc.kv_put({ key: 'k', value: 'near 1' }, never)
    await near.ledger.mine()
    await near.rpc.kv_put({ key: 'k', value: 'near 2' }, never)
    await near.ledger.mine()
    const first = await drain(near.rpc, { cursor: begin.cursor })
    expect(first.told).toEqual(['put k 1 1 near 1', 'put k 2 2 near 2'])

    await far.ledger.pool(far.ledger.put('k', 'far', { from: 2, nonce: 0 }))
    await far.ledger.mine(4)
    await tell()
    const after = ['retracted k 2 2', 'retracted k 1 1', 'put k 1 1 far']
    expect((await drain(near.rpc, { cursor: first.cursor })).told).toEqual(after)

    // The daemon starts again, and the client still has the cursor of the lost branch.
    await near.reorgs.stop()
    open.splice(
      open.findIndex(({ ledger }) => ledger === near.ledger),
      1,
    )
    await near.ledger.leave()
    const again = await start(near.ledger.network, near.ledger.folder)
    expect((await drain(again.rpc, { cursor: first.cursor })).told).toEqual(after)
  })

  test('settled: each version once, and again only if a reorg took it', async () => {
    const { near, far, tell } = await pair()
    const begin = await near.rpc.kv_watch({ timeoutMs: 0 }, never)
    await near.rpc.kv_put({ key: 'k', value: 'v' }, never)
    await near.ledger.mine(2)
    const first = await drain(near.rpc, { cursor: begin.cursor, settled: true })
    expect(first.told).toEqual(['put k 1 1 v'])
    await near.ledger.mine()
    const second = await drain(near.rpc, { cursor: first.cursor, settled: true })
    expect(second.told).toEqual(['settled k 1 1'])
    await near.ledger.mine(2)
    expect((await drain(near.rpc, { cursor: second.cursor, settled: true })).told).toEqual([])

    await far.ledger.pool(far.ledger.put('k', 'far', { from: 2, nonce: 0 }))
    await far.ledger.mine(7)
    await tell()
    expect((await drain(near.rpc, { cursor: second.cursor, settled: true })).told).toEqual([
      'retracted k 1 1',
      'put k 1 1 far',
      'settled k 1 1',
    ])
    expect((await drain(near.rpc, { cursor: second.cursor })).told).toEqual(['retracted k 1 1', 'put k 1 1 far'])
  })

  test('waits no longer than it is told to; ends with its caller; bad questions', async () => {
    const { rpc } = await start()
    const page = await rpc.kv_watch({ key: 'k', timeoutMs: 20 }, never)
    expect(page.events).toEqual([])
    const controller = new AbortController()
    const waiting = rpc.kv_watch({ key: 'k', cursor: page.cursor }, { signal: controller.signal })
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' })
    expect(await refusal(rpc.kv_watch({ cursor: 'x' }, never))).toMatchObject({ field: 'cursor' })
    expect(await refusal(rpc.kv_watch({ cursor: `0.${'1'.repeat(64)}` }, never))).toMatchObject({ code: 'not-found' })
    expect(await refusal(rpc.kv_watch({ fromHeight: 9 }, never))).toMatchObject({ code: 'not-found' })
    expect(await refusal(rpc.kv_watch({ key: 'a', prefix: 'b' }, never))).toMatchObject({ field: 'key' })
  })
})

test('what is pending: everything in the order in which it came, or one account’s', async () => {
  const { ledger, rpc } = await start()
  const { txid } = await rpc.kv_put({ key: 'a', value: '1' }, never)
  const theirs = ledger.put('b', '2', { from: 2, nonce: 0 })
  await ledger.pool(theirs)
  const all = await rpc.tx_pending({}, never)
  expect(all).toMatchObject({
    count: 2,
    transactions: [
      { txid, own: true },
      { txid: hex(theirs.txid), own: false },
    ],
  })
  expect(all.bytes).toBe(all.transactions.reduce((sum, { size }) => sum + size, 0))
  const sender = all.transactions[1]?.sender ?? ''
  expect((await rpc.tx_pending({ sender }, never)).transactions).toHaveLength(1)
  expect((await rpc.tx_pending({ limit: 1 }, never)).transactions).toHaveLength(1)
  await ledger.mine()
  expect(await rpc.tx_pending({}, never)).toEqual({ transactions: [], count: 0, bytes: 0 })
})

describe('the life of a transaction', () => {
  test('accepted, in a block, settled; sending it again is harmless at any time', async () => {
    const { ledger, rpc } = await start()
    const transaction = ledger.put('k', 'v', { from: 1, nonce: 0 })
    const text = { transaction: toHex(encodeTransaction(transaction)) }
    const { txid, status } = await rpc.tx_submit(text, never)
    expect(status).toBe('pending')
    expect(await rpc.tx_submit(text, never)).toMatchObject({ txid, status: 'pending' })
    const accepted = await rpc.tx_follow({ txid }, never)
    expect(accepted).toMatchObject({ status: 'pending', final: false })
    const next = rpc.tx_follow({ txid, seen: accepted.state }, never)
    await ledger.mine()
    const included = await next
    expect(included).toMatchObject({ status: 'confirmed', height: 1, settled: false, final: false })
    expect(await rpc.tx_submit(text, never)).toMatchObject({ txid, status: 'confirmed' })
    // One more confirmation is no other state.
    await ledger.mine()
    expect(await rpc.tx_follow({ txid, seen: included.state, timeoutMs: 10 }, never)).toMatchObject({
      confirmations: 2,
    })
    const last = rpc.tx_follow({ txid, seen: included.state }, never)
    await ledger.mine()
    expect(await last).toMatchObject({ status: 'confirmed', settled: true, final: true })
  })

  test('its bytes and those of its block can be had, and checked by themselves', async () => {
    const { ledger, rpc } = await start()
    const transaction = ledger.put('k', 'v', { from: 1, nonce: 0 })
    const bytes = toHex(encodeTransaction(transaction))
    const { txid } = await rpc.tx_submit({ transaction: bytes }, never)
    expect((await rpc.tx_get({ txid }, never)).raw).toBeUndefined()
    expect((await rpc.tx_get({ txid, raw: true }, never)).raw).toBe(bytes)
    await ledger.mine()
    expect((await rpc.tx_get({ txid, raw: true }, never)).raw).toBe(bytes)
    const { raw = '', hash, size } = await rpc.chain_block({ height: 1, raw: true }, never)
    const block = decodeBlock(unhex(raw), sha256, ledger.genesis.hash)
    expect(hex(headerHash(sha256, block.header))).toBe(hash)
    expect(blockSize(block)).toBe(size)
    expect(block.transactions.map((included) => toHex(encodeTransaction(included.transaction)))).toEqual([bytes])
    expect((await rpc.chain_block({ hash }, never)).raw).toBeUndefined()
    await expect(rpc.chain_block({ height: 1, hash }, never)).rejects.toMatchObject({ code: 'invalid-params' })
  })

  test('what breaks several rules is refused by the first of them', async () => {
    const { ledger, rpc } = await start()
    const [good, other] = ['v', 'w'].map((value) => ledger.put('k', value, { from: 1, nonce: 0 }))
    if (good === undefined || other === undefined) throw new Error('two were made')
    const { signature, values } = other
    const submit = (spoilt: Partial<Transaction>) =>
      rpc.tx_submit({ transaction: toHex(encodeTransaction({ ...good, ...spoilt })) }, never)
    await expect(submit({ signature, values })).rejects.toMatchObject({ code: 'tx-value-digest' })
    await expect(submit({ signature })).rejects.toMatchObject({ code: 'tx-signature' })
    expect(await rpc.tx_pending({}, never)).toMatchObject({ count: 0 })
  })

  test('reorged out and back; replaced; a failure with operation and reason', async () => {
    const { near, far, tell } = await pair()
    const { txid } = await near.rpc.kv_put({ key: 'k', value: 'v' }, never)
    await near.ledger.mine()
    const included = await near.rpc.tx_follow({ txid }, never)
    await far.ledger.mine(2)
    await tell()
    const out = await near.rpc.tx_follow({ txid, seen: included.state }, never)
    expect(out).toMatchObject({ status: 'pending', reorgedOut: { height: 1, blockHash: included.blockHash } })
    await near.ledger.mine()
    const back = await near.rpc.tx_follow({ txid, seen: out.state }, never)
    expect(back).toMatchObject({ status: 'confirmed', height: 3 })
    expect(back.reorgedOut).toBeUndefined()

    const { ledger, rpc } = near
    const cheap = ledger.put('r', '1', { from: 2, nonce: 0, fee: 1 })
    await ledger.pool(cheap)
    await ledger.pool(ledger.put('r', '2', { from: 2, nonce: 0, fee: 5 }))
    expect(await rpc.tx_follow({ txid: hex(cheap.txid) }, never)).toMatchObject({
      status: 'dropped',
      reason: 'replaced',
      final: true,
    })
    await ledger.pool(ledger.put('k', 'not mine', { from: 3, nonce: 0 }))
    await ledger.mine()
    const failed = ledger.chain.store.body(ledger.chain.tip.hash)?.find(({ outcome }) => outcome.code !== 'ok')
    const status = await rpc.tx_follow({ txid: hex(failed?.transaction.txid ?? new Uint8Array(32)) }, never)
    expect(status).toMatchObject({ status: 'failed', outcome: { code: 'not-owner', operation: 0 } })
    expect(await rpc.tx_follow({ txid: '0'.repeat(64), timeoutMs: 0 }, never)).toMatchObject({ status: 'unknown' })
  })
})

describe('the rewrite alarm', () => {
  test('says which keys lost which versions, and what stands there instead; kept over a restart', async () => {
    const { near, far, tell } = await pair()
    const lost = await near.rpc.kv_put({ key: 'lost', value: '1' }, never)
    await near.ledger.mine()
    const replaced = await near.rpc.kv_put({ key: 'replaced', value: '1' }, never)
    await near.ledger.mine()
    const same = far.ledger.put('same', 'v', { from: 2, nonce: 0 })
    await near.ledger.pool(same)
    await near.ledger.mine()
    const other = far.ledger.put('replaced', 'far', { from: 3, nonce: 0 })
    await far.ledger.pool(same, other)
    await far.ledger.mine(5)
    const heard: unknown[] = []
    near.reorgs.reorgs.add((reorg) => heard.push(reorg.number))
    await tell()
    const { reorgs } = await near.rpc.chain_reorgs({}, never)
    expect(reorgs).toHaveLength(1)
    expect(heard).toEqual([1])
    expect(reorgs[0]).toMatchObject({
      number: 1,
      depth: 3,
      alarm: true,
      lostCount: 2,
      fork: { height: 0 },
      from: { height: 3 },
    })
    expect(reorgs[0]?.lost).toEqual([
      { key: 'lost', keyEncoding: 'utf8', version: 1, txid: lost.txid },
      { key: 'replaced', keyEncoding: 'utf8', version: 1, txid: replaced.txid, replacedBy: hex(other.txid) },
    ])

    await near.reorgs.stop()
    open.splice(
      open.findIndex(({ ledger }) => ledger === near.ledger),
      1,
    )
    await near.ledger.leave()
    const again = await start(near.ledger.network, near.ledger.folder)
    expect((await again.rpc.chain_reorgs({ limit: 5 }, never)).reorgs).toEqual(reorgs)
    expect((await again.rpc.chain_reorgs({ before: 1 }, never)).reorgs).toEqual([])
  })

  test('a reorg below the depth is recorded, and rings nothing', async () => {
    const { near, far, tell } = await pair()
    await near.ledger.mine()
    // By another miner: the same block at the same millisecond would be no reorg.
    await far.ledger.mine(2, 8)
    await tell()
    const [reorg] = (await near.rpc.chain_reorgs({}, never)).reorgs
    expect(reorg).toMatchObject({ depth: 1, alarm: false, lost: [], lostCount: 0 })
  })
})
