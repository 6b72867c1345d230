/** One large world for long, with writes all the time and checks now and then: how far one machine gets, and that all agree at the end. */
import { Random } from '../difficulty/random.js'
import { Checks } from './checks.js'
import { below } from './runtime.js'
import { makeWorld, type World } from './world.js'

export interface ScaleOptions {
  readonly seed: number
  readonly nodes: number
  /** Virtual. */
  readonly hours: number
  readonly intervalMs: number
  readonly writesPerMinute: number
}

const MINERS = 20
const HOUR_MS = 3_600_000
/** Lines of progress in all. */
const LINES = 24
const REST_MS = 600_000

/** Runs it; `print` gets a line now and then. Throws LabError. */
export async function runScale(options: ScaleOptions, print: (line: string) => void): Promise<void> {
  const { seed, hours, intervalMs, writesPerMinute } = options
  const began = performance.now()
  const random = new Random(seed, 0x5ca1e)
  const miners = Math.min(MINERS, options.nodes)
  const nodes = Array.from({ length: options.nodes }, (_, i) => ({ hashShare: i < miners ? 1 / miners : 0 }))
  const world = await makeWorld({
    seed,
    nodes,
    links: { delayMs: 40, jitterMs: 60 },
    network: { blockIntervalMs: intervalMs },
    bootstrap: 4,
    targetOutbound: 0,
    intervals: { pollMs: 60_000, lookMs: 10_000 },
  })
  const checks = new Checks(world, { fullEvery: Number.POSITIVE_INFINITY })
  const endMs = world.nowMs + hours * HOUR_MS
  const write = () => {
    const node = world.node(below(random, options.nodes))
    if (world.nowMs < endMs) void node.put(`key-${node.index}`, String(world.nowMs))
    if (world.nowMs < endMs) world.after((60_000 / writesPerMinute) * random.exponential(), write)
  }
  write()
  for (let i = 1; i <= LINES; i++) {
    await world.run((endMs * i) / LINES)
    checks.full()
    print(progress(world, began))
  }
  await world.rest(REST_MS)
  checks.atRest()
  print(`${progress(world, began)}; all agree, ${world.accepted.size} writes, events ${world.events.hash}`)
}

function progress(world: World, began: number): string {
  const { nodes, events, solved, nowMs } = world
  const height = Math.max(...nodes.map(({ tip }) => tip.header.height))
  const seconds = (performance.now() - began) / 1_000
  const stale = solved.length === 0 ? 0 : (100 * (solved.length - height)) / solved.length
  const memory = Math.round(process.memoryUsage().rss / 1e6)
  return (
    `${(nowMs / HOUR_MS).toFixed(2)} h of ${nodes.length} nodes in ${seconds.toFixed(0)} s: height ${height}, ` +
    `${stale.toFixed(1)} % stale, ${(events.count / 1e6).toFixed(2)} M events, ${world.links.counts.sent} messages, ${memory} MB`
  )
}
