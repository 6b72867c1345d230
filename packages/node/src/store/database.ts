/**
 * LevelDB: opening it, its one-writer lock, sealed reads and atomic batches; and that damage, whoever finds it, is told to whoever runs the
 * node. Owns the handle and nothing of what the records mean.
 */
import { readdir } from 'node:fs/promises'
import { assert, type ErrorData } from '@kvchain/core/errors'
import { Level } from 'level'
import { StoreError } from '../runtime/errors.js'
import { type FailpointStep, type Failpoints, NO_FAILPOINTS } from '../runtime/failpoints.js'
import type { Log } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import type { Batch, BatchTarget } from './batch.js'
import type { Engine, EngineSnapshot } from './engine.js'
import { type KeyRange, kindRange, type RecordKind } from './schema.js'
import { unseal } from './seal.js'
import { MAX_WAITING_BYTES, WriteBehind } from './writeBehind.js'

/** Why the operating system keeps a database from being opened that may well be whole. */
const NOT_DAMAGE = /Permission denied|Read-only file system|No space left|Too many open files|Input\/output error/

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code
}

export interface DatabaseOptions {
  /** Made at the start, in place of LevelDB in a folder: for simulations. */
  readonly engine?: () => Engine
  /** Called for each damage that is found, before it is raised. */
  readonly onDamage?: (error: StoreError) => void
  readonly failpoints?: Failpoints
  /** Bytes of batches that may stay in memory. MAX_WAITING_BYTES unless said otherwise. */
  readonly maxWaitingBytes?: number
}

/** A record as it is stored, seal and all. */
export interface RawRecord {
  readonly key: Uint8Array
  readonly record: Uint8Array
}

export interface ScanOptions {
  readonly careful?: boolean
  /** As of when; now, when left out. */
  readonly snapshot?: EngineSnapshot | undefined
}

export interface WriteOptions {
  /** Whether it must be on disk, and not only handed to the operating system. */
  readonly sync: boolean
  /**
   * Whether it may stay in memory for now: it is read as if it were written, and gets to the disk with whatever is written next, or once enough has
   * come together. Never with `sync`.
   */
  readonly behind?: boolean
  /** Names the failpoints before and after. */
  readonly step?: FailpointStep
}

export class Database extends BaseService {
  readonly failpoints: Failpoints
  /** Made at the start: it opens by itself as soon as it is made. */
  private level_: Engine | undefined
  private readonly behind: WriteBehind

  constructor(
    private readonly location: string,
    log: Log,
    private readonly options: DatabaseOptions = {},
  ) {
    super('database', log)
    this.failpoints = options.failpoints ?? NO_FAILPOINTS
    const maxBytes = options.maxWaitingBytes ?? MAX_WAITING_BYTES
    this.behind = new WriteBehind((replay, sync) => this.writeNow(replay, sync), maxBytes)
  }

  private get level(): Engine {
    if (this.level_ === undefined) throw new StoreError('store-io', 'the database is not open')
    return this.level_
  }

  /** The content of a record, undefined when there is none. Throws StoreError `store-corrupt` when it is damaged. */
  read(key: Uint8Array): Uint8Array | undefined {
    const record = this.readBare(key)
    return record === undefined ? undefined : this.unsealed(key, record)
  }

  /** A record that has no seal. Throws StoreError `store-corrupt` when the database itself finds damage. */
  readBare(key: Uint8Array): Uint8Array | undefined {
    const change = this.behind.find(key)
    if (change !== undefined) return change.value
    try {
      return this.level.getSync(key)
    } catch (error) {
      throw this.unreadable(error)
    }
  }

  /** Every record of a kind, in key order. */
  async *scan(kind: RecordKind): AsyncGenerator<{ key: Uint8Array; content: Uint8Array }> {
    for await (const { key, record } of this.scanBare(kindRange(kind)))
      yield { key, content: this.unsealed(key, record) }
  }

  /**
   * Every record of a range as it is stored, seal and all, in key order. `careful`: slower, but of files that are damaged everything that can be
   * read comes before the error.
   */
  async *scanBare(range: KeyRange, { careful = false, snapshot }: ScanOptions = {}): AsyncGenerator<RawRecord> {
    if (snapshot === undefined) await this.settle()
    // What LevelDB has read ahead is lost with an error: so it reads nothing ahead.
    const bound = careful ? { highWaterMarkBytes: 0 } : {}
    const iterator = this.level.iterator({ ...range, ...bound, snapshot })
    try {
      for (;;) {
        const next = await this.guard(() => iterator.next())
        if (next === undefined) return
        yield { key: next[0], record: next[1] }
      }
    } finally {
      await iterator.close()
    }
  }

  /** Every record of some kinds as it is stored, kind by kind, all as of the moment at which this begins, whatever is written meanwhile. */
  async *scanSnapshot(kinds: readonly RecordKind[]): AsyncGenerator<RawRecord> {
    await this.settle()
    const snapshot = this.level.snapshot()
    try {
      for (const kind of kinds) {
        for await (const record of this.scanBare(kindRange(kind), { snapshot })) yield record
      }
    } finally {
      await snapshot.close()
    }
  }

