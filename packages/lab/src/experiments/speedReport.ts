/** The tables and plots of the speed experiment. */
import type { Table } from '../difficulty/table.js'
import { type Axis, bars, marked, type Plot } from '../plots.js'
import type { Report } from './report.js'
import type { Cell, Factor, SpeedResult } from './speedRun.js'
import type { Timings } from './timings.js'
import { WORKLOADS } from './workloads.js'

interface FactorText {
  readonly title: string
  /** Of the column and the axis. */
  readonly unit: string
  readonly scale: NonNullable<Axis['type']>
}

const FACTORS: Readonly<Record<Factor, FactorText>> = {
  difficulty: { title: 'Put and get against difficulty', unit: 'leading zeros (hex digits)', scale: 'value' },
  length: { title: 'Put and get against the length of the chain', unit: 'blocks', scale: 'value' },
  keys: { title: 'Put and get against the number of keys', unit: 'keys', scale: 'log' },
  size: { title: 'Put and get against the size of the value', unit: 'bytes', scale: 'log' },
}

const ABOUT = [
  'Milliseconds as a client sees them, over the socket, one call after the other. best and worst are the extremes of so many calls.',
  'A put is in a block when its daemon says so. With an idle daemon that is the search for one hash and one commit: the search is memoryless, so ' +
    'its worst case has no bound, and 1 in 100 takes 4.6 times the mean. A get reads the state as of the tip by the key: neither the length of the ' +
    'chain nor the number of keys should show. Its worst case is a get as of an older height, which goes back through ' +
    "the key's versions.",
  'YCSB: keys drawn by a zipfian distribution (0.99; D reads what is newest), each client sends one operation after the other, clients are spread over ' +
    'the nodes, one node mines. A write is done when it is in a block of the node that took it. E is left out: it scans ranges.',
]

export function speedReport(result: SpeedResult, hashRate: number, settings: Report['settings']): Report {
  const factors = (Object.keys(FACTORS) as Factor[]).filter((factor) => result.cells[factor].length > 0)
  const rate = `One thread does ${(hashRate / 1e6).toFixed(1)} million hashes a second here, with the machine as busy as it is: difficulty 5 is a million hashes a block, 6 sixteen.`
  const hasYcsb = result.ycsb.length > 0
  return {
    experiment: 'speed',
    title: 'Speed of put and get',
    about: [...ABOUT, rate],
    settings,
    tables: [
      ...factors.map((factor) => factorTable(factor, result.cells[factor])),
      ...(hasYcsb ? [ycsbTable(result)] : []),
    ],
    plots: [
      ...factors.map((factor) => factorPlot(factor, result.cells[factor])),
      ...(hasYcsb ? [ycsbPlot(result)] : []),
    ],
  }
}

const TIMING_COLUMNS = ['best', 'median', 'p99', 'worst'] as const

function timingsOf(timings: Timings): number[] {
  return TIMING_COLUMNS.map((column) => timings[column])
}

function factorTable(factor: Factor, cells: readonly Cell[]): Table {
  const { title, unit } = FACTORS[factor]
  return {
    name: `speed-${factor}`,
    title: `${title} (ms)`,
    columns: [
      { name: 'call' },
      { name: unit },
      { name: 'calls' },
      ...TIMING_COLUMNS.map((name) => ({ name, digits: 2 })),
    ],
    rows: cells.map(({ call, at, timings }) => [call, at, timings.count, ...timingsOf(timings)]),
  }
}

function factorPlot(factor: Factor, cells: readonly Cell[]): Plot {
  const { title, unit, scale } = FACTORS[factor]
  const calls = [...new Set(cells.map(({ call }) => call))]
  return marked(
    `speed-${factor}`,
    `${title} (median)`,
    { name: unit, type: scale },
    { name: 'ms', type: 'log' },
    calls.map((name) => ({
      name,
      points: cells.filter(({ call }) => call === name).map(({ at, timings }) => [at, timings.median] as const),
    })),
  )
}

function ycsbTable({ ycsb }: SpeedResult): Table {
  const columns = ['read', 'write'].flatMap((kind) => ['median', 'p99', 'worst'].map((name) => `${kind} ${name}`))
  return {
    name: 'speed-ycsb',
    title: 'YCSB: operations a second, and latencies (ms)',
    columns: [
      { name: 'workload' },
      { name: 'nodes' },
      { name: 'operations' },
      { name: 'ops/s' },
      ...columns.map((name) => ({ name, digits: 1 })),
    ],
    rows: ycsb.map(({ workload, nodes, operations, perSecond, read, write }) => [
      `${workload} (${WORKLOADS[workload]})`,
      ...[nodes, operations, perSecond],
      ...[read, write].flatMap(({ median, p99, worst }) => [median, p99, worst]),
    ]),
  }
}

function ycsbPlot({ ycsb }: SpeedResult): Plot {
  const workloads = [...new Set(ycsb.map(({ workload }) => workload))]
  const sizes = [...new Set(ycsb.map(({ nodes }) => nodes))]
  return bars(
    'speed-ycsb',
    'YCSB: operations a second',
    workloads,
    { name: 'operations a second', type: 'log' },
    sizes.map((nodes) => ({
      name: nodes === 1 ? '1 node' : `${nodes} nodes`,
      values: workloads.map(
        (workload) => ycsb.find((one) => one.nodes === nodes && one.workload === workload)?.perSecond ?? 0,
      ),
    })),
  )
}
