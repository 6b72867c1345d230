/**
 * Double spends in simulation: whole nodes, an attacker with a share of the hash power who is one block ahead when the count begins, and who gives up
 * when he is too far behind. Owns how one such race goes, and what probability it has.
 */
import { reversalProbability } from '@kvchain/core/certainty'
import { LabError } from '../../errors.js'
import { makeWorld, type World } from '../../sim/world.js'

export interface RaceOptions {
  /** Of the whole hash power, between 0 and 1. */
  readonly share: number
  /** That the buyer waits for. */
  readonly confirmations: number
  /** Blocks that the attacker may be behind, once the buyer is satisfied, before he gives up. */
  readonly patience: number
}

export interface RaceResult {
  readonly succeeded: boolean
  /** Blocks of the honest branch when it was over. */
  readonly depth: number
  /** Blocks of both branches. */
  readonly blocks: number
}

const MINER = 0
const BUYER = 1
const ATTACKER = 2
/** Short, since nodes are busy in every second, and far above what a block takes to arrive. */
const BLOCK_MS = 2_000
/** After so many races a world ends: its chain has grown long. */
const RACES_PER_WORLD = 40
/** Longer than a block takes from its solution to the disk. */
const SETTLE_MS = 100
const PATIENT_MS = 10_000 * BLOCK_MS

/**
 * Races with the same options, one after the other, from one seed. Each is of whole nodes: an honest miner, an honest buyer, and the attacker, who is cut off while
 * he mines in secret. He sells a key's value on the public chain and writes another one on his own.
 */
export class Races {
  private world: World | undefined
  private raced = 0

  constructor(
    private readonly options: RaceOptions,
    private readonly seed: number,
  ) {}

  async next(): Promise<RaceResult> {
    if (this.raced % RACES_PER_WORLD === 0) this.world = await this.makeWorld(this.raced / RACES_PER_WORLD)
    if (this.world === undefined) throw new LabError('lab-options', 'no world')
    return this.race(this.world, `parcel ${this.raced++}`)
  }

  private makeWorld(index: number): Promise<World> {
    const { share } = this.options
    return makeWorld({
      seed: this.seed + index * 7919,
      nodes: [{ hashShare: 1 - share }, {}, { hashShare: share }],
      network: { blockIntervalMs: BLOCK_MS },
    })
  }

  private async race(world: World, key: string): Promise<RaceResult> {
    const { confirmations, patience } = this.options
    const [miner, buyer, attacker] = [world.node(MINER), world.node(BUYER), world.node(ATTACKER)]
    const tip = (node: typeof miner) => node.tip.header.height
    const until = (what: string, holds: () => boolean) => world.until(what, holds, PATIENT_MS)
    // Level, and everybody at rest.
    for (const node of [miner, attacker]) node.mineAt(0)
    await until('agreeing', () => new Set(world.nodes.map(({ tipHash }) => tipHash)).size === 1)
    const base = tip(miner)
    world.partition([ATTACKER])
    await world.finish(attacker.put(key, 'to mallory'))
    const sale = await world.finish(buyer.put(key, 'to alice', attacker.options.account))
    await until('hearing of the sale', () => miner.up.ledger.mempool.get(sale) !== undefined)
    // One block ahead before the count begins.
    attacker.mineAt(1)
    await until('the first secret block', () => tip(attacker) > base)
    miner.mineAt(1)
    await until('confirmations', () => (buyer.get(key)?.confirmations ?? 0) >= confirmations)
    const lead = () => tip(attacker) - tip(miner)
    const isOver = () => lead() > 0 || -lead() >= patience
    do {
      for (const node of [miner, attacker]) node.mineAt(1)
      await until('the end of the race', isOver)
      for (const node of [miner, attacker]) node.mineAt(0)
      // A block of the other one may be solved and not yet on its disk.
      await world.run(world.nowMs + SETTLE_MS)
    } while (!isOver())
    const succeeded = lead() > 0
    const result = { succeeded, depth: tip(miner) - base, blocks: tip(miner) + tip(attacker) - 2 * base }
    world.heal()
    const [winner, value] = succeeded ? [attacker, 'to mallory'] : [miner, 'to alice']
    // Mined meanwhile by neither: who is ahead stays ahead.
    await until('one tip', () => world.nodes.every(({ tipHash }) => tipHash === winner.tipHash))
    const seen = world.nodes.map((node) => node.get(key)?.value)
    if (seen.some((one) => one !== value))
      throw new LabError('lab-broken', `after the race nodes hold ${seen.join(', ')}`)
    return result
  }
}

/**
 * The exact probability that such a race succeeds: the attacker finds m blocks while the honest ones find z (negative binomial), and from there walks at
 * random until he is ahead, or as far behind as his patience goes.
 */
export function successProbability({ share: q, confirmations: z, patience }: RaceOptions): number {
  const p = 1 - q
  let sum = 0
  let tail = 1
  // p^z C(m+z-1, m) q^m.
  let weight = p ** z
  for (let m = 0; m < z; m++) {
    sum += weight * catchUp(p, q, z - m - 1, patience)
    tail -= weight
    weight *= (q * (m + z)) / (m + 1)
  }
  return sum + tail
}

/** From so many blocks behind to one ahead, before being `patience` behind. */
function catchUp(p: number, q: number, behind: number, patience: number): number {
  const [from, to] = [patience - behind, patience + 1]
  if (from <= 0) return 0
  const ratio = p / q
  return Math.abs(ratio - 1) < 1e-9 ? from / to : (1 - ratio ** from) / (1 - ratio ** to)
}

/** Rosenfeld's, for an attacker who never gives up. */
export function patientProbability({ share, confirmations }: RaceOptions): number {
  return reversalProbability(share, confirmations)
}
