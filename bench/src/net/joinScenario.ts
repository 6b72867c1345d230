/**
 * The join scenario: a daemon with an empty folder catches up with one that has a chain. Owns the order: the chain is made, its daemon started, the
 * yardstick taken, a newcomer started and waited for, the yardstick taken again, and so on.
 */
import { join } from 'node:path'
import { Daemon } from '@kvchain/lab/daemon'
import { TempDir } from '@kvchain/lab/tempDir'
import { waitUntil } from '@kvchain/lab/wait'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import type { JoinBenchOptions } from '../options.js'
import {
  describeCommit,
  describeMachine,
  type Machine,
  type ProcessCost,
  readMachineCpuSeconds,
  readProcessCost,
} from '../resources.js'
import { median } from '../stats.js'
import { mebibytes, percent, row, whole } from '../table.js'
import { measureVerify } from '../yardstick.js'
import { ChainMaker } from './chainMaker.js'
import { writeEasyNetwork } from './easyNetwork.js'

/** One newcomer. */
export interface JoinRound {
  /** From the start of the newcomer's process until it has the tip. */
  readonly seconds: number
  readonly transactionsPerSecond: number
  /** Bare signature verifications a second in one thread. */
  readonly yardstick: { readonly before: number; readonly after: number }
  /** transactionsPerSecond by the mean of the yardstick. */
  readonly ratioToYardstick: number
  /**
   * Transactions by the CPU time of the newcomer's first thread, which everything but signatures goes through, by signatures by the CPU time of the
   * yardstick: what the ratio can be at best on a machine that does nothing else.
   */
  readonly ratioByCpu: number | undefined
  readonly newcomer: ProcessCost | undefined
  readonly server: ProcessCost | undefined
  /** What the machine spent meanwhile on anything but the two daemons. */
  readonly otherCpuSeconds: number | undefined
}

export interface JoinReport {
  readonly scenario: 'join'
  readonly date: string
  readonly commit: string
  readonly dirty: boolean
  readonly machine: Machine
  readonly options: JoinBenchOptions
  readonly rounds: readonly JoinRound[]
  /** Of the rounds, the median of each: as JoinRound has them. */
  readonly seconds: number
  readonly blocksPerSecond: number
  readonly transactionsPerSecond: number
  readonly ratioToYardstick: number
  readonly ratioByCpu: number | undefined
}

const TIMEOUT_MS = 3_600_000
const EVERY_MS = 20
/** Lets what is left to do end before the yardstick is taken: LevelDB goes on tidying up. */
const QUIET_MS = 1_000

const { clock, timers } = systemRuntime()

