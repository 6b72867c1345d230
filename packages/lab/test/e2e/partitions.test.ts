/**
 * Real daemons whose links fail. KVCHAIN_SEED draws other failures; KVCHAIN_LONG=1 runs 200 rounds.
 *
 * 1. Each round parts the network in some way: in two or three, one alone, single directions; silently, or with connections broken off. All daemons are
 *    written to meanwhile and all of them mine. Once healed, all have one tip and nothing pending. In the end every accepted put is on every
 *    daemon, exactly once.
 * 2. Links of half a second each way that jitter and lose segments: the network forms, and agrees.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Cluster, type ClusterOptions, withCluster } from '@kvchain/lab/cluster'
import { Random } from '@kvchain/lab/difficulty/random'
import type { Links } from '@kvchain/lab/links/links'
import { waitUntil } from '@kvchain/lab/wait'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { expect, test } from 'vitest'

const ROUNDS = process.env.KVCHAIN_LONG === '1' ? 200 : 5
const SEED = Number(process.env.KVCHAIN_SEED ?? systemRuntime().random.below(1 << 30))
const NODES = 4
const PUTS_PER_NODE = 3
/** Far longer than it takes, on a machine that is busy with something else too. */
const REST_MS = 110_000

/** Dev, but a block costs a tenth: the processors are few, and what matters here is who hears of what. */
async function easyNetwork(folder: string): Promise<string> {
  const dev = JSON.parse(await readFile(new URL('../../../../configs/dev.json', import.meta.url), 'utf8'))
  const target = `0000${'4'.padEnd(60, '0')}`
  const consensus = { ...dev.consensus, initialTarget: target, easiestTarget: target }
  const file = join(folder, 'network.json')
  await writeFile(file, JSON.stringify({ ...dev, $schema: undefined, name: 'easy', consensus }))
  return file
}

const linked = (nodes: number, links: ClusterOptions['links'] = {}): ClusterOptions => ({
  nodes,
  network: easyNetwork,
  join: 'links',
  links: { seed: SEED, ...links },
  node: () => ({ mine: 'pending' }),
})

/** Every accepted put, by key. */
type Accepted = Map<string, string>

async function putOnAll(cluster: Cluster, round: number, accepted: Accepted): Promise<void> {
  const writers = cluster.daemons.map(async ({ client }, node) => {
    for (let n = 0; n < PUTS_PER_NODE; n++) {
      const [key, value] = [`r${round}-${node}-${n}`, `${round}.${node}.${n}`]
      await client.put(key, value)
      accepted.set(key, value)
    }
  })
  await Promise.all(writers)
}

async function waitForRest(cluster: Cluster, what: string): Promise<void> {
  let last: unknown
  const isAtRest = async () => {
    const all = await Promise.all(cluster.daemons.map((daemon) => daemon.status()))
    last = all.map(({ tip, mempool, peers, syncing }) => [tip.height, tip.hash, mempool.transactions, peers, syncing])
    return new Set(all.map(({ tip }) => tip.hash)).size === 1 && all.every(({ mempool }) => mempool.transactions === 0)
  }
  try {
    await waitUntil(isAtRest, { what: 'rest', timeoutMs: REST_MS })
  } catch (error) {
    throw new Error(`no one tip with nothing pending, ${what}: ${JSON.stringify(last)}`, { cause: error })
  }
}

async function expectAll(cluster: Cluster, accepted: Accepted): Promise<void> {
  for (const { client } of cluster.daemons) {
    for (const [key, value] of accepted) {
      const { versions } = await client.history(key)
      expect([key, versions.map((version) => [version.version, version.value])]).toEqual([key, [[1, value]]])
    }
  }
}

interface Parting {
  readonly how: string
  /** Nodes that hear of nothing that the node does. */
  cutOff(node: number): readonly number[]
}

/** Parts the network in some way. */
function part(links: Links, random: Random): Parting {
  const below = (bound: number) => Math.floor(random.uniform() * bound)
  const nodes = Array.from({ length: NODES }, (_, i) => i)
  const order = nodes.map((node) => ({ node, rank: random.uniform() })).sort((a, b) => a.rank - b.rank)
  const shuffled = order.map(({ node }) => node)
  const groups = [
    () => [shuffled.slice(0, 2), shuffled.slice(2)],
    () => [shuffled.slice(0, 1), shuffled.slice(1)],
    () => [shuffled.slice(0, 1), shuffled.slice(1, 2), shuffled.slice(2)],
    () => undefined,
  ][below(4)]?.()
  if (groups === undefined) {
    const ways = nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => [from, to] as const))
    const cut = ways.filter(() => random.uniform() < 0.5)
    for (const [from, to] of cut) links.cut(from, to)
    return { how: cut.map((way) => way.join('>')).join(' '), cutOff: () => [] }
  }
  links.partition(groups)
  const text = groups.map((group) => group.join()).join(' | ')
  const cutOff = (node: number) => groups.filter((group) => !group.includes(node)).flat()
  if (random.uniform() < 0.5) return { how: text, cutOff }
  for (const one of nodes) for (const other of nodes) if (one < other) links.reset(one, other)
  return { how: `${text}, broken off`, cutOff }
}

test(
  `${ROUNDS} partitions heal to one tip, and nothing is lost (KVCHAIN_SEED=${SEED})`,
  async () => {
    await withCluster(linked(NODES), async (cluster) => {
      const random = new Random(SEED, 46)
      const accepted: Accepted = new Map()
      for (let round = 0; round < ROUNDS; round++) {
        const { how, cutOff } = part(cluster.links, random)
        await putOnAll(cluster, round, accepted)
        // Whoever mines for itself has a branch of its own by now, or soon will.
        const node = Math.floor(random.uniform() * NODES)
        const { client } = cluster.at(node)
        const key = `mark${round}`
        const { txid } = await client.put(key, how)
        accepted.set(key, how)
        await client.waitFor(txid)
        for (const other of cutOff(node))
          expect([how, await cluster.at(other).client.get(key)]).toEqual([how, undefined])
        cluster.links.healAll()
        await waitForRest(cluster, `round ${round} (${how})`)
      }
      await expectAll(cluster, accepted)
    })
  },
  ROUNDS * 120_000,
)

test(`links of 500 ms that jitter and lose: the network forms, and agrees (KVCHAIN_SEED=${SEED})`, async () => {
  await withCluster(linked(3), async (cluster) => {
    await cluster.waitForPeers()
    cluster.links.setAll({ delayMs: 500, jitterMs: 200, loss: 0.02 })
    const accepted: Accepted = new Map()
    for (let round = 0; round < 3; round++) await putOnAll(cluster, round, accepted)
    // Connections that begin over such links, too.
    for (const [one, other] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const)
      cluster.links.reset(one, other)
    await cluster.waitForPeers(2, { timeoutMs: 110_000 })
    await putOnAll(cluster, 3, accepted)
    await waitForRest(cluster, 'over slow links')
    await expectAll(cluster, accepted)
  })
}, 240_000)
