/**
 * YCSB's core workloads on a cluster: clients that send one operation after the other, spread over the nodes. A write counts as done when it
 * is in a block of the node that took it.
 */
import type { KvClient } from '@kvchain/client/kvClient'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import type { Cluster } from '../cluster.js'
import { Random } from '../difficulty/random.js'
import { LabError } from '../errors.js'
import { onCluster, writeOwnNetwork } from './laboratory.js'
import type { Bench } from './report.js'
import { summarize, type Timings, timed } from './timings.js'
import { Steps, type Workload } from './workloads.js'

export interface YcsbOptions {
  /** Sizes of the clusters. */
  readonly nodes: readonly number[]
  readonly workloads: readonly Workload[]
  /** Keys that are there before. */
  readonly records: number
  /** Bytes of a value. YCSB: ten fields of 100 bytes. */
  readonly valueBytes: number
  /** Operations of each workload, all clients together. */
  readonly operations: number
  readonly clients: number
}

export interface YcsbResult {
  readonly nodes: number
  readonly workload: Workload
  readonly operations: number
  readonly perSecond: number
  readonly read: Timings
  /** Updates, inserts, and the whole of read and modify. */
  readonly write: Timings
}

/** Hashes of a block: some 10 ms of one thread. */
const HASHES = 131_072n
const LOAD_OPERATIONS = 100
const PATIENCE_MS = 300_000

export async function runYcsb(
  options: YcsbOptions,
  bench: Bench,
  onStep: (what: string) => void,
): Promise<YcsbResult[]> {
  const results: YcsbResult[] = []
  for (const nodes of options.nodes) {
    const cluster = {
      nodes,
      network: (folder: string) => writeOwnNetwork(folder, { hashes: HASHES, settleDepth: 1 }),
      node: (index: number) => ({ mine: index === 0 && ('pending' as const), logLevel: 'warn' }),
    }
    await onCluster(cluster, bench.signal, async (running) => {
      await load(running, options)
      for (const [stream, workload] of options.workloads.entries()) {
        onStep(`YCSB ${workload}, ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`)
        results.push(await runWorkload(running, workload, new Random(bench.seed, stream), options, bench.signal))
      }
    })
  }
  return results
}

function keyOf(run: string, record: number): string {
  return `${run}/${record}`
}

/** The keys that every workload finds; anybody may write them. */
async function load(cluster: Cluster, { records, valueBytes, workloads }: YcsbOptions): Promise<void> {
  const { client } = cluster.at(0)
  const value = 'v'.repeat(valueBytes)
  for (const workload of workloads) {
    for (let from = 0; from < records; from += LOAD_OPERATIONS) {
      const count = Math.min(LOAD_OPERATIONS, records - from)
      const puts = Array.from({ length: count }, (_, i) => ({
        op: 'put' as const,
        key: keyOf(workload, from + i),
        value,
        access: 'open' as const,
      }))
      await client.waitFor((await client.atomic(puts)).txid, { timeoutMs: PATIENCE_MS })
    }
  }
  await cluster.waitForSameTip({ timeoutMs: PATIENCE_MS })
}

async function runWorkload(
  cluster: Cluster,
  workload: Workload,
  random: Random,
  options: YcsbOptions,
  signal: AbortSignal,
): Promise<YcsbResult> {
  const { operations, clients, records, valueBytes } = options
  const steps = new Steps(workload, records, operations, random)
  const reads: number[] = []
  const writes: number[] = []
  let left = operations
  const value = 'w'.repeat(valueBytes)
  const work = async (client: KvClient) => {
    while (left-- > 0) {
      signal.throwIfAborted()
      const { kind, record } = steps.next()
      const key = keyOf(workload, record)
      if (kind === 'read') reads.push(await timed(() => read(client, key, record < records)))
      else if (kind === 'modify') {
        writes.push(await timed(() => read(client, key, true).then(() => write(client, key, value, signal))))
      } else writes.push(await timed(() => write(client, key, value, signal, kind === 'insert')))
    }
  }
  const lanes = Array.from({ length: clients }, (_, i) => cluster.at(i % cluster.daemons.length).connect())
  const { clock } = systemRuntime()
  const startMs = clock.monotonicMs()
  try {
    await Promise.all(lanes.map(work))
  } finally {
    await Promise.all(lanes.map((client) => client.close()))
  }
  const perSecond = (1000 * operations) / (clock.monotonicMs() - startMs)
  const nodes = cluster.daemons.length
  return { nodes, workload, operations, perSecond, read: summarize(reads), write: summarize(writes) }
}

/** An insert of a moment ago may not have reached this node yet; a key that was there before must be. */
async function read(client: KvClient, key: string, mustBe: boolean): Promise<void> {
  const entry = await client.get(key)
  if (entry === undefined && mustBe) throw new LabError('lab-broken', `the key ${key} is gone`)
}

/** Only who makes a key may open it. */
async function write(client: KvClient, key: string, value: string, signal: AbortSignal, isNew = false): Promise<void> {
  const { txid } = await client.put(key, value, { signal, ...(isNew ? { access: 'open' as const } : {}) })
  await client.waitFor(txid, { timeoutMs: PATIENCE_MS, signal })
}
