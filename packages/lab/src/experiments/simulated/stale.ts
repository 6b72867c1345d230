/** Stale blocks in simulation: how many are lost to delay, against what a model says. */
import { hex } from '@kvchain/node/runtime/hex'
import type { Table } from '../../difficulty/table.js'
import { marked } from '../../plots.js'
import { makeWorld } from '../../sim/world.js'
import type { Bench, Report } from '../report.js'

export interface StaleOptions {
  /** One-way delays between two nodes, as parts of the block interval. */
  readonly delays: readonly number[]
  /** Miners of equal power, each linked with each. */
  readonly miners: number
  /** Solved for each delay. */
  readonly blocks: number
}

export interface StaleRate {
  /** As a part of the block interval. */
  readonly delay: number
  readonly solved: number
  /** Solved, and not on the main chain at the end. */
  readonly stale: number
}

const BLOCK_MS = 2_000
/** The end of the chain may still change. */
const UNDECIDED_BLOCKS = 10

const ABOUT = [
  'Miners of equal power, each linked with each by lines of one delay, mine empty blocks; stale are those that are not on the main chain at the end. A fork begins when two are solved within the time that ' +
    'one takes to the other. The model: with n miners (n-1)/n (1 - exp(-delay / interval)), which counts a little too many where delays are long, since no two can be stale at once.',
]

/** Mines with every delay. */
export async function stale(options: StaleOptions, bench: Bench): Promise<Report> {
  const rates: StaleRate[] = []
  for (const [i, delay] of options.delays.entries()) {
    bench.signal.throwIfAborted()
    bench.onProgress(i, options.delays.length, `delay of ${delay} intervals`)
    rates.push(await staleRate(delay, options, bench.seed))
  }
  return staleReport(rates, options, bench.seed)
}

/** Blocks solved and stale with one delay. */
export async function staleRate(delay: number, options: StaleOptions, seed: number): Promise<StaleRate> {
  const { miners, blocks } = options
  const world = await makeWorld({
    seed: seed * 7919 + Math.round(delay * 1e6),
    nodes: Array.from({ length: miners }, () => ({ hashShare: 1 / miners })),
    links: { delayMs: delay * BLOCK_MS, jitterMs: 0 },
    network: { blockIntervalMs: BLOCK_MS },
    bootstrap: miners - 1,
  })
  // Everybody is linked with everybody before it counts.
  await world.run(world.nowMs + 10 * BLOCK_MS)
  const before = world.solved.length
  while (world.solved.length - before < blocks) await world.run(world.nowMs + 50 * BLOCK_MS)
  const { chain } = world.node(0)
  const main = new Set<string>()
  for (let block = chain.tip; block.parent !== undefined; block = block.parent) main.add(hex(block.hash))
  const counted = world.solved
    .slice(before)
    .filter(({ height }) => height <= chain.tip.header.height - UNDECIDED_BLOCKS)
  return { delay, solved: counted.length, stale: counted.filter(({ hash }) => !main.has(hash)).length }
}

/** What the model expects of so many miners. */
export function expectedRate(delay: number, miners: number): number {
  return ((miners - 1) / miners) * (1 - Math.exp(-delay))
}

function staleReport(rates: readonly StaleRate[], options: StaleOptions, seed: number): Report {
  const { miners, blocks } = options
  const percent = (rate: StaleRate) => (100 * rate.stale) / rate.solved
  const table: Table = {
    name: 'stale',
    title: 'Stale blocks',
    columns: [
      { name: 'delay / interval', digits: 3 },
      { name: 'solved' },
      { name: 'stale' },
      { name: 'stale %', digits: 2 },
      { name: 'standard error %', digits: 2 },
      { name: 'model %', digits: 2 },
    ],
    rows: rates.map((rate) => {
      const share = rate.stale / rate.solved
      const error = Math.sqrt((share * (1 - share)) / rate.solved)
      return [rate.delay, rate.solved, rate.stale, percent(rate), 100 * error, 100 * expectedRate(rate.delay, miners)]
    }),
  }
  const plot = marked(
    'stale',
    'Stale blocks against delay',
    { name: 'one-way delay / block interval', min: 0 },
    { name: '% of the blocks', min: 0 },
    [
      { name: 'measured', points: rates.map((rate) => [rate.delay, percent(rate)]) },
      { name: 'model', points: rates.map(({ delay }) => [delay, 100 * expectedRate(delay, miners)]) },
    ],
  )
  return {
    experiment: 'stale',
    title: 'Stale blocks, simulated',
    about: ABOUT,
    isSimulated: true,
    settings: { seed, miners, 'blocks for each delay': blocks, delays: options.delays.join(', ') },
    tables: [table],
    plots: [plot],
  }
}
