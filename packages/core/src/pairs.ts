/** Hashes of pairs, with nothing but SHA-256: for where an engine brings nothing faster. (protocol.md sections 2 and 9) */
import { toMapKey } from './bytes.js'
import { type PairHasher, type Sha256, TAG_BYTES } from './hash.js'

const HASH_BYTES = 32
const PLAIN_JOBS = 256

export class PlainPairs implements PairHasher {
  bytes: Uint8Array = new Uint8Array(PLAIN_JOBS * HASH_BYTES)
  readonly jobs: Uint32Array = new Uint32Array(3 * PLAIN_JOBS)
  private readonly message = new Uint8Array(TAG_BYTES + 2 * HASH_BYTES)

  constructor(private readonly sha256: Sha256) {}

  grow(length: number): void {
    if (length <= this.bytes.length) return
    const bytes = new Uint8Array(length)
    bytes.set(this.bytes)
    this.bytes = bytes
  }

  run(tag: Uint8Array, count: number): void {
    const { bytes, jobs, message } = this
    message.set(tag)
    for (let i = 0; i < 3 * count; i += 3) {
      const [left = 0, right = 0, result = 0] = [jobs[i], jobs[i + 1], jobs[i + 2]]
      message.set(bytes.subarray(left, left + HASH_BYTES), TAG_BYTES)
      message.set(bytes.subarray(right, right + HASH_BYTES), TAG_BYTES + HASH_BYTES)
      bytes.set(this.sha256(message), result)
    }
  }

  text(at: number): string {
    return toMapKey(this.bytes.subarray(at, at + HASH_BYTES))
  }
}
