/**
 * The words of a line by the quoting of a POSIX shell (section 2.2): '…' keeps all, "…" all but \ before one of \ " $ `, and outside of both \ keeps
 * what follows. Nothing is expanded. Pure.
 */

/** A word, and where in the line it begins. */
export interface Word {
  readonly text: string
  /** Index of its first character, quotes and all. */
  readonly start: number
  /** Index of what follows it. */
  readonly end: number
  /** What the line ends within: a quote, a backslash, or neither. */
  readonly open: '' | "'" | '"' | '\\'
}

const BLANK = /[ \t\r\n]/
/** Not letters, digits or what paths are made of: a shell would take it apart. */
const SPECIAL = /[^\p{L}\p{N}_@%+=:,./-]/gu
const ESCAPED_IN_DOUBLE = '\\"$`'

/** In order; the last may be unfinished, as its `open` says. */
export function wordsOf(line: string): Word[] {
  const words: Word[] = []
  let at = 0
  for (;;) {
    while (at < line.length && BLANK.test(line.charAt(at))) at++
    if (at >= line.length) return words
    const word = readWord(line, at)
    words.push(word)
    at = word.end
  }
}

function readWord(line: string, start: number): Word {
  let text = ''
  let open: Word['open'] = ''
  let at = start
  for (; at < line.length; at++) {
    const character = line.charAt(at)
    if (open === '\\') {
      text += character
      open = ''
    } else if (open === "'") {
      if (character === "'") open = ''
      else text += character
    } else if (open === '"') {
      const next = line.charAt(at + 1)
      if (character === '"') open = ''
      else if (character === '\\' && next !== '' && ESCAPED_IN_DOUBLE.includes(next)) {
        text += next
        at++
      } else text += character
    } else if (character === "'" || character === '"' || character === '\\') open = character
    else if (BLANK.test(character)) break
    else text += character
  }
  return { text, start, end: at, open }
}

/** The word so that a shell gives it back: as it stands if it is plain, else in single quotes. */
export function quoteWord(word: string): string {
  return word !== '' && word.search(SPECIAL) === -1 ? word : singleQuoted(word)
}

export function singleQuoted(word: string): string {
  return `'${word.replaceAll("'", `'"'"'`)}'`
}

export function doubleQuoted(word: string): string {
  return `"${word.replace(/["\\]/g, '\\$&')}"`
}

/** With a backslash before whatever is special. */
export function escaped(word: string): string {
  return word.replace(SPECIAL, '\\$&')
}
