/**
 * Who is connected to whom, with real hosts on loopback.
 *
 * 1. Peers that know one another's bootstrap only find one another: a star becomes a full mesh.
 * 2. Peers are found again: a bootstrap host that restarts, with or without its peer id in the list; a local peer that moved to
 *    another port; peers from the book.
 * 3. Local discovery alone connects two hosts, and hosts of two networks never.
 * 4. What cannot be used is dropped or left alone: our own address, another network, nonsense told by a peer.
 * 5. Penalties add up to a ban, in both directions, which survives a restart; the operator bans and forgives, allows and denies.
 */
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { Host, type HostOptions } from '@kvchain/node/net/host/host'
import { type BookContent, emptyBook, type PeerBook } from '@kvchain/node/net/peers/peerBook'
import { PeerManager, type PeerManagerOptions } from '@kvchain/node/net/peers/peerManager'
import { Streams } from '@kvchain/node/net/streams/streams'
import { type Runtime, systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterEach, describe, expect, it } from 'vitest'

const runtime = systemRuntime()
const BAN_MS = 600_000

interface Node {
  readonly host: Host
  readonly streams: Streams
  readonly peers: PeerManager
  stop(): Promise<void>
}

interface Setting {
  readonly host?: Partial<HostOptions>
  readonly peers?: Partial<PeerManagerOptions>
  readonly book?: PeerBook
  readonly runtime?: Runtime
  readonly isStale?: () => boolean
}

const running: Node[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

async function start(setting: Setting = {}): Promise<Node> {
  const deps = { runtime: setting.runtime ?? runtime }
  const host = new Host(
    {
      networkId: 'ab12',
      identity: randomBytes(32),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      mdns: false,
      maxConnections: 50,
      ...setting.host,
    },
    deps,
  )
  const streams = new Streams({}, { ...deps, host })
  const options = { bootstrap: [], maxPeers: 20, ...setting.peers }
  const peers = new PeerManager(options, {
    ...deps,
    host,
    streams,
    book: setting.book ?? emptyBook,
    isStale: setting.isStale ?? (() => false),
  })
  const stop = async () => {
    for (const service of [peers, streams, host]) await service.stop()
  }
  const node = { host, streams, peers, stop }
  running.push(node)
  for (const service of [host, streams, peers]) await service.start()
  return node
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 90_000) throw new Error(`waited in vain until ${what}`)
    await runtime.timers.sleep(10)
  }
}

function addressOf(node: Node): string {
  const [address] = node.host.addresses()
  if (address === undefined) throw new Error('the host listens nowhere')
  return address
}

const bare = (address: string): string => address.replace(/\/p2p\/.*/, '')
const connected = (a: Node, b: Node): boolean => a.host.isConnected(b.host.peerId) && b.host.isConnected(a.host.peerId)

function memoryBook(): PeerBook & { saved: BookContent } {
  const book = {
    saved: { peers: [], bans: [] } as BookContent,
    load: async () => book.saved,
    save: async (content: BookContent) => {
      book.saved = content
    },
  }
  return book
}

/** A runtime whose clock can be put forward. */
function shiftedRuntime(): { runtime: Runtime; forward: (ms: number) => void } {
  let shiftMs = 0
  const clock = {
    nowMs: () => runtime.clock.nowMs() + shiftMs,
    monotonicMs: () => runtime.clock.monotonicMs() + shiftMs,
  }
  return { runtime: { ...runtime, clock }, forward: (ms) => (shiftMs += ms) }
}

/** Whether a datagram sent to the group comes back to this machine. */
async function multicastWorks(): Promise<boolean> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  try {
    return await new Promise<boolean>((resolve) => {
      socket.on('error', () => resolve(false))
      socket.on('message', () => resolve(true))
      socket.bind(0, () => {
        socket.addMembership('224.0.0.251')
        socket.send('echo', socket.address().port, '224.0.0.251')
        void runtime.timers.sleep(2_000).then(() => resolve(false))
      })
    })
  } catch {
    return false
  } finally {
    socket.close()
  }
}
const NO_MULTICAST = 'this machine passes no multicast, so local discovery cannot be tested'

