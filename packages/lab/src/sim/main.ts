/**
 * The program of the simulator: `node packages/lab/dist/sim/main.js scenario --seed N [--count M]` plays the scenarios of seeds as the tests do, and says what
 * each is; `node packages/lab/dist/sim/main.js scale --nodes N --hours H --seed S` runs one large world and says how it goes.
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { KvError } from '@kvchain/core/errors'
import { LabError } from '../errors.js'
import { runScale, type ScaleOptions } from './scale.js'
import { drawScenario, playScenario, scenarioText } from './scenario.js'

const USAGE =
  'usage: main.js scenario --seed N [--count M] | main.js scale [--nodes N] [--hours H] [--seed S] [--interval SECONDS] [--writes PER-MINUTE]'

function number(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && value > 0) return value
  throw new LabError('lab-options', `${text} is no number above 0; ${USAGE}`)
}

async function scenarios(first: number, count: number): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    const scenario = drawScenario(seed)
    process.stdout.write(`seed ${seed}: ${scenarioText(scenario).join('\n  ')}\n`)
    const result = await playScenario(scenario)
    process.stdout.write(`  ${JSON.stringify(result)}\n`)
  }
}

async function run(args: string[]): Promise<void> {
  const names = ['seed', 'count', 'nodes', 'hours', 'interval', 'writes'] as const
  const [command, ...rest] = args
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]))
  const { values } = parseArgs({ args: rest, options })
  const value = (name: (typeof names)[number], fallback: number) => number(values[name]?.toString(), fallback)
  if (command === 'scenario') return scenarios(value('seed', 1), value('count', 1))
  if (command !== 'scale') throw new LabError('lab-options', USAGE)
  const scale: ScaleOptions = {
    seed: value('seed', 1),
    nodes: value('nodes', 100),
    hours: value('hours', 24),
    intervalMs: value('interval', 30) * 1_000,
    writesPerMinute: value('writes', 2),
  }
  await runScale(scale, (line) => process.stdout.write(`${line}\n`))
}

try {
  await run(process.argv.slice(2))
} catch (error) {
  const line = error instanceof KvError ? error.message : error instanceof Error ? error.stack : String(error)
  process.stderr.write(`sim: ${line}\n`)
  process.exitCode = error instanceof LabError && error.code === 'lab-options' ? 2 : 1
}
