/**
 * The base of every typed error in kvchain. Owns the shape (code, data, cause), not the codes: those live with the rules that
 * raise them. Clients and tables rely on `code`; `message` is for people and nobody branches on it.
 */

/** Small, JSON-safe facts about an error. */
export type ErrorData = Readonly<Record<string, string | number | boolean | null>>

/** An error with a stable code and JSON-safe data. Every error that kvchain throws is one of these. */
export class KvError<Code extends string = string> extends Error {
  readonly code: Code
  readonly data: ErrorData

  constructor(code: Code, message: string, data: ErrorData = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = new.target.name
    this.code = code
    this.data = data
  }
}

/** A bug in kvchain: an assertion failed. Never raised by anybody's input. */
export class AssertionError extends KvError<'assertion'> {
  constructor(message: string) {
    super('assertion', message)
  }
}

/** States a fact that only a bug can break. Stays on in production. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}
