/**
 * What forgers, hoppers and private branches make of each candidate, brought into tables. A figure is the median over the seeds unless its column says
 * otherwise; `worst` is that of the least lucky seed. Times are in intervals, rates and targets against right ones.
 */
import type { Candidate } from '../candidates.js'
import type { World } from '../chain.js'
import { deepestReversal } from '../race.js'
import { type Forged, forge, hop, steady } from '../scenarios.js'
import { largest, mean, rosenfeld, smallest } from '../stats.js'
import { ahead, alternate, behind, honest, planned, type Strategy, stairsDown, stairsUp, swing } from '../strategies.js'
import type { Table } from '../table.js'
import { type Effort, HOP_BLOCKS, NIGHT_MS, over, pick, SHARES } from './effort.js'

const FORGED_BLOCKS = 1_000
const LASTING_BLOCKS = 10_000
/** The planner tries some hundred futures a block. */
const PLANNED_BLOCKS = 400
/** Races for each seed that is asked for: their outcomes are rare, and each is short. */
const RACES_A_SEED = 300

const FORGERIES: Readonly<Record<string, Strategy>> = {
  ahead,
  behind,
  alternate,
  swing,
  'stairs up': stairsUp,
  'stairs down': stairsDown,
  planned,
}

function forgedBy(world: World, strategy: Strategy, share: number, effort: Effort): Forged[] {
  const blocks = strategy === planned ? PLANNED_BLOCKS : FORGED_BLOCKS
  return over(effort, (seed) => forge(world, seed, { share, strategy }, blocks))
}

/** Forged timestamps under steady load: speed of the chain for each forgery. */
export function forgeTable(list: readonly Candidate[], effort: Effort): Table {
  const rows = SHARES.flatMap((share) =>
    list.map(({ name, world }) => {
      const found = Object.values(FORGERIES).map((strategy) => forgedBy(world, strategy, share, effort))
      const speeds = found.map((forged) => mean(pick(forged, 'speed')))
      const best = found[speeds.indexOf(largest(speeds))] ?? []
      return [name, `${100 * share} %`, ...speeds, mean(pick(best, 'reward'))]
    }),
  )
  return {
    name: 'forge',
    title:
      'Forged timestamps under steady load: speed of the chain against an honest one (mean), and reward of the forgers against their share',
    columns: [
      { name: 'rule' },
      { name: 'forged' },
      ...Object.keys(FORGERIES).map((name) => ({ name, digits: 3 })),
      { name: 'reward', digits: 2 },
    ],
    rows,
  }
}

/** What remains of all that in the long run: the interval of an honest chain, and the speed of forged ones against it (means). */
export function lastingTable(list: readonly Candidate[], effort: Effort): Table {
  const strategies = { ahead, behind, alternate, swing }
  const rows = list.map(({ name, world }) => [
    name,
    mean(
      pick(
        over(effort, (seed) => steady(world, seed, LASTING_BLOCKS)),
        'interval',
      ),
    ),
    ...Object.values(strategies).map((strategy) =>
      mean(
        pick(
          over(effort, (seed) => forge(world, seed, { share: 0.49, strategy }, LASTING_BLOCKS)),
          'speed',
        ),
      ),
    ),
  ])
  return {
    name: 'lasting',
    title: 'In the long run (10,000 blocks): interval of an honest chain, and speed of one of which 49 % forge (mean)',
    columns: [
      { name: 'rule' },
      { name: 'honest interval', digits: 4 },
      ...Object.keys(strategies).map((name) => ({ name, digits: 4 })),
    ],
    rows,
  }
}

/** Miners that come while a hash earns more and leave when it earns less. */
export function hopTable(list: readonly Candidate[], effort: Effort): Table {
  const rows = list.map(({ name, world }) => {
    const same = over(effort, (seed) => hop(world, seed, 1, HOP_BLOCKS))
    const many = over(effort, (seed) => hop(world, seed, 10, HOP_BLOCKS))
    const lying = over(effort, (seed) => hop(world, seed, 1, HOP_BLOCKS, ahead))
    return [
      name,
      100 * mean(pick(same, 'gain')),
      100 * mean(pick(many, 'gain')),
      100 * mean(pick(lying, 'gain')),
      100 * mean(pick(same, 'presence')),
      mean(pick(same, 'interval')),
      largest(pick(many, 'longest')),
    ]
  })
  return {
    name: 'hop',
    title: 'Hoppers: what a hash of theirs earns more than one of the steady miners (mean)',
    columns: [
      { name: 'rule' },
      { name: 'as many again: gain %', digits: 1 },
      { name: 'ten times as many %', digits: 1 },
      { name: 'who also forge %', digits: 1 },
      { name: 'there %', digits: 0 },
      { name: 'interval', digits: 3 },
      { name: 'longest, worst', digits: 1 },
    ],
    rows,
  }
}

const DEPTHS = [2, 6, 12, 20] as const

/** The private forgeries of which the attacker takes whichever suits him best. */
const PRIVATE: readonly Strategy[] = [honest, behind, stairsDown]

/** For each number of confirmations from 1 to `most`: the share of races in which the best of the attacker's strategies took them back. */
export function reversals(world: World, share: number, sleepMs: number, most: number, effort: Effort): number[] {
  const races = effort.seeds * RACES_A_SEED
  const depths = PRIVATE.map((strategy) =>
    Array.from({ length: races }, (_, i) => deepestReversal(world, i + 1, { share, sleepMs, strategy, most })),
  )
  return Array.from({ length: most }, (_, i) =>
    largest(depths.map((found) => found.filter((depth) => depth > i).length / races)),
  )
}

/** Private branches with forged timestamps against confirmed blocks, on an ordinary day and on return after a night. */
export function reversalTable(list: readonly Candidate[], effort: Effort): Table {
  const most = largest(DEPTHS)
  const depthsOf = (chances: readonly number[]) => DEPTHS.map((depth) => 100 * (chances[depth - 1] ?? Number.NaN))
  const rows = [0.1, 0.2, 0.3].flatMap((share) => [
    ['Rosenfeld', `${100 * share} %`, '', ...DEPTHS.map((depth) => 100 * rosenfeld(share, depth))],
    ...list.flatMap(({ name, world }) =>
      [0, NIGHT_MS].map((sleepMs) => [
        name,
        `${100 * share} %`,
        sleepMs === 0 ? 'any time' : 'after a night',
        ...depthsOf(reversals(world, share, sleepMs, most, effort)),
      ]),
    ),
  ])
  return {
    name: 'reversal',
    title: 'Probability in % that a private branch takes confirmed blocks back',
    columns: [
      { name: 'rule' },
      { name: 'attacker' },
      { name: 'when' },
      ...DEPTHS.map((depth) => ({ name: `${depth} confirmations`, digits: 2 })),
    ],
    rows,
  }
}

/** The slowest and the fastest chain that forgers make, against an honest one. */
export function extremes(world: World, share: number, effort: Effort): [slowest: number, fastest: number] {
  const speeds = [ahead, behind, alternate, swing, stairsUp, stairsDown].map((strategy) =>
    mean(pick(forgedBy(world, strategy, share, effort), 'speed')),
  )
  return [smallest(speeds), largest(speeds)]
}
