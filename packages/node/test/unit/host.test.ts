/**
 * The host: listening, dialling, telling networks apart, refusing peers. Real libp2p on loopback.
 *
 * 1. Two hosts connect and tell it once; a dial may name the peer or not. Simultaneous dials make one peer.
 * 2. Dials that cannot work say why: other network, self, nobody there, somebody else there, refused, called off, nonsense.
 * 3. A listen address that cannot be used is named.
 * 4. A gate keeps a peer out in both directions.
 * 5. A peer that does not say what it speaks goes; after how many looks, members.test.ts tells.
 * 6. Local discovery names the peer and its address.
 * 7. A process whose whole network room has stopped ends by itself.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { promisify } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { parseAddress, peerIdOf } from '@kvchain/node/net/address'
import { Host, type HostOptions } from '@kvchain/node/net/host/host'
import { type Log, silentLog, systemRuntime } from '@kvchain/node/runtime/runtime'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, until } from '../helpers/hosts.js'

const runtime = systemRuntime()
const running: Host[] = []

async function start(options: Partial<HostOptions> = {}, log: Log = silentLog): Promise<Host> {
  const host = new Host(
    {
      networkId: 'ab12',
      identity: randomBytes(32),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      mdns: false,
      maxConnections: 50,
      ...options,
    },
    { runtime: { ...runtime, log } },
  )
  running.push(host)
  await host.start()
  return host
}

/** What a host told, in order. */
function watch(host: Host): string[] {
  const told: string[] = []
  host.onPeer({
    connected: (peerId) => told.push(`connected ${peerId}`),
    disconnected: (peerId) => told.push(`disconnected ${peerId}`),
  })
  return told
}

const bare = (address: string): string => address.replace(/\/p2p\/.*/, '')

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

afterEach(async () => {
  await Promise.all(running.splice(0).map((host) => host.stop()))
})

describe('connecting', () => {
  it('tells each side once, and says who and where the peer is', async () => {
    const [a, b] = [await start(), await start()]
    const [toldA, toldB] = [watch(a), watch(b)]
    expect(await b.dial(addressOf(a))).toBe(a.peerId)
    await until('both sides know', () => toldA.length > 0 && toldB.length > 0)
    expect(b.peers()).toMatchObject([
      { peerId: a.peerId, direction: 'outbound', address: addressOf(a), agent: 'kvchain/1' },
    ])
    expect(a.peers()).toMatchObject([{ peerId: b.peerId, direction: 'inbound' }])
    expect(a.listenAddresses(b.peerId)).toEqual([bare(addressOf(b))])
    expect(b.listenAddresses(a.peerId)).toEqual([bare(addressOf(a))])
    await a.disconnect(b.peerId)
    await until('both sides know of the end', () => toldA.length > 1 && toldB.length > 1)
    expect(toldA).toEqual([`connected ${b.peerId}`, `disconnected ${b.peerId}`])
    expect(toldB).toEqual([`connected ${a.peerId}`, `disconnected ${a.peerId}`])
    expect(a.peers()).toEqual([])
  })

  it('dials by address alone, by name, and by peer id with several addresses', async () => {
    const a = await start()
    const port = parseAddress(addressOf(a)).getComponents()[1]?.value ?? ''
    expect(await (await start()).dial(bare(addressOf(a)))).toBe(a.peerId)
    expect(await (await start()).dial(`/dns4/localhost/tcp/${port}`)).toBe(a.peerId)
    const addresses = ['/ip4/127.0.0.1/tcp/1', bare(addressOf(a))]
    expect(await (await start()).dial({ peerId: a.peerId, addresses })).toBe(a.peerId)
  })

  it('counts a dial to a connected peer as a success', async () => {
    const [a, b] = [await start(), await start()]
    const told = watch(b)
    await b.dial(addressOf(a))
    await b.dial(addressOf(a))
    await b.dial(bare(addressOf(a)))
    expect(told).toEqual([`connected ${a.peerId}`])
  })

  it('makes one peer of two hosts that dial each other at the same moment', async () => {
    const [a, b] = [await start(), await start()]
    const [toldA, toldB] = [watch(a), watch(b)]
    await Promise.all([a.dial(addressOf(b)), b.dial(addressOf(a))])
    expect(toldA).toEqual([`connected ${b.peerId}`])
    expect(toldB).toEqual([`connected ${a.peerId}`])
    await a.disconnect(b.peerId)
    await until('both see the end', () => toldA.length === 2 && toldB.length === 2)
  })

  it('lists every interface for a wildcard', async () => {
    const host = await start({ listen: ['/ip4/0.0.0.0/tcp/0'] })
    expect(host.addresses().every((address) => peerIdOf(parseAddress(address)) === host.peerId)).toBe(true)
    expect(host.addresses().some((address) => address.startsWith('/ip4/127.0.0.1/'))).toBe(true)
    expect(host.addresses().some((address) => address.includes('0.0.0.0'))).toBe(false)
  })
})