  /** The keys of a range's records, in order, as they are now. */
  async *keys(range: KeyRange): AsyncGenerator<Uint8Array> {
    await this.settle()
    try {
      for await (const key of this.level.keys({ ...range })) yield key
    } catch (error) {
      throw this.unreadable(error)
    }
  }

  /** Every record of a range. */
  async readRange(range: KeyRange): Promise<{ key: Uint8Array; content: Uint8Array }[]> {
    const records: { key: Uint8Array; content: Uint8Array }[] = []
    for await (const { key, record } of this.scanBare(range)) records.push({ key, content: this.unsealed(key, record) })
    return records
  }

  /** Deletes every record of a kind. */
  async clear(kind: RecordKind): Promise<void> {
    await this.settle()
    await this.guard(() => this.level.clear(kindRange(kind)))
  }

  private async guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw this.unreadable(error)
    }
  }

  /** The error for damage that was found, after whoever runs the node was told: `throw database.damage(...)`. */
  damage(message: string, data: ErrorData = {}, cause?: unknown): StoreError {
    const error = new StoreError('store-corrupt', message, data, cause)
    this.options.onDamage?.(error)
    return error
  }

  private unsealed(key: Uint8Array, record: Uint8Array): Uint8Array {
    const content = unseal(key, record)
    if (content !== undefined) return content
    const kind = String.fromCharCode(key[0] ?? 0)
    throw this.damage(`a record of kind ${kind} is damaged on disk`, { kind })
  }

  /** A closed database is our own doing; whatever else keeps a record from being read counts as damage. */
  private unreadable(error: unknown): StoreError {
    if (error instanceof StoreError) return error
    if (hasCode(error, 'LEVEL_DATABASE_NOT_OPEN')) {
      return new StoreError('store-io', 'the database is closed', {}, error)
    }
    return this.damage('the database cannot be read', {}, error)
  }

  /** Resolves once the batch is on disk (`sync`), handed to the operating system, or in memory (`behind`). A failure, of an earlier one too, is a StoreError. */
  async write(batch: Batch, { sync, behind = false, step }: WriteOptions): Promise<void> {
    assert(!(sync && behind), 'what must be on disk does not wait')
    if (step !== undefined) this.failpoints.pass(`${step}-before`)
    if (behind) await this.behind.add(batch)
    else if (this.behind.isEmpty) await this.writeNow((target) => batch.replay(target), sync)
    else await this.behind.addNow(batch, sync)
    if (step !== undefined) this.failpoints.pass(`${step}-after`)
  }

  /** Resolves when nothing waits in memory any more. */
  private async settle(): Promise<void> {
    if (!this.behind.isEmpty) await this.behind.settle()
  }

  private async writeNow(replay: (target: BatchTarget) => void, sync: boolean): Promise<void> {
    try {
      // Half the cost of a batch given as an array, which is copied operation by operation, options and all.
      const chained = this.level.batch()
      replay(chained)
      await chained.write({ sync })
    } catch (error) {
      if (hasCode(error, 'LEVEL_CORRUPTION')) throw this.damage('the database cannot be written', {}, error)
      throw new StoreError('store-write', 'the database could not be written', {}, error)
    }
  }

  protected async onStart(): Promise<void> {
    this.level_ = this.options.engine?.() ?? (await this.levelDb())
    try {
      await this.level_.open()
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      if (hasCode(cause, 'LEVEL_LOCKED')) {
        throw new StoreError(
          'store-locked',
          `another daemon uses the database ${this.location}: stop it first`,
          {},
          error,
        )
      }
      const why = cause instanceof Error ? cause.message : String(error)
      if (NOT_DAMAGE.test(why)) {
        const advice = 'see to its permissions, its disk and the limit of open files'
        throw new StoreError(
          'store-open',
          `the database ${this.location} cannot be opened (${why}): ${advice}`,
          {},
          error,
        )
      }
      throw this.damage(`the database cannot be opened (${why})`, {}, error)
    }
  }

  private async levelDb(): Promise<Engine> {
    await this.refuseHeadless()
    const sizes = { cacheSize: 32 << 20, writeBufferSize: 16 << 20 }
    return new Level(this.location, { keyEncoding: 'view', valueEncoding: 'view', ...sizes })
  }

  /** LevelDB takes files without their CURRENT for nothing, and deletes them. */
  private async refuseHeadless(): Promise<void> {
    const names = await readdir(this.location).catch((): string[] => [])
    const hasFiles = names.some((name) => /^MANIFEST-|\.(?:ldb|sst|log)$/.test(name))
    if (hasFiles && !names.includes('CURRENT')) throw this.damage('the database has lost its file CURRENT')
  }

  protected async onStop(): Promise<void> {
    try {
      await this.settle()
    } finally {
      await this.level_?.close()
    }
  }
}
