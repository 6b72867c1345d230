/**
 * What the Tab key offers in the shell: commands, their options, and keys of the store. Each offer begins with what is typed, quoted the same
 * way, for that is all that a line editor can add to.
 */
import { doubleQuoted, escaped, singleQuoted, wordsOf } from './shellWords.js'

/** What there is to be offered. */
export interface Offers {
  /** Of every command, its options. */
  readonly commands: ReadonlyMap<string, readonly string[]>
  /** Some keys that begin so. */
  keys(prefix: string): Promise<readonly string[]>
}

const WITH_KEY = new Set(['put', 'get', 'delete', 'history', 'access', 'scan', 'watch', 'prove'])

/** The offers, and the part of the line that each of them goes on from. */
export async function complete(line: string, offers: Offers): Promise<[string[], string]> {
  const words = wordsOf(line)
  // The last word is typed on, unless a blank follows it.
  const word = words.at(-1)?.end === line.length ? words.pop() : undefined
  const typed = line.slice(word?.start ?? line.length)
  const before = words.map(({ text }) => text)
  const [command = ''] = before
  const found = await candidates(command, before, { typed, prefix: word?.text ?? '' }, offers)
  return [found.filter((candidate) => candidate.startsWith(typed)), typed]
}

async function candidates(
  command: string,
  before: readonly string[],
  { typed, prefix }: { typed: string; prefix: string },
  offers: Offers,
): Promise<readonly string[]> {
  if (command === '') return [...offers.commands.keys()].map((name) => `${name} `)
  if (typed.startsWith('-')) return (offers.commands.get(command) ?? []).map((option) => `${option} `)
  if (command === 'help') return [...offers.commands.keys()]
  if (before.length !== 1 || !WITH_KEY.has(command)) return []
  const keys = await offers.keys(prefix)
  return keys.map((key) => likeTyped(key, typed))
}

function likeTyped(key: string, typed: string): string {
  if (typed.startsWith("'")) return singleQuoted(key)
  return typed.startsWith('"') ? doubleQuoted(key) : escaped(key)
}
