import { fromBigInt, toBigInt, toHex } from '@kvchain/core/bytes'
import { nextTarget } from '@kvchain/core/difficulty'
import type { Header } from '@kvchain/core/header'
import type { Params } from '@kvchain/core/params'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hex, makeHeader, readVectors, testNetwork, tries } from './helpers.js'

interface DifficultyVectors {
  readonly networks: Record<string, Record<string, unknown>>
  /** Network, height of parent, its timestamp, timestamp of grandparent, target of parent, next target. */
  readonly cases: [string, number, number, number | null, string, string][]
}

const vectors = readVectors<DifficultyVectors>('difficulty')

const rule = { targetRule: 'relative-exponential', initialTarget: '00'.padEnd(64, 'f'), easiestTarget: 'f'.repeat(64) }
const { params } = testNetwork({ ...rule, blockIntervalMs: 2_000, targetWindowBlocks: 50, solveTimeClampBlocks: 6 })
const middle = 1n << 200n

/** The target after a block that took `solveTimeMs`, at a height where the rule is at work. */
function after(solveTimeMs: number, target: bigint, how: Params = params, height = 9): bigint {
  const parent = makeHeader({ height, target: fromBigInt(target), timestampMs: 1_767_225_600_000 })
  const grandparent = makeHeader({ height: height - 1, timestampMs: parent.timestampMs - solveTimeMs })
  return toBigInt(nextTarget(how, parent, grandparent))
}

