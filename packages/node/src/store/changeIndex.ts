/**
 * The last change of each key in many batches. Owns where these changes lie, as numbers in typed arrays, and no copy of them: keys and values stay in
 * the batches' own memory, which must change no more. An object for every change, alive until it is written, would keep the collector busy.
 */
import { type Batch, type BatchTarget, REMOVED } from './batch.js'
import { hashKey, type KeyHash } from './keyHash.js'

/** Of the first entries; doubles when they are full. */
const FIRST_CAPACITY = 256

/** An entry's numbers: which room, where its key begins there, how long key and value are, the key's hash, and the next entry of the same chain. */
const ROOM = 0
const AT = 1
const KEY_LENGTH = 2
const VALUE_LENGTH = 3
const HASH = 4
const NEXT = 5
const FIELDS = 6
/** Ends a chain. */
const NONE = -1

/** What became of a key. */
export interface Change {
  /** undefined removes. */
  readonly value: Uint8Array | undefined
}

export class ChangeIndex {
  private size = 0
  private readonly rooms: Uint8Array[] = []
  private entries = new Int32Array(FIRST_CAPACITY * FIELDS)
  /** The first entry of each chain. As many chains as there is room for entries, a power of two. */
  private heads = new Int32Array(FIRST_CAPACITY).fill(NONE)
  /** A hash's upper bits, so many places down, number its chain. */
  private shift = Math.clz32(FIRST_CAPACITY) + 1

  constructor(private readonly hash: KeyHash = hashKey) {}

  /** Keys that are changed. */
  get count(): number {
    return this.size
  }

  /** A change takes the place of an earlier one of its key. */
  add(batch: Batch): void {
    batch.forEach((room, at, keyLength, valueLength) => {
      if (this.rooms.at(-1) !== room) this.rooms.push(room)
      const hash = this.hash(room, at, at + keyLength)
      const entry = this.search(hash, room, at, keyLength)
      this.place(entry === NONE ? this.append(hash) : entry, at, keyLength, valueLength)
    })
  }

  find(key: Uint8Array): Change | undefined {
    const entry = this.search(this.hash(key, 0, key.length), key, 0, key.length)
    return entry === NONE ? undefined : { value: this.valueOf(entry) }
  }

  /** Hands over each change, in the order in which its key first came. */
  replay(target: BatchTarget): void {
    for (let entry = 0; entry < this.size; entry++) {
      const at = this.field(entry, AT)
      const key = this.room(entry).subarray(at, at + this.field(entry, KEY_LENGTH))
      const value = this.valueOf(entry)
      if (value === undefined) target.del(key)
      else target.put(key, value)
    }
  }

  private field(entry: number, field: number): number {
    return this.entries[entry * FIELDS + field] ?? 0
  }

  private room(entry: number): Uint8Array {
    return this.rooms[this.field(entry, ROOM)] ?? NO_ROOM
  }

  private valueOf(entry: number): Uint8Array | undefined {
    const length = this.field(entry, VALUE_LENGTH)
    if (length === REMOVED) return undefined
    const from = this.field(entry, AT) + this.field(entry, KEY_LENGTH)
    return this.room(entry).subarray(from, from + length)
  }

  /** The entry of the key that lies in bytes[at..at + length), or NONE. */
  private search(hash: number, bytes: Uint8Array, at: number, length: number): number {
    let entry = this.heads[hash >>> this.shift] ?? NONE
    while (entry !== NONE) {
      const isLike = this.field(entry, HASH) === hash && this.field(entry, KEY_LENGTH) === length
      if (isLike && areEqual(this.room(entry), this.field(entry, AT), bytes, at, length)) return entry
      entry = this.field(entry, NEXT)
    }
    return NONE
  }

  /** A change in the last room. */
  private place(entry: number, at: number, keyLength: number, valueLength: number): void {
    const { entries } = this
    const base = entry * FIELDS
    entries[base + ROOM] = this.rooms.length - 1
    entries[base + AT] = at
    entries[base + KEY_LENGTH] = keyLength
    entries[base + VALUE_LENGTH] = valueLength
  }

  private append(hash: number): number {
    if (this.size === this.heads.length) this.grow()
    const entry = this.size++
    this.entries[entry * FIELDS + HASH] = hash
    this.link(entry)
    return entry
  }

  private link(entry: number): void {
    const chain = this.field(entry, HASH) >>> this.shift
    this.entries[entry * FIELDS + NEXT] = this.heads[chain] ?? NONE
    this.heads[chain] = entry
  }

  private grow(): void {
    const larger = new Int32Array(2 * this.entries.length)
    larger.set(this.entries)
    this.entries = larger
    this.heads = new Int32Array(2 * this.heads.length).fill(NONE)
    this.shift--
    for (let entry = 0; entry < this.size; entry++) this.link(entry)
  }
}

const NO_ROOM = new Uint8Array(0)

function areEqual(a: Uint8Array, atA: number, b: Uint8Array, atB: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[atA + i] !== b[atB + i]) return false
  return true
}
