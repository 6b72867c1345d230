/**
 * Real daemons and the operator's hand on whom they know: through kvchain-cli and flags.
 *
 * Plan:
 *  1. a peer is banned by hand, stays out over a restart, and comes back when the ban is lifted;
 *  2. a target that is none is refused in one line;
 *  3. whom --deny names is neither let in nor dialled;
 *  4. with --psk only those connect who have the key, and the log says who has not.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Cluster, withCluster } from '@kvchain/lab/cluster'
import type { Daemon } from '@kvchain/lab/daemon'
import { waitUntil } from '@kvchain/lab/wait'
import { expect, test } from 'vitest'

async function untilPeers(daemon: Daemon, count: number): Promise<void> {
  await waitUntil(async () => (await daemon.status()).peers === count, { what: `${count} peers` })
}

async function bans(daemon: Daemon): Promise<string[]> {
  const { stdout } = await daemon.cli(['bans', '--json'])
  return JSON.parse(stdout).bans.map(({ target }: { target: string }) => target)
}

test('a ban by hand lasts over a restart, until it is lifted', async () => {
  await withCluster({ nodes: 2, node: () => ({}) }, async (cluster) => {
    const [judge, banned] = [cluster.at(0), cluster.at(1)]
    const { peerId } = await banned.status()
    const ban = await judge.cli(['ban', peerId, '--seconds', '3600', '--reason', 'a test', '--json'])
    expect(JSON.parse(ban.stdout)).toMatchObject({ target: peerId, by: 'operator', reason: 'a test' })
    await untilPeers(judge, 0)
    await untilPeers(banned, 0)
    await judge.restart()
    expect(await bans(judge)).toEqual([peerId])
    expect((await judge.status()).peers).toBe(0)
    expect(await judge.cli(['unban', peerId])).toMatchObject({ exitCode: 0, stdout: `${peerId} is no longer banned\n` })
    await untilPeers(judge, 1)
    expect(await bans(judge)).toEqual([])
  })
})

test('a target that is none is refused', async () => {
  await withCluster({ nodes: 1 }, async (cluster) => {
    for (const verb of ['ban', 'unban']) {
      const { exitCode, stderr } = await cluster.at(0).cli([verb, 'example.org'])
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/^.*no peer id.*\n$/) })
    }
    expect(await cluster.at(0).cli(['bans'])).toMatchObject({ exitCode: 0, stdout: 'nobody is banned\n' })
  })
})

test('who is denied is neither let in nor dialled', async () => {
  await withCluster({ nodes: 2, join: 'none' }, async (cluster) => {
    const { peerId } = await cluster.at(1).status()
    const bootstrap = cluster.at(1).addresses
    const closed = await cluster.add({ bootstrap, args: ['--deny', peerId, '--deny', '192.0.2.0/24'] })
    const open = await cluster.add({ bootstrap: [...closed.addresses, ...cluster.at(1).addresses] })
    await waitUntil(async () => (await open.status()).peers === 2, { what: 'the one between them' })
    expect((await closed.status()).peers).toBe(1)
    expect((await cluster.at(1).status()).peers).toBe(1)
    const wrong = Cluster.start({ nodes: 1, node: () => ({ args: ['--allow', 'example.org'] }) })
    await expect(wrong).rejects.toMatchObject({ message: expect.stringMatching(/example\.org.* is no peer id/) })
  })
})

test('with a pre-shared key only its holders connect', async () => {
  await withCluster({ nodes: 1, join: 'none' }, async (cluster) => {
    const key = async (name: string, digit: string): Promise<string[]> => {
      const file = join(cluster.path, name)
      await writeFile(file, `/key/swarm/psk/1.0.0/\n/base16/\n${digit.repeat(64)}\n`, { mode: 0o600 })
      return ['--psk', file]
    }
    const [ours, others] = [await key('ours', 'a'), await key('others', 'b')]
    const first = await cluster.add({ args: ours })
    const bootstrap = first.addresses
    const second = await cluster.add({ args: ours, bootstrap, mine: 'always' })
    const strangers = [await cluster.add({ args: others, bootstrap }), await cluster.add({ bootstrap })]
    await waitUntil(async () => /same pre-shared key/.test(await readFile(first.logFile, 'utf8')), {
      what: 'the warning',
    })
    await waitUntil(async () => (await first.status()).tip.height > 1, { what: 'blocks of the other holder' })
    expect((await first.status()).peers).toBe(1)
    expect((await second.status()).peers).toBe(1)
    for (const stranger of strangers) expect((await stranger.status()).peers).toBe(0)
  })
})
