/**
 * Whole nodes in virtual time against what theory says of them.
 * 1. Double spends: as often as the exact probability says, within three standard errors; that probability against Rosenfeld's.
 * 2. Stale blocks: as many as the model says for a delay.
 * 3. A selfish miner gains what the formula says, and half of the ties.
 * 4. A write costs a node of a larger network no less, and a block reaches everybody.
 * 5. The same seed gives the same report, to the byte.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeReport } from '@kvchain/lab/experiments/report'
import { doubleSpend, errorsOf, runCell } from '@kvchain/lab/experiments/simulated/doubleSpend'
import { patientProbability, successProbability } from '@kvchain/lab/experiments/simulated/race'
import { runSimulatedScale } from '@kvchain/lab/experiments/simulated/scale'
import { mineSelfishly, selfishRevenue } from '@kvchain/lab/experiments/simulated/selfish'
import { expectedRate, staleRate } from '@kvchain/lab/experiments/simulated/stale'
import { TempDir } from '@kvchain/lab/tempDir'
import { describe, expect, test } from 'vitest'

const bench = { seed: 1, signal: new AbortController().signal, onProgress: () => {} }

describe('double spends', () => {
  test('with all the patience in the world the probability is Rosenfeld’s', () => {
    for (const share of [0.1, 0.2, 0.3, 0.4]) {
      for (const confirmations of [1, 2, 6, 10]) {
        const options = { share, confirmations, patience: 300 }
        expect(successProbability(options)).toBeCloseTo(patientProbability(options), 9)
        expect(successProbability({ ...options, patience: 3 })).toBeLessThan(successProbability(options))
      }
    }
    // From level, with equal power, to one ahead before two behind: two in three. One more is ahead when the buyer looks.
    expect(successProbability({ share: 0.5, confirmations: 1, patience: 2 })).toBeCloseTo(0.5 + 0.5 * (2 / 3), 9)
    expect(patientProbability({ share: 0.6, confirmations: 10, patience: 1 })).toBe(1)
  })

  test.each([
    [0.3, 2],
    [0.4, 1],
  ])('at %d of the hash power and %i confirmations', { timeout: 120_000 }, async (share, confirmations) => {
    const cell = await runCell({ share, confirmations, patience: 12 }, 60, bench)
    expect(cell.races).toBe(60)
    expect(Math.abs(errorsOf(cell))).toBeLessThan(3)
    expect(cell.deepest).toBeGreaterThanOrEqual(confirmations)
  })
})

test('stale blocks are as many as the model says', { timeout: 120_000 }, async () => {
  const [delay, miners] = [0.2, 8]
  const { solved, stale } = await staleRate(delay, { delays: [], miners, blocks: 600 }, 1)
  const expected = expectedRate(delay, miners)
  const error = Math.sqrt((expected * (1 - expected)) / solved)
  // The model counts up to a tenth too many at this delay.
  expect(stale / solved).toBeGreaterThan(0.9 * expected - 3 * error)
  expect(stale / solved).toBeLessThan(expected + 3 * error)
})

describe('selfish mining', () => {
  test('the formula has its thresholds: a third, a quarter, nothing', () => {
    for (const [gamma, threshold] of [
      [0, 1 / 3],
      [0.5, 1 / 4],
    ] as const) {
      expect(selfishRevenue(threshold, gamma)).toBeCloseTo(threshold, 9)
      expect(selfishRevenue(threshold + 0.05, gamma)).toBeGreaterThan(threshold + 0.05)
    }
    expect(100 * selfishRevenue(0.3, 1)).toBeCloseTo(38.06, 2)
  })

  test('a third of the hash power brings what it says', { timeout: 120_000 }, async () => {
    const { own, blocks, ties, tiesWon } = await mineSelfishly(1 / 3, 6_000, bench)
    expect(blocks).toBe(6_000)
    // Blocks come in runs: some three times the standard error of so many throws.
    expect(Math.abs(own / blocks - selfishRevenue(1 / 3, 0.5))).toBeLessThan(0.03)
    expect(Math.abs(tiesWon / ties - 0.5)).toBeLessThan(3 * Math.sqrt(0.25 / ties))
  })
})

test('a block reaches every node, and a write is told to each', { timeout: 120_000 }, async () => {
  const results = await runSimulatedScale({ nodes: [3, 9], minutes: 3, writesPerMinute: 30 }, bench)
  for (const { writesPerSecond, halfMs, allMs, idleBytesPerSecond, bytesPerSecond, bytesPerWrite, nodes } of results) {
    expect(writesPerSecond).toBeGreaterThan(0.2)
    expect(halfMs).toBeGreaterThan(40)
    expect(allMs).toBeGreaterThanOrEqual(halfMs)
    expect(bytesPerSecond).toBeGreaterThan(idleBytesPerSecond)
    // A transaction is some 250 bytes, and each node but one must get it.
    expect(bytesPerWrite).toBeGreaterThan(250 * (nodes - 1))
  }
})

test('the same seed gives the same files, to the byte', { timeout: 120_000 }, async () => {
  const folder = await TempDir.make()
  const options = { shares: [0.3], confirmations: [1, 2], races: 3, patience: 6 }
  const runs = ['a', 'b'].map((name) => join(folder.path, name))
  for (const run of runs) await writeReport(await doubleSpend(options, bench), run)
  for (const name of ['attack51.json', 'attack51.csv', 'attack51.svg', 'index.html']) {
    const [a, b] = await Promise.all(runs.map((run) => readFile(join(run, name))))
    expect(a?.equals(b ?? Buffer.alloc(0))).toBe(true)
  }
  await folder.remove()
})
