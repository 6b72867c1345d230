/**
 * What happens to a chain, one seed at a time: each scenario takes a world and a seed and gives numbers. Times are in intervals, targets
 * as log2 of how much easier than right they are. Nothing here knows which rule it runs.
 */
import { Chain, type Load, type Mined, type World } from './chain.js'
import { Random } from './random.js'
import { deviation, largest, mean, smallest } from './stats.js'
import { honest, type Strategy } from './strategies.js'

/** A target within 25 % of the right one, either way, counts as right. */
const IN_BAND = Math.log2(1.25)
/** Blocks before anything happens, so that the chain is as scattered as it always is. */
const WARM_UP_BLOCKS = 300
/** The farthest of so many blocks is where a disturbance starts to pass. */
const ONSET_BLOCKS = 20
/** Blocks after a recovery in which an overshoot would show: more than any rule here looks back. */
const AFTERMATH_BLOCKS = 200
const STORM_BLOCKS = 20
/** Intervals after which a recovery is given up: 55 hours with a block every 2 s. */
const PATIENCE = 100_000
/** Intervals after a return in which blocks are counted. */
const SOON = 100

/** Streams of randomness, so that no two scenarios share their luck. */
const STREAM = { steady: 1, step: 2, sleep: 3, hop: 4, forge: 5, idle: 6 } as const

function warmed(world: World, seed: number, stream: number, load: Load): Chain {
  const chain = new Chain(world, new Random(seed, stream))
  for (let i = 0; i < WARM_UP_BLOCKS; i++) chain.mine(load)
  return chain
}

export interface Steady {
  /** Standard deviation of ln target. */
  readonly jitter: number
  /** Mean time between blocks. */
  readonly interval: number
  /** Longest time between blocks. */
  readonly longest: number
  /** Rate of the fastest 20 blocks. */
  readonly fastest: number
}

export function steady(world: World, seed: number, blocks: number): Steady {
  const chain = warmed(world, seed, STREAM.steady, { hashRate: 1 })
  const mined = Array.from({ length: blocks }, () => chain.mine({ hashRate: 1 }))
  return {
    jitter: deviation(mined.map(({ ease }) => ease * Math.LN2)),
    interval: mean(mined.map(({ waitMs }) => waitMs)) / world.intervalMs,
    longest: longest(world, mined),
    fastest: fastest(world, mined),
  }
}

export interface Recovery {
  /** Until the target is right again: blocks, and intervals. Infinity if it was not within the blocks that were tried. */
  readonly blocks: number
  readonly time: number
  /** Longest time between two blocks. */
  readonly longest: number
  /** How far the target then went beyond right on the other side; log2, 0 if it did not. */
  readonly overshoot: number
  /** Rate of the fastest 20 blocks. */
  readonly fastest: number
  /** log2 of the easiest and the hardest target. */
  readonly easiest: number
  readonly hardest: number
}

function recovery(chain: Chain, load: Load, maxBlocks: number): Recovery & { readonly mined: readonly Mined[] } {
  const { world } = chain
  const mined: Mined[] = []
  let elapsed = 0
  let worst = 0
  let back: { readonly blocks: number; readonly time: number } | undefined
  const isWatched = () => (back === undefined ? elapsed < PATIENCE : mined.length < back.blocks + AFTERMATH_BLOCKS)
  while (mined.length < maxBlocks && isWatched()) {
    const block = chain.mine(load)
    mined.push(block)
    elapsed += block.waitMs / world.intervalMs
    const isOnset = mined.length <= ONSET_BLOCKS
    if (isOnset && Math.abs(block.ease) > Math.abs(worst)) {
      worst = block.ease
      back = undefined
    }
    if (back === undefined && Math.abs(block.ease) <= IN_BAND) back = { blocks: mined.length, time: elapsed }
  }
  const eases = mined.map(({ ease }) => ease)
  const after = back === undefined ? [] : eases.slice(back.blocks)
  return {
    blocks: back?.blocks ?? Number.POSITIVE_INFINITY,
    time: back?.time ?? Number.POSITIVE_INFINITY,
    longest: longest(world, mined),
    overshoot: Math.max(0, largest(after.map((ease) => -Math.sign(worst) * ease))),
    fastest: fastest(world, mined),
    easiest: largest(eases),
    hardest: smallest(eases),
    mined,
  }
}

/** Some of those who mine, and what they write as timestamps. */
export interface Others {
  readonly share: number
  readonly strategy: Strategy
}

const NOBODY: Others = { share: 0, strategy: honest }

/** The hash rate becomes `factor` times what it was; from then on a share of it may forge. */
export function step(world: World, seed: number, factor: number, maxBlocks: number, others = NOBODY): Recovery {
  const chain = warmed(world, seed, STREAM.step, { hashRate: 1 })
  return recovery(chain, { hashRate: factor, ...others }, maxBlocks)
}

export interface Night extends Recovery {
  /** Blocks in the first 100 intervals after the return, no more than were tried. */
  readonly soon: number
}

