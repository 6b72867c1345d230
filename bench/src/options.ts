/** The command line of the bench. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { BenchError } from './errors.js'

export interface ClusterBenchOptions {
  readonly nodes: number
  readonly seconds: number
  readonly valueBytes: number
  /** Puts in one transaction. */
  readonly batch: number
  /** Puts a second that are offered, or `max`: as many as the nodes take. */
  readonly rate: number | 'max'
  /** A built-in network or a file. */
  readonly network: string
  /** The first so many nodes mine, with one thread each. */
  readonly miners: number
  /** Gets a second. */
  readonly reads: number
}

export interface TreeBenchOptions {
  /** Keys in kvchain's tree. */
  readonly keys: number
  /** Keys in the baseline's tree, which is the slower the more there are. */
  readonly baselineKeys: number
  /** Updates for each batch size. */
  readonly updates: number
  /** Keys in one commit: a measurement for each. */
  readonly batches: readonly number[]
  /** Memory for pages of the tree. */
  readonly cacheMib: number
  /** The most that the JavaScript heap may take. */
  readonly heapMib: number
}

export interface JoinBenchOptions {
  readonly blocks: number
  /** In all of them together; each puts one value. */
  readonly transactions: number
  readonly valueBytes: number
  /** Newcomers, one after the other. */
  readonly rounds: number
}

export interface RelayBenchOptions {
  readonly nodes: number
  readonly blocks: number
  /** In each block. */
  readonly transactions: number
  readonly valueBytes: number
  /** One way, of every link. */
  readonly delayMs: number
  /** Of a block's transactions, in percent, that each node was not told before. */
  readonly missingPercent: number
}

export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'cluster'; readonly options: ClusterBenchOptions; readonly json: boolean }
  | { readonly kind: 'tree'; readonly options: TreeBenchOptions; readonly json: boolean }
  | { readonly kind: 'relay'; readonly options: RelayBenchOptions; readonly json: boolean }
  | { readonly kind: 'join'; readonly options: JoinBenchOptions; readonly json: boolean }

export const HELP = `usage: npm run bench -- SCENARIO [options]

The record goes to bench/results/, a table to stdout.

cluster: starts real daemons on this machine, offers them puts at a constant rate (open loop) and gets beside them, and measures what becomes
of both.
  --nodes N          daemons (3)
  --seconds S        length of the measured window; a warm-up comes before it (30)
  --value-size B     bytes of a value (100)
  --batch K          puts in one transaction (1)
  --rate R           puts offered a second, or max: as many as the nodes take (600)
  --network NET      dev, lan, or a network file; it must be free of fees (lan)
  --miners M         how many of the nodes mine, one thread each (1)
  --reads R          gets a second (100)

tree: the state tree on LevelDB against the urkel package, each in a process of its own: load, updates in batches (each synced, and written behind), opening, proofs,
memory.
  --keys N           keys in the tree (1000000)
  --baseline-keys N  keys in urkel's, which takes the longer the more there are (100000, or as many as --keys)
  --updates N        updates for each batch size (100000)
  --batches A,B      keys in a commit (1000,5000)
  --cache MIB        memory for pages of the tree (256)
  --heap MIB         bound of the JavaScript heap (512)

join: a daemon with an empty folder catches up with one that has a chain, as a share of the bare rate at which this machine verifies signatures.
  --blocks N         blocks of the chain (5000)
  --transactions N   puts in all of them together (100000)
  --value-size B     bytes of a value (100)
  --rounds N         newcomers, one after the other; the figures are medians (3)

relay: full blocks over links that delay, between real nodes in one process: when all have them, and bytes sent, beside the same blocks sent whole.
  --nodes N          nodes, each connected to each (8)
  --blocks N         blocks, one after the other (20)
  --transactions N   puts in each of them (2000)
  --value-size B     bytes of a value (100)
  --delay MS         of each link, one way (25)
  --missing P        percent of a block's transactions that each node was not told before (1)

  --json             print the record instead of the table
  --help             this text

exit codes: 0 measured, 1 failed or void, 2 usage, 130 interrupted`

const CLUSTER_DEFAULTS = {
  nodes: '3',
  seconds: '30',
  'value-size': '100',
  batch: '1',
  rate: '600',
  network: 'lan',
  miners: '1',
  reads: '100',
} as const

const TREE_DEFAULTS = {
  keys: '1000000',
  'baseline-keys': '',
  updates: '100000',
  batches: '1000,5000',
  cache: '256',
  heap: '512',
} as const

const JOIN_DEFAULTS = { blocks: '5000', transactions: '100000', 'value-size': '100', rounds: '3' } as const

