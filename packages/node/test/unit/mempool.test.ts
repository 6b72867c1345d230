/**
 * The mempool on a real ledger: nonce queues, fee order, bounds, replacement, expiry, and what blocks and reorgs do to it. And the own
 * transactions: journalled, back after a restart and from lost branches, forgotten when settled long ago.
 */
import { rmSync } from 'node:fs'
import { TxError } from '@kvchain/core/checks'
import { type Transaction, transactionSize } from '@kvchain/core/transaction'
import { PoolError } from '@kvchain/node/mempool/errors'
import { LIMITS } from '@kvchain/node/mempool/mempool'
import { selectTransactions } from '@kvchain/node/mempool/selection'
import { hex } from '@kvchain/node/runtime/hex'
import { afterEach, describe, expect, test } from 'vitest'
import { account, easyNetwork, TestLedger } from '../helpers/ledger.js'

const open: TestLedger[] = []

async function ledger(...args: Parameters<typeof easyNetwork>): Promise<TestLedger> {
  const made = await TestLedger.open(easyNetwork(...args))
  open.push(made)
  return made
}

afterEach(async () => {
  for (const made of open.splice(0)) await made.close()
})

async function verdict(a: TestLedger, transaction: Transaction): Promise<string> {
  const [result] = await a.mempool.addAll([transaction])
  return result instanceof TxError || result instanceof PoolError ? result.code : 'taken'
}

function selected(a: TestLedger): string[] {
  return [...selectTransactions(a.mempool, new Map())].map(({ txid }) => txid)
}

const txids = (...transactions: Transaction[]) => transactions.map(({ txid }) => hex(txid))

describe('what is taken', () => {
  test('one of each kind', async () => {
    const a = await ledger()
    const good = a.put('k', 'v', { from: 1, nonce: 0 })
    expect(await verdict(a, good)).toBe('taken')
    expect(await verdict(a, good)).toBe('pool-known')
    const forged = { ...a.put('k', 'w', { from: 1, nonce: 1 }), signature: good.signature }
    expect(await verdict(a, forged)).toBe('tx-signature')
    expect(await verdict(a, a.put('k', 'v', { from: 1, nonce: LIMITS.gap + 2 }))).toBe('pool-gap')
    expect(await verdict(a, a.put('k', 'v', { from: 1, nonce: 1, fee: 1_001 }))).toBe('tx-balance')
    await a.mine()
    expect(await verdict(a, good)).toBe('pool-known')
    expect(await verdict(a, a.put('other', 'v', { from: 1, nonce: 0 }))).toBe('tx-nonce-used')
    expect(await verdict(a, a.put('k', 'v', { from: 2, nonce: 0, validUntil: 1 }))).toBe('tx-expired')
  })

  test('a network with fees refuses what pays too little', async () => {
    const a = await ledger({ minFeePerByte: 1 })
    expect(await verdict(a, a.put('k', 'v', { from: 1, nonce: 0, fee: 10 }))).toBe('tx-fee')
    expect(await verdict(a, a.put('k', 'v', { from: 1, nonce: 0, fee: 500 }))).toBe('taken')
    expect(await verdict(a, a.put('k', 'v', { from: 1, nonce: 1, fee: 600 }))).toBe('tx-balance')
  })

  test('the signature is checked once: a block of pooled transactions needs no other check', async () => {
    const a = await ledger()
    const transaction = a.put('k', 'v', { from: 1, nonce: 0 })
    await a.pool(transaction)
    expect(a.mempool.isVerified(transaction)).toBe(true)
    expect(a.mempool.isVerified({ ...transaction, signature: new Uint8Array(64) })).toBe(false)
  })
})

