/**
 * One caller of the RPC server: lines in, answers out, as many at once as the bound allows. Owns the order of things on one socket:
 * when to read on, when to stop reading (backpressure), when to give up on a caller who does not read, and how to end. An answer
 * goes out when it is ready; callers match them by id.
 */
import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import { LineSplitter } from '@kvchain/client/ndjson'
import type { CancelTimer, Log, Runtime } from '../runtime/runtime.js'
import { TokenBucket } from '../runtime/tokenBucket.js'
import { type Dispatcher, errorText, type RpcFailure, tooLargeText } from './dispatcher.js'

export interface ConnectionOptions {
  readonly maxLineBytes: number
  readonly maxInFlight: number
  /** Of one answer, and of the answers to one batch together. */
  readonly maxAnswerBytes: number
  /** Answers that the caller has not read; beyond that he is cut off. */
  readonly maxUnreadBytes: number
  /** Requests in a second; beyond it, and beyond `requestBurst` after a pause, each is answered `busy`. */
  readonly requestsPerSecond: number
  readonly requestBurst: number
}

export interface ConnectionDeps {
  readonly dispatcher: Dispatcher
  readonly runtime: Runtime
  readonly log: Log
}

/** With more than this unread, no further request is begun. */
const BACKLOG_BYTES = 1 << 20
/** How often to see whether a caller who sent all he had is still there for the answers. */
const PROBE_MS = 1_000
/** How long a caller has to take the last answers. */
const FLUSH_MS = 1_000
const NEWLINE = new Uint8Array([0x0a])

interface Job {
  readonly message: unknown
  deliver(answer: string | undefined): void
}

export class RpcConnection {
  /** Resolves when the socket is closed and no handler runs for it any more. */
  readonly ended: Promise<void>
  private readonly splitter: LineSplitter
  private readonly controller = new AbortController()
  /** What has arrived and not begun. At most what one read brings, for then reading stops. */
  private readonly lines: Uint8Array[] = []
  private readonly jobs: Job[] = []
  private readonly bucket: TokenBucket
  private running = 0
  private usedMs_: number
  private inputOpen = true
  private corked = false
  private ending = false
  private cancelTimer: CancelTimer = () => {}
  private resolveEnded: () => void = () => {}