const RELAY_DEFAULTS = {
  nodes: '8',
  blocks: '20',
  transactions: '2000',
  'value-size': '100',
  delay: '25',
  missing: '1',
} as const

const DEFAULT_BASELINE_KEYS = 100_000

/** Throws BenchError `bench-usage`, in one sentence. */
export function parseCommand(args: readonly string[]): Command {
  const [scenario, ...rest] = args
  if (args.includes('--help') || args.includes('-h')) return { kind: 'help' }
  switch (scenario) {
    case 'cluster':
      return parseCluster(rest)
    case 'tree':
      return parseTree(rest)
    case 'join':
      return parseJoin(rest)
    case 'relay':
      return parseRelay(rest)
    case undefined:
      throw usage('which scenario? There are cluster, tree, join and relay (see --help)')
    default:
      throw usage(`there is no scenario ${scenario}; there are cluster, tree, join and relay`)
  }
}

function parseCluster(args: readonly string[]): Command {
  const { values, json } = parse(args, CLUSTER_DEFAULTS)
  const options = {
    nodes: whole('nodes', values.nodes, 1, 32),
    seconds: whole('seconds', values.seconds, 1, 3_600),
    valueBytes: whole('value-size', values['value-size'], 1, 1 << 20),
    batch: whole('batch', values.batch, 1, 1_000),
    rate: values.rate === 'max' ? ('max' as const) : whole('rate', values.rate, 1, 1_000_000),
    network: values.network,
    miners: whole('miners', values.miners, 1, 32),
    reads: whole('reads', values.reads, 0, 100_000),
  }
  if (options.miners > options.nodes) throw usage(`--miners ${options.miners} is more than there are nodes`)
  return { kind: 'cluster', options, json }
}

function parseTree(args: readonly string[]): Command {
  const { values, json } = parse(args, TREE_DEFAULTS)
  const keys = whole('keys', values.keys, 1_000, 100_000_000)
  const baseline = values['baseline-keys']
  const options = {
    keys,
    baselineKeys:
      baseline === '' ? Math.min(keys, DEFAULT_BASELINE_KEYS) : whole('baseline-keys', baseline, 1_000, keys),
    updates: whole('updates', values.updates, 1, 100_000_000),
    batches: values.batches.split(',').map((batch) => whole('batches', batch, 1, 1_000_000)),
    cacheMib: whole('cache', values.cache, 1, 65_536),
    heapMib: whole('heap', values.heap, 64, 65_536),
  }
  return { kind: 'tree', options, json }
}

function parseJoin(args: readonly string[]): Command {
  const { values, json } = parse(args, JOIN_DEFAULTS)
  const options = {
    blocks: whole('blocks', values.blocks, 1, 1_000_000),
    transactions: whole('transactions', values.transactions, 0, 10_000_000),
    valueBytes: whole('value-size', values['value-size'], 1, 1 << 16),
    rounds: whole('rounds', values.rounds, 1, 100),
  }
  return { kind: 'join', options, json }
}

function parseRelay(args: readonly string[]): Command {
  const { values, json } = parse(args, RELAY_DEFAULTS)
  const options = {
    nodes: whole('nodes', values.nodes, 2, 32),
    blocks: whole('blocks', values.blocks, 1, 10_000),
    transactions: whole('transactions', values.transactions, 1, 100_000),
    valueBytes: whole('value-size', values['value-size'], 1, 1 << 16),
    delayMs: whole('delay', values.delay, 0, 10_000),
    missingPercent: whole('missing', values.missing, 0, 100),
  }
  return { kind: 'relay', options, json }
}

function parse<K extends string>(args: readonly string[], defaults: Readonly<Record<K, string>>) {
  const options: ParseArgsConfig['options'] = { json: { type: 'boolean' } }
  for (const name in defaults) options[name] = { type: 'string', default: defaults[name] }
  try {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options })
    if (positionals.length > 0)
      throw usage(`what is ${positionals.join(' ')}? A scenario takes options only (see --help)`)
    const text = (name: K) => (typeof values[name] === 'string' ? values[name] : defaults[name])
    const texts = Object.fromEntries(Object.keys(defaults).map((name) => [name, text(name as K)]))
    return { values: texts as Record<K, string>, json: values.json === true }
  } catch (error) {
    if (error instanceof BenchError) throw error
    throw usage(error instanceof Error ? (error.message.split('. ')[0] ?? '') : 'bad arguments', error)
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  throw usage(`--${name} is a whole number from ${least} to ${most}, not ${text}`)
}

export function usage(message: string, cause?: unknown): BenchError {
  return new BenchError('bench-usage', message, {}, cause)
}
