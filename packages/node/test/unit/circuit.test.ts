/**
 * Connections through a relay. Real libp2p on loopback: R is the relay, A listens there and nowhere else, B dials A through it.
 *
 * 1. Requests and gossip flow between A and B, over a connection that is limited.
 * 2. A has its place again when its relay comes back; it starts without one, and asks again where there was no room.
 * 3. The relay gives nothing to who is kept out or of another network, and an address a few places; B keeps out an A behind a relay.
 * 4. A call by a relay that nobody named is not taken, and one that is not asked to be a relay is none.
 * 5. Addresses: which are read, whose peer id is at their end, what is told of them.
 * 6. Nonsense over the relay's protocols does no harm.
 * 7. A place ends unless it is renewed, by members without being asked to, as often as need be; what is passed on meanwhile goes on. A
 *    connection that was passed on for too long, or too much, is cut: both ends notice, and dial anew by themselves. With KVCHAIN_LONG=1 also
 *    that members renew by themselves, which takes a minute of waiting.
 */
import { randomBytes } from 'node:crypto'
import { hostOf, isDialable, parseAddress, peerIdOf, relayOf, withoutPeerId } from '@kvchain/node/net/address'
import { Gossip } from '@kvchain/node/net/gossip'
import { Host, type HostOptions, peerIdOfSeed } from '@kvchain/node/net/host/host'
import type { Gate, PeerInfo } from '@kvchain/node/net/host/peer'
import { readTold, tellPeers } from '@kvchain/node/net/peers/exchange'
import { emptyBook } from '@kvchain/node/net/peers/peerBook'
import { PeerManager } from '@kvchain/node/net/peers/peerManager'
import { Streams } from '@kvchain/node/net/streams/streams'
import { silentLog, systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, until } from '../helpers/hosts.js'

const runtime = { ...systemRuntime(), log: silentLog }
const LOOPBACK = '/ip4/127.0.0.1/tcp/0'
const OTHER = await peerIdOfSeed(randomBytes(32))
const HOP = '/libp2p/circuit/relay/0.2.0/hop'
const STOP = '/libp2p/circuit/relay/0.2.0/stop'
const cleanups: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

async function start(options: Partial<HostOptions>): Promise<Host> {
  const identity = randomBytes(32)
  const host = new Host(
    { networkId: 'ab12', identity, listen: [LOOPBACK], mdns: false, maxConnections: 50, ...options },
    { runtime },
  )
  cleanups.push(() => host.stop())
  await host.start()
  return host
}

const bare = (address: string): string => withoutPeerId(parseAddress(address)).toString()

/** Sends bytes over a protocol, all that there is to come, and waits for an answer, an end, or a while: some are left waiting by design.
 * Resolves when it was answered, or turned away, which may be before it has said anything. */
async function nonsense(from: Host, to: Host, protocol: string, bytes: Uint8Array): Promise<void> {
  const stream = await from.openStream(to.peerId, protocol, 8, AbortSignal.timeout(30_000))
  const answered = (['message', 'close', 'remoteCloseWrite'] as const).map(
    (name) => new Promise<void>((resolve) => stream.addEventListener(name, () => resolve(), { once: true })),
  )
  if (stream.status !== 'open') return
  stream.send(bytes)
  stream.close().catch(() => {})
  await Promise.race([...answered, runtime.timers.sleep(2_000)])
  stream.abort(new Error('enough'))
}

async function speaks(from: Host, to: Host, protocol: string): Promise<boolean> {
  await from.dial(addressOf(to))
  try {
    ;(await from.openStream(to.peerId, protocol, 8, AbortSignal.timeout(30_000))).abort(new Error('enough'))
    return true
  } catch {
    return false
  }
}

const startRelay = (options: Partial<HostOptions> = {}): Promise<Host> => start({ relayService: true, ...options })

const place = (host: Host, relay: Host): string => `${addressOf(relay)}/p2p-circuit/p2p/${host.peerId}`

