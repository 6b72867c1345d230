import type { Account } from '@kvchain/core/entry'
import { checkHeaderContext, checkHeaderTime, checkIncludable, minimumFee } from '@kvchain/core/rules'
import { transactionSize } from '@kvchain/core/transaction'
import { describe, expect, it } from 'vitest'
import {
  codeOf,
  hex,
  makeHeader,
  makeTransaction,
  put,
  type Terms,
  testAccount,
  testNetwork,
  thrownBy,
} from './helpers.js'

const { params } = testNetwork()
const alice = testAccount('alice')

describe('rules 5.3 to 5.5', () => {
  const grandparent = makeHeader({ height: 8, timestampMs: 990 })
  const parent = makeHeader({ height: 9, timestampMs: 1_000 })
  const good = makeHeader({ height: 10, timestampMs: 1_001, target: params.initialTarget })
  const context = { parent, grandparent }

  it('let a good header pass', () => {
    checkHeaderContext(params, good, context)
  })

  it('5.3: the height is one more than the parent’s', () => {
    for (const height of [0, 8, 9, 11, 2 ** 32 - 1]) {
      const error = thrownBy(() => checkHeaderContext(params, { ...good, height }, context))
      expect(error).toMatchObject({ code: 'block-height', data: { height } })
    }
  })

  it('5.4: the target is that of the rule, neither harder nor easier', () => {
    for (const target of ['0f'.padEnd(63, 'f').padEnd(64, 'e'), '10'.padEnd(64, '0')]) {
      const error = thrownBy(() => checkHeaderContext(params, { ...good, target: hex(target) }, context))
      expect(error).toMatchObject({ code: 'block-target', data: { height: 10 } })
    }
    const moving = testNetwork({ targetRule: 'relative-exponential' }).params
    expect(codeOf(() => checkHeaderContext(moving, good, context))).toBe('block-target')
    checkHeaderContext(moving, good, { ...context, grandparent: undefined })
  })

  it('5.5: the timestamp is above the parent’s', () => {
    for (const timestampMs of [0, 990, 999, 1_000]) {
      const error = thrownBy(() => checkHeaderContext(params, { ...good, timestampMs }, context))
      expect(error).toMatchObject({ code: 'block-time-old', data: { height: 10 } })
    }
    checkHeaderContext(params, { ...good, timestampMs: 1e12 }, context)
  })

  it('are checked in this order', () => {
    const bad = { ...good, height: 9, target: hex('00'.repeat(32)), timestampMs: 0 }
    expect(codeOf(() => checkHeaderContext(params, bad, context))).toBe('block-height')
    expect(codeOf(() => checkHeaderContext(params, { ...bad, height: 10 }, context))).toBe('block-target')
  })
})

describe('rule 5.6', () => {
  it('lets a timestamp be as far ahead as the network allows, and any time behind', () => {
    const header = makeHeader({ timestampMs: 50_000 })
    for (const now of [40_000, 50_000, 90_000]) checkHeaderTime(params, header, now)
    const error = thrownBy(() => checkHeaderTime(params, header, 39_999))
    expect(error).toMatchObject({ code: 'block-time-future', data: { aheadMs: 10_001 } })
    checkHeaderTime({ ...params, maxFutureMs: 0 }, header, 50_000)
    expect(codeOf(() => checkHeaderTime({ ...params, maxFutureMs: 0 }, header, 49_999))).toBe('block-time-future')
  })
})

describe('rules 6.1 to 6.4', () => {
  const sender: Account = { publicKey: alice.publicKey, balance: 1_000, nonce: 3 }

  function check(
    terms: Terms,
    changes: { account?: Partial<Account>; minFeePerByte?: number; height?: number } = {},
  ): void {
    const transaction = makeTransaction(alice, [put('k', 'value')], { nonce: 3, ...terms })
    const network = { ...params, minFeePerByte: changes.minFeePerByte ?? 0 }
    checkIncludable(network, transaction, { ...sender, ...changes.account }, changes.height ?? 20)
  }

  it('let a good transaction pass', () => {
    check({})
    check({ fee: 1_000, validUntil: 20 })
  })

  it('6.1: the account nonce is the next one', () => {
    expect(thrownBy(() => check({ nonce: 2 }))).toMatchObject({
      code: 'tx-nonce-used',
      data: { accountNonce: 2, expected: 3 },
    })
    expect(thrownBy(() => check({ nonce: 4 }))).toMatchObject({
      code: 'tx-nonce-gap',
      data: { accountNonce: 4, expected: 3 },
    })
    expect(codeOf(() => check({ nonce: Number.MAX_SAFE_INTEGER }))).toBe('tx-nonce-gap')
    expect(codeOf(() => check({ nonce: 0 }))).toBe('tx-nonce-used')
  })

  it('6.2: it is not too late', () => {
    check({ validUntil: 0 }, { height: 2 ** 32 - 1 })
    check({ validUntil: 21 })
    check({ validUntil: 20 })
    expect(thrownBy(() => check({ validUntil: 19 }))).toMatchObject({
      code: 'tx-expired',
      data: { validUntil: 19, height: 20 },
    })
  })

  it('6.3: the fee is what each byte costs, values counted', () => {
    const transaction = makeTransaction(alice, [put('k', 'value')], { nonce: 3 })
    const size = transactionSize(transaction)
    expect(minimumFee({ ...params, minFeePerByte: 3 }, size)).toBe(3 * size)
    check({ fee: 3 * size }, { minFeePerByte: 3 })
    const error = thrownBy(() => check({ fee: 3 * size - 1 }, { minFeePerByte: 3 }))
    expect(error).toMatchObject({ code: 'tx-fee', data: { fee: 3 * size - 1, minimum: 3 * size } })
    const dropped = { ...transaction, values: undefined }
    expect(codeOf(() => checkIncludable({ ...params, minFeePerByte: 1 }, dropped, sender, 1))).toBe('tx-fee')
  })

  it('6.4: the sender holds the fee', () => {
    check({ fee: 1_000 })
    expect(thrownBy(() => check({ fee: 1_001 }))).toMatchObject({
      code: 'tx-balance',
      data: { balance: 1_000, fee: 1_001 },
    })
    check({ fee: 0 }, { account: { balance: 0 } })
  })

  it('are checked in this order', () => {
    const all = { nonce: 9, validUntil: 1, fee: 5_000 }
    const dear = { minFeePerByte: 1_000_000 }
    expect(codeOf(() => check(all, dear))).toBe('tx-nonce-gap')
    expect(codeOf(() => check({ ...all, nonce: 3 }, dear))).toBe('tx-expired')
    expect(codeOf(() => check({ ...all, nonce: 3, validUntil: 0 }, dear))).toBe('tx-fee')
    expect(codeOf(() => check({ ...all, nonce: 3, validUntil: 0 }))).toBe('tx-balance')
  })
})
