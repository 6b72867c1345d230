/** The tables and plots of the Noobcash experiment: what was measured, beside what two teams published. */
import type { Table } from '../difficulty/table.js'
import { type Line, marked, type Plot } from '../plots.js'
import type { NoobcashResult } from './noobcashRun.js'
import { PUBLISHED, type Published } from './publishedNoobcash.js'
import type { Report } from './report.js'

/** @param hashRate hashes of one thread in a second, measured. */
export function noobcashReport(
  results: readonly NoobcashResult[],
  hashRate: number,
  settings: Report['settings'],
): Report {
  return {
    experiment: 'noobcash',
    title: 'Noobcash: throughput and block time',
    about: about(hashRate),
    settings,
    tables: [measuredTable(results, hashRate), publishedTable(results)],
    plots: plotsOf(results),
  }
}

function about(hashRate: number): string[] {
  return [
    'Every node is a daemon of its own with a miner of one thread; it begins with 100 coins and plays its own payments, all nodes at once. ' +
      'Throughput counts payments that went through, from the first submission until the last one was in a block. Block time is that time by ' +
      'the number of blocks. A payment that its payer cannot make is refused by his daemon or fails in its block. At the end all nodes ' +
      'had the same tip and no coin was made or lost.',
    `Difficulty is leading zeros of the hash in hexadecimal digits, as in the course. One thread does ${(hashRate / 1e6).toFixed(1)} million ` +
      'hashes a second here, with the machine as busy as it is: at difficulty 4 a block is a matter of milliseconds, and what is ' +
      'measured is checking, storing and passing on. Where the course waits for a hash, compare at difficulty 6 or 7. The course mines only full blocks; here ' +
      'a block is mined as soon as a payment waits.',
    'Published figures are of five virtual machines and of other code, each under its own definition of throughput: compare shapes.',
    ...PUBLISHED.map(({ name, source }) => `${name}: ${source}.`),
  ]
}

function measuredTable(results: readonly NoobcashResult[], hashRate: number): Table {
  return {
    name: 'noobcash',
    title: 'Measured',
    columns: [
      { name: 'nodes' },
      { name: 'capacity' },
      { name: 'difficulty' },
      { name: 'tx/s', digits: 2 },
      { name: 's a block', digits: 4 },
      { name: 'tx a block', digits: 2 },
      { name: 'went through' },
      { name: 'refused' },
      { name: 'failed' },
      { name: 'reorgs' },
      { name: 'hashes a block' },
      { name: 's of one thread', digits: 4 },
    ],
    rows: results.map((result) => {
      const { nodes, capacity, difficulty, confirmed, refused, failed, seconds, blocks, reorgs } = result
      const hashes = 16 ** difficulty
      const rates = [confirmed / seconds, seconds / blocks, (confirmed + failed) / blocks]
      return [nodes, capacity, difficulty, ...rates, confirmed, refused, failed, reorgs, hashes, hashes / hashRate]
    }),
  }
}

/** Only what has a counterpart here. */
function publishedTable(results: readonly NoobcashResult[]): Table {
  const rows = results.flatMap((result) =>
    PUBLISHED.flatMap(({ name, rows: all }) =>
      all
        .filter((row) => isSameCase(row, result))
        .map(({ throughput, blockSeconds }) => [
          name,
          ...[result.nodes, result.capacity, result.difficulty, throughput, result.confirmed / result.seconds],
          ...[blockSeconds, result.seconds / result.blocks],
        ]),
    ),
  )
  return {
    name: 'noobcash-published',
    title: 'Published, and the same case here',
    columns: [
      { name: 'team' },
      { name: 'nodes' },
      { name: 'capacity' },
      { name: 'difficulty' },
      { name: 'tx/s', digits: 2 },
      { name: 'here', digits: 2 },
      { name: 's a block', digits: 2 },
      { name: 'here (s)', digits: 4 },
    ],
    rows,
  }
}

type Case = Pick<Published, 'nodes' | 'capacity' | 'difficulty'>

function isSameCase(a: Case, b: Case): boolean {
  return a.nodes === b.nodes && a.capacity === b.capacity && a.difficulty === b.difficulty
}

interface Series {
  readonly name: string
  readonly rows: readonly Published[]
}

/** A throughput and a block time plot for every number of nodes; with more than one number, throughput against it as well. */
function plotsOf(results: readonly NoobcashResult[]): Plot[] {
  const here = results.map(({ confirmed, seconds, blocks, ...rest }) => ({
    ...rest,
    throughput: confirmed / seconds,
    blockSeconds: seconds / blocks,
  }))
  const all: Series[] = [{ name: 'kvchain', rows: here }, ...PUBLISHED]
  const nodes = unique(results.map((result) => result.nodes))
  return [
    ...nodes.flatMap((count) => [
      againstCapacity(count, all, 'throughput', 'transactions a second'),
      againstCapacity(count, all, 'blockSeconds', 'seconds a block'),
    ]),
    ...(nodes.length > 1 ? [againstNodes(here)] : []),
  ]
}

function againstCapacity(
  nodes: number,
  all: readonly Series[],
  what: 'throughput' | 'blockSeconds',
  unit: string,
): Plot {
  const lines = all.flatMap(({ name, rows }) =>
    unique(rows.map(({ difficulty }) => difficulty)).map((difficulty) => ({
      name: `${name}, difficulty ${difficulty}`,
      points: rows
        .filter((row) => row.nodes === nodes && row.difficulty === difficulty)
        .map((row) => [row.capacity, row[what]] as const),
    })),
  )
  return marked(
    `noobcash-${nodes}-${what === 'throughput' ? 'throughput' : 'block-time'}`,
    `${nodes} nodes: ${unit} against capacity`,
    { name: 'transactions a block, at most' },
    { name: unit, type: 'log' },
    lines.filter(({ points }) => points.length > 0),
  )
}

function againstNodes(rows: readonly Published[]): Plot {
  const kinds = unique(rows.map(({ difficulty, capacity }) => `difficulty ${difficulty}, capacity ${capacity}`))
  const lines: Line[] = kinds.map((name) => ({
    name,
    points: rows
      .filter(({ difficulty, capacity }) => name === `difficulty ${difficulty}, capacity ${capacity}`)
      .map(({ nodes, throughput }) => [nodes, throughput] as const),
  }))
  return marked(
    'noobcash-nodes',
    'Transactions a second against the number of nodes',
    { name: 'nodes' },
    { name: 'transactions a second', type: 'log' },
    lines,
  )
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)]
}
