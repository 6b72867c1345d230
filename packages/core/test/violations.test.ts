/**
 * Every code that a transaction, a block, bytes, an address or a network file can be refused by is produced here once. The tables are
 * exhaustive: a new code without a row does not compile, and one that is raised by a layer above core is named as such.
 */
import { type AddressErrorCode, fromAddress, toAddress } from '@kvchain/core/address'
import type { Block } from '@kvchain/core/block'
import { transactionRoot } from '@kvchain/core/block'
import {
  BLOCK_ERROR_CODES,
  BlockError,
  type BlockErrorCode,
  blockTransactionError,
  checkBody,
  checkHeader,
  checkSignature,
  checkTransaction,
  TX_ERROR_CODES,
  TxError,
  type TxErrorCode,
} from '@kvchain/core/checks'
import { type CodecErrorCode, Reader } from '@kvchain/core/codec'
import { executeBlock } from '@kvchain/core/execution'
import type { NetworkErrorCode } from '@kvchain/core/params'
import { checkHeaderContext, checkHeaderTime, checkIncludable } from '@kvchain/core/rules'
import { readWriteAccess } from '@kvchain/core/transaction'
import { describe, expect, it } from 'vitest'
import {
  any,
  assertThat,
  hex,
  included,
  makeHeader,
  makeTransaction,
  mine,
  put,
  type Step,
  sha256,
  type Terms,
  testAccount,
  testNetwork,
  thrownBy,
  transfer,
  verifySignature,
} from './helpers.js'

const { params } = testNetwork({ minFeePerByte: 1, maxTransactions: 2, maxBlockBytes: 4_191 })
const alice = testAccount('alice')
const parent = makeHeader({ height: 6, target: params.initialTarget })
const child = makeHeader({ height: 7, target: params.initialTarget, timestampMs: parent.timestampMs + 1 })
const context = { parent, grandparent: makeHeader({ height: 5 }) }
const good = makeTransaction(alice, [put('k', 'v')])

function check(steps: readonly Step[]): void {
  checkTransaction(params, sha256, makeTransaction(alice, steps))
}

function include(terms: Terms, balance = 10_000): void {
  const sender = { publicKey: alice.publicKey, balance, nonce: 1 }
  checkIncludable(params, makeTransaction(alice, [put('k', 'v')], { nonce: 1, fee: 500, ...terms }), sender, 10)
}

const ofTransactions: Record<TxErrorCode, () => void> = {
  'tx-size': () => check(Array.from({ length: 5 }, (_, i) => put(`${i}`, 'v'.repeat(1_000)))),
  'tx-value-size': () => check([put('k', 'v'.repeat(1_001))]),
  'tx-value-missing': () => checkTransaction(params, sha256, { ...good, values: undefined }),
  'tx-value-digest': () => checkTransaction(params, sha256, { ...good, values: [hex('00')] }),
  'tx-amount': () => check([transfer(alice, 0)]),
  'tx-assert-any': () => check([assertThat('k', any)]),
  'tx-namespace': () => check([put('@nobody/k', 'v')]),
  'tx-signature': () => checkSignature(verifySignature, { ...good, txid: sha256(good.txid) }),
  'tx-nonce-used': () => include({ nonce: 0 }),
  'tx-nonce-gap': () => include({ nonce: 2 }),
  'tx-expired': () => include({ validUntil: 9 }),
  'tx-fee': () => include({ fee: 1 }),
  'tx-balance': () => include({}, 499),
}

function blockOf(transactions: Block['transactions']): Block {
  return { header: makeHeader({ txRoot: transactionRoot(sha256, transactions) }), transactions }
}

