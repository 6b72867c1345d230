/**
 * Three real daemons on three hosts of a local network, who are told nothing: each host is a network namespace. Skipped, and said so, on a machine
 * that cannot have them.
 *
 * 1. They find one another by mDNS alone, and a put on one is read on all.
 * 2. One host's cable is pulled, until nobody is connected with it any more; both sides are written to. Once it is plugged in again, all find
 *    one another, have one tip, and every accepted put is on every host.
 */
import { withCluster } from '@kvchain/lab/cluster'
import { waitUntil } from '@kvchain/lab/wait'
import { expect, test } from 'vitest'
import { Lan, whyNoLan } from '../helpers/lan.js'

/** A silent connection is given up after 25 s; the rest is for a busy machine. */
const SILENCE = { timeoutMs: 90_000 }

test('three hosts on a bridge, by mDNS alone; one is cut off and comes back', async (context) => {
  const why = whyNoLan()
  if (why !== undefined) context.skip(why)
  const lan = new Lan(3)
  try {
    const node = (host: number) => ({ within: lan.on(host), listen: ['/ip4/0.0.0.0/tcp/0'], mine: 'pending' as const })
    await withCluster({ nodes: 3, join: 'mdns', node }, async (cluster) => {
      await cluster.waitForPeers(2)
      for (const host of [0, 1, 2]) {
        expect(cluster.at(host).addresses.some((address) => address.includes(lan.address(host)))).toBe(true)
      }
      const accepted = new Map<string, string>()
      const put = async (host: number, key: string) => {
        await cluster.at(host).client.put(key, `by host ${host}`)
        accepted.set(key, `by host ${host}`)
      }
      await put(1, 'greeting')
      const got = await cluster.at(2).waitFor(({ client }) => client.get('greeting'), { what: 'the put', ...SILENCE })
      expect(got.value).toBe('by host 1')

      lan.cut(2)
      for (let n = 0; n < 5; n++) for (const host of [0, 1, 2]) await put(host, `apart-${host}-${n}`)
      const peers = async () => Promise.all(cluster.daemons.map(async (daemon) => (await daemon.status()).peers))
      await waitUntil(async () => (await peers()).join() === '1,1,0', { what: 'host 2 to be alone', ...SILENCE })
      await put(2, 'alone')
      expect(await cluster.at(0).client.get('alone')).toBeUndefined()

      lan.heal(2)
      await cluster.waitForPeers(2, SILENCE)
      // The side that loses writes its own again: each of them is in a block of everybody's once more, sooner or later.
      for (const daemon of cluster.daemons) {
        for (const [key, value] of accepted) {
          const got = await daemon.waitFor(({ client }) => client.get(key), { what: key, ...SILENCE })
          expect([key, got.value]).toEqual([key, value])
        }
      }
      await cluster.waitForSameTip(SILENCE)
    })
  } finally {
    lan.remove()
  }
}, 400_000)
