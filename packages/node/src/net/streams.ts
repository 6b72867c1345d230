/**
 * Asking a peer and answering it: one request and one response on a stream of its own. Owns framing, sizes, deadlines and the bounds on
 * how much is served at one time; knows nothing of what the bytes mean. A response begins with one status byte; of what went wrong
 * in a handler a peer learns that byte and nothing else.
 */
import './polyfill.js'
import { AssertionError, KvError } from '@kvchain/core/errors'
import type { Stream } from '@libp2p/interface'
import { type LengthPrefixedStream, lpStream } from '@libp2p/utils'
import {
  AbortError,
  BusyError,
  NetError,
  OptionsError,
  StoreError,
  TimeoutError,
  WorkerError,
} from '../runtime/errors.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import { Deadline, type StreamHandler, type StreamLimits } from './host.js'

/** The first byte of a response. */
const STATUS = { ok: 0, busy: 1, badRequest: 2, internal: 3 } as const
type Status = (typeof STATUS)[keyof typeof STATUS]

/** Requests served at one time, over all protocols and peers. Each may hold a request and a response in memory. */
const DEFAULT_MAX_CONCURRENT = 64
/** Requests of our own in flight. */
const DEFAULT_MAX_OUTBOUND = 256
/** Requests that one peer may make, over all protocols, in the long run and at once. A guess; watch `refused`. */
const DEFAULT_RATE_PER_SECOND = 100
const DEFAULT_BURST = 400
const MAX_BUCKETS = 1_000
/** Streams over `maxPerPeer` that are still answered with 'busy'; the library resets what is over that. */
const BUSY_STREAMS = 128
/**
 * A stream's buffer holds, beside the data that is waited for, whatever else arrived in the same moment: up to a whole window of the
 * multiplexer. Less than that, and a request that is too long would end in a broken stream instead of an answer.
 */
const BUFFER_SLACK_BYTES = 512 * 1024
/** When the answer has been read or written, the other side's close is waited for this long. */
const LINGER_MS = 1_000

export interface StreamsOptions {
  readonly maxConcurrent?: number
  readonly maxOutbound?: number
  readonly ratePerSecond?: number
  readonly burst?: number
}

/** The bounds of one served protocol. */
export interface HandleOptions {
  readonly maxRequestBytes: number
  /** Requests of this protocol served at one time. */
  readonly maxConcurrent: number
  /** Of those, by one peer. */
  readonly maxPerPeer: number
  /** From the first byte of the request to the last of the response. */
  readonly timeoutMs: number
}

/**
 * Answers one request. `signal` aborts at the deadline or when the node stops; the handler then ends soon, since its place is taken
 * until it does. Throwing tells the peer: BusyError or NetError 'net-busy' is busy; a violation (an error about the peer's data) is a
 * bad request; anything else is internal.
 */
export type RequestHandler = (request: Uint8Array, from: string, signal: AbortSignal) => Promise<Uint8Array>

export interface RequestOptions {
  readonly maxResponseBytes: number
  /** From opening the stream to the last byte of the response. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

export interface StreamsCounters {
  readonly served: number
  /** Answered busy: too many at one time, or too many from one peer. */
  readonly refused: number
  /** Answered bad request or internal. */
  readonly failed: number
}

/** What Streams needs of the host. */
export interface StreamsHost {
  protocol(name: string): string
  handle(protocol: string, limits: StreamLimits, handler: StreamHandler): Promise<void>
  unhandle(protocol: string): Promise<void>
  openStream(peerId: string, protocol: string, maxOutbound: number, signal: AbortSignal): Promise<Stream>
}

interface Served {
  readonly name: string
  readonly options: HandleOptions
  readonly handler: RequestHandler
  readonly perPeer: Map<string, number>
  running: number
}

interface Job {
  readonly served: Served
  readonly from: string
  readonly deadline: Deadline
  working: Promise<Uint8Array> | undefined
}

