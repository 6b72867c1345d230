/**
 * What the daemon is told, and by whom: flags, then KVCHAIN_* variables, then a JSON file, then defaults. One table says for each setting
 * how it is called and read, so that the three ways know the same settings. Throws usage errors only; touches nothing but the file.
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { dirname, resolve } from 'node:path'
import { listenProblem } from '@kvchain/node/http/guard'
import { usageError } from '../exits.js'
import { parseCount } from '../parsing.js'
import { resolvePath } from '../paths.js'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export const LOG_FORMATS = ['pretty', 'json'] as const
/** `default` is what the network calls usual. */
const MINING_MODES = ['always', 'pending', 'off', 'default'] as const

export interface Settings {
  readonly network: string
  readonly dataDir?: string
  readonly listen?: readonly string[]
  readonly bootstrap: readonly string[]
  readonly mdns: boolean
  /** Addresses told to others, besides those that it listens on. */
  readonly announce?: readonly string[]
  /** Addresses of relays that it is reached through. */
  readonly relay?: readonly string[]
  /** Whether it is a relay for others. */
  readonly relayService?: boolean
  /** Whether peers are told of by others, and remembered. */
  readonly peerExchange: boolean
  /** Peer ids, addresses and ranges of those. */
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
  /** A file. */
  readonly psk?: string
  readonly mine: (typeof MINING_MODES)[number]
  readonly minerThreads: number
  readonly rpcSocket?: string
  /** Requests of one connection in a second. */
  readonly rpcRate?: number
  /** Blocks that a reorg must take back to ring the alarm. */
  readonly reorgAlarm?: number
  readonly http?: HttpAddress
  readonly httpAllowRemote?: boolean
  readonly logLevel: (typeof LOG_LEVELS)[number]
  readonly logFormat?: (typeof LOG_FORMATS)[number]
}

export interface HttpAddress {
  /** An IP address. */
  readonly host: string
  readonly port: number
}

const DEFAULTS = {
  network: 'dev',
  bootstrap: [],
  mdns: true,
  peerExchange: true,
  mine: 'off',
  // More would make blocks faster than a network with a fixed target means them to be, and a machine that somebody works on slow.
  minerThreads: 1,
  logLevel: 'info',
} as const satisfies Settings

/** Flags as the argument parser leaves them: a text, several, or yes and no. */
export type Flags = Readonly<Record<string, unknown>>

/** More threads than this no machine has. */
const MAX_THREADS = 1024
const MAX_PORT = 65_535
const MAX_RATE = 1_000_000
const MAX_DEPTH = 100_000

/** Where a setting was found, for the error message and for paths. */
interface Source {
  readonly name: string
  readonly base: string
}

type Complete = Required<Settings>
/** What one source says. */
type Said = { -readonly [K in keyof Complete]?: Complete[K] }
type Reader<T> = (texts: readonly string[], source: Source) => T

interface Setting<T> {
  readonly read: Reader<T>
  /** What a file may say, as a JSON Schema without its description. */
  readonly schema: object
  readonly help: string
}

const TEXT = { type: 'string', minLength: 1 }
const TEXTS = { anyOf: [TEXT, { type: 'array', items: TEXT }] }
const YES_NO = { type: 'boolean' }

