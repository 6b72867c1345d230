/**
 * What experiments share: networks of their own, whose accounts have coins from the start; clusters that are gone when the experiment is,
 * called off or not; and how fast this machine hashes.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toAddress } from '@kvchain/core/address'
import type { ConsensusParams, Policy } from '@kvchain/core/params'
import { loadIdentity } from '@kvchain/node/identity'
import { PowPool } from '@kvchain/node/miner/powPool'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { Cluster, type ClusterOptions } from '../cluster.js'

export interface OwnNetwork {
  /** Hashes that a block takes on average; the target is fixed. */
  readonly hashes: bigint
  /** Transactions in one block. */
  readonly capacity?: number
  /** Accounts of daemons 0 to n-1, whose keys are made beforehand, and the coins of each. */
  readonly accounts?: { readonly count: number; readonly coins: number }
  /** Confirmations at which a write counts as settled. Default 6. */
  readonly settleDepth?: number
}

const MAX_HASH = 2n ** 256n
const ADDRESS_PREFIX = 'kvlab'

/**
 * Writes the file of a network like dev, but with these parameters and no block reward: what coins there are is what the accounts have. Returns
 * its path. The folders 0 to n-1 get their keys.
 */
export async function writeOwnNetwork(folder: string, own: OwnNetwork): Promise<string> {
  const { hashes, capacity, accounts, settleDepth = 6 } = own
  const url = new URL('../../../../configs/dev.json', import.meta.url)
  const dev: { consensus: ConsensusParams; policy: Policy } = JSON.parse(await readFile(url, 'utf8'))
  const target = (MAX_HASH / hashes - 1n).toString(16).padStart(64, '0')
  const consensus = {
    ...dev.consensus,
    addressPrefix: ADDRESS_PREFIX,
    targetRule: 'fixed',
    initialTarget: target,
    easiestTarget: target,
    blockReward: 0,
    ...(capacity === undefined ? {} : { maxTransactions: capacity }),
    allocations: await allocations(folder, accounts),
  }
  const file = join(folder, 'network.json')
  const policy = { ...dev.policy, settleDepth }
  await writeFile(file, JSON.stringify({ name: 'lab', consensus, policy }, null, 2))
  return file
}

async function allocations(folder: string, accounts: OwnNetwork['accounts']) {
  const { count, coins } = accounts ?? { count: 0, coins: 0 }
  const { random } = systemRuntime()
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const { account } = await loadIdentity(join(folder, String(index)), random)
      return { address: toAddress(account.publicKey, ADDRESS_PREFIX), amount: coins }
    }),
  )
}

/** Starts a cluster, hands it to `body`, stops it in good order whatever comes. Nothing is kept: what an experiment says is in its report. */
export async function onCluster<T>(
  options: ClusterOptions,
  signal: AbortSignal,
  body: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const cluster = await Cluster.start(options)
  // Calls that wait end with their connections: whoever calls the experiment off does not wait for them.
  const hangUp = () => void Promise.all(cluster.daemons.map(({ client }) => client.close()))
  signal.addEventListener('abort', hangUp, { once: true })
  try {
    signal.throwIfAborted()
    return await body(cluster)
  } finally {
    signal.removeEventListener('abort', hangUp)
    await cluster.stop()
  }
}

const WARM_UP_HASHES = 2 ** 21
const YARDSTICK_HASHES = 2 ** 23

/** Hashes that one thread of the daemon's own miner does in a second, here and now. */
export async function measureHashRate(signal: AbortSignal): Promise<number> {
  const runtime = systemRuntime()
  const pool = new PowPool({ threads: 1 }, { runtime })
  await pool.start()
  try {
    const target = new Uint8Array(32)
    target[31] = 1
    const work = { commitment: runtime.random.bytes(32), target, start: 0 }
    await pool.search({ ...work, count: WARM_UP_HASHES }, signal)
    const startMs = runtime.clock.monotonicMs()
    await pool.search({ ...work, start: WARM_UP_HASHES, count: YARDSTICK_HASHES }, signal)
    return (1000 * YARDSTICK_HASHES) / (runtime.clock.monotonicMs() - startMs)
  } finally {
    await pool.stop()
  }
}