/** Everybody stops for `sleepMs`, then all come back; from then on a share of them may forge. */
export function night(world: World, seed: number, sleepMs: number, maxBlocks: number, others = NOBODY): Night {
  const chain = warmed(world, seed, STREAM.sleep, { hashRate: 1 })
  chain.sleep(sleepMs)
  const { mined, ...found } = recovery(chain, { hashRate: 1, ...others }, maxBlocks)
  let elapsed = 0
  const late = mined.findIndex(({ waitMs }) => {
    elapsed += waitMs / world.intervalMs
    return elapsed > SOON
  })
  return { ...found, soon: late < 0 ? mined.length : late }
}

export interface Hop {
  /** What a hash of the hoppers earned against a hash of those who always mine, minus 1. */
  readonly gain: number
  /** Standard deviation of ln target. */
  readonly jitter: number
  readonly interval: number
  readonly longest: number
  /** Share of the time that the hoppers were there. */
  readonly presence: number
}

/**
 * Hoppers with `size` times the hash rate of the steady miners: they come when a hash earns at least 5 % more than it would if the
 * steady miners were alone and the target right, and leave when it earns less than that. `strategy` is what they write as timestamps.
 */
export function hop(world: World, seed: number, size: number, blocks: number, strategy: Strategy = honest): Hop {
  const chain = warmed(world, seed, STREAM.hop, { hashRate: 1 })
  const join = Math.log2(1.05)
  const mined: Mined[] = []
  const logs: number[] = []
  let isThere = false
  // What a hash earns is the target at its time: the mean of that over the hashes of each side, without the luck of single blocks.
  const time = { all: 0, theirs: 0 }
  const earned = { all: 0, theirs: 0 }
  for (let i = 0; i < blocks; i++) {
    const ease = chain.ease(1)
    logs.push(ease * Math.LN2)
    isThere = ease >= (isThere ? 0 : join)
    const block = chain.mine(isThere ? { hashRate: 1 + size, share: size / (1 + size), strategy } : { hashRate: 1 })
    mined.push(block)
    time.all += block.waitMs
    earned.all += block.waitMs * 2 ** ease
    if (!isThere) continue
    time.theirs += block.waitMs
    earned.theirs += block.waitMs * 2 ** ease
  }
  return {
    gain: time.theirs === 0 ? 0 : earned.theirs / time.theirs / (earned.all / time.all) - 1,
    jitter: deviation(logs),
    interval: time.all / blocks / world.intervalMs,
    longest: longest(world, mined),
    presence: time.theirs / time.all,
  }
}

export interface Forged {
  /** Blocks per interval, against those of an honest chain with the same luck. */
  readonly speed: number
  /** Share of the blocks that the forgers found, over their share of the hash rate. */
  readonly reward: number
}

export function forge(world: World, seed: number, others: Others, blocks: number): Forged {
  const run = (load: Load) => {
    const chain = new Chain(world, new Random(seed, STREAM.forge))
    for (let i = 0; i < WARM_UP_BLOCKS; i++) chain.mine({ hashRate: 1 })
    const mined: Mined[] = []
    // A chain that all but stops has told what there is to tell.
    while (mined.length < blocks && chain.ease(1) > -10) mined.push(chain.mine(load))
    return mined
  }
  const speed = (mined: readonly Mined[]) => 1 / mean(mined.map(({ waitMs }) => waitMs))
  const forged = run({ hashRate: 1, ...others })
  return {
    speed: speed(forged) / speed(run({ hashRate: 1 })),
    reward: mean(forged.map(({ isTheirs }) => Number(isTheirs))) / others.share,
  }
}

/**
 * A network on which all mine only while something is pending: a write comes every `gap` intervals on average, and blocks are made until it
 * has `depth` confirmations. Gives the ease after each write.
 */
export function idle(world: World, seed: number, gap: number, depth: number, writes: number): number[] {
  const random = new Random(seed, STREAM.idle)
  const chain = warmed(world, seed, STREAM.idle, { hashRate: 1 })
  const eases: number[] = []
  let nextWriteMs = chain.nowMs
  let wanted = 0
  while (eases.length < writes) {
    if (wanted === 0 && chain.nowMs < nextWriteMs) chain.sleep(nextWriteMs - chain.nowMs)
    while (chain.nowMs >= nextWriteMs) {
      nextWriteMs += gap * world.intervalMs * random.exponential()
      wanted = depth
      eases.push(chain.ease(1))
    }
    chain.mine({ hashRate: 1 })
    wanted--
  }
  return eases.slice(0, writes)
}

function longest(world: World, mined: readonly Mined[]): number {
  return largest(mined.map(({ waitMs }) => waitMs)) / world.intervalMs
}

function fastest(world: World, mined: readonly Mined[]): number {
  let least = Number.POSITIVE_INFINITY
  let sum = 0
  for (const [i, { waitMs }] of mined.entries()) {
    sum += waitMs - (mined[i - STORM_BLOCKS]?.waitMs ?? 0)
    if (i + 1 >= STORM_BLOCKS) least = Math.min(least, sum)
  }
  return (STORM_BLOCKS * world.intervalMs) / Math.max(least, Number.MIN_VALUE)
}
