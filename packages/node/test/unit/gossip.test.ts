/**
 * Gossip between real hosts on loopback.
 *
 * 1. A message crosses a node that accepts it, and stops at one that ignores or rejects it, or whose handler throws.
 * 2. Sizes: too long is refused where it is published, and where it arrives from a peer that does not keep to the limit.
 * 3. Bounds: what comes while too much is being judged is dropped and counted.
 * 4. A peer that sends what is rejected is not listened to any more.
 * 5. Two networks exchange nothing.
 * 6. A connected peer with whom gossip does not flow is disconnected; one with whom it flows is not.
 */
import { randomBytes } from 'node:crypto'
import { gossipsub, StrictNoSign } from '@chainsafe/libp2p-gossipsub'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { Gossip, type GossipOptions, type GossipVerdict, topicName } from '@kvchain/node/net/gossip'
import { Host } from '@kvchain/node/net/host/host'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, until } from '../helpers/hosts.js'

const runtime = systemRuntime()
const NETWORK = 'ab12'
const MAX_GOSSIP_BYTES = 1_000_000

interface Node {
  readonly host: Host
  readonly gossip: Gossip
  /** The blocks that the handler was given, as text. */
  readonly blocks: string[]
}

const cleanups: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

async function startHost(networkId = NETWORK): Promise<Host> {
  const listen = ['/ip4/127.0.0.1/tcp/0']
  const host = new Host({ networkId, identity: randomBytes(32), listen, mdns: false, maxConnections: 50 }, { runtime })
  cleanups.push(() => host.stop())
  await host.start()
  return host
}

async function start(
  verdict: GossipVerdict = 'accept',
  options: GossipOptions = {},
  networkId = NETWORK,
): Promise<Node> {
  const host = await startHost(networkId)
  const gossip = new Gossip(options, { runtime, host })
  cleanups.push(() => gossip.stop())
  await gossip.start()
  const blocks: string[] = []
  gossip.setHandler('blocks', async (data) => {
    blocks.push(text(data))
    return verdict
  })
  return { host, gossip, blocks }
}

const text = (data: Uint8Array): string => new TextDecoder().decode(data)
const bytes = (data: string): Uint8Array => new TextEncoder().encode(data)

/** Connects two nodes and waits until messages can flow both ways. */
async function connect(from: Node, to: Node): Promise<void> {
  await from.host.dial(addressOf(to.host))
  await until('both are in the mesh', () =>
    (['blocks', 'transactions'] as const).every(
      (topic) =>
        from.gossip.meshPeers(topic).includes(to.host.peerId) && to.gossip.meshPeers(topic).includes(from.host.peerId),
    ),
  )
}

