/**
 * JSON-RPC over a Unix socket: one connection, kept open, with any number of requests on their way at once, matched by id.
 * Connects when first needed, and again after the connection was lost; never sends a request twice, for it cannot know whether the
 * first was carried out. Bounds: one line, requests waiting, time.
 */
import { setMaxListeners } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { ClientError, RpcError, toErrorData } from './errors.js'
import { LineSplitter, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES } from './ndjson.js'
import { isRpcErrorName, rpcErrorName } from './rpcErrors.js'
import { checkSocketPath } from './socketPath.js'
import type { CallOptions, Transport, TransportAnswer, TransportCall } from './transport.js'

export interface UnixTransportOptions {
  readonly path: string
  /** Default 5 s: a daemon on this machine accepts at once, or is in trouble. */
  readonly connectTimeoutMs?: number
  /** For requests that name none of their own. Default 30 s. */
  readonly timeoutMs?: number
  /** Default 2 MiB, what the daemon takes. */
  readonly maxRequestBytes?: number
  /** Default 17 MiB: the daemon's bound, and room for what frames a batch. */
  readonly maxAnswerBytes?: number
  /** Requests that may wait for an answer. Default 10,000: past that a caller is not reading what it asks for. */
  readonly maxPending?: number
}

const BATCH_FRAME_BYTES = 1 << 20

export class UnixTransport implements Transport {
  private connection: Promise<Connection> | undefined
  private closed = false
  private nextId = 1

  constructor(private readonly options: UnixTransportOptions) {}

  async request(call: TransportCall, options: CallOptions = {}): Promise<unknown> {
    const signals = this.signals(options)
    const connection = await unlessAborted(this.connect(), signals)
    const id = this.nextId++
    return connection.exchange([id], requestText(id, call), signals)[0]
  }

  async batch(calls: readonly TransportCall[], options: CallOptions = {}): Promise<TransportAnswer[]> {
    if (calls.length === 0) return []
    const signals = this.signals(options)
    const connection = await unlessAborted(this.connect(), signals)
    const ids = calls.map(() => this.nextId++)
    const text = `[${calls.map((call, index) => requestText(ids[index] ?? 0, call)).join(',')}]`
    const settled = await Promise.allSettled(connection.exchange(ids, text, signals))
    return settled.map((answer) =>
      answer.status === 'fulfilled' ? { ok: true, result: answer.value } : { ok: false, error: answer.reason },
    )
  }

  async close(): Promise<void> {
    this.closed = true
    const connection = await this.connection?.catch(() => undefined)
    await connection?.close()
  }

  private signals(options: CallOptions): AbortSignal[] {
    const deadline = AbortSignal.timeout(options.timeoutMs ?? this.options.timeoutMs ?? 30_000)
    if (options.signal === undefined) return [deadline]
    // One signal for hundreds of requests is a fair use, and no leak: every listener is taken off again.
    setMaxListeners(0, options.signal)
    return [options.signal, deadline]
  }

  private connect(): Promise<Connection> {
    // An attempt that began before this call may fail where one that begins now does not: a daemon has come up in between.
    return this.connection?.catch(() => this.connectNow()) ?? this.connectNow()
  }

  private connectNow(): Promise<Connection> {
    if (this.closed) return Promise.reject(closedError())
    this.connection ??= this.open()
    return this.connection
  }

  private async open(): Promise<Connection> {
    const forget = () => {
      this.connection = undefined
    }
    try {
      const socket = await openSocket(this.options.path, this.options.connectTimeoutMs ?? 5_000)
      return new Connection(socket, this.options, forget)
    } catch (error) {
      forget()
      throw error
    }
  }
}

/** Resolves once connected to the Unix socket at `path`. Throws ClientError. */
export function openSocket(path: string, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    checkSocketPath(path)
    const socket = createConnection({ path })
    const deadline = AbortSignal.timeout(timeoutMs)
    const onDeadline = () => {
      socket.destroy()
      reject(new ClientError('timed-out', `the daemon at ${path} does not accept the connection`, { path, timeoutMs }))
    }
    deadline.addEventListener('abort', onDeadline, { once: true })
    socket.once('connect', () => {
      deadline.removeEventListener('abort', onDeadline)
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      deadline.removeEventListener('abort', onDeadline)
      reject(connectError(path, error))
    })
  })
}

function connectError(path: string, error: NodeJS.ErrnoException): ClientError {
  const data = { path, errno: error.code ?? 'unknown' }
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return new ClientError('no-access', `the socket at ${path} is another user's`, data, error)
    case 'EAGAIN':
      return new ClientError('busy', `the daemon at ${path} has too many callers; try again`, data, error)
    default:
      return new ClientError('no-daemon', `no daemon answers at ${path}`, data, error)
  }
}

interface Pending {
  resolve(result: unknown): void
  reject(error: unknown): void
}

/** A connection that is open, until it fails once. */
class Connection {
  private readonly pending = new Map<number, Pending>()
  private readonly splitter: LineSplitter
  private readonly decoder = new TextDecoder('utf-8', { fatal: true })
  private readonly ended: Promise<void>
  private outbox: string[] = []
  private failure: unknown