describe('queues', () => {
  test('out of order in, in order out; a gap holds back what follows', async () => {
    const a = await ledger()
    const [t0, t1, t3] = [0, 1, 3].map((nonce) => a.put('k', `${nonce}`, { from: 1, nonce }))
    if (!(t0 && t1 && t3)) throw new TypeError('unreachable')
    await a.pool(t3, t1)
    expect(selected(a)).toEqual([])
    expect(a.mempool.nextNonce(account(1).publicKey)).toBe(0)
    await a.pool(t0)
    expect(selected(a)).toEqual(txids(t0, t1))
    expect(a.mempool.nextNonce(account(1).publicKey)).toBe(2)
    await a.mine()
    expect(a.mempool.size).toBe(1)
  })

  test('higher fee per byte first, then first come first served, nonces in order', async () => {
    const a = await ledger()
    const cheap = a.put('a', '1', { from: 1, nonce: 0, fee: 1 })
    const dear = a.put('b', '1', { from: 2, nonce: 0, fee: 50 })
    const dearButSecond = a.put('c', '1', { from: 1, nonce: 1, fee: 90 })
    const equal = a.put('d', '1', { from: 3, nonce: 0, fee: 1 })
    await a.pool(cheap, dear, dearButSecond, equal)
    expect(selected(a)).toEqual(txids(dear, cheap, dearButSecond, equal))
  })

  test('replacement takes a tenth more', async () => {
    const a = await ledger()
    const first = a.put('k', '1', { from: 1, nonce: 0, fee: 100 })
    await a.pool(first)
    expect(await verdict(a, a.put('k', '2', { from: 1, nonce: 0, fee: 109 }))).toBe('pool-replacement')
    const second = a.put('k', '2', { from: 1, nonce: 0, fee: 110 })
    expect(await verdict(a, second)).toBe('taken')
    expect(selected(a)).toEqual(txids(second))
    expect(a.mempool.fateOf(hex(first.txid))).toBe('replaced')
    expect(a.mempool.size).toBe(1)
  })

  test('one account cannot hold more than its share, and a full pool takes from whoever holds most', async () => {
    const a = await TestLedger.open(easyNetwork(), undefined, { ...LIMITS, transactions: 6, perAccount: 5 })
    open.push(a)
    const many = [0, 1, 2, 3, 4].map((nonce) => a.put('k', 'v', { from: 1, nonce }))
    await a.pool(...many)
    expect(await verdict(a, a.put('k', 'v', { from: 1, nonce: 5 }))).toBe('pool-account-full')
    await a.pool(a.put('l', 'v', { from: 2, nonce: 0 }), a.put('m', 'v', { from: 3, nonce: 0 }))
    expect(a.mempool.size).toBe(6)
    expect(a.mempool.fateOf(hex(many[4]?.txid ?? new Uint8Array(0)))).toBe('pool-full')
    expect(await verdict(a, a.put('k', 'v', { from: 1, nonce: 4 }))).toBe('pool-full')
    expect(selected(a)).toHaveLength(6)
  })

  test('what an account’s others wait for takes the place of the last of them', async () => {
    for (const bounds of [{ perAccount: 2 }, { transactions: 2 }]) {
      const a = await TestLedger.open(easyNetwork(), undefined, { ...LIMITS, ...bounds })
      open.push(a)
      const [first, second, third] = [0, 1, 2].map((nonce) => a.put('k', 'v', { from: 1, nonce }))
      if (first === undefined || second === undefined || third === undefined) throw new TypeError('there are three')
      await a.pool(second, third)
      expect(selected(a)).toEqual([])
      expect(await verdict(a, first)).toBe('taken')
      expect(selected(a)).toEqual(txids(first, second))
      expect(a.mempool.fateOf(hex(third.txid))).toBe('pool-full')
      expect(await verdict(a, third)).toBe(bounds.perAccount === undefined ? 'pool-full' : 'pool-account-full')
    }
  })

  test('what pays more is not pushed out by what pays less', async () => {
    const a = await TestLedger.open(easyNetwork(), undefined, { ...LIMITS, transactions: 2 })
    open.push(a)
    await a.pool(a.put('k', 'v', { from: 1, nonce: 0, fee: 5 }), a.put('k', 'v', { from: 1, nonce: 1, fee: 5 }))
    expect(await verdict(a, a.put('l', 'v', { from: 2, nonce: 0, fee: 1 }))).toBe('pool-full')
    expect(await verdict(a, a.put('l', 'v', { from: 2, nonce: 0, fee: 9 }))).toBe('taken')
  })

  test('what nobody mines for hours is dropped', async () => {
    const a = await TestLedger.open(easyNetwork(), undefined, { ...LIMITS, maxAgeMs: -1 })
    open.push(a)
    const transaction = a.put('k', 'v', { from: 1, nonce: 0 })
    await a.pool(transaction)
    await a.own.submit(a.put('l', 'v', { from: 2, nonce: 0 }))
    a.mempool.expire()
    expect(a.mempool.fateOf(hex(transaction.txid))).toBe('too-old')
    expect(a.mempool.size).toBe(1)
  })
})

