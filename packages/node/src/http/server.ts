/**
 * The HTTP front door: the contract for whoever speaks HTTP. Owns the listening address, the bounds on callers, and the order in which a
 * request is let in (room, Host and Origin, token, then its body); the guard owns who may come in, the routes what they get, the
 * dispatcher what the methods do. Nothing is served beyond this machine unless the operator says so in as many words.
 */
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Handlers } from '@kvchain/client/contract'
import { MAX_ANSWER_BYTES, MAX_REQUEST_BYTES } from '@kvchain/client/ndjson'
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import type { Chain } from '../chain/chain.js'
import { Dispatcher, MAX_BATCH, MAX_DEPTH, type ToRpcError } from '../rpc/dispatcher.js'
import { OptionsError } from '../runtime/errors.js'
import type { Log, Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import { errorBody, HttpError, type HttpErrorName } from './errors.js'
import { addEventRoutes } from './events.js'
import { Guard, listenProblem, writeToken } from './guard.js'
import { addHealthRoutes, HEALTH_PATHS, type Health } from './health.js'
import type { Metrics } from './metrics.js'
import { openApiDocument } from './openapi.js'
import { JSON_TYPE, Requests } from './requests.js'
import { addRestRoutes } from './rest.js'
import { addRpcRoutes } from './rpcRoute.js'

export interface HttpServerOptions {
  /** An IP address. */
  readonly host: string
  /** 0: one that the system chooses. */
  readonly port: number
  /** Whether `host` may be one that other machines reach. */
  readonly allowRemote: boolean
  /** Where the token is left for clients, as `http.cookie`. */
  readonly dataDir: string
  /** Connections at once. Default 128. */
  readonly maxConnections?: number
  /** Requests under way at once, those that wait for confirmations included. Default 256. */
  readonly maxRequests?: number
  /** Bytes of a request's body. Default 2 MiB. */
  readonly maxBodyBytes?: number
  /** Bytes of an answer. Default 16 MiB. */
  readonly maxAnswerBytes?: number
  /** How long a caller may take to send a request; half of it for the headers. Default 30 s. */
  readonly requestTimeoutMs?: number
}

export interface HttpServerDeps {
  readonly runtime: Runtime
  readonly handlers: Handlers
  readonly toRpcError: ToRpcError
  readonly health: Health
  /** Of the daemon. */
  readonly version: string
  readonly metrics: Metrics
  readonly chain: Pick<Chain, 'tip' | 'tips' | 'tree'>
}

const TOKEN_FILE = 'http.cookie'
const METRICS_PATH = '/metrics'
/** An idle connection is kept for the next request this long. */
const KEEP_ALIVE_MS = 10_000
/** Requests on one connection; then the caller has to come again. */
const MAX_REQUESTS_PER_SOCKET = 10_000
/** A key of 512 bytes, each percent-encoded, or in hex. */
const MAX_PARAM_LENGTH = 3 * 512
/** How long callers have to take the last answers. */
const FLUSH_MS = 1_000

export class HttpServer extends BaseService {
  private readonly app: FastifyInstance
  private readonly requests: Requests
  private guard: Guard | undefined
  private url_ = ''

  constructor(
    private readonly options: HttpServerOptions,
    private readonly deps: HttpServerDeps,
  ) {
    super('http', deps.runtime.log.child({ service: 'http' }))
    this.requests = new Requests(options.maxRequests ?? 256)
    this.app = makeApp(options, this.log)
    this.app.server.maxConnections = options.maxConnections ?? 128
  }

  /** Where it is found, once it has started: `http://127.0.0.1:8080`. */
  get url(): string {
    return this.url_
  }

  get tokenFile(): string {
    return join(this.options.dataDir, TOKEN_FILE)
  }

  protected async onStart(): Promise<void> {
    const { options, app } = this
    const { host } = options
    const problem = listenProblem(host, options.allowRemote)
    if (problem !== undefined) throw new OptionsError(problem)
    this.addRoutes()
    const port = await this.listen()
    const token = await writeToken(this.tokenFile, this.deps.runtime.random)
    this.guard = new Guard({ token, host, port })
    this.url_ = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
    app.server.on('error', (error) => this.log.error({ err: error }, 'the HTTP server failed'))
    this.signal.addEventListener('abort', () => this.requests.stop())
    this.log.info({ url: this.url_, tokenFile: this.tokenFile }, 'the HTTP server is open')
  }

  protected async onStop(): Promise<void> {
    const cancel = this.deps.runtime.timers.after(FLUSH_MS, () => this.app.server.closeAllConnections())
    await this.app.close()
    cancel()
    this.deps.metrics.stop()
  }

  private async listen(): Promise<number> {
    const { host, port } = this.options
    try {
      await this.app.listen({ host, port })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new OptionsError(`cannot open the HTTP server on ${host}, port ${port}: ${why}`, error)
    }
    const address = this.app.server.address()
    return typeof address === 'object' && address !== null ? address.port : port
  }

  private addRoutes(): void {
    const { app, options, deps, requests } = this
    const maxAnswerBytes = options.maxAnswerBytes ?? MAX_ANSWER_BYTES
    const dispatcher = new Dispatcher(
      { maxDepth: MAX_DEPTH, maxBatch: MAX_BATCH, maxAnswerBytes },
      {
        handlers: deps.handlers,
        toRpcError: deps.toRpcError,
        clock: deps.runtime.clock,
        log: this.log,
        onCall: (call) => deps.metrics.onCall(call),
      },
    )
    app.addHook('onResponse', async (request, reply) =>
      deps.metrics.onRequest(request.method, request.routeOptions.url ?? 'none', reply.statusCode),
    )
    app.addHook('onRequest', async (request, reply) => {
      reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff')
      requests.begin(reply)
      // Connections are accepted a moment before the token is written.
      if (this.guard === undefined) throw new HttpError('unavailable', 'the daemon is starting')
      this.guard.checkSource(request.headers)
      if (!isOpen(request.routeOptions.url, this.guard)) this.guard.checkToken(request.headers)
    })
    const refuseOthers = refuseOtherVerbs(app)
    addHealthRoutes(app, deps.health)
    addRpcRoutes(app, { dispatcher, requests, maxAnswerBytes })
    addEventRoutes(app, { dispatcher, requests, chain: deps.chain, timers: deps.runtime.timers })
    addRestRoutes(app, { dispatcher, requests, maxAnswerBytes })
    app.get('/v1/openapi.json', (_, reply) =>
      reply.type(JSON_TYPE).send(JSON.stringify(openApiDocument(deps.version, this.url_))),
    )
    app.get(METRICS_PATH, async (_, reply) => reply.type(deps.metrics.contentType).send(await deps.metrics.text()))
    refuseOthers()
  }
}

/** Which paths ask for no token. */
function isOpen(path: string | undefined, guard: Guard): boolean {
  return HEALTH_PATHS.some((open) => open === path) || (path === METRICS_PATH && guard.areMetricsOpen)
}

function makeApp(options: HttpServerOptions, log: Log): FastifyInstance {
  const requestTimeout = options.requestTimeoutMs ?? 30_000
  const app = fastify({
    bodyLimit: options.maxBodyBytes ?? MAX_REQUEST_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxRequestsPerSocket: MAX_REQUESTS_PER_SOCKET,
    requestTimeout,
    forceCloseConnections: 'idle',
    // Ours to say, in our own words.
    return503OnClosing: false,
    http: {
      headersTimeout: requestTimeout / 2,
      connectionsCheckingInterval: requestTimeout / 4,
      // The guard looks at the Host.
      requireHostHeader: false,
    },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (error, _, reply) => sendError(reply, toHttpError(error, log)),
    clientErrorHandler: onClientError,
  })
  // A body is bytes, whatever it is called: routes read them in their own ways, within their own bounds.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
  app.setErrorHandler((error: FastifyError, _, reply) => sendError(reply, toHttpError(error, log)))
  app.setNotFoundHandler((_, reply) => sendError(reply, new HttpError('no-such-path', 'there is nothing at this path')))
  return app
}

const VERBS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Watches which routes are added; the function that it returns adds, for each path, an answer to every other verb: 405. */
function refuseOtherVerbs(app: FastifyInstance): () => void {
  const verbsOf = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const verbs = verbsOf.get(url) ?? new Set<string>()
    for (const verb of [method].flat()) verbs.add(verb)
    verbsOf.set(url, verbs)
  })
  return () => {
    for (const [url, verbs] of [...verbsOf]) {
      const allowed = [...verbs].join(', ')
      const handler = (_: unknown, reply: FastifyReply) => {
        reply.header('allow', allowed)
        throw new HttpError('bad-method', `this path takes ${allowed}`)
      }
      app.route({ method: VERBS.filter((verb) => !verbs.has(verb)), url, handler })
    }
  }
}

