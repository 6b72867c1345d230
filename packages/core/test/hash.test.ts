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
})
