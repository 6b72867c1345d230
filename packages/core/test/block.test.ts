import {
  type Block,
  blockSize,
  decodeBlock,
  EMPTY_BLOCK_BYTES,
  encodeBlock,
  type IncludedTransaction,
  OUTCOME_BYTES,
  readBody,
  transactionLeaf,
  transactionRoot,
  writeBody,
} from '@kvchain/core/block'
import { toHex } from '@kvchain/core/bytes'
import { decodeAll, encodeWith } from '@kvchain/core/codec'
import { encodeHeader } from '@kvchain/core/header'
import { merkleRoot } from '@kvchain/core/merkle'
import { FAILURES } from '@kvchain/core/outcome'
import { transactionSize } from '@kvchain/core/transaction'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { block as anyBlock, mutate, mutation } from './arbitraries.js'
import {
  codeOf,
  expectCanonical,
  genesisHash,
  included,
  makeHeader,
  makeTransaction,
  put,
  remove,
  sha256,
  testAccount,
  tries,
} from './helpers.js'

const alice = testAccount('alice')
const first = included(makeTransaction(alice, [put('k', 'value'), put('l', 'longer value')]))
const second = included(makeTransaction(alice, [remove('k')], { nonce: 1 }), { code: 'no-entry', operation: 0 })
const block: Block = { header: makeHeader(), transactions: [first, second] }

function decode(bytes: Uint8Array): Block {
  return decodeBlock(bytes, sha256, genesisHash)
}

describe('a block', () => {
  it('is its header, a count, and each transaction with its outcome', () => {
    const bytes = encodeBlock(block)
    expect(bytes.subarray(0, 184)).toEqual(encodeHeader(block.header))
    expect(toHex(bytes.subarray(184, 188))).toBe('00000002')
    expect(toHex(bytes.subarray(-3))).toBe('040000')
    expect(decode(bytes)).toEqual(block)
    expect(bytes).toHaveLength(blockSize(block))
  })

  it('has a size that counts values even when they were dropped', () => {
    expect(EMPTY_BLOCK_BYTES).toBe(188)
    expect(OUTCOME_BYTES).toBe(3)
    expect(blockSize({ header: block.header, transactions: [] })).toBe(188)
    const whole = 188 + transactionSize(first.transaction) + transactionSize(second.transaction) + 6
    expect(blockSize(block)).toBe(whole)
    const dropped = { ...first, transaction: { ...first.transaction, values: undefined } }
    expect(blockSize({ ...block, transactions: [dropped, second] })).toBe(whole)
  })

  it('is none when bytes are missing or added', () => {
    const bytes = encodeBlock(block)
    for (let length = 0; length < bytes.length; length++) {
      expect(codeOf(() => decode(bytes.subarray(0, length)))).toBe('codec-truncated')
    }
    expect(codeOf(() => decode(Uint8Array.of(...bytes, 0)))).toBe('codec-trailing')
  })

  it('has at most a hundred thousand transactions', () => {
    const bytes = encodeBlock({ ...block, transactions: [] })
    new DataView(bytes.buffer).setUint32(184, 100_000)
    expect(codeOf(() => decode(bytes))).toBe('codec-truncated')
    new DataView(bytes.buffer).setUint32(184, 100_001)
    expect(codeOf(() => decode(bytes))).toBe('codec-length')
  })

  it('has a body that can be written without its values', () => {
    const bytes = encodeWith((writer) => writeBody(writer, block.transactions, false))
    const body = decodeAll(bytes, (reader) => readBody(reader, sha256, genesisHash))
    expect(body.map(({ transaction }) => transaction.values)).toEqual([undefined, undefined])
    expect(body.map(({ outcome }) => outcome)).toEqual(block.transactions.map(({ outcome }) => outcome))
    expect(transactionRoot(sha256, body)).toEqual(transactionRoot(sha256, block.transactions))
    const whole = encodeWith((writer) => writeBody(writer, block.transactions, true))
    expect(whole).toEqual(encodeBlock(block).subarray(184))
  })

  it('decodes to itself', () => {
    fc.assert(
      fc.property(anyBlock, (original) => {
        expect(decode(encodeBlock(original))).toEqual(original)
      }),
      tries(300),
    )
  })

  it('re-encodes to the bytes that were accepted', () => {
    fc.assert(
      fc.property(anyBlock, fc.array(mutation, { minLength: 1, maxLength: 3 }), (original, changes) => {
        expectCanonical(changes.reduce(mutate, encodeBlock(original)), decode, encodeBlock)
      }),
      tries(1_000),
    )
  })
})

describe('the transaction root', () => {
  it('is that of the leaves of the transactions', () => {
    const list = block.transactions.map((one) => transactionLeaf(sha256, one))
    expect(transactionRoot(sha256, block.transactions)).toEqual(merkleRoot(sha256, list))
  })

  const root = (transactions: readonly IncludedTransaction[]) => toHex(transactionRoot(sha256, transactions))

  it('fixes txids, signatures, outcomes, their order and their number', () => {
    const resigned = { ...first.transaction, signature: first.transaction.signature.map((byte) => byte ^ 1) }
    const roots = [
      root([first, second]),
      root([second, first]),
      root([first]),
      root([first, first]),
      root([]),
      root([first, second, second]),
      root([{ ...first, transaction: resigned }, second]),
      ...FAILURES.map((code) => root([{ ...first, outcome: { code, operation: 0 } }, second])),
      root([{ ...first, outcome: { code: 'no-entry', operation: 1 } }, second]),
    ]
    expect(new Set(roots).size).toBe(roots.length)
  })

  it('leaves the values to the bodies', () => {
    const dropped = { ...first, transaction: { ...first.transaction, values: undefined } }
    expect(root([dropped, second])).toBe(root([first, second]))
  })
})
