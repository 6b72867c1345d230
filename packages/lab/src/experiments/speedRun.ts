/**
 * What takes how long on real daemons: put and get against difficulty, length of the chain, number of keys and size of the value, each from
 * its best to its worst case; and the core workloads of YCSB. Owns the measuring; the tables are speedReport's.
 */
import type { KvClient } from '@kvchain/client/kvClient'
import { Random } from '../difficulty/random.js'
import { LabError } from '../errors.js'
import { type OwnNetwork, onCluster, writeOwnNetwork } from './laboratory.js'
import type { Bench } from './report.js'
import { sample, type Timings } from './timings.js'
import { runYcsb, type YcsbOptions, type YcsbResult } from './ycsb.js'

export interface SpeedOptions extends YcsbOptions {
  /** Leading zeros of a block's hash, in hexadecimal digits. */
  readonly difficulties: readonly number[]
  /** Heights at which is measured, rising. */
  readonly lengths: readonly number[]
  /** Numbers of keys at which is measured, rising. */
  readonly keys: readonly number[]
  /** Bytes of a value. */
  readonly sizes: readonly number[]
  /** Calls of each kind that are timed. */
  readonly calls: number
}

/** One kind of call in one situation. */
export interface Cell {
  /** Of the factor: 4 leading zeros, 1000 blocks, 10000 keys, 65536 bytes. */
  readonly at: number
  readonly call: string
  readonly timings: Timings
}

export type Factor = 'difficulty' | 'length' | 'keys' | 'size'

export interface SpeedResult {
  readonly cells: Readonly<Record<Factor, readonly Cell[]>>
  readonly ycsb: readonly YcsbResult[]
}

/** One kind of call takes this long at most, unless a single one takes longer. */
const CELL_MS = 15_000
const PATIENCE_MS = 300_000
/** Operations in one transaction, at most. */
const MAX_OPERATIONS = 1_000
/** Writes under way while a chain or a set of keys is grown. */
const GROWING_AT_ONCE = 200
/** Where the difficulty is not what is asked about: hashes of a block that cost nothing. */
const LIGHT: OwnNetwork = { hashes: 4096n }

export async function runSpeed(options: SpeedOptions, bench: Bench): Promise<SpeedResult> {
  const { difficulties, nodes, workloads } = options
  const total = difficulties.length + 3 + nodes.length * workloads.length
  let done = 0
  const step = (what: string) => bench.onProgress(done++, total, what)
  const difficulty: Cell[] = []
  for (const zeros of difficulties) {
    step(`difficulty ${zeros}`)
    difficulty.push(...(await atDifficulty(zeros, options, bench)))
  }
  step('length of the chain')
  const length = await alone({ ...LIGHT, capacity: 1 }, bench, (client) => atLengths(client, options))
  step('number of keys')
  const keys = await alone(LIGHT, bench, (client) => atKeys(client, options, bench))
  step('size of the value')
  const size = await alone(LIGHT, bench, (client) => atSizes(client, options))
  return { cells: { difficulty, length, keys, size }, ycsb: await runYcsb(options, bench, step) }
}

/** Hands a client of one daemon, which mines on a network of its own, to `body`. */
function alone<T>(own: OwnNetwork, { signal }: Bench, body: (client: KvClient) => Promise<T>): Promise<T> {
  const options = {
    nodes: 1,
    network: (folder: string) => writeOwnNetwork(folder, { ...own, settleDepth: 1 }),
    node: () => ({ mine: 'pending' as const, logLevel: 'warn' }),
  }
  return onCluster(options, signal, (cluster) => body(cluster.at(0).client))
}

/** A put and its first block. */
async function putConfirmed(client: KvClient, key: string, value: string): Promise<void> {
  const { txid } = await client.put(key, value, { timeoutMs: PATIENCE_MS })
  await client.waitFor(txid, { timeoutMs: PATIENCE_MS })
}

async function mustGet(client: KvClient, key: string, height?: number): Promise<void> {
  const entry = await client.get(key, height === undefined ? {} : { height })
  if (entry === undefined) throw new LabError('lab-broken', `the key ${key} is gone`)
}

