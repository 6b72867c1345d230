/**
 * The transactions that a Noobcash node plays: the course's files (transactions0.txt, transactions1.txt, ..., a line `id<n> <amount>` for each
 * payment), or lines of the same shape drawn from a seed.
 */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Random } from '../difficulty/random.js'
import { LabError } from '../errors.js'

export interface Payment {
  /** Number of the node that is paid. */
  readonly to: number
  /** Coins. */
  readonly amount: number
}

/** Payments of the seed's files are of 1 to 10 coins. */
const MAX_DRAWN = 10
const MAX_LINES = 100_000
const MAX_FILE_BYTES = 4 << 20
const LINE = /^id(\d{1,6})\s+(\d{1,15})$/

/** The payments of each of `nodes` nodes, from its file in `folder`. Throws LabError `lab-input`, naming file and line. */
export async function readPayments(folder: string, nodes: number): Promise<Payment[][]> {
  const all: Payment[][] = []
  for (let node = 0; node < nodes; node++) {
    const name = `transactions${node}.txt`
    all.push(parsePayments(await readText(join(folder, name), name), name, nodes))
  }
  return all
}

/** One file's payments; empty lines are skipped. `name` stands in errors. Throws LabError `lab-input`. */
export function parsePayments(text: string, name: string, nodes: number): Payment[] {
  const payments: Payment[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '') continue
    const bad = (why: string) => new LabError('lab-input', `${name}, line ${index + 1}: ${why}`, { line: index + 1 })
    const [, id, coins] = LINE.exec(line) ?? []
    if (id === undefined || coins === undefined) {
      throw bad(`not 'id<n> <amount>' but ${JSON.stringify(line.slice(0, 40))}`)
    }
    const [to, amount] = [Number(id), Number(coins)]
    if (to >= nodes) throw bad(`there is no node ${to}: ids are 0 to ${nodes - 1}`)
    if (amount === 0) throw bad('an amount is at least 1')
    if (payments.length === MAX_LINES) throw bad(`more than ${MAX_LINES} payments`)
    payments.push({ to, amount })
  }
  return payments
}

/** The same seed draws the same payments. Nobody pays himself. */
export function drawPayments(seed: number, nodes: number, lines: number): Payment[][] {
  return Array.from({ length: nodes }, (_, node) => {
    const random = new Random(seed, node)
    return Array.from({ length: lines }, () => ({
      to: (node + 1 + Math.floor(random.uniform() * (nodes - 1))) % nodes,
      amount: 1 + Math.floor(random.uniform() * MAX_DRAWN),
    }))
  })
}

async function readText(file: string, name: string): Promise<string> {
  try {
    const handle = await open(file)
    try {
      if ((await handle.stat()).size > MAX_FILE_BYTES) {
        throw new LabError('lab-input', `${name} is larger than ${MAX_FILE_BYTES >> 20} MiB`)
      }
      return await handle.readFile('utf8')
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (error instanceof LabError) throw error
    throw new LabError('lab-input', `${file} cannot be read`, { file }, error)
  }
}
