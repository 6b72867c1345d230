/**
 * One parameter of the chosen rule after the other, all else as chosen, brought into tables. A figure is the median over the seeds unless its column says
 * otherwise; `worst` is that of the least lucky seed. Times are in intervals, rates and targets against right ones.
 */
import type { Candidate, Candidates } from '../candidates.js'
import type { World } from '../chain.js'
import { hop, night, steady, step } from '../scenarios.js'
import { largest, mean, median } from '../stats.js'
import { ahead, stairsUp } from '../strategies.js'
import type { Table } from '../table.js'
import { type Effort, HOP_BLOCKS, MOST_BLOCKS, NIGHT_BLOCKS, NIGHT_MS, over, pick, STEADY_BLOCKS } from './effort.js'
import { extremes, reversals } from './forging.js'

/** How far ahead of the clock a timestamp may be: what that is worth to forgers. */
export function futureTable(list: readonly Candidate[], tauBlocks: number, effort: Effort): Table {
  const rows = list.flatMap(({ name, world }) =>
    [1, 2, 5, 10, 20, 30, 60].map((future) => {
      const wide: World = { ...world, maxFutureMs: future * world.intervalMs }
      const lying = over(effort, (seed) => hop(wide, seed, 1, HOP_BLOCKS, ahead))
      return [
        name,
        future,
        100 * (2 ** (future / tauBlocks) - 1),
        ...extremes(wide, 0.49, effort),
        100 * mean(pick(lying, 'gain')),
      ]
    }),
  )
  return {
    name: 'future',
    title: 'The future limit F: one lie eases the next block by 2^(F/tau); what 49 % make of it',
    columns: [
      { name: 'rule' },
      { name: 'F', digits: 0 },
      { name: 'one block easier %', digits: 1 },
      { name: 'slowest chain', digits: 3 },
      { name: 'fastest chain', digits: 3 },
      { name: 'forging hopper gains %', digits: 1 },
    ],
    rows,
  }
}

/** The clamp, all else as chosen. */
export function clampTable(list: Candidates['clamps'], effort: Effort): Table {
  const rows = list.map(({ value, world }) => {
    const calm = over(effort, (seed) => night(world, seed, NIGHT_MS, NIGHT_BLOCKS))
    const others = { share: 0.49, strategy: stairsUp }
    const forged = over(effort, (seed) => night(world, seed, NIGHT_MS, NIGHT_BLOCKS, others))
    const times = [1 / 10, 1 / 100, 1 / 1_000].map((factor) =>
      median(
        pick(
          over(effort, (seed) => step(world, seed, factor, MOST_BLOCKS)),
          'time',
        ),
      ),
    )
    return [
      value,
      ...times,
      median(pick(calm, 'fastest')),
      median(pick(calm, 'soon')),
      largest(pick(forged, 'fastest')),
      ...extremes(world, 0.49, effort),
      100 * (reversals(world, 0.2, NIGHT_MS, 6, effort)[5] ?? Number.NaN),
    ]
  })
  return {
    name: 'clamp',
    title: 'The clamp: recovery against what happens after a night',
    columns: [
      { name: 'clamp', digits: 0 },
      { name: '/10', digits: 0 },
      { name: '/100', digits: 0 },
      { name: '/1000', digits: 0 },
      { name: 'night: fastest 20', digits: 1 },
      { name: 'blocks in 100', digits: 0 },
      { name: 'fastest 20, 49 % forge, worst', digits: 1 },
      { name: 'slowest chain, 49 % forge', digits: 3 },
      { name: 'fastest chain', digits: 3 },
      { name: '20 % take back 6 after a night, %', digits: 2 },
    ],
    rows,
  }
}

/** tau, all else as chosen. */
export function tauTable(list: Candidates['taus'], effort: Effort): Table {
  const rows = list.map(({ value, world }) => {
    const calm = over(effort, (seed) => steady(world, seed, STEADY_BLOCKS))
    const up = over(effort, (seed) => step(world, seed, 10, MOST_BLOCKS))
    const down = over(effort, (seed) => step(world, seed, 1 / 10, MOST_BLOCKS))
    const same = over(effort, (seed) => hop(world, seed, 1, HOP_BLOCKS))
    const lying = over(effort, (seed) => hop(world, seed, 1, HOP_BLOCKS, ahead))
    return [
      value,
      100 * mean(pick(calm, 'jitter')),
      median(pick(up, 'blocks')),
      median(pick(up, 'time')),
      median(pick(down, 'blocks')),
      median(pick(down, 'time')),
      100 * mean(pick(same, 'gain')),
      100 * mean(pick(lying, 'gain')),
      100 * (2 ** (world.maxFutureMs / world.intervalMs / value) - 1),
    ]
  })
  return {
    name: 'tau',
    title: 'tau: quick against calm',
    columns: [
      { name: 'tau', digits: 0 },
      { name: 'jitter %', digits: 1 },
      { name: 'x10 blocks', digits: 0 },
      { name: 'x10 time', digits: 0 },
      { name: '/10 blocks', digits: 0 },
      { name: '/10 time', digits: 0 },
      { name: 'hopper gains %', digits: 1 },
      { name: 'forging hopper %', digits: 1 },
      { name: 'one lie of 5 intervals %', digits: 1 },
    ],
    rows,
  }
}
