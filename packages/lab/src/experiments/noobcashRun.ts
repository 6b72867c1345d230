/**
 * The experiment of the Noobcash course on real daemons: every node begins with 100 coins and plays its own file of payments, all at once.
 * Owns the playing and what must hold at the end (one tip, every payment accounted for, no coin made or lost); the tables are noobcashReport's.
 */

import { RpcError } from '@kvchain/client/errors'
import type { KvClient } from '@kvchain/client/kvClient'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import type { Cluster } from '../cluster.js'
import type { Daemon } from '../daemon.js'
import { LabError } from '../errors.js'
import { waitUntil } from '../wait.js'
import { onCluster, writeOwnNetwork } from './laboratory.js'
import { drawPayments, type Payment, readPayments } from './noobcashFiles.js'
import type { Bench } from './report.js'

export interface NoobcashOptions {
  readonly nodes: readonly number[]
  /** Transactions in a block, at most. */
  readonly capacities: readonly number[]
  /** Leading zeros of a block's hash, in hexadecimal digits. */
  readonly difficulties: readonly number[]
  /** A folder with the course's files; drawn from the seed when left out. */
  readonly transactions?: string
  /** Payments of each node, when they are drawn. */
  readonly lines: number
}

/** One run: so many nodes, one capacity, one difficulty. */
export interface NoobcashResult {
  readonly nodes: number
  readonly capacity: number
  readonly difficulty: number
  /** Payments in the files. */
  readonly lines: number
  readonly confirmed: number
  /** Refused at once, by the daemon of a payer who had too little. */
  readonly refused: number
  /** In a block, where the payer turned out to have too little. */
  readonly failed: number
  /** From the first submission until the last payment was in a block. */
  readonly seconds: number
  /** Up to the last one with a payment. */
  readonly blocks: number
  /** Of the node that reorganised most. */
  readonly reorgs: number
}

/** What every node has at the start, as in the course. */
export const COINS = 100
/** A machine with more busy miners than processors is slow to answer; only what takes longer than this is stuck. */
const PATIENCE_MS = 600_000

/** Every combination, one after the other. Throws LabError `lab-broken` when what must hold at the end does not. */
export async function runNoobcash(options: NoobcashOptions, bench: Bench): Promise<NoobcashResult[]> {
  const plans = options.nodes.flatMap((nodes) =>
    options.difficulties.flatMap((difficulty) =>
      options.capacities.map((capacity) => ({ nodes, difficulty, capacity })),
    ),
  )
  const loads = new Map<number, Payment[][]>()
  for (const nodes of options.nodes) loads.set(nodes, await paymentsFor(nodes, options, bench.seed))
  const results: NoobcashResult[] = []
  for (const [done, plan] of plans.entries()) {
    const { nodes, difficulty, capacity } = plan
    bench.onProgress(done, plans.length, `${nodes} nodes, capacity ${capacity}, difficulty ${difficulty}`)
    results.push(await runOnce(plan, loads.get(nodes) ?? [], bench.signal))
  }
  return results
}

function paymentsFor(nodes: number, { transactions, lines }: NoobcashOptions, seed: number): Promise<Payment[][]> {
  return transactions === undefined
    ? Promise.resolve(drawPayments(seed, nodes, lines))
    : readPayments(transactions, nodes)
}

type Plan = Pick<NoobcashResult, 'nodes' | 'capacity' | 'difficulty'>

function runOnce(plan: Plan, load: readonly Payment[][], signal: AbortSignal): Promise<NoobcashResult> {
  const { nodes, capacity, difficulty } = plan
  const own = {
    hashes: 16n ** BigInt(difficulty),
    capacity,
    accounts: { count: nodes, coins: COINS },
    settleDepth: 1,
  }
  const options = {
    nodes,
    network: (folder: string) => writeOwnNetwork(folder, own),
    node: () => ({ mine: 'pending' as const, logLevel: 'warn' }),
  }
  return onCluster(options, signal, async (cluster) => {
    await cluster.waitForPeers(Math.min(2, nodes - 1), { timeoutMs: 120_000 })
    return { ...plan, ...(await play(cluster, load, signal)) }
  })
}

