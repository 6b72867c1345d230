/**
 * Three real daemons, started through bin/ and joined by bootstrap, then by mDNS alone.
 *
 * Plan:
 *  1. a put with --wait on one; get and history on the others are equal to its own, byte for byte;
 *  2. one daemon is killed with -9 while all three are written to, and restarted: same tip and state root everywhere, and every accepted put
 *     is in the chain exactly once, those that the killed daemon accepted included;
 *  3. a daemon that joins late fetches everything.
 */
import { Cluster, withCluster } from '@kvchain/lab/cluster'
import type { Daemon } from '@kvchain/lab/daemon'
import { waitUntil } from '@kvchain/lab/wait'
import { describe, expect, test } from 'vitest'

/** What a client sees of a key, without what depends on when it asked. */
async function view(daemon: Daemon, key: string): Promise<unknown> {
  const {
    confirmations: _,
    tip: __,
    settled: ___,
    reversal: _____,
    ...entry
  } = (await daemon.client.get(key)) ?? {
    confirmations: 0,
    tip: undefined,
    settled: false,
    reversal: undefined,
  }
  const history = await daemon.client.history(key)
  return { entry, versions: history.versions.map(({ confirmations: ____, ...version }) => version) }
}

describe.each(['bootstrap', 'mdns'] as const)('joined by %s', (join) => {
  test('a put on one is read on all', async () => {
    await withCluster({ nodes: 3, join }, async (cluster) => {
      const put = await cluster.at(1).cli(['put', 'greeting', 'hello', '--wait'])
      expect(put).toMatchObject({ exitCode: 0, stderr: '' })
      const again = await cluster.at(1).cli(['put', 'greeting', 'hello again', '--wait=2'])
      expect(again.exitCode).toBe(0)
      await cluster.waitForSameTip({ minHeight: 2 })
      const views = await Promise.all(cluster.daemons.map((daemon) => view(daemon, 'greeting')))
      expect(views[0]).toMatchObject({ entry: { value: 'hello again', version: 2 } })
      expect(views[1]).toEqual(views[0])
      expect(views[2]).toEqual(views[0])
      const got = await cluster.at(2).cli(['get', 'greeting'])
      expect(got).toMatchObject({ exitCode: 0, stdout: 'hello again' })
    })
  })
})

test('kill -9 under load loses no accepted put', async () => {
  await withCluster({ nodes: 3, join: 'bootstrap' }, async (cluster) => {
    const accepted: string[] = []
    let stopped = false
    const victim = cluster.at(2)
    const writers = cluster.daemons.map(async (daemon, node) => {
      for (let n = 0; !stopped && daemon.isRunning; n++) {
        const key = `n${node}-${n}`
        try {
          await daemon.client.put(key, `value of ${key}`)
          accepted.push(key)
        } catch (error) {
          // The killed daemon's writer ends with it: that put was never answered.
          if (daemon !== victim) throw error
          return
        }
      }
    })
    await waitUntil(() => accepted.filter((key) => key.startsWith('n2-')).length >= 100, { what: 'load on the victim' })
    await victim.kill9()
    const before = accepted.length
    await waitUntil(() => accepted.length >= before + 100, { what: 'load without the victim' })
    await victim.restart()
    stopped = true
    await Promise.all(writers)
    await waitUntil(
      async () =>
        (await Promise.all(cluster.daemons.map((d) => d.status()))).every((s) => s.mempool.transactions === 0),
      { what: 'empty mempools', timeoutMs: 60_000 },
    )
    const tip = await cluster.waitForSameTip({ timeoutMs: 60_000 })
    for (const daemon of cluster.daemons) {
      expect((await daemon.status()).tip).toMatchObject({ hash: tip.hash, stateRoot: tip.stateRoot })
    }
    for (const daemon of [cluster.at(0), victim]) {
      for (const key of accepted) {
        const { versions } = await daemon.client.history(key)
        expect(versions.map(({ version, value }) => [version, value])).toEqual([[1, `value of ${key}`]])
      }
    }
  })
})

test('who joins late fetches everything', async () => {
  await withCluster({ nodes: 2, join: 'bootstrap' }, async (cluster) => {
    for (let n = 0; n < 20; n++) await cluster.at(0).client.put(`k${n}`, `v${n}`)
    const last = await cluster.at(0).cli(['put', 'last', 'one', '--wait=6'])
    expect(last.exitCode).toBe(0)
    const late = await cluster.add({ mdns: false, bootstrap: cluster.at(1).addresses.slice(0, 1) })
    await cluster.waitForSameTip({ minHeight: 6 })
    expect((await late.client.get('k7'))?.value).toBe('v7')
    expect(await view(late, 'last')).toEqual(await view(cluster.at(0), 'last'))
  })
})

test('two halves that wrote apart agree once joined, and no write of the losing half is lost', async () => {
  const left = await Cluster.start({ nodes: 2, join: 'bootstrap' })
  const right = await Cluster.start({ nodes: 2, join: 'bootstrap' })
  let keep = true
  try {
    const txids: { daemon: Daemon; txid: string }[] = []
    const write = async (daemon: Daemon, key: string, value: string) => {
      txids.push({ daemon, txid: (await daemon.client.put(key, value)).txid })
    }
    for (const [side, half] of [left, right].entries()) {
      for (let n = 0; n < 30; n++) await write(half.at(n % 2), `side${side}-${n}`, `${n}`)
      await write(half.at(1), 'contested', `side ${side}`)
    }
    // Each half settles its own branch, of different length, before they meet.
    expect((await left.at(0).cli(['put', 'mark', 'left', '--wait=6'])).exitCode).toBe(0)
    expect((await right.at(0).cli(['put', 'mark2', 'right', '--wait=12'])).exitCode).toBe(0)
    const apart = await Promise.all([left.at(0), right.at(0)].map((daemon) => daemon.client.call('chain_tip', {})))
    expect(apart[0]?.hash).not.toBe(apart[1]?.hash)

    const bootstrap = [...left.at(0).addresses.slice(0, 1), ...right.at(0).addresses.slice(0, 1)]
    const bridge = await left.add({ mdns: false, bootstrap })
    const all = [...left.daemons, ...right.daemons]
    const sameTip = async () => {
      const tips = await Promise.all(all.map((daemon) => daemon.client.call('chain_tip', {})))
      return new Set(tips.map(({ hash, stateRoot }) => hash + stateRoot)).size === 1
    }
    await waitUntil(sameTip, { what: 'one tip', timeoutMs: 60_000 })
    const fates = await Promise.all(
      txids.map(({ daemon, txid }) => daemon.client.call('tx_wait', { txid, confirmations: 1, timeoutMs: 60_000 })),
    )
    const failed = fates.filter(({ status }) => status !== 'confirmed')
    // Both halves wrote `contested`: one of them owns it now, the other is told why it failed.
    expect(failed).toMatchObject([{ status: 'failed', outcome: { code: 'not-owner', operation: 0 } }])
    await waitUntil(sameTip, { what: 'one tip at rest', timeoutMs: 60_000 })
    for (const daemon of [left.at(1), right.at(1), bridge]) {
      for (const side of [0, 1]) {
        for (const n of [0, 13, 29]) expect((await daemon.client.get(`side${side}-${n}`))?.value).toBe(`${n}`)
      }
    }
    keep = false
  } finally {
    await left.stop({ keep })
    await right.stop({ keep })
  }
})
