/**
 * Who counts as a member, with a clock that stands still and peers that are told of as the host would.
 *
 * 1. A peer that says the network's marker is a member until its last connection closes; what it says of itself is bounded.
 * 2. A peer of another network is remembered for half a minute, and so are a thousand at most, the latest.
 * 3. A peer that says nothing is to go after ten looks; one that has gone, or has said it, is not counted.
 * 4. Whoever waits for a peer is told: that it is a member, of another network, gone, or that it takes too long.
 */
import { randomBytes } from 'node:crypto'
import { Deadline } from '@kvchain/node/net/deadline'
import { peerIdOfSeed } from '@kvchain/node/net/host/host'
import { Members } from '@kvchain/node/net/host/members'
import { silentLog, systemRuntime } from '@kvchain/node/runtime/runtime'
import type { Connection, IdentifyResult } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'

const runtime = systemRuntime()
const MARKER = '/kvchain/ab12/member/1'
const [PEER, OTHER] = [await peerIdOfSeed(randomBytes(32)), await peerIdOfSeed(randomBytes(32))]
const ADDRESS = '/ip4/192.0.2.1/tcp/9'

class StillClock {
  ms = 1_000_000

  nowMs(): number {
    return 0
  }

  monotonicMs(): number {
    return this.ms
  }
}

function start() {
  const clock = new StillClock()
  const told: string[] = []
  const connections = new Set<string>()
  const members = new Members(MARKER, {
    clock,
    log: silentLog,
    observer: {
      connected: (peerId) => told.push(`connected ${peerId}`),
      disconnected: (peerId) => told.push(`disconnected ${peerId}`),
    },
    hasConnection: (peerId) => connections.has(peerId),
  })
  /** What a peer says on a connection; returns whether it may stay. */
  const says = (peerId: string, said: Partial<IdentifyResult> = {}): boolean => {
    const connection = { remoteAddr: multiaddr(ADDRESS) } as Connection
    const nothing = { protocols: [MARKER], listenAddrs: [], connection }
    return members.onIdentify({ ...nothing, peerId: peerIdFromString(peerId), ...said })
  }
  /** Waits for a peer; resolves to what came of it: nothing, or the error. */
  const waitFor = async (peerId: string, timeoutMs = 60_000, signal?: AbortSignal): Promise<unknown> => {
    const deadline = new Deadline(runtime, 'the test', timeoutMs, signal)
    try {
      return await members.identified(peerId, 'the peer', deadline)
    } catch (error) {
      return error
    } finally {
      deadline.clear()
    }
  }
  const failed = (reason: string) => ({ code: 'net-unreachable', data: { address: 'the peer', reason } })
  return { clock, told, connections, members, says, waitFor, failed }
}

const foreign = { protocols: ['/kvchain/cd34/member/1', '/ipfs/ping/1.0.0'] }

describe('members', () => {
  it('are those that say the marker, until their last connection closes', () => {
    const { clock, told, members, says } = start()
    expect(says(PEER, { protocols: ['/ipfs/ping/1.0.0', MARKER] })).toBe(true)
    expect([members.has(PEER), members.ids()]).toEqual([true, [PEER]])
    expect(members.get(PEER)).toEqual({ connectedAtMs: clock.ms, agent: undefined, addresses: [] })
    members.onDisconnect(PEER)
    expect([members.has(PEER), members.ids(), members.get(PEER)]).toEqual([false, [], undefined])
    members.onDisconnect(PEER)
    expect(told).toEqual([`connected ${PEER}`, `disconnected ${PEER}`])
  })

  it('may say anew where they listen, and stay what they were', () => {
    const { clock, told, members, says } = start()
    says(PEER, { agentVersion: 'one' })
    const connectedAtMs = clock.ms
    clock.ms += 5_000
    says(PEER, { agentVersion: 'two', listenAddrs: [multiaddr(ADDRESS)] })
    expect(members.get(PEER)).toEqual({ connectedAtMs, agent: 'one', addresses: [multiaddr(ADDRESS)] })
    expect(told).toEqual([`connected ${PEER}`])
  })

  it('that no longer say the marker are to go, and are members until they have', () => {
    const { told, members, says } = start()
    says(PEER)
    expect(says(PEER, foreign)).toBe(false)
    expect([members.has(PEER), members.isStranger(PEER)]).toEqual([true, true])
    members.onDisconnect(PEER)
    expect(told).toEqual([`connected ${PEER}`, `disconnected ${PEER}`])
  })

  it('are believed a short name of plain characters', () => {
    const { members, says } = start()
    says(PEER, { agentVersion: `a\n\u001b[31m\u00e9~ ${'x'.repeat(100)}` })
    expect(members.get(PEER)?.agent).toBe(`a??[31m?~ ${'x'.repeat(54)}`)
  })

  it('are believed eight addresses that can be dialled, signed ones before others', () => {
    const { members, says } = start()
    const ports = (from: number) => Array.from({ length: 10 }, (_, i) => multiaddr(`/ip4/192.0.2.1/tcp/${from + i}`))
    const useless = ['/ip4/0.0.0.0/tcp/9', '/ip4/192.0.2.1/udp/9'].map((text) => multiaddr(text))
    says(PEER, { listenAddrs: [...useless, ...ports(1)] })
    expect(members.get(PEER)?.addresses).toEqual(ports(1).slice(0, 8))
    const signedPeerRecord = { addresses: ports(20), seq: 1n }
    says(PEER, { listenAddrs: ports(1), signedPeerRecord })
    expect(members.get(PEER)?.addresses).toEqual(ports(20).slice(0, 8))
  })
})

