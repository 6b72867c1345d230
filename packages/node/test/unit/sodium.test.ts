/** The C library's Ed25519 and SHA-256 against published vectors, and against sizes and buffers that its binding cannot take. */
import { randomBytes } from 'node:crypto'
import { keyPairFromSeed, sha256, signMessage, verifySignature } from '@kvchain/node/crypto/sodium'
import { describe, expect, it } from 'vitest'

const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** RFC 8032, section 7.1: tests 1, 2, 3 and SHA(abc). */
const vectors = [
  {
    seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    seed: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
  {
    seed: '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    publicKey: 'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    message:
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    signature:
      'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  },
]

describe.each(vectors)('RFC 8032, message "$message"', ({ seed, publicKey, message, signature }) => {
  it('derives the key', () => {
    const pair = keyPairFromSeed(hex(seed))
    expect(toHex(pair.publicKey)).toBe(publicKey)
    expect(toHex(pair.secretKey)).toBe(seed + publicKey)
  })

  it('signs', () => {
    expect(toHex(signMessage(hex(message), keyPairFromSeed(hex(seed)).secretKey))).toBe(signature)
  })

  it('verifies, and not another message', () => {
    expect(verifySignature(hex(signature), hex(message), hex(publicKey))).toBe(true)
    expect(verifySignature(hex(signature), hex(`${message}00`), hex(publicKey))).toBe(false)
  })
})

it('rejects every flip of a single bit', () => {
  const { publicKey, secretKey } = keyPairFromSeed(randomBytes(32))
  const message = Uint8Array.from(randomBytes(32))
  const signature = signMessage(message, secretKey)
  expect(verifySignature(signature, message, publicKey)).toBe(true)
  for (const bytes of [signature, message, publicKey]) {
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const byte = bytes[bit >> 3] ?? 0
      bytes[bit >> 3] = byte ^ (1 << (bit & 7))
      expect(verifySignature(signature, message, publicKey)).toBe(false)
      bytes[bit >> 3] = byte
    }
  }
  expect(verifySignature(signature, message, publicKey)).toBe(true)
})

it('rejects keys of small order and a signature whose scalar is not reduced', () => {
  const message = Uint8Array.from(randomBytes(32))
  const identity = hex(`01${'00'.repeat(31)}`)
  // With the identity as key and as R, S = 0 satisfies the equation for every message.
  expect(verifySignature(Uint8Array.from([...identity, ...new Uint8Array(32)]), message, identity)).toBe(false)

  const { publicKey, secretKey } = keyPairFromSeed(randomBytes(32))
  const signature = signMessage(message, secretKey)
  const order = 2n ** 252n + 27742317777372353535851937790883648493n
  const scalar = BigInt(`0x${toHex(signature.slice(32).reverse())}`) + order
  const unreduced = hex(scalar.toString(16).padStart(64, '0')).reverse()
  expect(verifySignature(Uint8Array.from([...signature.slice(0, 32), ...unreduced]), message, publicKey)).toBe(false)
})

it('calls a signature or key of the wrong size bad', () => {
  const { publicKey, secretKey } = keyPairFromSeed(randomBytes(32))
  const message = randomBytes(32)
  const signature = signMessage(message, secretKey)
  for (const size of [0, 1, 31, 33, 63, 65, 128]) {
    expect(verifySignature(new Uint8Array(size), message, publicKey)).toBe(false)
    expect(
      verifySignature(Uint8Array.from([...signature, ...new Uint8Array(size)]).slice(0, -1), message, publicKey),
    ).toBe(size === 1)
    if (size !== 32) expect(verifySignature(signature, message, new Uint8Array(size))).toBe(false)
  }
})

it('refuses a seed or secret key of the wrong size', () => {
  for (const size of [0, 31, 33, 64]) {
    expect(() => keyPairFromSeed(new Uint8Array(size))).toThrow(expect.objectContaining({ code: 'options' }))
  }
  for (const size of [0, 32, 63, 65]) {
    expect(() => signMessage(randomBytes(32), new Uint8Array(size))).toThrow(
      expect.objectContaining({ code: 'options' }),
    )
  }
})

it('verifies bytes wherever they lie', () => {
  const { publicKey, secretKey } = keyPairFromSeed(randomBytes(32))
  const message = randomBytes(32)
  const signature = signMessage(message, secretKey)
  const places: ((bytes: Uint8Array) => Uint8Array)[] = [
    (bytes) => Buffer.from(bytes),
    (bytes) => Uint8Array.from([9, ...bytes, 9]).subarray(1, -1),
    (bytes) => {
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
      shared.set(bytes)
      return shared
    },
  ]
  for (const place of places) {
    expect(verifySignature(place(signature), place(message), place(publicKey))).toBe(true)
    expect(verifySignature(place(signature), place(randomBytes(32)), place(publicKey))).toBe(false)
    expect(toHex(signMessage(place(message), place(secretKey)))).toBe(toHex(signature))
    expect(toHex(keyPairFromSeed(place(secretKey.slice(0, 32))).publicKey)).toBe(toHex(publicKey))
  }
})

it('hashes by FIPS 180-4', () => {
  expect(toHex(sha256(new Uint8Array()))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  expect(toHex(sha256(Buffer.from('abc')))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})
