/**
 * Real daemons that nobody can dial, as behind a home router: they listen on nothing.
 *
 * Plan:
 *  1. two of them meet through a relay, from which each learns where the other is; a put on one is confirmed and read on the other;
 *  2. the relay stops and comes back, and the place at it, too;
 *  3. a port is forwarded by hand: who is told the announced address by others dials it.
 */
import { createServer, connect as dial, type Server } from 'node:net'
import type { NetPeer } from '@kvchain/client/contract/net'
import { type Cluster, type NodeOptions, withCluster } from '@kvchain/lab/cluster'
import type { Daemon } from '@kvchain/lab/daemon'
import { waitUntil } from '@kvchain/lab/wait'
import { expect, test } from 'vitest'

/** A daemon that nobody can dial, with a place at the relay, which is the cluster's first. */
async function addBehind(cluster: Cluster, options: NodeOptions = {}): Promise<Daemon> {
  const relay = cluster.at(0).addresses[0] ?? ''
  const daemon = await cluster.add({ mdns: false, listen: ['none'], args: ['--relay', relay], ...options })
  await untilPlace(daemon, relay)
  return daemon
}

async function untilPlace(daemon: Daemon, relay: string): Promise<void> {
  const { peerId } = await daemon.status()
  const place = `${relay}/p2p-circuit/p2p/${peerId}`
  await waitUntil(async () => (await daemon.status()).addresses.includes(place), { what: 'a place at the relay' })
}

async function peerOf(daemon: Daemon, peerId: string): Promise<NetPeer | undefined> {
  return (await daemon.client.call('net_peers', {})).peers.find((peer) => peer.peerId === peerId)
}

const withRelay = { nodes: 1, node: () => ({ args: ['--relay-service'] }) }

test('two daemons that nobody can dial meet through a relay', async () => {
  await withCluster(withRelay, async (cluster) => {
    const a = await addBehind(cluster, { mine: true })
    const b = await addBehind(cluster)
    const { peerId } = await b.status()
    const found = await waitUntil(() => peerOf(a, peerId), { what: 'the other one' })
    expect(found.address).toBe(`${cluster.at(0).addresses[0]}/p2p-circuit/p2p/${peerId}`)
    expect((await a.cli(['put', 'city', 'Lyon', '--wait'])).exitCode).toBe(0)
    await waitUntil(async () => (await b.cli(['get', 'city'])).stdout.trim() === 'Lyon', { what: 'the put, on b' })
  })
})

test('a place is had again when the relay was away', async () => {
  await withCluster(withRelay, async (cluster) => {
    const relay = cluster.at(0)
    const behind = await addBehind(cluster)
    await relay.stop()
    await waitUntil(async () => (await behind.status()).addresses.length === 0, { what: 'the loss of the place' })
    await relay.restart()
    await untilPlace(behind, relay.addresses[0] ?? '')
  })
})

test('a daemon is dialled at the address that it announces', async () => {
  let port = 0
  const router: Server = createServer((outside) => {
    const inside = dial(port, '127.0.0.2')
    outside.pipe(inside).pipe(outside)
    for (const [one, other] of [
      [outside, inside],
      [inside, outside],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => router.listen(0, '127.0.0.1', resolve))
  const bound = router.address()
  const announced = `/ip4/127.0.0.1/tcp/${typeof bound === 'object' ? bound?.port : 0}`
  try {
    await withCluster({ nodes: 1, node: () => ({}) }, async (cluster) => {
      const bootstrap = cluster.at(0).addresses.slice(0, 1)
      // It dials nobody that it hears of, and is not let in where it listens.
      const home = await cluster.add({
        ...{ mdns: false, peerExchange: false, bootstrap },
        ...{ listen: ['/ip4/127.0.0.2/tcp/0'], args: ['--announce', announced] },
      })
      port = Number(/\/tcp\/(\d+)/.exec(home.addresses[0] ?? '')?.[1])
      const { peerId } = await home.status()
      const other = await cluster.add({ mdns: false, bootstrap, args: ['--deny', '127.0.0.2'] })
      const found = await waitUntil(() => peerOf(other, peerId), { what: 'the daemon behind the router' })
      expect(found).toMatchObject({ address: `${announced}/p2p/${peerId}`, direction: 'outbound' })
    })
  } finally {
    router.close()
  }
})
