/**
 * The cluster scenario: real daemons on loopback, puts and gets at a constant rate, and what became of them. Owns the order of the measurement:
 * yardstick, cluster, warm-up, window, drain, yardstick; and the decision that a measurement does not count.
 */
import process from 'node:process'
import type { KvClient } from '@kvchain/client/kvClient'
import { makeGenesis } from '@kvchain/core/genesis'
import type { Network } from '@kvchain/core/params'
import { type Cluster, withCluster } from '@kvchain/lab/cluster'
import { LabError } from '@kvchain/lab/errors'
import { waitUntil } from '@kvchain/lab/wait'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { readNetwork } from '@kvchain/node/networkFile'
import { AbortError } from '@kvchain/node/runtime/errors'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { type BlockFacts, confirmedPerSecond, countSolved, readBlocks } from './blocks.js'
import { BenchError } from './errors.js'
import { GetLoad, PutLoad, type Window } from './loads.js'
import { type ClusterBenchOptions, usage } from './options.js'
import type { ClusterReport } from './report.js'
import {
  describeCommit,
  describeMachine,
  type ProcessCost,
  readMachineCpuSeconds,
  readProcessCost,
} from './resources.js'
import { Samples } from './samples.js'
import { summarize } from './stats.js'
import { type BatchShape, BatchWriter, batchBytes, Material, PutWriter, type Writer } from './writers.js'
import { measureVerifyRate } from './yardstick.js'

/** To each node: what is written in parallel shall not wait for one socket. */
const CONNECTIONS_PER_NODE = 4
/** Until the first blocks hold puts, and caches and compilers are warm. */
const WARMUP_INTERVALS = 2
const MIN_WARMUP_MS = 3_000
const MAX_WARMUP_MS = 30_000
/** How long the last puts may take to be confirmed. */
const DRAIN_MS = 120_000
/** A generator that begins more than one in a hundred puts later than this was not offering what it says. */
const MAX_LATE_MS = 250
const LEAD_MS = 100

const { clock, timers } = systemRuntime()

/** What the window gave, before it is put into words. */
interface Measured {
  readonly window: Window
  readonly puts: PutLoad
  readonly gets: GetLoad
  readonly samples: Samples
  readonly lateMs: readonly number[]
  readonly blocks: readonly BlockFacts[]
  /** Blocks that the nodes solved, from the first after genesis up to the last of `blocks`. */
  readonly solved: number
  readonly costs: readonly (ProcessCost | undefined)[]
  readonly benchCpuSeconds: number
  readonly otherCpuSeconds: number | undefined
}

