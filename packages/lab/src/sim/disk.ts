/**
 * The disk of a simulated node: an ordered store of keys and values that takes its time and can lose power. Owns what survives: every batch up to the
 * last one that was synced, and of those after it a random number, in order, each whole; LevelDB promises no more (its log drops a torn batch, and
 * what follows it). Damage to what was synced is not simulated: tests of real folders do that.
 */
import { equalBytes, toMapKey } from '@kvchain/core/bytes'
import { assert } from '@kvchain/core/errors'
import type { Engine, EngineBatch, EngineSnapshot } from '@kvchain/node/store/engine'
import type { KeyRange } from '@kvchain/node/store/schema'
import type { Random } from '../difficulty/random.js'
import { KIND } from './loop.js'
import { below, type Life } from './runtime.js'

interface Operation {
  readonly text: string
  /** Undefined: deleted. */
  readonly row: Row | undefined
}

type Row = [key: Uint8Array, value: Uint8Array]

interface Write {
  readonly operations: readonly Operation[]
  readonly sync: boolean
  readonly done: () => void
}

/** Rows remembered to be shared; the oldest is forgotten. */
const MAX_SHARED = 200_000

/**
 * Rows that the disks of a world share in memory: what a hundred nodes keep of one block is the same bytes, and here once. Each disk has a list of its own
 * of what is on it; only the bytes are shared, and nobody changes those.
 */
export class SharedRows {
  private readonly rows = new Map<string, SharedRow>()

  /** The row of these bytes, copied when nobody has it. */
  share(key: Uint8Array, value: Uint8Array): SharedRow {
    const text = toMapKey(key)
    const known = this.rows.get(text)
    if (known !== undefined && equalBytes(known.row[1], value)) return known
    const made: SharedRow = { text, row: [new Uint8Array(key), new Uint8Array(value)] }
    this.rows.delete(text)
    this.rows.set(text, made)
    const [oldest] = this.rows.keys()
    if (this.rows.size > MAX_SHARED && oldest !== undefined) this.rows.delete(oldest)
    return made
  }
}

interface SharedRow {
  readonly text: string
  readonly row: Row
}

/** Virtual time of a synced write, at least and at most; one that is not synced takes a hundredth. */
export interface DiskTimes {
  readonly minSyncMs: number
  readonly maxSyncMs: number
}

export class Disk {
  private readonly rows = new Map<string, Row>()
  private sorted: string[] | undefined
  /** What undoes each batch since the last sync, oldest batch first. */
  private unsynced: Operation[][] = []
  /** Under way, oldest first. */
  private writes: Write[] = []
  private freeAtMs = 0
  private idle: (() => void)[] = []

  constructor(
    private readonly random: Random,
    private readonly times: DiskTimes,
    readonly shared: SharedRows,
  ) {}

  /** The power is gone. Returns how many batches that were not synced are lost. */
  crash(): number {
    const batches = this.unsynced.length + this.writes.length
    const kept = below(this.random, batches + 1)
    for (const { operations } of this.writes.slice(0, Math.max(0, kept - this.unsynced.length))) this.apply(operations)
    while (this.unsynced.length > kept) this.apply(this.unsynced.pop() ?? [])
    this.unsynced = []
    this.writes = []
    this.idle = []
    this.freeAtMs = 0
    return batches - kept
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.rows.get(toMapKey(key))?.[1]
  }

  range({ gte, lt }: KeyRange): Row[] {
    this.sorted ??= [...this.rows.keys()].sort(compareTexts)
    const [from, to] = [toMapKey(gte), toMapKey(lt)]
    const found: Row[] = []
    for (let i = lowerBound(this.sorted, from); i < this.sorted.length; i++) {
      const text = this.sorted[i] ?? ''
      if (text >= to) break
      const row = this.rows.get(text)
      if (row !== undefined) found.push(row)
    }
    return found
  }

