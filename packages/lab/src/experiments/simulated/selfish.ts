/**
 * Selfish mining in simulation: a miner who keeps his blocks to himself while he is ahead (SM1 of Eyal and Sirer, 2014), against whole nodes and their tie rule. Owns
 * the strategy, and what it should bring.
 */
import { hex } from '@kvchain/node/runtime/hex'
import type { Table } from '../../difficulty/table.js'
import { LabError } from '../../errors.js'
import { marked } from '../../plots.js'
import type { SimNode } from '../../sim/simNode.js'
import { makeWorld, type World } from '../../sim/world.js'
import type { Bench, Report } from '../report.js'

export interface SelfishOptions {
  /** Of the whole hash power. */
  readonly shares: readonly number[]
  /** Of the main chain, for each share. */
  readonly blocks: number
}

export interface SelfishResult {
  readonly share: number
  /** Of the main chain, and his among them. */
  readonly blocks: number
  readonly own: number
  /** How often two branches of one block stood against each other, and how often the honest miner took to the selfish one's. */
  readonly ties: number
  readonly tiesWon: number
}

const HONEST = 0
const SELFISH = 1
const BLOCK_MS = 2_000
/** A world with a longer chain takes more memory, and no less time. */
const BLOCKS_PER_WORLD = 4_000
/** Two branches of equal work: the lower hash wins, whoever's it is. */
const GAMMA = 0.5

/** Mines with every share. */
export async function selfish(options: SelfishOptions, bench: Bench): Promise<Report> {
  const results: SelfishResult[] = []
  for (const [i, share] of options.shares.entries()) {
    bench.onProgress(i, options.shares.length, `share ${share}`)
    results.push(await mineSelfishly(share, options.blocks, bench))
  }
  return report(results, options, bench.seed)
}

/** Until the main chain has so many blocks, in as many worlds as that takes. */
export async function mineSelfishly(
  share: number,
  blocks: number,
  { seed, signal }: Pick<Bench, 'seed' | 'signal'>,
): Promise<SelfishResult> {
  const sum = { share, blocks: 0, own: 0, ties: 0, tiesWon: 0 }
  for (let part = 0; sum.blocks < blocks; part++) {
    const world = await makeWorld({
      seed: seed * 1_000_003 + Math.round(share * 1_000) * 101 + part,
      nodes: [{ hashShare: 1 - share }, { hashShare: share }],
      network: { blockIntervalMs: BLOCK_MS },
    })
    world.partition([SELFISH])
    const strategy = new Strategy(world)
    await strategy.mine(Math.min(BLOCKS_PER_WORLD, blocks - sum.blocks), signal)
    const { own, all } = strategy.revenue()
    sum.blocks += all
    sum.own += own
    sum.ties += strategy.ties
    sum.tiesWon += strategy.tiesWon
  }
  return sum
}

/** SM1 by heights alone: the selfish miner is cut off, and blocks are handed over in no time, all or none. */
class Strategy {
  ties = 0
  tiesWon = 0
  /** Whether his branch of one block is out, against another of one block. */
  private isRacing = false

  constructor(private readonly world: World) {}

  private get honest(): SimNode {
    return this.world.node(HONEST)
  }

  private get selfish(): SimNode {
    return this.world.node(SELFISH)
  }

  async mine(blocks: number, signal: AbortSignal): Promise<void> {
    while (this.honest.tip.header.height < blocks) {
      signal.throwIfAborted()
      const [before, beforeOwn] = [this.honest.tip, this.selfish.tip]
      const isNews = () => this.honest.tip !== before || this.selfish.tip !== beforeOwn
      await this.world.until('a block', isNews, 10_000 * BLOCK_MS)
      await this.decide()
    }
  }

  private async decide(): Promise<void> {
    const lead = this.selfish.tip.header.height - this.honest.tip.header.height
    const isHonestNews = this.world.solved.at(-1)?.by === HONEST
    if (lead < 0) {
      await this.handOver(this.honest, this.selfish)
      this.isRacing = false
    } else if (isHonestNews ? lead <= 1 : this.isRacing) {
      // Caught up with, or nearly, or ahead again after a tie: all that he has goes out.
      await this.handOver(this.selfish, this.honest)
      this.isRacing = lead === 0
      if (lead !== 0) return
      this.ties++
      if (this.honest.tip === this.tipOf(this.selfish)) this.tiesWon++
    }
  }