/** Each setting: its key here (its name as a flag, as a variable and in a file follows from it), how its text is read, what it means. */
const SETTINGS: { readonly [K in keyof Complete]: Setting<Complete[K]> } = {
  network: {
    read: (texts, source) => networkName(single(texts, source), source),
    schema: TEXT,
    help: 'dev, lan, public, or a network file',
  },
  dataDir: { read: path, schema: TEXT, help: 'where everything is kept; ~/.kvchain/NETWORK when left out' },
  listen: {
    read: (texts) => (texts.length === 1 && texts[0] === 'none' ? [] : texts),
    schema: TEXTS,
    help: 'multiaddrs to listen on, or none; what the network suggests when left out',
  },
  bootstrap: { read: (texts) => texts, schema: TEXTS, help: 'multiaddrs of members to connect to at first' },
  mdns: { read: yesNo, schema: YES_NO, help: 'whether to look for members on the LAN' },
  announce: {
    read: (texts) => texts,
    schema: TEXTS,
    help: 'multiaddrs told to others as its own, besides those that it listens on: what a router forwards to it',
  },
  relay: {
    read: (texts) => texts,
    schema: TEXTS,
    help: 'multiaddrs with peer ids of relays to be reached through',
  },
  relayService: { read: yesNo, schema: YES_NO, help: 'whether to be a relay for members that nobody can dial' },
  peerExchange: {
    read: yesNo,
    schema: YES_NO,
    help: 'whether to connect to members that others tell of, and that were met before; if not, neither are others told',
  },
  allow: {
    read: (texts) => texts,
    schema: TEXTS,
    help: 'peer ids and address ranges; with any, nobody else is let in or dialled',
  },
  deny: {
    read: (texts) => texts,
    schema: TEXTS,
    help: 'peer ids and address ranges that are neither let in nor dialled',
  },
  psk: {
    read: path,
    schema: TEXT,
    help: 'file with a pre-shared key; only members that have the same can connect',
  },
  mine: {
    read: (texts, source) => {
      const text = single(texts, source)
      const word = { true: 'default', false: 'off' }[text]
      return oneOf(word ?? text, MINING_MODES, source)
    },
    schema: { enum: [...MINING_MODES, true, false] },
    help: 'always, only while something is pending, or not at all; default or true: what the network suggests',
  },
  minerThreads: {
    read: (texts, source) => parseCount(single(texts, source), source.name, 1, MAX_THREADS),
    schema: { type: 'integer', minimum: 1, maximum: MAX_THREADS },
    help: 'threads that mine',
  },
  rpcSocket: { read: path, schema: TEXT, help: 'the socket for clients; DATA-DIR/kvchain.sock when left out' },
  rpcRate: {
    read: (texts, source) => parseCount(single(texts, source), source.name, 1, MAX_RATE),
    schema: { type: 'integer', minimum: 1, maximum: MAX_RATE },
    help: 'requests that one connection to the socket may make in a second',
  },
  reorgAlarm: {
    read: (texts, source) => parseCount(single(texts, source), source.name, 1, MAX_DEPTH),
    schema: { type: 'integer', minimum: 1, maximum: MAX_DEPTH },
    help: 'blocks that a reorg takes back and that ring the alarm; half of what the network calls settled when left out',
  },
  http: {
    read: (texts, source) => httpAddress(single(texts, source), source),
    schema: { type: ['string', 'integer'] },
    help: 'ADDRESS:PORT, or a port of this machine alone, to serve HTTP at; not at all when left out',
  },
  httpAllowRemote: { read: yesNo, schema: YES_NO, help: 'whether http may be an address that other machines reach' },
  logLevel: {
    read: (texts, source) => oneOf(single(texts, source), LOG_LEVELS, source),
    schema: { enum: LOG_LEVELS },
    help: 'the least that is logged',
  },
  logFormat: {
    read: (texts, source) => oneOf(single(texts, source), LOG_FORMATS, source),
    schema: { enum: LOG_FORMATS },
    help: 'pretty on a terminal and json elsewhere when left out',
  },
}

/** The JSON Schema of a configuration file: configs/config.schema.json. */
export function configSchema(): object {
  const defaults = new Map<string, unknown>(Object.entries(DEFAULTS))
  const properties = Object.entries(SETTINGS).map(([key, { schema, help }]) => [
    kebab(key),
    { ...schema, ...(defaults.has(key) ? { default: defaults.get(key) } : {}), description: help },
  ])
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'The configuration file of kvchain daemon (--config). Relative paths begin at its own folder.',
    type: 'object',
    additionalProperties: false,
    properties: {
      $schema: { type: 'string' },
      ...Object.fromEntries(properties),
      ...Object.fromEntries(
        NEGATABLE.map((key) => [
          `no-${kebab(key)}`,
          { ...YES_NO, description: `the opposite of ${kebab(key)}, named like the flag` },
        ]),
      ),
    },
  }
}

const LISTS: readonly string[] = ['listen', 'bootstrap', 'announce', 'relay', 'allow', 'deny']
/** True unless said otherwise: their flags, and their names in a file, may begin with `no-`. */
export const NEGATABLE = ['mdns', 'peerExchange'] as const

/** `dataDir` becomes `data-dir`, the name of the flag. */
function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function isSetting(key: string): key is keyof Complete {
  return Object.hasOwn(SETTINGS, key)
}

/** The settings of all sources together. `env` is the environment, `cwd` where relative paths of flags and variables begin. */
export function readSettings(flags: Flags, env: Readonly<Record<string, string | undefined>>, cwd: string): Settings {
  return explainSettings(flags, env, cwd).settings
}

/** The same, and where each setting that has a value comes from: by the name of its flag, in words. */
export function explainSettings(
  flags: Flags,
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): { settings: Settings; origins: ReadonlyMap<string, string> } {
  const file = typeof flags.config === 'string' ? flags.config : env.KVCHAIN_CONFIG || undefined
  const fromFile = file === undefined ? {} : readFile(resolvePath(file, cwd))
  const sources = {
    flag: fromFlags(flags, cwd),
    variable: fromEnvironment(env, cwd),
    file: fromFile,
    default: DEFAULTS,
  }
  const settings: Settings = { ...DEFAULTS, ...fromFile, ...sources.variable, ...sources.flag }
  // Before anything is opened, though the server itself would refuse, too.
  const problem = settings.http && listenProblem(settings.http.host, settings.httpAllowRemote ?? false)
  if (problem !== undefined) throw usageError(problem)
  const origins = Object.keys(SETTINGS).flatMap((key): [string, string][] => {
    const source = Object.entries(sources).find(([, said]) => Object.hasOwn(said, key))?.[0]
    const words = { flag: `--${kebab(key)}`, variable: variableOf(key), file: file ?? '', default: 'default' }
    return Object.entries(words).flatMap(([name, word]): [string, string][] =>
      name === source ? [[kebab(key), word]] : [],
    )
  })
  return { settings, origins: new Map(origins) }
}

