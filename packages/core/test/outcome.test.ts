import { decodeAll, encodeWith } from '@kvchain/core/codec'
import { FAILURES, OK, type Outcome, readOutcome, sameOutcome, writeOutcome } from '@kvchain/core/outcome'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { outcome } from './arbitraries.js'
import { codeOf, expectBytes, hex, readVectors } from './helpers.js'

interface OutcomeVectors {
  readonly good: { outcome: Outcome; bytes: string }[]
  readonly bad: { name: string; bytes: string }[]
}

const vectors = readVectors<OutcomeVectors>('outcomes')

function encode(value: Outcome): Uint8Array {
  return encodeWith((writer) => writeOutcome(writer, value))
}

describe('outcomes', () => {
  it('are these, in this order', () => {
    const order = ['expectation-failed', 'not-owner', 'namespace-owner', 'no-entry', 'insufficient-balance']
    expect(FAILURES).toEqual(order)
  })

  it.each(vectors.good)('$bytes', ({ outcome: value, bytes }) => {
    expect(encode(value)).toEqual(hex(bytes))
    expect(decodeAll(hex(bytes), readOutcome)).toEqual(value)
  })

  it.each(vectors.bad)('refuse: $name', ({ bytes }) => {
    expect(codeOf(() => decodeAll(hex(bytes), readOutcome))).toBe('codec-tag')
  })

  it('are accepted with an operation that can be, and then re-encode to the same three bytes', () => {
    const operations = [...Array.from({ length: 1_100 }, (_, i) => i), 1_255, 4_096, 32_768, 65_535]
    for (let code = 0; code < 9; code++) {
      for (const operation of operations) {
        const bytes = Uint8Array.of(code, operation >> 8, operation & 255)
        const possible = code === 0 ? operation === 0 : code <= 5 && operation < 1_000
        if (possible) expectBytes(encode(decodeAll(bytes, readOutcome)), bytes)
        else expect(codeOf(() => decodeAll(bytes, readOutcome))).toBe('codec-tag')
      }
    }
  })

  it('are the same when code and operation are', () => {
    expect(sameOutcome(OK, { code: 'ok' })).toBe(true)
    expect(sameOutcome(OK, { code: 'no-entry', operation: 0 })).toBe(false)
    expect(sameOutcome({ code: 'no-entry', operation: 0 }, OK)).toBe(false)
    expect(sameOutcome({ code: 'no-entry', operation: 1 }, { code: 'no-entry', operation: 1 })).toBe(true)
    expect(sameOutcome({ code: 'no-entry', operation: 1 }, { code: 'no-entry', operation: 2 })).toBe(false)
    expect(sameOutcome({ code: 'no-entry', operation: 1 }, { code: 'not-owner', operation: 1 })).toBe(false)
    fc.assert(
      fc.property(outcome, outcome, (a, b) => {
        expect(sameOutcome(a, b)).toBe(Buffer.compare(encode(a), encode(b)) === 0)
      }),
    )
  })
})
