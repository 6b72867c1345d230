/**
 * The REST routes at work: parameters from path, query, headers and body, one call of the contract (or a write and its wait), and the
 * result as an HTTP answer. Owns no check that the contract has; what the table of routes lists is what is taken.
 */
import { checkParams, type MethodName, type Params, type Result } from '@kvchain/client/contract'
import type { Expect, Receipt } from '@kvchain/client/contract/schemas'
import { RpcError } from '@kvchain/client/errors'
import { requireConfirmed } from '@kvchain/client/kvClient'
import { decodeText } from '@kvchain/client/text'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Dispatcher, isShallow, MAX_DEPTH, tooLarge } from '../rpc/dispatcher.js'
import { hex } from '../runtime/hex.js'
import { HttpError } from './errors.js'
import { bodyOf, JSON_TYPE, type Requests } from './requests.js'
import { DEFAULT_WAIT_MS, fromText, paramSchema, ROUTES, type Route, type RouteKind } from './routes.js'

export interface RestDeps {
  readonly dispatcher: Dispatcher
  readonly requests: Requests
  readonly maxAnswerBytes: number
}

/** One request, once it is in. */
interface Job {
  readonly route: Route
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** Path and query together, as they came: a text, or several where a name was repeated. */
  readonly given: Readonly<Record<string, unknown>>
  /** Throws HttpError. */
  call<M extends MethodName>(method: M, params: object): Promise<Result<M>>
}

/** Resolves with what becomes JSON, or with bytes as they are. */
type Run = (job: Job) => Promise<object>

export const BYTES_TYPE = 'application/octet-stream'

export function addRestRoutes(app: FastifyInstance, deps: RestDeps): void {
  for (const route of ROUTES) {
    const url = route.path.replace(/\{(\w+)\}/g, ':$1')
    app.route({ method: route.verb, url, handler: (request, reply) => onRequest(deps, route, request, reply) })
  }
}

async function onRequest(
  { dispatcher, requests, maxAnswerBytes }: RestDeps,
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const signal = requests.signalOf(reply)
  const given: Record<string, unknown> = Object.assign(Object.create(null), request.query, request.params)
  const answer = await RUNS[route.kind]({
    route,
    request,
    reply,
    given,
    call: async <M extends MethodName>(method: M, params: object) => {
      const outcome = await dispatcher.call(method, params, signal)
      if (!outcome.ok) throw HttpError.of(outcome.failure)
      return outcome.result as Result<M>
    },
  })
  if (answer instanceof Uint8Array) return reply.type(BYTES_TYPE).send(answer)
  const text = JSON.stringify(answer)
  const bytes = Buffer.byteLength(text)
  if (bytes > maxAnswerBytes) throw HttpError.of(tooLarge(bytes, maxAnswerBytes))
  return reply.type(JSON_TYPE).send(text)
}

const RUNS: Readonly<Record<RouteKind, Run>> = {
  plain: (job) => job.call(job.route.method, readParams(job)),

  async entry(job) {
    const entry = await job.call('kv_get', readParams(job))
    job.reply.headers({
      etag: `"${entry.version}"`,
      vary: 'accept',
      // Of a pending version there are none.
      ...(entry.height === undefined ? {} : { 'kvchain-height': entry.height }),
      ...(entry.blockHash === undefined ? {} : { 'kvchain-block': entry.blockHash }),
      'kvchain-confirmations': entry.confirmations,
      'kvchain-settled': String(entry.settled),
      'kvchain-txid': entry.txid,
    })
    if (!wantsBytes(job.request)) return entry
    return decodeText(entry.value, entry.encoding) ?? new Uint8Array(0)
  },

  put(job) {
    const value = Buffer.from(bodyOf(job.request)).toString('base64')
    return write(job, { value, encoding: 'base64', ...readAccess(job) })
  },

  write: (job) => write(job, job.route.body === undefined ? {} : readJson(job)),

  block(job) {
    const { block } = job.given
    const which = block === 'tip' ? {} : /^\d{1,16}$/.test(String(block)) ? { height: Number(block) } : { hash: block }
    return job.call('chain_block', { ...readParams(job), ...which })
  },

  status(job) {
    const wait = readWait(job)
    const params = readParams(job)
    return wait === undefined ? job.call('tx_status', params) : job.call('tx_wait', { ...params, ...wait })
  },

  async submit(job) {
    const isBytes = job.request.mediaType === BYTES_TYPE
    const transaction = isBytes ? { transaction: hex(bodyOf(job.request)) } : readJson(job)
    return accepted(job, await job.call('tx_submit', { ...readParams(job), ...transaction }))
  },
}

/** A write, and, when asked for, the wait for what becomes of it. Nothing is written unless the request can be waited for as it says. */
async function write(job: Job, content: object): Promise<object> {
  const wait = readWait(job)
  const expect = readExpect(job)
  const params = { ...readParams(job), ...content, ...(expect === undefined ? {} : { expect }) }
  // A route of kind `put` or `write` is of a method that answers with a receipt.
  const receipt = (await job.call(job.route.method, params)) as Receipt
  if (wait === undefined) return accepted(job, receipt)
  const { txid } = receipt
  try {
    return requireConfirmed(await job.call('tx_wait', { txid, ...wait }))
  } catch (error) {
    if (error instanceof RpcError) throw new HttpError(error.code, error.message, error.data)
    // It is written all the same: the caller must learn under which name.
    if (error instanceof HttpError) throw new HttpError(error.code, error.message, { ...error.data, txid })
    throw error
  }
}

