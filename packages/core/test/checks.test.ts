import { toAddress } from '@kvchain/core/address'
import { type Block, type IncludedTransaction, transactionRoot } from '@kvchain/core/block'
import { fromBigInt, toBigInt, ZERO_32 } from '@kvchain/core/bytes'
import { checkBody, checkHeader, checkSignature, checkTransaction, signatureError } from '@kvchain/core/checks'
import { AssertionError } from '@kvchain/core/errors'
import { headerHash } from '@kvchain/core/header'
import type { Transaction } from '@kvchain/core/transaction'
import { transactionSize } from '@kvchain/core/transaction'
import { describe, expect, it } from 'vitest'
import {
  absent,
  any,
  assertThat,
  codeOf,
  hex,
  included,
  makeHeader,
  makeTransaction,
  mine,
  put,
  remove,
  type Step,
  setAccess,
  sha256,
  testAccount,
  testNetwork,
  text,
  thrownBy,
  transfer,
  verifySignature,
} from './helpers.js'

const { params } = testNetwork()
const alice = testAccount('alice')
const bob = testAccount('bob')

function transactionOf(...steps: readonly Step[]): Transaction {
  return makeTransaction(alice, steps)
}

function check(transaction: Transaction, changes: Partial<typeof params> = {}): void {
  checkTransaction({ ...params, ...changes }, sha256, transaction)
}

describe('rules 4.1 to 4.7', () => {
  it('let a transaction of every operation pass', () => {
    const own = `@${toAddress(alice.publicKey, 'kvt')}/`
    const others = `@${toAddress(bob.publicKey, 'kvt')}/x`
    const steps = [
      put('k', ''),
      put(own, 'v', { expect: absent }),
      put(others, 'v'),
      remove('k'),
      remove('@nobody/x'),
      setAccess('@nobody/x', { owner: bob }),
      transfer(alice, 1),
      assertThat('k', absent),
      assertThat('@nobody/x', { kind: 'version', version: 0 }),
    ]
    check(transactionOf(...steps))
  })

  it('4.1: bytes of a transaction, values counted, up to the limit', () => {
    const transaction = transactionOf(put('a', 'v'.repeat(900)), put('b', 'v'.repeat(900)))
    const size = transactionSize(transaction)
    check(transaction, { maxTransactionBytes: size })
    const error = thrownBy(() => check(transaction, { maxTransactionBytes: size - 1 }))
    expect(error).toMatchObject({ code: 'tx-size', data: { size } })
    expect(codeOf(() => check({ ...transaction, values: undefined }, { maxTransactionBytes: size - 1 }))).toBe(
      'tx-size',
    )
  })

  it('4.2: bytes of a value, up to the limit', () => {
    check(transactionOf(put('a', 'v'.repeat(1_000))))
    const error = thrownBy(() => check(transactionOf(remove('k'), put('a', 'v'.repeat(1_001)))))
    expect(error).toMatchObject({ code: 'tx-value-size', data: { operation: 1, size: 1_001 } })
  })

  it('4.3: a put under @ names an account of this network', () => {
    for (const key of ['@', '@x', '@x/y', `@${toAddress(alice.publicKey, 'kv')}/x`]) {
      const error = thrownBy(() => check(transactionOf(put('fine', 'v'), put(key, 'v'))))
      expect(error).toMatchObject({ code: 'tx-namespace', data: { operation: 1 } })
      expect(error.cause).toMatchObject({ name: 'AddressError' })
    }
  })

  it('4.4: a transfer is of something', () => {
    const error = thrownBy(() => check(transactionOf(transfer(bob, 1), transfer(bob, 0))))
    expect(error).toMatchObject({ code: 'tx-amount', data: { operation: 1 } })
  })

  it('4.5: an assert is of something', () => {
    const error = thrownBy(() => check(transactionOf(transfer(bob, 1), assertThat('k', any))))
    expect(error).toMatchObject({ code: 'tx-assert-any', data: { operation: 1 } })
  })

  it('4.6: the values are there, each as long as the body says, even when there is none', () => {
    const transaction = transactionOf(put('a', 'one'), remove('b'), put('c', 'three'))
    const [one = ZERO_32, three = ZERO_32] = transaction.values ?? []
    expect(codeOf(() => check({ ...transaction, values: undefined }))).toBe('tx-value-missing')
    expect(codeOf(() => check({ ...transactionOf(remove('b')), values: undefined }))).toBe('tx-value-missing')
    for (const [values, operation] of [
      [[], 0],
      [[one], 2],
      [[three, one], 0],
      [[one, text('thre')], 2],
      [[one, text('threee')], 2],
    ] as const) {
      const error = thrownBy(() => check({ ...transaction, values }))
      expect(error).toMatchObject({ code: 'tx-value-missing', data: { operation } })
    }
    expect(codeOf(() => check({ ...transaction, values: [one, three, three] }))).toBe('tx-value-missing')
  })

  it('4.7: the values are those that were signed', () => {
    const transaction = transactionOf(put('a', 'one'), remove('b'), put('c', 'two'))
    const [one = ZERO_32, two = ZERO_32] = transaction.values ?? []
    check({ ...transaction, values: [one, two] })
    const error = thrownBy(() => check({ ...transaction, values: [one, text('twO')] }))
    expect(error).toMatchObject({ code: 'tx-value-digest', data: { operation: 2 } })
    expect(codeOf(() => check({ ...transaction, values: [two, one] }))).toBe('tx-value-digest')
  })

  it('are checked in the order of their numbers', () => {
    const spoilt = transactionOf(put('@', 'v'.repeat(1_001)), transfer(bob, 0), assertThat('k', any))
    const missing = { ...spoilt, values: undefined }
    expect(codeOf(() => check(missing, { maxTransactionBytes: 300 }))).toBe('tx-size')
    expect(codeOf(() => check(missing))).toBe('tx-value-size')
    expect(codeOf(() => check(missing, { maxValueBytes: 2_000 }))).toBe('tx-namespace')
    expect(codeOf(() => check({ ...transactionOf(transfer(bob, 0), put('@', 'v')), values: undefined }))).toBe(
      'tx-amount',
    )
  })
})

