/**
 * Reads that authenticate themselves: a record that is whole and yet not the latest, or that is missing, is never an answer; and a block is not
 * held to be invalid for what the own state has lost. Damage is made by writing records, since LevelDB loses whole batches of its log.
 */
import { fromUtf8 } from '@kvchain/core/bytes'
import { encodeAccount, encodeEntry, entryPath } from '@kvchain/core/entry'
import { headerHash } from '@kvchain/core/header'
import { entryAt } from '@kvchain/node/chain/entryAt'
import { provePathAt } from '@kvchain/node/chain/treeAt'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { silentLog } from '@kvchain/node/runtime/runtime'
import { Batch } from '@kvchain/node/store/batch'
import { Database } from '@kvchain/node/store/database'
import { recordKey } from '@kvchain/node/store/schema'
import { afterEach, expect, test } from 'vitest'
import { account, TestLedger } from '../helpers/ledger.js'

const KEY = fromUtf8('k')
const PATH = entryPath(sha256, KEY)
const CORRUPT = expect.objectContaining({ code: 'store-corrupt' })
const open: TestLedger[] = []

afterEach(async () => {
  for (const made of open.splice(0)) await made.close()
})

/** Five versions of one key, each in a block of its own, then a block without transactions. */
async function story(): Promise<TestLedger> {
  const made = await TestLedger.open()
  open.push(made)
  for (let nonce = 0; nonce < 5; nonce++) {
    await made.pool(made.put('k', `value ${nonce}`, { from: 1, nonce }))
    await made.mine()
  }
  await made.mine()
  return made
}

async function write(made: TestLedger, batch: Batch): Promise<void> {
  await made.database.write(batch, { sync: false })
}

/** What a batch that LevelDB lost leaves behind: the record as it was before. */
async function stale(made: TestLedger): Promise<void> {
  const [before] = await made.store.versions(KEY, 5, 1)
  if (before === undefined) expect.fail('a version')
  await write(made, new Batch().put(recordKey.entry(KEY), encodeEntry(before)))
}

test('an entry is the latest, and there when it should be', async () => {
  const made = await story()
  expect(made.get('k')).toBe('value 4')
  expect(made.store.entry(fromUtf8('never'))).toBeUndefined()
  await stale(made)
  expect(() => made.store.entry(KEY)).toThrowError(CORRUPT)
  await write(made, new Batch().delete(recordKey.entry(KEY)))
  expect(() => made.store.entry(KEY)).toThrowError(CORRUPT)
  await expect(made.store.versions(KEY, 9, 9)).rejects.toThrowError(CORRUPT)
})

test('an entry that should not be there is no answer', async () => {
  const made = await story()
  const entry = made.store.entry(KEY) ?? expect.fail('an entry')
  const key = fromUtf8('other')
  await write(made, new Batch().put(recordKey.entry(key), encodeEntry({ ...entry, key })))
  expect(() => made.store.entry(key)).toThrowError(CORRUPT)
})

test('an account is the latest, and there when it should be', async () => {
  const made = await story()
  const { publicKey } = account(1)
  const now = made.store.account(publicKey)
  expect(now.nonce).toBe(5)
  await write(made, new Batch().put(recordKey.account(publicKey), encodeAccount({ ...now, nonce: 4 })))
  expect(() => made.store.account(publicKey)).toThrowError(CORRUPT)
  await write(made, new Batch().delete(recordKey.account(publicKey)))
  expect(() => made.store.account(publicKey)).toThrowError(CORRUPT)
})

test('the versions of a key hang together, wherever one begins', async () => {
  const made = await story()
  const numbers = async (before: number, limit: number) =>
    (await made.store.versions(KEY, before, limit)).map(({ version }) => version)
  expect(await numbers(Number.MAX_SAFE_INTEGER, 100)).toEqual([5, 4, 3, 2, 1])
  expect(await numbers(4, 2)).toEqual([3, 2])
  expect(await numbers(1, 9)).toEqual([])
  await write(made, new Batch().delete(recordKey.version(PATH, 3)))
  expect(await numbers(6, 2)).toEqual([5, 4])
  await expect(numbers(6, 3)).rejects.toThrowError(CORRUPT)
  await expect(numbers(4, 1)).rejects.toThrowError(CORRUPT)
  await expect(entryAt(made.store, KEY, 3)).rejects.toThrowError(CORRUPT)
})

test('a version of a branch that lost is no answer', async () => {
  const made = await story()
  const [third] = await made.store.versions(KEY, 4, 1)
  const other = { ...(third ?? expect.fail('a version')), height: 2 }
  await write(made, new Batch().put(recordKey.version(PATH, 3), encodeEntry(other)))
  await expect(made.store.versions(KEY, 4, 1)).rejects.toThrowError(CORRUPT)
  await expect(made.store.versions(KEY, 3, 1)).rejects.toThrowError(CORRUPT)
})

