/** Double spends in simulation against Rosenfeld’s probabilities: from options to report. */
import type { Table } from '../../difficulty/table.js'
import { type Line, marked, type Plot } from '../../plots.js'
import type { Bench, Report } from '../report.js'
import { patientProbability, type RaceOptions, Races, successProbability } from './race.js'

export interface DoubleSpendOptions {
  readonly shares: readonly number[]
  readonly confirmations: readonly number[]
  /** Of each. */
  readonly races: number
  readonly patience: number
}

/** The races with one share and so many confirmations. */
export interface Cell {
  readonly options: RaceOptions
  readonly races: number
  readonly succeeded: number
  /** Blocks that the deepest reorg took back. */
  readonly deepest: number
}

const ABOUT = [
  'Each race is of three whole nodes in virtual time: an honest miner, a buyer, an attacker who is cut off while he mines in secret. He is one block ahead when the ' +
    'count begins (Rosenfeld’s convention), and connects once the buyer has his confirmations and the secret branch is the longer one. After each race it is checked that all nodes hold the ' +
    'value that the longer branch says.',
  'expected is exact for this attacker, who gives up when he is so many blocks behind; Rosenfeld’s probability (2014) is for one who never does. errors is how far measured is from ' +
    'expected, in standard errors of so many races: beyond 3 in one of 370 cells by chance.',
]

/** Runs every race. Throws LabError `lab-broken` when a node ends a race with another value than the longer branch has. */
export async function doubleSpend(options: DoubleSpendOptions, bench: Bench): Promise<Report> {
  const cells: Cell[] = []
  const total = options.shares.length * options.confirmations.length * options.races
  let done = 0
  for (const share of options.shares) {
    for (const confirmations of options.confirmations) {
      const what = `share ${share}, ${confirmations} confirmations`
      const race = { share, confirmations, patience: options.patience }
      const onRace = () => bench.onProgress(done++, total, what)
      cells.push(await runCell(race, options.races, bench, onRace))
    }
  }
  return doubleSpendReport(cells, options, bench.seed)
}

/** So many races with the same options. */
export async function runCell(
  options: RaceOptions,
  races: number,
  { seed, signal }: Pick<Bench, 'seed' | 'signal'>,
  onRace: () => void = () => {},
): Promise<Cell> {
  // Cells with the same seed would share their draws.
  const source = new Races(options, seed * 1_000_003 + Math.round(options.share * 1_000) * 101 + options.confirmations)
  let [succeeded, deepest] = [0, 0]
  for (let i = 0; i < races; i++) {
    signal.throwIfAborted()
    onRace()
    const result = await source.next()
    if (!result.succeeded) continue
    succeeded++
    deepest = Math.max(deepest, result.depth)
  }
  return { options, races, succeeded, deepest }
}

/** How far the measured share of successes is from the expected one, in standard errors. */
export function errorsOf({ options, races, succeeded }: Cell): number {
  const expected = successProbability(options)
  const error = Math.sqrt((expected * (1 - expected)) / races)
  return error === 0 ? 0 : (succeeded / races - expected) / error
}

function doubleSpendReport(cells: readonly Cell[], options: DoubleSpendOptions, seed: number): Report {
  return {
    experiment: 'attack51',
    title: 'Double spends, simulated',
    about: ABOUT,
    isSimulated: true,
    settings: {
      seed,
      shares: options.shares.join(', '),
      confirmations: options.confirmations.join(', '),
      'races of each': options.races,
      'gives up': `${options.patience} blocks behind`,
    },
    tables: [tableOf(cells)],
    plots: [plotOf(cells)],
  }
}

function tableOf(cells: readonly Cell[]): Table {
  return {
    name: 'attack51',
    title: 'Successes',
    columns: [
      { name: 'share', digits: 2 },
      { name: 'confirmations' },
      { name: 'races' },
      { name: 'succeeded' },
      { name: 'measured %', digits: 2 },
      { name: 'expected %', digits: 2 },
      { name: 'errors', digits: 1 },
      { name: 'Rosenfeld %', digits: 2 },
      { name: 'deepest reorg' },
    ],
    rows: cells.map((cell) => [
      cell.options.share,
      cell.options.confirmations,
      cell.races,
      cell.succeeded,
      (100 * cell.succeeded) / cell.races,
      100 * successProbability(cell.options),
      errorsOf(cell),
      100 * patientProbability(cell.options),
      cell.deepest,
    ]),
  }
}

function plotOf(cells: readonly Cell[]): Plot {
  const shares = [...new Set(cells.map(({ options }) => options.share))]
  const all = shares.flatMap((share): Line[] => {
    const own = cells.filter(({ options }) => options.share === share)
    return [
      {
        name: `${share} measured`,
        points: own.map((cell) => [cell.options.confirmations, (100 * cell.succeeded) / cell.races]),
      },
      {
        name: `${share} expected`,
        points: own.map(({ options }) => [options.confirmations, 100 * successProbability(options)]),
      },
    ]
  })
  const y = { name: '% that succeeded', min: 0, max: 100 }
  return marked(
    'attack51',
    'Double spends against confirmations, by the attacker’s share',
    { name: 'confirmations' },
    y,
    all,
  )
}
