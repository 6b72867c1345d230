/**
 * A hash of database keys for tables in memory, which whoever chooses keys cannot foresee: each process draws its own. Never stored, never sent;
 * it decides where something is looked for, and nothing that anybody sees.
 */
import { MAX_KEY_BYTES } from '@kvchain/core/limits'
import { systemRuntime } from '../runtime/runtime.js'

/** 32 bits for bytes[from..to). The upper ones are the better ones. */
export type KeyHash = (bytes: Uint8Array, from: number, to: number) => number

/** For the byte that names the kind, a key, and what stands for its end. Of anything longer the rest does not count. */
const FACTORS = 1 + MAX_KEY_BYTES + 1

/**
 * Each byte times a factor of its place, all added, with one after the last byte so that the length counts. With factors that nobody knows, two keys,
 * however they were chosen, agree in the upper 16 bits once in 65,536 draws (multilinear hashing: strongly universal in the upper 25 bits).
 */
export function keyHashFrom(factors: Int32Array): KeyHash {
  return (bytes, from, to) => {
    let sum = factors[to - from] ?? 0
    for (let i = from; i < to; i++) sum = (sum + Math.imul(bytes[i] ?? 0, factors[i - from] ?? 0)) | 0
    return sum
  }
}

function drawnFactors(): Int32Array {
  // Into memory of its own: what is drawn may begin anywhere.
  const bytes = Uint8Array.from(systemRuntime().random.bytes(4 * FACTORS))
  return new Int32Array(bytes.buffer)
}

/** The hash of this process. */
export const hashKey: KeyHash = keyHashFrom(drawnFactors())