describe('peers of another network', () => {
  it('are remembered for half a minute, from the last time that they said it', () => {
    const { clock, told, members, says } = start()
    expect(says(PEER, foreign)).toBe(false)
    clock.ms += 20_000
    expect(says(PEER, foreign)).toBe(false)
    clock.ms += 29_999
    expect([members.isStranger(PEER), members.isStranger(OTHER)]).toEqual([true, false])
    clock.ms += 1
    expect(members.isStranger(PEER)).toBe(false)
    clock.ms -= 1
    expect(members.isStranger(PEER)).toBe(false)
    expect([told, members.ids()]).toEqual([[], []])
  })

  it('are a thousand at most: the latest to say so', async () => {
    const { members, says } = start()
    const seed = (i: number): Uint8Array => new Uint8Array(32).fill(i >> 8, 0, 16).fill(i & 255, 16)
    const ids = await Promise.all(Array.from({ length: 1_001 }, (_, i) => peerIdOfSeed(seed(i))))
    const [first = '', second = '', third = '', ...others] = ids
    for (const id of ids.slice(0, 1_000)) says(id, foreign)
    // Who is known already takes nobody's place, and becomes the latest.
    says(second, foreign)
    expect(ids.filter((id) => members.isStranger(id))).toEqual(ids.slice(0, 1_000))
    says(others.at(-1) ?? '', foreign)
    expect(ids.filter((id) => !members.isStranger(id))).toEqual([first])
    says(first, foreign)
    expect(ids.filter((id) => !members.isStranger(id))).toEqual([third])
  })
})

describe('a silent peer', () => {
  /** How many looks it takes until the peer is to go; undefined if it never is. */
  function looks(members: Members, peerId: string): number | undefined {
    for (let i = 1; i <= 30; i++) if (members.countLook(peerId)) return i
    return undefined
  }

  it('has ten looks', () => {
    const { members } = start()
    expect([looks(members, PEER), looks(members, OTHER)]).toEqual([11, 11])
    // It may be long in going.
    expect(members.countLook(PEER)).toBe(true)
  })

  it('that has said it is left alone, and counted from the start when it comes again', () => {
    const { members, says } = start()
    for (let i = 0; i < 10; i++) expect(members.countLook(PEER)).toBe(false)
    says(PEER)
    expect(looks(members, PEER)).toBeUndefined()
    members.onDisconnect(PEER)
    expect(looks(members, PEER)).toBe(11)
    members.onDisconnect(PEER)
    expect(looks(members, PEER)).toBe(11)
  })
})

describe('whoever waits', () => {
  it('is told of a member, all that wait for it', async () => {
    const { connections, says, waitFor } = start()
    connections.add(PEER).add(OTHER)
    const waiting = [waitFor(PEER), waitFor(PEER)]
    const never = waitFor(OTHER, 200)
    says(PEER)
    expect(await Promise.all(waiting)).toEqual([undefined, undefined])
    expect(await never).toMatchObject({ code: 'timeout' })
    expect(await waitFor(PEER)).toBeUndefined()
  })

  it('is told of another network, before and after it is known', async () => {
    const { connections, says, waitFor, failed } = start()
    connections.add(PEER)
    const waiting = [waitFor(PEER), waitFor(PEER)]
    says(PEER, foreign)
    for (const result of await Promise.all(waiting)) expect(result).toMatchObject(failed('network'))
    expect(await waitFor(PEER)).toMatchObject(failed('network'))
  })

  it('is told of the end of the connection, before and after it', async () => {
    const { connections, members, waitFor, failed } = start()
    connections.add(PEER)
    const waiting = waitFor(PEER)
    connections.delete(PEER)
    members.onDisconnect(PEER)
    expect(await waiting).toMatchObject(failed('failed'))
    expect(await waitFor(PEER)).toMatchObject(failed('failed'))
  })

  it('waits no longer than its deadline, which leaves others waiting', async () => {
    const { connections, says, waitFor } = start()
    connections.add(PEER)
    const called = new AbortController()
    const [patient, calledOff, late] = [waitFor(PEER), waitFor(PEER, 60_000, called.signal), waitFor(PEER, 20)]
    called.abort()
    expect(await calledOff).toMatchObject({ code: 'aborted' })
    expect(await late).toMatchObject({ code: 'timeout' })
    says(PEER)
    expect(await patient).toBeUndefined()
  })
})
