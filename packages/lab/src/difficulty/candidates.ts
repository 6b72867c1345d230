/**
 * Which rules are compared, and under which bound for timestamps. Names are `rule tau/clamp bound`; the numbers of the relative rule are
 * intervals, those of the averages are blocks.
 */
import { fromBigInt } from '@kvchain/core/bytes'
import type { Params } from '@kvchain/core/params'
import { EASIEST_TARGET, frame, type World } from './chain.js'
import type { Floor } from './history.js'
import { asertRule, consensusRule, lwmaRule, type RelativeOptions, type Rule, relativeRule, smaRule } from './rules.js'

export interface Candidate {
  readonly name: string
  readonly world: World
}

/** The interval and the future limit under which all are compared: those of the network lan. */
export const INTERVAL_MS = 2_000
export const MAX_FUTURE_MS = 10_000
/** What was chosen; docs/difficulty.md says why. */
export const CHOSEN = { tauBlocks: 60, clampBlocks: 30, floor: 'parent' } as const
/** Solve times that LWMA counts at most. The forgers' saw-tooth has the same pitch on rules that clamp nothing. */
const PITCH_BLOCKS = 6

function candidate(name: string, rule: Rule, clampBlocks: number, floor: Floor): Candidate {
  const times = { intervalMs: INTERVAL_MS, maxFutureMs: MAX_FUTURE_MS, clampMs: clampBlocks * INTERVAL_MS }
  return { name, world: { rule, floor, ...times } }
}

/** The network's parameters with another window and clamp, and an easiest target that no experiment meets. */
export function withRule(params: Params, tauBlocks: number, clampBlocks: number): Params {
  return {
    ...params,
    targetRule: 'relative-exponential',
    blockIntervalMs: INTERVAL_MS,
    targetWindowBlocks: tauBlocks,
    solveTimeClampBlocks: clampBlocks,
    easiestTarget: fromBigInt(EASIEST_TARGET),
  }
}

/** A relative rule as core computes it. `params` gives what the rule does not look at. */
export function consensus(params: Params, tauBlocks: number, clampBlocks: number, floor: Floor): Candidate {
  const rule = consensusRule(withRule(params, tauBlocks, clampBlocks))
  return candidate(`relative ${tauBlocks}/${clampBlocks} ${floor}`, rule, clampBlocks, floor)
}

/** A relative rule in any variant, computed here. */
export function relative(options: RelativeOptions, floor: Floor): Candidate {
  const { tauBlocks, clampBlocks, lowClampBlocks } = options
  const clamps = lowClampBlocks === undefined ? `${clampBlocks}` : `+${clampBlocks}-${lowClampBlocks}`
  const power = options.power === 'exact' ? ', exact power' : ''
  const name = `relative ${tauBlocks}/${clamps} ${options.of === 'medians' ? 'of medians' : floor}${power}`
  return candidate(name, relativeRule(frame(INTERVAL_MS), options), clampBlocks, floor)
}

function absolute(tauBlocks: number): Candidate {
  const rule = asertRule(frame(INTERVAL_MS), { tauBlocks })
  return candidate(`ASERT ${tauBlocks}`, rule, PITCH_BLOCKS, 'median')
}

function weighted(window: number, weighs: 'times' | 'both' = 'times'): Candidate {
  const name = weighs === 'times' ? `LWMA ${window}` : `WT ${window}`
  return candidate(name, lwmaRule(frame(INTERVAL_MS), { window, weighs }), PITCH_BLOCKS, 'median')
}

function simple(name: string, window: number, limit: number): Candidate {
  return candidate(name, smaRule(frame(INTERVAL_MS), { window, limit }), PITCH_BLOCKS, 'median')
}

export interface Candidates {
  /** Chosen, computed by core. */
  readonly chosen: Candidate
  /** Chosen, computed here: the same targets (a test says so), an eighth of the time. */
  readonly twin: Candidate
  /** Chosen, with the clock read when the search starts, as kvchain's miner does. */
  readonly early: Candidate
  /** The same rule with a wider clamp, and under Bitcoin's bound for timestamps: where kvchain began. */
  readonly first: Candidate
  readonly all: readonly Candidate[]
  /** The same two with a power of two that is no cubic. */
  readonly exact: readonly Candidate[]
  /** By clamp and by tau, all else as chosen. */
  readonly clamps: readonly (Candidate & { readonly value: number })[]
  readonly taus: readonly (Candidate & { readonly value: number })[]
}

export function candidates(params: Params): Candidates {
  const { tauBlocks, clampBlocks, floor } = CHOSEN
  const chosen = consensus(params, tauBlocks, clampBlocks, floor)
  const twin = relative({ tauBlocks, clampBlocks }, floor)
  const early = { name: `${twin.name}, early clock`, world: { ...twin.world, stampedAt: 'started' as const } }
  const first = relative({ tauBlocks: 60, clampBlocks: 60 }, 'median')
  const exact = [
    relative({ tauBlocks, clampBlocks, power: 'exact' }, floor),
    relative({ tauBlocks: 60, clampBlocks: 60, power: 'exact' }, 'median'),
  ]
  const clamps = [6, 10, 20, 30, 60, 120].map((value) => ({
    ...relative({ tauBlocks, clampBlocks: value }, floor),
    value,
  }))
  const taus = [15, 30, 60, 120, 240].map((value) => ({ ...relative({ tauBlocks: value, clampBlocks }, floor), value }))
  const all = [
    chosen,
    relative({ tauBlocks: 60, clampBlocks: 60 }, 'parent'),
    first,
    relative({ tauBlocks: 60, clampBlocks: 30 }, 'median'),
    relative({ tauBlocks: 60, clampBlocks: 6 }, 'median'),
    relative({ tauBlocks: 60, clampBlocks: 60, lowClampBlocks: 6 }, 'median'),
    relative({ tauBlocks: 60, clampBlocks: 60, lowClampBlocks: 0 }, 'median'),
    relative({ tauBlocks: 60, clampBlocks: 60, of: 'medians' }, 'median'),
    absolute(60),
    absolute(100),
    absolute(288),
    weighted(60),
    weighted(90),
    simple('SMA 144', 144, 2),
    simple('DGW 24', 24, 3),
  ]
  return { chosen, twin, early, first, exact, all, clamps, taus }
}

/** Rules of an earlier simulation of ours, with the blocks that it gave for x10 and /10 of the hash rate; docs/difficulty.md compares. */
export function earlier(): {
  readonly was: readonly [up: number, down: number]
  readonly readings: readonly Candidate[]
}[] {
  const wide = (tauBlocks: number) => relative({ tauBlocks, clampBlocks: 60 }, 'median')
  // A tau of base e is ln 2 times that of base 2.
  return [
    { was: [204, 118], readings: [wide(60), wide(42)] },
    { was: [330, 150], readings: [absolute(100), absolute(69)] },
    { was: [911, 366], readings: [absolute(288), absolute(200)] },
    { was: [78, 117], readings: [weighted(90), weighted(90, 'both')] },
  ]
}