describe('rule 4.8', () => {
  const transaction = transactionOf(put('k', 'v'))

  it('takes the sender’s signature of the txid', () => {
    checkSignature(verifySignature, transaction)
  })

  it('takes no other', () => {
    const elsewhere = makeTransaction(alice, [put('k', 'v')], { genesis: sha256(text('another network')) })
    const forgeries: Transaction[] = [
      { ...transaction, signature: bob.sign(transaction.txid) },
      { ...transaction, signature: alice.sign(transaction.bodyBytes) },
      { ...transaction, signature: elsewhere.signature },
      { ...transaction, signature: new Uint8Array(64) },
      { ...transaction, txid: sha256(transaction.txid) },
      { ...transaction, body: { ...transaction.body, sender: bob.publicKey } },
    ]
    for (const forged of forgeries) expect(codeOf(() => checkSignature(verifySignature, forged))).toBe('tx-signature')
    expect(signatureError().code).toBe('tx-signature')
  })

  it('asks for signature, message and key in this order', () => {
    const asked: Uint8Array[] = []
    const verify = (...parts: Uint8Array[]) => {
      asked.push(...parts)
      return true
    }
    checkSignature(verify, transaction)
    expect(asked).toEqual([transaction.signature, transaction.txid, alice.publicKey])
  })
})

describe('rules 5.1 and 5.2', () => {
  it('return the hash of a header that has its work', () => {
    const header = mine(makeHeader())
    expect(checkHeader(params, sha256, header)).toEqual(headerHash(sha256, header))
  })

  it('5.1: the target is from 1 to the easiest', () => {
    const easiest = mine(makeHeader({ target: params.easiestTarget }))
    checkHeader(params, sha256, easiest)
    const easier = mine(makeHeader({ target: fromBigInt(toBigInt(params.easiestTarget) + 1n), height: 9 }))
    expect(thrownBy(() => checkHeader(params, sha256, easier))).toMatchObject({
      code: 'block-target',
      data: { height: 9 },
    })
    expect(codeOf(() => checkHeader(params, sha256, makeHeader({ target: ZERO_32 })))).toBe('block-target')
    expect(codeOf(() => checkHeader(params, sha256, makeHeader({ target: hex('ff'.repeat(32)) })))).toBe('block-target')
    expect(codeOf(() => checkHeader(params, sha256, makeHeader({ target: fromBigInt(1n) })))).toBe('block-pow')
  })

  it('5.2: the hash is not above the target', () => {
    const error = thrownBy(() => checkHeader(params, sha256, mine(makeHeader({ height: 9 }), false)))
    expect(error).toMatchObject({ code: 'block-pow', data: { height: 9 } })
  })
})