export async function runJoinScenario(
  options: JoinBenchOptions,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<JoinReport> {
  const date = new Date(clock.nowMs()).toISOString()
  const folder = await TempDir.make('join')
  let server: Daemon | undefined
  try {
    const { file, network } = await writeEasyNetwork(folder.path, 'bench-join')
    say(`making ${options.blocks} blocks with ${options.transactions} transactions`)
    const dataDir = join(folder.path, 'server')
    const maker = await ChainMaker.open(network, dataDir, options.valueBytes)
    await makeChain(maker, options, signal).finally(() => maker.stop())
    server = await Daemon.start({ network: file, dataDir, startTimeoutMs: 120_000 })
    const rounds: JoinRound[] = []
    let before = await quietVerify(signal)
    for (let round = 1; round <= options.rounds; round++) {
      say(`newcomer ${round} of ${options.rounds} joins`)
      const costs = await joinOnce(server, file, join(folder.path, `newcomer-${round}`), signal)
      const after = await quietVerify(signal)
      rounds.push(judge(options, costs, before, after))
      before = after
    }
    const byCpu = rounds.map(({ ratioByCpu }) => ratioByCpu).filter((ratio) => ratio !== undefined)
    const seconds = median(rounds.map((round) => round.seconds))
    return {
      scenario: 'join',
      date,
      ...(await describeCommit()),
      machine: describeMachine(),
      options,
      rounds,
      seconds,
      blocksPerSecond: options.blocks / seconds,
      transactionsPerSecond: options.transactions / seconds,
      ratioToYardstick: median(rounds.map(({ ratioToYardstick }) => ratioToYardstick)),
      ratioByCpu: byCpu.length === 0 ? undefined : median(byCpu),
    }
  } finally {
    await server?.stop()
    await folder.remove()
  }
}

type Verified = ReturnType<typeof measureVerify>
type Costs = Pick<JoinRound, 'seconds' | 'newcomer' | 'server' | 'otherCpuSeconds'>

async function quietVerify(signal: AbortSignal): Promise<Verified> {
  await timers.sleep(QUIET_MS, signal)
  return measureVerify()
}

function judge({ transactions }: JoinBenchOptions, costs: Costs, before: Verified, after: Verified): JoinRound {
  const transactionsPerSecond = transactions / costs.seconds
  const firstThread = costs.newcomer?.mainThreadCpuSeconds
  return {
    ...costs,
    transactionsPerSecond,
    yardstick: { before: before.perSecond, after: after.perSecond },
    ratioToYardstick: (transactionsPerSecond * 2) / (before.perSecond + after.perSecond),
    ratioByCpu: firstThread && ((transactions / firstThread) * 2) / (before.perCpuSecond + after.perCpuSecond),
  }
}

/** Spreads the transactions evenly over the blocks. */
async function makeChain(maker: ChainMaker, options: JoinBenchOptions, signal: AbortSignal): Promise<void> {
  let made = 0
  for (let block = 1; block <= options.blocks; block++) {
    signal.throwIfAborted()
    const due = Math.round((options.transactions * block) / options.blocks)
    await maker.add(maker.puts(due - made))
    made = due
  }
}

async function joinOnce(server: Daemon, network: string, dataDir: string, signal: AbortSignal): Promise<Costs> {
  const tip = await server.client.call('chain_tip', {})
  const costBefore = await readProcessCost(server.pid)
  const machineBefore = await readMachineCpuSeconds()
  const startMs = clock.monotonicMs()
  const newcomer = await Daemon.start({ network, dataDir, bootstrap: server.addresses })
  try {
    const hasTip = async () => (await newcomer.client.call('chain_tip', {})).hash === tip.hash
    await waitUntil(hasTip, { what: 'the tip', timeoutMs: TIMEOUT_MS, everyMs: EVERY_MS, signal })
    const seconds = (clock.monotonicMs() - startMs) / 1_000
    const [cost, costAfter, machineAfter] = await Promise.all([
      readProcessCost(newcomer.pid),
      readProcessCost(server.pid),
      readMachineCpuSeconds(),
    ])
    const served = costAfter && costBefore && difference(costAfter, costBefore)
    const spent = (cost?.cpuSeconds ?? 0) + (served?.cpuSeconds ?? 0)
    const other =
      machineAfter === undefined || machineBefore === undefined ? undefined : machineAfter - machineBefore - spent
    return { seconds, newcomer: cost, server: served, otherCpuSeconds: other && Math.max(0, other) }
  } finally {
    await newcomer.stop()
  }
}

function difference(after: ProcessCost, before: ProcessCost): ProcessCost {
  return {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    mainThreadCpuSeconds: after.mainThreadCpuSeconds - before.mainThreadCpuSeconds,
    peakRssBytes: after.peakRssBytes,
  }
}

export function formatJoinReport(report: JoinReport): string {
  const { options, machine, rounds, commit, dirty } = report
  const each = (name: string, value: (round: JoinRound) => string) => row(name, ...rounds.map(value))
  return [
    `join: ${options.blocks} blocks with ${options.transactions} puts of ${options.valueBytes} bytes, from one daemon to another; ${options.rounds} newcomers`,
    `${machine.cpu}, ${machine.cores} cores, node ${machine.node}; commit ${commit.slice(0, 12)}${dirty ? ' and changes' : ''}`,
    '',
    each('seconds, process start included', ({ seconds }) => seconds.toFixed(2)),
    each('transactions a second', ({ transactionsPerSecond }) => whole(transactionsPerSecond)),
    each('bare verifications/s, before', ({ yardstick }) => whole(yardstick.before)),
    each('  after', ({ yardstick }) => whole(yardstick.after)),
    each('  transactions as a share', ({ ratioToYardstick }) => percent(ratioToYardstick)),
    each('  the same by CPU of one thread', ({ ratioByCpu }) => percent(ratioByCpu)),
    each('CPU seconds of the newcomer', ({ newcomer }) => whole(newcomer?.cpuSeconds)),
    each('  of its first thread', ({ newcomer }) => whole(newcomer?.mainThreadCpuSeconds)),
    each('CPU seconds of the server', ({ server }) => whole(server?.cpuSeconds)),
    each('CPU seconds of others meanwhile', ({ otherCpuSeconds }) => whole(otherCpuSeconds)),
    each('peak memory of the newcomer, MiB', ({ newcomer }) => mebibytes(newcomer?.peakRssBytes)),
    '',
    row('median: blocks a second', whole(report.blocksPerSecond)),
    row('  transactions a second', whole(report.transactionsPerSecond)),
    row('  transactions as a share', percent(report.ratioToYardstick)),
    row('  the same by CPU of one thread', percent(report.ratioByCpu)),
  ].join('\n')
}
