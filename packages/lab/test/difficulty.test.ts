/**
 * The difficulty rule, held to the figures it was chosen for (docs/difficulty.md):
 * 1. the laboratory's rules are what they say: its relative rule is core's own, ASERT is that of the specification;
 * 2. its chains are valid to core, its luck has the known odds, and a seed gives the same chain twice;
 * 3. core's nextTarget, with the chosen window and clamp, keeps its figures: steady load, steps of the hash rate, a night off,
 *    hoppers, forged timestamps, private branches;
 * 4. the variants that forgers can drive are still driven by these forgers: the strategies have teeth.
 * Everything is seeded and no clock is read: a figure moves only when the rule or the experiment does.
 */
import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { fromBigInt, toBigInt, ZERO_32 } from '@kvchain/core/bytes'
import { nextTarget } from '@kvchain/core/difficulty'
import type { Header } from '@kvchain/core/header'
import { checkHeaderContext, checkHeaderTime } from '@kvchain/core/rules'
import {
  type Candidate,
  CHOSEN,
  candidates,
  consensus,
  INTERVAL_MS,
  MAX_FUTURE_MS,
  relative,
  withRule,
} from '@kvchain/lab/difficulty/candidates'
import { Chain, EASIEST_TARGET, frame, RIGHT_TARGET, type World } from '@kvchain/lab/difficulty/chain'
import { NIGHT_MS } from '@kvchain/lab/difficulty/experiments/effort'
import { History } from '@kvchain/lab/difficulty/history'
import { drawPlots } from '@kvchain/lab/difficulty/plots'
import { deepestReversal } from '@kvchain/lab/difficulty/race'
import { Random } from '@kvchain/lab/difficulty/random'
import { asertRule, lwmaRule, relativeRule } from '@kvchain/lab/difficulty/rules'
import { forge, hop, idle, night, steady, step } from '@kvchain/lab/difficulty/scenarios'
import { largest, mean, median, rosenfeld } from '@kvchain/lab/difficulty/stats'
import {
  ahead,
  alternate,
  behind,
  honest,
  planned,
  type Strategy,
  stairsDown,
  stairsUp,
  swing,
} from '@kvchain/lab/difficulty/strategies'
import { formatCsv, formatMarkdown, formatTable, type Table } from '@kvchain/lab/difficulty/table'
import { readNetwork } from '@kvchain/node/networkFile'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const { params } = await readNetwork('lan')
const SEEDS = 10

/** The chosen rule as nodes compute it. */
const winner = consensus(params, CHOSEN.tauBlocks, CHOSEN.clampBlocks, CHOSEN.floor)
/** The same, quicker: see the first test. For what takes many blocks. */
const twin = relative({ tauBlocks: CHOSEN.tauBlocks, clampBlocks: CHOSEN.clampBlocks }, CHOSEN.floor)

function over<T>(run: (seed: number) => T, seeds = SEEDS): T[] {
  return Array.from({ length: seeds }, (_, i) => run(i + 1))
}

function makeHeader(height: number, timestampMs: number, target: Uint8Array): Header {
  const rest = { parent: ZERO_32, txRoot: ZERO_32, stateRoot: ZERO_32, miner: ZERO_32, nonce: 0 }
  return { ...rest, height, timestampMs, target }
}

/** A history of two blocks with this solve time. */
function after(solveTimeMs: number, target: bigint): History {
  const history = History.steady(20, INTERVAL_MS, target)
  history.push(history.timestampMs(0) + solveTimeMs, target)
  return history
}

