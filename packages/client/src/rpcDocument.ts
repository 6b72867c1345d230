/**
 * The contract as a page for people: docs/rpc.md. Made from the table, the error codes, the examples and the bounds of the socket; nothing in it is
 * written by hand twice. Owns how a schema is put into words.
 */
import { EXAMPLES } from './contract/examples.js'
import { type MethodSpec, PATTERN_HELP } from './contract/schemas.js'
import { CONTRACT, METHOD_NAMES, type MethodName } from './contract.js'
import { isRpcErrorName, RPC_ERRORS, type RpcErrorName } from './rpcErrors.js'

/** The bounds of the socket, as the server has them. */
export interface RpcLimits {
  /** Callers at once. */
  readonly maxConnections: number
  /** Bytes of a line. */
  readonly maxLineBytes: number
  /** Levels of objects and lists in a line. */
  readonly maxDepth: number
  /** Requests in a batch. */
  readonly maxBatch: number
  /** Requests of one caller that run at once; further lines wait unread. */
  readonly maxInFlightPerConnection: number
  /** Bytes of an answer, and of the answers to a batch together. */
  readonly maxAnswerBytes: number
  /** Bytes of answers that a caller has not read, before he is cut off. */
  readonly maxUnreadBytes: number
  /** Requests of one caller in a second, each of a batch counted. */
  readonly requestsPerSecond: number
  /** Requests that he may make at once after a pause. */
  readonly requestBurst: number
}

/** What a caller does about each error. */
const ADVICE: Readonly<Record<RpcErrorName, string>> = {
  parse: 'Send one JSON text on a line, in UTF-8, not too deep.',
  'invalid-request': 'Send `jsonrpc`, `id`, `method` and `params` as below; keep to the bounds.',
  'unknown-method': 'See the methods below; an older daemon knows fewer.',
  'invalid-params': 'See `error.message`; `data.field` names the field, where it is one.',
  internal: 'Look at the log of the daemon. Sending it again is safe for whatever reads.',
  'not-found': 'Nothing: it is an answer.',
  refused: 'See `data.rule`; the same request would be refused again.',
  'timed-out': 'Ask again, or wait longer.',
  busy: 'Wait a little, then send it again.',
  failed: 'See `data.status`; write again if it is still wanted.',
  unavailable: 'Connect again once the daemon is back.',
}

interface Schema {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly description?: string
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
}

/** The whole page. */
export function rpcDocument(limits: RpcLimits): string {
  const methods = METHOD_NAMES.map(methodText)
  const index = METHOD_NAMES.map((name) => `| [\`${name}\`](#${anchor(name)}) | ${CONTRACT[name].summary} |`)
  const parts = [
    introduction(limits),
    `## Errors\n\n${errorTable()}`,
    `## Methods\n\n| method | what it does |\n|---|---|\n${index.join('\n')}`,
    ...methods,
  ]
  return `${parts.join('\n\n')}\n`
}

function anchor(name: string): string {
  return name.replaceAll('.', '')
}

function introduction(limits: RpcLimits): string {
  return `# RPC

Made from the contract table by \`npm run docs\`; do not edit. \`rpc.discover\` answers with the same as an OpenRPC document.

JSON-RPC 2.0 over the daemon's Unix socket, \`DATA-DIR/kvchain.sock\` (mode 0600): one message on a line, in UTF-8, ended by a line feed. Parameters go
by name. An answer comes when it is ready, so match answers to requests by \`id\`. A request without an \`id\` gets no answer. Several requests in a list are a
batch; its answers come in one list, in any order. Whatever the bytes, each line gets an answer, or the connection is closed with one that says why.

| bound | | beyond it |
|---|---|---|
| callers at once | ${grouped(limits.maxConnections)} | whoever was idle for longest is told \`busy\` and closed; if nobody is idle, the new one is |
| bytes of a line | ${grouped(limits.maxLineBytes)} | \`invalid-request\`, and the connection is closed |
| levels of objects and lists | ${limits.maxDepth} | \`parse\` |
| requests in a batch | ${limits.maxBatch} | \`invalid-request\` |
| requests of a caller that run at once | ${limits.maxInFlightPerConnection} | further lines wait unread |
| requests of a caller in a second | ${grouped(limits.requestsPerSecond)} | \`busy\` for each beyond it (\`--rpc-rate\` sets it) |
| requests of a caller at once, after a pause | ${grouped(limits.requestBurst)} | the same |
| bytes of an answer, or of the answers to a batch | ${grouped(limits.maxAnswerBytes)} | \`refused\`, \`data.rule\` is \`answer-size\` |
| bytes of answers not read | ${grouped(limits.maxUnreadBytes)} | the connection is closed |

Numbers are whole and exact unless said otherwise; hashes are 64 lower-case hex digits; accounts are bech32m addresses; times are milliseconds since 1970.
A newer daemon may answer with further fields: pass over those that you do not know. A field of a request that is not named here is an error.`
}

