/**
 * Every code that an address or a network file can be refused by is produced here once; the tables are exhaustive, so that a new code without a
 * row does not compile. Those of transactions, blocks and bytes are produced by blockTable.test.ts, those of proofs by proof.test.ts.
 */
import { type AddressErrorCode, fromAddress, toAddress } from '@kvchain/core/address'
import { BlockError, blockTransactionError, TX_ERROR_CODES, TxError } from '@kvchain/core/checks'
import type { NetworkErrorCode } from '@kvchain/core/params'
import { describe, expect, it } from 'vitest'
import { testAccount, testNetwork, thrownBy } from './helpers.js'

const alice = testAccount('alice')

const ofAddresses: Record<AddressErrorCode, () => void> = {
  'address-malformed': () => fromAddress('kv1', 'kv'),
  'address-network': () => fromAddress(toAddress(alice.publicKey, 'lan'), 'kv'),
}

const ofNetworks: Record<NetworkErrorCode, () => void> = {
  'network-schema': () => testNetwork({ blockReward: -1 }),
  'network-values': () => testNetwork({ initialTarget: '0'.repeat(64) }),
}

describe('every code', () => {
  it('of addresses and network files is produced', () => {
    for (const [code, produce] of Object.entries({ ...ofAddresses, ...ofNetworks })) {
      expect(thrownBy(produce).code).toBe(code)
    }
  })

  it('of a transaction in a block is its cause, and blames the header only for what the header commits to', () => {
    for (const code of TX_ERROR_CODES) {
      const cause = new TxError(code, 'a violation')
      const error = blockTransactionError(cause, 3)
      const mutated = code === 'tx-value-missing' || code === 'tx-value-digest'
      expect(error).toBeInstanceOf(BlockError)
      expect(error).toMatchObject({
        code: mutated ? 'block-mutated' : 'block-transaction',
        message: 'transaction 3: a violation',
        data: { index: 3, rule: code },
        cause,
      })
    }
    const bug = new TypeError('a bug')
    expect(blockTransactionError(bug, 3)).toBe(bug)
  })
})