describe('the rules', () => {
  test("the laboratory's relative rule gives core's targets", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
        fc.bigInt({ min: 1n, max: EASIEST_TARGET }),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 400 }),
        (solveTimeMs, target, tauBlocks, clampBlocks) => {
          const history = after(solveTimeMs, target)
          const how = withRule(params, tauBlocks, clampBlocks)
          const parent = makeHeader(20, history.timestampMs(0), fromBigInt(target))
          const grandparent = makeHeader(19, history.timestampMs(1), fromBigInt(target))
          const expected = toBigInt(nextTarget(how, parent, grandparent))
          expect(relativeRule(frame(INTERVAL_MS), { tauBlocks, clampBlocks }).next(history)).toBe(expected)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  // Computed from the pseudo-code of the specification in another language: T = 600 s, half-life = 2 days.
  test.each([
    [1_200, 2, '7fffff00000000000000000000000000000000000000000000000000'],
    [174_000, 2, 'fffffe00000000000000000000000000000000000000000000000000'],
    [-171_600, 2, '3fffff80000000000000000000000000000000000000000000000000'],
    [5_000, 3, '81a87efcaf0000000000000000000000000000000000000000000000'],
    [100, 12, '7c6a3f072b8000000000000000000000000000000000000000000000'],
    [999_999, 40, '1912efcdda200000000000000000000000000000000000000000000000'],
    [1, 500, '266c7fb3270000000000000000000000000000000000000000000000'],
  ])('ASERT at time %i and height %i', (time, height, expected) => {
    const anchor = 0x7fffffn << 200n
    const history = History.steady(0, 600, anchor)
    history.push(0, anchor)
    for (let i = 1; i < height; i++) history.push(600 * i, anchor)
    history.push(time, anchor)
    const rule = asertRule({ intervalMs: 600, easiest: 2n ** 256n - 1n }, { tauBlocks: 288 })
    expect(rule.next(history).toString(16)).toBe(expected)
  })

  test('the averages leave a steady chain as it is, and follow one that is not', () => {
    const calm = History.steady(152, INTERVAL_MS, RIGHT_TARGET)
    const slow = History.steady(152, 2 * INTERVAL_MS, RIGHT_TARGET)
    for (const weighs of ['times', 'both'] as const) {
      const rule = lwmaRule(frame(INTERVAL_MS), { window: 90, weighs })
      expect(rule.next(calm)).toBe(RIGHT_TARGET)
      expect(rule.next(slow)).toBe(2n * RIGHT_TARGET)
    }
  })
})

describe('the simulator', () => {
  test('its chains are valid to core, forged or not', () => {
    for (const strategy of [honest, ahead, behind, swing, stairsUp, stairsDown]) {
      const chain = new Chain(winner.world, new Random(1))
      const how = withRule(params, CHOSEN.tauBlocks, CHOSEN.clampBlocks)
      const headers: Header[] = []
      for (let i = 0; i < 200; i++) {
        if (i === 100) chain.sleep(NIGHT_MS)
        const target = fromBigInt(chain.target)
        chain.mine({ hashRate: 1, share: 0.49, strategy })
        const header = makeHeader(chain.history.length - 1, chain.history.timestampMs(0), target)
        const [parent, grandparent] = [headers.at(-1), headers.at(-2)]
        if (parent !== undefined && grandparent !== undefined) {
          checkHeaderContext(how, header, { parent, grandparent })
          const early = { ...header, timestampMs: parent.timestampMs }
          expect(() => checkHeaderContext(how, early, { parent, grandparent })).toThrow("not above the parent's")
          checkHeaderTime({ ...how, maxFutureMs: MAX_FUTURE_MS }, header, chain.nowMs)
        }
        headers.push(header)
      }
    }
  })

  test('a seed gives the same chain again, another seed another one', () => {
    expect(steady(winner.world, 7, 300)).toEqual(steady(winner.world, 7, 300))
    expect(steady(winner.world, 7, 300)).not.toEqual(steady(winner.world, 8, 300))
  })

  // Level start, a tie does not win, the attacker never gives up: negative binomial, exactly.
  test.each([
    [0.1, 2, 0.00951],
    [0.3, 2, 0.23297],
    [0.3, 6, 0.08911],
  ])(
    'with a target that never moves, %d of the hash rate takes %i confirmations back with the known odds',
    (share, z, known) => {
      const world: World = { ...winner.world, rule: { next: (history) => history.target(0) } }
      const race = { share, sleepMs: 0, strategy: honest, most: z }
      const races = 4_000
      const found =
        over((seed) => deepestReversal(world, seed, race), races).filter((depth) => depth >= z).length / races
      expect(Math.abs(found - known)).toBeLessThan(3.5 * Math.sqrt((known * (1 - known)) / races))
    },
  )
})