describe('finding peers', () => {
  it('makes a full mesh of a star', async () => {
    const a = await start()
    const b = await start({ peers: { bootstrap: [addressOf(a)] } })
    const c = await start({ peers: { bootstrap: [bare(addressOf(a))] } })
    await until('all are connected', () => connected(a, b) && connected(a, c) && connected(b, c))
  })

  it('dials no more hearsay than it wants connections of its own', async () => {
    const quiet = { peers: { targetOutbound: 0 } }
    const a = await start(quiet)
    const others = [await start(quiet), await start(quiet), await start(quiet)]
    for (const other of others) await a.host.dial(addressOf(other))
    let looks = 0
    const sleep: Runtime['timers']['sleep'] = async (delayMs, signal) => {
      looks++
      await runtime.timers.sleep(delayMs, signal)
    }
    const counted = { ...runtime, timers: { ...runtime.timers, sleep } }
    const d = await start({ runtime: counted, peers: { bootstrap: [addressOf(a)], targetOutbound: 2 } })
    await until('it has heard of everybody and has what it wants', () => {
      return d.peers.wanted().length === 4 && d.host.peers().length === 2
    })
    const before = looks
    await until('it has looked at its list several times more', () => looks > before + 6)
    expect(d.host.peers()).toHaveLength(2)
  })

  it('takes one peer more when the tip stands still', async () => {
    const quiet = { peers: { targetOutbound: 0 } }
    const a = await start(quiet)
    const others = [await start(quiet), await start(quiet), await start(quiet)]
    for (const other of others) await a.host.dial(addressOf(other))
    let stale = false
    const d = await start({ peers: { bootstrap: [addressOf(a)], targetOutbound: 1 }, isStale: () => stale })
    await until('it has heard of everybody', () => d.peers.wanted().length === 4)
    expect(d.host.peers()).toHaveLength(1)
    stale = true
    await until('it has one more', () => d.host.peers().length === 2)
  })

  it('lets the last that came go when there is no room, and never whom its operator named', async () => {
    const operators = await start()
    const bootstrap = [addressOf(operators)]
    const a = await start({ peers: { bootstrap, maxInbound: 1, targetOutbound: 0, exchange: false } })
    await until('the operator’s peer is connected', () => connected(a, operators))
    const first = await start({ peers: { exchange: false } })
    await first.host.dial(addressOf(a))
    await until('the first is in', () => connected(a, first))
    const second = await start({ peers: { exchange: false } })
    let losses = 0
    second.host.onPeer({ disconnected: () => losses++ })
    await second.host.dial(addressOf(a))
    await until('the second is out again', () => losses === 1)
    expect([connected(a, operators), connected(a, first), connected(a, second)]).toEqual([true, true, false])
  })

  it('dials nobody that others tell of when told not to, and tells of nobody', async () => {
    let looks = 0
    const sleep: Runtime['timers']['sleep'] = async (delayMs, signal) => {
      looks++
      await runtime.timers.sleep(delayMs, signal)
    }
    const counted = { ...runtime, timers: { ...runtime.timers, sleep } }
    const a = await start()
    const bootstrap = [addressOf(a)]
    const book = memoryBook()
    const met = { peerId: (await start()).host.peerId, addresses: ['/ip4/127.0.0.1/tcp/1'], lastSeenMs: 1 }
    book.saved = { peers: [met], bans: [] }
    const b = await start({ runtime: counted, book, peers: { bootstrap, exchange: false } })
    const c = await start({ peers: { bootstrap, exchange: false } })
    await until('both are connected', () => connected(a, b) && connected(a, c))
    const before = looks
    await until('it has looked at its list several times more', () => looks > before + 10)
    for (const node of [b, c]) {
      expect(node.host.peerIds()).toEqual([a.host.peerId])
      expect(node.peers.wanted()).toMatchObject([{ source: 'bootstrap', addresses: [bare(addressOf(a))] }])
    }
    const ask = { maxResponseBytes: 8_192, timeoutMs: 10_000 }
    await expect(a.streams.request(b.host.peerId, 'peers', new Uint8Array(0), ask)).rejects.toMatchObject({
      code: 'net-stream',
    })
  })

  it('connects over local discovery alone, and networks never', async (context) => {
    if (!(await multicastWorks())) context.skip(NO_MULTICAST)
    const [networkId, otherId] = [randomBytes(8).toString('hex'), randomBytes(8).toString('hex')]
    const a = await start({ host: { networkId, mdns: true } })
    const other = await start({ host: { networkId: otherId, mdns: true } })
    const b = await start({ host: { networkId, mdns: true } })
    await until('both are connected', () => connected(a, b))
    expect(other.host.peers()).toEqual([])
    expect(other.peers.wanted()).toEqual([])
    expect(a.peers.wanted().map(({ peerId }) => peerId)).toEqual([b.host.peerId])
  })

  it('remembers peers in the book', async () => {
    const book = memoryBook()
    const identity = randomBytes(32)
    const b = await start()
    const first = await start({ host: { identity }, peers: { bootstrap: [addressOf(b)] }, book })
    await until('they are connected', () => connected(first, b))
    await first.stop()
    expect(book.saved.peers).toMatchObject([{ peerId: b.host.peerId, addresses: [bare(addressOf(b))] }])
    const second = await start({ host: { identity }, book })
    await until('they are connected again', () => connected(second, b))
    expect(second.peers.wanted()).toMatchObject([{ peerId: b.host.peerId, source: 'saved' }])
  })

  it('starts without a book that cannot be read', async () => {
    const broken: PeerBook = {
      load: async () => {
        throw new Error('the disk')
      },
      save: async () => {
        throw new Error('the disk')
      },
    }
    const a = await start()
    const b = await start({ book: broken, peers: { bootstrap: [addressOf(a)] } })
    await until('they are connected', () => connected(a, b))
  })
})

