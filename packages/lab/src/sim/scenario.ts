/**
 * A small world drawn from a seed, in which everything goes wrong for some minutes while clients write, and which must then come to rest. Owns the drawing
 * and the order of things; what must hold is checks.ts's. The whole is a function of the seed: a failure is found again by it.
 */
import process from 'node:process'
import { KvError } from '@kvchain/core/errors'
import { Random } from '../difficulty/random.js'
import { LabError } from '../errors.js'
import { BEHAVIOURS } from './behaviours.js'
import { Checks } from './checks.js'
import { drawFaults, endFaults, type Fault, faultText, playFaults } from './faults.js'
import { below } from './runtime.js'
import { makeWorld, type NodeSpec, type World, type WorldOptions } from './world.js'
import { drawWrites, playWrites, type Write } from './writes.js'

export interface Scenario {
  readonly options: WorldOptions
  readonly faults: readonly Fault[]
  readonly writes: readonly Write[]
  /** Virtual milliseconds during which faults and writes happen. */
  readonly trouble: number
  /** What the program is told to play it again. */
  readonly command: string
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

/** How the simulator is called. */
export const PROGRAM = 'node packages/lab/dist/sim/main.js'

const CLOCK_MS = 15_000
/** After the last fault all must agree within this: a few rounds of sync and the longest back-off of a dial, and some blocks. */
const REST_MS = 600_000

/** The scenario of a seed. */
export function drawScenario(seed: number): Scenario {
  const random = new Random(seed, 0x5c)
  const count = 4 + below(random, 4)
  const blockIntervalMs = 2_000 + below(random, 8_000)
  const disks = new Random(seed, 0xd5)
  const nodes: NodeSpec[] = Array.from({ length: count }, (_, i) => ({
    hashShare: i < 2 || below(random, 2) === 0 ? 0.1 + random.uniform() : 0,
    clockOffsetMs: below(random, 4) === 0 ? below(random, 2 * CLOCK_MS) - CLOCK_MS : 0,
    // A synced write of a slow disk takes up to half of the time between two blocks: more, and it could not keep up.
    ...(below(disks, 4) === 0 ? { maxSyncMs: 100 + below(disks, blockIntervalMs / 2) } : {}),
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
  const options: WorldOptions = {
    seed,
    nodes: nodes.map((node) => ({ ...node, hashShare: (node.hashShare ?? 0) / total })),
    network: { blockIntervalMs, settleDepth: 2 + below(random, 5), maxFutureMs: 60_000 },
    bootstrap: 1 + below(random, 3),
    ...(hasTinyPool ? { poolLimits: { transactions: 4 + below(random, 12), perAccount: 4 } } : {}),
  }
  const faults = drawFaults(random, nodes.length, 2 + below(random, 8), trouble)
  const writes = drawWrites(new Random(seed, 0x77), nodes.length, 500 + below(random, 5_000), trouble)
  return { options, faults, writes, trouble, command: `scenario --seed ${seed}` }
}

/** One line for each thing that a person wants to know of a scenario. */
export function scenarioText({ options, faults, writes, trouble }: Scenario): string[] {
  const shares = options.nodes
    .map(({ hashShare = 0, byzantine }) => `${Math.round(hashShare * 100)} %${byzantine ? ` (${byzantine.name})` : ''}`)
    .join(', ')
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`
  return [
    `${options.nodes.length} nodes with ${shares} of the hashing power, a block each ${seconds(options.network?.blockIntervalMs ?? 0)}`,
    `${writes.length} writes and ${faults.length} faults in ${seconds(trouble)}`,
    ...faults.map(faultText),
  ]
}

/**
 * Plays a scenario. `atRest` is a check of the caller's own, made once everything else holds. Throws LabError `lab-broken` for what does not hold, with how to
 * see it again.
 */
export async function playScenario(scenario: Scenario, atRest?: (world: World) => void): Promise<ScenarioResult> {
  try {
    return await play(scenario, atRest)
  } catch (error) {
    if (!(error instanceof KvError)) throw error
    throw new LabError('lab-broken', `${error.message}\nto see it again: ${PROGRAM} ${scenario.command}`, {}, error)
  }
}

async function play(
  { options, faults, writes, trouble }: Scenario,
  atRest?: (world: World) => void,
): Promise<ScenarioResult> {
  const world = await makeWorld(options)
  const onRejection = (cause: unknown) => {
    world.failures.push({ node: -1, message: 'nobody handles a rejection', cause })
  }
  process.on('unhandledRejection', onRejection)
  try {
    const checks = new Checks(world, { fullEvery: 2_000 })
    const endMs = world.nowMs + trouble
    playFaults(world, faults)
    playWrites(world, writes)
    await world.run(endMs)
    endFaults(world)
    await world.rest(REST_MS)
    checks.atRest()
    atRest?.(world)
    return resultOf(world, checks)
  } finally {
    process.off('unhandledRejection', onRejection)
  }
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
