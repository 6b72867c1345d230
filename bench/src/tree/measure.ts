/**
 * One subject of the tree scenario in a process of its own, so that its memory is its own: loads, updates, reopens, proves. Prints one line of
 * JSON, a TreeFigures. Run by scenario.ts: `node measure.js NAME OPTIONS-AS-JSON FOLDER`.
 */
import process from 'node:process'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { BenchError } from '../errors.js'
import type { TreeBenchOptions } from '../options.js'
import { readMachineCpuSeconds, readOwnBytes, readProcessCost } from '../resources.js'
import { itemsOf, openSubject, pathOf, SUBJECTS } from './subjects.js'

/** Rates are a second, of wall time; memory in bytes. */
export interface TreeFigures {
  readonly keys: number
  readonly hashesPerSecond: number
  readonly loadedPerSecond: number
  readonly updates: readonly {
    readonly batch: number
    /** Whether each batch was on disk before the next; else the last of all. */
    readonly durable: boolean
    readonly perSecond: number
    /** By the time of the first thread alone: what other processes take does not count, nor does waiting for the disk. */
    readonly perThreadSecond: number | undefined
  }[]
  readonly openMs: number
  readonly provedPerSecond: number
  readonly peakRssBytes: number | undefined
  /** Without the files that LevelDB maps; looked at every 100 ms. */
  readonly peakOwnBytes: number | undefined
  readonly cpuSeconds: number | undefined
  readonly otherCpuSeconds: number | undefined
}

const LOAD_BATCH = 10_000
/** More keys than that are loaded part by part: scattered ones take the better part of an hour. */
const SCATTERED_KEYS = 2_000_000
const LOAD_PARTS = 16
const PROOFS = 2_000
const HASHES = 200_000
const WATCH_MS = 100
const { clock, timers } = systemRuntime()

async function measure(name: string, options: TreeBenchOptions, folder: string): Promise<TreeFigures> {
  const subjectName = SUBJECTS.find((known) => known === name)
  if (subjectName === undefined) throw new BenchError('bench-usage', `there is no tree ${name}`)
  const keys = subjectName === 'kvchain' ? options.keys : options.baselineKeys
  const machineBefore = await readMachineCpuSeconds()
  const watch = watchOwnMemory()
  const hashesPerSecond = hashRate()
  const subject = await openSubject(subjectName, folder, options.cacheMib << 20)
  const loading = await timed(async () => {
    for (const batch of loadBatches(keys)) await subject.commit(itemsOf(batch, 0), true)
  })
  const next = pseudorandom()
  const updates: TreeFigures['updates'][number][] = []
  let round = 1
  const runs = options.batches.flatMap((batch) => [true, false].map((durable) => ({ batch, durable })))
  for (const { batch, durable } of runs) {
    const commits = Math.max(1, Math.round(options.updates / batch))
    // Drawn and hashed before: choosing keys is no part of setting them.
    const drawn = Array.from({ length: commits }, () =>
      itemsOf(
        distinct(Math.min(batch, keys), () => next(keys)),
        round++,
      ),
    )
    const time = await timed(async () => {
      for (const items of drawn) await subject.commit(items, durable)
      await subject.flush()
    })
    const count = commits * Math.min(batch, keys)
    const perThreadSecond = time.threadSeconds === undefined ? undefined : count / time.threadSeconds
    updates.push({ batch, durable, perSecond: count / time.seconds, perThreadSecond })
  }
  await subject.close()
  const opening = await timed(() => subject.reopen())
  const proving = await timed(async () => {
    for (let i = 0; i < PROOFS; i++)
      if (!(await subject.prove(next(keys)))) throw new BenchError('bench-failed', 'a key has gone')
  })
  await subject.close()
  const peakOwnBytes = await watch.end()
  const cost = await readProcessCost(process.pid)
  const machineAfter = await readMachineCpuSeconds()
  const known = cost !== undefined && machineBefore !== undefined && machineAfter !== undefined
  return {
    keys,
    hashesPerSecond,
    loadedPerSecond: keys / loading.seconds,
    updates,
    openMs: opening.seconds * 1_000,
    provedPerSecond: PROOFS / proving.seconds,
    peakRssBytes: cost?.peakRssBytes,
    peakOwnBytes,
    cpuSeconds: cost?.cpuSeconds,
    otherCpuSeconds: known ? machineAfter - machineBefore - cost.cpuSeconds : undefined,
  }
}

function watchOwnMemory(): { end: () => Promise<number | undefined> } {
  const stop = new AbortController()
  let peak: number | undefined
  const watching = (async () => {
    while (!stop.signal.aborted) {
      const bytes = await readOwnBytes(process.pid)
      if (bytes !== undefined) peak = Math.max(peak ?? 0, bytes)
      await timers.sleep(WATCH_MS, stop.signal).catch(() => {})
    }
  })()
  const end = async () => {
    stop.abort()
    await watching
    return peak
  }
  return { end }
}

async function timed(work: () => Promise<void>): Promise<{ seconds: number; threadSeconds: number | undefined }> {
  const [startMs, before] = [clock.monotonicMs(), await readProcessCost(process.pid)]
  await work()
  const [endMs, after] = [clock.monotonicMs(), await readProcessCost(process.pid)]
  const threadSeconds = before && after && after.mainThreadCpuSeconds - before.mainThreadCpuSeconds
  return { seconds: (endMs - startMs) / 1_000, threadSeconds }
}

/** The yardstick: hashes of two nodes a second, as a tree makes them. */
function hashRate(): number {
  const message = new Uint8Array(80)
  const startMs = clock.monotonicMs()
  for (let i = 0; i < HASHES; i++) {
    message[0] = i
    sha256(message)
  }
  return (HASHES * 1_000) / (clock.monotonicMs() - startMs)
}

/** Every key once: in the order of their numbers, which is none for their paths; more than a cache holds part of the tree by part. */
function* loadBatches(keys: number): Generator<number[]> {
  const parts = keys > SCATTERED_KEYS ? LOAD_PARTS : 1
  const partOf = new Uint8Array(keys)
  if (parts > 1) for (let key = 0; key < keys; key++) partOf[key] = ((pathOf(key)[0] ?? 0) * parts) >> 8
  let batch: number[] = []
  for (let part = 0; part < parts; part++) {
    for (let key = 0; key < keys; key++) {
      if (partOf[key] !== part) continue
      batch.push(key)
      if (batch.length < LOAD_BATCH) continue
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}

function distinct(count: number, next: () => number): number[] {
  const numbers = new Set<number>()
  while (numbers.size < count) numbers.add(next())
  return [...numbers]
}

/** The same numbers in each run and for each subject: xorshift32. */
function pseudorandom(): (below: number) => number {
  let state = 0x9e3779b9
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const [name = '', options = '{}', folder = ''] = process.argv.slice(2)
process.stdout.write(`${JSON.stringify(await measure(name, JSON.parse(options), folder))}\n`)
