/**
 * How the target follows: candidates under steady load, after steps of the hash rate, nights and idle times, brought into tables and series for plots. A figure is the median over the seeds unless its column says
 * otherwise; `worst` is that of the least lucky seed. Times are in intervals, rates and targets against right ones.
 */
import type { Params } from '@kvchain/core/params'
import { type Candidate, type earlier, withRule } from '../candidates.js'
import { Chain, type World } from '../chain.js'
import { Random } from '../random.js'
import { consensusRule } from '../rules.js'
import { idle, night, type Others, steady, step } from '../scenarios.js'
import { largest, mean, median, smallest } from '../stats.js'
import { behind, stairsDown, stairsUp } from '../strategies.js'
import type { Table } from '../table.js'
import { type Effort, MOST_BLOCKS, NIGHT_BLOCKS, NIGHT_MS, over, pick, SHARES, STEADY_BLOCKS } from './effort.js'

/** Steady load and steps of the hash rate. */
export function loadTable(list: readonly Candidate[], effort: Effort): Table {
  const rows = list.map(({ name, world }) => {
    const calm = over(effort, (seed) => steady(world, seed, STEADY_BLOCKS))
    const [up, down, farUp, farDown] = [10, 1 / 10, 1_000, 1 / 1_000].map((factor) =>
      over(effort, (seed) => step(world, seed, factor, MOST_BLOCKS)),
    )
    return [
      name,
      100 * mean(pick(calm, 'jitter')),
      mean(pick(calm, 'interval')),
      ...[up, down, farUp, farDown].flatMap((found = []) => [
        median(pick(found, 'blocks')),
        median(pick(found, 'time')),
      ]),
      largest(pick(down ?? [], 'longest')),
      100 * (2 ** median([...pick(up ?? [], 'overshoot'), ...pick(down ?? [], 'overshoot')]) - 1),
    ]
  })
  const pair = (step: string) => [
    { name: `${step} blocks`, digits: 0 },
    { name: `${step} time`, digits: 0 },
  ]
  return {
    name: 'load',
    title: 'Steady load, and steps of the hash rate: until the target is within 25 %',
    columns: [
      { name: 'rule' },
      { name: 'jitter %', digits: 1 },
      { name: 'interval', digits: 3 },
      ...['x10', '/10', 'x1000', '/1000'].flatMap(pair),
      { name: '/10 longest, worst', digits: 0 },
      { name: 'overshoot %', digits: 0 },
    ],
    rows,
  }
}

/** Blocks to recover in an earlier simulation of ours, and here: with tau of base 2, and of base e (LWMA: targets weighted too). */
export function earlierTable(list: ReturnType<typeof earlier>, effort: Effort): Table {
  const rows = list.map(({ was, readings }) => {
    const found = readings.flatMap(({ world }) =>
      [10, 1 / 10].map((factor) =>
        mean(
          pick(
            over(effort, (seed) => step(world, seed, factor, MOST_BLOCKS)),
            'blocks',
          ),
        ),
      ),
    )
    return [readings.map(({ name }) => name).join(' or '), ...was, ...found]
  })
  const pair = (name: string) => ['x10', '/10'].map((step) => ({ name: `${step} ${name}`, digits: 0 }))
  return {
    name: 'earlier',
    title: 'Blocks to recover: an earlier simulation, and this one (mean) in two readings of its rule',
    columns: [{ name: 'rule' }, ...['earlier', 'now', 'other reading'].flatMap(pair)],
    rows,
  }
}

/** A network that was off for twelve hours comes back, without forgers and with. */
export function nightTable(list: readonly Candidate[], effort: Effort): Table {
  const rows = list.map(({ name, world }) => {
    const calm = over(effort, (seed) => night(world, seed, NIGHT_MS, NIGHT_BLOCKS))
    const forged = SHARES.flatMap((share) => {
      const up = over(effort, (seed) => night(world, seed, NIGHT_MS, NIGHT_BLOCKS, { share, strategy: stairsUp }))
      const down = over(effort, (seed) => night(world, seed, NIGHT_MS, NIGHT_BLOCKS, { share, strategy: stairsDown }))
      return [median(pick(up, 'fastest')), largest(pick(up, 'fastest')), 2 ** -smallest(pick(down, 'hardest'))]
    })
    return [
      name,
      median(pick(calm, 'fastest')),
      largest(pick(calm, 'fastest')),
      median(pick(calm, 'soon')),
      median(pick(calm, 'time')),
      ...forged,
    ]
  })
  return {
    name: 'night',
    title:
      'Back after twelve hours off: rate of the fastest 20 blocks, blocks in the first 100 intervals, time until right',
    columns: [
      { name: 'rule' },
      { name: 'fastest 20', digits: 1 },
      { name: 'worst', digits: 1 },
      { name: 'blocks in 100', digits: 0 },
      { name: 'right after', digits: 0 },
      ...SHARES.flatMap((share) => [
        { name: `fastest 20, ${100 * share} % forge`, digits: 1 },
        { name: 'worst', digits: 1 },
        { name: 'hardest, worst', digits: 1 },
      ]),
    ],
    rows,
  }
}

