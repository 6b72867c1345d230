/**
 * Faults by lot: what goes wrong in a world, when and for how long, drawn from a seed before anything happens; so a plan can be printed, shortened and
 * played again. Owns the plan and its playing; every fault ends by itself, and `endFaults` ends them all.
 */
import type { Random } from '../difficulty/random.js'
import { LAN, type LinkOptions } from './links.js'
import { below } from './runtime.js'
import type { World } from './world.js'
import { put } from './writes.js'

export type Fault = {
  /** Virtual milliseconds after the plan begins. */
  readonly atMs: number
  readonly forMs: number
} & (
  | { readonly kind: 'crash' | 'stop'; readonly node: number }
  | { readonly kind: 'partition'; readonly groups: readonly (readonly number[])[] }
  | { readonly kind: 'cut'; readonly from: number; readonly to: number }
  | { readonly kind: 'weather'; readonly links: LinkOptions }
)

const KINDS: readonly Fault['kind'][] = [
  'crash',
  'crash',
  'stop',
  'partition',
  'partition',
  'cut',
  'weather',
  'weather',
]

/** A plan of so many faults within `overMs`. */
export function drawFaults(random: Random, nodes: number, count: number, overMs: number): Fault[] {
  const faults = Array.from({ length: count }, () => drawFault(random, nodes, overMs))
  return faults.sort((a, b) => a.atMs - b.atMs)
}

function drawFault(random: Random, nodes: number, overMs: number): Fault {
  const when = { atMs: below(random, overMs), forMs: 500 + below(random, overMs / 3) }
  const kind = KINDS[below(random, KINDS.length)] ?? 'crash'
  switch (kind) {
    case 'crash':
    case 'stop':
      return { ...when, kind, node: below(random, nodes) }
    case 'partition': {
      const parts = 2 + below(random, 2)
      const part = Array.from({ length: nodes }, () => below(random, parts))
      const groups = Array.from({ length: parts }, (_, i) => part.flatMap((p, node) => (p === i ? [node] : [])))
      return { ...when, kind, groups }
    }
    case 'cut':
      return { ...when, kind, from: below(random, nodes), to: below(random, nodes) }
    default:
      return { ...when, kind: 'weather', links: drawWeather(random) }
  }
}

/** From fair to very bad: up to a fifth lost, up to half a second and as much jitter, lines of 16 to 1,000 kB a second. */
function drawWeather(random: Random): LinkOptions {
  return {
    delayMs: 1 + below(random, 500),
    jitterMs: below(random, 500),
    loss: below(random, 2) === 0 ? 0 : random.uniform() / 5,
    duplicates: below(random, 2) === 0 ? 0 : random.uniform() / 5,
    bytesPerMs: below(random, 2) === 0 ? Number.POSITIVE_INFINITY : 16 + below(random, 1_000),
  }
}

/** One line for a person. */
export function faultText({ atMs, forMs, ...what }: Fault): string {
  const span = `after ${(atMs / 1_000).toFixed(1)} s for ${(forMs / 1_000).toFixed(1)} s`
  const { kind, ...rest } = what
  return `${span}: ${kind} ${JSON.stringify(rest)}`
}

/** The fault in a world with fewer nodes, given where each of them is now; undefined when it happens to none that is left. */
export function faultAmong(fault: Fault, places: ReadonlyMap<number, number>): Fault | undefined {
  switch (fault.kind) {
    case 'crash':
    case 'stop': {
      const node = places.get(fault.node)
      return node === undefined ? undefined : { ...fault, node }
    }
    case 'partition':
      return { ...fault, groups: fault.groups.map((group) => group.flatMap((node) => places.get(node) ?? [])) }
    case 'cut': {
      const [from, to] = [places.get(fault.from), places.get(fault.to)]
      return from === undefined || to === undefined ? undefined : { ...fault, from, to }
    }
    default:
      return fault
  }
}

/** Has a plan happen from now on. */
export function playFaults(world: World, faults: readonly Fault[]): void {
  for (const fault of faults) {
    world.after(fault.atMs, () => begin(world, fault))
    world.after(fault.atMs + fault.forMs, () => end(world, fault))
  }
}

function begin(world: World, fault: Fault): void {
  switch (fault.kind) {
    case 'crash':
      if (world.node(fault.node).isUp) world.crash(fault.node)
      return
    case 'stop': {
      const node = world.node(fault.node)
      if (node.running !== undefined) void node.stop()
      return
    }
    case 'partition':
      world.partition(...fault.groups)
      return
    case 'cut':
      if (fault.from !== fault.to) world.cut(fault.from, fault.to)
      return
    case 'weather':
      world.links.set(fault.links)
  }
}

function end(world: World, fault: Fault): void {
  switch (fault.kind) {
    case 'crash':
    case 'stop':
      if (!world.node(fault.node).isUp) revive(world, fault.node)
      return
    case 'partition':
    case 'cut':
      world.heal()
      return
    case 'weather':
      world.links.set(LAN)
  }
}

/** Ends every fault: lines are whole and quick, and all nodes start. */
export function endFaults(world: World): void {
  world.heal()
  world.links.set(LAN)
  for (const { index, isUp } of world.nodes) if (!isUp) revive(world, index)
}

/**
 * A node that cannot start is a failure of the world's, which the checks find. Its client waited for it, and writes before it can have heard what others have of
 * its account.
 */
function revive(world: World, index: number): void {
  void world.restart(index).then(
    () => put(world, { node: index, key: `after life ${world.node(index).lives} of ${index}`, length: 1 }),
    (cause: unknown) => {
      world.failures.push({ node: index, message: 'the node does not start', cause })
    },
  )
}
