/**
 * Changes of the database that are made all together or not at all. Owns how they are held until then: in a few stretches of bytes, since
 * an object for each key and value of a large block would cost more than writing them.
 */
import { SEAL_BYTES, sealInto } from './seal.js'

/** What takes the changes in, one after the other. Key and value are parts of the batch's own memory, which changes no more once it is complete. */
export interface BatchTarget {
  put(key: Uint8Array, value: Uint8Array): unknown
  del(key: Uint8Array): unknown
}

/** A change in the batch's memory: its key is room[at..at + keyLength), and its value comes right after. A `valueLength` of REMOVED removes. */
export type ChangeVisitor = (room: Uint8Array, at: number, keyLength: number, valueLength: number) => void

const FIRST_BYTES = 1024
const MAX_NEXT_BYTES = 256 << 10
/** In place of a value's length. */
export const REMOVED = -1

export class Batch {
  /** What is full, with nothing behind the last change in it. */
  private readonly full: Uint8Array[] = []
  private room = new Uint8Array(FIRST_BYTES)
  private end = 0
  private fullBytes = 0
  /** Length of key and of value, for each change. None lies in two rooms. */
  private readonly lengths: number[] = []

  get count(): number {
    return this.lengths.length / 2
  }

  /** Keys, values and seals together. */
  get bytes(): number {
    return this.fullBytes + this.end
  }

  /** A record with its seal. */
  put(key: Uint8Array, content: Uint8Array): this {
    this.append(key, content, SEAL_BYTES)
    sealInto(this.room, this.end - key.length - content.length - SEAL_BYTES, this.end - SEAL_BYTES)
    return this
  }

  /** For content that its own key authenticates. */
  putBare(key: Uint8Array, value: Uint8Array): this {
    this.append(key, value, 0)
    return this
  }

  delete(key: Uint8Array): this {
    this.reserve(key.length)
    this.room.set(key, this.end)
    this.end += key.length
    this.lengths.push(key.length, REMOVED)
    return this
  }

  /** Hands over every change, in order. */
  replay(target: BatchTarget): void {
    this.forEach((room, at, keyLength, valueLength) => {
      const end = at + keyLength
      const key = room.subarray(at, end)
      if (valueLength === REMOVED) target.del(key)
      else target.put(key, room.subarray(end, end + valueLength))
    })
  }

  /** Says of every change, in order, where it lies. */
  forEach(visit: ChangeVisitor): void {
    let [index, at] = [0, 0]
    let room = this.full[index] ?? this.room
    for (let i = 0; i < this.lengths.length; i += 2) {
      const [keyLength = 0, valueLength = 0] = [this.lengths[i], this.lengths[i + 1]]
      if (at === room.length) {
        room = this.full[++index] ?? this.room
        at = 0
      }
      visit(room, at, keyLength, valueLength)
      at += keyLength + (valueLength === REMOVED ? 0 : valueLength)
    }
  }

  private append(key: Uint8Array, content: Uint8Array, spare: number): void {
    this.reserve(key.length + content.length + spare)
    this.room.set(key, this.end)
    this.room.set(content, this.end + key.length)
    this.end += key.length + content.length + spare
    this.lengths.push(key.length, content.length + spare)
  }

  private reserve(count: number): void {
    if (this.end + count <= this.room.length) return
    if (this.end > 0) this.full.push(this.room.subarray(0, this.end))
    this.fullBytes += this.end
    const next = Math.min(2 * this.room.length, MAX_NEXT_BYTES)
    this.room = new Uint8Array(Math.max(next, count))
    this.end = 0
  }
}
