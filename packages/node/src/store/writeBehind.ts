/**
 * Batches that may reach the disk later: until then they are read from memory, as if they were there. Owns what waits, its order and its bound. Several
 * are written as one, all or nothing, and of what they change twice only the last counts.
 */
import type { Batch, BatchTarget } from './batch.js'
import { type Change, ChangeIndex } from './changeIndex.js'

/**
 * Bytes of batches that wait, and as many that are being written. A block of a few dozen transactions changes some 50 KiB, pages of the state tree included,
 * and the more blocks wait, the more of these are changed again before they are written.
 */
export const MAX_WAITING_BYTES: number = 24 << 20

/** Writes changes all together; `sync` as of EngineBatch. */
export type Flush = (replay: (target: BatchTarget) => void, sync: boolean) => Promise<void>

class Group {
  readonly changes = new ChangeIndex()
  bytes = 0
  sync = false

  add(batch: Batch, sync: boolean): void {
    this.changes.add(batch)
    this.bytes += batch.bytes
    this.sync ||= sync
  }
}

export class WriteBehind {
  private waiting = new Group()
  /** On its way to the disk. */
  private leaving: Group | undefined
  private running: Promise<void> | undefined
  /** Why nothing can be written any more. */
  private failure: { readonly error: unknown } | undefined

  constructor(
    private readonly flush: Flush,
    private readonly maxBytes: number,
  ) {}

  /** Whether all that was handed in is on disk, or with the operating system. */
  get isEmpty(): boolean {
    return this.waiting.changes.count === 0 && this.leaving === undefined
  }

  /** The change of a key that is not on disk yet. */
  find(key: Uint8Array): Change | undefined {
    if (this.isEmpty) return undefined
    return this.waiting.changes.find(key) ?? this.leaving?.changes.find(key)
  }

  /** Takes a batch in, to be read at once. Resolves when there is room for another. Rejects with why an earlier one could not be written. */
  async add(batch: Batch): Promise<void> {
    this.throwFailure()
    this.waiting.add(batch, false)
    if (this.waiting.bytes < this.maxBytes) return
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
      if (this.waiting.changes.count === 0) return
      this.start()
    }
  }

  private start(): void {
    if (this.running !== undefined || this.waiting.changes.count === 0) return
    const group = this.waiting
    this.leaving = group
    this.waiting = new Group()
    this.running = this.write(group)
  }

  /** Never rejects: what it failed with is told to whoever comes next. */
  private async write(group: Group): Promise<void> {
    try {
      await this.flush((target) => group.changes.replay(target), group.sync)
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
