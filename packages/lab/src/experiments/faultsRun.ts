/**
 * Faults of real daemons under load: killed (kill -9) and started again, silent for a time (SIGSTOP), or byzantine: hostile peers in their place. Owns the
 * load, the faults and what must hold afterwards: every write that was accepted is on every daemon.
 */
import type { KvClient } from '@kvchain/client/kvClient'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import type { Cluster } from '../cluster.js'
import type { Daemon } from '../daemon.js'
import { LabError } from '../errors.js'
import { waitUntil } from '../wait.js'
import { Coalition, HOSTILE_NAMES, type HostileName, type HostileResult, hostileName } from './faultsByzantine.js'
import { onCluster, writeOwnNetwork } from './laboratory.js'
import { send } from './pace.js'
import type { Bench } from './report.js'

export interface FaultsOptions {
  /** Three at least; the first two mine. */
  readonly nodes: number
  /** Before, during and after each fault. */
  readonly phaseSeconds: number
  /** Of FAULT_KINDS. */
  readonly kinds: readonly string[]
  /** In how many daemons' places there are hostile peers: a case for each number, below that of the daemons. */
  readonly byzantine: readonly number[]
  /** Of HOSTILE_NAMES: a case for each alone. None: all of them at once. */
  readonly behaviours: readonly string[]
}

export const FAULT_KINDS = ['crash', 'silence', 'byzantine'] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface Fault {
  readonly name: string
  readonly kind: FaultKind
  /** Numbers of the daemons that it hits. */
  readonly victims: readonly number[]
  /** Of the hostile peers in their place. */
  readonly behaviours?: readonly HostileName[]
}

export interface FaultResult extends Fault {
  /** Writes confirmed in a second, all daemons together, in each phase. */
  readonly before: number
  readonly during: number
  readonly after: number
  /** From the moment that the victims are started or continued until they have what the others had then. */
  readonly recoveryMs: number
  readonly accepted: number
  readonly lost: number
  /** What the hostile peers did, behaviour by behaviour. */
  readonly hostile: readonly HostileResult[]
}

const HASHES = 1_000_000n
const LANES = 4
const PATIENCE_MS = 120_000
const POLL_MS = 50
const { clock, timers } = systemRuntime()

/**
 * Crash and silence: one victim, all but one, and the miner, which is always in the middle of a block. Byzantine: the last so many, all behaviours at once or each
 * alone. Throws LabError `lab-options`.
 */
export function faultsFor({ nodes, kinds, byzantine, behaviours }: Omit<FaultsOptions, 'phaseSeconds'>): Fault[] {
  const last = (count: number) => Array.from({ length: count }, (_, i) => nodes - count + i)
  const cases =
    behaviours.length === 0
      ? [{ title: 'byzantine', names: HOSTILE_NAMES }]
      : behaviours.map((title) => ({ title, names: [hostileName(title)] }))
  const all: Record<FaultKind, Fault[]> = {
    crash: [
      { name: 'crash of one', kind: 'crash', victims: last(1) },
      { name: 'crash of a miner in mid-block', kind: 'crash', victims: [0] },
      { name: 'crash of all but one', kind: 'crash', victims: last(nodes - 1) },
    ],
    silence: [
      { name: 'silence of one', kind: 'silence', victims: last(1) },
      { name: 'silence of all but one', kind: 'silence', victims: last(nodes - 1) },
    ],
    byzantine: cases.flatMap(({ title, names }) =>
      byzantine.map((count) => ({
        name: `${title}, ${count} of ${nodes}`,
        kind: 'byzantine',
        victims: last(count),
        behaviours: names,
      })),
    ),
  }
  return kinds.flatMap((text) => {
    const kind = FAULT_KINDS.find((one) => one === text)
    if (kind !== undefined) return all[kind]
    throw new LabError('lab-options', `there is no fault '${text}': there are ${FAULT_KINDS.join(', ')}`)
  })
}

/** Throws LabError `lab-broken` when an accepted write is nowhere to be found at the end. */
export async function runFaults(wanted: FaultsOptions, bench: Bench): Promise<FaultResult[]> {
  const { nodes, phaseSeconds } = wanted
  const faults = faultsFor(wanted)
  const options = {
    nodes,
    network: (folder: string) => writeOwnNetwork(folder, { hashes: HASHES }),
    node: (index: number) => ({ mine: index < 2 && ('pending' as const), logLevel: 'warn' }),
  }
  return onCluster(options, bench.signal, async (cluster) => {
    const results: FaultResult[] = []
    for (const [index, fault] of faults.entries()) {
      bench.onProgress(index, faults.length, fault.name)
      results.push(await suffer(cluster, fault, index, phaseSeconds * 1000, bench.signal))
    }
    return results
  })
}

