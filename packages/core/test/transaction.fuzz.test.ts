import {
  decodeBody,
  decodeTransaction,
  encodeBody,
  encodeTransaction,
  type Transaction,
  transactionSize,
} from '@kvchain/core/transaction'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { body, mutate, mutation, transaction } from './arbitraries.js'
import { codeOf, expectCanonical, genesisHash, sha256, tries } from './helpers.js'

function decode(bytes: Uint8Array): Transaction {
  return decodeTransaction(bytes, sha256, genesisHash)
}

describe('any transaction', () => {
  it('decodes to itself', () => {
    fc.assert(
      fc.property(transaction, (original) => {
        const bytes = encodeTransaction(original)
        expect(decode(bytes)).toEqual(original)
        expect(transactionSize(original)).toBe(
          original.values === undefined
            ? bytes.length +
                original.body.operations.reduce((sum, o) => sum + (o.kind === 'put' ? o.valueLength : 0), 0)
            : bytes.length,
        )
      }),
      tries(500),
    )
  })

  it('has a body that decodes to itself', () => {
    fc.assert(
      fc.property(body, (original) => {
        expect(decodeBody(encodeBody(original))).toEqual(original)
      }),
      tries(300),
    )
  })

  it('is none when a byte is missing or one is added', () => {
    fc.assert(
      fc.property(transaction, fc.nat(), fc.nat(255), (original, at, extra) => {
        const bytes = encodeTransaction(original)
        expect(codeOf(() => decode(bytes.subarray(0, at % bytes.length)))).toBe('codec-truncated')
        const longer = Uint8Array.of(...bytes, extra)
        expect(codeOf(() => decode(longer))).toBe('codec-trailing')
      }),
      tries(500),
    )
  })
})

describe('any bytes', () => {
  it('near a transaction are refused with a CodecError, or re-encode to themselves', () => {
    let accepted = 0
    fc.assert(
      fc.property(transaction, fc.array(mutation, { minLength: 1, maxLength: 3 }), (original, changes) => {
        if (expectCanonical(changes.reduce(mutate, encodeTransaction(original)), decode, encodeTransaction)) accepted++
      }),
      tries(4_000),
    )
    expect(accepted).toBeGreaterThan(100)
  })

  it('at random are refused with a CodecError, or re-encode to themselves', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expectCanonical(bytes, decode, encodeTransaction)
        expectCanonical(Uint8Array.of(1, ...bytes), decode, encodeTransaction)
      }),
      tries(2_000),
    )
  })
})
