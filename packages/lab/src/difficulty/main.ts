/**
 * The program of the difficulty experiments: `node packages/lab/dist/difficulty/main.js [--seeds N] [--out DIR]`. Prints every table; with
 * --out it also writes each as CSV and Markdown, and the plots as SVG. The same seeds give the same bytes.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { KvError } from '@kvchain/core/errors'
import { readNetwork } from '@kvchain/node/networkFile'
import { LabError } from '../errors.js'
import { CHOSEN, candidates, earlier } from './candidates.js'
import { forgeTable, hopTable, lastingTable, reversalTable } from './experiments/forging.js'
import { clampTable, futureTable, tauTable } from './experiments/parameters.js'
import { earlierTable, idleTable, loadTable, networkTable, nightTable, stallTable } from './experiments/recovery.js'
import { drawPlots } from './plots.js'
import { formatCsv, formatMarkdown, formatTable, type Table } from './table.js'

interface Options {
  readonly seeds: number
  readonly out: string | undefined
}

const USAGE = 'usage: main.js [--seeds N] [--out DIR]'

/** Throws LabError `lab-options`, in one sentence. */
function readOptions(args: string[]): Options {
  try {
    const options = { seeds: { type: 'string', default: '20' }, out: { type: 'string' } } as const
    const { values } = parseArgs({ args, options })
    if (/^[1-9]\d{0,3}$/.test(values.seeds)) return { seeds: Number(values.seeds), out: values.out }
  } catch (error) {
    throw new LabError('lab-options', USAGE, {}, error)
  }
  throw new LabError('lab-options', `--seeds takes a number from 1 to 9999; ${USAGE}`)
}

async function run({ seeds, out }: Options): Promise<void> {
  const lan = await readNetwork('lan')
  const found = candidates(lan.params)
  const { twin, early, first, exact, all, clamps, taus } = found
  const networks = [lan, await readNetwork('public')]
  const effort = { seeds }
  const experiments: (() => Table)[] = [
    () => loadTable([...all, early], effort),
    () => earlierTable(earlier(), effort),
    () => nightTable(all, effort),
    () => stallTable([twin, first], effort),
    () => forgeTable(all, effort),
    () => lastingTable([twin, first, ...exact], effort),
    () => hopTable(all, effort),
    () => reversalTable([twin, first], effort),
    () => clampTable(clamps, effort),
    () => tauTable(taus, effort),
    () => futureTable([twin, first], CHOSEN.tauBlocks, effort),
    () => idleTable([twin, first], effort),
    () => networkTable(networks, effort),
  ]
  if (out !== undefined) await mkdir(out, { recursive: true })
  const tables: Table[] = []
  for (const experiment of experiments) {
    const table = experiment()
    tables.push(table)
    process.stdout.write(`${formatTable(table)}\n`)
    if (out === undefined) continue
    await writeFile(join(out, `${table.name}.csv`), formatCsv(table))
    await writeFile(join(out, `${table.name}.md`), formatMarkdown(table))
  }
  if (out === undefined) return
  for (const { name, svg } of drawPlots(found, tables, effort)) await writeFile(join(out, name), svg)
}

try {
  await run(readOptions(process.argv.slice(2)))
} catch (error) {
  const line = error instanceof KvError ? error.message : error instanceof Error ? error.stack : String(error)
  process.stderr.write(`difficulty: ${line}\n`)
  process.exitCode = error instanceof LabError ? 2 : 1
}