/** Settings as a file would say them. */
export function toConfig(settings: Partial<Settings>): Record<string, unknown> {
  const { http, mine, ...others } = settings
  const texts = Object.entries(others).map(([key, value]): [string, unknown] => [kebab(key), value])
  if (mine !== undefined) texts.push(['mine', mine === 'default' ? true : mine])
  if (http !== undefined) texts.push(['http', `${isIP(http.host) === 6 ? `[${http.host}]` : http.host}:${http.port}`])
  return Object.fromEntries(texts)
}

/** What the flags alone say. */
export function saidByFlags(flags: Flags, cwd: string): Partial<Settings> {
  return fromFlags(flags, cwd)
}

function variableOf(key: string): string {
  return `KVCHAIN_${kebab(key).toUpperCase().replaceAll('-', '_')}`
}

function fromFlags(flags: Flags, cwd: string): Said {
  const settings: Said = {}
  for (const [key, value] of Object.entries(flags)) {
    if (!isSetting(key) || value === undefined) continue
    read(settings, key, texts(value, { name: `--${kebab(key)}`, base: cwd }), { name: `--${kebab(key)}`, base: cwd })
  }
  return settings
}

function fromEnvironment(env: Readonly<Record<string, string | undefined>>, cwd: string): Said {
  const settings: Said = {}
  for (const key of Object.keys(SETTINGS).filter(isSetting)) {
    const name = variableOf(key)
    const text = env[name]
    if (text === undefined || text === '') continue
    const parts = LISTS.includes(key) ? text.split(/[\s,]+/).filter((part) => part !== '') : [text]
    read(settings, key, parts, { name, base: cwd })
  }
  return settings
}

/** A file's names are those of the flags; its paths begin at its own folder. */
function readFile(file: string): Said {
  const settings: Said = {}
  for (const [name, value] of Object.entries(parseFile(file))) {
    const source = { name: `${file}: ${name}`, base: dirname(file) }
    if (name === '$schema') continue
    const negated = NEGATABLE.find((key) => name === `no-${kebab(key)}`)
    if (negated !== undefined) {
      read(settings, negated, [String(!yesNo(texts(value, source), source))], source)
      continue
    }
    const key = Object.keys(SETTINGS).find((known) => kebab(known) === name)
    if (key === undefined || !isSetting(key)) throw usageError(`${file}: there is no setting ${JSON.stringify(name)}`)
    read(settings, key, texts(value, source), source)
  }
  return settings
}

function parseFile(file: string): object {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const why = error instanceof SyntaxError ? 'it is not JSON' : 'it cannot be read'
    throw usageError(`the configuration file ${file}: ${why}`)
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json
  throw usageError(`the configuration file ${file}: it must hold one JSON object`)
}

function read<K extends keyof Complete>(settings: Said, key: K, parts: readonly string[], source: Source): void {
  const reader: Reader<Complete[K]> = SETTINGS[key].read
  settings[key] = reader(parts, source)
}

function texts(value: unknown, source: Source): string[] {
  const parts: unknown[] = Array.isArray(value) ? value : [value]
  return parts.map((part) => {
    if (typeof part === 'string' || typeof part === 'number' || typeof part === 'boolean') return String(part)
    throw usageError(`${source.name} must be a text, a number, true or false, or a list of texts`)
  })
}

function single(parts: readonly string[], source: Source): string {
  const [text, ...more] = parts
  if (text === undefined || more.length > 0) throw usageError(`${source.name} takes one value`)
  return text
}

function path(parts: readonly string[], source: Source): string {
  const text = single(parts, source)
  if (text === '') throw usageError(`${source.name} must not be empty`)
  return resolvePath(text, source.base)
}

/** A name stands for itself; what looks like a file is one, and is sought where the setting was made. */
function networkName(text: string, source: Source): string {
  return text.includes('/') || text.endsWith('.json') ? resolve(resolvePath(text, source.base)) : text
}

/** `HOST:PORT`, or `PORT` of this machine alone; the host is an address, for a name may mean several. */
function httpAddress(text: string, source: Source): HttpAddress {
  const match = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text)
  const host = (match?.[1] ?? match?.[2] ?? 'localhost').replace(/^localhost$/, '127.0.0.1')
  const port = Number(match?.[3] ?? Number.NaN)
  if (isIP(host) !== 0 && port <= MAX_PORT) return { host, port }
  throw usageError(`${source.name} is ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080, not '${text}'`)
}

function yesNo(parts: readonly string[], source: Source): boolean {
  const text = single(parts, source)
  if (['true', '1', 'yes', 'on'].includes(text)) return true
  if (['false', '0', 'no', 'off'].includes(text)) return false
  throw usageError(`${source.name} is true or false, not '${text}'`)
}

function oneOf<const T extends string>(text: string, allowed: readonly T[], source: Source): T {
  const found = allowed.find((word) => word === text)
  if (found === undefined) throw usageError(`${source.name} is one of ${allowed.join(', ')}, not '${text}'`)
  return found
}
