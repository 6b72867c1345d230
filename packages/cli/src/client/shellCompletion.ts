/**
 * What the Tab key offers in the shell: commands, their options, and keys of the store. Each offer begins with what is typed, quoted the same
 * way, for that is all that a line editor can add to.
 */
import { quote, split } from 'shlex'

/** What there is to be offered. */
export interface Offers {
  /** Of every command, its options. */
  readonly commands: ReadonlyMap<string, readonly string[]>
  /** Some keys that begin so. */
  keys(prefix: string): Promise<readonly string[]>
}

const WITH_KEY = new Set(['put', 'get', 'delete', 'history', 'access', 'scan', 'watch', 'prove'])
/** Not letters, digits or what paths are made of: a shell would take it apart. */
const SPECIAL = /[^\p{L}\p{N}_@%+=:,./-]/gu

/** The offers, and the part of the line that each of them goes on from. */
export async function complete(line: string, offers: Offers): Promise<[string[], string]> {
  const typed = lastWord(line)
  const before = line
    .slice(0, line.length - typed.length)
    .trim()
    .split(/\s+/)
  const [command = ''] = before
  const found = await candidates(command, before, typed, offers)
  return [found.filter((candidate) => candidate.startsWith(typed)), typed]
}

async function candidates(
  command: string,
  before: readonly string[],
  typed: string,
  offers: Offers,
): Promise<readonly string[]> {
  if (command === '') return [...offers.commands.keys()].map((name) => `${name} `)
  if (typed.startsWith('-')) return (offers.commands.get(command) ?? []).map((option) => `${option} `)
  if (command === 'help') return [...offers.commands.keys()]
  if (before.length !== 1 || !WITH_KEY.has(command)) return []
  const prefix = unquoted(typed)
  if (prefix === undefined) return []
  const keys = await offers.keys(prefix)
  return keys.map((key) => likeTyped(key, typed))
}

/** From the last space that stands neither in quotes nor after a backslash. */
function lastWord(line: string): string {
  let start = 0
  let open = ''
  for (let i = 0; i < line.length; i++) {
    const character = line[i] ?? ''
    if (character === '\\' && open !== "'") i++
    else if (open !== '') open = character === open ? '' : open
    else if (character === '"' || character === "'") open = character
    else if (character === ' ') start = i + 1
  }
  return line.slice(start)
}

/** What an unfinished word stands for, or undefined when that cannot be told. */
function unquoted(typed: string): string | undefined {
  const endings = ['', "'", '"']
  for (const ending of endings) {
    try {
      return split(`${typed}${ending}`)[0] ?? ''
    } catch {}
  }
  return undefined
}

function likeTyped(key: string, typed: string): string {
  if (typed.startsWith("'")) return quote(key).startsWith("'") ? quote(key) : `'${key}'`
  if (typed.startsWith('"')) return `"${key.replace(/["\\]/g, '\\$&')}"`
  return key.replace(SPECIAL, '\\$&')
}
