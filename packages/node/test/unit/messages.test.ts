/** The messages between nodes: each survives a round trip, and no truncated, lengthened or oversized one is taken. */
import { CodecError } from '@kvchain/core/codec'
import { encodeHeader } from '@kvchain/core/header'
import { sha256 } from '@kvchain/node/crypto/sodium'
import {
  decodeAnnouncement,
  decodeBlocks,
  decodeBlockTransactionsRequest,
  decodeHashes,
  decodeHeaders,
  decodePacked,
  decodeStatus,
  encodeAnnouncement,
  encodeBlocks,
  encodeBlockTransactionsRequest,
  encodeHashes,
  encodeHeaders,
  encodePacked,
  encodeStatus,
  MAX_PACKED,
  shortId,
  takeWithin,
} from '@kvchain/node/net/messages'
import { VERDICTS, verdictOn } from '@kvchain/node/net/verdict'
import { hex } from '@kvchain/node/runtime/hex'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestLedger } from '../helpers/ledger.js'

let a: TestLedger

beforeAll(async () => {
  a = await TestLedger.open()
  await a.mine()
  await a.pool(a.put('k', 'one', { from: 1, nonce: 0 }), a.put('k', 'theft', { from: 2, nonce: 0 }))
})

afterAll(() => a.close())

async function samples(): Promise<[string, Uint8Array, (bytes: Uint8Array) => unknown][]> {
  const block = await a.solve()
  const transactions = block.transactions.map(({ transaction }) => transaction)
  const { hash, chainwork } = a.chain.tip
  return [
    ['packed', encodePacked(transactions), (bytes) => decodePacked(bytes, sha256, a.genesis.hash)],
    ['announcement', encodeAnnouncement(block), (bytes) => decodeAnnouncement(bytes, hex)],
    ['status', encodeStatus({ tipHash: hash, height: 1, chainwork }), decodeStatus],
    ['hashes', encodeHashes([hash, hash]), (bytes) => decodeHashes(bytes, 2)],
    ['headers', encodeHeaders([block.header]), decodeHeaders],
    ['blocks', encodeBlocks([undefined, Uint8Array.of(1, 2, 3)]), decodeBlocks],
    [
      'block transactions',
      encodeBlockTransactionsRequest({ hash, indexes: [0, 7] }),
      (bytes) => decodeBlockTransactionsRequest(bytes),
    ],
  ]
}

test('every message is read back, and nothing but the whole of it', async () => {
  for (const [name, bytes, decode] of await samples()) {
    expect(decode(bytes), name).toBeDefined()
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decode(bytes.subarray(0, length)), `${name} cut at ${length}`).toThrow(CodecError)
    }
    expect(() => decode(new Uint8Array([...bytes, 0])), name).toThrow(CodecError)
  }
})

test('an announcement names each transaction and only the outcomes that failed', async () => {
  const block = await a.solve()
  const { header, shortIds, failures } = decodeAnnouncement(encodeAnnouncement(block), hex)
  expect(hex(encodeHeader(header))).toBe(hex(encodeHeader(block.header)))
  expect(shortIds).toEqual(block.transactions.map(({ transaction }) => shortId(hex(transaction.txid))))
  expect([...failures]).toEqual([[1, { code: 'not-owner', operation: 0 }]])
})

test('a list longer than its bound is refused before it is read', () => {
  expect(() => decodeHashes(encodeHashes([new Uint8Array(32), new Uint8Array(32)]), 1)).toThrow(CodecError)
  const claim = new Uint8Array(4)
  new DataView(claim.buffer).setUint32(0, MAX_PACKED + 1)
  expect(() => decodePacked(claim, sha256, a.genesis.hash)).toThrow(CodecError)
})

test('an answer takes what fits, and one item always', async () => {
  const { transactions } = await a.solve()
  const list = transactions.map(({ transaction }) => transaction)
  expect(takeWithin(list, 1, 10)).toHaveLength(1)
  expect(takeWithin(list, 1_000_000, 10)).toHaveLength(2)
  expect(takeWithin(list, 1_000_000, 1)).toHaveLength(1)
})

describe('verdicts', () => {
  test('bad luck costs nothing and is never rejected', () => {
    for (const [code, { verdict, penalty, rememberInvalid }] of Object.entries(VERDICTS)) {
      if (penalty === 0) expect([code, verdict]).toEqual([code, 'ignore'])
      else expect([code, verdict]).toEqual([code, 'reject'])
      if (rememberInvalid) expect(penalty).toBe(100)
    }
    expect(VERDICTS['block-orphan'].penalty).toBe(0)
    expect(VERDICTS['block-time-future'].penalty).toBe(0)
    expect(VERDICTS['block-mutated'].rememberInvalid).toBe(false)
  })

  test('a failure of our own is nobody’s violation', () => {
    expect(verdictOn(new TypeError('a bug'))).toBeUndefined()
    expect(verdictOn(new CodecError('codec-tag', 'x'))).toMatchObject({ verdict: 'reject' })
  })
})
