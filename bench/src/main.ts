/** The bench's command line: which scenario, what to print, where to record, how to exit. */
import { mkdir, writeFile } from 'node:fs/promises'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { KvError } from '@kvchain/core/errors'
import { OptionsError } from '@kvchain/node/runtime/errors'
import { runClusterScenario } from './clusterScenario.js'
import { BenchError } from './errors.js'
import { formatJoinReport, type JoinReport, runJoinScenario } from './net/joinScenario.js'
import { formatRelayReport, type RelayReport, runRelayScenario } from './net/relayScenario.js'
import { type Command, HELP, parseCommand } from './options.js'
import { type ClusterReport, formatReport } from './report.js'
import { formatTreeReport, runTreeScenario, type TreeReport } from './tree/scenario.js'

const RESULTS = new URL('../results/', import.meta.url)

async function main(args: readonly string[], signal: AbortSignal): Promise<void> {
  const command = parseCommand(args)
  if (command.kind === 'help') {
    process.stdout.write(`${HELP}\n`)
    return
  }
  const { report, text } = await measure(command, signal, (line) => process.stderr.write(`${line}...\n`))
  const file = await record(report)
  process.stdout.write(command.json ? `${JSON.stringify(report, null, 2)}\n` : `\n${text}\n`)
  process.stderr.write(`recorded in ${file}\n`)
}

type Report = ClusterReport | TreeReport | JoinReport | RelayReport

/** Runs a scenario; the text is for people. */
async function measure(
  command: Exclude<Command, { kind: 'help' }>,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<{ report: Report; text: string }> {
  switch (command.kind) {
    case 'cluster': {
      const report = await runClusterScenario(command.options, signal, say)
      return { report, text: formatReport(report) }
    }
    case 'tree': {
      const report = await runTreeScenario(command.options, signal, say)
      return { report, text: formatTreeReport(report) }
    }
    case 'join': {
      const report = await runJoinScenario(command.options, signal, say)
      return { report, text: formatJoinReport(report) }
    }
    case 'relay': {
      const report = await runRelayScenario(command.options, signal, say)
      return { report, text: formatRelayReport(report) }
    }
  }
}

async function record(report: Report): Promise<string> {
  await mkdir(RESULTS, { recursive: true })
  const file = fileURLToPath(
    new URL(`${report.scenario}-${report.date.slice(0, 19).replaceAll(':', '')}.json`, RESULTS),
  )
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`)
  return file
}

function exitCodeOf(error: unknown): number {
  if (error instanceof BenchError && error.code === 'bench-cancelled') return 130
  const isUsage = error instanceof OptionsError || (error instanceof BenchError && error.code === 'bench-usage')
  return isUsage ? 2 : 1
}

const interrupted = new AbortController()
// The first signal ends the daemons in good order, a second one at once.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) process.exit(130)
    interrupted.abort()
  })
}

try {
  await main(process.argv.slice(2), interrupted.signal)
} catch (error) {
  const line = error instanceof KvError ? error.message : error instanceof Error ? error.stack : String(error)
  process.stderr.write(`bench: ${line}\n`)
  process.exitCode = exitCodeOf(error)
}
