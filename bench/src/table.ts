/** Cells and rows of the tables that a person reads. */

export function row(name: string, ...cells: readonly string[]): string {
  return `${name.padEnd(34)}${cells.map((cell) => cell.padEnd(12)).join(' ')}`.trimEnd()
}

export function whole(number: number | undefined): string {
  return number === undefined ? '-' : Math.round(number).toString()
}

export function seconds(ms: number | undefined): string {
  return ms === undefined ? '-' : (ms / 1000).toFixed(2)
}

export function percent(share: number | undefined): string {
  return share === undefined ? '-' : `${(share * 100).toFixed(1)} %`
}

export function mebibytes(bytes: number | undefined): string {
  return whole(bytes === undefined ? undefined : bytes / (1 << 20))
}
