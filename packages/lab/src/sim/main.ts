/**
 * The program of the simulator: plays the scenarios of seeds as the tests do, says what each is, finds the shortest that still fails; and runs one large world and
 * says how it goes. See USAGE.
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { KvError } from '@kvchain/core/errors'
import { LabError } from '../errors.js'
import { cutScenario, parseCut } from './cut.js'
import { runScale } from './scale.js'
import { drawScenario, PROGRAM, playScenario, type Scenario, scenarioText } from './scenario.js'
import { playSeeds } from './seeds.js'
import { shorten } from './shorten.js'

const USAGE = `usage: main.js scenario --seed N [--nodes I,J] [--faults I,J] [--writes I,J] [--trouble MS]   one scenario, or a part of it
       main.js seeds [--seed N] [--count M]                                         M of them from N on: 10,000 from 1
       main.js shorten --seed N                                                     the least of it that still fails
       main.js scale [--nodes N] [--hours H] [--seed S] [--interval SECONDS] [--writes PER-MINUTE]`

function number(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && value > 0) return value
  throw new LabError('lab-options', `${text} is no number above 0; ${USAGE}`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function playOne(scenario: Scenario): Promise<void> {
  print(scenarioText(scenario).join('\n  '))
  print(`  ${JSON.stringify(await playScenario(scenario))}`)
}

async function shortenSeed(seed: number): Promise<void> {
  const cut = await shorten(() => drawScenario(seed), { print })
  const scenario = cutScenario(drawScenario(seed), cut)
  print(`${scenarioText(scenario).join('\n  ')}\n${PROGRAM} ${scenario.command}`)
}

const TEXT = { type: 'string' } as const
const OPTIONS = {
  seed: TEXT,
  count: TEXT,
  nodes: TEXT,
  hours: TEXT,
  interval: TEXT,
  writes: TEXT,
  faults: TEXT,
  trouble: TEXT,
}

function parseOptions(args: string[]): { [name in keyof typeof OPTIONS]?: string } {
  try {
    return parseArgs({ args, options: OPTIONS }).values
  } catch (error) {
    throw new LabError('lab-options', `${error instanceof Error ? error.message : error}; ${USAGE}`)
  }
}

async function run(args: string[]): Promise<void> {
  if (args.some((arg) => arg === '--help' || arg === '-h')) return print(USAGE)
  const [command, ...rest] = args
  const values = parseOptions(rest)
  const value = (name: keyof typeof OPTIONS, fallback: number) => number(values[name], fallback)
  const seed = value('seed', 1)
  switch (command) {
    case 'scenario':
      return playOne(cutScenario(drawScenario(seed), parseCut(values)))
    case 'seeds':
      return playSeeds(seed, value('count', 10_000), print)
    case 'shorten':
      return shortenSeed(seed)
    case 'scale':
      return runScale(
        {
          seed,
          nodes: value('nodes', 100),
          hours: value('hours', 24),
          intervalMs: value('interval', 30) * 1_000,
          writesPerMinute: value('writes', 2),
        },
        print,
      )
    default:
      throw new LabError('lab-options', USAGE)
  }
}

try {
  await run(process.argv.slice(2))
} catch (error) {
  const line = error instanceof KvError ? error.message : error instanceof Error ? error.stack : String(error)
  process.stderr.write(`sim: ${line}\n`)
  process.exitCode = error instanceof LabError && error.code === 'lab-options' ? 2 : 1
}