function atDifficulty(zeros: number, { calls }: SpeedOptions, bench: Bench): Promise<Cell[]> {
  return alone({ hashes: 16n ** BigInt(zeros) }, bench, async (client) => {
    const put = await sample(calls, CELL_MS, (i) => putConfirmed(client, `key ${i}`, `value ${i}`))
    const accepted = await sample(calls, CELL_MS, (i) => client.put(`fast ${i}`, `value ${i}`))
    const get = await sample(calls, CELL_MS, (i) => mustGet(client, `key ${i % put.count}`))
    return cellsAt(zeros, { 'put, in a block': put, 'put, accepted': accepted, get })
  })
}

/** A network of one transaction a block: so many writes, so many blocks. */
async function atLengths(client: KvClient, { lengths, calls }: SpeedOptions): Promise<Cell[]> {
  await putConfirmed(client, 'first', 'written once')
  const cells: Cell[] = []
  for (const length of lengths) {
    const { height } = await client.call('chain_tip', {})
    await grow(Math.max(0, length - height), async (i) => {
      await client.waitFor((await client.put('often', `${height + i}`)).txid)
    })
    await putConfirmed(client, 'newest', `${length}`)
    const middle = Math.floor((await client.call('chain_tip', {})).height / 2)
    cells.push(
      ...cellsAt(length, {
        'put, in a block': await sample(calls, CELL_MS, (i) => putConfirmed(client, `at ${length}`, `${i}`)),
        'get, written last': await sample(calls, CELL_MS, () => mustGet(client, 'newest')),
        'get, written first': await sample(calls, CELL_MS, () => mustGet(client, 'first')),
        'get, absent': await sample(calls, CELL_MS, () => client.get('absent')),
        'get, as of block 1': await sample(calls, CELL_MS, () => mustGet(client, 'first', 1)),
        'get, often written, as of half the height': await sample(calls, CELL_MS, () =>
          client.get('often', { height: middle }),
        ),
      }),
    )
  }
  return cells
}

async function atKeys(client: KvClient, { keys, calls }: SpeedOptions, { seed }: Bench): Promise<Cell[]> {
  const random = new Random(seed, 1)
  const cells: Cell[] = []
  let there = 0
  for (const wanted of keys) {
    const first = there
    await grow(Math.ceil((wanted - there) / MAX_OPERATIONS), async (i) => {
      const from = first + i * MAX_OPERATIONS
      const count = Math.min(MAX_OPERATIONS, wanted - from)
      const puts = Array.from({ length: count }, (_, k) => ({
        op: 'put' as const,
        key: `key ${from + k}`,
        value: `${k}`,
      }))
      const { txid } = await client.atomic(puts, { timeoutMs: PATIENCE_MS })
      await client.waitFor(txid, { timeoutMs: PATIENCE_MS })
    })
    there = Math.max(there, wanted)
    const any = () => `key ${Math.floor(random.uniform() * there)}`
    cells.push(
      ...cellsAt(wanted, {
        'put, in a block': await sample(calls, CELL_MS, (i) => putConfirmed(client, any(), `again ${i}`)),
        get: await sample(calls, CELL_MS, () => mustGet(client, any())),
        'get, absent': await sample(calls, CELL_MS, (i) => client.get(`absent ${i}`)),
      }),
    )
  }
  return cells
}

async function atSizes(client: KvClient, { sizes, calls }: SpeedOptions): Promise<Cell[]> {
  const cells: Cell[] = []
  for (const size of sizes) {
    const value = 'v'.repeat(size)
    const put = await sample(calls, CELL_MS, (i) => putConfirmed(client, `key ${i}`, value))
    const get = await sample(calls, CELL_MS, (i) => mustGet(client, `key ${i % put.count}`))
    cells.push(...cellsAt(size, { 'put, in a block': put, get }))
  }
  return cells
}

/** Does `work` for 0 to count-1, some of them at once. */
export async function grow(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(count, GROWING_AT_ONCE) }, lane))
}

function cellsAt(at: number, calls: Readonly<Record<string, Timings>>): Cell[] {
  return Object.entries(calls).map(([call, timings]) => ({ at, call, timings }))
}
