import { toHex } from '@kvchain/core/bytes'
import { CodecError, decodeAll, encodeFor, encodeWith, Reader, Writer } from '@kvchain/core/codec'
import { describe, expect, it } from 'vitest'
import { codeOf, hex, thrownBy } from './helpers.js'

function read<T>(bytes: string, how: (reader: Reader) => T): T {
  return decodeAll(hex(bytes), how)
}

describe('Reader', () => {
  it('reads fixed-width big-endian integers one after the other', () => {
    const reader = new Reader(hex('01' + '0203' + '04050607' + '0008090a0b0c0d0e'))
    expect([reader.u8(), reader.u16(), reader.u32()]).toEqual([0x01, 0x0203, 0x04050607])
    expect(reader.offset).toBe(7)
    expect(reader.remaining).toBe(8)
    expect(reader.u64()).toBe(0x08090a0b0c0d0e)
    expect(reader.remaining).toBe(0)
    reader.end()
  })

  it('reads a view that starts inside its buffer', () => {
    const reader = new Reader(hex('ffff0000002a00').subarray(2, 6))
    expect(reader.u32()).toBe(42)
    expect(codeOf(() => reader.u8())).toBe('codec-truncated')
  })

  it.each([
    ['0000000000000000', 0],
    ['0000000000000001', 1],
    ['00000000ffffffff', 2 ** 32 - 1],
    ['0000000100000000', 2 ** 32],
    ['001ffffffffffffe', 2 ** 53 - 2],
    ['001fffffffffffff', 2 ** 53 - 1],
  ])('reads u64 %s', (bytes, value) => {
    expect(read(bytes, (reader) => reader.u64())).toBe(value)
  })

  it.each(['0020000000000000', '0020000000000001', '0100000000000000', '8000000000000000', 'ffffffffffffffff'])(
    'refuses u64 %s',
    (bytes) => {
      const error = thrownBy(() => read(`00${bytes}`, (reader) => [reader.u8(), reader.u64()]))
      expect(error).toBeInstanceOf(CodecError)
      expect(error).toMatchObject({ code: 'codec-integer', data: { offset: 1 } })
    },
  )

  it.each<[string, number, (reader: Reader) => unknown]>([
    ['u8', 1, (reader) => reader.u8()],
    ['u16', 2, (reader) => reader.u16()],
    ['u32', 4, (reader) => reader.u32()],
    ['u64', 8, (reader) => reader.u64()],
    ['fixed', 5, (reader) => reader.fixed(5)],
    ['tag', 1, (reader) => reader.tag(0, 255)],
    ['version', 4, (reader) => reader.version(0)],
    ['count', 4, (reader) => reader.count(0, 1)],
    ['variable', 4, (reader) => reader.variable(0, 9)],
  ])('%s wants all its bytes and takes no more', (_name, length, how) => {
    const exact = new Reader(new Uint8Array(length))
    how(exact)
    expect(exact.offset).toBe(length)
    const short = new Reader(new Uint8Array(length + 2))
    short.fixed(3)
    const error = thrownBy(() => how(short))
    expect(error).toMatchObject({ code: 'codec-truncated', data: { offset: 3 } })
    expect(error.message).toBe(`${length} bytes wanted, ${length - 1} left`)
    expect(short.offset).toBe(3)
  })

  it('reads as many bytes as a length says, and no length outside its bounds', () => {
    expect(read('00000002abcd', (reader) => reader.variable(2, 2))).toEqual(hex('abcd'))
    expect(read('00000000', (reader) => reader.variable(0, 0))).toEqual(hex(''))
    expect(codeOf(() => read('00000002abcd', (reader) => reader.variable(3, 4)))).toBe('codec-length')
    expect(codeOf(() => read('00000002abcd', (reader) => reader.variable(0, 1)))).toBe('codec-length')
    expect(codeOf(() => read('00000003abcd', (reader) => reader.variable(0, 9)))).toBe('codec-truncated')
    expect(codeOf(() => read('ffffffff', (reader) => reader.variable(0, 2 ** 32)))).toBe('codec-truncated')
    const error = thrownBy(() => read('0000000009', (reader) => [reader.u8(), reader.count(0, 8)]))
    expect(error).toMatchObject({ code: 'codec-length', data: { offset: 1 } })
  })

  it('knows the tags from first to last', () => {
    expect(read('0102', (reader) => [reader.tag(1, 2), reader.tag(1, 2)])).toEqual([1, 2])
    for (const bytes of ['00', '03', 'ff'])
      expect(codeOf(() => read(bytes, (reader) => reader.tag(1, 2)))).toBe('codec-tag')
    const error = thrownBy(() => read('0103', (reader) => [reader.u8(), reader.tag(1, 2)]))
    expect(error.data).toEqual({ offset: 1 })
  })

  it('knows one version', () => {
    read('00000007', (reader) => reader.version(7))
    const error = thrownBy(() => read('0000000007', (reader) => [reader.u8(), reader.version(8)]))
    expect(error).toMatchObject({ code: 'codec-tag', data: { offset: 1 } })
  })

  it('leaves nothing over', () => {
    const error = thrownBy(() => read('0102', (reader) => reader.u8()))
    expect(error).toMatchObject({ code: 'codec-trailing', data: { offset: 1 } })
    expect(error.name).toBe('CodecError')
  })

  it('returns views of its input, not copies', () => {
    const bytes = hex('01020304')
    expect(new Reader(bytes).fixed(2).buffer).toBe(bytes.buffer)
  })
})

