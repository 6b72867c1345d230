/**
 * Hostile peers in the place of daemons, for the faults experiment. Owns which behaviours there are and how fast each goes on, the processes, and the
 * count of who was banned.
 */
import type { Daemon } from '../daemon.js'
import { LabError } from '../errors.js'
import type { Act } from '../hostile/acts.js'
import { HostilePeer } from '../hostile/hostilePeer.js'

/** Milliseconds between two messages of one hostile peer: a flood must be borne by whom it is meant for, not starve him of a shared machine. */
const MESSAGE_EVERY_MS = 5
/** For packs of 50 transactions. */
const PACK_EVERY_MS = 250
/** For blocks with work, of all hostile peers of that behaviour together: what is looked at is what they do, not half of the hash power. */
const BLOCK_EVERY_MS = 2_000

/** By name: noise; parentless blocks without work, and with it; blocks whose transaction is another one for whoever asks, or never comes; two blocks on one parent; valid transactions for nothing. */
const ACTS = {
  malformed: { behaviour: 'malformed', everyMs: MESSAGE_EVERY_MS },
  cheap: { behaviour: 'orphans', how: 'cheap', everyMs: MESSAGE_EVERY_MS },
  orphans: { behaviour: 'orphans', everyMs: BLOCK_EVERY_MS },
  lying: { behaviour: 'withholding', how: 'mutating', everyMs: BLOCK_EVERY_MS },
  stalling: { behaviour: 'withholding', how: 'stalling', everyMs: BLOCK_EVERY_MS },
  equivocating: { behaviour: 'equivocating', everyMs: BLOCK_EVERY_MS },
  spam: { behaviour: 'spam', everyMs: PACK_EVERY_MS },
} as const satisfies Readonly<Record<string, Act>>

export type HostileName = keyof typeof ACTS
export const HOSTILE_NAMES = Object.keys(ACTS) as readonly HostileName[]

export interface HostileResult {
  readonly behaviour: HostileName
  /** Peers that behaved so. */
  readonly peers: number
  /** Messages, blocks or transactions, of all of them. */
  readonly sent: number
  /** Of the peers, those that some daemon was still connected with at the end. */
  readonly connected: number
  /** Those that some daemon banned. The others it may have hung up on: half of the points that make a ban are enough for that. */
  readonly banned: number
  /** Why, each reason once. */
  readonly reasons: readonly string[]
}

/** Throws LabError `lab-options`. */
export function hostileName(text: string): HostileName {
  const name = HOSTILE_NAMES.find((one) => one === text)
  if (name !== undefined) return name
  throw new LabError('lab-options', `there is no behaviour '${text}': there are ${HOSTILE_NAMES.join(', ')}`)
}

export class Coalition {
  private constructor(
    private readonly names: readonly HostileName[],
    private readonly places: readonly HostilePeer[],
  ) {}

  /**
   * So many processes, each of which shows every behaviour at the same time, each behaviour under a peer id of its own, to all of the daemons.
   * Resolves when all have begun.
   */
  static async start(
    network: string,
    daemons: readonly Daemon[],
    places: number,
    names: readonly HostileName[],
  ): Promise<Coalition> {
    const targets = daemons.flatMap(({ addresses }) => addresses.slice(0, 1))
    const acts = names.map((name) => pacedFor(places, ACTS[name]))
    const starts = await Promise.allSettled(
      Array.from({ length: places }, () => HostilePeer.start({ network, targets, acts })),
    )
    const started = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
    const coalition = new Coalition(names, started)
    const failed = starts.find((start) => start.status === 'rejected')
    if (failed === undefined) return coalition
    await coalition.stop()
    throw failed.reason
  }

  /** Ends them all. What they did, and what the daemons did about them, behaviour by behaviour. */
  async end(daemons: readonly Daemon[]): Promise<HostileResult[]> {
    const seen = await Promise.all(daemons.map(({ client }) => client.call('net_peers', {})))
    const connected = new Set(seen.flatMap(({ peers }) => peers.map(({ peerId }) => peerId)))
    const ended = await Promise.all(this.places.map((place) => place.end()))
    const answers = await Promise.all(daemons.map(({ client }) => client.call('net_bans', {})))
    const bans = answers.flatMap((answer) => answer.bans)
    return this.names.map((behaviour, act) => {
      const ids = new Set(this.places.map(({ peers }) => peers[act]?.peerId ?? ''))
      const theirs = bans.filter(({ target }) => ids.has(target))
      return {
        behaviour,
        peers: ids.size,
        sent: ended.reduce((sum, counts) => sum + (counts[act]?.sent ?? 0), 0),
        connected: [...ids].filter((id) => connected.has(id)).length,
        banned: new Set(theirs.map(({ target }) => target)).size,
        reasons: [...new Set(theirs.map(({ reason }) => reason))].sort(),
      }
    })
  }

  async stop(): Promise<void> {
    await Promise.all(this.places.map((place) => place.stop()))
  }
}

function pacedFor(places: number, act: (typeof ACTS)[HostileName]): Act {
  return act.everyMs === BLOCK_EVERY_MS ? { ...act, everyMs: BLOCK_EVERY_MS * places } : act
}