describe('finding peers again', () => {
  it.each([
    ['with its peer id', (address: string) => address],
    ['without its peer id', bare],
  ])('a bootstrap host that restarts, listed %s', async (_how, listed) => {
    const identity = randomBytes(32)
    const first = await start({ host: { identity } })
    const address = addressOf(first)
    const b = await start({ peers: { bootstrap: [listed(address)] } })
    await until('they are connected', () => connected(first, b))
    await first.stop()
    await until('the loss is seen', () => b.host.peers().length === 0)
    await until('it was looked for in vain', () => b.peers.wanted().some(({ failures }) => failures > 2))
    const second = await start({ host: { identity, listen: [bare(address)] } })
    await until('they are connected again', () => connected(second, b))
    expect(b.peers.wanted()).toHaveLength(1)
  })

  it('a bootstrap host that comes up later than the others', async () => {
    const early = await start()
    const address = addressOf(early)
    await early.stop()
    const b = await start({ peers: { bootstrap: [bare(address)] } })
    await until('it was looked for in vain', () => b.peers.wanted().some(({ failures }) => failures > 1))
    const late = await start({ host: { listen: [bare(address)] } })
    await until('they are connected', () => connected(late, b))
    expect(b.peers.wanted()).toMatchObject([{ peerId: late.host.peerId, source: 'bootstrap', connected: true }])
  })

  it('a local peer that comes back at another port', async (context) => {
    if (!(await multicastWorks())) context.skip(NO_MULTICAST)
    const networkId = randomBytes(8).toString('hex')
    const identity = randomBytes(32)
    const a = await start({ host: { networkId, mdns: true } })
    const first = await start({ host: { networkId, mdns: true, identity } })
    await until('they are connected', () => connected(a, first))
    const before = addressOf(first)
    await first.stop()
    await until('the loss is seen', () => a.host.peers().length === 0)
    // The system might give out the same port again.
    await start({ host: { listen: [bare(before)] } })
    const second = await start({ host: { networkId, mdns: true, identity } })
    await until('they are connected again', () => connected(a, second))
    await until('the new address is known', () =>
      a.peers.wanted().some(({ addresses }) => addresses[0] === bare(addressOf(second))),
    )
    expect(a.peers.wanted()).toHaveLength(1)
    expect(addressOf(second)).not.toBe(before)
  })
})

