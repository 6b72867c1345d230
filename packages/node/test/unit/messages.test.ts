/** The messages between nodes: each survives a round trip, and no truncated, lengthened or oversized one is taken. */
import { readFileSync } from 'node:fs'
import { CodecError } from '@kvchain/core/codec'
import { encodeHeader } from '@kvchain/core/header'
import { type Transaction, transactionSize } from '@kvchain/core/transaction'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { decodeAnnouncement, encodeAnnouncement, SALT_BYTES, shortIdsOf } from '@kvchain/node/net/announcement'
import {
  decodeBlocks,
  decodeBlockTransactionsRequest,
  decodeHashes,
  decodeHeaders,
  decodePacked,
  decodeStatus,
  encodeBlocks,
  encodeBlockTransactionsRequest,
  encodeHashes,
  encodeHeaders,
  encodePacked,
  encodeStatus,
  MAX_GOSSIP_BYTES,
  MAX_PACKED,
  takeWithin,
} from '@kvchain/node/net/messages'
import { conductOn, VERDICTS, verdictOn } from '@kvchain/node/net/verdict'
import { NetError, TimeoutError } from '@kvchain/node/runtime/errors'
import { hex } from '@kvchain/node/runtime/hex'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestLedger } from '../helpers/ledger.js'

const SALT = new Uint8Array(SALT_BYTES).fill(5)
let a: TestLedger

beforeAll(async () => {
  a = await TestLedger.open()
  await a.mine()
  await a.pool(a.put('k', 'one', { from: 1, nonce: 0 }), a.put('k', 'theft', { from: 2, nonce: 0 }))
})

afterAll(() => a.close())

test('the largest transaction that a network may allow goes into a gossip message', () => {
  const small = a.put('k', '', { from: 1, nonce: 0 })
  const largest = a.put('k', 'x'.repeat(999_996 - transactionSize(small)), { from: 1, nonce: 0 })
  expect(transactionSize(largest)).toBe(999_996)
  expect(encodePacked([largest])).toHaveLength(MAX_GOSSIP_BYTES)
})

async function samples(): Promise<[string, Uint8Array, (bytes: Uint8Array) => unknown][]> {
  const block = await a.solve()
  const transactions = block.transactions.map(({ transaction }) => transaction)
  const { hash, chainwork } = a.chain.tip
  return [
    ['packed', encodePacked(transactions), (bytes) => decodePacked(bytes, sha256, a.genesis.hash)],
    [
      'announcement',
      encodeAnnouncement(sha256, block, SALT, transactions),
      (bytes) => decodeAnnouncement(bytes, sha256, a.genesis.hash),
    ],
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
  const [first, second] = block.transactions.map(({ transaction }) => transaction) as [Transaction, Transaction]
  const bytes = encodeAnnouncement(sha256, block, SALT, [second])
  const { header, salt, shortIds, failures, prefilled } = decodeAnnouncement(bytes, sha256, a.genesis.hash)
  expect(hex(encodeHeader(header))).toBe(hex(encodeHeader(block.header)))
  expect(salt).toEqual(SALT)
  expect(shortIds).toEqual([first, second].map(shortIdsOf(sha256, header, SALT)))
  expect([...failures]).toEqual([[1, { code: 'not-owner', operation: 0 }]])
  expect([...prefilled].map(([index, { txid, values }]) => [index, txid, values])).toEqual([
    [1, second.txid, second.values],
  ])
})

test('short ids are other ones under another salt, of another header, for another signature', async () => {
  const { header, transactions } = await a.solve()
  const [transaction] = transactions.map((included) => included.transaction) as [Transaction]
  const ids = [
    shortIdsOf(sha256, header, SALT)(transaction),
    shortIdsOf(sha256, header, new Uint8Array(SALT_BYTES))(transaction),
    shortIdsOf(sha256, { ...header, nonce: 1 }, SALT)(transaction),
    shortIdsOf(sha256, header, SALT)({ ...transaction, signature: new Uint8Array(64) }),
  ]
  expect(new Set(ids).size).toBe(4)
  for (const id of ids) expect(id).toBeLessThan(2 ** 48)
})

test('an announcement that would be too long leaves out what it can', async () => {
  const block = await a.solve()
  const untold = block.transactions.map(({ transaction }) => transaction)
  const sizes = [10_000, 400, 220].map((maxBytes) => {
    const bytes = encodeAnnouncement(sha256, block, SALT, untold, maxBytes)
    expect(bytes.length).toBeLessThanOrEqual(maxBytes)
    const { shortIds, prefilled } = decodeAnnouncement(bytes, sha256, a.genesis.hash)
    return [shortIds.length, prefilled.size]
  })
  expect(sizes).toEqual([
    [2, 2],
    [2, 0],
    [0, 0],
  ])
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
      if (penalty < 10) expect([code, verdict]).toEqual([code, 'ignore'])
      else expect([code, verdict]).toEqual([code, 'reject'])
      if (rememberInvalid) expect(penalty).toBe(100)
    }
    expect(VERDICTS['block-orphan'].penalty).toBe(0)
    expect(VERDICTS['block-time-future'].penalty).toBe(0)
    expect(VERDICTS['block-mutated'].rememberInvalid).toBe(false)
    expect(VERDICTS['block-mutated'].penalty).toBeLessThan(20)
  })

  test('the handbook of operators has the same table', () => {
    const text = readFileSync(new URL('../../../../docs/operations.md', import.meta.url), 'utf8')
    const rows = [...text.matchAll(/^\| ((?:`[a-z-]+` ?)+)\| [^|]+\| (ignored|rejected) \| (\d+) \| (yes )?\|$/gm)]
    const told = rows.flatMap(([, codes = '', verdict = '', points, remembered]) =>
      [...codes.matchAll(/`([a-z-]+)`/g)].map(([, code = '']) => [
        code,
        {
          verdict: verdict === 'ignored' ? 'ignore' : 'reject',
          penalty: Number(points),
          rememberInvalid: remembered !== undefined,
        },
      ]),
    )
    expect(told).toHaveLength(new Set(told.map(([code]) => code)).size)
    expect(Object.fromEntries(told)).toEqual(VERDICTS)
  })

  test('a peer answers for its answers, and not for the line', () => {
    const facts = { peerId: 'p' }
    expect(conductOn(new NetError('net-limit', 'too long', facts))).toBe('answer-too-long')
    expect(conductOn(new NetError('net-response', 'what?', { ...facts, status: 'malformed' }))).toBe('answer-malformed')
    expect(conductOn(new NetError('net-response', 'else', { ...facts, status: 'unasked' }))).toBe('answer-unasked')
    expect(conductOn(new TimeoutError('the request', 1))).toBe('answer-slow')
    for (const code of ['net-busy', 'net-stream', 'net-unreachable'] as const) {
      expect(conductOn(new NetError(code, 'x', facts))).toBeUndefined()
    }
    expect(conductOn(new NetError('net-response', 'x', { ...facts, status: 'internal' }))).toBeUndefined()
  })

  test('a failure of our own is nobody’s violation', () => {
    expect(verdictOn(new TypeError('a bug'))).toBeUndefined()
    expect(verdictOn(new CodecError('codec-tag', 'x'))).toMatchObject({ verdict: 'reject' })
  })
})
