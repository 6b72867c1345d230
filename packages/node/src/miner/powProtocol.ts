/** What the pool and a search thread say to each other. Owns the shapes only; a reply is a claim, and the pool checks it. */
import type { WorkerReady } from '../runtime/respawningWorker.js'

/** Given to a thread when it is born. */
export interface PowWorkerData {
  /** One 32-bit number: the job to work on, 0 for none. Written by the pool only. */
  readonly currentJob: SharedArrayBuffer
}

/** Search [start, start + count) as long as `jobId` is the current job. */
export interface PowRequest {
  readonly jobId: number
  readonly chunkId: number
  readonly commitment: Uint8Array
  readonly target: Uint8Array
  readonly start: number
  readonly count: number
}

interface PowResult {
  readonly chunkId: number
  /** How many nonces it hashed, from the start of the chunk. */
  readonly tried: number
  readonly elapsedMs: number
}

/** One for each request, in order. */
export type PowReply =
  | (PowResult & { readonly kind: 'found'; readonly nonce: number })
  | (PowResult & { readonly kind: 'exhausted' })
  | (PowResult & { readonly kind: 'cancelled' })

export type PowMessage = PowReply | WorkerReady
