/** What two teams of the course published for their Noobcash: data only, to stand beside what is measured here. */

export interface Published {
  readonly nodes: number
  readonly capacity: number
  /** Leading zeros of a hash in hexadecimal digits. */
  readonly difficulty: number
  /** Transactions in a second. */
  readonly throughput: number
  readonly blockSeconds: number
}

export interface PublishedTable {
  /** Short, for legends. */
  readonly name: string
  readonly source: string
  readonly rows: readonly Published[]
}

type Row = readonly [nodes: number, capacity: number, d4: number, d5: number, d4Block: number, d5Block: number]

function rowsOf(rows: readonly Row[]): Published[] {
  return rows.flatMap(([nodes, capacity, d4, d5, d4Block, d5Block]) => [
    { nodes, capacity, difficulty: 4, throughput: d4, blockSeconds: d4Block },
    { nodes, capacity, difficulty: 5, throughput: d5, blockSeconds: d5Block },
  ])
}

export const PUBLISHED: readonly PublishedTable[] = [
  {
    name: 'Spanos',
    // The table of the README; five virtual machines, one or two nodes on each.
    source: 'github.com/NickSpanos55/dist_systems, README',
    rows: rowsOf([
      [5, 1, 0.49, 0.1, 2.02, 10.18],
      [5, 5, 1.62, 0.19, 3.02, 26.98],
      [5, 10, 1.03, 0.17, 9.72, 59.2],
      [10, 1, 0.59, 0.16, 1.68, 6.41],
      [10, 5, 1.76, 0.34, 2.79, 14.7],
      [10, 10, 2.32, 0.42, 4.25, 24.35],
    ]),
  },
  {
    name: 'Antoniadis',
    // Read off the images of the plots, to about 3 %; virtual machines, 100 transactions a node. Throughput is the sum of HTTP round trips.
    source: 'github.com/PanosAntoniadis/noobcash, plots (read off, 3 %)',
    rows: rowsOf([
      [5, 1, 1.08, 0.09, 0.9, 11.5],
      [5, 5, 2.9, 0.24, 1.7, 20.8],
      [5, 10, 2.85, 0.28, 3.5, 36.1],
      [10, 1, 0.19, 0.18, 5.8, 5.4],
      [10, 5, 3.98, 0.49, 1.25, 10.2],
      [10, 10, 6.08, 0.6, 1.65, 16.5],
    ]),
  },
]