describe('messages', () => {
  it('reach everybody through nodes that accept them', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    await connect(a, b)
    await connect(b, c)
    expect(await a.gossip.publish('blocks', bytes('one'))).toEqual({ recipients: 1 })
    expect(await c.gossip.publish('blocks', bytes('two'))).toEqual({ recipients: 1 })
    await until('both arrived', () => c.blocks.includes('one') && a.blocks.includes('two'))
    expect(b.blocks.toSorted()).toEqual(['one', 'two'])
    expect(b.gossip.counters('blocks')).toMatchObject({ accepted: 2, published: 0 })
  })

  it('go to several peers unchanged', async () => {
    const [a, b, c, d] = [await start(), await start(), await start(), await start()]
    for (const node of [b, c, d]) await connect(node, a)
    const sent = Array.from({ length: 40 }, (_, i) => `${i} ${'x'.repeat(i * 997)}`)
    for (const message of sent) await a.gossip.publish('blocks', bytes(message))
    for (const node of [b, c, d]) {
      await until('all arrived', () => node.blocks.length >= sent.length)
      expect(new Set(node.blocks)).toEqual(new Set(sent))
    }
  })

  it.each(['ignore', 'reject'] as const)('stop at a node that says %s', async (verdict) => {
    const [a, b, c] = [await start(), await start(verdict), await start()]
    await connect(a, b)
    await connect(b, c)
    await a.gossip.publish('blocks', bytes('stopped'))
    await until('the node in the middle judged', () => b.blocks.includes('stopped'))
    await b.gossip.publish('blocks', bytes('later'))
    await until('a later message arrived', () => c.blocks.includes('later'))
    expect(c.blocks).toEqual(['later'])
  })

  it('are ignored when the handler throws, and the next is judged again', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    await connect(a, b)
    await connect(b, c)
    b.gossip.setHandler('blocks', async (data) => {
      if (text(data) === 'bad') throw new Error('a bug')
      return 'accept'
    })
    await a.gossip.publish('blocks', bytes('bad'))
    await until('the failure is counted', () => b.gossip.counters('blocks').failed === 1)
    await a.gossip.publish('blocks', bytes('good'))
    await until('the next arrived', () => c.blocks.length > 0)
    expect(c.blocks).toEqual(['good'])
    expect(b.gossip.score(a.host.peerId)).toBeGreaterThanOrEqual(0)
  })

  it('keep to their topic', async () => {
    const [a, b] = [await start(), await start()]
    const transactions: string[] = []
    b.gossip.setHandler('transactions', async (data, from) => {
      transactions.push(`${text(data)} from ${from}`)
      return 'accept'
    })
    await connect(a, b)
    await a.gossip.publish('transactions', bytes('same'))
    await a.gossip.publish('blocks', bytes('same'))
    await until('both arrived', () => transactions.length > 0 && b.blocks.length > 0)
    expect(transactions).toEqual([`same from ${a.host.peerId}`])
    expect(b.blocks).toEqual(['same'])
  })

  it('are published once, and to nobody if nobody is there', async () => {
    const [a, b] = [await start(), await start()]
    expect(await a.gossip.publish('blocks', bytes('alone'))).toEqual({ recipients: 0 })
    await connect(a, b)
    expect(await a.gossip.publish('blocks', bytes('once'))).toEqual({ recipients: 1 })
    expect(await a.gossip.publish('blocks', bytes('once'))).toEqual({ recipients: 0 })
  })

  it('may be published out of one buffer that is used again', async () => {
    const [a, b] = [await start(), await start()]
    await connect(a, b)
    const buffer = bytes('first!')
    await a.gossip.publish('blocks', buffer)
    await until('the first arrived', () => b.blocks.length > 0)
    buffer.set(bytes('second'))
    await a.gossip.publish('blocks', buffer)
    await until('the second arrived', () => b.blocks.length > 1)
    expect(b.blocks).toEqual(['first!', 'second'])
  })

  it('flow after two hosts dialled each other at the same moment', async () => {
    const [a, b] = [await start(), await start()]
    await Promise.all([a.host.dial(addressOf(b.host)), b.host.dial(addressOf(a.host))])
    await connect(a, b)
    await a.gossip.publish('blocks', bytes('from a'))
    await b.gossip.publish('blocks', bytes('from b'))
    await until('both arrived', () => a.blocks.length > 0 && b.blocks.length > 0)
  })
})

describe('limits', () => {
  it('lets the longest message through and refuses to publish a longer one', async () => {
    const [a, b] = [await start(), await start()]
    await connect(a, b)
    await expect(a.gossip.publish('blocks', new Uint8Array(MAX_GOSSIP_BYTES + 1))).rejects.toMatchObject({
      code: 'net-limit',
    })
    await a.gossip.publish('blocks', new Uint8Array(MAX_GOSSIP_BYTES))
    await until('the longest arrived', () => b.blocks.length > 0)
    expect(b.blocks.map(({ length }) => length)).toEqual([MAX_GOSSIP_BYTES])
  })

  it('drops a longer message of a peer that does not keep to the limit, and holds it against the peer', async () => {
    const b = await start()
    const rude = await startRudePeer()
    await rude.dial(multiaddr(addressOf(b.host)))
    const topic = topicName(NETWORK, 'blocks')
    await until('the rude peer knows the listener', () => rude.services.pubsub.getSubscribers(topic).length > 0)
    await until('the listener knows the rude peer', () => b.gossip.subscribers('blocks').length > 0)
    await rude.services.pubsub.publish(topic, new Uint8Array(MAX_GOSSIP_BYTES + 1))
    await until('it is held against the peer', () => b.gossip.score(rude.peerId.toString()) < 0)
    await rude.services.pubsub.publish(topic, bytes('short'))
    await until('a short message arrived', () => b.blocks.length > 0)
    expect(b.blocks).toEqual(['short'])
  })

  it('drops the newest while too many are being judged, and counts them', async () => {
    const [a, b] = [await start(), await start('accept', { maxJudging: { blocks: 2, transactions: 2 } })]
    let release = (): void => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    const begun: string[] = []
    b.gossip.setHandler('blocks', async (data) => {
      begun.push(text(data))
      await released
      return 'accept'
    })
    await connect(a, b)
    for (const message of ['1', '2', '3', '4', '5']) await a.gossip.publish('blocks', bytes(message))
    await until('the rest is dropped', () => b.gossip.counters('blocks').overflowed === 3)
    expect(begun).toEqual(['1', '2'])
    release()
    await until('the first are judged', () => b.gossip.counters('blocks').accepted === 2)
    await a.gossip.publish('blocks', bytes('6'))
    await until('there is room again', () => begun.length === 3)
  })
})

