/** What the tests of the hostile peer share: an easy network, an attack while the honest go on, and how much memory a daemon takes. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cluster } from '@kvchain/lab/cluster'
import type { Daemon } from '@kvchain/lab/daemon'
import type { Act, Counts } from '@kvchain/lab/hostile/acts'
import { HostilePeer } from '@kvchain/lab/hostile/hostilePeer'
import { waitUntil } from '@kvchain/lab/wait'
import { systemRuntime } from '@kvchain/node/runtime/runtime'

export const LONG = process.env.KVCHAIN_LONG === '1'
/** How long an attack may take. A thousand pairs of blocks take four minutes, and longer on a busy machine. */
const ATTACK_TIMEOUT_MS = LONG ? 1_500_000 : 110_000
export const TEST_TIMEOUT_MS: number = ATTACK_TIMEOUT_MS + 10_000
const { timers } = systemRuntime()

/**
 * Dev, but a block takes some 262,000 hashes and pays nothing: so a peer without the state can make empty blocks. Where the target cannot be checked, a
 * header needs next to no work.
 */
export function easyNetwork(folder: string): Promise<string> {
  return networkFile(folder, {})
}

/** The same, but the target follows the time that blocks take, and of other peers' chains nothing is kept before they show more work than anybody here can make. */
export function guardedNetwork(folder: string): Promise<string> {
  return networkFile(folder, { minimumChainwork: 'f'.repeat(16) }, { targetRule: 'relative-exponential' })
}

async function networkFile(folder: string, changes: object, rules: object = {}): Promise<string> {
  const dev = JSON.parse(await readFile(new URL('../../../../configs/dev.json', import.meta.url), 'utf8'))
  const target = `00003${'f'.repeat(59)}`
  const consensus = { ...dev.consensus, blockReward: 0, initialTarget: target, easiestTarget: 'f'.repeat(64), ...rules }
  const file = join(folder, 'network.json')
  const policy = { ...dev.policy, ...changes }
  await writeFile(file, JSON.stringify({ ...dev, $schema: undefined, name: 'hostile', consensus, policy }))
  return file
}

/** Resident memory of a process in MiB. */
async function rssMib(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1] ?? 0) / 1024
}

export interface Attack {
  readonly peer: HostilePeer
  readonly result: Counts
  /** Puts of the honest that were confirmed meanwhile. */
  readonly confirmed: number
  /** MiB that the attacked daemon took more than before, at the most. */
  readonly growthMib: number
}

let puts = 0

/** One put on a daemon, confirmed there and read on another. */
export async function putAndRead(writer: Daemon, reader: Daemon): Promise<void> {
  const [key, value] = [`honest-${puts}`, `${puts++}`]
  const { txid } = await writer.client.put(key, value)
  const status = await writer.client.call('tx_wait', { txid, confirmations: 1, timeoutMs: 60_000 })
  if (status.status !== 'confirmed') throw new Error(`an honest put is ${status.status}`)
  await reader.waitFor(async ({ client }) => (await client.get(key))?.value === value, {
    what: `${key} elsewhere`,
    timeoutMs: 60_000,
  })
}

/** Lets the hostile peer loose on daemon 0 (or `targets`), and puts on the honest ones, or on itself when it is alone, until it has done its worst. Stops it at the end of the test. */
export async function attack(
  cluster: Cluster,
  act: Act,
  targets = cluster.at(0).addresses.slice(0, 1),
): Promise<Attack> {
  const victim = cluster.at(0)
  const [writer, reader] = cluster.daemons.length > 2 ? [cluster.at(1), cluster.at(2)] : [victim, victim]
  const before = await rssMib(victim.pid)
  let growthMib = 0
  const peer = await HostilePeer.start({ network: cluster.network, targets, acts: [act] })
  let isOver = false
  const sampling = (async () => {
    while (!isOver) {
      growthMib = Math.max(growthMib, (await rssMib(victim.pid)) - before)
      await timers.sleep(50)
    }
  })()
  let confirmed = 0
  try {
    const ended = peer.result({ timeoutMs: ATTACK_TIMEOUT_MS }).finally(() => {
      isOver = true
    })
    const honest = (async () => {
      do {
        await putAndRead(writer, reader)
        confirmed++
        await timers.sleep(100)
      } while (!isOver)
    })()
    const [result] = await Promise.all([ended, honest])
    return { peer, result, confirmed, growthMib }
  } finally {
    isOver = true
    await sampling
    await peer.stop()
  }
}

/** Resolves when the daemon has banned the peer, and is not connected with it. */
export async function waitForBan(daemon: Daemon, peerId: string): Promise<void> {
  const isOut = async () => {
    const [{ bans }, { peers }] = await Promise.all([
      daemon.client.call('net_bans', {}),
      daemon.client.call('net_peers', {}),
    ])
    return bans.some((ban) => ban.target === peerId) && !peers.some((peer) => peer.peerId === peerId)
  }
  await waitUntil(isOut, { what: 'the ban', timeoutMs: 60_000 })
}