  /** The block of another's tip as the honest node knows it. */
  private tipOf(node: SimNode) {
    return this.honest.chain.tree.get(node.tip.hash)
  }

  /** Every block of one node's main chain that the other lacks. */
  private async handOver(from: SimNode, to: SimNode): Promise<void> {
    const missing = []
    for (let node = from.tip; to.chain.tree.get(node.hash)?.hasBody !== true; node = node.parent) {
      const transactions = from.chain.store.bodyWithValues(node.hash)
      if (transactions === undefined || node.parent === undefined) throw new LabError('lab-broken', 'a block is gone')
      missing.unshift({ header: node.header, transactions })
    }
    // It takes no time: searches have no memory, so that a pause changes nothing.
    for (const node of this.world.nodes) node.mineAt(0)
    for (const block of missing) await this.world.finish(to.chain.addBlock(block, from.peerId))
    for (const node of this.world.nodes) node.mineAt(1)
  }

  /** Blocks of the honest node's main chain, and those that the selfish miner solved. */
  revenue(): { own: number; all: number } {
    const his = new Set(this.world.solved.filter(({ by }) => by === SELFISH).map(({ hash }) => hash))
    let own = 0
    const all = this.honest.tip.header.height
    for (let node = this.honest.tip; node.parent !== undefined; node = node.parent) {
      if (his.has(hex(node.hash))) own++
    }
    return { own, all }
  }
}

/** His share of the main chain’s blocks, when he gets a part `gamma` of the honest power in a tie (Eyal and Sirer, equation 8). */
export function selfishRevenue(share: number, gamma: number): number {
  const a = share
  const above = a * (1 - a) ** 2 * (4 * a + gamma * (1 - 2 * a)) - a ** 3
  return above / (1 - a * (1 + (2 - a) * a))
}

function report(results: readonly SelfishResult[], { blocks }: SelfishOptions, seed: number): Report {
  const percent = ({ own, blocks: all }: SelfishResult) => (100 * own) / all
  const table: Table = {
    name: 'selfish',
    title: 'Revenue of a selfish miner',
    columns: [
      { name: 'share %', digits: 1 },
      { name: 'blocks' },
      { name: 'revenue %', digits: 2 },
      { name: 'expected %', digits: 2 },
      { name: 'honest %', digits: 1 },
      { name: 'ties' },
      { name: 'ties won %', digits: 1 },
      { name: 'gamma 0 %', digits: 2 },
      { name: 'gamma 1 %', digits: 2 },
    ],
    rows: results.map((one) => [
      ...[100 * one.share, one.blocks, percent(one), 100 * selfishRevenue(one.share, GAMMA), 100 * one.share],
      ...[one.ties, (100 * one.tiesWon) / one.ties],
      ...[100 * selfishRevenue(one.share, 0), 100 * selfishRevenue(one.share, 1)],
    ]),
  }
  const y = { name: '% of the main chain’s blocks', min: 0, max: 100 }
  const line = (name: string, value: (one: SelfishResult) => number) => ({
    name,
    points: results.map((one) => [100 * one.share, value(one)] as const),
  })
  return {
    experiment: 'selfish',
    title: 'Selfish mining, simulated',
    about: [
      'A miner with a share of the hash power keeps his blocks to himself: when the honest miner finds one, he lets out what he has if that is as long or one longer; when he falls behind, he takes over ' +
        'the public chain (SM1, Eyal and Sirer 2014). Both are whole nodes; blocks go from one to the other in no time.',
      'Of two branches of equal work the one with the lower hash wins on every node, so he wins half of the ties whatever his connections: gamma is one half, and beyond a quarter of the hash power he ' +
        'gets more than his share. gamma 0 and gamma 1 are what he would get if honest miners never or always took to his side.',
    ],
    isSimulated: true,
    settings: { seed, shares: results.map(({ share }) => share).join(', '), 'blocks for each share': blocks },
    tables: [table],
    plots: [
      marked('selfish', 'Revenue of a selfish miner', { name: 'share of the hash power, %', min: 0 }, y, [
        line('measured', percent),
        line('expected', ({ share }) => 100 * selfishRevenue(share, GAMMA)),
        line('honest', ({ share }) => 100 * share),
      ]),
    ],
  }
}
