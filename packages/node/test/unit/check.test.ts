/** A look at everything in a data folder: a sound one is sound; whatever record is lost, stale or of nothing is noticed; folders that are not ours are refused. */
import { fromUtf8 } from '@kvchain/core/bytes'
import { encodeWith } from '@kvchain/core/codec'
import { entryPath } from '@kvchain/core/entry'
import { makeGenesis } from '@kvchain/core/genesis'
import { type CheckReport, checkDatabase } from '@kvchain/node/check'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { Ledger } from '@kvchain/node/ledger'
import { NO_FAILPOINTS } from '@kvchain/node/runtime/failpoints'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { Batch } from '@kvchain/node/store/batch'
import { Database } from '@kvchain/node/store/database'
import { lockFolder, markSuspect } from '@kvchain/node/store/folders'
import { recordKey, SCHEMA_VERSION } from '@kvchain/node/store/schema'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { account, easyNetwork, TestLedger } from '../helpers/ledger.js'

const KEY = fromUtf8('k')
const runtime = systemRuntime()
const failpoints = NO_FAILPOINTS
let made: TestLedger

/** Three versions of a key, one of another, a branch that lost, an own transaction. */
beforeEach(async () => {
  made = await TestLedger.open()
  const rival = await TestLedger.open()
  for (let nonce = 0; nonce < 3; nonce++) {
    await made.pool(made.put('k', `value ${nonce}`, { from: 1, nonce }))
    for (const block of await made.mine()) await rival.chain.addBlock(block, 'test')
  }
  await rival.mine(1, 8)
  for (const block of await rival.mine(1, 8)) await made.chain.addBlock(block, 'test').catch(() => {})
  await made.own.submit(made.put('other', 'x', { from: 2, nonce: 0 }))
  await made.mine(3)
  await rival.close()
  await made.leave()
})

afterEach(() => made.close())

function check(network = made.network): Promise<CheckReport> {
  const genesis = makeGenesis(sha256, network)
  return checkDatabase({ dataDir: made.folder, genesis, runtime, failpoints, onProgress: () => {} })
}

/** Writes into the database as if it had always been so. */
async function change(batch: Batch): Promise<void> {
  const database = new Database(`${made.folder}/db`, runtime.log)
  await database.start()
  await database.write(batch, { sync: true })
  await database.stop()
}

test('a sound folder is sound', async () => {
  const { problems, ...counts } = await check()
  expect([...problems]).toEqual([])
  expect(counts).toEqual({ height: 6, keys: 2, accounts: 4, transactions: 4 })
})

test.each<[string, string, () => Batch]>([
  ['an entry', 'a record of the state is missing', () => new Batch().delete(recordKey.entry(KEY))],
  ['an account', 'a record of the state is missing', () => new Batch().delete(recordKey.account(account(1).publicKey))],
  [
    'a version',
    'a version of a key is missing',
    () => new Batch().delete(recordKey.version(entryPath(sha256, KEY), 2)),
  ],
  ['a place', 'the place of a transaction is missing or wrong', () => new Batch().delete(placeKey())],
  ['an undo record', 'an undo record is missing', () => new Batch().delete(recordKey.undo(made.chain.tip.hash))],
  ['a body', 'a body is missing', () => new Batch().delete(recordKey.body(made.chain.tip.hash))],
  ['an index', 'the index of the main chain is not that of the tip', () => new Batch().delete(recordKey.mainChain(2))],
  ['the tip', 'the data folder has lost its tip record', () => new Batch().delete(recordKey.meta('tip'))],
  [
    'a shelf',
    'the state tree does not have the state root of the tip',
    () => new Batch().delete(recordKey.shelf(new Uint8Array(33))),
  ],
  [
    'a header',
    'a header has no parent',
    () =>
      new Batch().delete(recordKey.header(3, made.chain.tip.parent?.parent?.parent?.hash ?? expect.fail('a block'))),
  ],
])('%s that is lost is missed', async (_, problem, damage) => {
  await change(damage())
  expect([...(await check()).problems.keys()]).toContain(problem)
})

