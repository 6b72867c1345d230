/** Proof of work: the hash that is searched for, when it is good enough, and how much work it stands for. (protocol.md section 7) */
import { compareBytes, toBigInt } from './bytes.js'
import { encodeWith } from './codec.js'
import type { Sha256 } from './hash.js'

const TWO_256 = 1n << 256n

/** sha256(commitment || nonce): 40 bytes, so that a try costs a single compression. */
export function powHash(sha256: Sha256, commitment: Uint8Array, nonce: number): Uint8Array {
  return sha256(encodeWith((writer) => writer.fixed(commitment).u64(nonce), 40))
}

/** Both read as 256-bit big-endian integers. */
export function meetsTarget(hash: Uint8Array, target: Uint8Array): boolean {
  return compareBytes(hash, target) <= 0
}

/** Expected hashes for one block at a target: floor(2^256 / (target + 1)). */
export function targetWork(target: Uint8Array): bigint {
  return TWO_256 / (toBigInt(target) + 1n)
}