it('does not listen any more to a peer whose messages were rejected', async () => {
  const [bad, judge, good] = [await start(), await start(), await start()]
  const judged: string[] = []
  judge.gossip.setHandler('blocks', async (data) => {
    judged.push(text(data))
    return text(data).startsWith('bad') ? 'reject' : 'accept'
  })
  await connect(bad, judge)
  await connect(good, judge)
  for (const message of ['bad 1', 'bad 2', 'bad 3', 'bad 4']) {
    await bad.gossip.publish('blocks', bytes(message))
    await until('it is rejected', () => judged.includes(message))
  }
  await until('the score has sunk', () => judge.gossip.score(bad.host.peerId) < -80)
  // The router goes on for up to a second with a peer that it thought well of, so this may take several messages.
  let unheard = 0
  for (let i = 0; unheard < 3; i++) {
    await bad.gossip.publish('blocks', bytes(`late ${i}`))
    await good.gossip.publish('blocks', bytes(`heard ${i}`))
    await until('the other peer is still heard', () => judged.includes(`heard ${i}`))
    unheard = judged.includes(`late ${i}`) ? 0 : unheard + 1
  }
  expect(judge.gossip.counters('blocks').rejected).toBe(4)
})

it('passes nothing from one network to another', async () => {
  const [a, b, other] = [await start(), await start(), await start('accept', {}, 'cd34')]
  await expect(other.host.dial(addressOf(a.host))).rejects.toMatchObject({ data: { reason: 'network' } })
  await connect(a, b)
  await other.gossip.publish('blocks', bytes('foreign'))
  await a.gossip.publish('blocks', bytes('own'))
  await until('our own message arrived', () => b.blocks.length > 0)
  expect([a.blocks, b.blocks, other.blocks]).toEqual([[], ['own'], []])
})

it('disconnects a peer with whom gossip does not flow, and no other', async () => {
  const [a, b] = [await start('accept', { watchdogMs: 1_500 }), await start()]
  await connect(b, a)
  const deaf = await startHost()
  const left: string[] = []
  a.host.onPeer({ disconnected: (peerId) => left.push(peerId) })
  await deaf.dial(addressOf(a.host))
  await until('the deaf peer is disconnected', () => left.length > 0)
  expect(left).toEqual([deaf.peerId])
  expect(a.host.peerIds()).toEqual([b.host.peerId])
})

it('disconnects a peer that announces a frame which is far too long', async () => {
  const b = await start('accept', { watchdogMs: 2_000 })
  const left: string[] = []
  b.host.onPeer({ disconnected: (peerId) => left.push(peerId) })
  const rude = await startRudePeer()
  const connection = await rude.dial(multiaddr(addressOf(b.host)))
  await until('the listener knows the rude peer', () => b.gossip.subscribers('blocks').length > 0)
  const stream = await connection.newStream('/meshsub/1.2.0')
  // The length of what is to come: 2^28 bytes.
  stream.send(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x01))
  await until('the rude peer is disconnected', () => left.includes(rude.peerId.toString()))
})

it('publishes nothing after the stop, and waits for what is being judged', async () => {
  const [a, b] = [await start(), await start()]
  await connect(a, b)
  let ended = false
  b.gossip.setHandler('blocks', async () => {
    begun = true
    await runtime.timers.sleep(100)
    ended = true
    return 'accept'
  })
  let begun = false
  await a.gossip.publish('blocks', bytes('slow'))
  await until('judging began', () => begun)
  await b.gossip.stop()
  expect(ended).toBe(true)
  await expect(b.gossip.publish('blocks', bytes('late'))).rejects.toMatchObject({ code: 'aborted' })
})

/** A peer that speaks the network's protocols without keeping to its limits. */
async function startRudePeer() {
  const node = await createLibp2p({
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      pubsub: gossipsub({ globalSignaturePolicy: StrictNoSign, allowPublishToZeroTopicPeers: true }),
    },
  })
  cleanups.push(async () => node.stop())
  await node.handle(`/kvchain/${NETWORK}/member/1`, (stream) => stream.abort(new Error('nothing to say')))
  for (const topic of ['blocks', 'transactions'] as const) node.services.pubsub.subscribe(topicName(NETWORK, topic))
  return node
}