interface Bucket {
  tokens: number
  atMs: number
}

export class Streams extends BaseService {
  private readonly runtime: Runtime
  private readonly host: StreamsHost
  private readonly maxConcurrent: number
  private readonly maxOutbound: number
  private readonly ratePerSecond: number
  private readonly burst: number
  private readonly served = new Map<string, Served>()
  private readonly buckets = new Map<string, Bucket>()
  private readonly counters_ = { served: 0, refused: 0, failed: 0 }
  private running = 0
  private asking = 0

  constructor(options: StreamsOptions, deps: { readonly runtime: Runtime; readonly host: StreamsHost }) {
    super('streams', deps.runtime.log.child({ module: 'streams' }))
    this.runtime = deps.runtime
    this.host = deps.host
    this.maxConcurrent = options.maxConcurrent ?? DEFAULT_MAX_CONCURRENT
    this.maxOutbound = options.maxOutbound ?? DEFAULT_MAX_OUTBOUND
    this.ratePerSecond = options.ratePerSecond ?? DEFAULT_RATE_PER_SECOND
    this.burst = options.burst ?? DEFAULT_BURST
  }

  get counters(): StreamsCounters {
    return { ...this.counters_ }
  }

  /** Serves a protocol, from now on or from the start on. A name is served once. */
  async handle(name: string, options: HandleOptions, handler: RequestHandler): Promise<void> {
    if (this.served.has(name)) throw new OptionsError(`the protocol ${name} is served already`)
    const served: Served = { name, options, handler, perPeer: new Map(), running: 0 }
    this.served.set(name, served)
    if (this.state === 'running') await this.register(served)
  }

  async unhandle(name: string): Promise<void> {
    if (this.served.delete(name) && this.state === 'running') await this.host.unhandle(this.host.protocol(name))
  }

  /**
   * Asks a connected peer. NetError 'net-unreachable' (not connected), 'net-stream' (the stream died, or the peer does not serve the
   * protocol), 'net-busy' (the peer, or too many of our own requests), 'net-response' (the peer could not answer: `data.status`),
   * 'net-limit' (the answer is too long); TimeoutError; AbortError.
   */
  async request(peerId: string, name: string, request: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    if (this.state !== 'running') throw new AbortError(`the request ${name}`)
    const facts = { peerId, protocol: name }
    if (this.asking >= this.maxOutbound) {
      throw new NetError('net-busy', `${this.maxOutbound} requests to peers are already in flight`, facts)
    }
    const deadline = new Deadline(this.runtime, `the request ${name}`, options.timeoutMs, this.signal, options.signal)
    this.asking++
    let stream: Stream | undefined
    try {
      stream = await this.host.openStream(peerId, this.host.protocol(name), this.maxOutbound, deadline.signal)
      const answer = await exchange(stream, request, options.maxResponseBytes, deadline.signal)
      this.linger(stream)
      return readAnswer(answer, facts)
    } catch (error) {
      stream?.abort(error instanceof Error ? error : new AbortError('a stream'))
      throw deadline.error ?? requestError(error, facts)
    } finally {
      this.asking--
      deadline.clear()
    }
  }

  protected async onStart(): Promise<void> {
    for (const served of this.served.values()) await this.register(served)
  }

  protected async onStop(): Promise<void> {
    for (const name of this.served.keys()) await this.host.unhandle(this.host.protocol(name))
    this.buckets.clear()
  }

  private async register(served: Served): Promise<void> {
    const limits = { maxInbound: served.options.maxPerPeer + BUSY_STREAMS, maxOutbound: this.maxOutbound }
    await this.host.handle(this.host.protocol(served.name), limits, (stream, from) => {
      if (this.signal.aborted) stream.abort(new AbortError('serving a request'))
      else this.track(`serve ${served.name}`, () => this.serve(served, stream, from))
    })
  }

