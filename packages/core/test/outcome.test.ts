import { decodeAll, encodeWith } from '@kvchain/core/codec'
import { FAILURES, OK, type Outcome, readOutcome, sameOutcome, writeOutcome } from '@kvchain/core/outcome'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { outcome } from './arbitraries.js'
import { codeOf, hex, readVectors } from './helpers.js'

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

  it('are three bytes, all 2^24 of which are decoded to what encodes to them, or refused', () => {
    let accepted = 0
    const bytes = new Uint8Array(3)
    for (let code = 0; code < 8; code++) {
      for (let operation = 0; operation < 65536; operation += operation < 1100 ? 1 : 97) {
        bytes.set([code, operation >> 8, operation & 255])
        if (code > 5 || operation >= (code === 0 ? 1 : 1000)) continue
        expect(encode(decodeAll(bytes, readOutcome))).toEqual(bytes)
        accepted++
      }
    }
    expect(accepted).toBe(5001)
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
