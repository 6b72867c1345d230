/**
 * Proof-of-work search over threads. Owns the threads, the division of a range into chunks and the check of what they find;
 * does not own what is mined or when. One search at a time: a newer one takes the place of the older.
 * Invariants: every nonce of a range is in exactly one of `next..end`, `returned` and the threads' chunks until it has been
 * tried; no nonce leaves this file that the main thread has not hashed itself.
 */

import { AbortError, OptionsError, WorkerError } from '../runtime/errors.js'
import { RespawningWorker } from '../runtime/respawningWorker.js'
import type { Clock, Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import type { PowReply, PowRequest, PowWorkerData } from './powProtocol.js'
import { checkPowRange, meetsTarget } from './powWasm.js'

const maxThreads = 256
/** One chunk's time: long against a message between threads (0.1 ms), short against a block. */
const chunkMs = 75
/** Before a thread's rate is known: some 10 ms for the module, some 100 ms without it. */
const firstChunk = 2 ** 17
const minChunk = 2 ** 12
const maxChunk = 2 ** 31
/** Chunks that a thread holds: one that it works on and one that waits, so that a busy main thread does not idle it. */
const chunksPerThread = 2
/** How far back `hashRate` looks, as the time constant of its decay. */
const rateWindowMs = 10_000
const maxJobId = 2 ** 31 - 1

/** A range to search: nonces in [start, start + count). */
export interface PowWork {
  readonly commitment: Uint8Array
  readonly target: Uint8Array
  readonly start: number
  readonly count: number
}

export interface PowSearcher {
  /**
   * A valid nonce of the range (not always the lowest), or undefined when the range has none. Rejects with AbortError as soon as
   * the signal aborts, a newer search begins or the searcher stops.
   */
  search(work: PowWork, signal: AbortSignal): Promise<number | undefined>
}

export interface PowPoolOptions {
  readonly threads: number
  /** What a thread runs; the search of this package by default. */
  readonly workerUrl?: URL
}

interface Chunk {
  readonly start: number
  readonly count: number
}

interface Job {
  readonly id: number
  readonly commitment: Uint8Array
  readonly target: Uint8Array
  next: number
  readonly end: number
  /** Chunks of threads that were lost. */
  readonly returned: Chunk[]
  outstanding: number
  resolve(nonce: number | undefined): void
  reject(error: AbortError): void
}

interface Slot {
  readonly worker: RespawningWorker<PowRequest, PowReply>
  readonly chunks: Map<number, { readonly job: Job; readonly chunk: Chunk }>
  /** Hashes per millisecond; undefined until a chunk has been measured. */
  rate: number | undefined
}

export class PowPool extends BaseService implements PowSearcher {
  private readonly currentJob = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  private slots: readonly Slot[] = []
  private job: Job | undefined
  private lastJobId = 0
  private lastChunkId = 0
  private readonly meter: RateMeter

  constructor(
    private readonly options: PowPoolOptions,
    private readonly deps: { readonly runtime: Runtime },
  ) {
    super('powPool', deps.runtime.log.child({ service: 'powPool' }))
    if (!Number.isInteger(options.threads) || options.threads < 1 || options.threads > maxThreads) {
      throw new OptionsError(`a mining pool has 1 to ${maxThreads} threads`)
    }
    this.meter = new RateMeter(deps.runtime.clock)
  }

  /** Hashes per second of all threads together, averaged over about the last ten seconds. */
  get hashRate(): number {
    return this.meter.perSecond
  }

  search(work: PowWork, signal: AbortSignal): Promise<number | undefined> {
    if (this.state !== 'running') return Promise.reject(new WorkerError('worker-stopped', 'powPool is not running'))
    checkPowRange(work.commitment, work.target, work.start, work.count)
    if (signal.aborted) return Promise.reject(new AbortError('a search'))
    this.callOff()
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        if (this.job === job) this.callOff()
      }
      const job: Job = {
        id: this.nextJobId(),
        commitment: work.commitment.slice(),
        target: work.target.slice(),
        next: work.start,
        end: work.start + work.count,
        returned: [],
        outstanding: 0,
        resolve: (nonce) => {
          signal.removeEventListener('abort', onAbort)
          resolve(nonce)
        },
        reject: (error) => {
          signal.removeEventListener('abort', onAbort)
          reject(error)
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.job = job
      Atomics.store(this.currentJob, 0, job.id)
      this.goOn(job)
    })
  }

  protected async onStart(): Promise<void> {
    const workerData: PowWorkerData = { currentJob: this.currentJob.buffer as SharedArrayBuffer }
    const url = this.options.workerUrl ?? new URL('./powWorker.js', import.meta.url)
    this.slots = Array.from({ length: this.options.threads }, (_, i) => {
      const slot: Slot = {
        chunks: new Map(),
        rate: undefined,
        worker: new RespawningWorker<PowRequest, PowReply>(
          { name: `pow-${i}`, url, workerData },
          {
            onReady: () => this.feed(slot),
            onReply: (reply) => this.onReply(slot, reply),
            onLost: () => this.onLost(slot),
          },
          { runtime: this.deps.runtime, log: this.log },
        ),
      }
      return slot
    })
    await Promise.all(this.slots.map((slot) => slot.worker.start()))
  }

  protected async onStop(): Promise<void> {
    this.callOff()
    await Promise.all(this.slots.map((slot) => slot.worker.stop()))
  }

  private onReply(slot: Slot, reply: PowReply): void {
    const held = slot.chunks.get(reply.chunkId)
    const fault = held === undefined ? 'a chunk it was not given' : findFault(held.job, held.chunk, reply)
    if (held === undefined || fault !== undefined) {
      slot.worker.giveUp(new WorkerError('worker-reply', `a search thread answered wrongly: ${fault}`))
      return
    }
    const { job, chunk } = held
    slot.chunks.delete(reply.chunkId)
    job.outstanding--
    this.meter.add(reply.tried, reply.elapsedMs)
    slot.rate = nextRate(slot.rate, reply)
    if (job !== this.job) {
      this.feed(slot)
    } else if (reply.kind === 'found') {
      this.clear()
      job.resolve(reply.nonce)
    } else {
      // Called off means that the job is not the current one: for the current one, what is left of the chunk is still to do.
      if (reply.kind === 'cancelled') {
        job.returned.push({ start: chunk.start + reply.tried, count: chunk.count - reply.tried })
      }
      this.goOn(job)
    }
  }

  private onLost(slot: Slot): void {
    for (const { job, chunk } of slot.chunks.values()) {
      job.outstanding--
      job.returned.push(chunk)
    }
    slot.chunks.clear()
    slot.rate = undefined
    if (this.job !== undefined) this.goOn(this.job)
  }

  /** Gives the threads what they can hold, or ends the job when nothing of its range is left. */
  private goOn(job: Job): void {
    if (job.next === job.end && job.returned.length === 0 && job.outstanding === 0) {
      this.clear()
      job.resolve(undefined)
      return
    }
    // Round by round, so that a small range is shared out before one thread holds two chunks of it.
    for (let held = 1; held <= chunksPerThread; held++) for (const slot of this.slots) this.feed(slot, held)
  }

  private feed(slot: Slot, limit = chunksPerThread): void {
    const job = this.job
    if (job === undefined || !slot.worker.ready) return
    while (slot.chunks.size < limit) {
      const chunk = takeChunk(job, slot.rate)
      if (chunk === undefined) return
      const chunkId = ++this.lastChunkId
      slot.chunks.set(chunkId, { job, chunk })
      job.outstanding++
      slot.worker.post({ jobId: job.id, chunkId, commitment: job.commitment, target: job.target, ...chunk })
    }
  }

  private callOff(): void {
    const job = this.job
    if (job === undefined) return
    this.clear()
    job.reject(new AbortError('a search'))
  }

  /** From here on no thread goes on with the job; each sees it within a few milliseconds. */
  private clear(): void {
    this.job = undefined
    Atomics.store(this.currentJob, 0, 0)
  }

  private nextJobId(): number {
    this.lastJobId = this.lastJobId === maxJobId ? 1 : this.lastJobId + 1
    return this.lastJobId
  }
}