  constructor(
    private readonly socket: Socket,
    private readonly options: ConnectionOptions,
    private readonly deps: ConnectionDeps,
  ) {
    const { clock } = deps.runtime
    this.splitter = new LineSplitter(options.maxLineBytes)
    this.bucket = new TokenBucket(options.requestsPerSecond, options.requestBurst, clock)
    this.usedMs_ = clock.monotonicMs()
    // Each request that waits listens; maxInFlight bounds them.
    setMaxListeners(0, this.controller.signal)
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve
    })
    socket.on('data', (chunk) => this.onData(chunk))
    socket.on('end', () => this.onInputEnd())
    socket.on('drain', () => this.pump())
    socket.on('error', (error) => deps.log.debug({ err: error }, 'a caller went away'))
    socket.on('close', () => this.onClose())
  }

  /** Whether nothing of the caller's runs, waits or is on its way back. A line that he has not finished counts for nothing. */
  get isIdle(): boolean {
    const waits = this.running + this.jobs.length + this.lines.length > 0
    return this.inputOpen && !waits && this.socket.writableLength === 0
  }

  /** When he connected, last sent a whole line or was last answered, in monotonic milliseconds. */
  get usedMs(): number {
    return this.usedMs_
  }

  /** Requests that run. */
  get inFlight(): number {
    return this.running
  }

  get waitingBytes(): number {
    return this.lines.reduce((bytes, line) => bytes + line.length, this.splitter.pendingBytes)
  }

  get unreadBytes(): number {
    return this.socket.writableLength
  }

  /** Says why, and hangs up. */
  dismiss(failure: RpcFailure): void {
    this.inputOpen = false
    this.write(errorText(null, failure))
    this.pump()
  }

  /** Calls off what runs and answers it; then hangs up. */
  stop(): void {
    this.inputOpen = false
    this.socket.pause()
    this.controller.abort()
    this.pump()
  }

  private onData(chunk: Uint8Array): void {
    if (!this.inputOpen) return
    try {
      for (const line of this.splitter.push(chunk)) this.lines.push(line)
    } catch {
      // What follows cannot be told apart any more: answer what came before, complain, hang up.
      this.inputOpen = false
      const message = `a line has at most ${this.options.maxLineBytes} bytes`
      this.write(errorText(null, { name: 'invalid-request', message }))
    }
    this.pump()
  }

  /** The caller sends no more, and may still wait for answers: or he is dead, which only writing tells. */
  private onInputEnd(): void {
    if (this.inputOpen) this.onData(NEWLINE)
    this.inputOpen = false
    this.probe()
    this.pump()
  }

  private probe(): void {
    if (this.ending || this.socket.destroyed) return
    if (this.running > 0) this.write('')
    this.cancelTimer = this.deps.runtime.timers.after(PROBE_MS, () => this.probe())
  }

  private onClose(): void {
    this.cancelTimer()
    this.inputOpen = false
    this.lines.length = 0
    this.jobs.length = 0
    this.controller.abort()
    if (this.running === 0) this.resolveEnded()
  }

  /** Begins as much as may run, then reads on or stops reading, or ends. */
  private pump(): void {
    while (this.hasRoom()) {
      const job = this.jobs.shift()
      if (job !== undefined) this.begin(job)
      else if (!this.takeLine()) break
    }
    if (this.jobs.length + this.lines.length > 0) this.socket.pause()
    else if (this.inputOpen) this.socket.resume()
    else if (this.running === 0) this.finish()
  }

  /** Once called off, everything is answered at once, and without running anything. */
  private hasRoom(): boolean {
    if (this.controller.signal.aborted) return true
    return this.running < this.options.maxInFlight && this.socket.writableLength < BACKLOG_BYTES
  }

  /** Turns the next line into jobs. False when there is none. */
  private takeLine(): boolean {
    const line = this.lines.shift()
    if (line === undefined) return false
    if (isBlank(line)) return true
    this.usedMs_ = this.deps.runtime.clock.monotonicMs()
    const parsed = this.deps.dispatcher.parse(line)
    if (parsed.kind === 'bad') {
      this.bucket.take()
      this.write(parsed.answer)
    } else if (parsed.kind === 'single')
      this.jobs.push({ message: parsed.message, deliver: (answer) => this.send(answer) })
    else this.takeBatch(parsed.messages)
    return true
  }

  private takeBatch(messages: readonly unknown[]): void {
    const answers: string[] = []
    let waiting = messages.length
    let bytes = 0
    const deliver = (answer: string | undefined) => {
      if (answer !== undefined) {
        const size = Buffer.byteLength(answer)
        const fits = bytes + size <= this.options.maxAnswerBytes
        answers.push(fits ? answer : tooLargeText(idOf(answer), bytes + size, this.options.maxAnswerBytes))
        if (fits) bytes += size
      }
      waiting--
      if (waiting === 0 && answers.length > 0) this.write(`[${answers.join(',')}]`)
    }
    for (const message of messages) this.jobs.push({ message, deliver })
  }

  private begin(job: Job): void {
    if (!this.bucket.take()) {
      job.deliver(this.deps.dispatcher.turnDown(job.message, this.overRate()))
      return
    }
    this.running++
    void this.deps.dispatcher.answer(job.message, this.controller.signal).then((answer) => {
      this.running--
      this.usedMs_ = this.deps.runtime.clock.monotonicMs()
      job.deliver(answer)
      if (this.socket.closed) {
        if (this.running === 0) this.resolveEnded()
      } else this.pump()
    })
  }

  private overRate(): RpcFailure {
    const { requestsPerSecond } = this.options
    const message = `more than ${requestsPerSecond} requests in a second on one connection; try again later`
    return { name: 'busy', message, data: { requestsPerSecond } }
  }

  private send(answer: string | undefined): void {
    if (answer !== undefined) this.write(answer)
  }

  /** Answers of one turn of the event loop leave in one write. */
  private write(text: string): void {
    if (this.socket.destroyed || this.ending) return
    if (!this.corked) {
      this.corked = true
      this.socket.cork()
      void this.deps.runtime.timers.yield().then(() => {
        this.corked = false
        this.socket.uncork()
      })
    }
    this.socket.write(`${text}\n`)
    if (this.socket.writableLength <= this.options.maxUnreadBytes) return
    this.deps.log.warn({ unreadBytes: this.socket.writableLength }, 'cut off a caller who does not read')
    this.socket.destroy()
  }

  private finish(): void {
    if (this.ending) return
    this.ending = true
    this.cancelTimer()
    this.socket.end(() => this.socket.destroy())
    this.cancelTimer = this.deps.runtime.timers.after(FLUSH_MS, () => this.socket.destroy())
  }
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)
}

/** The id of an answer of ours. */
function idOf(answer: string): string | number | null {
  const { id }: { id: string | number | null } = JSON.parse(answer)
  return id
}
