/**
 * The RPC server: JSON-RPC 2.0, a message on a line, on a Unix socket that only the daemon's user may open. Owns the socket file
 * (private, never taken from a daemon that lives, gone after stop) and the bounds on callers; the dispatcher owns the protocol, the
 * handlers what the methods do.
 */
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Handlers } from '@kvchain/client/contract'
import { ClientError } from '@kvchain/client/errors'
import { MAX_ANSWER_BYTES, MAX_REQUEST_BYTES } from '@kvchain/client/ndjson'
import type { RpcLimits } from '@kvchain/client/rpcDocument'
import { RPC_ERRORS } from '@kvchain/client/rpcErrors'
import { checkSocketPath } from '@kvchain/client/socketPath'
import { openSocket } from '@kvchain/client/unixTransport'
import { OptionsError } from '../runtime/errors.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import { RpcConnection } from './connection.js'
import {
  type CallRecord,
  Dispatcher,
  errorText,
  MAX_BATCH,
  MAX_DEPTH,
  type RpcFailure,
  type ToRpcError,
} from './dispatcher.js'

/** Several times what a busy program asks for on one connection: this stops who has lost control, not who is in a hurry. */
const REQUESTS_PER_SECOND = 20_000

/** The bounds of a server that is told of no others. */
export const RPC_LIMITS: RpcLimits = {
  maxConnections: 64,
  maxLineBytes: MAX_REQUEST_BYTES,
  maxDepth: MAX_DEPTH,
  maxBatch: MAX_BATCH,
  maxInFlightPerConnection: 64,
  maxAnswerBytes: MAX_ANSWER_BYTES,
  maxUnreadBytes: 2 * MAX_ANSWER_BYTES,
  requestsPerSecond: REQUESTS_PER_SECOND,
  requestBurst: 2 * REQUESTS_PER_SECOND,
}

export interface RpcServerOptions extends Partial<RpcLimits> {
  readonly socketPath: string
}

/** What a server holds. */
export interface RpcLoad {
  readonly connections: number
  /** Requests that run. */
  readonly inFlight: number
  /** Bytes of lines that are not complete or have not begun. */
  readonly waitingBytes: number
  /** Bytes of answers that callers have not read. */
  readonly unreadBytes: number
}

export interface RpcServerDeps {
  readonly runtime: Runtime
  readonly handlers: Handlers
  readonly toRpcError: ToRpcError
  /** Told of every call once it has ended. */
  readonly onCall?: ((call: CallRecord) => void) | undefined
}

/** A daemon that lives accepts at once, however busy: the kernel does it. */
const PROBE_MS = 1_000

export class RpcServer extends BaseService {
  private readonly connections = new Set<RpcConnection>()
  /** Told to go, and not gone yet: a second at most. */
  private readonly leaving = new Set<RpcConnection>()
  private readonly dispatcher: Dispatcher
  private readonly server: Server
  private readonly options: RpcLimits & RpcServerOptions

  constructor(
    options: RpcServerOptions,
    private readonly deps: RpcServerDeps,
  ) {
    super('rpc', deps.runtime.log.child({ service: 'rpc' }))
    this.options = { ...RPC_LIMITS, ...options }
    this.dispatcher = new Dispatcher(this.options, {
      handlers: deps.handlers,
      toRpcError: deps.toRpcError,
      clock: deps.runtime.clock,
      log: this.log,
      onCall: deps.onCall,
    })
    this.server = createServer({ allowHalfOpen: true }, (socket) => this.onConnection(socket))
  }

  protected async onStart(): Promise<void> {
    const path = this.options.socketPath
    await preparePath(path)
    await listen(this.server, path)
    // Connecting takes write permission, which the usual umask denies others from the first moment; and so does a 0700 folder.
    await chmod(path, 0o600)
    this.server.on('error', (error) => this.log.error({ err: error }, 'the RPC socket failed'))
    this.signal.addEventListener('abort', () => {
      for (const connection of [...this.connections, ...this.leaving]) connection.stop()
    })
    this.log.info({ socket: path }, 'the RPC socket is open')
  }

  /** Closing the server removes the socket file. */
  protected async onStop(): Promise<void> {
    if (!this.server.listening) return
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
  }

  /** What is held for all callers together, for whoever watches its bounds. */
  get load(): RpcLoad {
    const load = { connections: this.connections.size, inFlight: 0, waitingBytes: 0, unreadBytes: 0 }
    for (const connection of this.connections) {
      load.inFlight += connection.inFlight
      load.waitingBytes += connection.waitingBytes
      load.unreadBytes += connection.unreadBytes
    }
    return load
  }

  /** Why no further caller is served, if so. An idle one makes room. */
  private refusal(): RpcFailure | undefined {
    if (this.signal.aborted) return { name: 'unavailable', message: RPC_ERRORS.unavailable.summary }
    const { maxConnections } = this.options
    if (this.connections.size < maxConnections || this.dismissIdle()) return undefined
    return { name: 'busy', message: `the daemon serves ${maxConnections} callers, none of them idle; try again later` }
  }

  /** Hangs up on whoever has been idle for longest. False when nobody is: who waits for an answer is not. */
  private dismissIdle(): boolean {
    const idle = [...this.connections].filter((connection) => connection.isIdle)
    const oldest = idle.reduce<RpcConnection | undefined>(
      (found, connection) => (found === undefined || connection.usedMs < found.usedMs ? connection : found),
      undefined,
    )
    if (oldest === undefined) return false
    this.connections.delete(oldest)
    this.leaving.add(oldest)
    oldest.dismiss({
      name: 'busy',
      message: 'this connection was idle, and another caller needs its place: connect again',
    })
    return true
  }

  private onConnection(socket: Socket): void {
    const refusal = this.refusal()
    if (refusal !== undefined) {
      socket.on('error', () => socket.destroy())
      socket.end(`${errorText(null, refusal)}\n`, () => socket.destroy())
      return
    }
    const connection = new RpcConnection(
      socket,
      { ...this.options, maxInFlight: this.options.maxInFlightPerConnection },
      { dispatcher: this.dispatcher, runtime: this.deps.runtime, log: this.log },
    )
    this.connections.add(connection)
    this.track('connection', async () => {
      await connection.ended
      this.connections.delete(connection)
      this.leaving.delete(connection)
    })
  }
}

/** Makes the folder, and removes the socket of a daemon that is no more. Throws OptionsError. */
async function preparePath(path: string): Promise<void> {
  try {
    checkSocketPath(path)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const stats = await lstat(path).catch(() => undefined)
    if (stats === undefined) return
    if (!stats.isSocket()) throw new OptionsError(`${path} is there already, and is no socket`)
    if (await isAnswered(path)) throw new OptionsError(`another daemon answers at ${path}`)
    await unlink(path)
  } catch (error) {
    if (error instanceof OptionsError) throw error
    throw new OptionsError(`cannot make the RPC socket ${path}: ${messageOf(error)}`, error)
  }
}

/** Whether anybody listens. In doubt, yes: a socket is never taken from a daemon that lives. */
async function isAnswered(path: string): Promise<boolean> {
  try {
    const socket = await openSocket(path, PROBE_MS)
    socket.destroy()
    return true
  } catch (error) {
    return !(error instanceof ClientError && error.code === 'no-daemon')
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) =>
      reject(new OptionsError(`cannot open the RPC socket ${path}: ${error.message}`, error))
    server.once('error', onError)
    server.listen({ path }, () => {
      server.removeListener('error', onError)
      resolve()
    })
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
