/**
 * Backups: everything of a database that authenticates itself (headers, bodies, values, own transactions, peers, the record of reorgs), as of one
 * moment, in one file; with the keys when asked. A new data folder is made of it as a damaged one is made anew, every rule checked on the way:
 * so a backup that somebody has changed can hold less than the truth, and nothing else.
 */
import { link, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { equalBytes, fromUtf8 } from '@kvchain/core/bytes'
import type { Genesis } from '@kvchain/core/genesis'
import { KEY_FILES } from './identity.js'
import { type Progress, ProgressTeller } from './progress.js'
import { type RebuildOptions, type Rebuilt, rebuild } from './rebuild.js'
import { AbortError, OptionsError, StoreError } from './runtime/errors.js'
import type { Failpoints } from './runtime/failpoints.js'
import { hex } from './runtime/hex.js'
import type { Runtime } from './runtime/runtime.js'
import { BackupWriter, readBackupChunks, readBackupHead } from './store/backupFile.js'
import { Batch } from './store/batch.js'
import { Database } from './store/database.js'
import { damagedFolder, databaseFolder, exists, lockFolder, requireDatabase, resumeFolders } from './store/folders.js'
import { wholeContent } from './store/salvage.js'
import { kindOf, type RecordKind } from './store/schema.js'

export interface BackupOptions {
  readonly dataDir: string
  readonly genesis: Genesis
  readonly runtime: Runtime
  /** Absolute; nothing may be there. */
  readonly path: string
  /** Whether the file holds the secret keys, too. */
  readonly withKeys: boolean
  readonly signal?: AbortSignal
  /** Told now and then: records that are in the file. */
  readonly onProgress?: (progress: Progress) => void
}

/** A backup that was made. */
export interface Backup {
  readonly path: string
  readonly records: number
  readonly bytes: number
  /** Headers, side branches included. */
  readonly headers: number
}

/** What a backup holds of a database, in this order. Of `meta` restoring takes nothing: it says what the records are. */
const KINDS: readonly RecordKind[] = ['meta', 'header', 'body', 'value', 'journal', 'peers', 'reorg']
/** Key files stand under this byte, which no record of a database has, and their name. */
const KEY_FILE = 0x4b
const PROGRESS_MS = 500
const WRITE_BYTES = 4 << 20

/** Writes a backup of an open database. It is whole, on disk and mode 0600 when this resolves. Throws OptionsError when the file cannot be written. */
export async function writeBackup(options: BackupOptions, database: Database): Promise<Backup> {
  const { path, runtime } = options
  if (!isAbsolute(path)) throw new OptionsError(`the backup ${path} must be an absolute path`)
  if (await exists(path)) throw new OptionsError(`${path} is there already: choose another name for the backup`)
  const aside = `${path}.${hex(runtime.random.bytes(4))}.part`
  try {
    const backup = await fill(options, database, aside)
    // Unlike a renaming it replaces nothing.
    await link(aside, path)
    await flushFolder(dirname(path))
    return backup
  } catch (error) {
    if (error instanceof StoreError || error instanceof AbortError || error instanceof OptionsError) throw error
    throw new OptionsError(`the backup ${path} cannot be written: ${messageOf(error)}`, error)
  } finally {
    await rm(aside, { force: true })
  }
}

async function fill(options: BackupOptions, database: Database, aside: string): Promise<Backup> {
  const { dataDir, path, withKeys, runtime, signal, onProgress = () => {} } = options
  const teller = new ProgressTeller(runtime.clock, PROGRESS_MS, onProgress)
  const file = await open(aside, 'wx', 0o600)
  try {
    const writer = await BackupWriter.begin(file, options.genesis.hash)
    if (withKeys) for (const name of KEY_FILES) await writer.add(await keyRecord(dataDir, name))
    let [records, headers] = [0, 0]
    for await (const record of database.scanSnapshot(KINDS)) {
      if (signal?.aborted === true) throw new AbortError('the backup')
      if (wholeContent(record) === undefined) throw database.damage('a record is damaged on disk')
      await writer.add(record)
      records++
      if (kindOf(record.key) === 'header') headers++
      teller.note('records saved', records)
    }
    await writer.end()
    return { path, records, headers, bytes: writer.bytes }
  } finally {
    await file.close()
  }
}

async function keyRecord(dataDir: string, name: string) {
  return { key: Uint8Array.of(KEY_FILE, ...fromUtf8(name)), record: await readFile(join(dataDir, name)) }
}

/** A backup of a folder that no daemon uses. Throws StoreError `store-locked` when one does. */
export async function backupFolder(options: BackupOptions & { readonly failpoints: Failpoints }): Promise<Backup> {
  const { dataDir, runtime } = options
  await requireDatabase(dataDir)
  const lock = await lockFolder(dataDir, runtime.log)
  try {
    if (await resumeFolders(options)) {
      throw new StoreError('store-corrupt', 'the database is damaged: start the daemon once, and it makes it anew')
    }
    const database = new Database(databaseFolder(dataDir), runtime.log)
    await database.start()
    try {
      return await writeBackup(options, database)
    } finally {
      await database.stop()
    }
  } finally {
    await lock.stop()
  }
}

export interface RestoreOptions extends RebuildOptions {
  /** The backup. */
  readonly file: string
}

export interface Restored extends Rebuilt {
  /** Names of the key files that the backup held. */
  readonly keys: readonly string[]
}

/**
 * Makes a new data folder of a backup; nothing may be at `dataDir`. Throws OptionsError for what cannot be read or made, StoreError `store-corrupt` or
 * `store-network` for a backup that cannot be used; then nothing is left of the folder.
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { dataDir, file, genesis, runtime } = options
  const source = await open(file, 'r').catch((error: unknown) => {
    throw new OptionsError(`the backup ${file} cannot be read: ${messageOf(error)}`, error)
  })
  try {
    if (!equalBytes(await readBackupHead(source), genesis.hash)) {
      throw new StoreError('store-network', 'the backup is of another network: say which with --network')
    }
    await makeFolder(dataDir)
    try {
      const lock = await lockFolder(dataDir, runtime.log)
      try {
        const keys = await unpack(options, source)
        return { ...(await rebuild(options)), keys }
      } finally {
        await lock.stop()
      }
    } catch (error) {
      await rm(dataDir, { recursive: true, force: true })
      throw error
    }
  } finally {
    await source.close()
  }
}

async function makeFolder(dataDir: string): Promise<void> {
  try {
    await mkdir(dirname(dataDir), { recursive: true, mode: 0o700 })
    await mkdir(dataDir, { mode: 0o700 })
  } catch (error) {
    const why = (await exists(dataDir)) ? 'it is there already, and nothing is restored over it' : messageOf(error)
    throw new OptionsError(`the data folder ${dataDir} cannot be made: ${why}`, error)
  }
}

/** The records of the backup become the database that is to be made anew. Returns the names of the keys that were put in their place. */
async function unpack(options: RestoreOptions, source: Awaited<ReturnType<typeof open>>): Promise<string[]> {
  const { dataDir, runtime, onProgress = () => {} } = options
  const teller = new ProgressTeller(runtime.clock, PROGRESS_MS, onProgress)
  const { size } = await source.stat()
  const aside = join(dataDir, 'db.restore')
  const database = new Database(aside, runtime.log)
  const keys: string[] = []
  await database.start()
  try {
    let [batch, waiting] = [new Batch(), 0]
    for await (const { records, bytes } of readBackupChunks(source)) {
      for (const { key, record } of records) {
        if (key[0] === KEY_FILE) keys.push(await putKeyFile(dataDir, key, record))
        else batch.putBare(key, record)
        waiting += record.length
      }
      if (waiting >= WRITE_BYTES) {
        await database.write(batch, { sync: false })
        ;[batch, waiting] = [new Batch(), 0]
      }
      teller.note('bytes read', bytes, size)
    }
    await database.write(batch, { sync: true })
  } finally {
    await database.stop()
  }
  await rename(aside, damagedFolder(dataDir))
  return keys
}

async function putKeyFile(dataDir: string, key: Uint8Array, content: Uint8Array): Promise<string> {
  const name = KEY_FILES.find((known) => equalBytes(key.subarray(1), fromUtf8(known)))
  if (name === undefined) throw new StoreError('store-corrupt', 'the backup cannot be used: it holds a key of no use')
  await writeFile(join(dataDir, name), content, { mode: 0o600, flag: 'wx' })
  return name
}

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