/** What the framework finds wrong, in our names. */
const FRAMEWORK_ERRORS: Readonly<Record<string, [HttpErrorName, string]>> = {
  FST_ERR_BAD_URL: ['bad-request', 'the path is not percent-encoded UTF-8; other keys go in hex: ?keyEncoding=hex'],
  FST_ERR_MAX_PARAM_LENGTH: ['bad-request', 'a part of the path is too long'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['too-large', 'the body is over the bound'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['media-type', 'the Content-Type cannot be read'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['bad-request', 'the body has not the length that its header says'],
}

function toHttpError(error: FastifyError | Error, log: Log): HttpError {
  if (error instanceof HttpError) return error
  const code = 'code' in error ? error.code : ''
  const known = FRAMEWORK_ERRORS[code]
  if (known !== undefined) return new HttpError(...known)
  if ('statusCode' in error && error.statusCode !== undefined && error.statusCode < 500) {
    return new HttpError('bad-request', 'the request cannot be read')
  }
  log.error({ err: error }, 'an HTTP request failed unexpectedly')
  return new HttpError('internal', 'the daemon failed; its log says why')
}

function sendError(reply: FastifyReply, error: HttpError): void {
  if (error.code === 'busy' || error.code === 'unavailable') reply.header('retry-after', '1')
  if (error.code === 'unauthorised') reply.header('www-authenticate', 'Bearer')
  // What was sent with a request that was turned away is not worth reading.
  if (['unauthorised', 'forbidden', 'too-large'].includes(error.code)) reply.header('connection', 'close')
  reply.code(error.status).type(JSON_TYPE).send(errorBody(error))
}

const CLIENT_ERRORS: Readonly<Record<string, [HttpErrorName, string, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['too-slow', '408 Request Timeout', 'the request took too long to arrive'],
  HPE_HEADER_OVERFLOW: ['too-large', '431 Request Header Fields Too Large', 'the headers are over the bound'],
}

/** What is no HTTP, or came too slowly: there is no request yet, so the answer is written by hand. */
function onClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [name, status, message] = CLIENT_ERRORS[error.code ?? ''] ?? [
    'bad-request',
    '400 Bad Request',
    'this is no HTTP request',
  ]
  const body = errorBody(new HttpError(name, message))
  const head = `HTTP/1.1 ${status}\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}`
  socket.end(`${head}\r\nConnection: close\r\n\r\n${body}`, () => socket.destroy())
}
