/**
 * A line of the shell as the arguments of a command: quoting, the short commands, and the options that the shell itself was given. Pure.
 */
import { usageError } from '../exits.js'
import { wordsOf } from './shellWords.js'

/** What the shell's own options put before each command. */
export interface LineDefaults {
  /** Which daemon, and how to print. */
  readonly globals: readonly string[]
  /** By command, `--key` and what goes with it; none when the daemon's account writes. */
  readonly signing: ReadonlyMap<string, readonly string[]>
}

/** They ask no daemon, so options that choose one mean something else to them, or nothing. */
const WITHOUT_DAEMON = new Set(['keys', 'verify'])
const OUTPUT_FLAGS = ['-o', '--output']

/** The words of a line, quoted as in a shell; none for an empty line or a comment. Throws CliError `usage`. */
export function splitLine(line: string): string[] {
  const trimmed = line.trimStart()
  if (trimmed === '' || trimmed.startsWith('#')) return []
  const words = wordsOf(trimmed)
  const open = words.at(-1)?.open ?? ''
  if (open !== '')
    throw usageError(open === '\\' ? 'nothing follows the last backslash' : `a quote is not ended: ${open}`)
  return words.map(({ text }) => text)
}

/** What kvchain-cli would be given for these words. Throws CliError `usage`. */
export function toArguments(words: readonly string[], { globals, signing }: LineDefaults): string[] {
  const [command = '', ...rest] = words
  if (command === 'shell') throw usageError('this is the shell')
  const isStdin = rest.some((word, i) => word === '-' && !OUTPUT_FLAGS.includes(rest[i - 1] ?? ''))
  if (isStdin) throw usageError('standard input is the shell’s own: give a file')
  if (command === 't') return toArguments(['send', '--wait=1', ...rest], { globals, signing })
  if (command === 'help') return rest.length === 0 ? ['shell-help'] : [rest[0] ?? '', '--help']
  const names = command === 'balance' && rest.some((word) => !word.startsWith('-'))
  const key = names || rest.includes('--key') ? [] : (signing.get(command) ?? [])
  return [...(WITHOUT_DAEMON.has(command) ? [] : globals), command, ...key, ...rest]
}
