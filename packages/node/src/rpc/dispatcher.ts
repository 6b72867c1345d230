/**
 * JSON-RPC 2.0 over the contract: bytes of a line in, text of an answer out. Owns parsing within bounds, the checks of requests and
 * parameters, and what becomes of a handler's error; not the socket, and not what the methods do. Whatever the bytes, it answers;
 * it never throws, and never tells a caller more of an unexpected error than that there was one.
 */
import { checkParams, type Handlers, isMethodName, type MethodName } from '@kvchain/client/contract'
import { RPC_ERRORS, type RpcErrorName } from '@kvchain/client/rpcErrors'
import { isWellFormed } from '@kvchain/client/text'
import { AssertionError, type ErrorData, KvError } from '@kvchain/core/errors'
import type { Clock, Log } from '../runtime/runtime.js'

/** An error as a caller sees it. */
export interface RpcFailure {
  readonly name: RpcErrorName
  readonly message: string
  readonly data?: ErrorData
}

/** Says what a caller is told of a typed error. */
export type ToRpcError = (error: KvError) => RpcFailure

/** How a call ended. */
export type CallOutcome =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly failure: RpcFailure }

/** A call that has ended, for whoever counts them. */
export interface CallRecord {
  /** `unknown` for a name that is not in the contract. */
  readonly method: MethodName | 'unknown'
  readonly outcome: RpcErrorName | 'ok'
  readonly durationMs: number
}

/** No request of the contract has more than five levels, a batch around it included. */
export const MAX_DEPTH = 20
/** Requests in a batch, unless said otherwise. */
export const MAX_BATCH = 100

export interface DispatcherOptions {
  /** Levels of objects and lists in a line. */
  readonly maxDepth: number
  /** Requests in a batch. */
  readonly maxBatch: number
  /** Bytes of one answer. */
  readonly maxAnswerBytes: number
}

export interface DispatcherDeps {
  readonly handlers: Handlers
  readonly toRpcError: ToRpcError
  readonly clock: Clock
  readonly log: Log
  /** Told of every call once it has ended. */
  readonly onCall?: ((call: CallRecord) => void) | undefined
}

/** What a line holds: one message, several, or something to complain about at once. */
export type Parsed =
  | { readonly kind: 'single'; readonly message: unknown }
  | { readonly kind: 'batch'; readonly messages: readonly unknown[] }
  | { readonly kind: 'bad'; readonly answer: string }

type Id = string | number | null

/** A caller's own text is quoted back, but never at length. */
const MAX_QUOTED = 60
const MAX_ID_LENGTH = 256

export class Dispatcher {
  private readonly decoder = new TextDecoder('utf-8', { fatal: true })

  constructor(
    private readonly options: DispatcherOptions,
    private readonly deps: DispatcherDeps,
  ) {}

  parse(line: Uint8Array): Parsed {
    const { maxDepth, maxBatch } = this.options
    // Before the parser builds anything of it.
    if (!isShallow(line, maxDepth)) return bad('parse', `the JSON is nested deeper than ${maxDepth} levels`)
    let message: unknown
    try {
      message = JSON.parse(this.decoder.decode(line))
    } catch {
      return bad('parse', 'the line is not JSON in UTF-8')
    }
    if (!Array.isArray(message)) return { kind: 'single', message }
    if (message.length === 0) return bad('invalid-request', 'a batch must not be empty')
    if (message.length > maxBatch) return bad('invalid-request', `a batch has at most ${maxBatch} requests`)
    return { kind: 'batch', messages: message }
  }

  /** Carries one message out. Resolves with the text of the answer, or undefined when none is due. Never rejects. */
  async answer(message: unknown, signal: AbortSignal): Promise<string | undefined> {
    if (typeof message !== 'object' || message === null || Array.isArray(message)) {
      return errorText(null, { name: 'invalid-request', message: 'a request must be an object' })
    }
    const request = new Map<string, unknown>(Object.entries(message))
    const id = request.get('id')
    if (id !== undefined && !isId(id)) {
      return errorText(null, { name: 'invalid-request', message: 'id must be a short string or a number' })
    }
    const method = request.get('method')
    if (request.get('jsonrpc') !== '2.0' || typeof method !== 'string') {
      const text = 'a request must have jsonrpc: "2.0" and the name of a method'
      return errorText(id ?? null, { name: 'invalid-request', message: text })
    }
    const outcome = await this.call(method, request.get('params'), signal)
    return id === undefined ? undefined : this.answerText(id, outcome)
  }

  /** The text of the answer to a message that is not carried out, or undefined when none is due. */
  turnDown(message: unknown, failure: RpcFailure): string | undefined {
    const request = new Map<string, unknown>(
      typeof message === 'object' && message !== null ? Object.entries(message) : [],
    )
    const method = request.get('method')
    this.deps.onCall?.({
      method: typeof method === 'string' && isMethodName(method) ? method : 'unknown',
      outcome: failure.name,
      durationMs: 0,
    })
    const id = request.get('id')
    // What is no request at all is answered, too: its sender waits.
    if (id === undefined && request.get('jsonrpc') === '2.0' && typeof method === 'string') return undefined
    return errorText(isId(id) ? id : null, failure)
  }

