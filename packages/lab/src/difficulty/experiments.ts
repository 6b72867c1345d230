/**
 * The experiments: candidates x scenarios x seeds, brought into tables. A figure is the median over the seeds unless its column says
 * otherwise; `worst` is that of the least lucky seed. Times are in intervals, rates and targets against right ones.
 */
import type { Params } from '@kvchain/core/params'
import { type Candidate, type Candidates, type earlier, withRule } from './candidates.js'
import { Chain, type World } from './chain.js'
import { deepestReversal } from './race.js'
import { Random } from './random.js'
import { consensusRule } from './rules.js'
import { type Forged, forge, hop, idle, night, type Others, steady, step } from './scenarios.js'
import { largest, mean, median, rosenfeld, smallest } from './stats.js'
import { ahead, alternate, behind, honest, planned, type Strategy, stairsDown, stairsUp, swing } from './strategies.js'
import type { Table } from './table.js'

export interface Effort {
  /** Chains of each kind. */
  readonly seeds: number
}

export const NIGHT_MS: number = 12 * 3_600_000
/** Blocks after which an experiment gives a recovery up; a storm can be that long. */
const MOST_BLOCKS = 4_000
/** After a night a storm can last for more blocks than anybody wants to wait for. */
const NIGHT_BLOCKS = 1_500
const STEADY_BLOCKS = 3_000
const HOP_BLOCKS = 3_000
const FORGED_BLOCKS = 1_000
const LASTING_BLOCKS = 10_000
/** The planner tries some hundred futures a block. */
const PLANNED_BLOCKS = 400
const SHARES = [0.3, 0.49] as const
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

function over<T>({ seeds }: Effort, run: (seed: number) => T): T[] {
  return Array.from({ length: seeds }, (_, i) => run(i + 1))
}

function pick<K extends string>(results: readonly Readonly<Record<K, number>>[], key: K): number[] {
  return results.map((result) => result[key])
}

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

function extremes(world: World, share: number, effort: Effort): [slowest: number, fastest: number] {
  const speeds = [ahead, behind, alternate, swing, stairsUp, stairsDown].map((strategy) =>
    mean(pick(forgedBy(world, strategy, share, effort), 'speed')),
  )
  return [smallest(speeds), largest(speeds)]
}

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
