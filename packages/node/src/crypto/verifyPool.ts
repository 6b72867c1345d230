/**
 * Signature verification over threads. Owns the queue of what is to be verified, its packing into records and its division among
 * the threads; does not own what a signature means. With no threads at all it verifies where it is called.
 * Invariants: a verdict comes from `verifySignature` and nowhere else; an item is queued, held by one thread or settled.
 */
import { assert } from '@kvchain/core/errors'
import { BusyError, OptionsError, WorkerError } from '../runtime/errors.js'
import { RespawningWorker } from '../runtime/respawningWorker.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import { publicKeyBytes, signatureBytes, verifySignature } from './sodium.js'
import {
  messageBytes,
  messageOffset,
  publicKeyOffset,
  recordBytes,
  type VerifyReply,
  type VerifyRequest,
} from './verifyProtocol.js'

const maxThreads = 256
/** The signatures of the largest block several times over; 128 bytes of record each while a thread has them. */
const defaultMaxPending = 100_000
/** One batch: about 20 ms of a thread, so that a small request waits no longer than that behind a large one. */
const maxBatch = 512
/** Below this, a message to one more thread (0.1 ms) costs more than the thread saves (0.04 ms an item). */
const minBatch = 16
/** Batches that a thread holds: one that it works on and one that waits, so that a busy main thread does not idle it. */
const batchesPerThread = 2
/**
 * Items that one turn of the event loop verifies where it is called, when the threads have nothing to do. Measured: one item is
 * answered in 0.11 ms so, in 0.17 ms by a thread, for little more of the main thread; with two there is nothing left to gain.
 */
const inlinePerTurn = 1
/** A request whose batches have died with this many threads is refused instead of tried again. */
const maxLosses = 3

export interface SignedItem {
  readonly signature: Uint8Array
  /** 32 bytes: what is signed is always a digest. */
  readonly message: Uint8Array
  readonly publicKey: Uint8Array
}

export interface SignatureVerifier {
  /**
   * For each item, in order, whether its signature is good; one of the wrong size is bad. The items' bytes may not change until then.
   * Rejects with BusyError when too much is pending.
   */
  verifyBatch(items: readonly SignedItem[]): Promise<boolean[]>
}

export interface VerifyPoolOptions {
  /** 0: verify where it is called, at once and blocking. */
  readonly threads: number
  /** Items that may be pending at once, over all requests. */
  readonly maxPending?: number
  /** What a thread runs; the verification of this package by default. */
  readonly workerUrl?: URL
}

interface Request {
  readonly items: readonly SignedItem[]
  readonly verdicts: boolean[]
  /** Items without a verdict; 0 also when the request was refused. */
  left: number
  losses: number
  resolve(verdicts: boolean[]): void
  reject(error: WorkerError): void
}

/** Items [from, to) of a request. */
interface Span {
  readonly request: Request
  readonly from: number
  readonly to: number
}

interface Batch {
  readonly spans: readonly Span[]
  readonly count: number
}

interface Slot {
  readonly worker: RespawningWorker<VerifyRequest, VerifyReply>
  readonly batches: Map<number, Batch>
}

export class VerifyPool extends BaseService implements SignatureVerifier {
  private slots: readonly Slot[] = []
  /** Requests without all their verdicts. */
  private readonly requests = new Set<Request>()
  private pending = 0
  private queue: Span[] = []
  private queued = 0
  private lastBatchId = 0
  private turnEndAwaited = false
  private inlineLeft = inlinePerTurn
  private readonly maxPending: number

  constructor(
    private readonly options: VerifyPoolOptions,
    private readonly deps: { readonly runtime: Runtime },
  ) {
    super('verifyPool', deps.runtime.log.child({ service: 'verifyPool' }))
    const { threads, maxPending = defaultMaxPending } = options
    if (!Number.isInteger(threads) || threads < 0 || threads > maxThreads) {
      throw new OptionsError(`a verification pool has 0 to ${maxThreads} threads`)
    }
    if (!Number.isInteger(maxPending) || maxPending < 1) throw new OptionsError('maxPending is a whole number above 0')
    this.maxPending = maxPending
  }

  async verifyBatch(items: readonly SignedItem[]): Promise<boolean[]> {
    if (this.state !== 'running') throw new WorkerError('worker-stopped', 'verifyPool is not running')
    for (const { message } of items) assert(message.length === messageBytes, 'a signed message is 32 bytes')
    if (this.options.threads === 0) return items.map(verifyItem)
    // A record has fixed sizes, so what has others must not become one.
    if (!items.every(hasRecordSizes)) {
      const verdicts = await this.verifyBatch(items.filter(hasRecordSizes))
      let next = 0
      return items.map((item) => hasRecordSizes(item) && verdicts[next++] === true)
    }
    if (items.length === 0) return []
    if (this.pending + items.length > this.maxPending) throw new BusyError('verifyPool', this.maxPending)
    if (items.length <= this.inlineLeft && this.pending === 0) {
      this.inlineLeft -= items.length
      this.awaitTurnEnd()
      return items.map(verifyItem)
    }
    return this.enqueue(items)
  }