/** Throws BenchError: `bench-usage` when the network cannot take such puts, `bench-void`, `bench-cancelled`. */
export async function runClusterScenario(
  options: ClusterBenchOptions,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<ClusterReport> {
  const network = await readBenchNetwork(options)
  const warmupMs = Math.min(MAX_WARMUP_MS, Math.max(MIN_WARMUP_MS, WARMUP_INTERVALS * network.params.blockIntervalMs))
  const date = new Date(clock.nowMs()).toISOString()
  const before = measureVerifyRate()
  say(`${options.nodes} daemons start`)
  const node = (index: number) => ({ mine: index < options.miners, logLevel: 'debug' })
  const clusterOptions = { nodes: options.nodes, network: options.network, node }
  const measured = await withCluster(clusterOptions, (cluster) =>
    measure(cluster, network, options, warmupMs, signal, say).catch(unlessCancelled(signal)),
  )
  if (measured === undefined) throw new BenchError('bench-cancelled', 'called off')
  const after = measureVerifyRate()
  const late = summarize(measured.lateMs)
  if (late !== undefined && late.p99 > MAX_LATE_MS) {
    const text = `void: the offered load could not be generated (one put in a hundred began ${Math.round(late.p99)} ms late or more)`
    throw new BenchError('bench-void', text, { p99LateMs: late.p99 })
  }
  return {
    scenario: 'cluster',
    date,
    ...(await describeCommit()),
    machine: describeMachine(),
    options,
    warmupSeconds: warmupMs / 1000,
    yardstick: { before, after },
    ...toFigures(measured, options, (before + after) / 2),
  }
}

/** Lets a cancelled measurement end well, so that nothing is kept of it; any other failure goes on. */
function unlessCancelled(signal: AbortSignal): (error: unknown) => undefined {
  return (error) => {
    if (!signal.aborted) throw error
    return undefined
  }
}

async function readBenchNetwork(options: ClusterBenchOptions): Promise<Network> {
  const network = await readNetwork(options.network)
  const { minFeePerByte, maxValueBytes, maxTransactionBytes } = network.params
  if (minFeePerByte > 0) throw usage(`network ${network.name} takes fees, and the bench has no coins`)
  if (options.valueBytes > maxValueBytes) {
    throw usage(`--value-size ${options.valueBytes} is more than the ${maxValueBytes} of network ${network.name}`)
  }
  const bytes = batchBytes(batchShape(network, options))
  if (bytes <= maxTransactionBytes) return network
  throw usage(`--batch ${options.batch} makes transactions of ${bytes} bytes; the network takes ${maxTransactionBytes}`)
}

function batchShape(network: Network, { batch, valueBytes }: ClusterBenchOptions): BatchShape {
  return { genesisHash: makeGenesis(sha256, network).hash, material: new Material(valueBytes), batch }
}

async function measure(
  cluster: Cluster,
  network: Network,
  options: ClusterBenchOptions,
  warmupMs: number,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<Measured> {
  const ending = new AbortController()
  const watching = AbortSignal.any([signal, ending.signal])
  const connections: KvClient[] = []
  const connect = (node: number) => {
    const client = cluster.at(node).connect()
    connections.push(client)
    return client
  }
  try {
    await cluster.waitForPeers()
    const nodes = cluster.daemons.map((_, node) => connect(node))
    const samples = new Samples(nodes)
    const watched = samples.watch(watching)
    await waitUntil(() => samples.tips.every((tips) => tips.size > 0), { what: 'a tip', signal })
    say(`${warmupMs / 1000} s of warm-up, then ${options.seconds} s`)
    const startMs = clock.monotonicMs() + LEAD_MS
    const fromMs = startMs + warmupMs
    const window = { startMs, fromMs, untilMs: fromMs + options.seconds * 1000 }
    const writers = makeWriters(network, options, connect, signal)
    const puts = new PutLoad(writers, samples, window)
    const gets = new GetLoad(
      nodes.map((_, node) => connect(node)),
      samples,
      window,
    )
    const loads = [
      options.rate === 'max'
        ? puts.saturate(nodes, signal).then(() => [])
        : puts.offer(options.rate / options.batch, signal),
      gets.offer(options.reads, signal),
    ]
    const [[lateMs = []], costs] = await Promise.race([
      Promise.all([Promise.all(loads), measureCosts(cluster, window, signal)]),
      // Ends before the others only by failing.
      watched.then(() => Promise.reject(new AbortError('the measurement'))),
    ])
    say('the last puts are being confirmed')
    await drain(cluster, [puts, gets], samples, signal)
    const blocks = await readBlocks(connect(0), 0, samples.tips)
    const tipHeight = blocks.at(-1)?.height ?? 0
    const solved = await Promise.all(cluster.daemons.map(({ logFile }) => countSolved(logFile, tipHeight)))
    ending.abort()
    await watched.catch(() => {})
    return { window, puts, gets, samples, lateMs, blocks, solved: solved.reduce((a, b) => a + b, 0), ...costs }
  } finally {
    ending.abort()
    await Promise.all(connections.map((connection) => connection.close()))
  }
}

/** Takes turns between the nodes, so that neighbours in time never meet in a node. */
function makeWriters(
  network: Network,
  options: ClusterBenchOptions,
  connect: (node: number) => KvClient,
  signal: AbortSignal,
): Writer[] {
  const shape = batchShape(network, options)
  return Array.from({ length: options.nodes * CONNECTIONS_PER_NODE }, (_, i) => {
    const node = i % options.nodes
    return options.batch === 1
      ? new PutWriter(node, connect(node), shape.material)
      : new BatchWriter(node, connect(node), shape, signal)
  })
}

/** CPU time spent in the window alone, memory at its end. */
async function measureCosts(
  cluster: Cluster,
  { fromMs, untilMs }: Window,
  signal: AbortSignal,
): Promise<Pick<Measured, 'costs' | 'benchCpuSeconds' | 'otherCpuSeconds'>> {
  await timers.sleep(fromMs - clock.monotonicMs(), signal)
  const before = await readCosts(cluster)
  await timers.sleep(untilMs - clock.monotonicMs(), signal)
  const after = await readCosts(cluster)
  const costs = after.nodes.map((end, node) => {
    const start = before.nodes[node]
    if (end === undefined || start === undefined) return undefined
    return {
      cpuSeconds: end.cpuSeconds - start.cpuSeconds,
      mainThreadCpuSeconds: end.mainThreadCpuSeconds - start.mainThreadCpuSeconds,
      peakRssBytes: end.peakRssBytes,
    }
  })
  const benchCpuSeconds = after.bench - before.bench
  const known = costs.reduce((sum, cost) => sum + (cost?.cpuSeconds ?? 0), benchCpuSeconds)
  const otherCpuSeconds =
    after.machine === undefined || before.machine === undefined
      ? undefined
      : Math.max(0, after.machine - before.machine - known)
  return { costs, benchCpuSeconds, otherCpuSeconds }
}

async function readCosts(cluster: Cluster) {
  const [nodes, machine] = await Promise.all([
    Promise.all(cluster.daemons.map(({ pid }) => readProcessCost(pid))),
    readMachineCpuSeconds(),
  ])
  const { user, system } = process.cpuUsage()
  return { nodes, machine, bench: (user + system) / 1e6 }
}

/** Resolves when every request has its answer and no node has anything unconfirmed, or when that takes too long. */
async function drain(
  cluster: Cluster,
  loads: readonly { readonly meter: { readonly open: number } }[],
  samples: Samples,
  signal: AbortSignal,
): Promise<void> {
  const isDrained = async () => {
    if (loads.some(({ meter }) => meter.open > 0)) return false
    const states = await Promise.all(cluster.daemons.map((daemon) => daemon.status()))
    return states.every(({ mempool }) => mempool.transactions === 0) && samples.open === 0
  }
  try {
    await waitUntil(isDrained, { what: 'confirmation of the last puts', timeoutMs: DRAIN_MS, everyMs: 200, signal })
    await cluster.waitForSameTip()
  } catch (error) {
    // The report then says how many are missing.
    if (!(error instanceof LabError && error.code === 'lab-timeout')) throw error
  }
}

type Figures = Pick<ClusterReport, 'puts' | 'gets' | 'blocks' | 'nodes' | 'benchCpuSeconds' | 'otherCpuSeconds'>

function toFigures(measured: Measured, options: ClusterBenchOptions, verifyRate: number): Figures {
  const { window, puts, gets, samples, lateMs, blocks } = measured
  const { startMs, fromMs, untilMs } = window
  const inWindow = blocks.filter(({ firstMs }) => firstMs >= fromMs && firstMs < untilMs)
  const intervals = inWindow.slice(1).map(({ firstMs }, i) => firstMs - (inWindow[i]?.firstMs ?? firstMs))
  const confirmedRate = confirmedPerSecond(blocks, window)
  const confirmedInAll = blocks.reduce((sum, block) => sum + block.puts, 0)
  const lastMs = blocks.findLast((block) => block.puts > 0)?.everywhereMs
  const stale = measured.solved - blocks.length
  const windowSeconds = options.seconds
  return {
    puts: {
      acceptedPerSecond: (puts.meter.doneInWindow * options.batch) / windowSeconds,
      confirmedPerSecond: confirmedRate,
      confirmedPerSecondUntilDrained: lastMs === undefined ? undefined : (confirmedInAll * 1000) / (lastMs - startMs),
      ratioToYardstick: confirmedRate === undefined ? undefined : confirmedRate / verifyRate,
      acceptedInAll: puts.meter.done * options.batch,
      confirmedInAll,
      failedInBlock: blocks.reduce((sum, block) => sum + block.failed, 0),
      refused: puts.meter.failures.toJSON(),
      lost: samples.lost.toJSON(),
      latencyMs: {
        accepted: summarize(puts.meter.latencyMs),
        visibleElsewhere: summarize(samples.visibleMs),
        confirmed: summarize(samples.confirmedMs),
      },
      lateMs: summarize(lateMs),
    },
    gets: {
      perSecond: gets.meter.doneInWindow / windowSeconds,
      latencyMs: summarize(gets.meter.latencyMs),
      missing: gets.missing,
      refused: gets.meter.failures.toJSON(),
    },
    blocks: {
      count: inWindow.length,
      intervalMs: summarize(intervals),
      transactions: summarize(inWindow.map(({ transactions }) => transactions)),
      spreadMs: summarize(inWindow.map(({ firstMs, everywhereMs }) => everywhereMs - firstMs)),
      stale,
      staleRate: stale / Math.max(1, measured.solved),
    },
    nodes: measured.costs.map((cost, node) => ({ mines: node < options.miners, cost })),
    benchCpuSeconds: measured.benchCpuSeconds,
    otherCpuSeconds: measured.otherCpuSeconds,
  }
}