function placeKey(): Uint8Array {
  return recordKey.transaction(made.own.waiting()[0]?.txid ?? ownTxid())
}

function ownTxid(): Uint8Array {
  const [step] = made.steps.filter(({ transactions }) => transactions.length > 0)
  return step?.transactions[0]?.transaction.txid ?? expect.fail('a transaction')
}

test('a value that is lost or another is noticed', async () => {
  const digest = made.steps[0]?.transactions[0]?.transaction.body.operations[0]
  if (digest?.kind !== 'put') expect.fail('a put')
  await change(new Batch().delete(recordKey.value(digest.valueDigest)))
  expect((await check()).problems.get('a value is missing')).toBe(1)
  await change(new Batch().putBare(recordKey.value(digest.valueDigest), fromUtf8('another')))
  expect([...(await check()).problems.keys()]).toEqual(['damaged record of kind value'])
})

test('a stale entry, a record of nothing, and one that is not whole are noticed', async () => {
  const database = new Database(`${made.folder}/db`, runtime.log)
  await database.start()
  const before = database.read(recordKey.version(entryPath(sha256, KEY), 2)) ?? expect.fail('a version')
  await database.write(new Batch().put(recordKey.entry(KEY), before), { sync: true })
  await database.stop()
  expect([...(await check()).problems.keys()]).toEqual([
    'a record of the state is not what the state tree says',
    'the versions of a key do not lead to its entry',
  ])
  await change(new Batch().put(recordKey.undo(sha256(KEY)), new Uint8Array(8)))
  expect((await check()).problems.get('record of kind undo that belongs to no block of the main chain')).toBe(1)
  await change(new Batch().putBare(recordKey.peers(), fromUtf8('[] and no seal')))
  expect([...(await check()).problems.keys()]).toEqual(['damaged record of kind peers'])
})

test('a folder that is in use, marked, empty, or of another network is not looked at', async () => {
  const lock = await lockFolder(made.folder, runtime.log)
  await expect(check()).rejects.toMatchObject({ code: 'store-locked' })
  await lock.stop()
  await expect(check(easyNetwork({ blockReward: 11 }))).rejects.toMatchObject({ code: 'store-network' })
  const empty = { dataDir: `${made.folder}/nothing`, genesis: made.genesis, runtime, failpoints, onProgress: () => {} }
  await expect(checkDatabase(empty)).rejects.toMatchObject({ code: 'store-open' })
  markSuspect({ dataDir: made.folder, failpoints }, 'a test')
  expect([...(await check()).problems.keys()]).toEqual([
    'the database is marked as damaged: the next start makes it anew',
  ])
})

test.each([SCHEMA_VERSION - 1, SCHEMA_VERSION + 1])(
  'a folder of schema %i is refused and left as it is, marked or not',
  async (version) => {
    const schema = (number: number) =>
      new Batch().put(
        recordKey.meta('schema'),
        encodeWith((writer) => writer.u32(number), 4),
      )
    await change(schema(version))
    const open = async () => {
      const options = { network: made.network, dataDir: made.folder, verifyThreads: 0 }
      const ledger = new Ledger(options, { runtime, failpoints, onFatal: () => {} })
      await ledger.start()
      const root = ledger.chain.tip.header.height
      await ledger.stop()
      return root
    }
    const age = new RegExp(`${version < SCHEMA_VERSION ? 'an older' : 'a newer'} kvchain \\(schema ${version}`)
    for (const isMarked of [false, true]) {
      if (isMarked) markSuspect({ dataDir: made.folder, failpoints }, 'a test')
      await expect(open()).rejects.toMatchObject({ code: 'store-schema', message: expect.stringMatching(age) })
    }
    await change(schema(SCHEMA_VERSION))
    expect([...(await check()).problems]).toEqual([])
    expect(await open()).toBe(6)
  },
)
