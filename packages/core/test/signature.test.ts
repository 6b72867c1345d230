/**
 * Which signatures a network accepts (protocol.md 3.2 to 3.6). The verdicts in the vectors are those of an implementation of the five
 * clauses in Python; libsodium must give the same. Libraries differ in exactly these cases.
 */
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '@kvchain/core/keys'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mutate, mutation } from './arbitraries.js'
import { hex, readVectors, sha256, testAccount, text, tries, verifySignature } from './helpers.js'

interface SignatureVector {
  readonly name: string
  readonly publicKey: string
  readonly message: string
  readonly signature: string
  readonly accepted: boolean
}

const vectors = readVectors<SignatureVector[]>('signatures')

describe('signatures', () => {
  it.each(vectors)('$name: accepted $accepted', ({ publicKey, message, signature, accepted }) => {
    expect(verifySignature(hex(signature), hex(message), hex(publicKey))).toBe(accepted)
  })

  it('that are accepted and such that are not are both among the vectors', () => {
    expect(vectors.filter(({ accepted }) => accepted).length).toBeGreaterThan(10)
    expect(vectors.filter(({ accepted }) => !accepted).length).toBeGreaterThan(80)
  })

  it('have the sizes that core states', () => {
    const account = testAccount('alice')
    expect(account.publicKey).toHaveLength(PUBLIC_KEY_BYTES)
    expect(account.sign(sha256(text('a')))).toHaveLength(SIGNATURE_BYTES)
  })

  it('do not survive a mutation', () => {
    const account = testAccount('alice')
    const message = sha256(text('a message'))
    const signature = account.sign(message)
    expect(verifySignature(signature, message, account.publicKey)).toBe(true)
    fc.assert(
      fc.property(mutation, (change) => {
        const wrong = mutate(signature, change)
        if (Buffer.compare(wrong, signature) !== 0)
          expect(verifySignature(wrong, message, account.publicKey)).toBe(false)
      }),
      tries(2_000),
    )
  })
})
