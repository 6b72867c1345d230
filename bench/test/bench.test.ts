import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { BenchError } from '../dist/errors.js'
import { formatJoinReport, runJoinScenario } from '../dist/net/joinScenario.js'
import { formatRelayReport, runRelayScenario } from '../dist/net/relayScenario.js'
import { parseCommand } from '../dist/options.js'
import type { TreeReport } from '../dist/tree/scenario.js'
import { formatTreeReport, runTreeScenario } from '../dist/tree/scenario.js'

describe('the command line', () => {
  it('has defaults for each scenario', () => {
    expect(parseCommand(['tree'])).toEqual({
      kind: 'tree',
      json: false,
      options: { keys: 1e6, baselineKeys: 1e5, updates: 1e5, batches: [1_000, 5_000], cacheMib: 256, heapMib: 512 },
    })
    expect(parseCommand(['join'])).toEqual({
      kind: 'join',
      json: false,
      options: { blocks: 5_000, transactions: 100_000, valueBytes: 100, rounds: 3 },
    })
    expect(parseCommand(['cluster', '--rate', 'max', '--json'])).toMatchObject({
      kind: 'cluster',
      json: true,
      options: { nodes: 3, rate: 'max' },
    })
  })

  it.each([
    [[], 'which scenario'],
    [['sort'], 'there is no scenario sort'],
    [['tree', '--keys', 'many'], '--keys is a whole number'],
    [['tree', '--batches', '10,'], '--batches is a whole number'],
    [['tree', '--keys', '2000', '--baseline-keys', '3000'], '--baseline-keys is a whole number from 1000 to 2000'],
    [['tree', 'more'], 'what is more?'],
    [['tree', '--rate', '5'], "Unknown option '--rate'"],
    [['relay', '--missing', '101'], '--missing is a whole number'],
    [['join', '--blocks', '0'], '--blocks is a whole number'],
    [['join', '--rounds', '0'], '--rounds is a whole number'],
    [['cluster', '--nodes', '2', '--miners', '3'], '--miners 3 is more than there are nodes'],
  ])('%j is a usage error', (args, message) => {
    expect(() => parseCommand(args)).toThrow(BenchError)
    expect(() => parseCommand(args)).toThrow(message)
  })

  it('says so in one line and exits with 2', async () => {
    const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
    const failure = await promisify(execFile)(process.execPath, [main, 'sort']).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^bench: .*\n$/) })
  })
})

describe('the tree scenario', () => {
  const options = { keys: 3_000, baselineKeys: 2_000, updates: 1_000, batches: [100, 500], cacheMib: 1, heapMib: 256 }

  it('measures both trees, each with all that was asked for', async () => {
    const said: string[] = []
    const report: TreeReport = await runTreeScenario(options, new AbortController().signal, (line) => said.push(line))
    expect(said).toEqual(['kvchain: 3000 keys', 'urkel: 2000 keys'])
    expect(report.options).toEqual(options)
    for (const [name, keys] of [
      ['kvchain', 3_000],
      ['urkel', 2_000],
    ] as const) {
      const figures = report.subjects[name]
      expect(figures.keys).toBe(keys)
      expect(figures.updates.map(({ batch, durable }) => [batch, durable])).toEqual([
        [100, true],
        [100, false],
        [500, true],
        [500, false],
      ])
      const rates = [figures.loadedPerSecond, figures.provedPerSecond, figures.hashesPerSecond]
      for (const rate of [...rates, ...figures.updates.map(({ perSecond }) => perSecond)])
        expect(rate).toBeGreaterThan(0)
    }
    const text = formatTreeReport(report)
    expect(text).toMatch(/^keys +3000 +2000$/m)
    expect(text).toMatch(/^updates\/s, synced batches of 500 +\d+ +\d+ +\d+\.\d x$/m)
  })

  it('can be called off', async () => {
    const signal = AbortSignal.abort()
    await expect(runTreeScenario(options, signal, () => {})).rejects.toMatchObject({ code: 'bench-cancelled' })
  })
})

describe('the join scenario', () => {
  const options = { blocks: 30, transactions: 100, valueBytes: 50, rounds: 2 }

  it('lets newcomers have the whole chain, and says at what rate', async () => {
    const report = await runJoinScenario(options, new AbortController().signal, () => {})
    expect(report.options).toEqual(options)
    expect(report.blocksPerSecond).toBeCloseTo(options.blocks / report.seconds)
    expect(report.rounds).toHaveLength(2)
    const ratios = report.rounds.map(({ ratioToYardstick }) => ratioToYardstick)
    expect(report.ratioToYardstick).toBe(Math.min(...ratios))
    expect(report.ratioToYardstick).toBeGreaterThan(0)
    expect(formatJoinReport(report)).toMatch(/^ {2}transactions as a share +\d+\.\d %$/m)
  }, 120_000)
})

describe('the relay scenario', () => {
  const options = { nodes: 3, blocks: 2, transactions: 200, valueBytes: 50, delayMs: 2, missingPercent: 5 }

  it('counts what every node received, as short ids and whole', async () => {
    const report = await runRelayScenario(options, new AbortController().signal, () => {})
    expect(report.relayed.latencyMs.count).toBe(4)
    expect(report.flooded.latencyMs.count).toBe(4)
    expect(report.flooded.bytesPerBlockAndNode).toBeGreaterThan(report.blockBytes)
    expect(report.ratioToFlooding).toBeLessThan(1)
    expect(formatRelayReport(report)).toMatch(/^ {2}as a share of flooding +\d+\.\d %$/m)
  }, 120_000)
})