describe('dials that cannot work', () => {
  it('drops peers of another network on both sides, and does not dial them again at once', async () => {
    const [a, c] = [await start(), await start({ networkId: 'cd34' })]
    const [toldA, toldC] = [watch(a), watch(c)]
    await expect(c.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable', data: { reason: 'network' } })
    expect(c.isStranger(a.peerId)).toBe(true)
    await expect(c.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable', data: { reason: 'network' } })
    expect([...toldA, ...toldC, ...a.peers(), ...c.peers()]).toEqual([])
  })

  it('says that an address is our own', async () => {
    const a = await start()
    for (const address of [addressOf(a), bare(addressOf(a))]) {
      await expect(a.dial(address)).rejects.toMatchObject({ code: 'net-unreachable', data: { reason: 'self' } })
    }
  })

  it('says that nobody is there, or somebody else', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    const failed = { code: 'net-unreachable', data: { reason: 'failed' } }
    const free = bare(addressOf(c))
    await c.stop()
    await expect(a.dial(free)).rejects.toMatchObject(failed)
    await expect(a.dial({ peerId: c.peerId, addresses: [bare(addressOf(b))] })).rejects.toMatchObject(failed)
    expect(a.peers()).toEqual([])
  })

  it('stops when it is called off', async () => {
    const [a, b] = [await start(), await start()]
    await expect(a.dial(addressOf(b), AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' })
  })

  it.each([
    '',
    'localhost:9000',
    '/ip4/1.2.3.4',
    '/ip4/1.2.3.4/udp/1',
    '/ip4/1.2.3.4/tcp/70000',
    '/ip4/1.2.3.4/tcp/1/p2p/me',
  ])('refuses the address %j', async (address) => {
    const a = await start()
    await expect(a.dial(address)).rejects.toMatchObject({ code: 'net-address', data: { address } })
  })
})

describe('starting', () => {
  it('names the address that another program uses', async () => {
    const taken = bare(addressOf(await start()))
    const failed = start({ listen: ['/ip4/127.0.0.1/tcp/0', taken] })
    await expect(failed).rejects.toMatchObject({
      code: 'net-listen',
      data: { address: taken, systemCode: 'EADDRINUSE' },
    })
    await expect(failed).rejects.toThrow(`cannot listen on ${taken}: another program uses that port`)
  })

  it('names the address that this machine does not have', async () => {
    const listen = ['/ip4/203.0.113.7/tcp/0']
    await expect(start({ listen })).rejects.toMatchObject({ code: 'net-listen', data: { systemCode: 'EADDRNOTAVAIL' } })
  })

  it('refuses options that make no sense', async () => {
    await expect(start({ listen: ['tcp/9000'] })).rejects.toMatchObject({ code: 'net-address' })
    await expect(start({ networkId: 'no/slash' })).rejects.toMatchObject({ code: 'options' })
    await expect(start({ identity: randomBytes(31) })).rejects.toMatchObject({ code: 'options' })
  })

  it('has the same peer id for the same identity', async () => {
    const identity = randomBytes(32)
    const first = await start({ identity })
    const { peerId } = first
    await first.stop()
    expect((await start({ identity })).peerId).toBe(peerId)
  })
})

it('keeps refused peers out in both directions', async () => {
  const [a, b] = [await start(), await start()]
  const told = watch(a)
  a.setGate({ admitsHost: () => true, admitsPeer: (peerId) => peerId !== b.peerId })
  for (const address of [addressOf(b), bare(addressOf(b))]) {
    await expect(a.dial(address)).rejects.toMatchObject({ code: 'net-unreachable', data: { reason: 'refused' } })
  }
  await expect(b.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable' })
  expect(told).toEqual([])
  const asked: string[] = []
  a.setGate({ admitsHost: (host) => asked.push(host) < 0, admitsPeer: () => true })
  await expect(b.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable' })
  expect(asked).toEqual(['127.0.0.1'])
  expect(told).toEqual([])
  a.setGate(undefined)
  expect(await b.dial(addressOf(a))).toBe(a.peerId)
})

describe('a pre-shared key', () => {
  const [psk, other] = [randomBytes(32), randomBytes(32)]

  /** A log that notes the hosts of which it is warned. */
  function listening(warned: unknown[]): Log {
    const log: Log = { ...silentLog, warn: (data) => void warned.push(data), child: () => log }
    return log
  }

  it('lets those connect who have it', async () => {
    const warned: unknown[] = []
    const [a, b] = [await start({ psk }, listening(warned)), await start({ psk }, listening(warned))]
    expect(await a.dial(addressOf(b))).toBe(b.peerId)
    await until('both know it', () => b.isConnected(a.peerId))
    await a.disconnect(b.peerId)
    await until('both know its end', () => !b.isConnected(a.peerId))
    expect(warned).toEqual([])
  })

  it.each([
    ['another', other],
    ['none', undefined],
  ])('keeps out who has %s, in both directions, and warns once', async (_what, theirs) => {
    const warned: unknown[] = []
    const [a, b] = [await start({ psk }, listening(warned)), await start({ psk: theirs })]
    const told = [watch(a), watch(b)]
    for (let times = 0; times < 2; times++) {
      await expect(a.dial(addressOf(b))).rejects.toMatchObject({ code: 'net-unreachable' })
      await expect(b.dial(addressOf(a))).rejects.toMatchObject({ code: 'net-unreachable' })
    }
    await until('it is warned', () => warned.length > 0)
    expect(warned).toEqual([{ host: '127.0.0.1' }])
    expect(told).toEqual([[], []])
  })
})

it('disconnects who does not say what it speaks, and nobody else', async () => {
  const [a, b] = [await start(), await start()]
  await b.dial(addressOf(a))
  await until('both are members', () => a.isConnected(b.peerId))
  const told = [watch(a), watch(b)]
  const silent = await createLibp2p({
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  })
  try {
    const connection = await silent.dial(multiaddr(addressOf(a)))
    await until('it is disconnected', () => connection.status !== 'open')
    expect(silent.getConnections()).toEqual([])
  } finally {
    await silent.stop()
  }
  expect([a.isConnected(b.peerId), b.isConnected(a.peerId)]).toEqual([true, true])
  expect(told).toEqual([[], []])
})

it('discovers a host of the same network on the local network, and no other', async (context) => {
  if (!(await multicastWorks())) context.skip('this machine passes no multicast, so local discovery cannot be tested')
  const networkId = randomBytes(8).toString('hex')
  const [a, other] = [await start({ networkId, mdns: true }), await start({ networkId: 'cd34', mdns: true })]
  const discovered = new Map<string, readonly string[]>()
  a.onPeer({ discovered: (peerId, addresses) => discovered.set(peerId, addresses) })
  const b = await start({ networkId, mdns: true })
  await until('the host is discovered', () => discovered.has(b.peerId))
  expect(discovered.get(b.peerId)).toEqual([bare(addressOf(b))])
  expect([...discovered.keys()]).not.toContain(other.peerId)
})

it('leaves nothing behind that keeps a process alive', async () => {
  const script = `
    import { randomBytes } from 'node:crypto'
    import { Host } from '@kvchain/node/net/host/host'
    import { Gossip } from '@kvchain/node/net/gossip'
    import { Streams } from '@kvchain/node/net/streams/streams'
    import { emptyBook } from '@kvchain/node/net/peers/peerBook'
    import { PeerManager } from '@kvchain/node/net/peers/peerManager'
    import { systemRuntime } from '@kvchain/node/runtime/runtime'
    const runtime = systemRuntime()
    async function start(bootstrap) {
      const options = { networkId: 'ee', identity: randomBytes(32), listen: ['/ip4/127.0.0.1/tcp/0'], mdns: true, maxConnections: 9 }
      const host = new Host(options, { runtime })
      const streams = new Streams({}, { runtime, host })
      const gossip = new Gossip({}, { runtime, host })
      const peers = new PeerManager({ bootstrap, maxPeers: 8 }, { runtime, host, streams, book: emptyBook })
      for (const service of [host, streams, gossip, peers]) await service.start()
      return { host, stop: async () => { for (const service of [peers, gossip, streams, host]) await service.stop() } }
    }
    const a = await start([])
    const b = await start(a.host.addresses())
    const connected = new Promise((resolve) => a.host.onPeer({ connected: resolve }))
    await connected
    await Promise.all([a.stop(), b.stop()])
    console.log('stopped')
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
  })
  expect(stdout).toBe('stopped\n')
})