describe('following the chain', () => {
  test('what a lost branch held comes back as far as there is room', async () => {
    const limits = { ...LIMITS, transactions: 2 }
    const [a, b] = [await TestLedger.open(easyNetwork(), undefined, limits), await ledger()]
    open.push(a)
    await a.pool(a.put('k', 'v', { from: 1, nonce: 0 }), a.put('k', 'w', { from: 1, nonce: 1 }))
    await a.mine()
    await a.pool(a.put('l', 'v', { from: 2, nonce: 0 }), a.put('m', 'v', { from: 3, nonce: 0 }))
    for (const block of await b.mine(2)) await a.chain.addBlock(block, 'test')
    expect(a.tipHash).toBe(b.tipHash)
    expect(a.mempool.size).toBe(2)
  })

  test('a rival with the same account nonce is dropped when the other is included', async () => {
    const [a, b] = [await ledger(), await ledger()]
    const mine = a.put('k', 'a', { from: 1, nonce: 0 })
    const theirs = b.put('k', 'b', { from: 1, nonce: 0 })
    await a.pool(mine)
    await b.pool(theirs)
    const [block] = await b.mine()
    if (block !== undefined) await a.chain.addBlock(block, 'b')
    expect(a.mempool.size).toBe(0)
    expect(a.mempool.fateOf(hex(mine.txid))).toBe('nonce-used')
  })

  test('what expires is dropped', async () => {
    const a = await ledger({ maxTransactions: 1 })
    const late = a.put('l', '1', { from: 2, nonce: 0, validUntil: 1 })
    await a.pool(a.put('k', '1', { from: 1, nonce: 0, fee: 9 }), late)
    await a.mine()
    expect(a.mempool.fateOf(hex(late.txid))).toBe('expired')
    expect(a.mempool.size).toBe(0)
  })

  test('who can no longer pay loses the last', async () => {
    const a = await ledger()
    const spend = a.sign([{ kind: 'transfer', to: account(4).publicKey, amount: 900 }], [], {
      from: 1,
      nonce: 0,
      fee: 1,
    })
    const first = a.put('k', '1', { from: 1, nonce: 1, fee: 60 })
    const second = a.put('k', '2', { from: 1, nonce: 2, fee: 60 })
    await a.pool(spend)
    const block = await a.solve()
    await a.pool(first, second)
    await a.chain.addBlock(block, 'test')
    expect(a.mempool.fateOf(hex(second.txid))).toBe('cannot-pay')
    expect(selected(a)).toEqual(txids(first))
  })

  test('a block holds no more than the network lets it, and nothing twice', async () => {
    const a = await ledger({ maxTransactions: 3 })
    for (const from of [1, 2, 3]) {
      await a.pool(...[0, 1].map((nonce) => a.put(`k${from}`, 'v', { from, nonce })))
    }
    const blocks = await a.mine(2)
    expect(blocks.map(({ transactions }) => transactions.length)).toEqual([3, 3])
    expect(a.mempool.size).toBe(0)
  })

  test('a template grows with what comes, without executing the rest again', async () => {
    const a = await ledger()
    await a.pool(a.put('k', '1', { from: 1, nonce: 0 }))
    await a.solve()
    await a.pool(a.put('k', '2', { from: 1, nonce: 1 }), a.put('m', '1', { from: 2, nonce: 0 }))
    const block = await a.solve()
    expect(block.transactions).toHaveLength(3)
    expect(await a.chain.addBlock(block, 'test')).toBe('connected')
    expect(a.get('k')).toBe('2')
  })
})

