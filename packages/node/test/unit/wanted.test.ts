/**
 * Whom to dial and whom to keep, as decisions alone: a clock that is put forward and a seeded generator.
 *
 * 1. An eclipse: a book of 1,000 addresses of one attacker, each at a provider of its own and each answering, and 8 honest ones; 100 restarts.
 * 2. Providers share the places; one teller fills a part of the list only.
 * 3. Inbound: an attacker who comes in numbers pushes out its own, not the old, the near, the useful.
 * 4. A tip that stands still: one peer more, and another, until it moves.
 */
import type { PeerInfo } from '@kvchain/node/net/host/peer'
import type { SavedPeer } from '@kvchain/node/net/peers/peerBook'
import { Rotation } from '@kvchain/node/net/peers/rotation'
import { chooseEviction, chooseOutbound, type InboundPeer } from '@kvchain/node/net/peers/slots'
import { type Situation, WantedList } from '@kvchain/node/net/peers/wanted'
import type { Random } from '@kvchain/node/runtime/runtime'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it, test } from 'vitest'

const MINUTE_MS = 60_000
const PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const HONEST = 8
const ATTACKERS = 1_000

/** Mulberry32: small, and good enough to choose peers by. */
function seeded(seed: number): Random {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return { bytes: (length) => Uint8Array.from({ length }, () => next() & 255), below: (bound) => next() % bound }
}

class Time {
  ms = 1_000_000_000

  nowMs(): number {
    return this.ms
  }

  monotonicMs(): number {
    return this.ms
  }
}

const honest = Array.from({ length: HONEST }, (_, i) => `honest${i}`)
const attackers = Array.from({ length: ATTACKERS }, (_, i) => `attacker${i}`)

/** Each at a provider of its own. */
function addressOf(peerId: string): string {
  const number = Number(/\d+$/.exec(peerId)?.[0])
  const [a, b] = peerId.startsWith('honest') ? [200, number] : [20 + (number >> 8), number & 255]
  return `/ip4/${a}.${b}.1.1/tcp/9000`
}

/** One life of the victim, of three minutes: it dials whom its list says, all who are up answer, and attackers tell of attackers. */
function live(saved: readonly SavedPeer[], time: Time, random: Random): { outbound: string[]; saved: SavedPeer[] } {
  const list = new WantedList({ ownId: 'victim', hearsay: true }, { clock: time, random })
  list.restore(saved)
  const down = new Set(honest.filter(() => random.below(4) === 0))
  const connected = new Map<string, PeerInfo>()
  const end = time.ms + 3 * MINUTE_MS
  for (; time.ms < end; time.ms += 2_000) {
    const situation: Situation = {
      peers: [...connected.values()],
      own: () => new Set(),
      dials: 16,
      maxPeers: 32,
      wantedOutbound: 8,
      refuses: () => false,
      listenAddresses: () => [],
    }
    for (const { key, peerId = '' } of list.due(situation)) {
      if (down.has(peerId)) {
        list.failed(key, 'timeout')
        continue
      }
      const info = { peerId, address: addressOf(peerId), direction: 'outbound', connectedForMs: 0 } as const
      connected.set(peerId, info)
      list.connected(peerId, [addressOf(peerId)], info)
      list.dialled(key, peerId, true)
      if (!peerId.startsWith('attacker')) continue
      for (let told = 0; told < 32; told++) {
        const friend = attackers[random.below(ATTACKERS)] ?? ''
        list.told(friend, [addressOf(friend)], '20.0.1.1')
      }
    }
  }
  for (const peerId of connected.keys()) list.disconnected(peerId)
  return { outbound: [...connected.keys()], saved: list.toSave() }
}

/** In how many of 100 lives the victim had an honest peer of its own choice. */
function survived(book: readonly SavedPeer[], seed: number): number {
  const time = new Time()
  const random = seeded(seed)
  let saved = [...book]
  let lives = 0
  for (let restart = 0; restart < 100; restart++) {
    const life = live(saved, time, random)
    if (life.outbound.some((peerId) => peerId.startsWith('honest'))) lives++
    saved = life.saved
    time.ms += MINUTE_MS
  }
  return lives
}

describe('an eclipse', () => {
  const seen = { lastSeenMs: 1_000_000_000 }
  const page = (peerId: string, provenMs: number): SavedPeer => ({
    peerId,
    addresses: [addressOf(peerId)],
    ...seen,
    provenMs,
  })

  it.each([1, 2, 3])('fails against a node with a past: seed %i', { timeout: 120_000 }, (seed) => {
    // The attackers came by themselves, all of them, just before the restarts.
    const book = [...honest.map((id) => page(id, 60 * MINUTE_MS)), ...attackers.map((id) => page(id, 0))]
    expect(survived(book, seed)).toBe(100)
  })

  it('fails, too, when the node once dialled all attackers', { timeout: 120_000 }, () => {
    const book = [...honest.map((id) => page(id, 60 * MINUTE_MS)), ...attackers.map((id) => page(id, MINUTE_MS))]
    expect(survived(book, 6)).toBe(100)
  })

  it('may succeed against a node without one: it is its past that helps', { timeout: 120_000 }, () => {
    expect(
      survived(
        [...attackers, ...honest].map((peerId) => page(peerId, 0)),
        7,
      ),
    ).toBeLessThan(100)
  })
})

