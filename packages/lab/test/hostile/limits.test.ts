/**
 * What an honest peer is served beside three that ask as fast as they can, on real processes: a daemon with blocks, transactions and state; an honest
 * asker, whose demand is fixed and well below what one peer may ask for; and three programs that ask without end and, when they are shut out, come
 * back under another name. Counted is what it is served of the same demand, alone and beside them. Only with KVCHAIN_LONG=1.
 */
import process from 'node:process'
import { Cluster } from '@kvchain/lab/cluster'
import type { Counts } from '@kvchain/lab/hostile/acts'
import { HostilePeer } from '@kvchain/lab/hostile/hostilePeer'
import { expect, test } from 'vitest'
import { easyNetwork, LONG, putAndRead } from './rig.js'

const BLOCKS = 20
const FLOODERS = 3
/** Milliseconds: 40 questions a second, half of them at the price of four. A peer may ask for 100 units a second. */
const EVERY_MS = 25
const ASKED = 10_000 / EVERY_MS

// Needs a machine that has time for six processes: where the daemon gets no processor, no queue is fair.
test.runIf(LONG)(
  'three peers that ask without end leave an honest one four fifths of what it is served alone',
  async () => {
    const cluster = await Cluster.start({ nodes: 1, network: easyNetwork, node: () => ({ mine: 'pending' }) })
    const flooders: HostilePeer[] = []
    try {
      const daemon = cluster.at(0)
      for (let n = 0; n < BLOCKS; n++) await putAndRead(daemon, daemon)
      const { network } = cluster
      const targets = daemon.addresses.slice(0, 1)
      const served = async (): Promise<Counts> => {
        const asker = await HostilePeer.start({
          network,
          targets,
          acts: [{ behaviour: 'honest', count: ASKED, everyMs: EVERY_MS }],
        })
        try {
          return await asker.result()
        } finally {
          await asker.stop()
        }
      }
      const alone = await served()
      const flood = () => HostilePeer.start({ network, targets, acts: [{ behaviour: 'reborn', how: 'asking' }] })
      flooders.push(...(await Promise.all(Array.from({ length: FLOODERS }, flood))))
      const beside = await served()
      const floods = await Promise.all(flooders.splice(0).map((flooder) => flooder.end()))
      const ratio = (beside.ok ?? 0) / (alone.ok ?? 0)
      process.stdout.write(`limits: ${JSON.stringify({ ratio, alone, beside, floods: floods.flat() })}\n`)
      expect(alone.ok).toBeGreaterThan(0.8 * ASKED)
      expect(ratio).toBeGreaterThanOrEqual(0.8)
      // They were there, and asked for more than it did.
      const asked = floods.flat().map((counts) => (counts['asking ok'] ?? 0) + (counts['asking net-busy'] ?? 0))
      expect(Math.max(...asked)).toBeGreaterThan(ASKED)
    } finally {
      await Promise.all(flooders.map((flooder) => flooder.stop()))
      await cluster.stop()
    }
  },
  240_000,
)