function takeChunk(job: Job, rate: number | undefined): Chunk | undefined {
  const returned = job.returned.pop()
  if (returned !== undefined || job.next === job.end) return returned
  const wanted = rate === undefined ? firstChunk : Math.round(rate * chunkMs)
  const count = Math.min(Math.max(minChunk, Math.min(maxChunk, wanted)), job.end - job.next)
  const chunk = { start: job.next, count }
  job.next += count
  return chunk
}

/** What is wrong with a reply, if anything. A nonce that a thread did not see cannot be noticed; one that is none can. */
function findFault(job: Job, chunk: Chunk, reply: PowReply): string | undefined {
  const { tried } = reply
  if (!Number.isSafeInteger(tried) || tried < 0 || tried > chunk.count) return 'a count out of its chunk'
  if (reply.kind === 'cancelled') return undefined
  if (reply.kind === 'exhausted') return tried === chunk.count ? undefined : 'a chunk not finished'
  if (reply.nonce !== chunk.start + tried - 1 || tried === 0) return 'a nonce out of its chunk'
  return meetsTarget(job.commitment, reply.nonce, job.target) ? undefined : 'a nonce that does not meet the target'
}

/** A moving average. A reply too short for the clock says nothing. */
function nextRate(rate: number | undefined, reply: PowReply): number | undefined {
  if (!(reply.elapsedMs >= 1)) return rate
  const measured = reply.tried / reply.elapsedMs
  return rate === undefined ? measured : (3 * rate + measured) / 4
}

/** Hashes over time, each hash weighing less as it gets older. */
class RateMeter {
  private weight = 0
  private startMs: number | undefined
  private lastMs = 0

  constructor(private readonly clock: Clock) {}

  add(hashes: number, elapsedMs: number): void {
    const nowMs = this.clock.monotonicMs()
    this.startMs ??= nowMs - elapsedMs
    this.weight = this.weight * Math.exp((this.lastMs - nowMs) / rateWindowMs) + hashes
    this.lastMs = nowMs
  }

  get perSecond(): number {
    if (this.startMs === undefined) return 0
    const nowMs = this.clock.monotonicMs()
    const weight = this.weight * Math.exp((this.lastMs - nowMs) / rateWindowMs)
    // The weights of a steady stream since the start sum to this many milliseconds.
    const spanMs = rateWindowMs * (1 - Math.exp((this.startMs - nowMs) / rateWindowMs))
    return spanMs > 0 ? (1000 * weight) / spanMs : 0
  }
}
