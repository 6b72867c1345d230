/**
 * A key of the caller's: its signatures are those that libsodium, in the daemon, makes of the same seed; and writes of the contract become
 * transactions that the daemon decodes to the same operations.
 * The way of a signed write through a real daemon is in the end-to-end test of keys.
 */
import { ClientError } from '@kvchain/client/errors'
import { operationsOf, parseOperations } from '@kvchain/client/operations'
import { seedSigner, sha256 } from '@kvchain/client/signer'
import { toAddress } from '@kvchain/core/address'
import { fromUtf8 } from '@kvchain/core/bytes'
import { keyPairFromSeed, sha256 as nativeSha256, signMessage, verifySignature } from '@kvchain/node/crypto/sodium'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })

test('signatures and public keys are the daemon’s', () => {
  fc.assert(
    fc.property(bytes32, fc.uint8Array({ maxLength: 200 }), (seed, message) => {
      const signer = seedSigner(seed)
      const pair = keyPairFromSeed(seed)
      expect(signer.publicKey).toEqual(pair.publicKey)
      const signature = signer.sign(message)
      expect(signature).toEqual(signMessage(message, pair.secretKey))
      expect(verifySignature(signature, message, pair.publicKey)).toBe(true)
    }),
  )
})

test('the digest is the daemon’s', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
      expect(sha256(data)).toEqual(nativeSha256(data))
    }),
  )
})

test('a seed is kept as it was given', () => {
  const seed = new Uint8Array(32).fill(7)
  const signer = seedSigner(seed)
  const before = signer.sign(fromUtf8('x'))
  seed.fill(8)
  expect(signer.sign(fromUtf8('x'))).toEqual(before)
})

test.each([0, 31, 33, 64])('a seed of %i bytes is none', (length) => {
  expect(() => seedSigner(new Uint8Array(length))).toThrow(ClientError)
})

describe('operations', () => {
  const account = (fill: number) => toAddress(new Uint8Array(32).fill(fill), 'kvdev')
  const parse = (...args: Parameters<typeof operationsOf>) => parseOperations(sha256, operationsOf(...args), 'kvdev')

  test('each write', () => {
    const key = fromUtf8('k')
    const put = parse('kv_put', { key: '6b', keyEncoding: 'hex', value: 'AP8=', encoding: 'base64', fee: 3 })
    expect(put.values).toEqual([Uint8Array.of(0, 255)])
    expect(put.operations).toMatchObject([{ kind: 'put', key, valueLength: 2, expect: { kind: 'any' } }])
    expect(parse('kv_delete', { key: 'k', expect: { version: 2 } }).operations).toEqual([
      { kind: 'delete', key, expect: { kind: 'version', version: 2 } },
    ])
    const writers = [account(9), account(3), account(9)]
    expect(parse('kv_access', { key: 'k', owner: account(5), access: { writers } }).operations).toEqual([
      {
        kind: 'access',
        key,
        expect: { kind: 'any' },
        owner: new Uint8Array(32).fill(5),
        access: { kind: 'writers', writers: [new Uint8Array(32).fill(3), new Uint8Array(32).fill(9)] },
      },
    ])
    expect(parse('coin_send', { to: account(5), amount: 7, fee: 1 }).operations).toEqual([
      { kind: 'transfer', to: new Uint8Array(32).fill(5), amount: 7 },
    ])
  })

  test('a batch keeps its order, and each put its value', () => {
    const batch = parse('kv_batch', {
      operations: [
        { op: 'put', key: 'a', value: '1' },
        { op: 'assert', key: 'b', expect: { absent: true } },
        { op: 'put', key: 'c', value: '22', access: 'open' },
        { op: 'assert', key: 'd', expect: { digest: 'ab'.repeat(32) } },
      ],
    })
    expect(batch.operations.map(({ kind }) => kind)).toEqual(['put', 'assert', 'put', 'assert'])
    expect(batch.values).toEqual([fromUtf8('1'), fromUtf8('22')])
    expect(batch.operations[3]).toMatchObject({ expect: { digest: new Uint8Array(32).fill(0xab) } })
  })

  test.each([
    ['key', { key: 'zz', keyEncoding: 'hex', value: '' }],
    ['key', { key: 'é'.repeat(257), value: '' }],
    ['value', { key: 'k', value: '?', encoding: 'base64' }],
    ['value', { key: 'k', value: 'x'.repeat((1 << 20) + 1) }],
  ] as const)('a %s that is none', (field, params) => {
    expect(() => parse('kv_put', params)).toThrow(expect.objectContaining({ code: 'bad-params', data: { field } }))
  })
})