describe(`${winner.name} by core's nextTarget`, () => {
  test('lan and public have the window and the clamp that the figures are for, and a future limit far below', async () => {
    for (const name of ['lan', 'public']) {
      const network = await readNetwork(name)
      expect(network.params.targetRule).toBe('relative-exponential')
      expect(network.params.targetWindowBlocks).toBe(CHOSEN.tauBlocks)
      expect(network.params.solveTimeClampBlocks).toBe(CHOSEN.clampBlocks)
      expect(network.params.maxFutureMs / network.params.blockIntervalMs).toBeLessThanOrEqual(CHOSEN.clampBlocks / 3)
    }
  })

  test('steady load: blocks on time, a target that keeps still', () => {
    const found = over((seed) => steady(winner.world, seed, 2_000))
    expect(Math.abs(mean(found.map(({ interval }) => interval)) - 1)).toBeLessThan(0.01)
    expect(mean(found.map(({ jitter }) => jitter))).toBeGreaterThan(0.065)
    expect(mean(found.map(({ jitter }) => jitter))).toBeLessThan(0.085)
  })

  // Blocks and time until right, each from and to; how far it may go beyond.
  test.each([
    [10, [270, 330], [100, 130], 0.1],
    [1 / 10, [110, 160], [270, 370], 0.1],
    [1_000, [680, 760], [120, 160], 0.1],
    [1 / 100, [110, 180], [600, 950], 0.1],
    [1 / 1_000, [110, 180], [3_400, 5_600], 0.1],
  ] as const)('hash rate times %d', (factor, [leastBlocks, mostBlocks], [leastTime, mostTime], beyond) => {
    const found = over((seed) => step(winner.world, seed, factor, 2_000))
    expect(median(found.map(({ blocks }) => blocks))).toBeGreaterThan(leastBlocks)
    expect(median(found.map(({ blocks }) => blocks))).toBeLessThan(mostBlocks)
    expect(median(found.map(({ time }) => time))).toBeGreaterThan(leastTime)
    expect(median(found.map(({ time }) => time))).toBeLessThan(mostTime)
    expect(median(found.map(({ overshoot }) => overshoot))).toBeLessThan(beyond)
  })

  test('a night off: no storm on return', () => {
    const found = over((seed) => night(winner.world, seed, NIGHT_MS, 600))
    expect(largest(found.map(({ fastest }) => fastest))).toBeLessThan(3)
    expect(median(found.map(({ soon }) => soon))).toBeLessThan(130)
    expect(median(found.map(({ time }) => time))).toBeLessThan(60)
  })

  test('a night off, and 49 % forge on return: a burst of minutes, no more', () => {
    for (const strategy of [ahead, behind, stairsUp, stairsDown]) {
      const found = over((seed) => night(winner.world, seed, NIGHT_MS, 600, { share: 0.49, strategy }))
      expect(median(found.map(({ fastest }) => fastest))).toBeLessThan(3)
      expect(largest(found.map(({ fastest }) => fastest))).toBeLessThan(12)
      expect(median(found.map(({ hardest }) => hardest))).toBeGreaterThan(-0.3)
    }
  })

  test('hoppers earn little, and are seldom there', () => {
    const found = over((seed) => hop(winner.world, seed, 1, 2_000))
    expect(mean(found.map(({ gain }) => gain))).toBeLessThan(0.1)
    expect(mean(found.map(({ presence }) => presence))).toBeLessThan(0.08)
    const forging = over((seed) => hop(winner.world, seed, 1, 2_000, ahead))
    expect(mean(forging.map(({ gain }) => gain))).toBeLessThan(0.14)
  })

  const forgeries: [string, Strategy, number][] = [
    ['ahead', ahead, 600],
    ['behind', behind, 600],
    ['alternate', alternate, 600],
    ['swing', swing, 600],
    ['stairs up', stairsUp, 600],
    ['stairs down', stairsDown, 600],
    ['planned', planned, 150],
  ]

  test.each(forgeries)('forged timestamps, %s: nobody speeds the chain up or slows it down', (_, strategy, blocks) => {
    for (const share of [0.3, 0.49]) {
      const found = over(
        (seed) => forge(winner.world, seed, { share, strategy }, blocks),
        strategy === planned ? 5 : SEEDS,
      )
      // A lie of F = 5 intervals brings 5 blocks once, and no more ever after.
      const once = 5 / blocks
      const speed = mean(found.map((forged) => forged.speed))
      expect(speed).toBeGreaterThan(1 - once - 0.005)
      expect(speed).toBeLessThan(1 + once + 0.005)
      expect(mean(found.map(({ reward }) => reward))).toBeCloseTo(1, 1)
    }
  })

  test('a drop to a hundredth, and 49 % of the rest forge: it still recovers', () => {
    for (const strategy of [behind, stairsDown]) {
      const found = over((seed) => step(winner.world, seed, 1 / 100, 2_000, { share: 0.49, strategy }))
      expect(median(found.map(({ time }) => time))).toBeLessThan(1_400)
    }
  })

  test('private branches with forged timestamps do no better than the table of confirmations says, even after a night', () => {
    const races = 1_500
    for (const sleepMs of [0, NIGHT_MS]) {
      for (const strategy of [honest, behind, stairsDown]) {
        const depths = over(
          (seed) => deepestReversal(twin.world, seed, { share: 0.2, sleepMs, strategy, most: 20 }),
          races,
        )
        for (const z of [6, 20]) {
          const known = rosenfeld(0.2, z)
          const error = Math.sqrt((known * (1 - known)) / races)
          const found = depths.filter((depth) => depth >= z).length / races
          expect(found, `${z} confirmations`).toBeLessThanOrEqual(known + 3 * error + 0.002)
        }
      }
    }
  })
})

