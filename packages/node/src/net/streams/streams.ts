/**
 * Asking a peer and answering it: one request and one answer on a stream of its own. Owns deadlines, sizes, and who asks and answers what at one
 * time; knows nothing of what the bytes mean. Who is served first, and who asks for too much, is Admission's to say; what stands on the
 * stream, framing.ts's.
 */
import type { Stream } from '@libp2p/interface'
import type { LengthPrefixedStream } from '@libp2p/utils'
import { AbortError, NetError, OptionsError } from '../../runtime/errors.js'
import { Observers } from '../../runtime/observers.js'
import type { Runtime } from '../../runtime/runtime.js'
import { BaseService } from '../../runtime/service.js'
import { Deadline } from '../deadline.js'
import type { StreamHandler, StreamLimits } from '../host/host.js'
import type { ConductCode } from '../verdict.js'
import { Admission, type Lane, type Place, type Rate } from './admission.js'
import { exchange, frame, framedStream, readAnswer, readRequest, requestError, STATUS, statusOf } from './framing.js'

/** Requests served at one time, over all protocols and peers. Each may hold a request and a response in memory. */
const DEFAULT_MAX_CONCURRENT = 64
/** Requests of our own in flight, and of these to one peer: one that never answers must not hold up what others are asked. */
const DEFAULT_MAX_OUTBOUND = 256
const DEFAULT_MAX_OUTBOUND_PER_PEER = 64
/** Units that one peer may ask for, and all together. Guesses; watch `refused`. */
const DEFAULT_PEER_RATE: Rate = { perSecond: 100, burst: 400 }
const DEFAULT_NODE_RATE: Rate = { perSecond: 1_000, burst: 2_000 }
/** An answer costs one unit for so many bytes: 12.5 MiB a second for one peer, 125 for all. */
const BYTES_PER_UNIT = 128 * 1024
/** Streams over `maxPerPeer` that are still answered with 'busy'; the library resets what is over that. */
const BUSY_STREAMS = 128
/** A request has to be there within this time of its first byte; it is small. */
const READ_MS = 5_000
/** When the answer has been read or written, the other side's close is waited for this long. */
const LINGER_MS = 1_000

export interface StreamsOptions {
  readonly maxConcurrent?: number
  readonly maxOutbound?: number
  readonly maxOutboundPerPeer?: number
  /** Units of one peer: see Admission. */
  readonly peerRate?: Rate
  /** Units of all peers together. */
  readonly nodeRate?: Rate
}

/** The bounds of one served protocol. */
export interface HandleOptions {
  readonly maxRequestBytes: number
  /** Requests of this protocol served at one time. */
  readonly maxConcurrent: number
  /** Requests of one peer, those that wait for their turn included. */
  readonly maxPerPeer: number
  /** Units that a request costs beside its answer. Default 1; more for what is much work. */
  readonly cost?: number
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

/** A peer that did not behave as it should. */
export interface Misconduct {
  readonly peerId: string
  readonly code: ConductCode
}

interface Served extends Lane {
  readonly name: string
  readonly options: HandleOptions
  readonly handler: RequestHandler
}

interface Job {
  readonly served: Served
  readonly from: string
  readonly deadline: Deadline
  working: Promise<Uint8Array> | undefined
}

export class Streams extends BaseService {
  private readonly runtime: Runtime
  private readonly host: StreamsHost
  private readonly maxOutbound: number
  private readonly maxOutboundPerPeer: number
  private readonly admission: Admission
  private readonly served = new Map<string, Served>()
  private readonly counters_ = { served: 0, refused: 0, failed: 0 }
  private asking = 0
  private readonly askingOf = new Map<string, number>()
  /** Told of peers that ask for too much, or for what makes no sense. */
  readonly misconduct: Observers<Misconduct>

