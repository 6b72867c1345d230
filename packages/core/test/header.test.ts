import { toHex } from '@kvchain/core/bytes'
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  type Header,
  headerCommitment,
  headerHash,
} from '@kvchain/core/header'
import { meetsTarget, powHash, targetWork } from '@kvchain/core/pow'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { header as anyHeader, bytes32 } from './arbitraries.js'
import { codeOf, expectCanonical, hex, makeHeader, readVectors, sha256, tries } from './helpers.js'

type HeaderJson = { [K in keyof Header]: Header[K] extends number ? number : string }

interface HeaderVectors {
  readonly headers: {
    name: string
    header: HeaderJson
    bytes: string
    commitment: string
    hash: string
    meetsTarget: boolean
  }[]
  readonly works: { target: string; work: string }[]
  readonly powHashes: { commitment: string; nonce: number; hash: string }[]
}

const vectors = readVectors<HeaderVectors>('headers')

function toHeader(json: HeaderJson): Header {
  return {
    ...json,
    parent: hex(json.parent),
    target: hex(json.target),
    txRoot: hex(json.txRoot),
    stateRoot: hex(json.stateRoot),
    miner: hex(json.miner),
  }
}

describe('headers', () => {
  it.each(vectors.headers)('$name: bytes, commitment and hash', (vector) => {
    const header = toHeader(vector.header)
    expect(toHex(encodeHeader(header))).toBe(vector.bytes)
    expect(decodeHeader(hex(vector.bytes))).toEqual(header)
    expect(toHex(headerCommitment(sha256, header))).toBe(vector.commitment)
    expect(toHex(headerHash(sha256, header))).toBe(vector.hash)
    expect(meetsTarget(hex(vector.hash), header.target)).toBe(vector.meetsTarget)
  })

  it('are 184 bytes, not fewer, not more', () => {
    const bytes = encodeHeader(makeHeader())
    expect(HEADER_BYTES).toBe(184)
    expect(bytes).toHaveLength(184)
    for (let length = 0; length < 184; length++) {
      expect(codeOf(() => decodeHeader(bytes.subarray(0, length)))).toBe('codec-truncated')
    }
    expect(codeOf(() => decodeHeader(Uint8Array.of(...bytes, 0)))).toBe('codec-trailing')
  })

  it('are of version 1', () => {
    for (const version of [0, 2, 0x01000000]) {
      const bytes = encodeHeader(makeHeader())
      new DataView(bytes.buffer).setUint32(0, version)
      expect(codeOf(() => decodeHeader(bytes))).toBe('codec-tag')
    }
  })

  it('hold integers up to 2^53 - 1', () => {
    for (const at of [40, 176]) {
      const bytes = encodeHeader(makeHeader())
      bytes.set(hex('0020000000000000'), at)
      expect(codeOf(() => decodeHeader(bytes))).toBe('codec-integer')
      bytes.set(hex('001fffffffffffff'), at)
      expect(encodeHeader(decodeHeader(bytes))).toEqual(bytes)
    }
  })

  it('have a hash that covers every byte, and a commitment that covers all but the nonce', () => {
    const header = makeHeader({ nonce: 5 })
    const bytes = encodeHeader(header)
    for (let at = 4; at < bytes.length; at++) {
      // The top bytes of the two u64: one bit more there is over 2^53 - 1.
      if (at === 40 || at === 176) continue
      const changed = decodeHeader(bytes.with(at, (bytes[at] ?? 0) ^ 1))
      expect(headerHash(sha256, changed)).not.toEqual(headerHash(sha256, header))
      const sameCommitment = toHex(headerCommitment(sha256, changed)) === toHex(headerCommitment(sha256, header))
      expect(sameCommitment).toBe(at > 176)
    }
  })

  it('decode to themselves; any other bytes are refused or re-encode to themselves', () => {
    fc.assert(
      fc.property(anyHeader, (header) => {
        expect(decodeHeader(encodeHeader(header))).toEqual(header)
      }),
      tries(500),
    )
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 180, maxLength: 180 }), (rest) => {
        expectCanonical(Uint8Array.of(0, 0, 0, 1, ...rest), decodeHeader, encodeHeader)
      }),
      tries(500),
    )
  })
})

describe('proof of work', () => {
  it.each(vectors.powHashes)('hash of nonce $nonce', ({ commitment, nonce, hash }) => {
    expect(toHex(powHash(sha256, hex(commitment), nonce))).toBe(hash)
  })

  it.each(vectors.works)('work of target $target', ({ target, work }) => {
    expect(targetWork(hex(target))).toBe(BigInt(work))
  })

  it('is met by a hash that is not above the target', () => {
    const target = '00ff'.padEnd(64, '0')
    expect(meetsTarget(hex(target), hex(target))).toBe(true)
    expect(meetsTarget(hex('00fe'.padEnd(64, 'f')), hex(target))).toBe(true)
    expect(meetsTarget(hex(`${target.slice(0, -1)}1`), hex(target))).toBe(false)
    expect(meetsTarget(hex('8'.padEnd(64, '0')), hex('7'.padEnd(64, 'f')))).toBe(false)
  })

  it('compares as integers do', () => {
    fc.assert(
      fc.property(bytes32, bytes32, (hash, target) => {
        const integer = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes)}`)
        expect(meetsTarget(hash, target)).toBe(integer(hash) <= integer(target))
        expect(targetWork(target)).toBe((1n << 256n) / (integer(target) + 1n))
      }),
      tries(500),
    )
  })
})