  private async serve(served: Served, stream: Stream, from: string): Promise<void> {
    const { maxRequestBytes, timeoutMs } = served.options
    const deadline = new Deadline(this.runtime, `serving ${served.name}`, timeoutMs, this.signal)
    const { signal } = deadline
    const framed = lpStream(stream, {
      maxDataLength: maxRequestBytes,
      maxBufferSize: maxRequestBytes + BUFFER_SLACK_BYTES,
    })
    const job: Job = { served, from, deadline, working: undefined }
    const admitted = this.admit(served, from)
    if (!admitted) this.counters_.refused++
    try {
      const answer = admitted ? await this.answer(job, framed) : frame(STATUS.busy)
      // What still arrives is thrown away instead of piling up.
      await stream.closeRead()
      await framed.write(answer, { signal })
      await stream.close({ signal })
      this.linger(stream)
    } catch (error) {
      this.log.debug({ err: error, protocol: served.name, peerId: from }, 'a request was not answered')
      stream.abort(error instanceof Error ? error : new AbortError('a stream'))
    } finally {
      deadline.clear()
      if (admitted) {
        // A handler that is late keeps its place until it ends, and stop waits for it.
        await settled(job.working)
        this.release(served, from)
      }
    }
  }

  /** Reads the request and has it answered. Rejects if the stream is of no use any more. */
  private async answer(job: Job, framed: LengthPrefixedStream<Stream>): Promise<Uint8Array> {
    const { served, from, deadline } = job
    const facts = { protocol: served.name, peerId: from }
    const request = await readRequest(framed, deadline.signal)
    if (request === undefined) {
      this.counters_.failed++
      this.log.debug(facts, 'a request is too long')
      return frame(STATUS.badRequest)
    }
    job.working = call(served.handler, request, from, deadline.signal)
    try {
      const payload = await deadline.race(job.working)
      this.counters_.served++
      return frame(STATUS.ok, payload)
    } catch (error) {
      if (this.signal.aborted) throw error
      const status = statusOf(error)
      this.counters_.failed++
      if (status === STATUS.internal) this.log.error({ ...facts, err: error }, 'a request handler failed')
      else this.log.debug({ ...facts, err: error }, 'a request was turned down')
      return frame(status)
    }
  }

  private admit(served: Served, from: string): boolean {
    const ofPeer = served.perPeer.get(from) ?? 0
    const { maxConcurrent, maxPerPeer } = served.options
    if (!this.takeToken(from)) return false
    if (this.running >= this.maxConcurrent || served.running >= maxConcurrent || ofPeer >= maxPerPeer) return false
    this.running++
    served.running++
    served.perPeer.set(from, ofPeer + 1)
    return true
  }

  private release(served: Served, from: string): void {
    this.running--
    served.running--
    const ofPeer = (served.perPeer.get(from) ?? 1) - 1
    if (ofPeer > 0) served.perPeer.set(from, ofPeer)
    else served.perPeer.delete(from)
  }

  private takeToken(from: string): boolean {
    const now = this.runtime.clock.monotonicMs()
    const bucket = this.buckets.get(from) ?? { tokens: this.burst, atMs: now }
    bucket.tokens = Math.min(this.burst, bucket.tokens + ((now - bucket.atMs) / 1_000) * this.ratePerSecond)
    bucket.atMs = now
    const granted = bucket.tokens >= 1
    if (granted) bucket.tokens--
    // Kept in order of use, so that the peer that was silent longest is forgotten first.
    this.buckets.delete(from)
    this.buckets.set(from, bucket)
    const oldest = this.buckets.keys().next().value
    if (this.buckets.size > MAX_BUCKETS && oldest !== undefined) this.buckets.delete(oldest)
    return granted
  }

  /** Lets a stream whose work is done end by itself, and cuts it if the other side does not close. */
  private linger(stream: Stream): void {
    if (stream.status !== 'open') return
    const closed = new Promise<void>((resolve) => stream.addEventListener('close', () => resolve(), { once: true }))
    const cut = (): void => stream.abort(new AbortError('a stream'))
    if (this.signal.aborted) cut()
    this.track('close a stream', async () => {
      const deadline = new Deadline(this.runtime, 'closing a stream', LINGER_MS, this.signal)
      await deadline.race(closed).catch(cut)
      deadline.clear()
    })
  }
}

