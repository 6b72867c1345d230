/**
 * The OpenAPI 3.1 document: the HTTP server in the form that other people's tools read. Made from the table of routes and from the schemas
 * of the contract, never by hand; only what has no method behind it (JSON-RPC itself, health, metrics, events) is described here.
 */
import { CONTRACT } from '@kvchain/client/contract'
import type { MethodSpec } from '@kvchain/client/contract/schemas'
import { RPC_ERRORS } from '@kvchain/client/rpcErrors'
import { HTTP_STATUS, type HttpErrorName, PRECONDITION_FAILED } from './errors.js'
import { TOKEN_COOKIE } from './guard.js'
import { BYTES_TYPE } from './rest.js'
import { EVENT_ROUTES, isInPath, paramSchema, ROUTES, type Route } from './routes.js'

type Responses = Readonly<Record<string, object>>

/** The document, for a server that is found at `url`. */
export function openApiDocument(version: string, url: string): object {
  const paths: Record<string, Record<string, object>> = {}
  const add = (path: string, verb: string, operation: object) => {
    paths[path] = { ...paths[path], [verb.toLowerCase()]: operation }
  }
  for (const route of ROUTES) add(route.path, route.verb, operationOf(route))
  for (const route of Object.values(EVENT_ROUTES)) add(route.path, route.verb, streamOf(route))
  for (const { path, verb, operation } of OTHERS) add(path, verb, operation)
  return {
    openapi: '3.1.0',
    info: {
      title: 'kvchain',
      version,
      description:
        'A key-value store on a proof-of-work chain. Numbers are whole and exact; hashes are lower-case hex; accounts are bech32m addresses. Keys are one part of a path, percent-encoded UTF-8, or hex or base64 with keyEncoding.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url }],
    security: [{ bearer: [] }, { cookie: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'the text of http.cookie in the data folder' },
        cookie: { type: 'apiKey', in: 'cookie', name: TOKEN_COOKIE },
      },
      schemas: { Error: ERROR_SCHEMA },
    },
  }
}

const ERROR_SCHEMA = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'name', 'message', 'data'],
      properties: {
        code: { type: 'integer', description: 'the number that JSON-RPC has for it, or the HTTP status' },
        name: { enum: Object.keys(HTTP_STATUS), description: 'stable: what programs go by' },
        message: { type: 'string', description: 'for people' },
        data: { type: 'object', description: 'such as the rule that a write would break, or the field that is wrong' },
      },
    },
  },
}

function json(schema: object): object {
  return { 'application/json': { schema } }
}

const TEXT = { type: 'string' }
const NUMBER = { type: 'integer' }
const ERROR_CONTENT = json({ $ref: '#/components/schemas/Error' })
/** Raw bytes have no schema. */
const BYTES_CONTENT = { [BYTES_TYPE]: {} }

function operationOf(route: Route): object {
  const { id, method, summary } = route
  const spec: MethodSpec = CONTRACT[method]
  return {
    operationId: id,
    summary: summary ?? spec.summary,
    ...(spec.help === undefined ? {} : { description: spec.help }),
    parameters: parametersOf(route),
    ...bodyOf(route),
    responses: { ...resultsOf(route), ...errorsOf(errorNames(route)) },
  }
}

/** A stream has the parameters and the errors of its method. */
function streamOf(route: Route): object {
  const again = {
    name: 'Last-Event-ID',
    in: 'header',
    schema: TEXT,
    description: 'where the stream goes on: the last id',
  }
  return {
    operationId: route.id,
    summary: route.summary,
    parameters: [...parametersOf(route), again],
    responses: {
      200: { description: 'events without end', content: { 'text/event-stream': { schema: TEXT } } },
      ...errorsOf(errorNames(route)),
    },
  }
}

function parametersOf(route: Route): object[] {
  const required = new Set<string>(CONTRACT[route.method].params.required ?? [])
  const own = route.params.map((name) => parameter(route, name, paramSchema(route, name) ?? {}, required.has(name)))
  const extras = Object.entries(route.extras ?? {}).map(([name, { schema, description }]) =>
    parameter(route, name, schema, false, description),
  )
  return [...own, ...extras]
}

function parameter(route: Route, name: string, schema: object, required: boolean, description?: string): object {
  const text = description ?? ('description' in schema ? schema.description : undefined)
  const place = isInPath(route, name) ? { in: 'path', required: true } : { in: 'query', required }
  return { name, ...place, schema, ...(text === undefined ? {} : { description: text }) }
}

function bodyOf(route: Route): object {
  if (route.kind === 'put')
    return { requestBody: { description: 'the value, of whatever bytes', content: BYTES_CONTENT } }
  if (route.body === undefined) return {}
  const needed: readonly string[] = CONTRACT[route.method].params.required ?? []
  const schema = {
    type: 'object',
    required: route.body.filter((name) => needed.includes(name)),
    properties: Object.fromEntries(route.body.map((name) => [name, paramSchema(route, name) ?? {}])),
    additionalProperties: false,
  }
  return {
    requestBody: { required: true, content: { ...json(schema), ...(route.kind === 'submit' && BYTES_CONTENT) } },
  }
}