describe('outbound places', () => {
  const candidate = (name: string, group: string | undefined, provenMs = 0, anchor = false) => ({
    name,
    group,
    provenMs,
    anchor,
  })
  const free = (places: number) => ({ free: places, groups: new Map<string, number>(), proven: 0, provenWanted: 4 })

  it('go to two of a provider at most, unless it is private', () => {
    const many = Array.from({ length: 20 }, (_, i) => candidate(`p${i}`, '20.0.0.0/16', 1_000, i < 5))
    const local = Array.from({ length: 20 }, (_, i) => candidate(`l${i}`, undefined))
    const chosen = chooseOutbound([...many, ...local], free(8), seeded(1))
    expect(chosen).toHaveLength(8)
    expect(chosen.filter(({ group }) => group !== undefined)).toHaveLength(2)
    const taken = { ...free(8), groups: new Map([['20.0.0.0/16', 2]]) }
    expect(chooseOutbound(many, taken, seeded(1))).toEqual([])
  })

  it('go to anchors, then to the longest proven until they are half, then to any', () => {
    const anchors = [candidate('a0', 'a', 0, true), candidate('a1', 'b', 5, true)]
    const veterans = Array.from({ length: 9 }, (_, i) => candidate(`v${i}`, `v${i}`, 100 - i))
    const fresh = Array.from({ length: 200 }, (_, i) => candidate(`f${i}`, `f${i}`))
    const chosen = chooseOutbound([...fresh, ...veterans.toReversed(), ...anchors], free(8), seeded(2))
    expect(chosen.slice(0, 4).map(({ name }) => name)).toEqual(['a0', 'a1', 'v0', 'v1'])
    expect(chosen.slice(4).filter(({ name }) => name.startsWith('f')).length).toBeGreaterThan(2)
  })

  it('a thousand of one provider come up no more often than one of another', () => {
    const crowd = Array.from({ length: 1_000 }, (_, i) => candidate(`c${i}`, 'crowd'))
    const loner = candidate('loner', 'alone')
    let found = 0
    for (let seed = 0; seed < 200; seed++) {
      if (chooseOutbound([...crowd, loner], free(1), seeded(seed))[0] === loner) found++
    }
    expect(found).toBeGreaterThan(70)
    expect(found).toBeLessThan(130)
  })
})

test('what the peers of one provider tell fills a part of the list only; a newcomer replaces one that failed', () => {
  const time = new Time()
  const list = new WantedList({ ownId: 'me', hearsay: true }, { clock: time, random: seeded(3) })
  for (const peerId of attackers) list.told(peerId, [addressOf(peerId)], '20.0.1.1')
  expect(list.all()).toHaveLength(64)
  list.told('honest0', [addressOf('honest0')], '200.0.1.1')
  expect(list.all()).toHaveLength(65)
  time.ms += 2_000
  const due = list.due({
    peers: [],
    own: () => new Set(),
    dials: 1,
    maxPeers: 32,
    wantedOutbound: 8,
    refuses: (peerId) => peerId === 'honest0',
    listenAddresses: () => [],
  })
  for (const { key } of due) list.failed(key, 'timeout')
  list.told('newcomer1', ['/ip4/30.1.1.1/tcp/1'], '20.0.1.2')
  expect(list.all()).toHaveLength(65)
  expect(list.all().map(({ peerId }) => peerId)).toContain('newcomer1')
  list.told('newcomer2', ['/ip4/30.2.1.1/tcp/1'], '20.0.1.2')
  expect(list.all().map(({ peerId }) => peerId)).not.toContain('newcomer2')
  list.told('me', ['/ip4/30.2.1.1/tcp/1'], '200.0.1.2')
  expect(list.all()).toHaveLength(65)
})

test.each([true, false])('with hearsay %s, what a peer says of itself is believed', (hearsay) => {
  const list = new WantedList({ ownId: 'me', hearsay }, { clock: new Time(), random: seeded(5) })
  list.addBootstrap(multiaddr(`/ip4/30.1.1.1/tcp/1/p2p/${PEER}`))
  list.connected(PEER, ['/ip4/30.2.2.2/tcp/2'], { direction: 'inbound', address: '/ip4/30.3.3.3/tcp/3' })
  const said = hearsay ? ['/ip4/30.2.2.2/tcp/2'] : []
  expect(list.all()).toMatchObject([{ addresses: ['/ip4/30.1.1.1/tcp/1', ...said], connected: true }])
})

