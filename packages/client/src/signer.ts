/**
 * Who signs, when it is not the daemon: an Ed25519 key of the caller's. Owns the only use of cryptography in this package besides key files:
 * signatures that are, byte for byte, those that the daemon makes of the same key. Runs in a browser too.
 */
import type { Sha256 } from '@kvchain/core/hash'
import type { SignMessage } from '@kvchain/core/keys'
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 as digest } from '@noble/hashes/sha2.js'
import { ClientError } from './errors.js'

export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  readonly sign: SignMessage
}

/** Bytes of the secret that a key pair is made from. */
export const SEED_BYTES = 32

export const sha256: Sha256 = (data) => digest(data)

/** The signer of a 32-byte seed. Throws ClientError `bad-params` for another size. */
export function seedSigner(seed: Uint8Array): Signer {
  if (seed.length !== SEED_BYTES) throw new ClientError('bad-params', `a seed has ${SEED_BYTES} bytes`)
  const own = new Uint8Array(seed)
  return { publicKey: ed25519.getPublicKey(own), sign: (message) => ed25519.sign(message, own) }
}
