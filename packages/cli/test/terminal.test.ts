/** What reaches a terminal: text of others escaped, tables aligned. */
import { fieldLines, printable, printableBytes, printableLines, shortened, tableLines } from '@kvchain/cli/terminal'
import fc from 'fast-check'
import { expect, test } from 'vitest'

test('nothing that a terminal obeys gets through', () => {
  expect(printable('a\u001b[2J\n\u009b\u202e\u2028é漢')).toBe('a\\x1b[2J\\x0a\\x9b\\u{202e}\\u{2028}é漢')
  expect(printableLines('a\tb\nc\rd\u001b')).toBe('a\tb\nc\\x0dd\\x1b')
  expect(printableBytes(new Uint8Array([65, 0, 27, 200, 10]))).toBe('A\\x00\\x1b\\xc8\\x0a')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u)
      expect(printableLines(text)).not.toMatch(/(?![\n\t])\p{Cc}/u)
    }),
  )
})

test('long text is cut between characters', () => {
  expect(shortened('漢字漢字', 3)).toBe('漢字…')
  expect(shortened('😀😀', 2)).toBe('😀😀')
  expect(shortened('abc\n', 4)).toBe('abc…')
})

test('tables', () => {
  expect(
    fieldLines([
      ['a', 1],
      ['long', 'x'],
      ['none', undefined],
    ]),
  ).toBe('a     1\nlong  x\n')
  expect(
    tableLines(
      ['N', 'NAME', 'X'],
      [
        [1, 'a', ''],
        [100, 'bcdef', 'y'],
      ],
    ),
  ).toBe('  N  NAME   X\n  1  a\n100  bcdef  y\n')
  expect(tableLines(['N'], [])).toBe('N\n')
})
