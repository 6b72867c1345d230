/**
 * What the pool and a verification thread say to each other, and the layout of a record: signature, message, public key.
 * Owns the shapes only.
 */
import type { WorkerReady } from '../runtime/respawningWorker.js'
import { publicKeyBytes, signatureBytes } from './sodium.js'

export const messageBytes = 32
export const messageOffset = signatureBytes
export const publicKeyOffset = messageOffset + messageBytes
export const recordBytes = publicKeyOffset + publicKeyBytes

/** `records` is transferred, not shared: sodium-native calls every signature in shared memory bad. */
export interface VerifyRequest {
  readonly batchId: number
  readonly records: ArrayBuffer
}

/** One byte for each record, in order: 1 for a good signature, 0 for a bad one. */
export interface VerifyReply {
  readonly kind: 'verified'
  readonly batchId: number
  readonly verdicts: Uint8Array
}

export type VerifyMessage = VerifyReply | WorkerReady
