/**
 * A network's identity read back from its bytes: every network file there is, and bytes that are none, each wrong in one place. Whatever is
 * accepted is the encoding of what was understood.
 */
import { readFileSync } from 'node:fs'
import { toAddress } from '@kvchain/core/address'
import { concatBytes, equalBytes } from '@kvchain/core/bytes'
import { CodecError, encodeWith } from '@kvchain/core/codec'
import { encodeParams, NetworkError, parseNetwork } from '@kvchain/core/params'
import { decodeParams, MAX_PARAMS_BYTES } from '@kvchain/core/paramsBytes'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mutate, mutation } from './arbitraries.js'
import { hex, readVectors, sha256, testAccount, testNetwork, text, thrownBy, tries } from './helpers.js'

const allocations = ['a', 'b', 'c'].map((name, i) => ({
  address: toAddress(testAccount(name).publicKey, 'kvt'),
  amount: 2 ** (10 * i),
}))
const network = testNetwork({ allocations })
const bytes = encodeParams(network.name, network.params)

const files = [
  ...['dev', 'lan', 'public', 'noobcash'].flatMap((name) => {
    try {
      return [JSON.parse(readFileSync(new URL(`../../../configs/${name}.json`, import.meta.url), 'utf8')) as unknown]
    } catch {
      return []
    }
  }),
  ...readVectors<{ network: unknown }[]>('genesis').map((vector) => vector.network),
]

describe('the bytes of a network', () => {
  it('are read back, for every network file there is', () => {
    expect(files.length).toBeGreaterThanOrEqual(6)
    for (const file of files) {
      const { name, params } = parseNetwork(file)
      expect(decodeParams(encodeParams(name, params))).toEqual({ name, params })
    }
    for (const vector of readVectors<{ params: string }[]>('genesis')) {
      const { name, params } = decodeParams(hex(vector.params))
      expect(equalBytes(encodeParams(name, params), hex(vector.params))).toBe(true)
    }
  })

  it('are at most as many as stated', () => {
    const most = Array.from({ length: 10_000 }, (_, i) => ({
      address: toAddress(sha256(Uint8Array.of(i >> 8, i)), 'a'.repeat(16)),
      amount: 1,
    }))
    const large = testNetwork({ addressPrefix: 'a'.repeat(16), allocations: most })
    const encoded = encodeParams('n'.repeat(32), large.params)
    expect(encoded.length).toBe(MAX_PARAMS_BYTES)
    expect(decodeParams(encoded).params.allocations).toHaveLength(10_000)
  })

  /** Where each field begins: name `test`, prefix `kvt`. */
  const at = {
    version: 0,
    name: 4,
    prefix: 12,
    pow: 19,
    time: 20,
    interval: 28,
    rule: 32,
    initial: 33,
    easiest: 65,
    window: 97,
  }

  it.each<[string, number, Uint8Array, string]>([
    ['version 2', at.version, hex('00000002'), 'codec-tag'],
    ['no name', at.name, hex('00000000'), 'codec-length'],
    ['a name of 33 bytes', at.name, hex('00000021'), 'codec-length'],
    ['a name with a capital', at.name + 4, text('T'), 'network-schema'],
    ['a prefix of 17 bytes', at.prefix, hex('00000011'), 'codec-length'],
    ['a prefix with a digit', at.prefix + 4, text('1'), 'network-schema'],
    ['proof of work 0', at.pow, hex('00'), 'codec-tag'],
    ['proof of work 2', at.pow, hex('02'), 'codec-tag'],
    ['a timestamp over 2^53 - 1', at.time, hex('0020000000000000'), 'codec-integer'],
    ['an interval of 0', at.interval, hex('00000000'), 'network-schema'],
    ['target rule 0', at.rule, hex('00'), 'codec-tag'],
    ['target rule 3', at.rule, hex('03'), 'codec-tag'],
    ['an initial target of 0', at.initial, new Uint8Array(32), 'network-values'],
    ['an initial target above the easiest', at.initial, hex('2f'), 'network-values'],
    ['a window of 0', at.window, hex('00000000'), 'network-schema'],
    ['a window of 100,001', at.window, hex('000186a1'), 'network-schema'],
    ['10,001 allocations', bytes.length - 3 * 40 - 4, hex('00002711'), 'codec-length'],
    ['an allocation too few', bytes.length - 3 * 40 - 4, hex('00000002'), 'codec-trailing'],
    ['an allocation too many', bytes.length - 3 * 40 - 4, hex('00000004'), 'codec-truncated'],
    ['an allocation of nothing', bytes.length - 8, new Uint8Array(8), 'network-schema'],
    ['an account twice', bytes.length - 40, testAccount('a').publicKey, 'network-values'],
  ])('%s', (_, offset, spoilt, code) => {
    const changed = Uint8Array.from(bytes)
    changed.set(spoilt, offset)
    const error = thrownBy(() => decodeParams(changed))
    expect(error.code).toBe(code)
    expect(error instanceof CodecError || error instanceof NetworkError).toBe(true)
  })

  it('have nothing after them, and a text is bytes of ASCII', () => {
    expect(thrownBy(() => decodeParams(concatBytes([bytes, hex('00')]))).code).toBe('codec-trailing')
    const digit = Uint8Array.from(bytes)
    digit.set(text('1'), 16)
    const path = '/consensus/addressPrefix'
    expect(thrownBy(() => decodeParams(digit))).toMatchObject({ data: { path }, message: `${path}: not letters a-z` })
    // Two bytes that would be one character in UTF-8.
    const accent = encodeWith((writer) => writer.u32(1).variable(hex('61c3a9')).fixed(bytes.subarray(12)))
    expect(thrownBy(() => decodeParams(accent)).code).toBe('network-schema')
  })

  it('are the only ones for what they say', () => {
    let accepted = 0
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (changes) => {
        const changed = changes.reduce(mutate, bytes)
        try {
          const { name, params } = decodeParams(changed)
          expect(equalBytes(encodeParams(name, params), changed)).toBe(true)
          accepted++
        } catch (error) {
          if (!(error instanceof CodecError || error instanceof NetworkError)) throw error
        }
      }),
      tries(2_000),
    )
    expect(accepted).toBeGreaterThan(0.02 * tries(2_000).numRuns)
  })
})
