/**
 * Proof of work without the work: how long a search takes is drawn from the exponential distribution that hashing has, by the hash rate of the node;
 * then a nonce is really found, on networks whose target is so easy that some hashes do.
 */
import { meetsTarget, powHash, targetWork } from '@kvchain/core/pow'
import { sha256 } from '@kvchain/node/crypto/sodium'
import type { PowSearcher, PowWork } from '@kvchain/node/miner/powPool'
import { AbortError } from '@kvchain/node/runtime/errors'
import type { Random } from '../difficulty/random.js'
import { KIND } from './loop.js'
import type { Life } from './runtime.js'

export class DrawnSearcher implements PowSearcher {
  constructor(
    private readonly life: Life,
    private readonly random: Random,
    /** Hashes in a millisecond. */
    private readonly hashRate: () => number,
  ) {}

  /** A search that is given up and begun anew takes no longer for it, as the distribution has no memory. */
  search({ commitment, target, start, count }: PowWork, signal: AbortSignal): Promise<number | undefined> {
    const takesMs = (this.random.exponential() * Number(targetWork(target))) / this.hashRate()
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(new AbortError('a search'))
        return
      }
      const onAbort = () => {
        cancel()
        reject(new AbortError('a search'))
      }
      const cancel = this.life.after(takesMs, KIND.timer, () => {
        signal.removeEventListener('abort', onAbort)
        for (let nonce = start; nonce < start + count; nonce++) {
          if (meetsTarget(powHash(sha256, commitment, nonce), target)) return resolve(nonce)
        }
        resolve(undefined)
      })
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}
