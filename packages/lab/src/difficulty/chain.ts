/**
 * A simulated chain: hash rate in, blocks out. Owns time, luck and who finds a block; the target comes from a rule, the timestamp from a
 * strategy. Everybody hears of a block at once: what slow networks do to a chain is another experiment.
 */
import { type Floor, History } from './history.js'
import type { Random } from './random.js'
import { type Frame, LONGEST_LOOK_BACK, type Rule } from './rules.js'
import { type Find, honest, type Strategy, validTimestamp } from './strategies.js'

/** The target that is right for a hash rate of 1, in which all hash rates here are measured: 2^40 hashes a block. */
export const RIGHT_TARGET: bigint = 1n << 216n
const RIGHT = Number(RIGHT_TARGET)

/** 65,536 times easier than right: further than any network file of ours lets a target rise. */
export const EASIEST_TARGET: bigint = RIGHT_TARGET << 16n

export interface World {
  readonly rule: Rule
  readonly floor: Floor
  readonly intervalMs: number
  readonly maxFutureMs: number
  /** What one solve time counts for at most under the rule; forgers want to know. */
  readonly clampMs: number
  /**
   * When the clock is read for an honest timestamp: as the block is found, or as the search for it starts. kvchain's miner does the latter,
   * unless transactions arrive meanwhile.
   */
  readonly stampedAt?: 'found' | 'started'
}

export interface Load {
  /** Hash rate of all. At 1 the right target is RIGHT_TARGET. */
  readonly hashRate: number
  /** Share of it that belongs to the others: forgers, hoppers. */
  readonly share?: number
  /** What the others write as timestamps; honest by default. */
  readonly strategy?: Strategy
}

export interface Mined {
  readonly waitMs: number
  readonly isTheirs: boolean
  /** log2 of target / right target, of the block after this one. */
  readonly ease: number
}

export class Chain {
  nowMs: number
  private forged = 0
  /** The target of the next block. */
  target: bigint

  constructor(
    readonly world: World,
    private readonly random: Random,
    readonly history: History = History.steady(LONGEST_LOOK_BACK + 2, world.intervalMs, RIGHT_TARGET),
    nowMs: number = history.timestampMs(0),
  ) {
    this.nowMs = nowMs
    this.target = world.rule.next(history)
  }

  /** How often hashes at this target are luckier than at the right one, as log2. */
  ease(hashRate: number): number {
    return Math.log2((Number(this.target) / RIGHT) * hashRate)
  }

  /** Milliseconds until the next block at a hash rate: one draw. */
  draw(hashRate: number): number {
    return this.meanMs(this.target, hashRate) * this.random.exponential()
  }

  private meanMs(target: bigint, hashRate: number): number {
    return (this.world.intervalMs * RIGHT) / (Number(target) * hashRate)
  }

  /** The next block is found, after so long, by somebody who writes his timestamp by `strategy`. `load` is what a forger knows of the load. */
  find(waitMs: number, strategy: Strategy, load: Load): void {
    const { world, history, target } = this
    const startedMs = this.nowMs
    this.nowMs += waitMs
    const find: Find = {
      history,
      target,
      rule: world.rule,
      floor: world.floor,
      intervalMs: world.intervalMs,
      maxFutureMs: world.maxFutureMs,
      clampMs: world.clampMs,
      nowMs: strategy === honest && world.stampedAt === 'started' ? startedMs : this.nowMs,
      share: load.share ?? 0,
      found: this.forged,
      waitMs: (at) => this.meanMs(at, load.hashRate),
    }
    if (strategy !== honest) this.forged++
    history.push(validTimestamp(find, strategy(find)), target)
    this.target = world.rule.next(history)
  }

  /** Luck decides when the next block comes and whose it is. */
  mine(load: Load): Mined {
    const { hashRate, share = 0, strategy = honest } = load
    const waitMs = this.draw(hashRate)
    const isTheirs = this.random.uniform() < share
    this.find(waitMs, isTheirs ? strategy : honest, load)
    return { waitMs, isTheirs, ease: this.ease(hashRate) }
  }

  /** Nobody mines for a while. */
  sleep(ms: number): void {
    this.nowMs += ms
  }
}

/** The frame of every experiment that is not about a network file of ours. */
export function frame(intervalMs: number): Frame {
  return { intervalMs, easiest: EASIEST_TARGET }
}