/** Part of the hash rate is gone, and of what is left a part forges to keep the target hard. */
export function stallTable(list: readonly Candidate[], effort: Effort): Table {
  const timeOf = (world: World, factor: number, others?: Others) =>
    median(
      pick(
        over(effort, (seed) => step(world, seed, factor, MOST_BLOCKS, others)),
        'time',
      ),
    )
  const rows = list.map(({ name, world }) => [
    name,
    ...[1 / 10, 1 / 100, 1 / 1_000].flatMap((factor) => [
      timeOf(world, factor),
      ...SHARES.map((share) =>
        largest([behind, stairsDown].map((strategy) => timeOf(world, factor, { share, strategy }))),
      ),
    ]),
  ])
  return {
    name: 'stall',
    title: 'Most of the hash rate leaves and forgers keep the target hard: time until it is right',
    columns: [
      { name: 'rule' },
      ...['/10', '/100', '/1000'].flatMap((step) => [
        { name: step, digits: 0 },
        ...SHARES.map((share) => ({ name: `${step}, ${100 * share} % forge`, digits: 0 })),
      ]),
    ],
    rows,
  }
}

/** Writes to a network on which everybody mines only while something is pending: one in 300 intervals, settled after 6 blocks. */
export const IDLE = { gap: 300, depth: 6, writes: 60 } as const

export function idleTable(list: readonly Candidate[], effort: Effort): Table {
  const at = [1, 5, 10, 20, 60]
  const rows = list.map(({ name, world }) => {
    const found = over(effort, (seed) => idle(world, seed, IDLE.gap, IDLE.depth, IDLE.writes))
    return [name, ...at.map((write) => 2 ** median(found.map((eases) => eases[write - 1] ?? Number.NaN)))]
  })
  return {
    name: 'idle',
    title: 'All mine only while something is pending: how many times too easy the target is when a write comes',
    columns: [{ name: 'rule' }, ...at.map((write) => ({ name: `write ${write}`, digits: 1 }))],
    rows,
  }
}

/** The networks that have a moving target, with the parameters of their files, in minutes. */
export function networkTable(networks: readonly { name: string; params: Params }[], effort: Effort): Table {
  const rows = networks.map(({ name, params }) => {
    const { blockIntervalMs, targetWindowBlocks, solveTimeClampBlocks, maxFutureMs } = params
    const easiest = withRule(params, targetWindowBlocks, solveTimeClampBlocks).easiestTarget
    const world: World = {
      rule: consensusRule({ ...params, easiestTarget: easiest }),
      floor: 'parent',
      intervalMs: blockIntervalMs,
      maxFutureMs,
      clampMs: solveTimeClampBlocks * blockIntervalMs,
      stampedAt: 'started',
    }
    const minutes = (factor: number) =>
      (median(
        pick(
          over(effort, (seed) => step(world, seed, factor, MOST_BLOCKS)),
          'time',
        ),
      ) *
        blockIntervalMs) /
      60_000
    const calm = over(effort, (seed) => night(world, seed, NIGHT_MS, NIGHT_BLOCKS))
    return [
      name,
      blockIntervalMs / 1_000,
      maxFutureMs / 1_000,
      targetWindowBlocks,
      solveTimeClampBlocks,
      ...[10, 1 / 10, 1 / 100, 1 / 1_000].map(minutes),
      median(pick(calm, 'fastest')),
      (median(pick(calm, 'time')) * blockIntervalMs) / 60_000,
      100 * (2 ** (maxFutureMs / blockIntervalMs / targetWindowBlocks) - 1),
    ]
  })
  return {
    name: 'networks',
    title: 'The networks as configured: minutes until the target is right',
    columns: [
      { name: 'network' },
      { name: 'T s', digits: 0 },
      { name: 'F s', digits: 0 },
      { name: 'tau', digits: 0 },
      { name: 'clamp', digits: 0 },
      { name: 'x10 min', digits: 1 },
      { name: '/10 min', digits: 1 },
      { name: '/100 min', digits: 0 },
      { name: '/1000 min', digits: 0 },
      { name: 'night: fastest 20', digits: 1 },
      { name: 'right after min', digits: 1 },
      { name: 'one lie of F %', digits: 1 },
    ],
    rows,
  }
}

/** For the plot of a step: the median over the seeds of log2(target / right) after each block. */
export function stepSeries(world: World, factor: number, blocks: number, effort: Effort): number[] {
  const runs = over(effort, (seed) => {
    const chain = new Chain(world, new Random(seed, 11))
    for (let i = 0; i < 100; i++) chain.mine({ hashRate: 1 })
    return [chain.ease(factor), ...Array.from({ length: blocks }, () => chain.mine({ hashRate: factor }).ease)]
  })
  return Array.from({ length: blocks + 1 }, (_, i) => median(runs.map((run) => run[i] ?? Number.NaN)))
}

/** For the plot of a night: the median over the seeds of log2(target / right) after each block since the return. */
export function nightSeries(world: World, blocks: number, effort: Effort, others?: Others): number[] {
  const runs = over(effort, (seed) => {
    const chain = new Chain(world, new Random(seed, 12))
    for (let i = 0; i < 100; i++) chain.mine({ hashRate: 1 })
    chain.sleep(NIGHT_MS)
    return Array.from({ length: blocks }, () => chain.mine({ hashRate: 1, ...others }).ease)
  })
  return Array.from({ length: blocks }, (_, i) => median(runs.map((run) => run[i] ?? Number.NaN)))
}

/** For the plot of an idle network: the median over the seeds of the ease at each write. */
export function idleSeries(world: World, effort: Effort): number[] {
  const runs = over(effort, (seed) => idle(world, seed, IDLE.gap, IDLE.depth, IDLE.writes))
  return Array.from({ length: IDLE.writes }, (_, i) => median(runs.map((run) => run[i] ?? Number.NaN)))
}