test('the two longest of our own choice are the anchors, and a life without peers keeps those of the last', () => {
  const time = new Time()
  const list = new WantedList({ ownId: 'me', hearsay: true }, { clock: time, random: seeded(4) })
  for (const [i, peerId] of honest.entries()) {
    const direction = i === 0 ? 'inbound' : 'outbound'
    list.connected(peerId, [addressOf(peerId)], { direction, address: addressOf(peerId) })
    time.ms += MINUTE_MS
  }
  const anchors = (saved: readonly SavedPeer[]) => saved.filter(({ anchor }) => anchor).map(({ peerId }) => peerId)
  expect(anchors(list.toSave())).toEqual(['honest1', 'honest2'])
  const next = new WantedList({ ownId: 'me', hearsay: true }, { clock: time, random: seeded(4) })
  next.restore(list.toSave())
  expect(anchors(next.toSave())).toEqual(['honest1', 'honest2'])
  expect(next.toSave().find(({ peerId }) => peerId === 'honest0')?.provenMs).toBe(0)
})

describe('inbound places', () => {
  const peer = (peerId: string, some: Partial<InboundPeer> = {}): InboundPeer => ({
    peerId,
    group: peerId,
    connectedForMs: MINUTE_MS,
    rttMs: 100,
    deliveries: 0,
    score: 0,
    ...some,
  })

  it('are lost by who was punished, first of all', () => {
    const peers = [peer('a'), peer('b', { score: -30, connectedForMs: 1e9 }), peer('c', { score: -5 }), peer('d')]
    expect(chooseEviction(peers)?.peerId).toBe('b')
    expect(chooseEviction([])).toBeUndefined()
    expect(chooseEviction([peer('alone')])?.peerId).toBe('alone')
  })

  it('are not won by numbers: five hundred who come one after the other from one provider push out one another', () => {
    const friends = [
      ...Array.from({ length: 6 }, (_, i) => peer(`old${i}`, { connectedForMs: (90 + i) * MINUTE_MS })),
      ...Array.from({ length: 4 }, (_, i) => peer(`near${i}`, { rttMs: i, connectedForMs: 5_000 })),
      ...Array.from({ length: 4 }, (_, i) => peer(`useful${i}`, { deliveries: 5 + i, connectedForMs: 5_000 })),
    ]
    let inside = friends
    for (let i = 0; i < 500; i++) {
      inside = [...inside, peer(`sybil${i}`, { group: '20.0.0.0/16', connectedForMs: 0, rttMs: 50 })]
      if (inside.length > 32) {
        const loser = chooseEviction(inside)
        expect(loser?.group).toBe('20.0.0.0/16')
        inside = inside.filter((other) => other !== loser)
      }
      inside = inside.map((other) => ({ ...other, connectedForMs: other.connectedForMs + 1_000 }))
    }
    expect(inside).toHaveLength(32)
    for (const friend of friends) expect(inside.map(({ peerId }) => peerId)).toContain(friend.peerId)
  })
})

describe('a tip that stands still', () => {
  const ours = (...peers: [string, number, number][]) =>
    peers.map(([peerId, connectedForMs, deliveredAtMs]) => ({ peerId, connectedForMs, deliveredAtMs }))

  it('brings one peer more, and for it another goes, until the tip moves', () => {
    const time = new Time()
    const rotation = new Rotation(8, time)
    const eight = Array.from({ length: 8 }, (_, i): [string, number, number] => [`p${i}`, 10 * MINUTE_MS, 0])
    expect(rotation.look(false, 8, ours(...eight))).toEqual({ wanted: 8, letGo: undefined })
    expect(rotation.look(true, 8, ours(...eight))).toEqual({ wanted: 9, letGo: undefined })
    time.ms += MINUTE_MS
    expect(rotation.look(true, 9, ours(...eight, ['extra', MINUTE_MS, 0]))).toEqual({ wanted: 9, letGo: undefined })
    time.ms += 2 * MINUTE_MS
    // Nobody brought anything: the youngest goes, and the next one is on trial.
    expect(rotation.look(true, 9, ours(...eight, ['extra', 3 * MINUTE_MS, 0]))).toEqual({ wanted: 9, letGo: 'extra' })
    time.ms += MINUTE_MS
    // The new one is not judged before its time, though the tip moves; then whoever brought nothing for longest goes.
    const young = ours(...eight.map(([id, age]): [string, number, number] => [id, age, 5]), ['new', MINUTE_MS, 0])
    expect(rotation.look(false, 9, young)).toMatchObject({ letGo: 'p0' })
    expect(rotation.look(false, 8, ours(...eight))).toEqual({ wanted: 8, letGo: undefined })
  })

  it('leaves alone whom the operator or the LAN wants', () => {
    const time = new Time()
    const rotation = new Rotation(8, time)
    expect(rotation.look(true, 20, [])).toEqual({ wanted: 21, letGo: undefined })
    time.ms += 10 * MINUTE_MS
    expect(rotation.look(true, 20, [])).toEqual({ wanted: 21, letGo: undefined })
    expect(rotation.look(false, 20, [])).toEqual({ wanted: 8, letGo: undefined })
  })
})
