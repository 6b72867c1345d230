/**
 * The tree scenario: kvchain's state tree and urkel one after the other, each in a process of its own with the same heap, over the same keys
 * and updates. Owns the order and the record.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { BenchError } from '../errors.js'
import type { TreeBenchOptions } from '../options.js'
import { describeCommit, describeMachine, type Machine } from '../resources.js'
import { mebibytes, percent, row, whole } from '../table.js'
import type { TreeFigures } from './measure.js'
import { SUBJECTS, type SubjectName } from './subjects.js'

export interface TreeReport {
  readonly scenario: 'tree'
  readonly date: string
  readonly commit: string
  readonly dirty: boolean
  readonly machine: Machine
  readonly options: TreeBenchOptions
  readonly subjects: Readonly<Record<SubjectName, TreeFigures>>
}

/** Throws BenchError: `bench-failed`, `bench-cancelled`. */
export async function runTreeScenario(
  options: TreeBenchOptions,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<TreeReport> {
  const date = new Date(systemRuntime().clock.nowMs()).toISOString()
  const figures = new Map<SubjectName, TreeFigures>()
  for (const name of SUBJECTS) {
    say(`${name}: ${name === 'kvchain' ? options.keys : options.baselineKeys} keys`)
    figures.set(name, await measureApart(name, options, signal))
  }
  const [kvchain, urkel] = SUBJECTS.map((name) => figures.get(name))
  if (kvchain === undefined || urkel === undefined) throw new BenchError('bench-failed', 'a subject was not measured')
  const { commit, dirty } = await describeCommit()
  return { scenario: 'tree', date, commit, dirty, machine: describeMachine(), options, subjects: { kvchain, urkel } }
}

async function measureApart(name: SubjectName, options: TreeBenchOptions, signal: AbortSignal): Promise<TreeFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'kvchain-bench-'))
  const script = fileURLToPath(new URL('measure.js', import.meta.url))
  const args = [`--max-old-space-size=${options.heapMib}`, script, name, JSON.stringify(options), folder]
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, { signal })
    return JSON.parse(stdout)
  } catch (error) {
    if (signal.aborted) throw new BenchError('bench-cancelled', 'called off')
    throw new BenchError('bench-failed', `${name} was not measured: ${error instanceof Error ? error.message : error}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export function formatTreeReport({ options, machine, subjects, commit, dirty }: TreeReport): string {
  const { kvchain, urkel } = subjects
  const ratio = (ours: number, theirs: number) => `${(ours / theirs).toFixed(1)} x`
  return [
    `state tree: batches of ${options.batches.join(', ')} random keys, each a commit; cache ${options.cacheMib} MiB, heap ${options.heapMib} MiB`,
    `${machine.cpu}, ${machine.cores} cores, node ${machine.node}; commit ${commit.slice(0, 12)}${dirty ? ' and changes' : ''}`,
    '',
    row('', 'kvchain', 'urkel', 'ratio'),
    row('keys', whole(kvchain.keys), whole(urkel.keys)),
    row(
      'loaded a second',
      whole(kvchain.loadedPerSecond),
      whole(urkel.loadedPerSecond),
      ratio(kvchain.loadedPerSecond, urkel.loadedPerSecond),
    ),
    ...kvchain.updates.flatMap((ours, i) => {
      const theirs = urkel.updates[i]
      if (theirs === undefined) return []
      const byThread = ours.perThreadSecond && theirs.perThreadSecond
      return [
        row(
          `updates/s, ${ours.durable ? 'synced ' : ''}batches of ${ours.batch}`,
          whole(ours.perSecond),
          whole(theirs.perSecond),
          ratio(ours.perSecond, theirs.perSecond),
        ),
        ...(byThread
          ? [row('  a second of its first thread', whole(ours.perThreadSecond), whole(theirs.perThreadSecond))]
          : []),
      ]
    }),
    row('opened again, ms', whole(kvchain.openMs), whole(urkel.openMs)),
    row(
      'proofs a second, nothing in memory',
      whole(kvchain.provedPerSecond),
      whole(urkel.provedPerSecond),
      ratio(kvchain.provedPerSecond, urkel.provedPerSecond),
    ),
    row('peak memory, MiB', mebibytes(kvchain.peakRssBytes), mebibytes(urkel.peakRssBytes)),
    row('  without mapped files', mebibytes(kvchain.peakOwnBytes), mebibytes(urkel.peakOwnBytes)),
    row('CPU seconds', whole(kvchain.cpuSeconds), whole(urkel.cpuSeconds)),
    row('  of others meanwhile', whole(kvchain.otherCpuSeconds), whole(urkel.otherCpuSeconds)),
    row('bare SHA-256 of 80 bytes a second', whole(kvchain.hashesPerSecond), whole(urkel.hashesPerSecond)),
    row('  updates as a share, last batch', percent(share(kvchain)), percent(share(urkel))),
  ].join('\n')
}

function share({ updates, hashesPerSecond }: TreeFigures): number | undefined {
  const last = updates.at(-1)
  return last && last.perSecond / hashesPerSecond
}
