/**
 * What goes over the wire: parameters made of what a caller gives, and both parameters and answers held against the contract. Sends nothing.
 */
import type { Expect, KeyEncoding, ValueEncoding } from './contract/schemas.js'
import { checkParams, checkResult, type MethodName, type Params, type Result } from './contract.js'
import { ClientError } from './errors.js'
import { decodeText, encodeText, isWellFormed, toAnswerText } from './text.js'
import type { TransportAnswer } from './transport.js'

/** A text stands for its UTF-8 bytes. */
export type KeyLike = string | Uint8Array

/** One call of a batch. */
export type BatchCall = { [M in MethodName]: { readonly method: M; readonly params: Params<M> } }[MethodName]
/** The answer to one call of a batch. */
export type BatchAnswer =
  | { readonly ok: true; readonly result: Result<MethodName> }
  | { readonly ok: false; readonly error: unknown }

export function heightParam({ height }: { readonly height?: number }): { height?: number } {
  return height === undefined ? {} : { height }
}

export function fromBase64(text: string): Uint8Array {
  const bytes = decodeText(text, 'base64')
  if (bytes === undefined) throw new ClientError('bad-answer', 'the daemon sent what is no base64')
  return bytes
}

/** The fields that name a key in a request. */
export function keyParams(key: KeyLike): { key: string; keyEncoding: KeyEncoding } {
  if (typeof key === 'string') return { key, keyEncoding: 'utf8' }
  const { text, encoding } = toAnswerText(key)
  return { key: text, keyEncoding: encoding }
}

export function valueParams(value: string | Uint8Array): { value: string; encoding: ValueEncoding } {
  if (typeof value === 'string') return { value, encoding: 'utf8' }
  return { value: encodeText(value, 'base64') ?? '', encoding: 'base64' }
}

export function prefixParams(prefix: KeyLike): { prefix: string; keyEncoding: KeyEncoding } {
  const { key, keyEncoding } = keyParams(prefix)
  return { prefix: key, keyEncoding }
}

export function toBytes(key: KeyLike): Uint8Array {
  return typeof key === 'string' ? new TextEncoder().encode(key) : key
}

interface Terms {
  readonly fee?: number
  readonly validFor?: number
  readonly expect?: Expect
}

export function writeParams({ fee, validFor, expect }: Terms): Terms {
  return {
    ...(fee === undefined ? {} : { fee }),
    ...(validFor === undefined ? {} : { validFor }),
    ...(expect === undefined ? {} : { expect }),
  }
}

/** Throws ClientError `bad-params` when the parameters do not fit the contract. */
export function requireParams(method: MethodName, params: object): void {
  const checked = checkParams(method, params)
  if (!checked.ok)
    throw new ClientError('bad-params', checked.problem.message, { method, field: checked.problem.field })
  for (const [field, text] of Object.entries(params)) {
    if (typeof text !== 'string' || isWellFormed(text)) continue
    throw new ClientError('bad-params', `${field} is no well-formed Unicode`, { method, field })
  }
}

export function requireResult<M extends MethodName>(method: M, result: unknown): Result<M> {
  const checked = checkResult(method, result)
  if (checked.ok) return checked.value
  throw new ClientError('bad-answer', `the daemon's answer to ${method} does not fit: ${checked.problem.message}`, {
    method,
    field: checked.problem.field,
  })
}

export function toBatchAnswer(method: MethodName, answer: TransportAnswer | undefined): BatchAnswer {
  if (answer === undefined) return { ok: false, error: new ClientError('bad-answer', 'a batch has too few answers') }
  if (!answer.ok) return answer
  try {
    return { ok: true, result: requireResult(method, answer.result) }
  } catch (error) {
    return { ok: false, error }
  }
}
