/**
 * Who gets a place. Outbound: the peers that we choose ourselves, spread over providers, half of them proven in former connections, so that
 * who fills our list with addresses does not fill our places. Inbound: when all places are taken, the least useful goes, and what an
 * attacker cannot easily be (old, near, first with news, from everywhere) is protected. Pure.
 */
import type { Random } from '../../runtime/runtime.js'

/** Outbound peers of one provider. */
const MAX_PER_GROUP = 2

export interface OutboundCandidate {
  /** Undefined for a private address, which is next to nobody. */
  readonly group: string | undefined
  readonly anchor: boolean
  /** For how long it was connected by our choice before. */
  readonly provenMs: number
}

export interface Slots {
  readonly free: number
  /** Outbound peers of each group. */
  readonly groups: ReadonlyMap<string, number>
  /** Outbound peers that were proven before. */
  readonly proven: number
  readonly provenWanted: number
}

/** The anchors first, then the longest proven until those are half, then any, a group at random and then one of it. */
export function chooseOutbound<T extends OutboundCandidate>(
  candidates: readonly T[],
  slots: Slots,
  random: Random,
): T[] {
  const chosen: T[] = []
  const groups = new Map(slots.groups)
  let { proven } = slots
  const take = (candidate: T | undefined): void => {
    if (candidate === undefined || chosen.length >= slots.free || chosen.includes(candidate)) return
    const { group, provenMs, anchor } = candidate
    if (group !== undefined && (groups.get(group) ?? 0) >= MAX_PER_GROUP) return
    if (group !== undefined) groups.set(group, (groups.get(group) ?? 0) + 1)
    if (provenMs > 0 || anchor) proven++
    chosen.push(candidate)
  }
  for (const candidate of candidates) if (candidate.anchor) take(candidate)
  const veterans = candidates.filter(({ provenMs }) => provenMs > 0).sort((a, b) => b.provenMs - a.provenMs)
  for (const candidate of veterans) if (proven < slots.provenWanted) take(candidate)
  for (const candidate of inRandomOrder(candidates, random)) {
    if (chosen.length >= slots.free) break
    take(candidate)
  }
  return chosen
}

/** The groups take turns, in random order, each with its candidates in random order: a thousand in one group come up as often as one in another. */
function inRandomOrder<T extends OutboundCandidate>(candidates: readonly T[], random: Random): T[] {
  const groups = new Map<string, T[]>()
  for (const candidate of shuffled(candidates, random)) {
    const name = candidate.group ?? `private ${groups.size}`
    groups.set(name, [...(groups.get(name) ?? []), candidate])
  }
  const queues = shuffled([...groups.values()], random)
  const longest = Math.max(0, ...queues.map(({ length }) => length))
  const rounds = Array.from({ length: Math.min(longest, MAX_PER_GROUP) }, (_, round) =>
    queues.map((queue) => queue[round]),
  )
  return rounds.flat().filter((candidate) => candidate !== undefined)
}

export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const all = [...items]
  for (let last = all.length - 1; last > 0; last--) {
    const at = random.below(last + 1)
    const moved = all[at]
    const other = all[last]
    if (moved === undefined || other === undefined) continue
    all[at] = other
    all[last] = moved
  }
  return all
}

export interface InboundPeer {
  readonly peerId: string
  /** Its provider, or its own address where that is private. */
  readonly group: string
  readonly connectedForMs: number
  /** Unknown in its first seconds. */
  readonly rttMs: number | undefined
  /** Blocks that it was the first to tell of. */
  readonly deliveries: number
  /** What is left of its points: 0, or negative. */
  readonly score: number
}

/** Below this a peer is the first to go: a few slow answers happen to anybody. */
const SUSPECT_SCORE = -20
/** So much of all is protected for each of three virtues; of the rest, half for its age. */
const PROTECTED_SHARE = 1 / 8

/**
 * Whom to hang up on so that somebody else may come in; the newcomer is among `peers`. Who was punished goes first. Protected are the nearest,
 * those that were first with blocks, the oldest of several groups, and of the rest the older half; of what is left, the youngest of the
 * most crowded group goes. Undefined without peers.
 */
export function chooseEviction(peers: readonly InboundPeer[]): InboundPeer | undefined {
  const suspects = peers.filter(({ score }) => score <= SUSPECT_SCORE).sort((a, b) => a.score - b.score)
  if (suspects[0] !== undefined) return suspects[0]
  const share = Math.max(1, Math.floor(peers.length * PROTECTED_SHARE))
  const left = new Set(peers)
  const protect = (best: readonly InboundPeer[]): void => {
    for (const peer of best.slice(0, share)) left.delete(peer)
  }
  const near = peers.filter(({ rttMs }) => rttMs !== undefined)
  protect(near.sort((a, b) => (a.rttMs ?? 0) - (b.rttMs ?? 0)))
  protect(peers.filter(({ deliveries }) => deliveries > 0).sort((a, b) => b.deliveries - a.deliveries))
  const byAge = [...peers].sort((a, b) => b.connectedForMs - a.connectedForMs)
  protect(byAge.filter(({ group }, i) => byAge.findIndex((other) => other.group === group) === i))
  const old = byAge.filter((peer) => left.has(peer))
  for (const peer of old.slice(0, Math.floor(old.length / 2))) left.delete(peer)
  const crowds = new Map<string, InboundPeer[]>()
  // The youngest first.
  for (const peer of byAge.toReversed()) {
    if (left.has(peer)) crowds.set(peer.group, [...(crowds.get(peer.group) ?? []), peer])
  }
  const crowded = [...crowds.values()].sort((a, b) => b.length - a.length)[0]
  return crowded?.[0] ?? byAge.at(-1)
}
