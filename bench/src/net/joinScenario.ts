/**
 * The join scenario: a daemon with an empty folder catches up with one that has a chain. Owns the order: the chain is made, its daemon started, the
 * yardstick taken, the newcomer started and waited for, the yardstick taken again.
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
import { mebibytes, percent, row, whole } from '../table.js'
import { measureVerify } from '../yardstick.js'
import { ChainMaker } from './chainMaker.js'
import { writeEasyNetwork } from './easyNetwork.js'

export interface JoinReport {
  readonly scenario: 'join'
  readonly date: string
  readonly commit: string
  readonly dirty: boolean
  readonly machine: Machine
  readonly options: JoinBenchOptions
  /** Bare signature verifications a second in one thread. */
  readonly yardstick: { readonly before: number; readonly after: number }
  /** From the start of the newcomer's process until it has the tip. */
  readonly seconds: number
  readonly blocksPerSecond: number
  readonly transactionsPerSecond: number
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

const TIMEOUT_MS = 3_600_000
const EVERY_MS = 20

const { clock } = systemRuntime()

export async function runJoinScenario(
  options: JoinBenchOptions,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<JoinReport> {
  const date = new Date(clock.nowMs()).toISOString()
  const folder = await TempDir.make('join')
  const daemons: Daemon[] = []
  try {
    const { file, network } = await writeEasyNetwork(folder.path, 'bench-join')
    say(`making ${options.blocks} blocks with ${options.transactions} transactions`)
    const dataDir = join(folder.path, 'server')
    const maker = await ChainMaker.open(network, dataDir, options.valueBytes)
    await makeChain(maker, options, signal).finally(() => maker.stop())
    const server = await Daemon.start({ network: file, dataDir, startTimeoutMs: 120_000 })
    daemons.push(server)
    const before = measureVerify()
    say('a newcomer joins')
    const measured = await measure(server, file, join(folder.path, 'newcomer'), daemons, signal)
    const after = measureVerify()
    const mainCpu = measured.newcomer?.mainThreadCpuSeconds
    const transactionsPerSecond = options.transactions / measured.seconds
    return {
      scenario: 'join',
      date,
      ...(await describeCommit()),
      machine: describeMachine(),
      options,
      yardstick: { before: before.perSecond, after: after.perSecond },
      blocksPerSecond: options.blocks / measured.seconds,
      transactionsPerSecond,
      ratioToYardstick: (transactionsPerSecond * 2) / (before.perSecond + after.perSecond),
      ratioByCpu: mainCpu && ((options.transactions / mainCpu) * 2) / (before.perCpuSecond + after.perCpuSecond),
      ...measured,
    }
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.stop()))
    await folder.remove()
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

async function measure(server: Daemon, network: string, dataDir: string, daemons: Daemon[], signal: AbortSignal) {
  const tip = await server.client.call('chain_tip', {})
  const costBefore = await readProcessCost(server.pid)
  const machineBefore = await readMachineCpuSeconds()
  const startMs = clock.monotonicMs()
  const newcomer = await Daemon.start({ network, dataDir, bootstrap: server.addresses })
  daemons.push(newcomer)
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
}

function difference(after: ProcessCost, before: ProcessCost): ProcessCost {
  return {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    mainThreadCpuSeconds: after.mainThreadCpuSeconds - before.mainThreadCpuSeconds,
    peakRssBytes: after.peakRssBytes,
  }
}

export function formatJoinReport(report: JoinReport): string {
  const { options, machine, newcomer, server, commit, dirty, yardstick } = report
  return [
    `join: ${options.blocks} blocks with ${options.transactions} puts of ${options.valueBytes} bytes, from one daemon to another`,
    `${machine.cpu}, ${machine.cores} cores, node ${machine.node}; commit ${commit.slice(0, 12)}${dirty ? ' and changes' : ''}`,
    '',
    row('seconds, process start included', report.seconds.toFixed(2)),
    row('blocks a second', whole(report.blocksPerSecond)),
    row('transactions a second', whole(report.transactionsPerSecond)),
    row('bare verifications a second', whole(yardstick.before), whole(yardstick.after)),
    row('  transactions as a share', percent(report.ratioToYardstick)),
    row('  the same by CPU of one thread', percent(report.ratioByCpu)),
    row('CPU seconds of the newcomer', whole(newcomer?.cpuSeconds)),
    row('  of its first thread', whole(newcomer?.mainThreadCpuSeconds)),
    row('CPU seconds of the server', whole(server?.cpuSeconds)),
    row('CPU seconds of others meanwhile', whole(report.otherCpuSeconds)),
    row('peak memory of the newcomer, MiB', mebibytes(newcomer?.peakRssBytes)),
  ].join('\n')
}
