import { CodecError } from '@kvchain/core/codec'
import {
  decodeBody,
  decodeTransaction,
  encodeBody,
  encodeTransaction,
  transactionSize,
} from '@kvchain/core/transaction'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { body, mutate, mutation, transaction } from './arbitraries.js'
import { codeOf, genesisHash, sha256, tries } from './helpers.js'

/** Whatever is accepted is the encoding of what was understood; whatever is not is a CodecError. */
function expectCanonical(bytes: Uint8Array): boolean {
  try {
    expect(encodeTransaction(decodeTransaction(bytes, sha256, genesisHash))).toEqual(bytes)
    return true
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError)
    return false
  }
}

describe('any transaction', () => {
  it('decodes to itself', () => {
    fc.assert(
      fc.property(transaction, (original) => {
        const bytes = encodeTransaction(original)
        expect(decodeTransaction(bytes, sha256, genesisHash)).toEqual(original)
        expect(transactionSize(original)).toBe(
          original.values === undefined
            ? bytes.length +
                original.body.operations.reduce((sum, o) => sum + (o.kind === 'put' ? o.valueLength : 0), 0)
            : bytes.length,
        )
      }),
      tries(1_000),
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
        expect(codeOf(() => decodeTransaction(bytes.subarray(0, at % bytes.length), sha256, genesisHash))).toBe(
          'codec-truncated',
        )
        const longer = Uint8Array.of(...bytes, extra)
        expect(codeOf(() => decodeTransaction(longer, sha256, genesisHash))).toBe('codec-trailing')
      }),
      tries(1_000),
    )
  })
})

describe('any bytes', () => {
  it('near a transaction are refused with a CodecError, or re-encode to themselves', () => {
    let accepted = 0
    fc.assert(
      fc.property(transaction, fc.array(mutation, { minLength: 1, maxLength: 3 }), (original, changes) => {
        if (expectCanonical(changes.reduce(mutate, encodeTransaction(original)))) accepted++
      }),
      tries(4_000),
    )
    expect(accepted).toBeGreaterThan(100)
  })

  it('at random are refused with a CodecError, or re-encode to themselves', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expectCanonical(bytes)
        expectCanonical(Uint8Array.of(1, ...bytes))
      }),
      tries(2_000),
    )
  })
})
