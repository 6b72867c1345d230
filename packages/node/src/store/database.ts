/**
 * LevelDB: opening it, its one-writer lock, sealed reads and atomic batches. Owns the handle and nothing of what the records mean.
 */
import { Level } from 'level'
import { StoreError } from '../runtime/errors.js'
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

  put(key: Uint8Array, content: Uint8Array): this {
    this.operations.push({ type: 'put', key, value: seal(key, content) })
    return this
  }

  /** For content that its own key authenticates. */
  putBare(key: Uint8Array, value: Uint8Array): this {
    this.operations.push({ type: 'put', key, value })
    return this
  }

  delete(key: Uint8Array): this {
    this.operations.push({ type: 'del', key })
    return this
  }
}

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code
}

export class Database extends BaseService {
  private readonly level: Level<Uint8Array, Uint8Array>

  constructor(
    private readonly location: string,
    log: Log,
  ) {
    super('database', log)
    this.level = new Level(location, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      cacheSize: 32 << 20,
      writeBufferSize: 16 << 20,
    })
  }

  /** The content of a record, undefined when there is none. Throws StoreError `store-corrupt` when it is damaged. */
  read(key: Uint8Array): Uint8Array | undefined {
    const record = this.level.getSync(key)
    return record === undefined ? undefined : unseal(key, record)
  }

  readBare(key: Uint8Array): Uint8Array | undefined {
    return this.level.getSync(key)
  }

  /** Every record of a kind, in key order. */
  async *scan(kind: RecordKind): AsyncGenerator<{ key: Uint8Array; content: Uint8Array }> {
    for await (const [key, record] of this.level.iterator(kindRange(kind))) {
      yield { key, content: unseal(key, record) }
    }
  }

  /** Every record of a range. */
  async readRange(range: { gte: Uint8Array; lt: Uint8Array }): Promise<{ key: Uint8Array; content: Uint8Array }[]> {
    const records = await this.level.iterator(range).all()
    return records.map(([key, record]) => ({ key, content: unseal(key, record) }))
  }

  /** Deletes every record of a kind. */
  async clear(kind: RecordKind): Promise<void> {
    await this.level.clear(kindRange(kind))
  }

  /** Up to `limit` records of a range, last first. */
  async readBackwards(range: { gte: Uint8Array; lt: Uint8Array }, limit: number): Promise<Uint8Array[]> {
    const records = await this.level.iterator({ ...range, reverse: true, limit }).all()
    return records.map(([key, record]) => unseal(key, record))
  }

  /** Resolves once the batch is on disk (`sync`), or handed to the operating system. A failure is a StoreError. */
  async write(batch: Batch, options: { sync: boolean }): Promise<void> {
    try {
      await this.level.batch(batch.operations, options)
    } catch (error) {
      throw new StoreError('store-write', 'the database could not be written', {}, error)
    }
  }

  protected async onStart(): Promise<void> {
    try {
      await this.level.open()
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      if (hasCode(cause, 'LEVEL_LOCKED')) {
        throw new StoreError('store-locked', `another daemon uses the data folder (${this.location})`, {}, error)
      }
      throw new StoreError('store-open', `the database at ${this.location} cannot be opened`, {}, error)
    }
  }

  protected async onStop(): Promise<void> {
    await this.level.close()
  }
}
