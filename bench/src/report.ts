/** What a run of the cluster scenario found: the record's shape, and the table that a person reads. */
import type { ClusterBenchOptions } from './options.js'
import type { Machine, ProcessCost } from './resources.js'
import type { Summary } from './stats.js'
import { mebibytes, percent, row, seconds, whole } from './table.js'

/** Rates are a second, latencies in milliseconds from the time at which a request was due. Undefined: could not be measured. */
export interface ClusterReport {
  readonly scenario: 'cluster'
  readonly date: string
  readonly commit: string
  /** Whether the tree had changes beyond the commit. */
  readonly dirty: boolean
  readonly machine: Machine
  readonly options: ClusterBenchOptions
  readonly warmupSeconds: number
  /** Bare signature verifications a second in one thread, before and after the cluster ran. */
  readonly yardstick: { readonly before: number; readonly after: number }
  readonly puts: {
    readonly acceptedPerSecond: number
    /** By all nodes, from block to block within the window. */
    readonly confirmedPerSecond: number | undefined
    /** All puts of the load, from its begin until the last was confirmed by all nodes. */
    readonly confirmedPerSecondUntilDrained: number | undefined
    /** confirmedPerSecond by the mean of the yardstick. */
    readonly ratioToYardstick: number | undefined
    readonly acceptedInAll: number
    readonly confirmedInAll: number
    /** Included, but changed nothing. */
    readonly failedInBlock: number
    readonly refused: Record<string, number>
    readonly lost: Record<string, number>
    readonly latencyMs: {
      readonly accepted: Summary | undefined
      readonly visibleElsewhere: Summary | undefined
      readonly confirmed: Summary | undefined
    }
    /** How late the generator began them; undefined at rate max. */
    readonly lateMs: Summary | undefined
  }
  readonly gets: {
    readonly perSecond: number
    readonly latencyMs: Summary | undefined
    readonly missing: number
    readonly refused: Record<string, number>
  }
  readonly blocks: {
    readonly count: number
    readonly intervalMs: Summary | undefined
    readonly transactions: Summary | undefined
    /** From the first node that had a block to the last. */
    readonly spreadMs: Summary | undefined
    /** Of the whole run: solved by some node, and not on the main chain. */
    readonly stale: number
    readonly staleRate: number
  }
  /** Over the window; undefined without /proc. */
  readonly nodes: readonly { readonly mines: boolean; readonly cost: ProcessCost | undefined }[]
  readonly benchCpuSeconds: number
  /** What the machine spent on anything else meanwhile: the noise in all figures. */
  readonly otherCpuSeconds: number | undefined
}

export function formatReport(report: ClusterReport): string {
  const { options, machine, puts, gets, blocks, yardstick } = report
  const load = options.rate === 'max' ? 'as many puts as they take' : `${options.rate} puts/s offered`
  const lines = [
    `${options.nodes} nodes on ${options.network}, ${options.miners} mining, ${options.batch} put(s) of ${options.valueBytes} bytes a transaction, ${load}, ${options.seconds} s`,
    `${machine.cpu}, ${machine.cores} cores, node ${machine.node}; commit ${report.commit.slice(0, 12)}${report.dirty ? ' and changes' : ''}`,
    '',
    row('puts accepted', `${whole(puts.acceptedPerSecond)}/s`),
    row(
      'puts confirmed',
      `${whole(puts.confirmedPerSecond)}/s`,
      `${whole(puts.confirmedPerSecondUntilDrained)}/s until drained; ${puts.confirmedInAll} of ${puts.acceptedInAll} accepted`,
    ),
    row('  as a share of bare verification', percent(puts.ratioToYardstick)),
    row('bare verification', `${whole(yardstick.before)}/s before, ${whole(yardstick.after)}/s after`),
    ...troubles(report),
    '',
    row('latency, ms', 'p50', 'p99', 'max', 'samples'),
    latency('put accepted', puts.latencyMs.accepted),
    latency('put visible elsewhere', puts.latencyMs.visibleElsewhere),
    latency('put confirmed', puts.latencyMs.confirmed),
    latency(`get, ${whole(gets.perSecond)}/s`, gets.latencyMs),
    latency('(put begun late)', puts.lateMs),
    '',
    row('blocks', String(blocks.count), `${blocks.stale} stale in all (${percent(blocks.staleRate)})`),
    row(
      '  interval, s',
      `mean ${seconds(blocks.intervalMs?.mean)}`,
      `p50 ${seconds(blocks.intervalMs?.p50)}`,
      `p99 ${seconds(blocks.intervalMs?.p99)}`,
    ),
    row('  transactions', `mean ${whole(blocks.transactions?.mean)}`, `max ${whole(blocks.transactions?.max)}`),
    latency('  first to last node, ms', blocks.spreadMs),
    '',
    row('node', 'CPU s', 'main thread', 'others', 'peak MiB'),
    ...report.nodes.map(({ mines, cost }, index) => nodeRow(`  ${index}${mines ? ' (mines)' : ''}`, cost)),
    row('  bench itself', report.benchCpuSeconds.toFixed(1)),
    row('  everything else on this machine', report.otherCpuSeconds?.toFixed(1) ?? '-'),
  ]
  return lines.join('\n')
}

function troubles({ puts, gets, options }: ClusterReport): string[] {
  const lines: string[] = []
  const note = (what: string, counts: Record<string, number>) => {
    for (const [name, count] of Object.entries(counts)) lines.push(row(`  ${what}`, `${count} ${name}`))
  }
  note('puts refused', puts.refused)
  note('puts lost', puts.lost)
  note('gets refused', gets.refused)
  if (puts.failedInBlock > 0) lines.push(row('  failed in their block', String(puts.failedInBlock)))
  if (gets.missing > 0) lines.push(row('  gets that found nothing', String(gets.missing)))
  const open = puts.acceptedInAll - puts.confirmedInAll - puts.failedInBlock * options.batch
  if (open !== 0) lines.push(row('  accepted, not confirmed', String(open)))
  return lines
}

function nodeRow(name: string, cost: ProcessCost | undefined): string {
  if (cost === undefined) return row(name, 'not measured: there is no /proc here')
  const { cpuSeconds, mainThreadCpuSeconds, peakRssBytes } = cost
  const others = cpuSeconds - mainThreadCpuSeconds
  return row(name, ...[cpuSeconds, mainThreadCpuSeconds, others].map((s) => s.toFixed(1)), mebibytes(peakRssBytes))
}

function latency(name: string, summary: Summary | undefined): string {
  if (summary === undefined) return row(name, '-')
  const { p50, p99, max, count } = summary
  return row(name, ...[p50, p99, max].map((ms) => (ms < 10 ? ms.toFixed(1) : whole(ms))), String(count))
}
