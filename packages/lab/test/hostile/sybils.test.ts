/**
 * Many peers that keep their connections and pass nothing on, around a few honest daemons. KVCHAIN_LONG=1: 20 honest and 80 others.
 *
 * 1. Four times as many as the honest, connected with all of them: every put is still confirmed and read everywhere. How long that takes, beside
 *    the same without them, is printed.
 * 2. Seven of a daemon's eight neighbours: it follows the one that is honest, and is rarely more than two blocks behind.
 */
import process from 'node:process'
import { Cluster } from '@kvchain/lab/cluster'
import type { Act } from '@kvchain/lab/hostile/acts'
import { HostilePeer } from '@kvchain/lab/hostile/hostilePeer'
import { waitUntil } from '@kvchain/lab/wait'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { expect, test } from 'vitest'
import { easyNetwork, LONG } from './rig.js'

const HONEST = LONG ? 20 : 4
const PUTS = LONG ? 50 : 10
const { clock, timers } = systemRuntime()

/** Milliseconds from each of some puts until it is read on every daemon, in ascending order. */
async function spread(cluster: Cluster, label: string): Promise<number[]> {
  const times: number[] = []
  for (let n = 0; n < PUTS; n++) {
    const key = `${label}-${n}`
    const startMs = clock.monotonicMs()
    await cluster.at(n % HONEST).client.put(key, label)
    const isEverywhere = async () => {
      const entries = await Promise.all(cluster.daemons.map(({ client }) => client.get(key)))
      return entries.every((entry) => entry?.value === label)
    }
    await waitUntil(isEverywhere, { what: `${key} everywhere`, timeoutMs: 60_000 })
    times.push(Math.round(clock.monotonicMs() - startMs))
  }
  return times.sort((a, b) => a - b)
}

const silent = (count: number): Act[] => Array.from({ length: count }, () => ({ behaviour: 'silent' }))

function report(figures: object): void {
  process.stdout.write(`sybils: ${JSON.stringify(figures)}\n`)
}

test(`${HONEST} honest daemons among ${4 * HONEST} that pass nothing on`, async () => {
  const cluster = await Cluster.start({
    nodes: HONEST,
    network: easyNetwork,
    node: (i) => ({ mine: i < 2 && 'pending' }),
  })
  try {
    // Of many, a daemon dials eight.
    await cluster.waitForPeers(Math.min(HONEST - 1, 4))
    const alone = await spread(cluster, 'alone')
    const targets = cluster.daemons.map(({ addresses }) => addresses[0] ?? '')
    const acts = silent(4 * HONEST)
    // Each dials each of the honest.
    const dialMs = Math.max(60_000, acts.length * targets.length * 250)
    const sybils = await HostilePeer.start({ network: cluster.network, targets, acts }, dialMs)
    try {
      const among = await spread(cluster, 'among')
      const peers = await Promise.all(cluster.daemons.map(async (daemon) => (await daemon.status()).peers))
      report({ aloneMs: alone, amongMs: among, peers })
      expect(among).toHaveLength(PUTS)
      expect(Math.max(...peers)).toBeGreaterThan(HONEST)
    } finally {
      await sybils.stop()
    }
  } finally {
    await cluster.stop()
  }
}, 1_200_000)

test('a daemon whose neighbours are silent but for one follows that one', async () => {
  const cluster = await Cluster.start({ nodes: 1, node: () => ({ mine: 'always' }) })
  try {
    const miner = cluster.at(0)
    const sybils = await HostilePeer.start({ network: cluster.network, acts: silent(7) })
    try {
      const bootstrap = [...sybils.peers.map(({ address }) => address), miner.addresses[0] ?? '']
      const victim = await cluster.add({ mdns: false, peerExchange: false, bootstrap })
      await victim.waitFor(async (daemon) => (await daemon.status()).peers === 8, { what: 'eight neighbours' })
      await cluster.waitForSameTip({ minHeight: 3, timeoutMs: 60_000 })
      const lags: number[] = []
      const end = (await miner.status()).tip.height + (LONG ? 100 : 8)
      for (let height = 0; height < end; ) {
        height = (await miner.status()).tip.height
        lags.push(height - (await victim.status()).tip.height)
        await timers.sleep(50)
      }
      const within = lags.filter((lag) => lag <= 2).length / lags.length
      report({ samples: lags.length, within2: within, worst: Math.max(...lags) })
      expect(within).toBeGreaterThan(0.9)
    } finally {
      await sybils.stop()
    }
  } finally {
    await cluster.stop()
  }
}, 240_000)
