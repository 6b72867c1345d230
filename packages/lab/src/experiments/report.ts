/**
 * What an experiment hands over, and the files it becomes: JSON, a CSV of each table, an SVG of each plot, and one page of HTML that shows
 * all of it. Measures nothing.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { cells as formatCells, formatCsv, formatTable, type Table } from '../difficulty/table.js'
import { LabError } from '../errors.js'
import type { Plot } from '../plots.js'

export interface Report {
  /** Of the command, and of the JSON file: noobcash, speed, attack51, faults. */
  readonly experiment: string
  readonly title: string
  /** What was done and how the figures are to be read, a paragraph each. */
  readonly about: readonly string[]
  /** What it was run with: name and value. */
  readonly settings: Readonly<Record<string, string | number>>
  /** Nothing in it depends on the machine: the same seed gives the same files, to the byte. */
  readonly isSimulated?: boolean
  readonly tables: readonly Table[]
  readonly plots: readonly Plot[]
}

/** What an experiment is given besides its options. */
export interface Bench {
  /** Same seed, same load. What real processes make of it is another matter. */
  readonly seed: number
  /** Ends the experiment: it stops its daemons and rejects. */
  readonly signal: AbortSignal
  /** `done` of `total` steps; `what` is the one that begins. */
  readonly onProgress: (done: number, total: number, what: string) => void
}

/** The machine in a line: the same code on another machine, or on a busy one, gives other figures. */
export function describeMachine(): string {
  const all = cpus()
  const load = loadavg()[0]?.toFixed(1) ?? '?'
  return `${all.length} x ${all[0]?.model.trim() ?? 'unknown'}, Node.js ${process.versions.node}, load ${load}`
}

/** For a terminal: the tables, then the paragraphs. */
export function reportText({ tables, about }: Report): string {
  return `${tables.map((table) => `${formatTable(table)}\n`).join('')}${about.join('\n')}\n`
}

/** Writes the files into `folder`, which is made. Returns their names. Throws LabError `lab-output`. */
export async function writeReport(report: Report, folder: string): Promise<string[]> {
  const { experiment, title, tables, plots, about } = report
  const settings = settingsOf(report)
  const plain = tables.map((table) => ({ ...table, columns: table.columns.map(({ name }) => name) }))
  const json = { experiment, title, settings, about, tables: plain }
  const files: [name: string, content: string][] = [
    [`${experiment}.json`, `${JSON.stringify(json, null, 2)}\n`],
    ...tables.map((table): [string, string] => [`${table.name}.csv`, formatCsv(table)]),
    ...plots.map(({ name, svg }): [string, string] => [name, svg]),
    ['index.html', pageOf(report)],
  ]
  try {
    await mkdir(folder, { recursive: true })
    for (const [name, content] of files) await writeFile(join(folder, name), content)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new LabError('lab-output', `the results cannot be written: ${why}`, { folder }, error)
  }
  return files.map(([name]) => name)
}

/** What it was run with, and on what, where that matters. */
function settingsOf({ settings, isSimulated = false }: Report): Report['settings'] {
  return isSimulated ? settings : { ...settings, machine: describeMachine() }
}

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}caption{text-align:left;font-weight:600;padding:.3rem 0}
td,th{border-bottom:1px solid #ddd;padding:.2rem .7rem;text-align:right}td:first-child,th:first-child{text-align:left}
svg{max-width:100%;height:auto}`

function pageOf(report: Report): string {
  const { title, about, tables, plots } = report
  const facts = Object.entries(settingsOf(report))
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(title)}</h1>
${about.map((text) => `<p>${escapeHtml(text)}</p>`).join('\n')}
<table><caption>Run with</caption>${facts.map((row) => rowOf(row.map(String), 'td')).join('')}</table>
${plots.map(({ svg }) => `<figure>${svg}</figure>`).join('\n')}
${tables.map(tableOf).join('\n')}
</body></html>
`
}

function tableOf(table: Table): string {
  const body = formatCells(table).map((row) => rowOf(row, 'td'))
  const head = rowOf(
    table.columns.map(({ name }) => name),
    'th',
  )
  return `<table><caption>${escapeHtml(table.title)}</caption><thead>${head}</thead><tbody>${body.join('\n')}</tbody></table>`
}

function rowOf(cells: readonly string[], tag: 'td' | 'th'): string {
  return `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
