/**
 * Batches that may reach the disk later: until then they are read from memory, as if they were there. Owns what waits, its order and its bound. Several
 * are written as one, all or nothing, and of what they change twice only the last counts.
 */
import { toMapKey } from '@kvchain/core/bytes'
import type { Batch, BatchTarget } from './batch.js'

/** Bytes of batches that wait. A block of a few dozen transactions changes some 100 KiB, pages of the state tree included. */
const MAX_WAITING_BYTES = 4 << 20

/** Writes changes all together; `sync` as of EngineBatch. */
export type Flush = (replay: (target: BatchTarget) => void, sync: boolean) => Promise<void>

interface Change {
  readonly key: Uint8Array
  /** undefined removes. */
  readonly value: Uint8Array | undefined
}

class Group {
  readonly changes = new Map<string, Change>()
  bytes = 0
  sync = false

  add(batch: Batch, sync: boolean): void {
    batch.replay({
      put: (key, value) => this.changes.set(toMapKey(key), { key, value }),
      del: (key) => this.changes.set(toMapKey(key), { key, value: undefined }),
    })
    this.bytes += batch.bytes
    this.sync ||= sync
  }

  replay(target: BatchTarget): void {
    for (const { key, value } of this.changes.values()) {
      if (value === undefined) target.del(key)
      else target.put(key, value)
    }
  }
}

export class WriteBehind {
  private waiting = new Group()
  /** On its way to the disk. */
  private leaving: Group | undefined
  private running: Promise<void> | undefined
  /** Why nothing can be written any more. */
  private failure: { readonly error: unknown } | undefined

  constructor(private readonly flush: Flush) {}

  /** Whether all that was handed in is on disk, or with the operating system. */
  get isEmpty(): boolean {
    return this.waiting.changes.size === 0 && this.leaving === undefined
  }

  /** The change of a key that is not on disk yet. */
  find(key: Uint8Array): Change | undefined {
    if (this.isEmpty) return undefined
    const text = toMapKey(key)
    return this.waiting.changes.get(text) ?? this.leaving?.changes.get(text)
  }

  /** Takes a batch in, to be read at once. Resolves when there is room for another. Rejects with why an earlier one could not be written. */
  async add(batch: Batch): Promise<void> {
    this.throwFailure()
    this.waiting.add(batch, false)
    if (this.waiting.bytes < MAX_WAITING_BYTES) return
    // One is written while the next one fills.
    await this.running
    this.throwFailure()
    this.start()
  }

  /** Takes a batch in, and resolves when it and all before it are written. */
  async addNow(batch: Batch, sync: boolean): Promise<void> {
    this.waiting.add(batch, sync)
    await this.settle()
  }

  /** Resolves when all that was handed in is written. Rejects with why it could not be. */
  async settle(): Promise<void> {
    for (;;) {
      await this.running
      this.throwFailure()
      if (this.waiting.changes.size === 0) return
      this.start()
    }
  }

  private start(): void {
    if (this.running !== undefined || this.waiting.changes.size === 0) return
    const group = this.waiting
    this.leaving = group
    this.waiting = new Group()
    this.running = this.write(group)
  }

  /** Never rejects: what it failed with is told to whoever comes next. */
  private async write(group: Group): Promise<void> {
    try {
      await this.flush((target) => group.replay(target), group.sync)
      this.leaving = undefined
    } catch (error) {
      this.failure = { error }
    } finally {
      this.running = undefined
    }
  }

  private throwFailure(): void {
    if (this.failure !== undefined) throw this.failure.error
  }
}
