import {
  compareBytes,
  concatBytes,
  equalBytes,
  fromBigInt,
  fromHex,
  fromUtf8,
  toBigInt,
  toHex,
  toMapKey,
  ZERO_32,
} from '@kvchain/core/bytes'
import { AssertionError, assert, KvError } from '@kvchain/core/errors'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hex, thrownBy } from './helpers.js'

describe('bytes', () => {
  it('takes lower-case hexadecimal of whole bytes, and nothing else', () => {
    expect(fromHex('')).toEqual(new Uint8Array(0))
    expect(fromHex('00ff0a')).toEqual(Uint8Array.of(0, 255, 10))
    for (const bad of ['0', '00f', 'FF', '0g', ' 00', '00 ', '0x00', '00\n', 'zz'])
      expect(fromHex(bad), bad).toBeUndefined()
  })

  it('turns bytes into hexadecimal and back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(hex(toHex(bytes))).toEqual(bytes)
      }),
    )
  })

  it('reads and writes 256-bit big-endian integers', () => {
    expect(toBigInt(new Uint8Array(0))).toBe(0n)
    expect(toBigInt(hex('0100'))).toBe(256n)
    expect(fromBigInt(0n)).toEqual(ZERO_32)
    expect(toHex(fromBigInt(2n ** 256n - 1n))).toBe('f'.repeat(64))
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), (n) => {
        expect(toBigInt(fromBigInt(n))).toBe(n)
      }),
    )
  })

  it('compares as unsigned bytes, the shorter first', () => {
    expect(compareBytes(hex('7f'), hex('80'))).toBeLessThan(0)
    expect(compareBytes(hex('80'), hex('7fff'))).toBeGreaterThan(0)
    expect(compareBytes(hex('00'), hex('0000'))).toBeLessThan(0)
    expect(compareBytes(hex('0a0b'), hex('0a0b'))).toBe(0)
    expect(equalBytes(hex('0a'), hex('0a'))).toBe(true)
    expect(equalBytes(hex('0a'), hex('0a00'))).toBe(false)
    expect(concatBytes([hex('0a'), hex(''), hex('0b0c')])).toEqual(hex('0a0b0c'))
  })

  it('makes one map key for one byte string', () => {
    const different = fc.tuple(fc.uint8Array(), fc.uint8Array())
    fc.assert(
      fc.property(different, ([a, b]) => {
        expect(toMapKey(a) === toMapKey(b)).toBe(equalBytes(a, b))
      }),
    )
    expect(toMapKey(fromUtf8('é'))).not.toBe('é')
  })
})

describe('errors', () => {
  it('carry a code, data and a cause', () => {
    const cause = new KvError('inner', 'why')
    const error = new KvError('outer', 'what', { n: 1 }, cause)
    expect(error).toMatchObject({ code: 'outer', message: 'what', data: { n: 1 }, cause, name: 'KvError' })
    expect('cause' in new KvError('a', 'b')).toBe(false)
    expect(new KvError('a', 'b').data).toEqual({})
  })

  it('assert states a fact', () => {
    assert(true, 'holds')
    const error = thrownBy(() => assert(false, 'does not hold'))
    expect(error).toBeInstanceOf(AssertionError)
    expect(error).toMatchObject({ code: 'assertion', message: 'does not hold', name: 'AssertionError' })
  })
})
