/**
 * The program of the difficulty experiments: `node packages/lab/dist/difficulty/main.js [--seeds N] [--out DIR]`. Prints every table; with
 * --out it also writes each as CSV and Markdown, and the plots as SVG. The same seeds give the same bytes.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { readNetwork } from '@kvchain/node/networkFile'
import { LabError } from '../errors.js'
import { CHOSEN, candidates, earlier } from './candidates.js'
import {
  clampTable,
  earlierTable,
  forgeTable,
  futureTable,
  hopTable,
  idleTable,
  loadTable,
  networkTable,
  nightTable,
  reversalTable,
  stallTable,
  tauTable,
} from './experiments.js'
import { drawPlots } from './plots.js'
import { formatCsv, formatMarkdown, formatTable, type Table } from './table.js'

interface Options {
  readonly seeds: number
  readonly out: string | undefined
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({ args, options: { seeds: { type: 'string', default: '20' }, out: { type: 'string' } } })
  const seeds = Number(values.seeds)
  if (!Number.isInteger(seeds) || seeds < 1) throw new LabError('lab-options', '--seeds takes a number above zero')
  return { seeds, out: values.out }
}

async function run({ seeds, out }: Options): Promise<void> {
  const lan = await readNetwork('lan')
  const found = candidates(lan.params)
  const { twin, early, first, all, clamps, taus } = found
  const networks = [lan, await readNetwork('public')]
  const effort = { seeds }
  const experiments: (() => Table)[] = [
    () => loadTable([...all, early], effort),
    () => earlierTable(earlier(), effort),
    () => nightTable(all, effort),
    () => stallTable([twin, first], effort),
    () => forgeTable(all, effort),
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
    console.log(formatTable(table))
    if (process.env.KVCHAIN_TIMES) console.log(process.cpuUsage().user / 1e6)
    if (out === undefined) continue
    await writeFile(join(out, `${table.name}.csv`), formatCsv(table))
    await writeFile(join(out, `${table.name}.md`), formatMarkdown(table))
  }
  if (out === undefined) return
  for (const { name, svg } of drawPlots(found, tables, effort)) await writeFile(join(out, name), svg)
}

await run(readOptions(process.argv.slice(2)))