/** A host that has a place at the relay. */
async function startBehind(relay: Host, options: Partial<HostOptions> = {}): Promise<Host> {
  const host = await start({ listen: [], relays: [addressOf(relay)], ...options })
  await host.dial(addressOf(relay))
  await until('the relay has given it a place', () => host.addresses().length > 0)
  return host
}

describe('through a relay', () => {
  it('requests and gossip flow', async () => {
    const relay = await startRelay()
    const a = await startBehind(relay)
    expect(a.addresses()).toEqual([place(a, relay)])
    const b = await start({})
    const [streamsA, streamsB] = [new Streams({}, { runtime, host: a }), new Streams({}, { runtime, host: b })]
    const [gossipA, gossipB] = [new Gossip({}, { runtime, host: a }), new Gossip({}, { runtime, host: b })]
    for (const service of [streamsA, streamsB, gossipA, gossipB]) {
      cleanups.push(() => service.stop())
      await service.start()
    }
    const limits = { maxRequestBytes: 100, maxConcurrent: 2, maxPerPeer: 2, timeoutMs: 30_000 }
    await streamsA.handle('echo', limits, async (request) => request)
    const got: string[] = []
    gossipA.setHandler('blocks', async (data) => {
      got.push(new TextDecoder().decode(data))
      return 'accept'
    })
    expect(await b.dial(addressOf(a))).toBe(a.peerId)
    await until('A knows B', () => a.isConnected(b.peerId))
    const words = new TextEncoder().encode('through')
    expect(await streamsB.request(a.peerId, 'echo', words, { maxResponseBytes: 100, timeoutMs: 30_000 })).toEqual(words)
    await until('A is in the mesh of B', () => gossipB.meshPeers('blocks').includes(a.peerId))
    // The relay has no gossip here, so it came through the circuit.
    await gossipB.publish('blocks', words)
    await until('the block arrived', () => got.length > 0)
    expect(got).toEqual(['through'])
    expect(b.peers().find(({ peerId }) => peerId === a.peerId)?.address).toBe(addressOf(a))
    expect(a.peers().find(({ peerId }) => peerId === b.peerId)?.address).toBe(
      `${addressOf(relay)}/p2p-circuit/p2p/${b.peerId}`,
    )
    expect(b.listenAddresses(a.peerId)).toEqual([bare(addressOf(a))])
  })

  it('a place is had again when the relay is back', async () => {
    const identity = randomBytes(32)
    const first = await startRelay({ identity })
    const a = await startBehind(first)
    const [address, relay] = [addressOf(a), addressOf(first)]
    await first.stop()
    await until('the place is lost', () => a.addresses().length === 0 && !a.isConnected(first.peerId))
    // Whoever keeps up the connections tries in vain for a while.
    for (let dials = 0; dials < 3; dials++) {
      await expect(a.dial(relay)).rejects.toMatchObject({ code: 'net-unreachable' })
    }
    const second = await startRelay({ identity, listen: [bare(relay)] })
    // The library dials a lost relay by itself, too, and a dial may join one that began too early.
    while (!a.isConnected(second.peerId)) await a.dial(addressOf(second)).catch(() => runtime.timers.sleep(50))
    await until('the place is had again', () => a.addresses().length > 0)
    expect(addressOf(a)).toBe(address)
  })

  it('an address has a few places; who got none asks again', async () => {
    const relay = await startRelay()
    const had: Host[] = []
    for (let i = 0; i < 4; i++) had.push(await startBehind(relay))
    const late = await start({ listen: [], relays: [addressOf(relay)] })
    await late.dial(addressOf(relay))
    await runtime.timers.sleep(1_000)
    expect(late.addresses()).toEqual([])
    await had[0]?.stop()
    await until('a place is free', () => late.addresses().length > 0)
  })

  it('nobody comes who is kept out', async () => {
    const relay = await startRelay()
    const a = await startBehind(relay)
    const identity = randomBytes(32)
    const b = await start({ identity })
    const idOfB = await peerIdOfSeed(identity)
    const all = { admitsHost: () => true, admitsPeer: () => true }
    const refusals: [Host, Gate][] = [
      [a, { ...all, admitsPeer: (peerId) => peerId !== idOfB }],
      // By where it seems to come from, which is the relay's address.
      [a, { ...all, admitsPeer: (peerId, host) => peerId !== idOfB || host !== '127.0.0.1' }],
      [a, { ...all, admitsHost: () => false }],
      [relay, { ...all, admitsPeer: (peerId) => peerId !== idOfB }],
      [relay, { ...all, admitsPeer: (peerId) => peerId !== a.peerId }],
      [b, { ...all, admitsPeer: (peerId) => peerId !== a.peerId }],
    ]
    for (const [judge, gate] of refusals) {
      judge.setGate(gate)
      await expect(b.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable' })
      expect(a.isConnected(idOfB)).toBe(false)
      judge.setGate(undefined)
    }
    expect(await b.dial(addressOf(a))).toBe(a.peerId)
  })

  it('a relay serves its own network and its own members only', async () => {
    const relay = await startRelay()
    const a = await startBehind(relay)
    const stranger = await start({ networkId: 'cd34' })
    await expect(stranger.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable' })
    const closed = await startRelay()
    closed.setGate({ admitsHost: () => true, admitsPeer: (peerId) => peerId !== outcast.peerId })
    const outcast = await start({ listen: [], relays: [addressOf(closed)] })
    await expect(outcast.dial(addressOf(closed))).rejects.toMatchObject({ code: 'net-unreachable' })
    expect(outcast.addresses()).toEqual([])
  })

  it('who is not asked to be a relay is none', async () => {
    const plain = await start({})
    const a = await start({ listen: [], relays: [addressOf(plain)] })
    await a.dial(addressOf(plain))
    const b = await start({})
    await expect(b.dial(place(a, plain))).rejects.toMatchObject({ code: 'net-unreachable' })
    expect(a.addresses()).toEqual([])
    expect(await speaks(b, plain, HOP)).toBe(false)
    expect(await speaks(b, plain, STOP)).toBe(false)
  })

  it('calls of a relay that nobody named are not taken, and nonsense does no harm', async () => {
    const relay = await startRelay()
    const a = await startBehind(relay)
    const b = await start({})
    await b.dial(addressOf(a))
    await b.dial(addressOf(relay))
    const texts = [[], [0], [255, 255, 255, 255, 15], [2, 8, 9], [4, 8, 0, 18, 200]].map((bytes) =>
      Uint8Array.from(bytes),
    )
    // The last by the relay itself, which is listened to.
    await Promise.all(
      texts.flatMap((bytes) => [
        nonsense(b, relay, HOP, bytes),
        nonsense(b, a, STOP, bytes),
        nonsense(relay, a, STOP, bytes),
      ]),
    )
    expect(a.addresses()).toEqual([place(a, relay)])
    expect(b.isConnected(a.peerId)).toBe(true)
    const late = await start({})
    expect(await late.dial(addressOf(a))).toBe(a.peerId)
  })

  it('with a pre-shared key, what a relay passes on is enciphered with it, too', async () => {
    const psk = randomBytes(32)
    const relay = await startRelay({ psk })
    const a = await startBehind(relay, { psk })
    const b = await start({ psk })
    expect(await b.dial(addressOf(a))).toBe(a.peerId)
    const stranger = await start({ psk: randomBytes(32) })
    await expect(stranger.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable' })
  })
})

describe('what a relay gives ends', () => {
  const LIMITS = { maxRequestBytes: 32_768, maxConcurrent: 2, maxPerPeer: 2, timeoutMs: 30_000 }
  const ECHO = { maxResponseBytes: 32_768, timeoutMs: 30_000 }
  /** Asks for a place, or for the same one once more: length, field and kind of the question. */
  const RESERVE = Uint8Array.of(2, 8, 0)
  const bytes = new Uint8Array(16_384)

  /** A host that answers requests, and keeps up the connections that it is given. */
  async function startNode(host: Host, bootstrap: string[] = []): Promise<Streams> {
    const streams = new Streams({}, { runtime, host })
    const peers = new PeerManager(
      { bootstrap, maxPeers: 9, exchange: false },
      { runtime, host, streams, book: emptyBook },
    )
    for (const service of [streams, peers]) {
      cleanups.push(() => service.stop())
      await service.start()
    }
    await streams.handle('echo', LIMITS, async (request) => request)
    return streams
  }

  /** Two that are connected through a relay, the second of which wants to be, and what each was told of the other's comings and goings. */
  async function startPair(relayLimits: HostOptions['relayLimits'] & object) {
    const relay = await startRelay({ relayLimits })
    const a = await startBehind(relay)
    const b = await start({})
    const [toldA, toldB] = [watch(a, b.peerId), watch(b, a.peerId)]
    await startNode(a)
    const streams = await startNode(b, [addressOf(a)])
    await until('the two are connected', () => a.isConnected(b.peerId) && b.isConnected(a.peerId))
    const ask = (): Promise<Uint8Array> => streams.request(a.peerId, 'echo', bytes, ECHO)
    /** Both have noticed the cut, B has dialled anew, and is answered. */
    const recovered = async (): Promise<void> => {
      const all = [true, false, true]
      await until('the two are connected anew', () => toldA.length >= all.length && toldB.length >= all.length)
      expect([toldA.slice(0, all.length), toldB.slice(0, all.length)]).toEqual([all, all])
      expect(await ask()).toEqual(bytes)
    }
    return { relay, a, b, ask, recovered }
  }

  /** Whether a peer is connected, at each change. */
  function watch(host: Host, peer: string): boolean[] {
    const told: boolean[] = []
    host.onPeer({
      connected: (peerId) => peerId === peer && told.push(true),
      disconnected: (peerId) => peerId === peer && told.push(false),
    })
    return told
  }

  it('after so many bytes a connection is cut', async () => {
    const { ask, recovered } = await startPair({ circuitBytes: 400_000 })
    let asked = 0
    // Each is 32 KiB both ways, so that the thirteenth cannot end well.
    while (asked < 40 && (await ask().catch(() => undefined)) !== undefined) asked++
    expect(asked).toBeGreaterThan(3)
    expect(asked).toBeLessThanOrEqual(12)
    await recovered()
  })

  it('after some time a connection is cut', async () => {
    const { ask, recovered } = await startPair({ circuitMs: 2_000 })
    expect(await ask()).toEqual(bytes)
    await recovered()
  })

  it('a place holds for as long as it is renewed', async () => {
    const relay = await startRelay({ relayLimits: { placeMs: 10_000 } })
    const [a, b, early, late] = [await startBehind(relay), await start({}), await start({}), await start({})]
    await b.dial(addressOf(a))
    const told = watch(b, a.peerId)
    // By hand, since the library waits for half a minute.
    for (const waitMs of [1_000, 7_000]) {
      await runtime.timers.sleep(waitMs)
      await nonsense(a, relay, HOP, RESERVE)
    }
    // After what was given first, and what was given at the first renewal.
    await runtime.timers.sleep(3_500)
    expect(await early.dial(place(a, relay))).toBe(a.peerId)
    expect(told).toEqual([])
    await runtime.timers.sleep(8_000)
    await expect(late.dial(place(a, relay))).rejects.toMatchObject({ code: 'net-unreachable' })
  })

  it.runIf(process.env.KVCHAIN_LONG === '1')('members renew their places by themselves', async () => {
    const relay = await startRelay({ relayLimits: { placeMs: 40_000 } })
    const [a, outcast, b] = [await startBehind(relay), await startBehind(relay), await start({})]
    await b.dial(addressOf(a))
    const told = watch(b, a.peerId)
    relay.setGate({ admitsHost: () => true, admitsPeer: (peerId) => peerId !== outcast.peerId })
    await runtime.timers.sleep(50_000)
    // It tried, so places do end here.
    expect(outcast.addresses()).toEqual([])
    expect(addressOf(a)).toBe(place(a, relay))
    expect(await (await start({})).dial(place(a, relay))).toBe(a.peerId)
    expect(told).toEqual([])
  })
})

describe('what is told', () => {
  it('an announced address is told others', async () => {
    const a = await start({ announce: ['/ip4/192.0.2.7/tcp/4001'] })
    expect(a.addresses()).toContain(`/ip4/192.0.2.7/tcp/4001/p2p/${a.peerId}`)
    const b = await start({})
    await b.dial(addressOf(a))
    expect(b.listenAddresses(a.peerId)).toContain('/ip4/192.0.2.7/tcp/4001')
  })

  it.each([
    'there',
    '/ip4/0.0.0.0/tcp/9',
    '/ip4/192.0.2.7/tcp/0',
    '/ip4/192.0.2.7/udp/9',
    `/ip4/192.0.2.7/tcp/9/p2p/${OTHER}`,
    `/ip4/192.0.2.7/tcp/9/p2p/${OTHER}/p2p-circuit`,
  ])('%s is not announced', async (text) => {
    await expect(start({ announce: [text] })).rejects.toMatchObject({ code: 'net-address' })
  })

  it.each([
    'there',
    '/ip4/192.0.2.7/tcp/9',
    `/ip4/0.0.0.0/tcp/9/p2p/${OTHER}`,
    `/ip4/1.2.3.4/tcp/9/p2p/${OTHER}/p2p-circuit`,
  ])('%s is no relay', async (text) => {
    await expect(start({ relays: [text] })).rejects.toMatchObject({ code: 'net-address' })
  })

  it('addresses behind a relay are told on, private ones near only', () => {
    const info = (peerId: string, address: string): PeerInfo => {
      return { peerId, address, direction: 'inbound', connectedForMs: 1 }
    }
    const behind = (host: string): string => `/ip4/${host}/tcp/9/p2p/${OTHER}/p2p-circuit`
    const own = [behind('8.8.8.8'), behind('10.0.0.1'), behind('127.0.0.1')]
    const toldTo = (address: string): string[] =>
      own.filter(
        (one) =>
          (readTold(tellPeers(info('x', address), [info(OTHER, '/ip4/8.8.4.4/tcp/9')], () => [one])) ?? []).length > 0,
      )
    expect(toldTo('/ip4/8.8.4.4/tcp/5')).toEqual([behind('8.8.8.8')])
    expect(toldTo('/ip4/10.0.0.7/tcp/5')).toEqual([behind('8.8.8.8'), behind('10.0.0.1')])
    expect(toldTo('/ip4/127.0.0.1/tcp/5')).toEqual(own)
    expect(toldTo(`${behind('127.0.0.1')}/p2p/${OTHER}`)).toEqual([behind('8.8.8.8')])
  })
})

describe('addresses', async () => {
  const [relay, peer] = [await peerIdOfSeed(randomBytes(32)), await peerIdOfSeed(randomBytes(32))]
  const direct = '/ip4/192.0.2.1/tcp/9'
  const behind = `${direct}/p2p/${relay}/p2p-circuit`

  it.each([
    [direct, undefined, direct, false],
    [`${direct}/p2p/${peer}`, peer, direct, false],
    [behind, undefined, behind, true],
    [`${behind}/p2p/${peer}`, peer, behind, true],
  ])('%s', (text, peerId, bare, circuit) => {
    const address = parseAddress(text)
    expect(peerIdOf(address)).toBe(peerId)
    expect(withoutPeerId(address).toString()).toBe(bare)
    expect(relayOf(address) !== undefined).toBe(circuit)
    expect(isDialable(address)).toBe(true)
    expect(hostOf(address)).toBe('192.0.2.1')
  })

  it.each([
    '/p2p-circuit',
    `${direct}/p2p-circuit`,
    `${direct}/p2p-circuit/p2p/${peer}`,
    `${direct}/p2p/${relay}/p2p/${peer}`,
    `${behind}/p2p-circuit`,
    `${behind}/p2p/${peer}/p2p-circuit`,
    `${behind}/p2p/${peer}/p2p-circuit/p2p/${relay}`,
    `${behind}/tcp/9`,
  ])('%s is none', (text) => {
    expect(() => parseAddress(text)).toThrow(/is not a usable address/)
  })

  it('a relay is not listened at by its address', async () => {
    await expect(start({ listen: [behind] })).rejects.toMatchObject({ code: 'net-address' })
  })
})