function accepted({ reply }: Job, receipt: Receipt): object {
  reply.code(202).header('location', `/v1/tx/${receipt.txid}/status`)
  return receipt
}

/** All that was given and is not HTTP's own, each text in the type that the contract has for it; what it has none for, it refuses. */
function readParams({ route, given }: Job): object {
  const own = Object.entries(given).filter(([name]) => !(route.extras && Object.hasOwn(route.extras, name)))
  return Object.fromEntries(own.map(([name, text]) => [name, fromText(paramSchema(route, name), text)]))
}

function readExtra({ route, given }: Job, name: string): unknown {
  return fromText(route.extras?.[name]?.schema, given[name])
}

function invalid(field: string, message: string): HttpError {
  return new HttpError('invalid-params', `${field} ${message}`, { field })
}

/** What to wait for; undefined when not to. Throws HttpError before anything is done. */
function readWait(job: Job): Pick<Params<'tx_wait'>, 'confirmations' | 'timeoutMs'> | undefined {
  if (job.given.wait === undefined) {
    if (job.given.timeoutMs !== undefined) throw invalid('timeoutMs', 'says how long to wait: wait must say for what')
    return undefined
  }
  const wanted = {
    txid: '0'.repeat(64),
    confirmations: readExtra(job, 'wait'),
    timeoutMs: job.given.timeoutMs === undefined ? DEFAULT_WAIT_MS : readExtra(job, 'timeoutMs'),
  }
  const checked = checkParams('tx_wait', wanted)
  if (!checked.ok) {
    const [field, message] = [checked.problem.field, checked.problem.message].map((text) =>
      text.replace('confirmations', 'wait'),
    )
    throw new HttpError('invalid-params', message ?? '', { field: field ?? '' })
  }
  const { confirmations, timeoutMs } = checked.value
  return { ...(confirmations && { confirmations }), ...(timeoutMs && { timeoutMs }) }
}

/** What the write expects of the key, by query or by header. The contract checks the numbers. */
function readExpect(job: Job): Expect | undefined {
  const expectations = [...expectationsOfQuery(job), ...expectationsOfHeaders(job.request)]
  if (expectations.length > 1) throw invalid('expect', 'must be one thing: ifAbsent, ifVersion, ifDigest or a header')
  return expectations[0]
}

function expectationsOfQuery(job: Job): Expect[] {
  const found: Expect[] = []
  const absent = readExtra(job, 'ifAbsent')
  if (absent !== undefined && typeof absent !== 'boolean') throw invalid('ifAbsent', 'must be true or false')
  if (absent === true) found.push({ absent })
  const version = readExtra(job, 'ifVersion')
  if (version !== undefined && typeof version !== 'number') throw invalid('ifVersion', 'must be a whole number')
  if (version !== undefined) found.push({ version })
  const digest = readExtra(job, 'ifDigest')
  if (digest !== undefined && typeof digest !== 'string') throw invalid('ifDigest', 'must be given once')
  if (digest !== undefined) found.push({ digest })
  return found
}

function expectationsOfHeaders({ headers }: FastifyRequest): Expect[] {
  const found: Expect[] = []
  const none = headers['if-none-match']
  if (none !== undefined && none !== '*') throw invalid('If-None-Match', 'must be * here')
  if (none !== undefined) found.push({ absent: true })
  const match = headers['if-match']
  const version = /^"(\d{1,16})"$/.exec(match ?? '')?.[1]
  if (match !== undefined && version === undefined) throw invalid('If-Match', 'must be one version, as in ETag: "3"')
  if (version !== undefined) found.push({ version: Number(version) })
  return found
}

function readAccess({ given: { access } }: Job): { access?: unknown } {
  if (typeof access !== 'string') return access === undefined ? {} : { access }
  return { access: ['keep', 'private', 'open'].includes(access) ? access : { writers: access.split(',') } }
}

/** The parameters in a body of JSON: those that the route takes so, and no other. */
function readJson({ route, request }: Job): object {
  if (request.mediaType !== 'application/json') {
    const bytes = route.kind === 'submit' ? `, or bytes as ${BYTES_TYPE}` : ''
    throw new HttpError('media-type', `send a JSON object as application/json${bytes}`)
  }
  const json = parseObject(bodyOf(request))
  const odd = Object.keys(json).find((name) => route.body?.includes(name) !== true)
  if (odd !== undefined) throw invalid(odd, 'is not a field of the body')
  return json
}

function parseObject(body: Uint8Array): object {
  if (!isShallow(body, MAX_DEPTH)) throw new HttpError('parse', `the JSON is nested deeper than ${MAX_DEPTH} levels`)
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json
  } catch {
    // Told below.
  }
  throw new HttpError('parse', 'the body is not a JSON object in UTF-8')
}

function wantsBytes({ headers }: FastifyRequest): boolean {
  return (headers.accept ?? '').toLowerCase().includes(BYTES_TYPE)
}
