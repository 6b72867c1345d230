/**
 * The core workloads of YCSB (Cooper et al. 2010) that a key-value store without ordered scans of records can run: A, B, C, D and F. Owns which
 * operation comes next and on which record; not how it is done.
 */
import type { Random } from '../difficulty/random.js'

export type Workload = 'A' | 'B' | 'C' | 'D' | 'F'
export type Step =
  | { readonly kind: 'read' | 'update' | 'modify'; readonly record: number }
  | { readonly kind: 'insert'; readonly record: number }

export const WORKLOADS: Readonly<Record<Workload, string>> = {
  A: 'half reads, half updates',
  B: '95 % reads, 5 % updates',
  C: 'reads only',
  D: '95 % reads of what is newest, 5 % inserts',
  F: 'half reads, half read and modify',
}

const READS: Readonly<Record<Workload, number>> = { A: 0.5, B: 0.95, C: 1, D: 0.95, F: 0.5 }
/** YCSB's own. */
const ZIPF_EXPONENT = 0.99

/** Draws from 0 to n-1: the k-th of them with a weight of 1 / (k + 1)^0.99. */
export class Zipf {
  /** Sums of the weights: its length is the largest n that may be asked for. */
  private readonly sums: Float64Array

  constructor(most: number) {
    this.sums = new Float64Array(most)
    let sum = 0
    for (let rank = 0; rank < most; rank++) {
      sum += 1 / (rank + 1) ** ZIPF_EXPONENT
      this.sums[rank] = sum
    }
  }

  draw(random: Random, n: number): number {
    const point = random.uniform() * (this.sums[n - 1] ?? 0)
    let [low, high] = [0, n - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.sums[middle] ?? 0) < point) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The steps of a workload, one after the other. Records are numbered as they are inserted: 0 to `records`-1 are there before. */
export class Steps {
  private readonly zipf: Zipf
  /** Which record has which rank, so that the popular ones lie all over the keys. */
  private readonly order: number[]
  private records: number

  constructor(
    private readonly workload: Workload,
    records: number,
    steps: number,
    private readonly random: Random,
  ) {
    this.records = records
    this.zipf = new Zipf(records + steps)
    this.order = shuffled(records, random)
  }

  next(): Step {
    const { workload, random } = this
    const isRead = random.uniform() < READS[workload]
    if (workload === 'D') {
      if (!isRead) return { kind: 'insert', record: this.records++ }
      return { kind: 'read', record: this.records - 1 - this.zipf.draw(random, this.records) }
    }
    const record = this.order[this.zipf.draw(random, this.order.length)] ?? 0
    return { kind: isRead ? 'read' : workload === 'F' ? 'modify' : 'update', record }
  }
}

function shuffled(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random.uniform() * (i + 1))
    const [a = 0, b = 0] = [order[i], order[other]]
    order[i] = b
    order[other] = a
  }
  return order
}