  /** Carries out one call by name. Resolves with what came of it, whatever the name and the parameters. Never rejects. */
  async call(method: string, params: unknown, signal: AbortSignal): Promise<CallOutcome> {
    const { clock, onCall } = this.deps
    const startMs = clock.monotonicMs()
    const outcome = await this.carryOut(method, params, signal)
    onCall?.({
      method: isMethodName(method) ? method : 'unknown',
      outcome: outcome.ok ? 'ok' : outcome.failure.name,
      durationMs: clock.monotonicMs() - startMs,
    })
    return outcome
  }

  private async carryOut(method: string, params: unknown, signal: AbortSignal): Promise<CallOutcome> {
    if (!isMethodName(method)) return failed({ name: 'unknown-method', message: `there is no method ${quote(method)}` })
    if (signal.aborted) return failed(UNAVAILABLE)
    try {
      return await this.handle(method, params, signal)
    } catch (error) {
      return failed(signal.aborted ? UNAVAILABLE : this.toFailure(method, error))
    }
  }

  private async handle<M extends MethodName>(method: M, params: unknown, signal: AbortSignal): Promise<CallOutcome> {
    const checked = checkParams(method, params)
    if (!checked.ok) {
      const { field, message } = checked.problem
      return failed({ name: 'invalid-params', message, data: { field } })
    }
    const odd = findIllFormed(checked.value)
    if (odd !== undefined) {
      return failed({ name: 'invalid-params', message: `${odd} is no well-formed Unicode`, data: { field: odd } })
    }
    return { ok: true, result: await this.deps.handlers[method](checked.value, { signal }) }
  }

  private answerText(id: Id, outcome: CallOutcome): string {
    if (!outcome.ok) return errorText(id, outcome.failure)
    const answer = JSON.stringify({ jsonrpc: '2.0', id, result: outcome.result })
    const bytes = Buffer.byteLength(answer)
    return bytes <= this.options.maxAnswerBytes ? answer : tooLargeText(id, bytes, this.options.maxAnswerBytes)
  }

  private toFailure(method: MethodName, error: unknown): RpcFailure {
    try {
      if (error instanceof KvError && !(error instanceof AssertionError)) {
        const failure = this.deps.toRpcError(error)
        if (failure.name === 'internal') this.deps.log.error({ err: error, method }, 'a request failed')
        return failure
      }
    } catch (mappingError) {
      this.deps.log.error({ err: mappingError, method }, 'an error has no RPC error')
    }
    this.deps.log.error({ err: error, method }, 'a request failed unexpectedly')
    return { name: 'internal', message: RPC_ERRORS.internal.summary }
  }
}

const UNAVAILABLE: RpcFailure = { name: 'unavailable', message: RPC_ERRORS.unavailable.summary }

/** The text of an error answer. */
export function errorText(id: Id, failure: RpcFailure): string {
  const { name, message, data } = failure
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    error: { code: RPC_ERRORS[name].code, message, data: { ...data, name } },
  })
}

/** What a caller is told whose answer is over a bound. */
export function tooLarge(bytes: number, maxBytes: number): RpcFailure {
  const message = `the answer has ${bytes} bytes, over the bound of ${maxBytes}: ask for less at a time`
  return { name: 'refused', message, data: { rule: 'answer-size', bytes, maxBytes } }
}

/** The text for an answer that is over a bound. */
export function tooLargeText(id: Id, bytes: number, maxBytes: number): string {
  return errorText(id, tooLarge(bytes, maxBytes))
}

function failed(failure: RpcFailure): CallOutcome {
  return { ok: false, failure }
}

function bad(name: RpcErrorName, message: string): Parsed {
  return { kind: 'bad', answer: errorText(null, { name, message }) }
}

function isId(id: unknown): id is Id {
  if (typeof id === 'string') return id.length <= MAX_ID_LENGTH && isWellFormed(id)
  return id === null || (typeof id === 'number' && Number.isFinite(id))
}

function quote(text: string): string {
  return text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text
}

/** The top field that holds half of a surrogate pair somewhere: such a text has no bytes that a key or value could be. */
function findIllFormed(params: object): string | undefined {
  return Object.entries(params).find(([, value]) => !isWellFormedDeep(value))?.[0]
}

/** Recursion is bounded: the line was checked for its depth. */
function isWellFormedDeep(value: unknown): boolean {
  if (typeof value === 'string') return isWellFormed(value)
  if (typeof value !== 'object' || value === null) return true
  return Object.values(value).every(isWellFormedDeep)
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN = new Set([0x5b, 0x7b])
const CLOSE = new Set([0x5d, 0x7d])

/** Whether the JSON has at most `maxDepth` levels. Works on the bytes, for in UTF-8 these signs stand for nothing else. */
export function isShallow(line: Uint8Array, maxDepth: number): boolean {
  let depth = 0
  let inText = false
  for (let i = 0; i < line.length; i++) {
    const byte = line[i] ?? 0
    if (inText) {
      if (byte === BACKSLASH) i++
      else if (byte === QUOTE) inText = false
    } else if (byte === QUOTE) inText = true
    else if (OPEN.has(byte)) {
      depth++
      if (depth > maxDepth) return false
    } else if (CLOSE.has(byte)) depth--
  }
  return true
}