/** Sends the request and reads the answer. Both at once: a peer that is busy answers without reading. */
async function exchange(
  stream: Stream,
  request: Uint8Array,
  maxResponseBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const maxDataLength = maxResponseBytes + 1
  const framed = lpStream(stream, { maxDataLength, maxBufferSize: maxDataLength + BUFFER_SLACK_BYTES })
  let sendError: unknown
  void framed
    .write(request, { signal })
    .then(() => stream.close({ signal }))
    .catch((error: unknown) => {
      sendError = error
    })
  try {
    return plain((await framed.read({ signal })).subarray())
  } catch (error) {
    throw isTooLong(error) ? error : (sendError ?? error)
  }
}

/** The request, or undefined if it is over the limit. */
async function readRequest(framed: LengthPrefixedStream<Stream>, signal: AbortSignal): Promise<Uint8Array | undefined> {
  try {
    return plain((await framed.read({ signal })).subarray())
  } catch (error) {
    if (isTooLong(error)) return undefined
    throw error
  }
}

/**
 * A Uint8Array with memory of its own. What the library hands over may be a Buffer, whose `slice` does not copy, and a small part of
 * a large block of memory, which would be kept alive by it.
 */
function plain(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes)
}

/** Turns a throw of a handler that is not async into a rejection. */
async function call(
  handler: RequestHandler,
  request: Uint8Array,
  from: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return await handler(request, from, signal)
}

/** What a peer is told of a handler's error. */
function statusOf(error: unknown): Status {
  if (error instanceof BusyError) return STATUS.busy
  if (error instanceof NetError) return error.code === 'net-busy' ? STATUS.busy : STATUS.internal
  const ours = [AssertionError, StoreError, WorkerError, AbortError, TimeoutError, OptionsError]
  return error instanceof KvError && !ours.some((kind) => error instanceof kind) ? STATUS.badRequest : STATUS.internal
}

function frame(status: Status, payload?: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + (payload?.length ?? 0))
  bytes[0] = status
  if (payload !== undefined) bytes.set(payload, 1)
  return bytes
}

function readAnswer(answer: Uint8Array, facts: { peerId: string; protocol: string }): Uint8Array {
  switch (answer[0]) {
    case STATUS.ok:
      return answer.subarray(1)
    case STATUS.busy:
      throw new NetError('net-busy', 'the peer is busy; ask again later or ask another', facts)
    case STATUS.badRequest:
      throw new NetError('net-response', 'the peer did not accept the request', { ...facts, status: 'bad-request' })
    case STATUS.internal:
      throw new NetError('net-response', 'the peer could not answer', { ...facts, status: 'internal' })
    default:
      throw new NetError('net-response', 'the answer of the peer makes no sense', { ...facts, status: 'malformed' })
  }
}

function requestError(error: unknown, facts: { peerId: string; protocol: string }): NetError {
  if (error instanceof NetError) return error
  if (isTooLong(error)) return new NetError('net-limit', 'the answer of the peer is over the limit', facts, error)
  if (error instanceof Error && error.name === 'UnsupportedProtocolError') {
    return new NetError('net-stream', `the peer does not serve ${facts.protocol}`, facts, error)
  }
  return new NetError('net-stream', 'the stream to the peer broke off', facts, error)
}

function isTooLong(error: unknown): boolean {
  const names = ['InvalidDataLengthError', 'InvalidDataLengthLengthError', 'StreamBufferError']
  return error instanceof Error && names.includes(error.name)
}

async function settled(work: Promise<unknown> | undefined): Promise<void> {
  try {
    await work
  } catch {
    // Reported where the result was awaited.
  }
}