describe('own transactions', () => {
  /** The txids in the journal, in order. */
  async function journalled(a: TestLedger): Promise<string[]> {
    const found: string[] = []
    for await (const { key } of a.database.scan('journal')) found.push(hex(key).slice(2))
    return found
  }

  test('are heard of by nobody before they are on disk, and their account nonces given to nobody else', async () => {
    const a = await ledger()
    const { publicKey } = account(1)
    const own = [0, 1, 3].map((nonce) => a.put('k', `${nonce}`, { from: 1, nonce }))
    const heard: string[] = []
    a.mempool.added.add(({ txid }) => heard.push(txid))
    const next: number[] = []
    const taken = own.map((transaction) => {
      const promise = a.own.submit(transaction)
      next.push(a.own.nextNonce(publicKey))
      return promise
    })
    expect(a.own.submit(own[0] ?? expect.fail())).toBe(taken[0])
    expect({ next, heard, size: a.mempool.size, others: a.own.nextNonce(account(2).publicKey) }).toEqual({
      ...{ next: [1, 2, 2], heard: [], size: 0, others: 0 },
    })
    await Promise.all(taken)
    expect(heard).toEqual(txids(...own))
    expect(await journalled(a)).toEqual(txids(...own).sort())
    const between = a.own.submit(a.put('k', '2', { from: 1, nonce: 2 }))
    expect(a.own.nextNonce(publicKey)).toBe(4)
    await between
    expect([a.own.nextNonce(publicKey), a.mempool.nextNonce(publicKey)]).toEqual([4, 4])
  })

  test('are as if never sent when the disk does not take them', async () => {
    const a = await ledger()
    open.pop()
    await a.leave()
    const transaction = a.put('k', 'v', { from: 1, nonce: 0 })
    await expect(a.own.submit(transaction)).rejects.toMatchObject({ code: expect.stringMatching(/^store-/) })
    expect([a.own.has(hex(transaction.txid)), a.mempool.size]).toEqual([false, 0])
    rmSync(a.folder, { recursive: true })
  })

  test('are own, too, when others bring them while they are written', async () => {
    const a = await ledger()
    const transaction = a.put('k', 'v', { from: 1, nonce: 0 })
    const taken = a.own.submit(transaction)
    a.mempool.addLocal(transaction)
    await taken
    expect(a.own.waiting()).toEqual([transaction])
    expect(await journalled(a)).toEqual(txids(transaction))
  })

  test('are refused, and forgotten, when their account nonce is taken while they are written', async () => {
    const a = await ledger()
    const transaction = a.put('k', 'v', { from: 1, nonce: 0 })
    const taken = a.own.submit(transaction)
    a.mempool.addLocal(a.put('k', 'w', { from: 1, nonce: 0, fee: 5 }))
    await expect(taken).rejects.toMatchObject({ code: 'pool-replacement' })
    expect(a.own.has(hex(transaction.txid))).toBe(false)
    expect(await journalled(a)).toEqual([])
  })

  test('are waited for when it stops', async () => {
    const a = await ledger()
    open.pop()
    const taken = a.own.submit(a.put('k', 'v', { from: 1, nonce: 0 }))
    const b = await a.reopen()
    open.push(b)
    await taken
    expect(b.own.waiting()).toHaveLength(1)
  })

  test('come back after a restart, in order, until a block holds them', async () => {
    const a = await ledger()
    open.pop()
    for (const nonce of [0, 1, 2]) await a.own.submit(a.put('k', `${nonce}`, { from: 1, nonce }))
    const b = await a.reopen()
    expect(b.mempool.size).toBe(3)
    await b.mine(2)
    expect(b.get('k')).toBe('2')
    const c = await b.reopen()
    open.push(c)
    expect(c.mempool.size).toBe(0)
    expect(c.own.waiting()).toEqual([])
  })

  test('are kept when they are settled, and forgotten from the lowest block on when they are too many', async () => {
    const a = await ledger()
    open.pop()
    const own = [0, 1, 2, 3].map((nonce) => a.put('k', `${nonce}`, { from: 1, nonce }))
    for (const transaction of own) {
      await a.own.submit(transaction)
      await a.mine()
    }
    await a.mine(2)
    await a.own.onTip(a.chain.tip.header.height)
    expect(await journalled(a)).toEqual(txids(...own).sort())
    await a.leave()
    const bytes = 2 * transactionSize(own[0] ?? expect.fail())
    for (const [kept, left] of [
      [{ transactions: 3, bytes: 2 * bytes }, own.slice(1)],
      [{ transactions: 3, bytes }, own.slice(2)],
      [{ transactions: 0, bytes }, []],
    ] as const) {
      const b = await TestLedger.open(a.network, a.folder, LIMITS, 1 << 20, kept)
      open.push(b)
      expect(await journalled(b)).toEqual(txids(...left).sort())
      await b.leave()
      open.pop()
    }
    rmSync(a.folder, { recursive: true })
  })

  test('are not dropped for others, however full it is: their account nonces would be given out again', async () => {
    const a = await TestLedger.open(easyNetwork(), undefined, { ...LIMITS, transactions: 3 })
    open.push(a)
    const own = [0, 1].map((nonce) => a.put('k', 'v', { from: 1, nonce }))
    for (const transaction of own) await a.own.submit(transaction)
    expect(await verdict(a, a.put('l', 'v', { from: 2, nonce: 0, fee: 100 }))).toBe('taken')
    expect(await verdict(a, a.put('m', 'v', { from: 3, nonce: 0, fee: 90 }))).toBe('pool-full')
    expect(await verdict(a, a.put('m', 'v', { from: 3, nonce: 0, fee: 900 }))).toBe('taken')
    expect(selected(a).sort()).toEqual(txids(a.put('m', 'v', { from: 3, nonce: 0, fee: 900 }), ...own).sort())
    expect(a.mempool.nextNonce(account(1).publicKey)).toBe(2)
  })

  test('are not forgotten for want of room', async () => {
    const a = await ledger()
    const transaction = a.put('k', 'v', { from: 1, nonce: 0 })
    await a.own.submit(transaction)
    await a.leave()
    const full = await TestLedger.open(a.network, a.folder, { ...LIMITS, transactions: 0 })
    for (let height = 1; height <= 5; height++) {
      await full.mine()
      await full.own.onTip(height)
    }
    await full.leave()
    const again = await TestLedger.open(a.network, a.folder)
    open.push(again)
    expect(selected(again)).toEqual(txids(transaction))
  })

  test('come back from a lost branch even into a full pool, and are still own', async () => {
    const limits = { ...LIMITS, transactions: 1, maxAgeMs: -1 }
    const [a, b] = [await TestLedger.open(easyNetwork(), undefined, limits), await ledger()]
    open.push(a)
    const [first, second] = [a.put('k', 'v', { from: 1, nonce: 0 }), a.put('l', 'v', { from: 2, nonce: 0 })]
    await a.own.submit(first)
    await a.mine()
    await a.own.submit(second)
    for (const block of await b.mine(2)) await a.chain.addBlock(block, 'test')
    a.mempool.expire()
    expect(selected(a).sort()).toEqual(txids(first, second).sort())
  })

  test('come back from a lost branch on which they were settled, even into a full pool', async () => {
    const limits = { ...LIMITS, transactions: 1 }
    const [a, b] = [await TestLedger.open(easyNetwork(), undefined, limits), await ledger()]
    open.push(a)
    const [first, second] = [a.put('k', 'v', { from: 1, nonce: 0 }), a.put('l', 'v', { from: 2, nonce: 0 })]
    await a.own.submit(first)
    await a.mine(a.network.policy.settleDepth)
    await a.own.onTip(a.chain.tip.header.height)
    await a.own.submit(second)
    for (const block of await b.mine(a.network.policy.settleDepth + 1)) await a.chain.addBlock(block, 'b')
    expect(a.get('k')).toBeUndefined()
    expect(selected(a).sort()).toEqual(txids(first, second).sort())
    expect(a.mempool.nextNonce(account(1).publicKey)).toBe(1)
  })

  test('survive the branch that held them', async () => {
    const [a, b] = [await ledger(), await ledger()]
    const transaction = a.put('k', 'a', { from: 1, nonce: 0 })
    await a.own.submit(transaction)
    await a.mine(1, 8)
    for (const block of await b.mine(2, 9)) await a.chain.addBlock(block, 'b')
    expect(a.get('k')).toBeUndefined()
    expect(a.own.waiting().map(({ txid }) => hex(txid))).toEqual(txids(transaction))
    await a.mine()
    expect(a.get('k')).toBe('a')
  })
})
