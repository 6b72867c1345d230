/**
 * Writes that wait in memory, over a real LevelDB.
 *
 * 1. They are read, listed and copied as if they were written, removals too, and the last write of a key counts whichever way it came.
 * 2. They reach the disk with the next write that must be there, when there are enough of them, and when the database is closed.
 * 3. All of those that go together are there after a crash, or none.
 * 4. A failure to write is told to whoever writes next.
 */
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { fromUtf8 } from '@kvchain/core/bytes'
import { TempDir } from '@kvchain/lab/tempDir'
import { silentLog } from '@kvchain/node/runtime/runtime'
import { Batch } from '@kvchain/node/store/batch'
import { Database } from '@kvchain/node/store/database'
import { kindRange, recordKey } from '@kvchain/node/store/schema'
import { Level } from 'level'
import { afterEach, beforeEach, expect, test } from 'vitest'

const toUtf8 = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
let crashes = 0
let folder: TempDir
let database: Database

beforeEach(async () => {
  folder = await TempDir.make('behind')
  database = await open(join(folder.path, 'db'))
})

afterEach(async () => {
  await database.stop()
  await folder.remove()
})

async function open(location: string): Promise<Database> {
  // Little, so that some of it goes by itself.
  const opened = new Database(location, silentLog, { maxWaitingBytes: 4 << 20 })
  await opened.start()
  return opened
}

const keyOf = (name: string) => recordKey.entry(fromUtf8(name))
const put = (name: string, value: string) => new Batch().put(keyOf(name), fromUtf8(value))
const behind = { sync: false, behind: true }

function read(from: Database, name: string): string | undefined {
  const content = from.read(keyOf(name))
  return content && toUtf8(content)
}

/** As a process that is started after this one was killed finds it: what was only in memory is not in the files. */
async function afterCrash<T>(look: (found: Database) => T | Promise<T>): Promise<T> {
  const location = join(folder.path, `crashed-${crashes++}`)
  await cp(join(folder.path, 'db'), location, { recursive: true })
  const found = await open(location)
  try {
    return await look(found)
  } finally {
    await found.stop()
  }
}

test('is read at once, and on disk only later', async () => {
  await database.write(put('a', '1'), behind)
  await database.write(put('a', '2').put(keyOf('b'), fromUtf8('3')), behind)
  expect([read(database, 'a'), read(database, 'b')]).toEqual(['2', '3'])
  expect(await afterCrash((found) => [read(found, 'a'), read(found, 'b')])).toEqual([undefined, undefined])
})

test('a removal hides what is on disk', async () => {
  await database.write(put('a', '1'), { sync: true })
  await database.write(new Batch().delete(keyOf('a')), behind)
  expect(read(database, 'a')).toBeUndefined()
  await database.write(put('b', '2'), { sync: true })
  expect(read(database, 'a')).toBeUndefined()
  expect(await afterCrash((found) => [read(found, 'a'), read(found, 'b')])).toEqual([undefined, '2'])
})

test('goes to the disk with a write that must be there', async () => {
  await database.write(put('a', '1'), behind)
  await database.write(put('a', '2'), { sync: true })
  await database.write(put('a', '3'), behind)
  expect(read(database, 'a')).toBe('3')
  expect(await afterCrash((found) => read(found, 'a'))).toBe('2')
})

test('is listed and copied', async () => {
  await database.write(put('a', '1'), behind)
  const keys: string[] = []
  for await (const key of database.keys(kindRange('entry'))) keys.push(toUtf8(key.subarray(1)))
  await database.write(put('b', '2'), behind)
  const contents: string[] = []
  for await (const { content } of database.scan('entry')) contents.push(toUtf8(content))
  await database.write(put('c', '3'), behind)
  let copied = 0
  for await (const _ of database.scanSnapshot(['entry'])) copied++
  await database.write(put('d', '4'), behind)
  await database.clear('entry')
  expect({ keys, contents, copied, left: read(database, 'd') }).toEqual({
    keys: ['a'],
    contents: ['1', '2'],
    copied: 3,
    left: undefined,
  })
})

test('a close writes it', async () => {
  await database.write(put('a', '1'), behind)
  await database.stop()
  database = await open(join(folder.path, 'db'))
  expect(read(database, 'a')).toBe('1')
})

test('enough of it goes by itself, whole', async () => {
  const value = 'x'.repeat(100_000)
  for (let n = 0; n < 100; n++) {
    await database.write(put(`${n}`, value).put(keyOf('last'), fromUtf8(`${n}`)), behind)
    expect(read(database, `${n}`)).toBe(value)
  }
  await afterCrash((found) => {
    const last = Number(read(found, 'last'))
    expect(last).toBeGreaterThan(0)
    for (let n = 0; n < 100; n++) expect(read(found, `${n}`) !== undefined).toBe(n <= last)
  })
})

test('many writers at one time: each is there, the last of a key counts', async () => {
  const writes = Array.from({ length: 200 }, (_, n) => {
    const batch = put('one', `${n}`).put(keyOf(`${n}`), fromUtf8(`${n}`))
    return database.write(batch, n % 7 === 0 ? { sync: true } : behind)
  })
  await Promise.all(writes)
  await database.write(put('end', 'end'), { sync: true })
  await afterCrash((found) => {
    for (let n = 0; n < 200; n++) expect(read(found, `${n}`)).toBe(`${n}`)
  })
  expect(read(database, 'one')).toBe('199')
})

test('a failure is told to the next', async () => {
  const level = new Level<Uint8Array, Uint8Array>(join(folder.path, 'closed'), {
    keyEncoding: 'view',
    valueEncoding: 'view',
  })
  const broken = new Database('', silentLog, { engine: () => level })
  await broken.start()
  await broken.write(put('a', '1'), behind)
  await level.close()
  await expect(broken.write(put('b', '2'), { sync: true })).rejects.toMatchObject({ code: 'store-write' })
  await expect(broken.write(put('c', '3'), behind)).rejects.toMatchObject({ code: 'store-write' })
  await expect(broken.stop()).rejects.toMatchObject({ code: 'store-write' })
})
