/**
 * The one binary encoding: a bounded Reader and Writer. Fixed-width big-endian integers, u32 lengths, one byte a tag. There is
 * exactly one encoding of a value: whatever the Reader accepts, the Writer reproduces. (protocol.md section 1)
 */
import { assert, KvError } from './errors.js'
import { MAX_INTEGER } from './limits.js'

export type CodecErrorCode =
  /** The input ends inside a field. */
  | 'codec-truncated'
  /** Bytes are left after the last field. */
  | 'codec-trailing'
  /** A length or count is over its limit, or under its minimum. */
  | 'codec-length'
  /** A tag, flag or version is none of the known ones. */
  | 'codec-tag'
  /** An integer is over 2^53 - 1. */
  | 'codec-integer'
  /** A list that must be strictly ascending is not. */
  | 'codec-order'

/** Bytes that are not an encoding of anything. */
export class CodecError extends KvError<CodecErrorCode> {}

const TWO_32 = 0x1_0000_0000

/** Reads fields one after the other; never past the end, never more than a stated bound. */
export class Reader {
  private readonly view: DataView
  private offset_ = 0

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get offset(): number {
    return this.offset_
  }

  get remaining(): number {
    return this.bytes.length - this.offset_
  }

  u8(): number {
    return this.view.getUint8(this.advance(1))
  }

  u16(): number {
    return this.view.getUint16(this.advance(2))
  }

  u32(): number {
    return this.view.getUint32(this.advance(4))
  }

  /** Eight bytes, at most 2^53 - 1. */
  u64(): number {
    const at = this.advance(8)
    const value = this.view.getUint32(at) * TWO_32 + this.view.getUint32(at + 4)
    if (value > MAX_INTEGER)
      throw new CodecError('codec-integer', 'an integer is over 2^53 - 1', {
        offset: at,
      })
    return value
  }

  /** `length` bytes, as a view of the input (not a copy). */
  fixed(length: number): Uint8Array {
    const at = this.advance(length)
    return this.bytes.subarray(at, at + length)
  }

  /** A u32 count or length in [minimum, maximum]. */
  count(minimum: number, maximum: number): number {
    const at = this.offset_
    const value = this.u32()
    if (value < minimum || value > maximum) {
      throw new CodecError('codec-length', `a length of ${value} is not in ${minimum}..${maximum}`, { offset: at })
    }
    return value
  }

  /** A u32 length, then that many bytes. */
  variable(minimum: number, maximum: number): Uint8Array {
    return this.fixed(this.count(minimum, maximum))
  }

  /** One byte that must be in first..last. */
  tag(first: number, last: number): number {
    const at = this.offset_
    const value = this.u8()
    if (value < first || value > last) throw new CodecError('codec-tag', `unknown tag ${value}`, { offset: at })
    return value
  }

  /** Four bytes that must read `version`. */
  version(version: number): void {
    const at = this.offset_
    const found = this.u32()
    if (found !== version)
      throw new CodecError('codec-tag', `unknown version ${found}`, {
        offset: at,
      })
  }

  /** Nothing may be left. */
  end(): void {
    if (this.remaining !== 0) {
      throw new CodecError('codec-trailing', `${this.remaining} bytes after the end`, { offset: this.offset_ })
    }
  }

  private advance(length: number): number {
    const at = this.offset_
    if (length > this.bytes.length - at) {
      throw new CodecError('codec-truncated', `${length} bytes wanted, ${this.bytes.length - at} left`, { offset: at })
    }
    this.offset_ = at + length
    return at
  }
}

/** Appends fields to a growing buffer. */
export class Writer {
  private buffer: Uint8Array
  private view: DataView
  private length_ = 0

  constructor(capacity = 256) {
    this.buffer = new Uint8Array(capacity)
    this.view = new DataView(this.buffer.buffer)
  }

  get length(): number {
    return this.length_
  }

  u8(value: number): this {
    const at = this.reserve(1)
    this.view.setUint8(at, value)
    return this
  }

  u16(value: number): this {
    const at = this.reserve(2)
    this.view.setUint16(at, value)
    return this
  }

  u32(value: number): this {
    assert(value >>> 0 === value, 'a u32 is an integer from 0 to 2^32 - 1')
    const at = this.reserve(4)
    this.view.setUint32(at, value)
    return this
  }

  u64(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, 'a u64 is an integer from 0 to 2^53 - 1')
    const at = this.reserve(8)
    this.view.setUint32(at, Math.floor(value / TWO_32))
    this.view.setUint32(at + 4, value % TWO_32)
    return this
  }

  fixed(bytes: Uint8Array): this {
    const at = this.reserve(bytes.length)
    this.buffer.set(bytes, at)
    return this
  }

  variable(bytes: Uint8Array): this {
    return this.u32(bytes.length).fixed(bytes)
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.buffer.slice(0, this.length_)
  }

  /** What was written, as long as nothing else is. */
  passing(): Uint8Array {
    return this.buffer.subarray(0, this.length_)
  }

  /** Forgets what was written. Returns the bytes of the buffer, which is kept. */
  reset(): number {
    this.length_ = 0
    return this.buffer.length
  }

  /** Makes room and returns where it begins. May replace the buffer, so it comes before any use of it. */
  private reserve(length: number): number {
    const at = this.length_
    const needed = at + length
    if (needed > this.buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.buffer.length * 2))
      grown.set(this.buffer)
      this.buffer = grown
      this.view = new DataView(grown.buffer)
    }
    this.length_ = needed
    return at
  }
}

/** Decodes the whole of `bytes` by `read`: nothing may be left over. */
export function decodeAll<T>(bytes: Uint8Array, read: (reader: Reader) => T): T {
  const reader = new Reader(bytes)
  const value = read(reader)
  reader.end()
  return value
}

/** Writers that are not in use, so that an encoding allocates nothing but its result. As many as encodings were ever made within each other. */
const spare: Writer[] = []
/** A larger buffer is not kept. */
const MAX_SPARE_BYTES = 64 << 10

/** Encodes one value by `write`. */
export function encodeWith(write: (writer: Writer) => void, capacity?: number): Uint8Array {
  return withWriter(capacity, (writer) => {
    write(writer)
    return writer.finish()
  })
}

/** What `use` makes of the encoding of one value, which is there until it returns. */
export function encodeFor<T>(write: (writer: Writer) => void, use: (bytes: Uint8Array) => T): T {
  return withWriter(undefined, (writer) => {
    write(writer)
    return use(writer.passing())
  })
}

function withWriter<T>(capacity: number | undefined, work: (writer: Writer) => T): T {
  const writer = spare.pop() ?? new Writer(capacity)
  try {
    return work(writer)
  } finally {
    if (writer.reset() <= MAX_SPARE_BYTES) spare.push(writer)
  }
}
