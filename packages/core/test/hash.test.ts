import { toHex } from '@kvchain/core/bytes'
import { DOMAIN, taggedHash } from '@kvchain/core/hash'
import { describe, expect, it } from 'vitest'
import { hex, readVectors, sha256, text } from './helpers.js'

interface HashVector {
  readonly name: string
  readonly tag: string
  readonly message: string
  readonly hash: string
}

const vectors = readVectors<HashVector[]>('hashes')

describe('tagged hashes', () => {
  it('have the domains of the protocol, each 16 bytes, no two alike', () => {
    const tags = Object.values(DOMAIN).map(toHex)
    expect(new Set(tags)).toEqual(new Set(vectors.map(({ tag }) => tag)))
    expect(new Set(tags).size).toBe(tags.length)
    for (const tag of tags) expect(tag).toHaveLength(32)
  })

  it.each(vectors)('hash under $name as the vector says', ({ tag, message, hash }) => {
    expect(toHex(taggedHash(sha256, hex(tag), hex(message)))).toBe(hash)
  })

  it('join two parts', () => {
    const [a, b] = [text('one'), text('two')]
    const joined = taggedHash(sha256, DOMAIN.value, text('onetwo'))
    expect(taggedHash(sha256, DOMAIN.value, a, b)).toEqual(joined)
  })

  it('put messages together in one place: short ones of each length, longer ones in all, and hold on to no very long ones', () => {
    const messages: Uint8Array[] = []
    const keep = (message: Uint8Array) => {
      messages.push(message)
      return sha256(message)
    }
    for (const bytes of [32, 144, 145, 1_000, 5_000, (64 << 10) - 16, (64 << 10) - 15]) {
      messages.length = 0
      for (let i = 0; i < 2; i++) taggedHash(keep, DOMAIN.value, new Uint8Array(bytes))
      const [first, second] = messages
      expect([bytes, first === second]).toEqual([bytes, bytes <= 144])
      expect([bytes, first?.buffer === second?.buffer]).toEqual([bytes, bytes <= (64 << 10) - 16])
    }
  })

  it('depend on nothing that a longer message left behind', () => {
    const expected = [0, 1, 144, 145, 1_500, 70_000].map((bytes) => {
      const message = new Uint8Array(bytes).fill(7)
      return [message, sha256(new Uint8Array([...DOMAIN.value, ...message]))] as const
    })
    for (const [message, hash] of [...expected, ...expected.toReversed()]) {
      expect(taggedHash(sha256, DOMAIN.value, message)).toEqual(hash)
    }
  })
})
