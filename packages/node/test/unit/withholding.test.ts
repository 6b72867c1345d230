/**
 * Peers that keep blocks back, with real hosts on loopback: of a node's eight neighbours some take blocks in and pass nothing on, and answer
 * that they know of genesis only; the others are honest, and are themselves one hop from the miner. The node is never more than two blocks
 * behind, whether one honest neighbour is left or seven.
 */
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterEach, expect, test } from 'vitest'
import { RelayNode, until } from '../helpers/relayNode.js'

const { timers } = systemRuntime()
const NEIGHBOURS = 8
const BLOCKS = 12
const INTERVAL_MS = 500

const nodes: RelayNode[] = []

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close()
})

async function open(syncs: boolean): Promise<RelayNode> {
  const node = await RelayNode.open({ syncs })
  nodes.push(node)
  return node
}

async function withholder(): Promise<RelayNode> {
  const node = await open(false)
  node.gossip.setHandler('blocks', async () => 'ignore')
  await node.sync.stop()
  return node
}

test.each([7, 1])(
  'with %i of 8 neighbours that drop all blocks the tip is at most two behind',
  { timeout: 180_000 },
  async (dropping) => {
    const miner = await open(true)
    const victim = await open(true)
    for (let i = 0; i < NEIGHBOURS; i++) {
      const drops = i < dropping
      const neighbour = drops ? await withholder() : await open(true)
      await victim.connect(neighbour)
      await neighbour.connect(miner)
    }
    const heightOf = (node: RelayNode): number => node.ledger.chain.tip.header.height
    let worst = 0
    for (let height = 1; height <= BLOCKS; height++) {
      await miner.ledger.mine()
      miner.relay.announce(miner.ledger.chain.tip)
      await timers.sleep(INTERVAL_MS)
      worst = Math.max(worst, height - heightOf(victim))
    }
    expect(worst).toBeLessThanOrEqual(2)
    await until('it has the last one, too', () => victim.tip === miner.tip)
    const others = nodes.slice(2, 2 + dropping)
    expect(others.map(heightOf)).toEqual(others.map(() => 0))
  },
)