describe('rules 5.7 to 5.10', () => {
  function blockOf(...transactions: readonly IncludedTransaction[]): Block {
    return { header: makeHeader({ txRoot: transactionRoot(sha256, transactions) }), transactions }
  }

  const first = included(transactionOf(put('k', 'v'.repeat(100))))
  const second = included(makeTransaction(alice, [remove('k')], { nonce: 1 }))
  const block = blockOf(first, second)

  function checkIn(changed: Block, limits: Partial<typeof params> = {}): void {
    checkBody({ ...params, ...limits }, sha256, changed)
  }

  it('let a block pass, empty or not', () => {
    checkIn(block)
    checkIn(blockOf())
  })

  it('5.7: the transactions are those of the header, whatever else is wrong with them', () => {
    const others = [
      [],
      [first],
      [second, first],
      [first, second, second],
      [first, { ...second, outcome: { code: 'no-entry', operation: 0 } }],
    ]
    for (const transactions of others as (readonly IncludedTransaction[])[]) {
      const mutated = { ...block, transactions }
      expect(codeOf(() => checkIn(mutated))).toBe('block-mutated')
      expect(codeOf(() => checkIn(mutated, { maxTransactions: 0, maxBlockBytes: 0, maxTransactionBytes: 0 }))).toBe(
        'block-mutated',
      )
    }
    expect(codeOf(() => checkIn({ ...block, header: { ...block.header, txRoot: ZERO_32 } }))).toBe('block-mutated')
  })

  it('5.8: as many transactions as the limit, not more', () => {
    checkIn(block, { maxTransactions: 2 })
    const error = thrownBy(() => checkIn(block, { maxTransactions: 1, maxBlockBytes: 0 }))
    expect(error).toMatchObject({ code: 'block-count', data: { count: 2 } })
  })

  it('5.9: as many bytes as the limit, values counted, not more', () => {
    const size = 188 + transactionSize(first.transaction) + transactionSize(second.transaction) + 6
    checkIn(block, { maxBlockBytes: size })
    const error = thrownBy(() => checkIn(block, { maxBlockBytes: size - 1, maxTransactionBytes: 0 }))
    expect(error).toMatchObject({ code: 'block-size', data: { size } })
  })

  it('5.10: each transaction passes rules 4.1 to 4.7', () => {
    const bad = included(makeTransaction(alice, [transfer(bob, 0)], { nonce: 2 }))
    const error = thrownBy(() => checkIn(blockOf(first, second, bad)))
    expect(error).toMatchObject({
      code: 'block-transaction',
      data: { index: 2, rule: 'tx-amount' },
      cause: { code: 'tx-amount' },
    })
  })

  it('5.10: values that are not those of the bodies are not the header’s fault', () => {
    for (const values of [undefined, [], [text('w'.repeat(100))]]) {
      const transaction = { ...first.transaction, values }
      const error = thrownBy(() => checkIn({ ...block, transactions: [{ ...first, transaction }, second] }))
      expect(error).toMatchObject({ code: 'block-mutated', data: { index: 0 } })
    }
  })

  it('pass on what is no violation', () => {
    const bug = new AssertionError('a bug')
    const broken = () => {
      throw bug
    }
    expect(() => checkBody(params, broken, block)).toThrow(bug)
    const operations = [{ ...put('k', 'v').operation, key: undefined } as never]
    const keyless = { ...first.transaction, body: { ...first.transaction.body, operations } }
    expect(() => checkTransaction(params, sha256, keyless)).toThrow(TypeError)
  })
})
