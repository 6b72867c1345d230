/**
 * A network of three honest daemons, started through bin/, and a real peer that misbehaves. Counts are small in each run of the tests and those of a
 * real attack with KVCHAIN_LONG=1. In every case the honest go on: what they put meanwhile is confirmed and read elsewhere; the attacked daemon's memory
 * stays within a bound.
 *
 * 1. Noise, subscriptions by the thousand, frames that are too long, too many questions: the peer is banned, and stays out when it comes back.
 * 2. Parentless blocks, valid transactions for nothing, two blocks on one parent, blocks whose transaction nobody gets, streams that dribble: what is
 *    no proof of bad will is borne.
 * 3. All that the faults experiment lets loose, at once: those that send noise are banned, and that is counted.
 * 4. Hundreds of sockets that dribble keep nobody from connecting.
 * 5. Peers that lie about their chain, or deliver it wrong or not at all, do not keep a newcomer from the honest chain; those whose lie is proved are punished.
 * 6. A peer that comes back under a new name each time that it is banned is banned each time, and let in ever more slowly.
 * 7. Headers without end and almost without work are heard and not kept.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { Cluster } from '@kvchain/lab/cluster'
import type { Daemon } from '@kvchain/lab/daemon'
import { Coalition, HOSTILE_NAMES } from '@kvchain/lab/experiments/faultsByzantine'
import type { BehaviourName } from '@kvchain/lab/hostile/acts'
import { HostilePeer } from '@kvchain/lab/hostile/hostilePeer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { attack, easyNetwork, guardedNetwork, LONG, putAndRead, TEST_TIMEOUT_MS, waitForBan } from './rig.js'

/** What an attack may cost at most, in MiB, garbage that waits to be collected included; an idle daemon takes some 90. */
const MAX_GROWTH_MIB = 300

let cluster: Cluster

beforeAll(async () => {
  cluster = await Cluster.start({
    nodes: 3,
    network: easyNetwork,
    node: (i) => ({ mine: i === 0 ? 'pending' : false }),
  })
  await cluster.waitForPeers(2)
  for (let n = 0; n < 5; n++) await putAndRead(cluster.at(1), cluster.at(2))
})

afterAll(async () => {
  await cluster?.stop()
})

function report(what: string, figures: object): void {
  process.stdout.write(`${what}: ${JSON.stringify(figures)}\n`)
}

describe('is banned', () => {
  test.each<[BehaviourName, number]>([
    ['malformed', LONG ? 100_000 : 1_000],
    ['subscriptions', LONG ? 1_000_000 : 200_000],
    ['oversized', LONG ? 10_000 : 200],
    ['asking', LONG ? 1_000_000 : 20_000],
  ])('%s', { timeout: TEST_TIMEOUT_MS }, async (behaviour, count) => {
    const { peer, result, confirmed, growthMib } = await attack(cluster, { behaviour, count })
    report(behaviour, { ...result, confirmed, growthMib })
    await waitForBan(cluster.at(0), peer.peerId)
    expect(confirmed).toBeGreaterThan(0)
    expect(growthMib).toBeLessThan(MAX_GROWTH_MIB)
  })
})

describe('is borne', () => {
  test.each<[BehaviourName, number]>([
    ['orphans', LONG ? 100_000 : 1_000],
    ['spam', LONG ? 100_000 : 5_000],
    ['equivocating', LONG ? 1_000 : 5],
    ['withholding', LONG ? 20 : 2],
    ['dribbling', LONG ? 1_000 : 128],
  ])('%s', { timeout: TEST_TIMEOUT_MS }, async (behaviour, count) => {
    const isForAll = behaviour === 'equivocating' || behaviour === 'withholding'
    const targets = isForAll ? cluster.daemons.map(({ addresses }) => addresses[0] ?? '') : undefined
    const { result, confirmed, growthMib } = await attack(cluster, { behaviour, count }, targets)
    report(behaviour, { ...result, confirmed, growthMib })
    expect(confirmed).toBeGreaterThan(0)
    expect(growthMib).toBeLessThan(MAX_GROWTH_MIB)
    await cluster.waitForSameTip({ timeoutMs: 60_000 })
  })
})

test('in the place of a daemon: all at once, and who was banned is counted', async () => {
  const daemon = cluster.at(0)
  const bans = async () => (await daemon.client.call('net_bans', {})).bans.length
  const before = await bans()
  const coalition = await Coalition.start(cluster.network, cluster.daemons, 1, HOSTILE_NAMES)
  try {
    await daemon.waitFor(async () => (await bans()) > before, { what: 'a ban', timeoutMs: 60_000 })
    await putAndRead(cluster.at(1), cluster.at(2))
    const results = await coalition.end(cluster.daemons)
    for (const result of results) report('coalition', result)
    expect(results.map(({ behaviour, peers }) => [behaviour, peers])).toEqual(HOSTILE_NAMES.map((name) => [name, 1]))
    const [noise] = results
    expect(noise).toMatchObject({ behaviour: 'malformed', banned: 1 })
    expect(noise?.sent).toBeGreaterThan(0)
    expect(noise?.reasons.length).toBeGreaterThan(0)
    expect(results.find(({ behaviour }) => behaviour === 'spam')).toMatchObject({
      connected: 1,
      banned: 0,
      reasons: [],
    })
  } finally {
    await coalition.stop()
  }
})

