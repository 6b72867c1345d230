/**
 * Whose request is served next. Owns how many are served at one time, how much each peer and all of them together may ask for, and that
 * they share fairly: of the peers that wait, the one that was given least comes first, so that a peer that asks for ever more only waits for
 * ever longer; and no peer holds as many places as are left free, so that those that never read what they asked for leave some to others. Knows
 * nothing of streams. What a request costs is counted in units: one for asking, and more for a long answer.
 */
import type { CancelTimer, Runtime } from '../../runtime/runtime.js'
import { TokenBucket } from '../../runtime/tokenBucket.js'

export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

export interface AdmissionOptions {
  /** Requests served at one time, over all protocols and peers. */
  readonly maxRunning: number
  /** Units that one peer may ask for. */
  readonly peerRate: Rate
  /** Units that all peers may ask for together. */
  readonly nodeRate: Rate
}

/** What is served under one name. */
export interface Lane {
  /** Requests served at one time. */
  readonly maxRunning: number
  /** Requests that one peer may have here, waiting ones included. */
  readonly maxPerPeer: number
  /** Units that a request costs, without its answer. */
  readonly cost: number
}

/** One request's place among all. */
export interface Place {
  /** Resolves with true when it is this request's turn, or with false when it is refused. Called once. */
  turn(): Promise<boolean>
  /** Takes further units, when it is known what the answer weighs. */
  charge(units: number): void
  /** Called once, when the request is over. */
  leave(): void
}

/** A request is not kept waiting for longer; the peer is told to come again. Shorter than any peer waits for an answer. */
const MAX_WAIT_MS = 2_000
/** Waiting requests of all peers. The newest is refused. */
const MAX_WAITING = 2_048
/** Peers that are remembered. The one that has been silent for longest is forgotten first. */
const MAX_PARTIES = 1_000
/** What a peer may be refused without being blamed: a burst of honest questions, or a peer that counts otherwise than we do. */
const REFUSALS: Rate = { perSecond: 10, burst: 50 }
/** Of the refusals beyond that, every so many are one violation. */
const REFUSALS_PER_VIOLATION = 8

interface Waiting {
  readonly lane: Lane
  /** It is its turn (true), or it is refused. Called once. */
  readonly end: (granted: boolean) => void
}

/** A peer that asks. */
interface Party {
  readonly bucket: TokenBucket
  readonly refusals: TokenBucket
  refusedTooOften: number
  /** Units it was given, as fair sharing counts them: whoever was silent begins where the others are, not with savings. */
  given: number
  /** Requests that are served now. */
  running: number
  /** In the order of asking. */
  readonly waiting: Waiting[]
  /** Waiting and running requests. */
  readonly perLane: Map<Lane, number>
}

export class Admission {
  private readonly parties = new Map<string, Party>()
  private readonly queue = new Set<Party>()
  private readonly runningPerLane = new Map<Lane, number>()
  private readonly bucket: TokenBucket
  private running = 0
  private waiting = 0
  /** What the one that was served last had been given. */
  private level = 0
  private cancelWake: CancelTimer | undefined

  /** @param onTooMany is told of a peer that goes on asking for more than it gets. */
  constructor(
    private readonly options: AdmissionOptions,
    private readonly runtime: Runtime,
    private readonly onTooMany: (peerId: string) => void,
  ) {
    this.bucket = new TokenBucket(options.nodeRate.perSecond, options.nodeRate.burst, runtime.clock)
  }

  /** Takes in a request, whose turn is still to come; undefined when the peer has too many of them, or everybody has. */
  arrive(lane: Lane, peerId: string): Place | undefined {
    const party = this.party(peerId)
    const ofPeer = party.perLane.get(lane) ?? 0
    if (ofPeer >= lane.maxPerPeer || this.waiting >= MAX_WAITING) {
      this.onRefusal(party, peerId)
      return undefined
    }
    party.perLane.set(lane, ofPeer + 1)
    let running = false
    return {
      turn: async () => {
        running = await this.wait(party, lane)
        if (!running) this.onRefusal(party, peerId)
        return running
      },
      charge: (units) => this.charge(party, units),
      leave: () => {
        const left = (party.perLane.get(lane) ?? 1) - 1
        if (left > 0) party.perLane.set(lane, left)
        else party.perLane.delete(lane)
        if (!running) return
        this.running--
        party.running--
        this.runningPerLane.set(lane, (this.runningPerLane.get(lane) ?? 1) - 1)
        this.dispatch()
      },
    }
  }

