/**
 * The candidates: each gives the target of the next block from the headers before it, in integers only, as consensus must. The rule in
 * force is core's own function (`consensusRule`); the others are here to be measured against it.
 */
import { fromBigInt, toBigInt, ZERO_32 } from '@kvchain/core/bytes'
import { nextTarget } from '@kvchain/core/difficulty'
import type { Header } from '@kvchain/core/header'
import type { Params } from '@kvchain/core/params'
import type { History } from './history.js'

export interface Rule {
  next(history: History): bigint
}

/** What every rule steers for, and the bound that none exceeds. */
export interface Frame {
  readonly intervalMs: number
  readonly easiest: bigint
}

/** Headers that a rule may look back on at the most. A history to be judged by any rule begins with as many. */
export const LONGEST_LOOK_BACK = 150

const ONE = 1n << 16n

/** target x 2^(numerator / denominator) in the arithmetic of aserti3-2d, the exponent already in 16-bit fixed point. */
function scale(target: bigint, exponent: bigint, easiest: bigint): bigint {
  const shift = exponent >> 16n
  const x = exponent - (shift << 16n)
  const factor = ONE + ((195_766_423_245_049n * x + 971_821_376n * x * x + 5_127n * x * x * x + (1n << 47n)) >> 48n)
  const down = 16n - shift
  const product = target * factor
  return bounded(down >= 0n ? product >> down : product << -down, easiest)
}

function bounded(target: bigint, easiest: bigint): bigint {
  return target < 1n ? 1n : target > easiest ? easiest : target
}

function header(height: number, timestampMs: number, target: Uint8Array): Header {
  return {
    parent: ZERO_32,
    height,
    timestampMs,
    target,
    txRoot: ZERO_32,
    stateRoot: ZERO_32,
    miner: ZERO_32,
    nonce: 0,
  }
}

/** The rule in force, exactly as nodes compute it. */
export function consensusRule(params: Params): Rule {
  return {
    next(history) {
      const height = history.length - 1
      const parent = header(height, history.timestampMs(0), fromBigInt(history.target(0)))
      const grandparent = header(height - 1, history.timestampMs(1), ZERO_32)
      return toBigInt(nextTarget(params, parent, grandparent))
    },
  }
}

export interface RelativeOptions {
  readonly tauBlocks: number
  /** A solve time counts for at most this many intervals, */
  readonly clampBlocks: number
  /** and below zero for this many at most; as many by default. */
  readonly lowClampBlocks?: number
  /** What a solve time is the difference of: the timestamps of parent and grandparent, or the medians up to each. */
  readonly of?: 'timestamps' | 'medians'
  /** How the power of two is computed: by the cubic of consensus, or as well as floating point can, as a yardstick for the cubic. */
  readonly power?: 'cubic' | 'exact'
}

/** Digits of a factor that floating point gives. */
const EXACT_BITS = 48n

/** Relative exponential: each block corrects the target by how far its solve time, clamped, was from the interval. */
export function relativeRule(frame: Frame, options: RelativeOptions): Rule {
  const { intervalMs, easiest } = frame
  const high = options.clampBlocks * intervalMs
  const low = -(options.lowClampBlocks ?? options.clampBlocks) * intervalMs
  const window = options.tauBlocks * intervalMs
  const fromMedians = options.of === 'medians'
  return {
    next(history) {
      const solveTime = fromMedians
        ? history.medianTimeMs(0) - history.medianTimeMs(1)
        : history.timestampMs(0) - history.timestampMs(1)
      const off = Math.max(low, Math.min(high, solveTime)) - intervalMs
      if (options.power === 'exact') {
        const factor = BigInt(Math.round(2 ** (off / window) * 2 ** Number(EXACT_BITS)))
        return bounded((history.target(0) * factor) >> EXACT_BITS, easiest)
      }
      // Exact: |off| x 2^16 stays far below 2^53 for every parameter used here.
      return scale(history.target(0), BigInt(Math.floor((off * 65_536) / window)), easiest)
    },
  }
}

/**
 * ASERT (aserti3-2d, Bitcoin Cash 2020): the target is a function of how far the chain is ahead of or behind its schedule since the anchor,
 * here the block `anchor` of the history, 1 or later.
 */
export function asertRule(frame: Frame, options: { readonly tauBlocks: number; readonly anchor?: number }): Rule {
  const { intervalMs, easiest } = frame
  const halfLife = BigInt(options.tauBlocks * intervalMs)
  const anchor = options.anchor ?? 1
  return {
    next(history) {
      const back = history.length - 1 - anchor
      const timeDelta = history.timestampMs(0) - history.timestampMs(back + 1)
      const behind = BigInt(timeDelta - intervalMs * (back + 1))
      // BigInt division truncates, as the specification asks for.
      return scale(history.target(back), (behind * ONE) / halfLife, easiest)
    },
  }
}

/**
 * LWMA-1 (zawy12, 2018): the mean of the last `window` targets times their mean solve time, in which a block weighs the more the younger
 * it is. A timestamp below its parent's counts as one above it, and a solve time for at most 6 intervals. Weighing `both` multiplies each solve
 * time by its own target first, as WT (Tom Harding) does.
 */
export function lwmaRule(frame: Frame, options: { readonly window: number; readonly weighs?: 'times' | 'both' }): Rule {
  const { intervalMs, easiest } = frame
  const { window, weighs = 'times' } = options
  const clamp = 6 * intervalMs
  const full = (window * (window + 1) * intervalMs) / 2
  return {
    next(history) {
      let before = history.timestampMs(window)
      let weighted = 0
      let product = 0n
      for (let i = 1; i <= window; i++) {
        const at = Math.max(history.timestampMs(window - i), before + 1)
        const weight = i * Math.min(clamp, at - before)
        weighted += weight
        if (weighs === 'both') product += BigInt(weight) * history.target(window - i)
        before = at
      }
      if (weighs === 'both') return bounded(product / BigInt(full), easiest)
      const least = Math.floor((window * window * intervalMs) / 20)
      const sum = BigInt(Math.max(weighted, least))
      return bounded((history.targetSum(window) * sum) / (BigInt(window) * BigInt(full)), easiest)
    },
  }
}

/**
 * A moving average over `window` blocks without weights: mean target times elapsed time, which is kept between 1/`limit` and `limit` times
 * what it should be. With 144 and 2 it is near Bitcoin Cash's rule of 2017, with 24 and 3 near Dark Gravity Wave.
 */
export function smaRule(frame: Frame, options: { readonly window: number; readonly limit: number }): Rule {
  const { intervalMs, easiest } = frame
  const { window, limit } = options
  const full = window * intervalMs
  return {
    next(history) {
      const elapsed = history.timestampMs(0) - history.timestampMs(window)
      const counted = BigInt(Math.floor(Math.max(full / limit, Math.min(full * limit, elapsed))))
      return bounded((history.targetSum(window) * counted) / (BigInt(window) * BigInt(full)), easiest)
    },
  }
}
