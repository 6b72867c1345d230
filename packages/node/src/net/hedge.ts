/** Asking several peers for one thing. Owns whom to ask when: the next one joins in when those before are slow, or have failed. */
import { assert } from '@kvchain/core/errors'
import { NetError } from '../runtime/errors.js'
import type { CancelTimer, Runtime } from '../runtime/runtime.js'
import { verdictOn } from './verdict.js'

export interface HedgeOptions {
  readonly runtime: Runtime
  /** How long a peer is waited for before the next one is asked as well. */
  readonly hedgeMs: number
  readonly signal: AbortSignal
  /** A peer answered with what breaks a rule. */
  readonly onBad: (peerId: string, error: unknown) => void
}

/**
 * The first good answer; the other requests are called off. Rejects with NetError `net-response` when no peer gives one, since whoever broke a rule
 * was named already.
 */
export function askInTurn<T>(
  peers: readonly string[],
  ask: (peerId: string, signal: AbortSignal) => Promise<T>,
  { runtime, hedgeMs, signal, onBad }: HedgeOptions,
): Promise<T> {
  assert(peers.length > 0, 'there is a peer to ask')
  const done = new AbortController()
  const either = AbortSignal.any([signal, done.signal])
  return new Promise<T>((resolve, reject) => {
    let next = 0
    let open = 0
    let cancelTimer: CancelTimer = () => {}
    const finish = (settle: () => void): void => {
      cancelTimer()
      settle()
      done.abort()
    }
    const begin = (): void => {
      cancelTimer()
      const peerId = peers[next++]
      if (peerId === undefined) return
      open++
      cancelTimer = runtime.timers.after(hedgeMs, begin)
      ask(peerId, either).then(
        (answer) => finish(() => resolve(answer)),
        (error: unknown) => {
          open--
          if (done.signal.aborted) return
          if (verdictOn(error) !== undefined) onBad(peerId, error)
          if (signal.aborted || (open === 0 && next >= peers.length))
            finish(() => reject(new NetError('net-response', 'none of the peers could answer', {}, error)))
          else begin()
        },
      )
    }
    begin()
  })
}
