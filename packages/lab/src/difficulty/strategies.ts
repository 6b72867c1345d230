/**
 * What a miner writes as the timestamp of the block it found. The honest one writes its clock. A forger may write anything between the
 * lowest valid timestamp and the clock plus the future limit, knows the rule, and has one aim: to bend the target.
 */
import type { Floor, History } from './history.js'
import type { Rule } from './rules.js'

/** What a miner knows when it has found a block. */
export interface Find {
  readonly history: History
  readonly rule: Rule
  readonly floor: Floor
  /** The target of the block that was found. */
  readonly target: bigint
  readonly nowMs: number
  readonly intervalMs: number
  readonly maxFutureMs: number
  /** What a single solve time counts for at most. */
  readonly clampMs: number
  /** Share of the hash rate that forges. */
  readonly share: number
  /** How many blocks the forgers have found before this one. */
  readonly found: number
  /** Expected time of a block at a target. */
  waitMs(target: bigint): number
}

/** Gives the timestamp, to be brought into the valid range by `validTimestamp`. */
export type Strategy = (find: Find) => number

/** The nearest valid timestamp. The lower bound wins: a chain that ran ahead of the clock can only go on above its median. */
export function validTimestamp(find: Find, wantedMs: number): number {
  return Math.max(find.history.lowestMs(find.floor), Math.min(Math.floor(wantedMs), highest(find)))
}

function highest(find: Find): number {
  return Math.floor(find.nowMs + find.maxFutureMs)
}

export const honest: Strategy = (find) => find.nowMs

/** Always as late as others accept. */
export const ahead: Strategy = highest

/** Always as early as others accept. */
export const behind: Strategy = (find) => find.history.lowestMs(find.floor)

/** Latest and earliest in turn. */
export const alternate: Strategy = (find) => (find.found % 2 === 0 ? ahead(find) : behind(find))

/** Earliest on a late parent and latest on an early one: the widest steps that the chain at hand allows. */
export const swing: Strategy = (find) => (find.history.timestampMs(0) >= find.nowMs ? behind(find) : ahead(find))

/**
 * A saw-tooth made for a clamped rule: climb in steps that count in full, fall in a single one that counts only for the clamp. Whoever
 * gets to climb more than once after a fall has made time out of nothing.
 */
export const stairsUp: Strategy = (find) => {
  const { history, clampMs } = find
  const next = history.timestampMs(0) + clampMs
  const top = highest(find)
  const bottom = behind(find)
  if (next <= top) return Math.max(next, bottom)
  return top - bottom > clampMs && history.timestampMs(0) - bottom > clampMs ? bottom : top
}

/** The same upside down: fall in steps that count in full, climb in one. Makes blocks harder: slower for all, or worth more on a private branch. */
export const stairsDown: Strategy = (find) => {
  const { history, clampMs } = find
  const next = history.timestampMs(0) - clampMs
  const top = highest(find)
  const bottom = behind(find)
  if (next >= bottom) return next
  return top - bottom > clampMs && top - history.timestampMs(0) > clampMs ? top : bottom
}

/** Blocks of its own that the planner looks ahead. */
const PLAN_DEPTH = 2

/**
 * Greedy with foresight: of a handful of timestamps it takes the one after which the target is expected to be easiest, `PLAN_DEPTH` blocks
 * on and one honest block later. That honest block tells real gain from a lie that the next true timestamp takes back.
 */
export const planned: Strategy = (find) => {
  let best = find.nowMs
  let most = Number.NEGATIVE_INFINITY
  for (const timestampMs of choices(find, find.nowMs)) {
    find.history.push(timestampMs, find.target)
    const value = outlook(find, find.nowMs, PLAN_DEPTH)
    find.history.pop()
    if (value > most) {
      most = value
      best = timestampMs
    }
  }
  return best
}

function choices(find: Find, nowMs: number): Set<number> {
  const { history, clampMs, maxFutureMs } = find
  const parent = history.timestampMs(0)
  const wanted = [nowMs, nowMs + maxFutureMs, Number.NEGATIVE_INFINITY, parent + clampMs, parent - clampMs]
  return new Set(wanted.map((timestampMs) => validTimestamp({ ...find, nowMs }, timestampMs)))
}

/** Expected log2 of the target after `depth` more blocks of whoever and a last one that is honest. */
function outlook(find: Find, nowMs: number, depth: number): number {
  const { history, rule, share } = find
  const target = rule.next(history)
  const thenMs = nowMs + find.waitMs(target)
  history.push(validTimestamp({ ...find, nowMs: thenMs }, thenMs), target)
  const afterHonest = depth === 0 ? Math.log2(Number(rule.next(history))) : outlook(find, thenMs, depth - 1)
  history.pop()
  if (depth === 0) return afterHonest
  let afterForged = Number.NEGATIVE_INFINITY
  for (const timestampMs of choices(find, thenMs)) {
    history.push(timestampMs, target)
    afterForged = Math.max(afterForged, outlook(find, thenMs, depth - 1))
    history.pop()
  }
  return share * afterForged + (1 - share) * afterHonest
}