describe('nextTarget', () => {
  it(`is what the ${vectors.cases.length} vectors say`, () => {
    const networks = new Map(
      Object.entries(vectors.networks).map(([name, fields]) => [name, testNetwork(fields).params]),
    )
    for (const [network, height, timestampMs, before, target, next] of vectors.cases) {
      const how = networks.get(network)
      if (how === undefined) expect.fail(`no network ${network}`)
      const parent = makeHeader({ height, timestampMs, target: hex(target) })
      const grandparent: Header | undefined =
        before === null ? undefined : makeHeader({ height: height - 1, timestampMs: before, target: hex(target) })
      const found = toHex(nextTarget(how, parent, grandparent))
      expect(found, `${network} ${height} ${timestampMs} ${before} ${target}`).toBe(next)
    }
  })

  it('is the initial target at heights 1 and 2, and by the rule from 3 on', () => {
    const genesis = makeHeader({ height: 0, timestampMs: 0 })
    const one = makeHeader({ height: 1, timestampMs: 60_000, target: params.initialTarget })
    const two = makeHeader({ height: 2, timestampMs: 120_000, target: params.initialTarget })
    expect(nextTarget(params, genesis, undefined)).toEqual(params.initialTarget)
    expect(nextTarget(params, one, genesis)).toEqual(params.initialTarget)
    expect(nextTarget(params, two, one)).not.toEqual(params.initialTarget)
  })

  it('is always the initial one when the rule is fixed', () => {
    const fixed = testNetwork({ targetRule: 'fixed' }).params
    expect(after(1, middle, fixed)).toBe(toBigInt(fixed.initialTarget))
    expect(after(1_000_000, middle, fixed)).toBe(toBigInt(fixed.initialTarget))
  })

  it('stays when the block took the interval', () => {
    for (const target of [1n, 2n, 12_345n, middle, 2n ** 256n - 1n]) expect(after(2_000, target)).toBe(target)
  })

  it('doubles and halves exactly at whole windows', () => {
    const wide = { ...params, solveTimeClampBlocks: 1_000 }
    expect(after(2_000 + 100_000, middle, wide)).toBe(2n * middle)
    expect(after(2_000 - 100_000, middle, wide)).toBe(middle / 2n)
    expect(after(2_000 + 300_000, middle, wide)).toBe(8n * middle)
    expect(after(2_000 - 300_000, middle, wide)).toBe(middle / 8n)
  })

  it('counts a solve time for no more than the clamp, either way', () => {
    const clamp = 12_000
    for (const [beyond, at] of [
      [clamp + 1, clamp],
      [1e12, clamp],
      [-clamp - 1, -clamp],
      [-1e12, -clamp],
    ] as const) {
      expect(after(beyond, middle)).toBe(after(at, middle))
    }
    expect(after(clamp, middle)).toBeGreaterThan(after(clamp - 1_000, middle))
    expect(after(-clamp, middle)).toBeLessThan(after(-clamp + 1_000, middle))
  })

  it('never leaves 1..easiestTarget', () => {
    const bounded = { ...params, easiestTarget: fromBigInt(middle) }
    expect(after(1e9, middle, bounded)).toBe(middle)
    expect(after(2_001, middle - 1n, bounded)).toBeLessThanOrEqual(middle)
    expect(after(-1e9, 1n)).toBe(1n)
    expect(after(1e9, 2n ** 256n - 1n)).toBe(2n ** 256n - 1n)
    const sharp = { ...params, blockIntervalMs: 1, targetWindowBlocks: 1, solveTimeClampBlocks: 100_000 }
    expect(after(1e9, 1n, sharp)).toBe(2n ** 256n - 1n)
    expect(after(-1e9, 2n ** 256n - 1n, sharp)).toBe(1n)
  })

  const times = fc.integer({ min: -20_000, max: 20_000 })
  const targets = fc.bigInt({ min: 1n << 64n, max: 1n << 250n })

  it('is within 0.015 % of target x 2^((solveTime - interval) / window)', () => {
    const networks = fc.record({
      blockIntervalMs: fc.integer({ min: 1, max: 1_000_000 }),
      targetWindowBlocks: fc.integer({ min: 2, max: 1_000 }),
      solveTimeClampBlocks: fc.integer({ min: 1, max: 20 }),
    })
    fc.assert(
      fc.property(networks, targets, fc.double({ min: -30, max: 30, noNaN: true }), (fields, target, intervals) => {
        const how = { ...params, ...fields }
        const solve = Math.round(intervals * fields.blockIntervalMs)
        const clamp = fields.solveTimeClampBlocks * fields.blockIntervalMs
        const clamped = Math.max(-clamp, Math.min(clamp, solve))
        const exponent = (clamped - fields.blockIntervalMs) / (fields.targetWindowBlocks * fields.blockIntervalMs)
        const expected = Math.min(Number(target) * 2 ** exponent, Number(2n ** 256n - 1n))
        expect(Math.abs(Number(after(solve, target, how)) / expected - 1)).toBeLessThan(0.00015)
      }),
      tries(2_000),
    )
  })

  it('is higher, or the same, after a longer solve time and from a higher target', () => {
    fc.assert(
      fc.property(times, times, targets, (a, b, target) => {
        const [short, long] = a < b ? [a, b] : [b, a]
        expect(after(short, target)).toBeLessThanOrEqual(after(long, target))
      }),
      tries(1_000),
    )
    fc.assert(
      fc.property(times, targets, targets, (solve, a, b) => {
        const [low, high] = a < b ? [a, b] : [b, a]
        expect(after(solve, low)).toBeLessThanOrEqual(after(solve, high))
      }),
      tries(1_000),
    )
  })

  it('has no seam at any fraction of the window', () => {
    let previous = after(-12_000, middle)
    for (let solve = -11_999; solve <= 12_000; solve += 3) {
      const here = after(solve, middle)
      expect(here).toBeGreaterThanOrEqual(previous)
      expect(Number(here) / Number(previous)).toBeLessThan(1.0003)
      previous = here
    }
  })

  it('comes back to the target after solve times whose mean is the interval', () => {
    let target = middle
    for (let i = 0; i < 1_000; i++) target = after(i % 2 === 0 ? 1_000 : 3_000, target)
    expect(Math.abs(Number(target) / Number(middle) - 1)).toBeLessThan(0.05)
  })
})