  /** Refuses everybody who waits. Those whose turn it is go on. */
  clear(): void {
    this.cancelWake?.()
    for (const party of this.queue) for (const entry of [...party.waiting]) entry.end(false)
  }

  private wait(party: Party, lane: Lane): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (granted: boolean): void => {
        cancelTimer()
        party.waiting.splice(party.waiting.indexOf(entry), 1)
        if (party.waiting.length === 0) this.queue.delete(party)
        this.waiting--
        resolve(granted)
      }
      const cancelTimer = this.runtime.timers.after(MAX_WAIT_MS, () => end(false))
      const entry = { lane, end }
      party.waiting.push(entry)
      this.queue.add(party)
      this.waiting++
      this.dispatch()
    })
  }

  private party(peerId: string): Party {
    const { clock } = this.runtime
    const { peerRate } = this.options
    const party: Party = this.parties.get(peerId) ?? {
      bucket: new TokenBucket(peerRate.perSecond, peerRate.burst, clock),
      refusals: new TokenBucket(REFUSALS.perSecond, REFUSALS.burst, clock),
      refusedTooOften: 0,
      given: this.level,
      running: 0,
      waiting: [],
      perLane: new Map(),
    }
    // Kept in order of use.
    this.parties.delete(peerId)
    this.parties.set(peerId, party)
    const [oldest] = this.parties.keys()
    if (this.parties.size > MAX_PARTIES && oldest !== undefined) this.parties.delete(oldest)
    return party
  }

  private onRefusal(party: Party, peerId: string): void {
    if (party.refusals.take()) return
    party.refusedTooOften++
    if (party.refusedTooOften % REFUSALS_PER_VIOLATION === 0) this.onTooMany(peerId)
  }

  /** Gives places for as long as there are some, and comes back when there will be units again. */
  private dispatch(): void {
    this.cancelWake?.()
    this.cancelWake = undefined
    while (this.running < this.options.maxRunning && this.queue.size > 0) {
      const nodeWaitMs = this.bucket.waitMs()
      if (nodeWaitMs > 0) {
        this.wakeAfter(nodeWaitMs)
        return
      }
      const next = this.next()
      if (next === undefined) return
      if (typeof next === 'number') {
        this.wakeAfter(next)
        return
      }
      this.begin(next.party, next.entry)
    }
  }

  /** The request whose turn it is; or when one will be, in milliseconds; or undefined when some other one must end first. */
  private next(): { party: Party; entry: Waiting } | number | undefined {
    let best: { party: Party; entry: Waiting } | undefined
    let soonestMs: number | undefined
    const free = this.options.maxRunning - this.running
    for (const party of this.queue) {
      if (party.running >= free || (best !== undefined && party.given >= best.party.given)) continue
      const entry = party.waiting.find(({ lane }) => (this.runningPerLane.get(lane) ?? 0) < lane.maxRunning)
      if (entry === undefined) continue
      const waitMs = party.bucket.waitMs()
      if (waitMs > 0) soonestMs = Math.min(soonestMs ?? waitMs, waitMs)
      else best = { party, entry }
    }
    return best ?? soonestMs
  }

  private begin(party: Party, entry: Waiting): void {
    const { lane } = entry
    this.running++
    party.running++
    this.runningPerLane.set(lane, (this.runningPerLane.get(lane) ?? 0) + 1)
    this.level = Math.max(this.level, party.given)
    party.given = this.level
    this.charge(party, lane.cost)
    entry.end(true)
  }

  private charge(party: Party, units: number): void {
    party.given += units
    party.bucket.charge(units)
    this.bucket.charge(units)
  }

  private wakeAfter(delayMs: number): void {
    this.cancelWake = this.runtime.timers.after(Math.ceil(delayMs), () => this.dispatch())
  }
}