  protected async onStart(): Promise<void> {
    const url = this.options.workerUrl ?? new URL('./verifyWorker.js', import.meta.url)
    this.slots = Array.from({ length: this.options.threads }, (_, i) => {
      const slot: Slot = {
        batches: new Map(),
        worker: new RespawningWorker<VerifyRequest, VerifyReply>(
          { name: `verify-${i}`, url, workerData: undefined },
          {
            onReady: () => this.dispatch(),
            onReply: (reply) => this.onReply(slot, reply),
            onLost: (error) => this.onLost(slot, error),
          },
          { runtime: this.deps.runtime, log: this.log },
        ),
      }
      return slot
    })
    await Promise.all(this.slots.map((slot) => slot.worker.start()))
  }

  protected async onStop(): Promise<void> {
    const error = new WorkerError('worker-stopped', 'verifyPool was stopped')
    for (const request of this.requests) this.refuse(request, error)
    await Promise.all(this.slots.map((slot) => slot.worker.stop()))
  }

  private enqueue(items: readonly SignedItem[]): Promise<boolean[]> {
    return new Promise((resolve, reject) => {
      const verdicts = items.map(() => false)
      const request: Request = { items, verdicts, left: items.length, losses: 0, resolve, reject }
      this.requests.add(request)
      this.pending += items.length
      this.queue.push({ request, from: 0, to: items.length })
      this.queued += items.length
      this.awaitTurnEnd()
    })
  }

  /** Whatever else asks in this turn of the event loop goes into the same batch. */
  private awaitTurnEnd(): void {
    if (this.turnEndAwaited) return
    this.turnEndAwaited = true
    this.track('dispatch', async () => {
      await this.deps.runtime.timers.yield()
      this.turnEndAwaited = false
      this.inlineLeft = inlinePerTurn
      this.dispatch()
    })
  }

  private dispatch(): void {
    while (this.queued > 0) {
      const ready = this.slots.filter((slot) => slot.worker.ready)
      const free = ready.filter((slot) => slot.batches.size < batchesPerThread)
      const [slot] = free.sort((a, b) => countHeld(a) - countHeld(b))
      if (slot === undefined) return
      // An even share of what is left: the last batches are small, so the threads end at about the same time.
      const share = Math.ceil(this.queued / ready.length)
      const batch = this.takeBatch(Math.min(maxBatch, Math.max(minBatch, share)))
      const records = packRecords(batch)
      const batchId = ++this.lastBatchId
      slot.batches.set(batchId, batch)
      slot.worker.post({ batchId, records }, [records])
    }
  }

  private takeBatch(limit: number): Batch {
    const spans: Span[] = []
    let count = 0
    let used = 0
    for (const span of this.queue) {
      if (count === limit) break
      const to = Math.min(span.to, span.from + limit - count)
      spans.push({ ...span, to })
      count += to - span.from
      if (to < span.to) {
        this.queue[used] = { ...span, from: to }
        break
      }
      used++
    }
    this.queue.splice(0, used)
    this.queued -= count
    return { spans, count }
  }

  private onReply(slot: Slot, reply: VerifyReply): void {
    const batch = slot.batches.get(reply.batchId)
    if (batch === undefined || reply.verdicts.length !== batch.count) {
      slot.worker.giveUp(new WorkerError('worker-reply', 'a verification thread answered what it was not asked'))
      return
    }
    slot.batches.delete(reply.batchId)
    let at = 0
    for (const { request, from, to } of batch.spans) {
      for (let i = from; i < to; i++) request.verdicts[i] = reply.verdicts[at++] === 1
      if (!this.requests.has(request)) continue
      request.left -= to - from
      if (request.left === 0) {
        this.forget(request)
        request.resolve(request.verdicts)
      }
    }
    this.dispatch()
  }

  private onLost(slot: Slot, error: WorkerError): void {
    const spans = [...slot.batches.values()].flatMap((batch) => batch.spans)
    slot.batches.clear()
    for (const request of new Set(spans.map((span) => span.request))) {
      request.losses++
      if (request.losses >= maxLosses && this.requests.has(request)) this.refuse(request, error)
    }
    this.queue.unshift(...spans.filter((span) => this.requests.has(span.request)))
    this.countQueue()
    this.dispatch()
  }

  /** Ends a request without verdicts. Those of its items that a thread still holds are verified for nothing. */
  private refuse(request: Request, error: WorkerError): void {
    this.forget(request)
    this.queue = this.queue.filter((span) => span.request !== request)
    this.countQueue()
    request.reject(error)
  }

  private forget(request: Request): void {
    this.requests.delete(request)
    this.pending -= request.items.length
  }

  private countQueue(): void {
    this.queued = this.queue.reduce((sum, span) => sum + span.to - span.from, 0)
  }
}

function countHeld(slot: Slot): number {
  return [...slot.batches.values()].reduce((sum, batch) => sum + batch.count, 0)
}

function verifyItem(item: SignedItem): boolean {
  return verifySignature(item.signature, item.message, item.publicKey)
}

function hasRecordSizes(item: SignedItem): boolean {
  return item.signature.length === signatureBytes && item.publicKey.length === publicKeyBytes
}

function packRecords(batch: Batch): ArrayBuffer {
  const records = new Uint8Array(batch.count * recordBytes)
  let at = 0
  for (const { request, from, to } of batch.spans) {
    for (const item of request.items.slice(from, to)) {
      records.set(item.signature, at)
      records.set(item.message, at + messageOffset)
      records.set(item.publicKey, at + publicKeyOffset)
      at += recordBytes
    }
  }
  return records.buffer
}
