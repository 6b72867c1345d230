/** What each experiment of kvchain lab is run with: its options as they were typed, or their defaults. Throws CliError `usage`. */
import { usageError } from '../exits.js'
import { parseCount, parseShare } from '../parsing.js'

/** As the parser hands them over. */
export interface Flags {
  readonly out?: string
  readonly seed?: string
  readonly quick?: true
}

export interface SpeedFlags extends Flags {
  readonly difficulty?: string
  readonly length?: string
  readonly keys?: string
  readonly size?: string
  readonly nodes?: string
}

export interface AttackFlags extends Flags {
  readonly share?: string
  readonly trials?: string
  readonly confirmations?: string
  readonly patience?: string
  readonly simulated?: true
}

export interface ScaleFlags extends Flags {
  readonly nodes?: string
  readonly seconds?: string
  readonly minutes?: string
  readonly rate?: string
  readonly simulated?: true
}

export interface SelfishFlags extends Flags {
  readonly share?: string
  readonly blocks?: string
}

export interface StaleFlags extends Flags {
  readonly delay?: string
  readonly miners?: string
  readonly blocks?: string
}

export interface FaultsFlags extends Flags {
  readonly nodes?: string
  readonly phase?: string
  readonly faults?: string
  readonly behaviours?: string
  readonly byzantine?: string
  readonly minutes?: string
  readonly share?: string
  readonly simulated?: true
}

export interface NoobcashFlags extends Flags {
  readonly nodes?: string
  readonly capacity?: string
  readonly difficulty?: string
  readonly transactions?: string
}

const MAX_SEED = 2 ** 32 - 1
/** Every node is a process of some 100 MB. */
const MAX_NODES = 20
/** Of those only the writers work hard. */
const MAX_SCALE = 30
const MAX_LIST = 20

export function noobcashOptions(flags: NoobcashFlags) {
  const quick = flags.quick === true
  return {
    nodes: counts(flags.nodes ?? (quick ? '2' : '5'), '--nodes', 2, MAX_NODES),
    capacities: counts(flags.capacity ?? (quick ? '2' : '1,5,10,20'), '--capacity', 1, 100_000),
    difficulties: counts(flags.difficulty ?? (quick ? '2' : '4,5'), '--difficulty', 1, 7),
    lines: quick ? 5 : 100,
    ...(flags.transactions === undefined ? {} : { transactions: flags.transactions }),
  }
}

export function speedOptions(flags: SpeedFlags) {
  const quick = flags.quick === true
  return {
    difficulties: counts(flags.difficulty ?? (quick ? '2,3' : '3,4,5,6'), '--difficulty', 1, 7),
    lengths: rising(counts(flags.length ?? (quick ? '5,10' : '100,1000,2000'), '--length', 1, 1_000_000)),
    keys: rising(counts(flags.keys ?? (quick ? '10,20' : '1000,10000,30000'), '--keys', 1, 10_000_000)),
    sizes: counts(flags.size ?? (quick ? '10,65536' : '10,1000,10000,65536'), '--size', 1, 65_536),
    nodes: counts(flags.nodes ?? (quick ? '2' : '1,3'), '--nodes', 1, MAX_NODES),
    calls: quick ? 5 : 100,
    workloads: ['A', 'B', 'C', 'F', 'D'] as const,
    records: quick ? 20 : 1_000,
    operations: quick ? 20 : 1_000,
    valueBytes: 1_000,
    clients: 8,
  }
}

export function attack51Options(flags: AttackFlags) {
  const quick = flags.quick === true
  const shares = (flags.share ?? (quick ? '0.8' : '0.3,0.6')).split(',', MAX_LIST)
  return {
    shares: shares.map((part) => parseAttackShare(part.trim())),
    trials: parseCount(flags.trials ?? (quick ? '1' : '3'), '--trials', 1, 1_000),
    confirmations: parseCount(flags.confirmations ?? (quick ? '2' : '3'), '--confirmations', 1, 100),
    patienceSeconds: parseCount(flags.patience ?? '15', '--patience', 1, 3_600),
    blockSeconds: quick ? 0.25 : 0.5,
  }
}

export function doubleSpendOptions(flags: AttackFlags) {
  const quick = flags.quick === true
  const shares = (flags.share ?? (quick ? '0.3' : '0.1,0.2,0.3,0.4,0.5,0.6')).split(',', MAX_LIST)
  return {
    shares: shares.map((part) => parseAttackShare(part.trim())),
    confirmations: counts(flags.confirmations ?? (quick ? '1,2' : '1,2,3,4,5,6,7,8,9,10'), '--confirmations', 1, 100),
    races: parseCount(flags.trials ?? (quick ? '5' : '200'), '--trials', 1, 100_000),
    patience: parseCount(flags.patience ?? '30', '--patience', 1, 1_000),
  }
}

