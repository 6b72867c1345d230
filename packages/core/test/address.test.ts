import { AddressError, fromAddress, namespaceOwner, toAddress } from '@kvchain/core/address'
import { concatBytes, fromUtf8, toHex } from '@kvchain/core/bytes'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes32 } from './arbitraries.js'
import { codeOf, hex, readVectors, testAccount, text, thrownBy, tries } from './helpers.js'

interface AddressVectors {
  readonly good: { prefix: string; publicKey: string; address: string }[]
  readonly bad: { name: string; text: string; prefix: string; code: string }[]
}

const vectors = readVectors<AddressVectors>('addresses')
const { publicKey } = testAccount('alice')
const address = toAddress(publicKey, 'kv')
const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'

describe('addresses', () => {
  it.each(vectors.good)('$address', ({ prefix, publicKey: key, address: expected }) => {
    expect(toAddress(hex(key), prefix)).toBe(expected)
    expect(toHex(fromAddress(expected, prefix))).toBe(key)
  })

  it.each(vectors.bad)('refuses: $name', ({ text: bad, prefix, code }) => {
    const error = thrownBy(() => fromAddress(bad, prefix))
    expect(error).toBeInstanceOf(AddressError)
    expect(error.code).toBe(code)
  })

  it('name both networks when the address is of another', () => {
    expect(thrownBy(() => fromAddress(address, 'lan')).data).toEqual({ prefix: 'kv', expected: 'lan' })
  })

  it('catch every typo of one character', () => {
    for (let at = 0; at < address.length; at++) {
      for (const character of alphabet) {
        if (address[at] === character) continue
        const typo = address.slice(0, at) + character + address.slice(at + 1)
        expect(
          codeOf(() => fromAddress(typo, 'kv')),
          typo,
        ).toBe('address-malformed')
      }
    }
  })

  it('catch typos of up to four characters', () => {
    const typo = fc.array(fc.tuple(fc.nat(57), fc.constantFrom(...alphabet)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(bytes32, typo, (key, changes) => {
        const right = toAddress(key, 'kv')
        const characters = [...right]
        for (const [at, character] of changes) characters[3 + at] = character
        const wrong = characters.join('')
        if (wrong !== right) expect(codeOf(() => fromAddress(wrong, 'kv'))).toBe('address-malformed')
      }),
      tries(500),
    )
  })

  it('have one text for one key', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...alphabet), minLength: 58, maxLength: 58 }),
        bytes32,
        (data, key) => {
          expect(fromAddress(toAddress(key, 'kv'), 'kv')).toEqual(key)
          try {
            expect(toAddress(fromAddress(`kv1${data}`, 'kv'), 'kv')).toBe(`kv1${data}`)
          } catch (error) {
            expect(error).toBeInstanceOf(AddressError)
          }
        },
      ),
      tries(300),
    )
  })

  it('never throw anything else, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (anything) => {
        expect(codeOf(() => fromAddress(anything, 'kv'))).toBe('address-malformed')
      }),
      tries(300),
    )
  })
})

describe('namespaces', () => {
  const own = `@${address}/`

  it('leave plain keys to anyone', () => {
    for (const key of ['a', '/', 'a@b/', `x${own}`, '\0', '?@']) expect(namespaceOwner(text(key), 'kv')).toBeUndefined()
    expect(namespaceOwner(new Uint8Array(0), 'kv')).toBeUndefined()
  })

  it('belong to the account that they name', () => {
    for (const rest of ['', 'a', 'a/b', '/', '@', '\0'])
      expect(namespaceOwner(text(own + rest), 'kv')).toEqual(publicKey)
    expect(namespaceOwner(concatBytes([text(own), hex('fffe00')]), 'kv')).toEqual(publicKey)
  })

  it.each([
    ['@', 'address-malformed'],
    ['@/', 'address-malformed'],
    ['@alice/', 'address-malformed'],
    [`@${address}`, 'address-malformed'],
    [`@${address.toUpperCase()}/`, 'address-malformed'],
    [`@${address}x/`, 'address-malformed'],
    [`@ ${address}/`, 'address-malformed'],
    [`@@${address}/`, 'address-malformed'],
    [`@${address.slice(0, -1)}/x`, 'address-malformed'],
    [`@${toAddress(publicKey, 'lan')}/x`, 'address-network'],
    [`@${'q'.repeat(200)}/${address}/`, 'address-malformed'],
    [`@${'q'.repeat(300)}`, 'address-malformed'],
  ])('refuse %s', (key, code) => {
    expect(codeOf(() => namespaceOwner(fromUtf8(key), 'kv'))).toBe(code)
  })

  it('without a / where an address can end, say what they must read', () => {
    for (const key of ['@', '@alice', `@${'q'.repeat(200)}/`]) {
      expect(thrownBy(() => namespaceOwner(text(key), 'kv')).message).toContain('@<address>/')
    }
    expect(thrownBy(() => namespaceOwner(text('@alice/'), 'kv')).message).toContain('not an address')
  })

  it('refuse bytes that only look like an address', () => {
    const key = text(own)
    for (let at = 1; at < key.length - 1; at++) {
      const high = key.slice()
      high[at] = (high[at] ?? 0) | 0x80
      expect(codeOf(() => namespaceOwner(high, 'kv'))).toBe('address-malformed')
    }
  })

  it('reach as far as the longest prefix', () => {
    const prefix = 'abcdefghijklmnop'
    expect(namespaceOwner(text(`@${toAddress(publicKey, prefix)}/x`), prefix)).toEqual(publicKey)
  })
})