  constructor(options: StreamsOptions, deps: { readonly runtime: Runtime; readonly host: StreamsHost }) {
    super('streams', deps.runtime.log.child({ module: 'streams' }))
    this.runtime = deps.runtime
    this.host = deps.host
    this.maxOutbound = options.maxOutbound ?? DEFAULT_MAX_OUTBOUND
    this.maxOutboundPerPeer = options.maxOutboundPerPeer ?? DEFAULT_MAX_OUTBOUND_PER_PEER
    this.misconduct = new Observers(this.log)
    const { maxConcurrent = DEFAULT_MAX_CONCURRENT } = options
    const { peerRate = DEFAULT_PEER_RATE, nodeRate = DEFAULT_NODE_RATE } = options
    this.admission = new Admission({ maxRunning: maxConcurrent, peerRate, nodeRate }, deps.runtime, (peerId) =>
      this.misconduct.notify({ peerId, code: 'request-rate' }),
    )
  }

  get counters(): StreamsCounters {
    return { ...this.counters_ }
  }

  /** Serves a protocol, from now on or from the start on. A name is served once. */
  async handle(name: string, options: HandleOptions, handler: RequestHandler): Promise<void> {
    if (this.served.has(name)) throw new OptionsError(`the protocol ${name} is served already`)
    const { maxConcurrent: maxRunning, maxPerPeer, cost = 1 } = options
    const served: Served = { name, options, handler, maxRunning, maxPerPeer, cost }
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
    const ofPeer = this.askingOf.get(peerId) ?? 0
    if (ofPeer >= this.maxOutboundPerPeer) {
      throw new NetError('net-busy', `${this.maxOutboundPerPeer} requests to this peer are already in flight`, facts)
    }
    const deadline = new Deadline(this.runtime, `the request ${name}`, options.timeoutMs, this.signal, options.signal)
    this.asking++
    this.askingOf.set(peerId, ofPeer + 1)
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
      const left = (this.askingOf.get(peerId) ?? 1) - 1
      if (left > 0) this.askingOf.set(peerId, left)
      else this.askingOf.delete(peerId)
      deadline.clear()
    }
  }

  protected async onStart(): Promise<void> {
    for (const served of this.served.values()) await this.register(served)
  }

  protected async onStop(): Promise<void> {
    for (const name of this.served.keys()) await this.host.unhandle(this.host.protocol(name))
    this.admission.clear()
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
    const framed = framedStream(stream, maxRequestBytes)
    const job: Job = { served, from, deadline, working: undefined }
    const place = this.admission.arrive(served, from)
    try {
      const request = place && (await this.read(job, framed))
      const answer = await this.answer(job, place, request)
      place?.charge(answer.length / BYTES_PER_UNIT)
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
      // A handler that is late keeps its place until it ends, and stop waits for it.
      await settled(job.working)
      place?.leave()
    }
  }

  /** The request; undefined if it is too long. Read before it takes anybody's turn, so that who sends slowly takes none. */
  private async read({ served, deadline }: Job, framed: LengthPrefixedStream<Stream>): Promise<Uint8Array | undefined> {
    const reading = new Deadline(this.runtime, `reading a request ${served.name}`, READ_MS, deadline.signal)
    try {
      return await readRequest(framed, reading.signal)
    } finally {
      reading.clear()
    }
  }

  /** The frame of the answer. Rejects if the stream is of no use any more. */
  private async answer(job: Job, place: Place | undefined, request: Uint8Array | undefined): Promise<Uint8Array> {
    const { served, from, deadline } = job
    const facts = { protocol: served.name, peerId: from }
    if (place !== undefined && request === undefined) {
      this.counters_.failed++
      this.log.debug(facts, 'a request is too long')
      this.misconduct.notify({ peerId: from, code: 'request-too-long' })
      return frame(STATUS.badRequest)
    }
    if (request === undefined || !(await place?.turn())) {
      this.counters_.refused++
      return frame(STATUS.busy)
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
      if (status === STATUS.badRequest) this.misconduct.notify({ peerId: from, code: 'request-malformed' })
      if (status === STATUS.internal) this.log.error({ ...facts, err: error }, 'a request handler failed')
      else this.log.debug({ ...facts, err: error }, 'a request was turned down')
      return frame(status)
    }
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

/** Turns a throw of a handler that is not async into a rejection. */
async function call(
  handler: RequestHandler,
  request: Uint8Array,
  from: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return await handler(request, from, signal)
}

async function settled(work: Promise<unknown> | undefined): Promise<void> {
  try {
    await work
  } catch {
    // Reported where the result was awaited.
  }
}
