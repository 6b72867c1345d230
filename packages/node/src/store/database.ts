/**
 * LevelDB: opening it, its one-writer lock, sealed reads and atomic batches. Owns the handle, what failures of the files are called, and that
 * nothing is written after a write has failed: the log may then end in the middle of a record, and what came behind it would be lost. Owns
 * nothing of what the records mean.
 */
import { access, constants, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { StoreError } from '../runtime/errors.js'
import { type Failpoints, NO_FAILPOINTS, type WriteStep } from '../runtime/failpoints.js'
import type { Log } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import { kindRange, type RecordKind } from './schema.js'
import { seal, unseal } from './seal.js'

interface PutOperation {
  readonly type: 'put'
  readonly key: Uint8Array
  readonly value: Uint8Array
}

interface DeleteOperation {
  readonly type: 'del'
  readonly key: Uint8Array
}

/** Changes that are written all together or not at all. */
export class Batch {
  readonly operations: (PutOperation | DeleteOperation)[] = []
  /** Of the records put, roughly. */
  bytes = 0

  put(key: Uint8Array, content: Uint8Array): this {
    return this.putBare(key, seal(key, content))
  }

  /** For content that its own key authenticates, and for records as they were read. */
  putBare(key: Uint8Array, value: Uint8Array): this {
    this.operations.push({ type: 'put', key, value })
    this.bytes += key.length + value.length
    return this
  }

  delete(key: Uint8Array): this {
    this.operations.push({ type: 'del', key })
    return this
  }
}

export interface DatabaseOptions {
  readonly failpoints?: Failpoints
  /** Told once, when a write fails: whatever was to be stored is not safe, and no further write will be tried. */
  readonly onFailure?: (error: StoreError) => void
}

export interface WriteOptions {
  readonly sync: boolean
  /** What the write is, for failpoints. */
  readonly step: WriteStep
}

/** A record as it is on disk, its seal included. */
export interface RawRecord {
  readonly key: Uint8Array
  readonly record: Uint8Array
}

/** Files that make up a database; others (locks, logs of the library) do not matter. */
const DATA_FILE = /^(?:CURRENT|MANIFEST-\d+|\d+\.(?:ldb|sst|log))$/
/** As much as opening a database writes, roughly. */
const PROBE_BYTES = 64 * 1024
const SCAN_RECORDS = 1_000

export class Database extends BaseService {
  readonly failpoints: Failpoints
  private readonly level: Level<Uint8Array, Uint8Array>
  private failure: StoreError | undefined

  constructor(
    readonly location: string,
    log: Log,
    private readonly options: DatabaseOptions = {},
  ) {
    super('database', log)
    this.failpoints = options.failpoints ?? NO_FAILPOINTS
    this.level = new Level(location, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      cacheSize: 32 << 20,
      writeBufferSize: 16 << 20,
    })
  }

  /** Lets the library put its files right as far as it can: what it cannot read it keeps in a folder `lost`. Throws StoreError `store-files`. */
  static async repairFiles(location: string): Promise<void> {
    try {
      await Level.repair(location)
    } catch (error) {
      throw new StoreError('store-files', `the files at ${location} cannot be repaired`, {}, error)
    }
  }

  /** Whether a write has failed: then none is tried any more. */
  get hasFailed(): boolean {
    return this.failure !== undefined
  }

  /** The content of a record, undefined when there is none. Throws StoreError `store-corrupt` when it is damaged. */
  read(key: Uint8Array): Uint8Array | undefined {
    const record = this.readBare(key)
    return record === undefined ? undefined : unseal(key, record)
  }

  /** The record as it is on disk. Throws StoreError `store-corrupt` or `store-io` when the files cannot be read. */
  readBare(key: Uint8Array): Uint8Array | undefined {
    try {
      return this.level.getSync(key)
    } catch (error) {
      throw readError(error, key)
    }
  }

  /** Every record of a kind, in key order. Throws StoreError at the first that is damaged. */
  async *scan(kind: RecordKind): AsyncGenerator<{ key: Uint8Array; content: Uint8Array }> {
    for await (const { key, record } of this.scanRaw(kind)) yield { key, content: unseal(key, record) }
  }

  /** Every record of a kind as it is on disk. Throws StoreError when the files cannot be read on; what could be read has come by then. */
  async *scanRaw(kind: RecordKind): AsyncGenerator<RawRecord> {
    const { gte, lt } = kindRange(kind)
    let after: Uint8Array | undefined
    // Where a read fails the library drops what it had read with it: once more from there, record by record.
    for (const size of [SCAN_RECORDS, 1]) {
      const iterator = this.level.iterator({ ...(after === undefined ? { gte } : { gt: after }), lt })
      try {
        for (;;) {
          const records = await iterator.nextv(size)
          if (records.length === 0) return
          for (const [key, record] of records) {
            after = key
            yield { key, record }
          }
        }
      } catch (error) {
        if (error instanceof StoreError || size === 1) throw readError(error, gte)
      } finally {
        await iterator.close()
      }
    }
  }

  /** Every record of a range. */
  async readRange(range: { gte: Uint8Array; lt: Uint8Array }): Promise<{ key: Uint8Array; content: Uint8Array }[]> {
    let records: [Uint8Array, Uint8Array][]
    try {
      records = await this.level.iterator(range).all()
    } catch (error) {
      throw readError(error, range.gte)
    }
    return records.map(([key, record]) => ({ key, content: unseal(key, record) }))
  }

  async isEmpty(): Promise<boolean> {
    try {
      return (await this.level.keys({ limit: 1 }).all()).length === 0
    } catch {
      // Whatever cannot be read is something.
      return false
    }
  }

  /** Deletes every record of a kind. */
  async clear(kind: RecordKind): Promise<void> {
    await this.writing(() => this.level.clear(kindRange(kind)))
  }

  /** Writes the files anew, in order. */
  async compact(): Promise<void> {
    await this.writing(() => this.level.compactRange(new Uint8Array(0), new Uint8Array(64).fill(0xff)))
  }

  /** Resolves once the batch is on disk (`sync`), or handed to the operating system. A failure is a StoreError, and the last write. */
  async write(batch: Batch, { sync, step }: WriteOptions): Promise<void> {
    await this.writing(async () => {
      this.failpoints.pass(`${step}-before`)
      await this.level.batch(batch.operations, { sync })
      this.failpoints.pass(`${step}-after`)
    })
  }

  private async writing(work: () => Promise<void>): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    try {
      await work()
    } catch (error) {
      const failure = new StoreError(
        'store-write',
        `the database could not be written (${reasonOf(error)}): see to the disk, then start again; what was answered is safe`,
        {},
        error,
      )
      if (hasCode(error, 'LEVEL_DATABASE_NOT_OPEN')) throw failure
      if (this.failure === undefined) {
        this.failure = failure
        this.options.onFailure?.(failure)
      }
      throw failure
    }
  }

  protected async onStart(): Promise<void> {
    await refuseHeadless(this.location)
    try {
      await this.level.open()
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      if (hasCode(cause, 'LEVEL_LOCKED')) {
        throw new StoreError('store-locked', `another daemon uses the data folder (${this.location})`, {}, error)
      }
      await probe(this.location)
      const message = `the files of the database at ${this.location} are damaged (${reasonOf(cause ?? error)})`
      throw new StoreError('store-files', message, {}, error)
    }
  }

  protected async onStop(): Promise<void> {
    await this.level.close()
  }
}

