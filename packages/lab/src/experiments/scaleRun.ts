/**
 * More and more real daemons on one machine, all linked with all: what a write costs them, and how fast it spreads. Owns the load and the counts. Bytes are
 * those that pass the links, encryption and all.
 */
import type { KvClient } from '@kvchain/client/kvClient'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import type { Cluster } from '../cluster.js'
import { waitUntil } from '../wait.js'
import { onCluster, writeOwnNetwork } from './laboratory.js'
import type { Bench } from './report.js'

export interface ScaleOptions {
  /** How many daemons, one case for each. */
  readonly nodes: readonly number[]
  /** Of idleness, and then of load. */
  readonly seconds: number
}

/** One size of the network, real or simulated. */
export interface ScaleResult {
  readonly nodes: number
  /** Writes that were in a block, in a second of the load. */
  readonly writesPerSecond: number
  /** From the first node that had a block to half of the nodes, and to all of them: middle of the blocks that were watched. */
  readonly halfMs: number
  readonly allMs: number
  /** Sent by a node in a second without load, and with it. */
  readonly idleBytesPerSecond: number
  readonly bytesPerSecond: number
  /** Sent by all nodes together for each write, what idleness costs taken off. */
  readonly bytesPerWrite: number
}

/** A block of one thread takes some tenths of a second to a second. */
const HASHES = 4_000_000n
/** Writes under way at a time, over all daemons. */
const LANES = 48
const BEAT = 'beat'
const BEAT_MS = 700
const VALUE = 'x'.repeat(100)
/** Before the load is measured. */
const WARM_UP_MS = 2_000
const PATIENCE_MS = 120_000
const { clock, timers } = systemRuntime()

/** One cluster after the other. */
export async function runScale({ nodes, seconds }: ScaleOptions, bench: Bench): Promise<ScaleResult[]> {
  const results: ScaleResult[] = []
  for (const [i, count] of nodes.entries()) {
    bench.onProgress(i, nodes.length, `${count} daemons`)
    const options = {
      nodes: count,
      network: (folder: string) => writeOwnNetwork(folder, { hashes: HASHES }),
      join: 'links' as const,
      node: (index: number) => ({
        mine: index === 0 && ('always' as const),
        logLevel: 'warn',
        startTimeoutMs: 120_000,
      }),
    }
    results.push(
      await onCluster(options, bench.signal, async (cluster) => {
        await cluster.waitForPeers(count - 1, { timeoutMs: 120_000 })
        return measure(cluster, count, seconds * 1_000, bench.signal)
      }),
    )
  }
  return results
}

async function measure(cluster: Cluster, nodes: number, phaseMs: number, signal: AbortSignal): Promise<ScaleResult> {
  const idle = await counted(cluster, nodes, phaseMs, undefined, signal)
  const ending = new AbortController()
  const load = new Load(cluster, ending.signal)
  const beats = new Beats(
    cluster.daemons.map(({ client }) => client),
    ending.signal,
  )
  try {
    await timers.sleep(WARM_UP_MS, signal)
    if (load.confirmed === 0) await load.confirmsMore(signal)
    const busy = await counted(cluster, nodes, phaseMs, load, signal)
    const writesPerSecond = busy.writes / busy.seconds
    const perNode = (bytes: number) => bytes / nodes / busy.seconds
    const idleBytesPerSecond = idle.bytes / nodes / idle.seconds
    const surplus = busy.bytes - idleBytesPerSecond * nodes * busy.seconds
    return {
      nodes,
      writesPerSecond,
      ...beats.spread(),
      idleBytesPerSecond,
      bytesPerSecond: perNode(busy.bytes),
      bytesPerWrite: surplus / Math.max(1, busy.writes),
    }
  } finally {
    ending.abort()
    await Promise.all([load.ended, beats.ended])
  }
}

/** Bytes over all links and writes, in so long, or longer, until a block had writes. */
async function counted(cluster: Cluster, nodes: number, forMs: number, load: Load | undefined, signal: AbortSignal) {
  const writes = () => load?.confirmed ?? 0
  const carried = () => {
    let bytes = 0
    for (let from = 0; from < nodes; from++) {
      for (let to = 0; to < nodes; to++) if (from !== to) bytes += cluster.links.carried(from, to)
    }
    return bytes
  }
  const [startMs, startBytes, startWrites] = [clock.monotonicMs(), carried(), writes()]
  await timers.sleep(forMs, signal)
  if (writes() === startWrites) await load?.confirmsMore(signal)
  const seconds = (clock.monotonicMs() - startMs) / 1_000
  return { seconds, bytes: carried() - startBytes, writes: writes() - startWrites }
}

/** So many writers, one write each at a time, over all daemons in turn. */
class Load {
  confirmed = 0
  readonly ended: Promise<unknown>

  constructor(cluster: Cluster, signal: AbortSignal) {
    const lanes = Array.from({ length: LANES }, (_, lane) => {
      const { client } = cluster.at(lane % cluster.daemons.length)
      return this.write(client, `lane ${lane}`, signal)
    })
    this.ended = Promise.all(lanes)
  }

  /** Resolves when another write is in a block. Throws LabError `lab-timeout`. */
  async confirmsMore(signal: AbortSignal): Promise<void> {
    const before = this.confirmed
    await waitUntil(() => this.confirmed > before, { what: 'a block with writes', timeoutMs: PATIENCE_MS, signal })
  }

  private async write(client: KvClient, key: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const { txid } = await client.put(key, VALUE, { signal })
        await client.waitFor(txid, { signal })
        this.confirmed++
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }
}

/** A key that is written now and again, watched on every daemon. */
class Beats {
  readonly ended: Promise<unknown>
  /** When each daemon told of each version, in monotonic time. */
  private readonly seen = new Map<number, number[]>()

  constructor(
    private readonly clients: readonly KvClient[],
    signal: AbortSignal,
  ) {
    const watching = clients.map((client) => this.watch(client, signal))
    this.ended = Promise.all([this.beat(signal), ...watching])
  }

  private async beat(signal: AbortSignal): Promise<void> {
    try {
      for (let count = 0; ; count++) {
        await this.clients[0]?.put(BEAT, `${count}`, { signal })
        await timers.sleep(BEAT_MS, signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  private async watch(client: KvClient, signal: AbortSignal): Promise<void> {
    try {
      for await (const { events } of client.watch({ key: BEAT }, { signal })) {
        const nowMs = clock.monotonicMs()
        for (const event of events) {
          if (event.kind === 'put') this.seen.set(event.version, [...(this.seen.get(event.version) ?? []), nowMs])
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  /** Of the versions that every daemon has told of. */
  spread(): { halfMs: number; allMs: number } {
    const whole = [...this.seen.values()].filter(({ length }) => length === this.clients.length)
    const after = (part: number) =>
      middle(whole.map((times) => (times[Math.ceil(part * times.length) - 1] ?? 0) - (times[0] ?? 0)))
    return { halfMs: after(0.5), allMs: after(1) }
  }
}

/** NaN of nothing. */
export function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
