/**
 * How many connections of our own choice there are to be, and which is to go. As long as the tip moves: as many as the target says. When
 * it has stood still for long, the neighbours may be keeping blocks from us: one more is taken on trial, and after a while whoever brought
 * nothing for longest goes for another one, until the tip moves again. Pure but for the clock.
 */
import type { Clock } from '../../runtime/runtime.js'

/** How long a peer may take to show that it brings blocks. A guess: some intervals of a slow network. */
const TRIAL_MS = 120_000

/** A peer that may be let go: one that we chose, and nobody named. */
export interface OutboundPeer {
  readonly peerId: string
  readonly connectedForMs: number
  /** Monotonic time at which it was last the first with a block; 0 for never. */
  readonly deliveredAtMs: number
}

export class Rotation {
  /** While one more is on trial: until when, and how many there were before. */
  private trial: { readonly untilMs: number; readonly before: number } | undefined

  constructor(
    private readonly target: number,
    private readonly clock: Pick<Clock, 'monotonicMs'>,
  ) {}

  /** @param total connections of our own choice; `ours` of them may be let go. */
  look(isStale: boolean, total: number, ours: readonly OutboundPeer[]): { wanted: number; letGo: string | undefined } {
    const now = this.clock.monotonicMs()
    const { trial } = this
    if (trial === undefined && !isStale) return { wanted: this.target, letGo: undefined }
    if (trial !== undefined && now < trial.untilMs && isStale) return { wanted: trial.before + 1, letGo: undefined }
    const letGo = trial !== undefined && total > trial.before ? leastUseful(ours) : undefined
    // The one on trial is judged when its time is over, even though the tip moves.
    const isTooEarly = trial !== undefined && total > trial.before && letGo === undefined && ours.length > 0
    if (isTooEarly) return { wanted: trial.before + 1, letGo: undefined }
    const before = Math.max(this.target, letGo === undefined ? total : total - 1)
    this.trial = isStale ? { untilMs: now + TRIAL_MS, before } : undefined
    return { wanted: isStale ? before + 1 : this.target, letGo }
  }
}

/** The one whose last block is longest ago, the youngest among equals; nobody who has not had its time. */
function leastUseful(peers: readonly OutboundPeer[]): string | undefined {
  const [first] = peers
    .filter(({ connectedForMs }) => connectedForMs >= TRIAL_MS)
    .sort((a, b) => a.deliveredAtMs - b.deliveredAtMs || a.connectedForMs - b.connectedForMs)
  return first?.peerId
}
