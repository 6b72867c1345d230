/**
 * What Database needs of the store of keys and values below it: a part of what abstract-level specifies. LevelDB, but for simulations, which bring
 * one that crashes when it is told to.
 */
import type { KeyRange } from './schema.js'

export interface Engine {
  open(): Promise<void>
  close(): Promise<void>
  getSync(key: Uint8Array): Uint8Array | undefined
  /** Written all together or not at all, and after every batch that was written before. */
  batch(): EngineBatch
  /** In key order, as of now or of the snapshot. */
  iterator(range: IteratorRange): EngineIterator
  keys(range: KeyRange): AsyncIterable<Uint8Array>
  clear(range: KeyRange): Promise<void>
  snapshot(): EngineSnapshot
}

export interface EngineBatch {
  put(key: Uint8Array, value: Uint8Array): unknown
  del(key: Uint8Array): unknown
  /** `sync`: once it resolves, the batch and all before it outlive a loss of power. */
  write(options: { readonly sync: boolean }): Promise<void>
}

export interface EngineIterator {
  next(): Promise<[Uint8Array, Uint8Array] | undefined>
  close(): Promise<void>
}

export interface EngineSnapshot {
  close(): Promise<void>
}

interface IteratorRange extends KeyRange {
  readonly highWaterMarkBytes?: number
  readonly snapshot?: EngineSnapshot | undefined
}