test('500 sockets that dribble keep nobody else from connecting', async () => {
  const victim = cluster.at(0)
  const peer = await HostilePeer.start({
    network: cluster.network,
    targets: victim.addresses.slice(0, 1),
    acts: [{ behaviour: 'sockets', count: 500 }],
  })
  try {
    await peer.result()
    const files = async () => (await readdir(`/proc/${victim.pid}/fd`)).length
    for (let n = 0; n < (LONG ? 20 : 2); n++) {
      const startMs = performance.now()
      const newcomer = await cluster.add({ mdns: false, peerExchange: false, bootstrap: victim.addresses.slice(0, 1) })
      await newcomer.waitFor(async (daemon) => (await daemon.status()).peers > 0, {
        what: 'a connection',
        timeoutMs: 60_000,
      })
      report('sockets', { startAndConnectMs: Math.round(performance.now() - startMs), files: await files() })
      expect(await files()).toBeLessThan(400)
      await newcomer.stop()
    }
  } finally {
    await peer.stop()
  }
})

test('peers that lie about their chain do not keep a newcomer from the honest one', async () => {
  await putAndRead(cluster.at(1), cluster.at(2))
  const [source = ''] = cluster.at(0).addresses
  const kinds = ['mutating', 'garbage', 'stalling', 'braggart']
  const start = (how: string) =>
    HostilePeer.start({ network: cluster.network, targets: [source], acts: [{ behaviour: 'lying', how }] })
  const liars = await Promise.all(kinds.map(start))
  try {
    await Promise.all(liars.map((liar) => liar.result()))
    const bootstrap = liars.map(({ peers }) => peers[0]?.address ?? '')
    const newcomer = await cluster.add({ mdns: false, peerExchange: false, bootstrap })
    const proved = liars.filter((_, i) => kinds[i] === 'mutating' || kinds[i] === 'garbage')
    // A false block costs 10 points, an answer that is none 50 and the connection; it comes back with what is left of them. Nobody but liars is there to be asked.
    const arePunished = async () => {
      const [{ bans }, { peers }] = await Promise.all([
        newcomer.client.call('net_bans', {}),
        newcomer.client.call('net_peers', {}),
      ])
      const scoreOf = (peerId: string) => peers.find((peer) => peer.peerId === peerId)?.score ?? 0
      return proved.every(({ peerId }) => bans.some(({ target }) => target === peerId) || scoreOf(peerId) <= -8)
    }
    await newcomer.waitFor(arePunished, { what: 'the liars to be punished', timeoutMs: 60_000 })
    const startMs = performance.now()
    const bridge = await cluster.add({
      mdns: false,
      peerExchange: false,
      bootstrap: [source, newcomer.addresses[0] ?? ''],
    })
    const tip = async () => (await newcomer.status()).tip.hash === (await cluster.at(0).status()).tip.hash
    await newcomer.waitFor(tip, { what: 'the honest tip', timeoutMs: 110_000 })
    const { bans } = await newcomer.client.call('net_bans', {})
    const banned = kinds.filter((_, i) => bans.some(({ target }) => target === liars[i]?.peerId))
    const asked = (await Promise.all(liars.map((liar) => liar.end()))).map(([counts]) => counts?.sent ?? 0)
    const { height } = (await newcomer.status()).tip
    report('lying', { height, caughtUpMs: Math.round(performance.now() - startMs), banned, asked })
    for (const times of asked) expect(times).toBeGreaterThan(0)
    // Who does not answer may only be slow, and who boasts may know better.
    expect(banned).not.toContain('stalling')
    expect(banned).not.toContain('braggart')
    await bridge.stop()
    await newcomer.stop()
  } finally {
    await Promise.all(liars.map((liar) => liar.stop()))
  }
})

test('a peer that comes back under another name is banned again, and the honest go on', async () => {
  const [before, victim] = [await bansOf(cluster.at(0)), cluster.at(0)]
  const lives = LONG ? 50 : 4
  const { result, confirmed } = await attack(cluster, { behaviour: 'reborn', how: 'malformed', count: lives })
  const banned = (await bansOf(victim)) - before
  report('reborn', { ...result, confirmed, banned })
  // The last one may be gone before it has earned it.
  expect(banned).toBeGreaterThanOrEqual((result.sent ?? 0) - 1)
  expect(result.sent).toBeGreaterThan(1)
  expect(confirmed).toBeGreaterThan(0)
})

test('headers without end that cost nothing are not kept', async () => {
  const guarded = await Cluster.start({ nodes: 1, network: guardedNetwork, node: () => ({ mine: 'pending' }) })
  try {
    const count = LONG ? 1_000_000 : 20_000
    const { result, confirmed, growthMib } = await attack(guarded, { behaviour: 'cheap', count })
    const { tip, dataDir } = await guarded.at(0).status()
    // What a backup tells of: all headers that there are.
    const { headers } = await guarded.at(0).client.call('node_backup', { path: join(dataDir, 'all') })
    report('cheap', { ...result, confirmed, growthMib, height: tip.height, headers })
    expect(result.sent).toBeGreaterThanOrEqual(count)
    expect(headers).toBeLessThan(tip.height + 100)
    expect(growthMib).toBeLessThan(MAX_GROWTH_MIB)
  } finally {
    await guarded.stop()
  }
})

async function bansOf(daemon: Daemon): Promise<number> {
  return (await daemon.client.call('net_bans', {})).bans.length
}
