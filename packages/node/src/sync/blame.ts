/** What goes wrong while a peer is asked: a violation costs it points, a failure of the network is taken as bad luck. Anything else is ours, and thrown. */
import { conductOn, VERDICTS, verdictOn } from '../net/verdict.js'
import { AbortError, BusyError, NetError, TimeoutError } from '../runtime/errors.js'
import type { Log } from '../runtime/runtime.js'

/** How work with a peer ended. */
export type Ending = 'done' | 'violation' | 'stalled' | 'failed'

export interface BlameDeps {
  readonly log: Log
  readonly penalize: (peerId: string, points: number, reason: string) => void
}

/** Runs work that depends on a peer. Rejects with AbortError, and with bugs and failures of our own. */
export async function blaming(
  { log, penalize }: BlameDeps,
  peerId: string,
  work: () => Promise<void>,
): Promise<Ending> {
  try {
    await work()
    return 'done'
  } catch (error) {
    const verdict = verdictOn(error)
    if (verdict !== undefined) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'violation'
      log.debug({ peerId, code }, 'sync refused')
      if (verdict.penalty > 0) penalize(peerId, verdict.penalty, code)
      return 'violation'
    }
    if (error instanceof AbortError) throw error
    if (!(error instanceof NetError || error instanceof TimeoutError || error instanceof BusyError)) throw error
    const conduct = conductOn(error)
    if (conduct !== undefined) penalize(peerId, VERDICTS[conduct].penalty, conduct)
    log.debug({ peerId, err: error, conduct }, 'a peer did not answer, or not what it was asked')
    if (error instanceof TimeoutError) return 'stalled'
    return conduct === undefined ? 'failed' : 'violation'
  }
}