/** `node`: raised where the chain is known, above core. */
const ofBlocks: Record<BlockErrorCode, (() => void) | 'node'> = {
  'block-pow': () => checkHeader(params, sha256, mine(child, false)),
  'block-mutated': () => checkBody(params, sha256, { ...blockOf([]), transactions: [included(good)] }),
  'block-size': () => {
    const values = (nonce: number) => [0, 1].map((i) => put(`${nonce}${i}`, 'v'.repeat(1_000)))
    checkBody(
      params,
      sha256,
      blockOf([0, 1].map((nonce) => included(makeTransaction(alice, values(nonce), { nonce })))),
    )
  },
  'block-count': () =>
    checkBody(params, sha256, blockOf([good, good, good].map((transaction) => included(transaction)))),
  'block-transaction': () =>
    checkBody(params, sha256, blockOf([included(makeTransaction(alice, [transfer(alice, 0)]))])),
  'block-height': () => checkHeaderContext(params, { ...child, height: 8 }, context),
  'block-target': () => checkHeaderContext(params, { ...child, target: params.easiestTarget }, context),
  'block-time-old': () => checkHeaderContext(params, { ...child, timestampMs: parent.timestampMs }, context),
  'block-time-future': () => checkHeaderTime(params, child, child.timestampMs - params.maxFutureMs - 1),
  'block-outcome': () => {
    const transaction = makeTransaction(alice, [put('k', 'v')], { fee: 500 })
    const state = {
      entry: () => undefined,
      account: (publicKey: Uint8Array) => ({ publicKey, balance: 10_000, nonce: 0 }),
    }
    const outcome = { code: 'no-entry', operation: 0 } as const
    executeBlock(state, [{ transaction, outcome }], alice.publicKey, { params, sha256, height: 7 }).next()
  },
  'block-state-root': 'node',
  'block-orphan': 'node',
  'block-invalid-ancestor': 'node',
  'block-known-invalid': 'node',
}

const ofBytes: Record<CodecErrorCode, () => void> = {
  'codec-truncated': () => new Reader(hex('')).u8(),
  'codec-trailing': () => new Reader(hex('00')).end(),
  'codec-length': () => new Reader(hex('00000002')).count(0, 1),
  'codec-tag': () => new Reader(hex('02')).tag(0, 1),
  'codec-integer': () => new Reader(hex('0020000000000000')).u64(),
  'codec-order': () => readWriteAccess(new Reader(hex(`0300000002${'00'.repeat(64)}`))),
}

const ofAddresses: Record<AddressErrorCode, () => void> = {
  'address-malformed': () => fromAddress('kv1', 'kv'),
  'address-network': () => fromAddress(toAddress(alice.publicKey, 'lan'), 'kv'),
}

const ofNetworks: Record<NetworkErrorCode, () => void> = {
  'network-schema': () => testNetwork({ blockReward: -1 }),
  'network-values': () => testNetwork({ initialTarget: '0'.repeat(64) }),
}

describe('every code', () => {
  it('of a transaction is produced', () => {
    expect(Object.keys(ofTransactions).sort()).toEqual([...TX_ERROR_CODES].sort())
    for (const [code, produce] of Object.entries(ofTransactions)) {
      const error = thrownBy(produce)
      expect(error).toBeInstanceOf(TxError)
      expect(error.code).toBe(code)
    }
  })

  it('of a block is produced, or named as raised above core', () => {
    expect(Object.keys(ofBlocks).sort()).toEqual([...BLOCK_ERROR_CODES].sort())
    const above: string[] = []
    for (const [code, produce] of Object.entries(ofBlocks)) {
      if (produce === 'node') {
        above.push(code)
        continue
      }
      const error = thrownBy(produce)
      expect(error).toBeInstanceOf(BlockError)
      expect(error.code).toBe(code)
    }
    expect(above).toEqual(['block-state-root', 'block-orphan', 'block-invalid-ancestor', 'block-known-invalid'])
  })

  it('of bytes, addresses and network files is produced', () => {
    for (const [code, produce] of Object.entries({ ...ofBytes, ...ofAddresses, ...ofNetworks })) {
      expect(thrownBy(produce).code).toBe(code)
    }
  })

  it('of a transaction in a block is its cause, and blames the header only for what the header commits to', () => {
    for (const [code, produce] of Object.entries(ofTransactions)) {
      const cause = thrownBy(produce)
      const error = blockTransactionError(cause, 3)
      const mutated = code === 'tx-value-missing' || code === 'tx-value-digest'
      expect(error).toBeInstanceOf(BlockError)
      expect(error).toMatchObject({
        code: mutated ? 'block-mutated' : 'block-transaction',
        data: { index: 3, rule: code },
        cause,
      })
    }
    const bug = new TypeError('a bug')
    expect(blockTransactionError(bug, 3)).toBe(bug)
  })
})