describe('what cannot be used', () => {
  it('drops its own address from the list, however it is written', async () => {
    const identity = randomBytes(32)
    const first = await start({ host: { identity } })
    const address = addressOf(first)
    const port = bare(address).split('/').at(-1)
    await first.stop()
    const bootstrap = [address, bare(address), `/dns4/localhost/tcp/${port}`]
    const again = await start({ host: { identity, listen: [bare(address)] }, peers: { bootstrap } })
    await until('nothing is wanted', () => again.peers.wanted().length === 0)
  })

  it('refuses to start with an address that is none', async () => {
    await expect(start({ peers: { bootstrap: ['example.org:9000'] } })).rejects.toMatchObject({ code: 'net-address' })
  })

  it('keeps away from another network, and goes on wanting the address', async () => {
    const other = await start({ host: { networkId: 'cd34' } })
    const a = await start({ peers: { bootstrap: [bare(addressOf(other))] } })
    await until('the dial failed', () => a.peers.wanted()[0]?.failures === 1)
    expect([...a.host.peers(), ...other.host.peers()]).toEqual([])
    expect(a.peers.wanted()).toMatchObject([{ source: 'bootstrap', connected: false }])
  })

  it.each([
    ['nonsense', 'hello'],
    ['an address without a peer', '/ip4/192.0.2.1/tcp/9000'],
    ['too many addresses', Array.from({ length: 33 }, (_, i) => `/ip4/192.0.2.${i}/tcp/9000/p2p/`).join('\n')],
    ['too many bytes', 'x'.repeat(9_000)],
  ])('penalizes a peer that tells %s', async (_what, told) => {
    const host = new Host(
      {
        networkId: 'ab12',
        identity: randomBytes(32),
        listen: ['/ip4/127.0.0.1/tcp/0'],
        mdns: false,
        maxConnections: 9,
      },
      { runtime },
    )
    const streams = new Streams({}, { runtime, host })
    await host.start()
    await streams.start()
    const limits = { maxRequestBytes: 100, maxConcurrent: 8, maxPerPeer: 8, timeoutMs: 10_000 }
    const answer = new TextEncoder().encode(told.replaceAll('/p2p/', `/p2p/${host.peerId}`))
    await streams.handle('peers', limits, async () => answer)
    const a = await start({ peers: { bootstrap: [host.addresses()[0] ?? ''] } })
    await until('it is penalized', () => a.peers.score(host.peerId) < 0)
    expect(a.peers.wanted()).toHaveLength(1)
    await streams.stop()
    await host.stop()
  })
})

