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
  /** Draws anew how long each search under way still takes. */
  private readonly redraws = new Set<() => void>()

  constructor(
    private readonly life: Life,
    private readonly random: Random,
    private rate: number,
  ) {}

  /** Hashes in a millisecond; with 0 nothing is found until there are more. */
  setRate(rate: number): void {
    this.rate = rate
    for (const redraw of this.redraws) redraw()
  }

  /** A search that is given up and begun anew takes no longer for it, as the distribution has no memory. */
  search({ commitment, target, start, count }: PowWork, signal: AbortSignal): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(new AbortError('a search'))
        return
      }
      let cancel = () => {}
      const draw = () => {
        cancel()
        cancel = () => {}
        if (this.rate === 0) return
        const takesMs = (this.random.exponential() * Number(targetWork(target))) / this.rate
        cancel = this.life.after(takesMs, KIND.timer, found)
      }
      const end = () => {
        cancel()
        this.redraws.delete(draw)
        signal.removeEventListener('abort', onAbort)
      }
      const onAbort = () => {
        end()
        reject(new AbortError('a search'))
      }
      const found = () => {
        end()
        resolve(this.nonce(commitment, target, start, count))
      }
      this.redraws.add(draw)
      signal.addEventListener('abort', onAbort, { once: true })
      draw()
    })
  }

  private nonce(commitment: Uint8Array, target: Uint8Array, start: number, count: number): number | undefined {
    for (let nonce = start; nonce < start + count; nonce++) {
      if (meetsTarget(powHash(sha256, commitment, nonce), target)) return nonce
    }
    return undefined
  }
}
