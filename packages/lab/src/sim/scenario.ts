/**
 * A small world drawn from a seed, in which everything goes wrong for some minutes while clients write, and which must then come to rest. Owns the drawing,
 * the clients and the order of things; what must hold is checks.ts's. The whole is a function of the seed: a failure is found again by it.
 */
import { AssertionError, KvError } from '@kvchain/core/errors'
import { hex, unhex } from '@kvchain/node/runtime/hex'
import { Random } from '../difficulty/random.js'
import { LabError } from '../errors.js'
import { BEHAVIOURS } from './behaviours.js'
import { Checks } from './checks.js'
import { drawFaults, endFaults, type Fault, faultText, playFaults } from './faults.js'
import { broken } from './replay.js'
import { below } from './runtime.js'
import type { SimNode } from './simNode.js'
import { makeWorld, type NodeSpec, type World, type WorldOptions } from './world.js'

export interface Scenario {
  readonly options: WorldOptions
  readonly faults: readonly Fault[]
  /** Virtual milliseconds during which faults and writes happen. */
  readonly trouble: number
  /** Mean virtual time between two writes. */
  readonly writeEveryMs: number
}

export interface ScenarioResult {
  /** Rolling hash of all events. */
  readonly hash: string
  readonly events: number
  readonly virtualMs: number
  readonly height: number
  readonly accepted: number
  /** Blocks that were solved and are on nobody's main chain. */
  readonly stale: number
  readonly checks: { readonly cheap: number; readonly full: number }
}

const CLOCK_MS = 15_000
/** After the last fault all must agree within this: a few rounds of sync and the longest back-off of a dial, and some blocks. */
const REST_MS = 600_000
/** How often is looked whether there is rest. */
const LOOK_MS = 1_000
const KEYS = 12

/** The scenario of a seed. */
export function drawScenario(seed: number): Scenario {
  const random = new Random(seed, 0x5c)
  const count = 4 + below(random, 4)
  const blockIntervalMs = 2_000 + below(random, 8_000)
  const nodes: NodeSpec[] = Array.from({ length: count }, (_, i) => ({
    hashShare: i < 2 || below(random, 2) === 0 ? 0.1 + random.uniform() : 0,
    clockOffsetMs: below(random, 4) === 0 ? below(random, 2 * CLOCK_MS) - CLOCK_MS : 0,
  }))
  const traitor = new Random(seed, 0xb2)
  const behaviour = below(traitor, 3) === 0 ? BEHAVIOURS[below(traitor, BEHAVIOURS.length)] : undefined
  if (behaviour !== undefined) {
    const honest = nodes.reduce((sum, { hashShare = 0 }) => sum + hashShare, 0)
    nodes.push({ hashShare: (honest * below(traitor, 40)) / 100, byzantine: behaviour() })
  }
  const total = nodes.reduce((sum, { hashShare = 0 }) => sum + hashShare, 0)
  const trouble = 60_000 + below(random, 120_000)
  const hasTinyPool = below(random, 4) === 0
  return {
    options: {
      seed,
      nodes: nodes.map((node) => ({ ...node, hashShare: (node.hashShare ?? 0) / total })),
      network: { blockIntervalMs, settleDepth: 2 + below(random, 5), maxFutureMs: 60_000 },
      bootstrap: 1 + below(random, 3),
      ...(hasTinyPool ? { poolLimits: { transactions: 4 + below(random, 12), perAccount: 4 } } : {}),
    },
    faults: drawFaults(random, nodes.length, 2 + below(random, 8), trouble),
    trouble,
    writeEveryMs: 500 + below(random, 5_000),
  }
}

