/**
 * Outcomes: what became of an included transaction. Recorded in the block, so that a write which lost says why, for ever.
 * (protocol.md section 6)
 */
import { CodecError, type Reader, type Writer } from './codec.js'
import { MAX_OPERATIONS } from './limits.js'

/** Why an operation failed in its turn. The order is consensus: the place in this list, from 1, is the byte. */
export const FAILURES = [
  /** The entry is not what the operation expected. */
  'expectation-failed',
  /** The key belongs to somebody else, who did not let the sender do this. */
  'not-owner',
  /** The key lies in another account's namespace and does not exist yet. */
  'namespace-owner',
  /** There is nothing under the key to delete or to change. */
  'no-entry',
  /** The sender has too few coins. */
  'insufficient-balance',
] as const

export type Failure = (typeof FAILURES)[number]

/** `ok`, or the first operation that failed and why. */
export type Outcome = { readonly code: 'ok' } | { readonly code: Failure; readonly operation: number }

export const OK: Outcome = { code: 'ok' }

/** Three bytes: code, operation index (0 when ok). */
export function writeOutcome(writer: Writer, outcome: Outcome): void {
  if (outcome.code === 'ok') writer.u8(0).u16(0)
  else writer.u8(FAILURES.indexOf(outcome.code) + 1).u16(outcome.operation)
}

export function readOutcome(reader: Reader): Outcome {
  const code = reader.tag(0, FAILURES.length)
  const operation = reader.u16()
  if (operation >= (code === 0 ? 1 : MAX_OPERATIONS)) {
    throw new CodecError('codec-tag', 'an outcome names an operation that cannot be', { offset: reader.offset })
  }
  const failure = FAILURES[code - 1]
  return failure === undefined ? OK : { code: failure, operation }
}

export function sameOutcome(a: Outcome, b: Outcome): boolean {
  if (a.code === 'ok' || b.code === 'ok') return a.code === b.code
  return a.code === b.code && a.operation === b.operation
}