describe('Writer', () => {
  it('writes what the Reader reads', () => {
    const bytes = encodeWith((writer) => {
      writer.u8(0xfe).u16(0xfedc).u32(0xfedcba98).u64(Number.MAX_SAFE_INTEGER).fixed(hex('0a0b')).variable(hex('0c'))
    })
    expect(bytes).toEqual(hex(`fe${'fedc'}${'fedcba98'}${'001fffffffffffff'}${'0a0b'}${'000000010c'}`))
  })

  it('grows from any capacity, keeping what it has', () => {
    for (const capacity of [0, 1, 3, 256]) {
      const writer = new Writer(capacity)
      const expected: number[] = []
      for (let i = 0; i < 1000; i++) {
        writer.u16(i)
        expected.push(i >> 8, i & 255)
      }
      writer.fixed(new Uint8Array(5000).fill(9))
      expect(writer.length).toBe(7000)
      expect([...writer.finish()]).toEqual([...expected, ...new Array<number>(5000).fill(9)])
    }
  })

  it('writes no integer that it could not read again', () => {
    for (const value of [0, 2 ** 32 - 1])
      expect(read(toHex(encodeWith((writer) => writer.u32(value))), (reader) => reader.u32())).toBe(value)
    for (const value of [-1, 2 ** 32, 0.5, Number.NaN]) expect(codeOf(() => new Writer().u32(value))).toBe('assertion')
    for (const value of [-1, 2 ** 53, 0.5, Number.NaN]) expect(codeOf(() => new Writer().u64(value))).toBe('assertion')
    expect(toHex(new Writer().u64(0).finish())).toBe('0000000000000000')
  })

  it('hands out a copy', () => {
    const writer = new Writer().u8(1)
    const first = writer.finish()
    writer.u8(2)
    expect(first).toEqual(hex('01'))
    expect(writer.finish()).toEqual(hex('0102'))
  })
})

describe('encodings share their memory', () => {
  /** The memory that an encoding of so many bytes is made in. */
  const memoryOf = (length: number) =>
    encodeFor(
      (writer) => writer.fixed(new Uint8Array(length).fill(7)),
      (bytes) => bytes.buffer,
    )

  it('also where one is made within another', () => {
    const bytes = encodeWith((writer) => {
      writer.u8(1)
      encodeFor(
        (inner) => inner.u16(0x0203),
        (passing) => writer.fixed(passing).fixed(encodeWith((innermost) => innermost.u8(4))),
      )
      writer.u8(5)
    })
    expect(bytes).toEqual(hex('0102030405'))
  })

  it('and pass on what they wrote and nothing else, as long as it is used', () => {
    const [long, short] = [hex('0102030405'), hex('06')]
    expect(encodeWith((writer) => writer.fixed(long))).toEqual(long)
    const copy = encodeFor(
      (writer) => writer.fixed(short),
      (bytes) => new Uint8Array(bytes),
    )
    expect(copy).toEqual(short)
    expect(memoryOf(1)).toBe(memoryOf(200))
  })

  it('and leave nothing of one that came to an error', () => {
    const broken = (writer: Writer) => writer.u8(1).u32(-1)
    const memory = memoryOf(1)
    expect(codeOf(() => encodeWith(broken))).toBe('assertion')
    expect(encodeWith((writer) => writer.u8(2))).toEqual(hex('02'))
    expect(memoryOf(1)).toBe(memory)
  })

  it('but keep none of more than 64 KiB', () => {
    const largest = memoryOf(64 * 1024)
    expect(largest.byteLength).toBe(64 * 1024)
    expect(memoryOf(1)).toBe(largest)
    const larger = memoryOf(64 * 1024 + 1)
    expect(larger).not.toBe(largest)
    expect(memoryOf(1)).not.toBe(larger)
    expect(memoryOf(1).byteLength).toBeLessThanOrEqual(64 * 1024)
  })
})