describe('penalties', () => {
  it('hang up on a peer at half, and ban it at all of its points', async () => {
    const a = await start()
    const b = await start({ peers: { bootstrap: [addressOf(a)] } })
    await until('they are connected', () => connected(a, b))
    a.peers.penalize(b.host.peerId, 49, 'test')
    expect(a.peers.isBanned(b.host.peerId)).toBe(false)
    expect(connected(a, b)).toBe(true)
    let losses = 0
    a.host.onPeer({ disconnected: () => losses++ })
    a.peers.penalize(b.host.peerId, 30, 'test')
    await until('the peer is hung up on', () => losses === 1)
    await until('it came back', () => connected(a, b))
    a.peers.penalize(b.host.peerId, 30, 'test')
    expect(a.peers.isBanned(b.host.peerId)).toBe(true)
    await until('the banned peer is gone', () => a.host.peers().length === 0 && b.host.peers().length === 0)
    await expect(a.host.dial(addressOf(b))).rejects.toMatchObject({
      code: 'net-unreachable',
      data: { reason: 'refused' },
    })
    await expect(b.host.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable' })
    const failures = () => b.peers.wanted()[0]?.failures ?? 0
    const before = failures()
    await until('it tried to come back', () => failures() > before + 1)
    expect(a.host.peers()).toEqual([])
    expect(a.peers.bans()).toMatchObject([{ target: b.host.peerId, reason: 'test', by: 'node', times: 1 }])
  })

  it('let the peer be found again when the ban is over', async () => {
    const { runtime: shifted, forward } = shiftedRuntime()
    const b = await start()
    const a = await start({ runtime: shifted, peers: { bootstrap: [addressOf(b)] } })
    await until('they are connected', () => connected(a, b))
    a.peers.penalize(b.host.peerId, 100, 'test')
    await until('the banned peer is gone', () => a.host.peers().length === 0)
    forward(BAN_MS + 1)
    await until('they are connected again', () => connected(a, b))
  })

  it('last over a restart, until the operator lifts them', async () => {
    const book = memoryBook()
    const identity = randomBytes(32)
    const b = await start()
    const first = await start({ host: { identity }, peers: { bootstrap: [addressOf(b)] }, book })
    await until('they are connected', () => connected(first, b))
    first.peers.penalize(b.host.peerId, 100, 'test')
    await until('the ban is in the book', () => book.saved.bans.length === 1)
    await first.stop()
    const second = await start({ host: { identity }, peers: { bootstrap: [addressOf(b)] }, book })
    expect(second.peers.isBanned(b.host.peerId)).toBe(true)
    await expect(b.host.dial(addressOf(second))).rejects.toMatchObject({ code: 'net-unreachable' })
    expect(second.host.peers()).toEqual([])
    expect(second.peers.unban(b.host.peerId)).toBe(true)
    expect(second.peers.unban(b.host.peerId)).toBe(false)
    await until('they are connected again', () => connected(second, b))
  })

  it('are the operator’s to give, to addresses too', async () => {
    const a = await start()
    const b = await start({ peers: { bootstrap: [addressOf(a)] } })
    await until('they are connected', () => connected(a, b))
    a.peers.ban('127.0.0.0/8', 3600, 'by hand')
    await until('the banned peer is gone', () => a.host.peers().length === 0)
    await expect(b.host.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable' })
    expect(() => a.peers.ban('nobody', 1, '')).toThrow(/no peer id/)
    a.peers.unban('127.0.0.0/8')
    await until('they are connected again', () => connected(a, b))
  })
})

describe('lists of the operator', () => {
  it('let in nobody who is denied, and nobody who is not allowed', async () => {
    const b = await start()
    const a = await start({ peers: { deny: [b.host.peerId], allow: ['127.0.0.0/8'], bootstrap: [addressOf(b)] } })
    await expect(b.host.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable' })
    await expect(a.host.dial(addressOf(b))).rejects.toMatchObject({ data: { reason: 'refused' } })
    const c = await start({ peers: { allow: [b.host.peerId] } })
    await expect(a.host.dial(addressOf(c))).rejects.toMatchObject({ code: 'net-unreachable' })
    await b.host.dial(addressOf(c))
    await until('the one who is allowed is in', () => connected(b, c))
    expect(c.host.peers()).toHaveLength(1)
    const d = await start({ peers: { allow: ['192.0.2.0/24'] } })
    await expect(b.host.dial(addressOf(d))).rejects.toMatchObject({ code: 'net-unreachable' })
    await expect(d.host.dial(addressOf(b))).rejects.toMatchObject({ code: 'net-unreachable' })
    await expect(start({ peers: { allow: ['example.org'] } })).rejects.toMatchObject({ code: 'options' })
  })
})
