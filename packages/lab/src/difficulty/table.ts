/** Tables of results: for a terminal, as Markdown, as CSV. */

export interface Column {
  readonly name: string
  /** Digits after the point; a text column has none. */
  readonly digits?: number
}

export interface Table {
  /** File name without its ending. */
  readonly name: string
  readonly title: string
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly (string | number)[])[]
}

function text(value: string | number, digits = 0): string {
  if (typeof value === 'string') return value
  if (Number.isNaN(value)) return '-'
  if (value === Number.POSITIVE_INFINITY) return 'never'
  if (Math.abs(value) >= 1000) return value.toFixed(0).replace(/\B(?=(?:\d{3})+$)/g, ',')
  const fixed = value.toFixed(Math.abs(value) >= 100 ? 0 : digits)
  return Number(fixed) === 0 ? fixed.replace('-', '') : fixed
}

/** Every figure as people read it, row by row. */
export function cells(table: Table): string[][] {
  return table.rows.map((row) => row.map((value, i) => text(value, table.columns[i]?.digits)))
}

/** Columns lined up, numbers to the right. */
export function formatTable(table: Table): string {
  const body = cells(table)
  const head = table.columns.map(({ name }) => name)
  const widths = head.map((name, i) => Math.max(name.length, ...body.map((row) => row[i]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')
  return [table.title, '', line(head), ...body.map(line), ''].join('\n')
}

export function formatMarkdown(table: Table): string {
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`
  const rule = table.columns.map((_, i) => (i === 0 ? '---' : '---:'))
  return [line(table.columns.map(({ name }) => name)), line(rule), ...cells(table).map(line), ''].join('\n')
}

/** Numbers with six significant digits, whatever the tables for people show. */
export function formatCsv(table: Table): string {
  const quote = (cell: string) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)
  const number = (value: string | number) => (typeof value === 'string' ? value : `${Number(value.toPrecision(6))}`)
  const rows = [table.columns.map(({ name }) => name), ...table.rows.map((row) => row.map(number))]
  return `${rows.map((row) => row.map(quote).join(',')).join('\n')}\n`
}