  constructor(
    private readonly socket: Socket,
    private readonly options: UnixTransportOptions,
    private readonly onEnd: () => void,
  ) {
    this.splitter = new LineSplitter(options.maxAnswerBytes ?? MAX_ANSWER_BYTES + BATCH_FRAME_BYTES)
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        this.fail(lostError())
        resolve()
      })
    })
    socket.on('data', (chunk: Buffer) => this.onData(chunk))
    socket.on('error', (error) => this.fail(lostError(error)))
    socket.on('end', () => this.fail(lostError()))
  }

  /** Sends one message that asks for `ids`; one promise for each. */
  exchange(ids: readonly number[], text: string, signals: readonly AbortSignal[]): Promise<unknown>[] {
    const refusal = this.refusal(ids.length, text)
    if (refusal !== undefined) return ids.map(() => Promise.reject(refusal))
    const answers = ids.map((id) => this.answerTo(id))
    const detach = onAbort(signals, (error) => {
      for (const id of ids) {
        this.pending.get(id)?.reject(error)
        this.pending.delete(id)
      }
    })
    void Promise.allSettled(answers).then(detach)
    this.send(text)
    return answers
  }

  async close(): Promise<void> {
    this.fail(closedError())
    await this.ended
  }

  private refusal(count: number, text: string): unknown {
    if (this.failure !== undefined) return this.failure
    const maxPending = this.options.maxPending ?? 10_000
    if (this.pending.size + count > maxPending) {
      return new ClientError('busy', `${maxPending} requests wait for an answer`, { maxPending })
    }
    const maxBytes = this.options.maxRequestBytes ?? MAX_REQUEST_BYTES
    if (Buffer.byteLength(text) > maxBytes) {
      return new ClientError('line-too-long', `a request has at most ${maxBytes} bytes`, { maxBytes })
    }
    return undefined
  }

  private answerTo(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }))
  }

  /** Requests of one turn leave in one write. */
  private send(text: string): void {
    this.outbox.push(text)
    if (this.outbox.length > 1) return
    queueMicrotask(() => {
      const lines = this.outbox
      this.outbox = []
      if (this.failure === undefined) this.socket.write(`${lines.join('\n')}\n`)
    })
  }

  private onData(chunk: Buffer): void {
    try {
      for (const line of this.splitter.push(chunk)) {
        const text = this.decoder.decode(line)
        if (text.trim() !== '') this.onMessage(JSON.parse(text))
      }
    } catch (error) {
      const known = error instanceof ClientError || error instanceof RpcError
      this.fail(known ? error : new ClientError('bad-answer', 'the daemon sent a line that is not JSON', {}, error))
    }
  }

  private onMessage(message: unknown): void {
    if (Array.isArray(message)) for (const answer of message) this.onAnswer(answer)
    else this.onAnswer(message)
  }

  /** An answer to nobody in particular is about the connection: it throws, and ends it. */
  private onAnswer(answer: unknown): void {
    if (typeof answer !== 'object' || answer === null || !('id' in answer)) throw notAnAnswer()
    const error = 'error' in answer ? toRpcError(answer.error) : undefined
    if (answer.id === null && error !== undefined) throw error
    if (typeof answer.id !== 'number') throw notAnAnswer()
    const pending = this.pending.get(answer.id)
    // Nobody waits any more for an answer that came too late.
    if (pending === undefined) return
    this.pending.delete(answer.id)
    if (error !== undefined) pending.reject(error)
    else if ('result' in answer) pending.resolve(answer.result)
    else pending.reject(notAnAnswer())
  }

  private fail(error: unknown): void {
    if (this.failure !== undefined) return
    this.failure = error
    this.onEnd()
    for (const pending of this.pending.values()) pending.reject(error)
    this.pending.clear()
    this.socket.destroy()
  }
}

function requestText(id: number, call: TransportCall): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: call.method, params: call.params })
}

function toRpcError(error: unknown): RpcError | ClientError {
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'number') {
    return notAnAnswer()
  }
  const data = toErrorData('data' in error ? error.data : undefined)
  const named = typeof data.name === 'string' && isRpcErrorName(data.name) ? data.name : undefined
  const name = named ?? rpcErrorName(error.code) ?? 'internal'
  const message = 'message' in error && typeof error.message === 'string' ? error.message : name
  return new RpcError(name, message, data)
}

/** Calls back once, with the error, when the first of the signals aborts. Returns what ends the listening. */
function onAbort(signals: readonly AbortSignal[], callback: (error: ClientError) => void): () => void {
  const stop = (signal: AbortSignal) => {
    detach()
    callback(abortError(signal))
  }
  const listeners = signals.map((signal) => ({ signal, listener: () => stop(signal) }))
  const detach = () => {
    for (const { signal, listener } of listeners) signal.removeEventListener('abort', listener)
  }
  for (const { signal, listener } of listeners) signal.addEventListener('abort', listener)
  const aborted = signals.find((signal) => signal.aborted)
  if (aborted !== undefined) stop(aborted)
  return detach
}

/** Settles as `work` does, unless one of the signals aborts first. */
function unlessAborted<T>(work: Promise<T>, signals: readonly AbortSignal[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const detach = onAbort(signals, reject)
    work.then(resolve, reject).finally(detach)
  })
}

function abortError(signal: AbortSignal): ClientError {
  const reason: unknown = signal.reason
  return reason instanceof DOMException && reason.name === 'TimeoutError'
    ? new ClientError('timed-out', 'the daemon did not answer in time')
    : new ClientError('aborted', 'the request was called off')
}

function lostError(cause?: unknown): ClientError {
  return new ClientError('connection-lost', 'the daemon closed the connection', {}, cause)
}

function closedError(): ClientError {
  return new ClientError('closed', 'the client is closed')
}

function notAnAnswer(): ClientError {
  return new ClientError('bad-answer', 'the daemon sent something that is no JSON-RPC answer')
}