/** One line for each thing that a person wants to know of a scenario. */
export function scenarioText({ options, faults, trouble, writeEveryMs }: Scenario): string[] {
  const shares = options.nodes
    .map(({ hashShare = 0, byzantine }) => `${Math.round(hashShare * 100)} %${byzantine ? ` (${byzantine.name})` : ''}`)
    .join(', ')
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`
  return [
    `${options.nodes.length} nodes with ${shares} of the hashing power, a block each ${seconds(options.network?.blockIntervalMs ?? 0)}`,
    `a write each ${seconds(writeEveryMs)}, ${faults.length} faults in ${seconds(trouble)}`,
    ...faults.map(faultText),
  ]
}

/** Plays a scenario. Throws LabError `lab-broken` for what does not hold, with how to see it again. */
export async function playScenario(scenario: Scenario): Promise<ScenarioResult> {
  const { options, faults, trouble, writeEveryMs } = scenario
  try {
    const world = await makeWorld(options)
    const checks = new Checks(world, { fullEvery: 2_000 })
    const random = new Random(options.seed, 0x77)
    playFaults(world, faults)
    const endMs = world.nowMs + trouble
    writeNow(world, random, writeEveryMs, endMs)
    await world.run(endMs)
    endFaults(world)
    await rest(world)
    checks.atRest()
    return resultOf(world, checks)
  } catch (error) {
    if (!(error instanceof KvError)) throw error
    const replay = `node packages/lab/dist/sim/main.js scenario --seed ${options.seed}`
    throw new LabError('lab-broken', `${error.message}\nto see it again: ${replay}`, {}, error)
  }
}

/** One write after the other, each at a node by lot. */
function writeNow(world: World, random: Random, everyMs: number, endMs: number): void {
  const node = world.node(below(random, world.nodes.length))
  const key = `key-${below(random, KEYS)}`
  const value = `${Math.floor(world.nowMs)}`.padEnd(below(random, 400), '.')
  if (node.running !== undefined) {
    node.put(key, value).catch((cause: unknown) => {
      // Refused: a key of somebody else's, a full pool. A bug is none of that.
      if (!(cause instanceof KvError) || cause instanceof AssertionError) {
        world.failures.push({ node: node.index, message: 'a write failed', cause })
      }
    })
  }
  const nextMs = everyMs * random.exponential()
  if (world.nowMs + nextMs < endMs) world.after(nextMs, () => writeNow(world, random, everyMs, endMs))
}

/** Until all honest nodes agree and every accepted write is on the chain. */
async function rest(world: World): Promise<void> {
  const honest = world.nodes.filter(({ isHonest }) => isHonest)
  const latestMs = world.nowMs + REST_MS
  while (!isAtRest(honest, world)) {
    if (world.nowMs >= latestMs)
      throw broken(`seed ${world.options.seed}: no rest ${REST_MS} ms after the last fault${restText(world)}`)
    await world.run(world.nowMs + LOOK_MS)
  }
}

function isAtRest(nodes: readonly SimNode[], { accepted }: World): boolean {
  if (nodes.some(({ running }) => running === undefined)) return false
  if (new Set(nodes.map(({ tipHash }) => tipHash)).size > 1) return false
  const txids = [...accepted.keys()].map(unhex)
  return nodes.every(
    ({ ledger: { chain, store } }) => !chain.isCommitting && txids.every((txid) => store.isIndexed(txid)),
  )
}

/** Where everybody stands, for whoever has to find out why. */
export function restText({ nodes, accepted }: World): string {
  return nodes
    .map(({ index, running }) => {
      if (running === undefined) return `\nnode ${index}: down`
      const { chain, store, mempool } = running.ledger
      const missing = [...accepted.keys()].filter((txid) => !store.isIndexed(unhex(txid))).length
      const peers = running.transport.host.peerIds().length
      return `\nnode ${index}: height ${chain.tip.header.height} ${hex(chain.tip.hash).slice(0, 8)}, ${peers} peers, ${mempool.size} pooled, ${missing} missing`
    })
    .join('')
}

function resultOf(world: World, { counts }: Checks): ScenarioResult {
  const [node] = world.nodes.filter(({ isHonest }) => isHonest)
  const { height } = node?.tip.header ?? { height: 0 }
  const { hash, count } = world.events
  return {
    hash,
    events: count,
    virtualMs: world.nowMs,
    height,
    accepted: world.accepted.size,
    stale: world.solved.length - height,
    checks: counts,
  }
}