export function scaleOptions(flags: ScaleFlags) {
  const quick = flags.quick === true
  return {
    nodes: rising(counts(flags.nodes ?? (quick ? '2' : '3,5,10,20'), '--nodes', 2, MAX_SCALE)),
    seconds: parseCount(flags.seconds ?? (quick ? '2' : '8'), '--seconds', 1, 3_600),
  }
}

export function simulatedScaleOptions(flags: ScaleFlags) {
  const quick = flags.quick === true
  return {
    nodes: rising(counts(flags.nodes ?? (quick ? '3,6' : '10,30,100,300,1000'), '--nodes', 2, 1_000)),
    minutes: parseCount(flags.minutes ?? (quick ? '2' : '10'), '--minutes', 1, 1_440),
    writesPerMinute: parseCount(flags.rate ?? '60', '--rate', 1, 100_000),
  }
}

export function selfishOptions(flags: SelfishFlags) {
  const quick = flags.quick === true
  const shares = (flags.share ?? (quick ? '0.2,0.4' : '0.1,0.2,0.25,0.3,0.333,0.35,0.4,0.45')).split(',', MAX_LIST)
  return {
    shares: shares.map((part) => parseAttackShare(part.trim())),
    blocks: parseCount(flags.blocks ?? (quick ? '200' : '100000'), '--blocks', 50, 10_000_000),
  }
}

export function staleOptions(flags: StaleFlags) {
  const quick = flags.quick === true
  return {
    delays: fractions(flags.delay ?? (quick ? '0.1,0.25' : '0.01,0.05,0.1,0.2,0.25,0.5'), '--delay'),
    miners: parseCount(flags.miners ?? (quick ? '3' : '8'), '--miners', 2, 30),
    blocks: parseCount(flags.blocks ?? (quick ? '100' : '3000'), '--blocks', 50, 1_000_000),
  }
}

export function faultsOptions(flags: FaultsFlags) {
  const quick = flags.quick === true
  const nodes = parseCount(flags.nodes ?? (quick ? '3' : '4'), '--nodes', 3, MAX_NODES)
  return {
    nodes,
    phaseSeconds: parseCount(flags.phase ?? (quick ? '1' : '6'), '--phase', 1, 3_600),
    kinds: words(flags.faults ?? 'crash,silence,byzantine'),
    behaviours: words(flags.behaviours ?? ''),
    byzantine: byzantineCounts(flags, nodes),
  }
}

export function byzantineFaultsOptions(flags: FaultsFlags) {
  const quick = flags.quick === true
  const nodes = parseCount(flags.nodes ?? (quick ? '4' : '8'), '--nodes', 2, 100)
  return {
    nodes,
    byzantine: byzantineCounts(flags, nodes),
    share: parseShare(flags.share ?? '0.3', '--share'),
    minutes: parseCount(flags.minutes ?? (quick ? '1' : '10'), '--minutes', 1, 1_440),
  }
}

/** One, half and all but one of the nodes by default; one when it is to be quick. */
function byzantineCounts({ byzantine, quick }: FaultsFlags, nodes: number): number[] {
  const usual = quick ? '1' : `1,${Math.ceil(nodes / 2)},${nodes - 1}`
  return rising(counts(byzantine ?? usual, '--byzantine', 1, nodes - 1))
}

/** With less, or with more, one of the two hardly finds a block. */
function parseAttackShare(text: string): number {
  const share = parseShare(text, '--share')
  if (share >= 0.1 && share <= 0.9) return share
  throw usageError(`--share must be from 0.1 to 0.9, not '${text}'`)
}

function rising(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b)
}

export function seedOf({ seed = process.env.SEED ?? '1' }: Flags): number {
  return parseCount(seed, '--seed', 0, MAX_SEED)
}

/** Parts of something, above 0 and up to 1, with commas between. */
function fractions(text: string, what: string): number[] {
  return text.split(',', MAX_LIST).map((part) => parseShare(part.trim(), what))
}

/** Words with commas between; none of an empty text. */
function words(text: string): string[] {
  return text === '' ? [] : text.split(',', MAX_LIST).map((part) => part.trim())
}

/** Whole numbers with commas between. */
function counts(text: string, what: string, min: number, max: number): number[] {
  return text.split(',', MAX_LIST).map((part) => parseCount(part.trim(), what, min, max))
}