function errorTable(): string {
  const rows = Object.keys(RPC_ERRORS)
    .filter(isRpcErrorName)
    .map((name) => {
      const { code, summary, exitCode } = RPC_ERRORS[name]
      return `| \`${name}\` | ${code} | ${exitCode} | ${summary} | ${ADVICE[name]} |`
    })
  return `Codes and names are stable; \`error.message\` is for people. \`error.data.name\` is the name. Those of JSON-RPC itself (the first five) may come from
any method. The exit code is that of \`kvchain-cli\`.

| name | code | exit code | what it means | what to do |
|---|---|---|---|---|
${rows.join('\n')}`
}

function methodText(name: MethodName): string {
  const spec: MethodSpec = CONTRACT[name]
  const { params, result } = EXAMPLES[name]
  const errors = spec.errors.map((error) => `\`${error}\` (${RPC_ERRORS[error].code})`).join(', ')
  return `### ${name}

${spec.summary}${spec.help === undefined ? '' : ` ${spec.help}`}

${fieldTable('parameter', spec.params) ?? 'Takes no parameters.'}

${fieldTable('result', spec.result) ?? `Answers with ${typeText(spec.result)}.`}

Errors: ${errors === '' ? 'those of JSON-RPC itself' : errors}.

    ${JSON.stringify({ jsonrpc: '2.0', id: 1, method: name, params })}
    ${JSON.stringify({ jsonrpc: '2.0', id: 1, result })}`
}

/** Undefined for an object without fields. */
function fieldTable(title: string, schema: Schema): string | undefined {
  const rows = fieldRows(schema, '')
  if (rows.length === 0) return undefined
  return `| ${title} | | type | meaning |\n|---|---|---|---|\n${rows.join('\n')}`
}

/** A row for each field; those of objects inside follow, under their path. */
function fieldRows(schema: Schema, path: string): string[] {
  const required = new Set(schema.required)
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const at = `${path}${name}`
    const need = required.has(name) ? '' : 'optional'
    const row = `| \`${at}\` | ${need} | ${cell(typeText(field))} | ${cell(field.description ?? '')} |`
    const inside = field.type === 'array' && field.items !== undefined ? field.items : field
    const nested = inside.properties === undefined ? [] : fieldRows(inside, `${at}${inside === field ? '' : '[]'}.`)
    return [row, ...nested]
  })
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

/** A schema in a few words. */
function typeText(schema: Schema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(' or ')
  if (schema.anyOf !== undefined) return schema.anyOf.map(shapeText).join(' or ')
  switch (schema.type) {
    case 'array':
      return `list${span(schema.minItems, schema.maxItems, ' of ', '')} ${schema.items === undefined ? '' : `of ${itemText(schema.items)}`}`
        .replace(/ +/g, ' ')
        .trim()
    case 'integer':
      return `whole number${span(schema.minimum, bounded(schema.maximum), ', ', '')}`
    case 'number':
      return `number${span(schema.minimum, schema.maximum, ', ', '')}`
    case 'string':
      if (schema.pattern !== undefined) return (PATTERN_HELP[schema.pattern] ?? 'text').replace(/^must be /, '')
      return `text${span(schema.minLength, schema.maxLength, ', ', ' characters')}`
    case 'boolean':
      return '`true` or `false`'
    case 'null':
      return '`null`'
    default:
      return 'object'
  }
}

function itemText(schema: Schema): string {
  return schema.properties === undefined ? typeText(schema) : 'objects'
}

/** An object among alternatives, field by field. */
function shapeText(schema: Schema): string {
  if (schema.properties === undefined) return typeText(schema)
  const required = new Set(schema.required)
  const fields = Object.entries(schema.properties).map(([name, field]) => {
    const isFixed = field.const !== undefined
    return `${name}${required.has(name) ? '' : '?'}${isFixed ? `: ${JSON.stringify(field.const)}` : ''}`
  })
  return `\`{${fields.join(', ')}}\``
}

/** The largest exact number goes without saying. */
function bounded(maximum: number | undefined): number | undefined {
  return maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum
}

function span(from: number | undefined, to: number | undefined, before: string, unit: string): string {
  if (from !== undefined && to !== undefined) return `${before}${grouped(from)} to ${grouped(to)}${unit}`
  if (to !== undefined) return `${before}at most ${grouped(to)}${unit}`
  return from === undefined ? '' : `${before}at least ${grouped(from)}${unit}`
}

/** With a comma for each thousand. */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}