/** Without the file CURRENT the library would take the folder for a new one, and delete the rest. */
async function refuseHeadless(location: string): Promise<void> {
  const files = await dataFiles(location)
  if (files.length > 0 && !files.includes('CURRENT')) {
    throw new StoreError('store-files', `the database at ${location} has lost its file CURRENT`)
  }
}

/** The names of a database's files; none when there is no such folder. */
export async function dataFiles(location: string): Promise<string[]> {
  try {
    return (await readdir(location)).filter((name) => DATA_FILE.test(name))
  } catch {
    return []
  }
}

/** Tells a folder that cannot be used from one that is damaged: throws StoreError `store-open` when files may not be read or written. */
async function probe(location: string): Promise<void> {
  const file = join(location, 'probe')
  try {
    for (const name of await dataFiles(location)) await access(join(location, name), constants.R_OK | constants.W_OK)
    const handle = await open(file, 'w', 0o600)
    try {
      await handle.writeFile(new Uint8Array(PROBE_BYTES))
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    const message = `the database at ${location} cannot be opened (${reasonOf(error)}): see to the disk and its rights, then start again`
    throw new StoreError('store-open', message, {}, error)
  } finally {
    await rm(file, { force: true }).catch(() => {})
  }
}

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code
}

function readError(error: unknown, key: Uint8Array): StoreError {
  if (error instanceof StoreError) return error
  const kind = String.fromCharCode(key[0] ?? 0)
  if (hasCode(error, 'LEVEL_DATABASE_NOT_OPEN')) return new StoreError('store-open', 'the database is closed', {}, error)
  const code = hasCode(error, 'LEVEL_CORRUPTION') ? 'store-corrupt' : 'store-io'
  return new StoreError(code, `a record of kind ${kind} cannot be read (${reasonOf(error)})`, { kind }, error)
}

/** What the operating system or the library says, without the path before it. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const words = /: ([^:/]+)$/.exec(text)?.[1] ?? text
  return words.replace(/, \w+.*$/, '')
}
