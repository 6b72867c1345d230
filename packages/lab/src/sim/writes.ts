/**
 * Writes by lot: who writes what and when, drawn from a seed before anything happens, so that a plan can be shortened and played again. Owns the plan and its
 * playing; what became of a write is the world's to know.
 */
import { AssertionError, KvError } from '@kvchain/core/errors'
import type { Random } from '../difficulty/random.js'
import { below } from './runtime.js'
import type { World } from './world.js'

export interface Write {
  /** Virtual milliseconds after the plan begins. */
  readonly atMs: number
  readonly node: number
  readonly key: string
  /** Bytes of the value. */
  readonly length: number
}

const KEYS = 12
const MAX_LENGTH = 400

/** One write after the other within `overMs`, each at a node by lot; `everyMs` is the mean time between two. */
export function drawWrites(random: Random, nodes: number, everyMs: number, overMs: number): Write[] {
  const writes: Write[] = []
  // Times in thousandths, as the world has them.
  for (let atMs = 0; atMs < overMs; atMs += Math.round(1_000 * everyMs * random.exponential()) / 1_000) {
    writes.push({
      atMs,
      node: below(random, nodes),
      key: `key-${below(random, KEYS)}`,
      length: below(random, MAX_LENGTH),
    })
  }
  return writes
}

/** Has a plan happen from now on. */
export function playWrites(world: World, writes: readonly Write[]): void {
  for (const write of writes) {
    if (write.atMs === 0) put(world, write)
    else world.after(write.atMs, () => put(world, write))
  }
}

/** Has a node write now, if it runs. */
export function put(world: World, { node: index, key, length }: Omit<Write, 'atMs'>): void {
  const node = world.node(index)
  if (node.running === undefined) return
  node.put(key, `${Math.floor(world.nowMs)}`.padEnd(length, '.')).catch((cause: unknown) => {
    // Refused: a key of somebody else's, a full pool. A bug is none of that.
    if (!(cause instanceof KvError) || cause instanceof AssertionError) {
      world.failures.push({ node: index, message: 'a write failed', cause })
    }
  })
}
