/**
 * What goes to the terminal and comes from it. Owns the escaping of what others wrote (a key, a value, a peer's name may hold anything),
 * the layout of tables, and the end of a pipe that nobody reads any more.
 */

/** Control characters, and those that turn the direction of a line or end it: a terminal must not obey them. */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu
const UNSAFE_BUT_LAYOUT = /(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu

/** Text of others as one line that a terminal shows and does not obey. */
export function printable(text: string): string {
  return text.replace(UNSAFE, escapeCharacter)
}

/** The same, with its line ends and tabs kept. */
export function printableLines(text: string): string {
  return text.replace(UNSAFE_BUT_LAYOUT, escapeCharacter)
}

/** Bytes that are no text: what is ASCII as it is, the rest as `\\xNN`. */
export function printableBytes(bytes: Uint8Array): string {
  const escaped = (byte: number) => `\\x${byte.toString(16).padStart(2, '0')}`
  return Array.from(bytes, (byte) => (byte < 0x80 ? printable(String.fromCharCode(byte)) : escaped(byte))).join('')
}

const LINE_FEED = 0x0a

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
}

/** Text of others, escaped, and no longer than `length` characters. */
export function shortened(text: string, length: number): string {
  const [...characters] = printable(text)
  return characters.length <= length ? characters.join('') : `${characters.slice(0, length - 1).join('')}…`
}

/** Names and values, one pair on a line. */
export function fieldLines(fields: readonly (readonly [string, string | number | boolean | undefined])[]): string {
  const shown = fields.filter((field) => field[1] !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}\n`).join('')
}

/** Columns under their titles, each as wide as it must be. Numbers stand to the right. */
export function tableLines(titles: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [titles, ...rows].map((row) => row.map((cell) => printable(String(cell))))
  const widths = titles.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const isNumber = titles.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'))
  return cells
    .map((row) =>
      row
        .map((cell, column) =>
          isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}

let isMidLine = false

export function print(text: string | Uint8Array): void {
  if (text.length > 0) isMidLine = text.at(-1) !== '\n' && text.at(-1) !== LINE_FEED
  process.stdout.write(text)
}

export function printLine(text: string): void {
  print(`${text}\n`)
}

/** Ends the line that was printed last, if it was left open: what follows begins a line of its own. */
export function endLine(): void {
  if (isMidLine) printLine('')
}

/** To people who look on; never part of the answer. */
export function remark(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** A reader who had enough (`| head`) is no failure. */
export function toleratePipes(): void {
  const onError = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exitCode = 1
  }
  process.stdout.on('error', onError)
  process.stderr.on('error', onError)
}
