/**
 * SHA-256 and Ed25519 for the daemon. Owns the only use of sodium-native, so that one C library decides which signatures are
 * good on every node. Does not own keys, threads or what is signed. Invariant: no input, whatever its size or its buffer,
 * reaches the native code unless that code takes it; it would end the process, not throw.
 */
import { hash } from 'node:crypto'
import type { PairHasher, Sha256 } from '@kvchain/core/hash'
import sodium from 'sodium-native'
import { OptionsError } from '../runtime/errors.js'
import { createPairHasher } from './pairHasher.js'

export const digestBytes = 32
export const signatureBytes = 64
export const publicKeyBytes = 32
export const secretKeyBytes = 64
export const seedBytes = 32

/** Ed25519 as libsodium keeps it: the secret key is the seed followed by the public key. */
export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

let pairs: PairHasher | undefined

/** SHA-256: 32 bytes. As text of 32 characters, each the value of a byte, it costs a third of what a Buffer costs, whose memory the collector keeps books of. */
export const sha256: Sha256 & { readonly text: (data: Uint8Array) => string } = Object.defineProperty(
  Object.assign(
    (data: Uint8Array): Uint8Array => {
      const text = hash('sha256', data, 'binary')
      const digest = new Uint8Array(digestBytes)
      for (let i = 0; i < digestBytes; i++) digest[i] = text.charCodeAt(i)
      return digest
    },
    { text: (data: Uint8Array): string => hash('sha256', data, 'binary') },
  ),
  'pairs',
  // Made when it is first wanted: it takes some milliseconds, which a client can do without.
  { get: () => (pairs ??= createPairHasher()) },
)

/** Whether the signature is the key's over the message. A signature or key of the wrong size is a bad one. */
export function verifySignature(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== signatureBytes || publicKey.length !== publicKeyBytes) return false
  return sodium.crypto_sign_verify_detached(toUnshared(signature), toUnshared(message), toUnshared(publicKey))
}

/** A 64-byte detached signature. Throws OptionsError for a key of the wrong size. */
export function signMessage(message: Uint8Array, secretKey: Uint8Array): Uint8Array {
  if (secretKey.length !== secretKeyBytes) throw new OptionsError(`a secret key is ${secretKeyBytes} bytes`)
  const signature = new Uint8Array(signatureBytes)
  sodium.crypto_sign_detached(signature, toUnshared(message), toUnshared(secretKey))
  return signature
}

/** The one key pair of a seed. Throws OptionsError for a seed of the wrong size. */
export function keyPairFromSeed(seed: Uint8Array): KeyPair {
  if (seed.length !== seedBytes) throw new OptionsError(`a seed is ${seedBytes} bytes`)
  const publicKey = new Uint8Array(publicKeyBytes)
  const secretKey = new Uint8Array(secretKeyBytes)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, toUnshared(seed))
  return { publicKey, secretKey }
}

/** The binding reads no shared memory: it would check a signature there against other bytes and call it bad. */
function toUnshared(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer ? bytes.slice() : bytes
}