test('the place of a transaction is compared with the block there', async () => {
  const made = await story()
  const { txid } = made.store.entry(KEY) ?? expect.fail('an entry')
  expect(made.store.location(txid)).toMatchObject({ height: 5, index: 0, outcome: { code: 'ok' } })
  const [before] = await made.store.versions(KEY, 5, 1)
  const record = made.database.read(recordKey.transaction(before?.txid ?? txid))
  if (record === undefined) expect.fail('a location')
  await write(made, new Batch().put(recordKey.transaction(txid), record))
  expect(() => made.store.location(txid)).toThrowError(CORRUPT)
})

test('what should be there is missed', async () => {
  const made = await story()
  const hash = made.chain.tip.hash
  const node = made.chain.nodeAt(5) ?? expect.fail('a block')
  await write(
    made,
    new Batch().delete(recordKey.body(node.hash)).delete(recordKey.undo(hash)).delete(recordKey.mainChain(3)),
  )
  expect(() => made.store.body(node.hash)).toThrowError(CORRUPT)
  expect(made.store.body(sha256(KEY))).toBeUndefined()
  expect(() => made.store.undo(hash)).toThrowError(CORRUPT)
  expect(() => made.store.hashAt(3)).toThrowError(CORRUPT)
  expect(made.store.hashAt(7)).toBeUndefined()
})

test('a page of the state tree that is missing is damage, for reads and for proofs', async () => {
  const made = await story()
  const again = await reopened(made)
  for await (const { key } of again.database.scan('bucket')) await write(again, new Batch().delete(key))
  expect(() => again.store.entry(KEY)).toThrowError(CORRUPT)
  const { runtime, chain } = again
  const proof = provePathAt(PATH, chain.tip, { chain, timers: runtime.timers, signal: new AbortController().signal })
  await expect(proof).rejects.toThrowError(CORRUPT)
})

test.each([
  ['a gap in the index', (made: TestLedger) => new Batch().delete(recordKey.mainChain(made.chain.tip.header.height))],
  ['an index of another branch', (made: TestLedger) => new Batch().put(recordKey.mainChain(2), made.chain.tip.hash)],
  ['an index beyond the tip', (made: TestLedger) => new Batch().put(recordKey.mainChain(7), made.chain.tip.hash)],
  ['an older tip', (made: TestLedger) => new Batch().put(recordKey.meta('tip'), made.genesis.hash)],
  ['no tip', () => new Batch().delete(recordKey.meta('tip'))],
])('a start finds %s', async (_, damage) => {
  const made = await story()
  await write(made, damage(made))
  open.pop()
  await expect(made.reopen()).rejects.toThrowError(CORRUPT)
})

test('a block is not invalid because of what the own state has lost', async () => {
  const made = await story()
  const present = made.database.read(recordKey.entry(KEY)) ?? expect.fail('an entry')
  await made.pool(made.put('k', 'next', { from: 1, nonce: 5 }))
  const block = await made.solve()
  await stale(made)
  await expect(made.chain.addBlock(block, 'test')).rejects.toThrowError(CORRUPT)
  expect(made.chain.tree.get(headerHash(sha256, block.header))).toMatchObject({ invalid: false, hasBody: false })
  await write(made, new Batch().put(recordKey.entry(KEY), present))
  expect(await made.chain.addBlock(block, 'test')).toBe('connected')
  expect(made.get('k')).toBe('next')
})

test('nothing is mined on a state that is not the tip’s', async () => {
  const made = await story()
  await stale(made)
  await made.pool(made.put('k', 'next', { from: 1, nonce: 5 }))
  await expect(made.solve()).rejects.toThrowError(CORRUPT)
})

test('damage is told to whoever runs the node', async () => {
  const made = await story()
  const told: unknown[] = []
  const database = new Database(`${made.folder}/other`, silentLog, { onDamage: (error) => told.push(error) })
  await database.start()
  await database.write(new Batch().putBare(recordKey.peers(), fromUtf8('not sealed by anybody')), { sync: true })
  expect(() => database.read(recordKey.peers())).toThrowError(CORRUPT)
  expect(() => database.read(recordKey.peers())).toThrowError(CORRUPT)
  expect(told).toEqual([CORRUPT, CORRUPT])
  await database.stop()
})

async function reopened(made: TestLedger): Promise<TestLedger> {
  open.splice(open.indexOf(made), 1)
  const again = await made.reopen()
  open.push(again)
  return again
}
