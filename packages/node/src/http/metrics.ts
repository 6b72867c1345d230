/**
 * The figures for Prometheus. Owns their names and what they count; reads the parts of the node when it is asked, and counts what passes by
 * in between. Labels come from bounded sets only: methods, error names, routes, directions, reasons.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { targetWork } from '@kvchain/core/pow'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Chain, ChainStep } from '../chain/chain.js'
import type { ReorgWatch } from '../chain/reorgWatch.js'
import type { Mempool } from '../mempool/mempool.js'
import type { Miner } from '../miner/miner.js'
import type { CallRecord } from '../rpc/dispatcher.js'

export interface MetricsOptions {
  readonly version: string
  readonly network: string
  readonly dataDir: string
}

/** What is measured. */
export interface MetricsParts {
  readonly chain: Pick<Chain, 'tip' | 'steps'>
  readonly mempool: Pick<Mempool, 'size' | 'bytes' | 'dropped'>
  readonly miner: Pick<Miner, 'active' | 'solved'>
  readonly reorgs: Pick<ReorgWatch, 'reorgs'>
  /** Hashes in a second. */
  hashRate(): number
  isSyncing(): boolean
  directions(): readonly ('inbound' | 'outbound')[]
}

/** From a read in memory to a wait for confirmations. */
const CALL_SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60]
const REORG_BLOCKS = [1, 2, 3, 6, 12, 24, 100]
/** The library calls these gauges totals, which is a counter's name; their sums over types are no loss. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

export class Metrics {
  /** Of the answer of `text`. */
  readonly contentType: string
  private readonly registry = new Registry()
  private readonly calls: Counter<'method' | 'outcome'>
  private readonly callSeconds: Histogram<'method'>
  private readonly requests: Counter<'verb' | 'route' | 'status'>
  private readonly undo: (() => void)[] = []

  constructor(
    private readonly options: MetricsOptions,
    private readonly parts: MetricsParts,
  ) {
    const registers = [this.registry]
    this.contentType = this.registry.contentType
    collectDefaultMetrics({ register: this.registry })
    for (const name of MISNAMED) this.registry.removeSingleMetric(name)
    this.calls = new Counter({
      name: 'kvchain_rpc_calls_total',
      help: 'Calls of methods, over the socket and over HTTP, by what came of them.',
      labelNames: ['method', 'outcome'],
      registers,
    })
    this.callSeconds = new Histogram({
      name: 'kvchain_rpc_call_duration_seconds',
      help: 'How long calls of methods took.',
      labelNames: ['method'],
      buckets: CALL_SECONDS,
      registers,
    })
    this.requests = new Counter({
      name: 'kvchain_http_requests_total',
      help: 'HTTP requests, by how they were answered.',
      labelNames: ['verb', 'route', 'status'],
      registers,
    })
    this.addGauges()
    this.countPassing()
  }

  /** Everything, in the text format of Prometheus. */
  text(): Promise<string> {
    return this.registry.metrics()
  }

  onCall({ method, outcome, durationMs }: CallRecord): void {
    this.calls.inc({ method, outcome })
    this.callSeconds.observe({ method }, durationMs / 1000)
  }

  /** @param route the pattern of the path, never the path itself. */
  onRequest(verb: string, route: string, status: number): void {
    this.requests.inc({ verb, route, status })
  }

  /** Looks on no more. */
  stop(): void {
    for (const step of this.undo) step()
    this.registry.clear()
  }

  private addGauges(): void {
    const { parts, options } = this
    const { chain, mempool, miner } = parts
    const { version, network, dataDir } = options
    const tip = () => chain.tip.header
    this.gauge('build_info', 'Which daemon this is; always 1.', () => 1, { version, network })
    this.gauge('tip_height', 'Height of the tip.', () => tip().height)
    this.gauge('tip_timestamp_seconds', 'When the tip says it was made.', () => tip().timestampMs / 1000)
    this.gauge('chainwork_hashes', 'Expected hashes of the whole main chain.', () => Number(chain.tip.chainwork))
    this.gauge('block_work_hashes', 'Expected hashes for the block at the tip.', () => Number(targetWork(tip().target)))
    this.gauge('mempool_transactions', 'Transactions that wait for a block.', () => mempool.size)
    this.gauge('mempool_bytes', 'Bytes of the transactions that wait for a block.', () => mempool.bytes)
    this.gauge('syncing', '1 while blocks of peers are being caught up with.', () => Number(parts.isSyncing()))
    this.gauge('mining', '1 while a block is being sought.', () => Number(miner.active))
    this.gauge('hash_rate', 'Hashes in a second, of late.', () => parts.hashRate())
    this.gauge('data_bytes', 'Bytes of the data folder on disk.', () => folderBytes(dataDir))
    const peers = new Gauge({
      name: 'kvchain_peers',
      help: 'Connected peers.',
      labelNames: ['direction'],
      registers: [this.registry],
      collect: () => {
        const directions = parts.directions()
        for (const direction of ['inbound', 'outbound'] as const) {
          peers.set({ direction }, directions.filter((one) => one === direction).length)
        }
      },
    })
  }

  private gauge(name: string, help: string, read: () => number | Promise<number>, labels: Record<string, string> = {}) {
    const gauge: Gauge = new Gauge({
      name: `kvchain_${name}`,
      help,
      labelNames: Object.keys(labels),
      registers: [this.registry],
      collect: async () => {
        gauge.set(labels, await read())
      },
    })
  }

  private counter(name: string, help: string): Counter {
    return new Counter({ name: `kvchain_${name}`, help, registers: [this.registry] })
  }

  private countPassing(): void {
    const { chain, mempool, miner, reorgs } = this.parts
    const connected = this.counter('blocks_connected_total', 'Blocks that joined the main chain.')
    const disconnected = this.counter('blocks_disconnected_total', 'Blocks that a reorg took off the main chain.')
    const transactions = this.counter('transactions_connected_total', 'Transactions of the blocks that joined.')
    const mined = this.counter('blocks_mined_total', 'Blocks that this daemon solved.')
    const depth = new Histogram({
      name: 'kvchain_reorg_depth_blocks',
      help: 'Reorgs, by how many blocks they took off the main chain.',
      buckets: REORG_BLOCKS,
      registers: [this.registry],
    })
    const lost = this.counter('reorg_lost_versions_total', 'Versions of keys that reorgs took away.')
    const dropped = new Counter({
      name: 'kvchain_mempool_dropped_total',
      help: 'Transactions that left the mempool without a block.',
      labelNames: ['reason'],
      registers: [this.registry],
    })
    const onStep = ({ kind, transactions: included }: ChainStep) => {
      ;(kind === 'connected' ? connected : disconnected).inc()
      if (kind === 'connected') transactions.inc(included.length)
    }
    this.undo.push(
      chain.steps.add(onStep),
      miner.solved.add(() => mined.inc()),
      mempool.dropped.add(({ reason }) => dropped.inc({ reason })),
      reorgs.reorgs.add((reorg) => {
        depth.observe(reorg.depth)
        lost.inc(reorg.lostCount)
      }),
    )
  }
}

/** Files come and go while the database works: what is gone counts nothing. */
async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
