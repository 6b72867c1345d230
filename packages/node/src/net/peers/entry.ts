/**
 * One wanted peer: where it is, how often it failed, when it is dialled again. Owns the back-off, and which of two is the more promising. Pure.
 */
import type { Random } from '../../runtime/runtime.js'
import { hostOf, parseAddress } from '../address.js'
import { netGroup } from './groups.js'

export const MAX_ADDRESSES_PER_PEER = 4

/** Back-off doubles from the first to the last, with jitter. */
const FIRST_DELAY_MS = 1_000
const LAST_DELAY_MS = 60_000
/** An operator's peer that has been away for long is still looked for this often. */
const LAST_BOOTSTRAP_DELAY_MS = 15_000
/** For this long after it went away, an operator's or a local peer is looked for often: it is probably restarting. */
const RESTART_WINDOW_MS = 60_000
const RESTART_DELAY_MS = 3_000
/** A connection that lasted this long was a success; a shorter one counts as a failure. */
export const STABLE_MS = 10_000
/** Two peers that hear of each other at the same moment would dial each other at the same moment; the one with the greater id waits. */
const COURTESY_MS = 1_000

/** Where a wanted peer is known from, most insistent first. */
export const SOURCES = ['bootstrap', 'mdns', 'saved', 'exchange'] as const
export type PeerSource = (typeof SOURCES)[number]

/** One line of the list of wanted peers. */
export interface WantedPeer {
  /** Unknown for an operator's address without peer id, until the first connection. */
  readonly peerId: string | undefined
  readonly addresses: readonly string[]
  readonly source: PeerSource
  readonly connected: boolean
  /** Failures in a row. */
  readonly failures: number
}

/** A peer to dial, and what to dial. */
export interface Wanted {
  readonly key: string
  /** Given when nobody else will do at these addresses. */
  readonly peerId: string | undefined
  readonly addresses: readonly string[]
}

export interface Entry {
  source: PeerSource
  peerId: string | undefined
  /** The id was known from the start, so another peer at these addresses is not what is wanted. */
  readonly pinned: boolean
  /** The operator's addresses: always kept, and tried first. */
  fixed: string[]
  /** All addresses, without the peer id. */
  addresses: string[]
  /** The provider of the first of them; undefined if that is private. */
  group: string | undefined
  /** The provider of whoever told of it. */
  teller: string | undefined
  failures: number
  nextDialMs: number
  absentSinceMs: number
  connectedAtMs: number | undefined
  /** Since when the connection is one that we chose. */
  outboundSinceMs: number | undefined
  /** For how long it was connected by our choice, in former connections. */
  provenMs: number
  /** One of the two with which the last run was connected longest. */
  anchor: boolean
  dialling: boolean
  /** When it was last heard on the local network, in monotonic time. */
  heardMs: number
  /** Wall time of the last connection; 0 for never. */
  lastSeenMs: number
}

export function newEntry(source: PeerSource, peerId: string | undefined, ownId: string, now: number): Entry {
  const courteous = source !== 'bootstrap' && peerId !== undefined && ownId > peerId
  return {
    source,
    peerId,
    pinned: peerId !== undefined,
    fixed: [],
    addresses: [],
    group: undefined,
    teller: undefined,
    failures: 0,
    nextDialMs: now + (courteous ? COURTESY_MS : 0),
    absentSinceMs: now,
    connectedAtMs: undefined,
    outboundSinceMs: undefined,
    provenMs: 0,
    anchor: false,
    dialling: false,
    heardMs: now,
    lastSeenMs: 0,
  }
}

/** How long to wait before the next dial, after one that failed or a connection that ended. */
export function delayMs(entry: Entry, now: number, random: Random): number {
  const doubled = FIRST_DELAY_MS * 2 ** Math.min(Math.max(entry.failures - 1, 0), 10)
  const restarting = !isHearsay(entry) && now - entry.absentSinceMs < RESTART_WINDOW_MS
  const last = entry.source === 'bootstrap' ? LAST_BOOTSTRAP_DELAY_MS : LAST_DELAY_MS
  return jittered(Math.min(doubled, restarting ? RESTART_DELAY_MS : last), random)
}

/** The same after a dial that could not succeed. */
export function hopelessDelayMs(random: Random): number {
  return jittered(LAST_DELAY_MS, random)
}

/** Between 80 and 120 of a hundred, so that nodes that lost the same peer don't come back to it in step. */
function jittered(ms: number, random: Random): number {
  return (ms * (80 + random.below(41))) / 100
}

/** Remembered or told by others: dialled only while we want more peers. */
export function isHearsay(entry: Entry): boolean {
  return entry.source === 'saved' || entry.source === 'exchange'
}

/** A connection counts for as long as it lasts, once it has proven to be one. */
export function provenUntil({ provenMs, outboundSinceMs }: Entry, now: number): number {
  const lasted = now - (outboundSinceMs ?? now)
  return provenMs + (lasted > STABLE_MS ? lasted : 0)
}

export function isWorse(a: Entry, b: Entry): boolean {
  if (isHearsay(a) !== isHearsay(b)) return isHearsay(a)
  if (a.provenMs > 0 !== b.provenMs > 0) return b.provenMs > 0
  return a.failures === b.failures ? a.lastSeenMs < b.lastSeenMs : a.failures > b.failures
}

/** The operator's addresses, and behind them a few of the others. */
export function setAddresses(entry: Entry, others: readonly string[]): void {
  const more = new Set(others.filter((address) => !entry.fixed.includes(address)))
  const [before] = entry.addresses
  entry.addresses = [...entry.fixed, ...[...more].slice(0, MAX_ADDRESSES_PER_PEER)]
  const [first] = entry.addresses
  if (first !== before) entry.group = first === undefined ? undefined : groupOf(first)
}

/** The provider of an address; undefined if it is private. */
export function groupOf(address: string): string | undefined {
  return netGroup(hostOf(parseAddress(address)) ?? '')
}

/** What there is to dial for an entry. */
export function toDial(key: string, { pinned, peerId, addresses, fixed }: Entry): Wanted {
  // At an operator's address without peer id, whoever answers is the one.
  if (pinned && peerId !== undefined) return { key, peerId, addresses: [...addresses] }
  return { key, peerId: undefined, addresses: fixed.slice(0, 1) }
}