describe('what was not chosen', () => {
  const speeds = ({ world }: Candidate, strategy: Strategy) =>
    mean(over((seed) => forge(world, seed, { share: 0.49, strategy }, 600)).map(({ speed }) => speed))

  test('a clamp that luck and forgers reach under the median bound: the chain can be stopped', () => {
    expect(speeds(relative({ tauBlocks: 60, clampBlocks: 6 }, 'median'), stairsDown)).toBeLessThan(0.1)
  })

  test('a clamp that is tighter below than above: the chain can be driven', () => {
    const loose = relative({ tauBlocks: 60, clampBlocks: 60, lowClampBlocks: 6 }, 'median')
    expect(speeds(loose, behind)).toBeGreaterThan(1.5)
  })

  test('the median bound after a night: confirmations mean little', () => {
    const { first } = candidates(params)
    const race = { share: 0.2, sleepMs: NIGHT_MS, strategy: stairsDown, most: 20 }
    const depths = over((seed) => deepestReversal(first.world, seed, race), 600)
    expect(depths.filter((depth) => depth >= 20).length / depths.length).toBeGreaterThan(0.02)
  })

  test('ASERT after a night: a storm', () => {
    const asert = candidates(params).all.find(({ name }) => name === 'ASERT 288')
    if (asert === undefined) expect.fail('no ASERT 288')
    expect(night(asert.world, 1, NIGHT_MS, 600).fastest).toBeGreaterThan(10_000)
  })

  test('mining only while something is pending: no clamp keeps the target from drifting to the easiest', () => {
    const eases = idle(twin.world, 1, 300, 6, 40)
    expect(eases[0]).toBeLessThan(0.5)
    expect(eases[39]).toBeGreaterThan(10)
  })
})

describe('what is written', () => {
  const table: Table = {
    name: 'example',
    title: 'An example',
    columns: [{ name: 'rule' }, { name: 'time', digits: 1 }, { name: 'blocks, worst', digits: 0 }],
    rows: [
      ['a', 0.04, 12_345_678],
      ['b', Number.POSITIVE_INFINITY, 123.4],
      ['c', -0.01, Number.NaN],
    ],
  }

  test('tables: for a terminal, as Markdown, as CSV', () => {
    expect(formatTable(table)).toBe(
      'An example\n\nrule   time  blocks, worst\na       0.0     12,345,678\nb     never            123\nc       0.0              -\n',
    )
    expect(formatMarkdown(table)).toBe(
      '| rule | time | blocks, worst |\n| --- | ---: | ---: |\n| a | 0.0 | 12,345,678 |\n| b | never | 123 |\n| c | 0.0 | - |\n',
    )
    expect(formatCsv(table)).toBe('rule,time,"blocks, worst"\na,0.04,12345700\nb,Infinity,123.4\nc,-0.01,NaN\n')
  })

  test('plots: the same bytes for the same seeds', () => {
    const draw = () => drawPlots(candidates(params), [], { seeds: 1 })
    const [first, second] = [draw(), draw()]
    expect(first.map(({ name }) => name)).toEqual(['steps.svg', 'night.svg', 'reversal.svg', 'idle.svg'])
    expect(second).toEqual(first)
    for (const { svg } of first) expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/)
  })

  test('the program says what it takes', () => {
    const main = fileURLToPath(new URL('../dist/difficulty/main.js', import.meta.url))
    for (const args of [['--seeds', '0'], ['--seeds', 'many'], ['--colour']]) {
      const { status, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' })
      expect(status).toBe(2)
      expect(stderr).toContain('usage: main.js [--seeds N] [--out DIR]')
    }
  })
})
