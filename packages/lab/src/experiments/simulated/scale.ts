/**
 * Networks of up to a thousand whole nodes in virtual time: how far and how fast a block travels, and what a write costs when there are more of them. Owns the
 * load and the counts; time on a processor is not simulated, only lines and disks are.
 */
import { hex, unhex } from '@kvchain/node/runtime/hex'
import { Random } from '../../difficulty/random.js'
import { below } from '../../sim/runtime.js'
import { makeWorld, type World } from '../../sim/world.js'
import type { Bench } from '../report.js'
import { middle, type ScaleResult } from '../scaleRun.js'

export interface SimulatedScaleOptions {
  readonly nodes: readonly number[]
  /** Virtual, of idleness and then of load. */
  readonly minutes: number
  readonly writesPerMinute: number
}

/** Miners at most: more change nothing but the time that the simulation takes. */
const MINERS = 20
const BLOCK_MS = 10_000
/** A way over land: 40 to 100 ms, 10 Mbit/s. */
const LINKS = { delayMs: 40, jitterMs: 60, bytesPerMs: 1_250 }
/** Each node looks for so many connections, and is told of three peers at the start. */
const OUTBOUND = 6
const VALUE = 'x'.repeat(100)

/** One world after the other. */
export async function runSimulatedScale(options: SimulatedScaleOptions, bench: Bench): Promise<ScaleResult[]> {
  const results: ScaleResult[] = []
  for (const [i, nodes] of options.nodes.entries()) {
    bench.signal.throwIfAborted()
    bench.onProgress(i, options.nodes.length, `${nodes} nodes`)
    results.push(await measure(nodes, options, bench))
  }
  return results
}

async function measure(nodes: number, options: SimulatedScaleOptions, { seed, signal }: Bench): Promise<ScaleResult> {
  const miners = Math.min(MINERS, nodes)
  const world = await makeWorld({
    seed: seed * 7919 + nodes,
    nodes: Array.from({ length: nodes }, (_, i) => ({ hashShare: i < miners ? 1 / miners : 0 })),
    links: LINKS,
    network: { blockIntervalMs: BLOCK_MS },
    targetOutbound: OUTBOUND,
  })
  const phaseMs = options.minutes * 60_000
  // Until everybody has found whom to be connected with.
  await run(world, 60_000, signal)
  const idle = await counted(world, phaseMs, signal)
  const arrivals = new Arrivals(world)
  const written = load(world, phaseMs, options.writesPerMinute, new Random(seed, nodes))
  const busy = await counted(world, phaseMs, signal)
  // What was written last gets into a block still.
  await run(world, 10 * BLOCK_MS, signal)
  const seconds = phaseMs / 1_000
  const confirmed = world.node(0).up.ledger.store
  const writes = written.filter((txid) => confirmed.isIndexed(unhex(txid))).length
  return {
    nodes,
    writesPerSecond: writes / seconds,
    ...arrivals.spread(nodes),
    idleBytesPerSecond: idle / nodes / seconds,
    bytesPerSecond: busy / nodes / seconds,
    bytesPerWrite: (busy - idle) / Math.max(1, writes),
  }
}

async function counted(world: World, forMs: number, signal: AbortSignal): Promise<number> {
  const before = world.links.counts.bytes
  await run(world, forMs, signal)
  return world.links.counts.bytes - before
}

async function run(world: World, forMs: number, signal: AbortSignal): Promise<void> {
  const startMs = world.nowMs
  const steps = Math.ceil(forMs / BLOCK_MS)
  for (let i = 1; i <= steps; i++) {
    signal.throwIfAborted()
    await world.run(startMs + (forMs * i) / steps)
  }
}

/** Writes at random times, each at a node by lot. Fills the list that it returns. */
function load(world: World, forMs: number, perMinute: number, random: Random): string[] {
  const txids: string[] = []
  const endMs = world.nowMs + forMs
  const next = () => {
    world.after((60_000 / perMinute) * random.exponential(), () => {
      if (world.nowMs >= endMs) return
      const node = world.node(below(random, world.nodes.length))
      void node.put(`key ${node.index}`, VALUE).then((txid) => txids.push(txid))
      next()
    })
  }
  next()
  return txids
}

/** When nodes connected each block. */
class Arrivals {
  private readonly times = new Map<string, number[]>()

  constructor(world: World) {
    for (const node of world.nodes) {
      node.chain.steps.add(({ kind, node: { hash } }) => {
        if (kind !== 'connected') return
        const name = hex(hash)
        this.times.set(name, [...(this.times.get(name) ?? []), world.nowMs])
      })
    }
  }

  /** Of the blocks that every node has connected. */
  spread(nodes: number): { halfMs: number; allMs: number } {
    const whole = [...this.times.values()].filter(({ length }) => length >= nodes)
    const after = (part: number) =>
      middle(whole.map((times) => (times[Math.ceil(part * nodes) - 1] ?? 0) - (times[0] ?? 0)))
    return { halfMs: after(0.5), allMs: after(1) }
  }
}
