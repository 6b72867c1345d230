/**
 * Ed25519 keys and signatures: sizes, and the functions that the caller brings (libsodium, so that the accept and reject rules
 * are one C code's everywhere). Owns no cryptography. (protocol.md section 3)
 */

export const PUBLIC_KEY_BYTES = 32
export const SIGNATURE_BYTES = 64

/** Signs a message with a key that only the caller knows: 64 bytes. */
export type SignMessage = (message: Uint8Array) => Uint8Array

/** True when libsodium accepts the signature. False for anything malformed; never throws. */
export type VerifySignature = (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => boolean