async function suffer(
  cluster: Cluster,
  fault: Fault,
  index: number,
  phaseMs: number,
  signal: AbortSignal,
): Promise<FaultResult> {
  const load = new Load(cluster.daemons, `fault ${index}/`)
  const rate = async () => {
    const [startMs, startCount] = [clock.monotonicMs(), load.confirmed]
    await timers.sleep(phaseMs, signal)
    return (1000 * (load.confirmed - startCount)) / (clock.monotonicMs() - startMs)
  }
  const victims = fault.victims.map((victim) => cluster.at(victim))
  const others = cluster.daemons.filter((daemon) => !victims.includes(daemon))
  let coalition: Coalition | undefined
  try {
    const before = await rate()
    await strike(fault.kind, victims)
    if (fault.behaviours !== undefined) {
      coalition = await Coalition.start(cluster.network, others, victims.length, fault.behaviours)
    }
    const during = await rate()
    const hostile = (await coalition?.end(others)) ?? []
    const startMs = clock.monotonicMs()
    await heal(fault.kind, others[0], victims, signal)
    const recoveryMs = clock.monotonicMs() - startMs
    const after = await rate()
    await load.end()
    const lost = await countLost(cluster, load, signal)
    if (lost > 0) throw new LabError('lab-broken', `${fault.name}: ${lost} accepted writes are lost`)
    return { ...fault, before, during, after, recoveryMs, accepted: load.accepted.size, lost, hostile }
  } finally {
    await coalition?.stop()
    for (const { pid } of victims) send(pid, 'SIGCONT')
    await load.end()
  }
}

async function strike(kind: FaultKind, victims: readonly Daemon[]): Promise<void> {
  if (kind === 'silence') for (const { pid } of victims) send(pid, 'SIGSTOP')
  else await Promise.all(victims.map((victim) => victim.kill9()))
}

/** Resolves when each victim is at the height that the survivor had when it came back. */
async function heal(
  kind: FaultKind,
  survivor: Daemon | undefined,
  victims: readonly Daemon[],
  signal: AbortSignal,
): Promise<void> {
  const height = (await survivor?.client.call('chain_tip', {}, { timeoutMs: PATIENCE_MS }))?.height ?? 0
  const bootstrap = survivor?.addresses ?? []
  if (kind === 'silence') for (const { pid } of victims) send(pid, 'SIGCONT')
  else await Promise.all(victims.map((victim) => victim.restart({ bootstrap })))
  const haveCaughtUp = async () => {
    const tips = await Promise.all(
      victims.map(({ client }) => client.call('chain_tip', {}, { timeoutMs: PATIENCE_MS })),
    )
    return tips.every((tip) => tip.height >= height)
  }
  await waitUntil(haveCaughtUp, { what: 'the victims', timeoutMs: PATIENCE_MS, everyMs: POLL_MS, signal })
}

/** Accepted writes that are not on every daemon, however long one waits. */
async function countLost(cluster: Cluster, load: Load, signal: AbortSignal): Promise<number> {
  const missing = async () => {
    const seen = await Promise.all(cluster.daemons.map(({ client }) => keysOf(client, load.prefix)))
    return [...load.accepted].filter((key) => !seen.every((keys) => keys.has(key))).length
  }
  try {
    await waitUntil(async () => (await missing()) === 0, { what: 'every write', timeoutMs: PATIENCE_MS, signal })
    return 0
  } catch (error) {
    if (error instanceof LabError && error.code === 'lab-timeout') return missing()
    throw error
  }
}

async function keysOf(client: KvClient, prefix: string): Promise<Set<string>> {
  const keys = new Set<string>()
  for await (const { key } of client.scan(prefix, { keysOnly: true, timeoutMs: PATIENCE_MS })) keys.add(key)
  return keys
}

/** Some writers at each daemon, each with one write under way; those of a daemon that is away wait for it. */
class Load {
  /** Keys whose write a daemon said to have. Grows by what a case writes: some thousands. */
  readonly accepted = new Set<string>()
  confirmed = 0
  private readonly ending = new AbortController()
  private readonly lanes: Promise<void>[]

  constructor(
    daemons: readonly Daemon[],
    readonly prefix: string,
  ) {
    this.lanes = daemons.flatMap((daemon, index) =>
      Array.from({ length: LANES }, (_, lane) => this.run(daemon, `${prefix}${index}-${lane}-`)),
    )
  }

  /** Resolves when nobody writes any more. */
  async end(): Promise<void> {
    this.ending.abort()
    await Promise.all(this.lanes)
  }

  private async run(daemon: Daemon, prefix: string): Promise<void> {
    const { signal } = this.ending
    for (let count = 0; !signal.aborted; count++) {
      try {
        const key = `${prefix}${count}`
        const { txid } = await daemon.client.put(key, 'value', { signal })
        this.accepted.add(key)
        await daemon.client.waitFor(txid, { signal })
        this.confirmed++
      } catch {
        // The daemon is away, or the load ends. What was accepted is looked for at the end, whatever became of the wait.
        await timers.sleep(POLL_MS, signal).catch(() => {})
      }
    }
  }
}