  /** Begins a write; `done` is called when it is there (and, with `sync`, safe), unless `life` ends before. */
  write(life: Life, operations: readonly Operation[], sync: boolean, done: () => void): void {
    this.writes.push({ operations, sync, done })
    const { minSyncMs, maxSyncMs } = this.times
    const takesMs = (minSyncMs + (maxSyncMs - minSyncMs) * this.random.uniform()) * (sync ? 1 : 0.01)
    const now = life.clock.monotonicMs()
    this.freeAtMs = Math.max(this.freeAtMs, now) + takesMs
    life.after(this.freeAtMs - now, KIND.disk, () => this.finish())
  }

  /** Resolves when no write is under way. */
  settled(): Promise<void> {
    return this.writes.length === 0 ? Promise.resolve() : new Promise((resolve) => this.idle.push(resolve))
  }

  private finish(): void {
    const write = this.writes.shift()
    assert(write !== undefined, 'a write ends once')
    const undo = this.apply(write.operations)
    if (write.sync) this.unsynced = []
    else this.unsynced.push(undo)
    write.done()
    if (this.writes.length > 0) return
    for (const resolve of this.idle) resolve()
    this.idle = []
  }

  /** Returns what undoes it, in the order in which that must be done. */
  private apply(operations: readonly Operation[]): Operation[] {
    const undo: Operation[] = []
    for (const { text, row } of operations) {
      const before = this.rows.get(text)
      undo.push({ text, row: before })
      if (row === undefined) this.rows.delete(text)
      else this.rows.set(text, row)
      if ((before === undefined) !== (row === undefined)) this.sorted = undefined
    }
    return undo.reverse()
  }
}

/** One opening of a disk, by one life of its node. */
export class DiskEngine implements Engine {
  private state: 'new' | 'open' | 'closed' = 'new'

  constructor(
    private readonly disk: Disk,
    private readonly life: Life,
  ) {}

  async open(): Promise<void> {
    this.state = 'open'
  }

  async close(): Promise<void> {
    await this.disk.settled()
    this.state = 'closed'
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    this.check()
    return this.disk.get(key)
  }

  batch(): EngineBatch {
    const operations: Operation[] = []
    return {
      put: (key, value) => operations.push(this.disk.shared.share(key, value)),
      del: (key) => operations.push({ text: toMapKey(key), row: undefined }),
      write: ({ sync }) => {
        this.check()
        return new Promise((resolve) => this.disk.write(this.life, operations, sync, resolve))
      },
    }
  }

  iterator({ gte, lt, snapshot }: KeyRange & { readonly snapshot?: EngineSnapshot | undefined }) {
    this.check()
    const rows = snapshot instanceof DiskSnapshot ? snapshot.range({ gte, lt }) : this.disk.range({ gte, lt })
    let next = 0
    return {
      next: async () => rows[next++],
      close: async () => {},
    }
  }

  async *keys(range: KeyRange): AsyncGenerator<Uint8Array> {
    this.check()
    for (const [key] of this.disk.range(range)) yield key
  }

  async clear(range: KeyRange): Promise<void> {
    const batch = this.batch()
    for (const [key] of this.disk.range(range)) batch.del(key)
    await batch.write({ sync: false })
  }

  snapshot(): EngineSnapshot {
    this.check()
    return new DiskSnapshot(this.disk.range({ gte: new Uint8Array(0), lt: Uint8Array.of(0xff) }))
  }

  private check(): void {
    assert(this.state === 'open' && !this.life.isOver, 'a disk is used while it is open')
  }
}

class DiskSnapshot implements EngineSnapshot {
  constructor(private readonly rows: readonly Row[]) {}

  range({ gte, lt }: KeyRange): Row[] {
    const [from, to] = [toMapKey(gte), toMapKey(lt)]
    return this.rows.filter(([key]) => toMapKey(key) >= from && toMapKey(key) < to)
  }

  async close(): Promise<void> {}
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The first place whose text is not before `text`. */
function lowerBound(sorted: readonly string[], text: string): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? '') < text) low = middle + 1
    else high = middle
  }
  return low
}
