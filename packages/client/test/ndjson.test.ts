/**
 * Newline framing: whatever the chunks, the same lines; nothing longer than the bound is ever held. And texts of bytes.
 */
import { ClientError } from '@kvchain/client/errors'
import { LineSplitter } from '@kvchain/client/ndjson'
import { decodeText, encodeText, toAnswerText } from '@kvchain/client/text'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (line: Uint8Array) => new TextDecoder().decode(line)

describe('lines', () => {
  test('come out the same however the bytes come in', () => {
    const alphabet = fc.constantFrom('a', 'b', '\n', '\r', 'é', '\u0000')
    fc.assert(
      fc.property(
        fc.array(alphabet, { maxLength: 60 }),
        fc.array(fc.nat(10), { maxLength: 60 }),
        (characters, cuts) => {
          const input = bytes(characters.join(''))
          const splitter = new LineSplitter(1000)
          const lines: string[] = []
          let start = 0
          for (const cut of [...cuts, input.length]) {
            lines.push(...splitter.push(input.subarray(start, start + cut)).map(text))
            start += cut
          }
          expect([...lines].join('\n')).toBe(characters.join('').split('\n').slice(0, -1).join('\n'))
          expect(splitter.pendingBytes).toBe(bytes(characters.join('').split('\n').at(-1) ?? '').length)
        },
      ),
    )
  })

  test('keep their own bytes when the chunk is used again', () => {
    const splitter = new LineSplitter()
    const chunk = bytes('half')
    expect(splitter.push(chunk)).toEqual([])
    chunk.fill(0)
    expect(splitter.push(bytes(' and half\nnext')).map(text)).toEqual(['half and half'])
  })

  test('of the bound pass; one byte more is refused, whole or in parts, finished or not', () => {
    const parts = (size: number) => Array.from({ length: size }, () => bytes('x'))
    const whole = new LineSplitter(10)
    expect(whole.push(bytes(`${'x'.repeat(10)}\n`))).toHaveLength(1)
    expect(() => whole.push(bytes(`${'x'.repeat(11)}\n`))).toThrow(ClientError)
    const unfinished = new LineSplitter(10)
    for (const part of parts(10)) unfinished.push(part)
    expect(unfinished.pendingBytes).toBe(10)
    expect(() => unfinished.push(bytes('x'))).toThrow(expect.objectContaining({ code: 'line-too-long' }))
    const finished = new LineSplitter(10)
    for (const part of parts(10)) finished.push(part)
    expect(finished.push(bytes('\n')).map(text)).toEqual(['x'.repeat(10)])
  })
})

describe('texts of bytes', () => {
  test('lead back to the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (value) => {
        for (const encoding of ['hex', 'base64'] as const) {
          expect(decodeText(encodeText(value, encoding) ?? '', encoding)).toEqual(value)
        }
        const answer = toAnswerText(value)
        expect(decodeText(answer.text, answer.encoding)).toEqual(value)
      }),
    )
    for (const size of [100_000, 12_000_001]) {
      const large = new Uint8Array(size).fill(0xff)
      const back = decodeText(encodeText(large, 'base64') ?? '', 'base64')
      expect(back !== undefined && Buffer.compare(back, large)).toBe(0)
    }
  })

  test('a byte order mark is part of the value', () => {
    expect(toAnswerText(new Uint8Array([0xef, 0xbb, 0xbf, 0x61]))).toEqual({ text: '\ufeffa', encoding: 'utf8' })
  })

  test.each([
    ['\ud800', 'utf8'],
    ['abc', 'hex'],
    ['zz', 'hex'],
    ['AA', 'base64'],
    ['AA= =', 'base64'],
    ['AAAA\n', 'base64'],
    ['AA-_', 'base64'],
    ['AAA', 'base64'],
    ['A===', 'base64'],
    ['====', 'base64'],
    ['=', 'base64'],
    ['AA==AA==', 'base64'],
  ] as const)('%j is no %s', (malformed, encoding) => {
    expect(decodeText(malformed, encoding)).toBeUndefined()
  })
})