function resultsOf({ kind, method }: Route): Responses {
  const result = json(CONTRACT[method].result)
  switch (kind) {
    case 'put':
    case 'write':
      return {
        200: { description: 'with wait: confirmed', content: json(CONTRACT.tx_wait.result) },
        202: {
          description: 'safe with this daemon; Location says where its status is',
          headers: LOCATION,
          content: result,
        },
      }
    case 'submit':
      return { 202: { description: 'taken on; Location says where its status is', headers: LOCATION, content: result } }
    case 'entry':
      return {
        200: { description: 'the entry, or its value alone', headers: ENTRY, content: { ...result, ...BYTES_CONTENT } },
      }
    default:
      return { 200: { description: 'the answer', content: result } }
  }
}

const LOCATION = { Location: { schema: TEXT } }
const ENTRY = {
  ETag: { schema: TEXT, description: 'the version, in quotes' },
  'Kvchain-Height': { schema: NUMBER },
  'Kvchain-Block': { schema: TEXT },
  'Kvchain-Confirmations': { schema: NUMBER },
  'Kvchain-Settled': { schema: { type: 'boolean' } },
  'Kvchain-Txid': { schema: TEXT },
}

/** What every request may be told. */
const ALWAYS: readonly HttpErrorName[] = ['unauthorised', 'forbidden', 'internal', 'busy']

function errorNames({ kind, method, body }: Route): HttpErrorName[] {
  const spec: MethodSpec = CONTRACT[method]
  const names: HttpErrorName[] = ['invalid-params', ...spec.errors, ...ALWAYS]
  if (kind === 'put' || kind === 'write') names.push('failed', 'timed-out')
  if (kind === 'status') names.push(...CONTRACT.tx_wait.errors)
  if (kind === 'put' || body !== undefined) names.push('too-large')
  if (body !== undefined) names.push('media-type', 'parse')
  return names
}

/** Errors of one status stand together. */
function errorsOf(names: readonly HttpErrorName[]): Responses {
  const byStatus = new Map<number, Set<HttpErrorName>>()
  const note = (status: number, name: HttpErrorName) =>
    byStatus.set(status, (byStatus.get(status) ?? new Set<HttpErrorName>()).add(name))
  for (const name of names) note(HTTP_STATUS[name], name)
  if (names.includes('failed')) note(PRECONDITION_FAILED, 'refused').get(PRECONDITION_FAILED)?.add('failed')
  return Object.fromEntries(
    [...byStatus].map(([status, found]) => [status, { description: [...found].join(', '), content: ERROR_CONTENT }]),
  )
}

/** Operations with no method of the contract behind them. */
const OTHERS: readonly { readonly path: string; readonly verb: string; readonly operation: object }[] = [
  ...['/', '/rpc'].map((path) => ({
    path,
    verb: 'POST',
    operation: {
      operationId: path === '/' ? 'json_rpc' : 'json_rpc_at_rpc',
      summary: 'JSON-RPC 2.0: a request or a batch of at most 100. /v1/openrpc.json describes the methods.',
      requestBody: { required: true, content: json({ type: ['object', 'array'] }) },
      responses: {
        200: { description: 'the answer, errors of methods included', content: json({ type: ['object', 'array'] }) },
        204: { description: 'there were notifications only' },
        400: {
          description: `not JSON-RPC: error.code ${RPC_ERRORS.parse.code} or ${RPC_ERRORS['invalid-request'].code}`,
        },
        ...errorsOf([...ALWAYS, 'media-type', 'too-large']),
      },
    },
  })),
  {
    path: '/v1/openapi.json',
    verb: 'GET',
    operation: {
      operationId: 'openapi',
      summary: 'This document.',
      responses: { 200: { description: 'the document', content: json({ type: 'object' }) }, ...errorsOf(ALWAYS) },
    },
  },
  {
    path: '/metrics',
    verb: 'GET',
    operation: {
      operationId: 'metrics',
      summary: 'Figures in the text format of Prometheus. Without a token where only this machine can ask.',
      security: [{}, { bearer: [] }, { cookie: [] }],
      responses: {
        200: { description: 'the figures', content: { 'text/plain': { schema: TEXT } } },
        ...errorsOf(ALWAYS),
      },
    },
  },
  {
    path: '/healthz',
    verb: 'GET',
    operation: {
      operationId: 'health',
      summary: 'Whether the daemon lives.',
      security: [],
      responses: {
        200: { description: 'it does', content: json({ type: 'object' }) },
        ...errorsOf(['forbidden', 'busy']),
      },
    },
  },
  {
    path: '/readyz',
    verb: 'GET',
    operation: {
      operationId: 'readiness',
      summary: 'Whether the daemon is up to date with its network.',
      security: [],
      responses: {
        200: { description: 'it is', content: json({ type: 'object' }) },
        503: { description: 'it is catching up, or stopping', content: json({ type: 'object' }) },
        ...errorsOf(['forbidden']),
      },
    },
  },
]