async function play(
  cluster: Cluster,
  load: readonly Payment[][],
  signal: AbortSignal,
): Promise<Omit<NoobcashResult, keyof Plan>> {
  const { clock } = systemRuntime()
  const accounts = await Promise.all(cluster.daemons.map(async (daemon) => (await daemon.status()).account))
  const startMs = clock.monotonicMs()
  const played = await Promise.all(
    cluster.daemons.map((daemon, index) => playFile(daemon, load[index] ?? [], accounts, signal)),
  )
  await untilQuiet(cluster, played, signal)
  const first = cluster.at(0).client
  const found = await countPayments(first)
  const lines = load.reduce((sum, { length }) => sum + length, 0)
  const refused = played.reduce((sum, one) => sum + one.refused, 0)
  const accepted = played.reduce((sum, { txids }) => sum + txids.length, 0)
  if (found.confirmed + found.failed !== accepted) {
    throw broken(`${accepted} payments were accepted, ${found.confirmed + found.failed} are in the chain`)
  }
  await checkCoins(cluster, accounts)
  const reorgs = await Promise.all(
    cluster.daemons.map(async ({ client }) => (await client.reorgs({ limit: 1 }))[0]?.number ?? 0),
  )
  const lastMs = Math.max(startMs, ...played.map(({ lastMs }) => lastMs))
  return { ...found, lines, refused, seconds: (lastMs - startMs) / 1000, reorgs: Math.max(...reorgs) }
}

interface Played {
  readonly txids: string[]
  refused: number
  /** When the last one that is known to be in a block got there, on the monotonic clock. */
  lastMs: number
}

/** One client: each payment as soon as the one before is accepted. Resolves when each has been in a block. */
async function playFile(
  daemon: Daemon,
  payments: readonly Payment[],
  accounts: readonly string[],
  signal: AbortSignal,
): Promise<Played> {
  const played: Played = { txids: [], refused: 0, lastMs: 0 }
  const waits: Promise<void>[] = []
  for (const { to, amount } of payments) {
    try {
      const { txid } = await daemon.client.send(accounts[to] ?? '', amount, { timeoutMs: PATIENCE_MS, signal })
      played.txids.push(txid)
      const wait = inBlock(daemon.client, txid, played, signal)
      // Awaited below; a failure in the meantime is no unhandled one.
      wait.catch(() => {})
      waits.push(wait)
    } catch (error) {
      if (!(error instanceof RpcError && error.code === 'refused' && error.data.rule === 'insufficient-balance'))
        throw error
      played.refused++
    }
  }
  await Promise.all(waits)
  return played
}

/** Resolves when the payment is in a block, whatever its outcome there. */
async function inBlock(client: KvClient, txid: string, played: Played, signal: AbortSignal): Promise<void> {
  const call = { timeoutMs: PATIENCE_MS + 5_000, signal }
  const status = await client.call('tx_wait', { txid, confirmations: 1, timeoutMs: PATIENCE_MS }, call)
  if (status.status === 'dropped') throw broken(`a payment was dropped: ${status.reason ?? 'no reason'}`)
  played.lastMs = Math.max(played.lastMs, systemRuntime().clock.monotonicMs())
}

/** Resolves when all are on one tip with nothing pending; payments that a reorg took out of their block are followed again. */
async function untilQuiet(cluster: Cluster, played: readonly Played[], signal: AbortSignal): Promise<void> {
  const isQuiet = async () => {
    const states = await Promise.all(cluster.daemons.map((daemon) => daemon.client.status({ timeoutMs: PATIENCE_MS })))
    const [first] = states
    if (states.every(({ tip, mempool }) => mempool.transactions === 0 && tip.hash === first?.tip.hash)) return true
    await Promise.all(
      cluster.daemons.map(async ({ client }, index) => {
        const own = played[index]
        const last = own?.txids.at(-1)
        if (own === undefined || last === undefined) return
        if ((await client.call('tx_status', { txid: last }, { timeoutMs: PATIENCE_MS })).status === 'pending')
          await inBlock(client, last, own, signal)
      }),
    )
    return false
  }
  await waitUntil(isQuiet, { what: 'one tip with nothing pending', timeoutMs: PATIENCE_MS, signal })
}

/** Payments on the main chain, by outcome, and the height of the last block with one. */
async function countPayments(client: KvClient): Promise<Pick<NoobcashResult, 'confirmed' | 'failed' | 'blocks'>> {
  const { height: tip } = await client.call('chain_tip', {})
  const count = { confirmed: 0, failed: 0, blocks: 0 }
  for (let height = 1; height <= tip; height++) {
    const { transactions } = await client.block(height)
    if (transactions.length > 0) count.blocks = height
    for (const { outcome } of transactions) count[outcome.code === 'ok' ? 'confirmed' : 'failed']++
  }
  return count
}

async function checkCoins(cluster: Cluster, accounts: readonly string[]): Promise<void> {
  for (const [index, { client }] of cluster.daemons.entries()) {
    const balances = await Promise.all(accounts.map(async (account) => (await client.balance(account)).balance))
    const sum = balances.reduce((total, balance) => total + balance, 0)
    if (sum !== COINS * accounts.length) throw broken(`node ${index} counts ${sum} coins of ${COINS * accounts.length}`)
  }
}

function broken(message: string): LabError {
  return new LabError('lab-broken', message)
}
