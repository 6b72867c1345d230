/** The command line of the bench. */
import { parseArgs } from 'node:util'
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

export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'cluster'; readonly options: ClusterBenchOptions; readonly json: boolean }

export const HELP = `usage: npm run bench -- cluster [options]

Starts real daemons on this machine, offers them puts at a constant rate (open loop) and gets beside them, and measures what becomes of both.
The record goes to bench/results/, a table to stdout.

  --nodes N        daemons (3)
  --seconds S      length of the measured window; a warm-up comes before it (30)
  --value-size B   bytes of a value (100)
  --batch K        puts in one transaction (1)
  --rate R         puts offered a second, or max: as many as the nodes take (600)
  --network NET    dev, lan, or a network file; it must be free of fees (lan)
  --miners M       how many of the nodes mine, one thread each (1)
  --reads R        gets a second (100)
  --json           print the record instead of the table
  --help           this text

exit codes: 0 measured, 1 failed or void, 2 usage, 130 interrupted`

const DEFAULTS = {
  nodes: '3',
  seconds: '30',
  'value-size': '100',
  batch: '1',
  rate: '600',
  network: 'lan',
  miners: '1',
  reads: '100',
} as const

/** Throws BenchError `bench-usage`, in one sentence. */
export function parseCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args)
  if (values.help === true) return { kind: 'help' }
  const [scenario, ...rest] = positionals
  if (scenario === undefined) throw usage('which scenario? There is one: cluster (see --help)')
  if (scenario !== 'cluster') throw usage(`there is no scenario ${scenario}; there is one: cluster`)
  if (rest.length > 0) throw usage(`what is ${rest.join(' ')}? A scenario takes options only (see --help)`)
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
  return { kind: 'cluster', options, json: values.json === true }
}

function parse(args: readonly string[]) {
  const text = (name: keyof typeof DEFAULTS) => ({ type: 'string', default: DEFAULTS[name] }) as const
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        nodes: text('nodes'),
        seconds: text('seconds'),
        'value-size': text('value-size'),
        batch: text('batch'),
        rate: text('rate'),
        network: text('network'),
        miners: text('miners'),
        reads: text('reads'),
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
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
