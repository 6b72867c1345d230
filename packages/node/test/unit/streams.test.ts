/**
 * Requests and responses between real hosts on loopback.
 *
 * 1. Bytes of any length up to the limits come back whole.
 * 2. Each way to fail has its code: too long, too slow, busy, not served, not connected, called off, an answer that makes no sense.
 * 3. What goes wrong in a handler reaches the peer as one byte.
 * 4. Bounds: per peer, per protocol, per node, and in time; a peer that sends nothing holds its place no longer than the time limit.
 * 5. Stopping ends what is under way and waits for it.
 */
import { randomBytes } from 'node:crypto'
import { CodecError } from '@kvchain/core/codec'
import { Host } from '@kvchain/node/net/host/host'
import {
  type HandleOptions,
  type RequestHandler,
  Streams,
  type StreamsOptions,
} from '@kvchain/node/net/streams/streams'
import { BusyError, StoreError } from '@kvchain/node/runtime/errors'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { lpStream } from '@libp2p/utils'
import { afterEach, describe, expect, it } from 'vitest'

const runtime = systemRuntime()
const MIB = 1024 * 1024
const LIMITS: HandleOptions = { maxRequestBytes: 1_000, maxConcurrent: 16, maxPerPeer: 16, timeoutMs: 60_000 }
const ASK = { maxResponseBytes: 1_000, timeoutMs: 60_000 }

interface Node {
  readonly host: Host
  readonly streams: Streams
}

const cleanups: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

async function startHost(networkId: string): Promise<Host> {
  const listen = ['/ip4/127.0.0.1/tcp/0']
  const host = new Host({ networkId, identity: randomBytes(32), listen, mdns: false, maxConnections: 50 }, { runtime })
  cleanups.push(() => host.stop())
  await host.start()
  return host
}

async function start(options: StreamsOptions = {}, networkId = 'ab12'): Promise<Node> {
  const host = await startHost(networkId)
  const streams = new Streams(options, { runtime, host })
  cleanups.push(() => streams.stop())
  await streams.start()
  return { host, streams }
}

/** A server, a client that is connected to it, and a way to ask. */
async function pair(handler: RequestHandler, limits: Partial<HandleOptions> = {}, options: StreamsOptions = {}) {
  const [server, client] = [await start(options), await start()]
  await server.streams.handle('echo', { ...LIMITS, ...limits }, handler)
  await connect(client, server)
  const ask = (request: Uint8Array, how: Partial<typeof ASK> & { signal?: AbortSignal } = {}) =>
    client.streams.request(server.host.peerId, 'echo', request, { ...ASK, ...how })
  return { server, client, ask }
}

async function connect(from: Node, to: Node): Promise<void> {
  const [address] = to.host.addresses()
  await from.host.dial(address ?? '')
}

const text = (data: Uint8Array): string => new TextDecoder().decode(data)
const bytes = (data: string): Uint8Array => new TextEncoder().encode(data)
const echo: RequestHandler = async (request) => request

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 60_000) throw new Error(`waited in vain until ${what}`)
    await runtime.timers.sleep(10)
  }
}

/** A promise that is kept from outside. */
function gate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

function fail(error: unknown): RequestHandler {
  return async () => {
    throw error
  }
}

describe('answers', () => {
  it.each([0, 1, 300, 64 * 1024, 5 * MIB])('come back whole: %i bytes', async (length) => {
    const { ask } = await pair(echo, { maxRequestBytes: 5 * MIB })
    const request = randomBytes(length)
    expect(Buffer.compare(await ask(request, { maxResponseBytes: 5 * MIB }), request)).toBe(0)
  })

  it('are told who asks', async () => {
    const { ask, client } = await pair(async (_request, from) => bytes(from))
    expect(text(await ask(bytes('who')))).toBe(client.host.peerId)
  })

  it('and requests are arrays with memory of their own, which `slice` copies', async () => {
    const seen: Uint8Array[] = []
    const { ask } = await pair(async (request) => {
      seen.push(request)
      return request
    })
    seen.push(await ask(bytes('own')))
    expect(seen.map((data) => [text(data), Buffer.isBuffer(data)])).toEqual([
      ['own', false],
      ['own', false],
    ])
  })

  it('go both ways at the same time, many at once', async () => {
    const { ask, client, server } = await pair(echo)
    await client.streams.handle('back', LIMITS, async () => bytes('back'))
    const there = Array.from({ length: 10 }, (_, i) => ask(bytes(`${i}`)))
    const back = Array.from({ length: 10 }, () => server.streams.request(client.host.peerId, 'back', bytes(''), ASK))
    expect((await Promise.all(there)).map(text)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
    expect((await Promise.all(back)).map(text)).toEqual(Array.from({ length: 10 }, () => 'back'))
  })

  it('are given for protocols that were registered before the start, until they are not served any more', async () => {
    const host = await startHost('ab12')
    const streams = new Streams({}, { runtime, host })
    await streams.handle('early', LIMITS, echo)
    await expect(streams.handle('early', LIMITS, echo)).rejects.toMatchObject({ code: 'options' })
    await streams.start()
    cleanups.push(() => streams.stop())
    const client = await start()
    await connect(client, { host, streams })
    expect(text(await client.streams.request(host.peerId, 'early', bytes('hello'), ASK))).toBe('hello')
    await streams.unhandle('early')
    await expect(client.streams.request(host.peerId, 'early', bytes('hello'), ASK)).rejects.toMatchObject({
      code: 'net-stream',
    })
  })
})

describe('sizes', () => {
  it('refuses an answer over the limit, at once and not after reading it', async () => {
    const { ask } = await pair(async () => new Uint8Array(2 * MIB))
    await expect(ask(bytes('much'))).rejects.toMatchObject({ code: 'net-limit' })
  })

  it.each([1_001, 300_000, 6 * MIB])('refuses a request over the limit: %i bytes', async (length) => {
    const { ask, server } = await pair(echo)
    await expect(ask(new Uint8Array(length))).rejects.toMatchObject({
      code: 'net-response',
      data: { status: 'bad-request' },
    })
    expect(server.streams.counters).toEqual({ served: 0, refused: 0, failed: 1 })
    expect(text(await ask(bytes('short')))).toBe('short')
  })
})

it('refuses a length that does not end, without reading on for it', async () => {
  const { client, server } = await pair(echo)
  const { signal } = new AbortController()
  const stream = await client.host.openStream(server.host.peerId, client.host.protocol('echo'), 8, signal)
  let read = 0
  const told = new Promise((resolve) => server.streams.misconduct.add(resolve))
  stream.addEventListener('message', (event) => {
    read += event.data.byteLength
  })
  stream.send(new Uint8Array(200_000).fill(0xff))
  expect(await told).toEqual({ peerId: client.host.peerId, code: 'request-too-long' })
  await until('it is answered', () => read > 0)
})

describe('time', () => {
  it('gives up on a slow peer', async () => {
    const { open, opened } = gate()
    const { ask } = await pair(async (request) => {
      await opened
      return request
    })
    await expect(ask(bytes('slow'), { timeoutMs: 200 })).rejects.toMatchObject({ code: 'timeout' })
    open()
  })

  it('tells the peer when its own handler is too slow, and the handler too', async () => {
    let aborted = false
    const { ask } = await pair(
      (_request, _from, signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            aborted = true
            resolve(bytes('too late'))
          })
        }),
      { timeoutMs: 200 },
    )
    await expect(ask(bytes('slow'))).rejects.toMatchObject({ code: 'net-response', data: { status: 'internal' } })
    expect(aborted).toBe(true)
  })

  it('stops waiting when it is called off', async () => {
    const { open, opened } = gate()
    const { ask } = await pair(async (request) => {
      await opened
      return request
    })
    const controller = new AbortController()
    const asked = ask(bytes('never mind'), { signal: controller.signal })
    controller.abort()
    await expect(asked).rejects.toMatchObject({ code: 'aborted' })
    open()
  })

  it('frees the place of a peer that opens a stream and sends nothing', async () => {
    const { ask, client, server } = await pair(echo, { timeoutMs: 300, maxPerPeer: 1 })
    const protocol = client.host.protocol('echo')
    await client.host.openStream(server.host.peerId, protocol, 8, new AbortController().signal)
    await expect(ask(bytes('busy'))).rejects.toMatchObject({ code: 'net-busy' })
    let answered = false
    while (!answered)
      answered = await ask(bytes('free')).then(
        () => true,
        () => false,
      )
  })
})

describe('handlers that throw', () => {
  it.each([
    ['a full queue', new BusyError('the queue', 1), { code: 'net-busy' }],
    ['bad data', new CodecError('codec-tag', 'nonsense'), { code: 'net-response', data: { status: 'bad-request' } }],
    ['a failure', new StoreError('store-io', 'the disk'), { code: 'net-response', data: { status: 'internal' } }],
    ['a bug', new TypeError('secret'), { code: 'net-response', data: { status: 'internal' } }],
  ])('%s', async (_what, thrown, expected) => {
    const { ask } = await pair(fail(thrown))
    await expect(ask(bytes('try'))).rejects.toMatchObject(expected)
  })

  it('send one byte and no text', async () => {
    const { client, server } = await pair(fail(new TypeError('secret')))
    const { signal } = new AbortController()
    const stream = await client.host.openStream(server.host.peerId, client.host.protocol('echo'), 8, signal)
    const framed = lpStream(stream)
    await framed.write(bytes('try'))
    expect([...(await framed.read()).subarray()]).toEqual([3])
  })
})

describe('bounds', () => {
  /** A handler that waits, and how many are waiting. */
  function waiting() {
    const { open, opened } = gate()
    const state = { now: 0, open }
    const handler: RequestHandler = async (request) => {
      state.now++
      await opened
      state.now--
      return request
    }
    return { state, handler }
  }

  const outcome = (asked: Promise<Uint8Array>): Promise<string> =>
    asked.then(
      () => 'ok',
      (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : 'unknown'),
    )

  it('answers busy to a peer that asks for too much at once, and serves others meanwhile', async () => {
    const { state, handler } = waiting()
    const { ask, server } = await pair(handler, { maxPerPeer: 2 })
    const flood = Array.from({ length: 20 }, () => outcome(ask(bytes('flood'))))
    const refused = flood.map((asked) => asked.then((code) => code === 'net-busy'))
    await until('the places are taken', () => state.now === 2 && server.streams.counters.refused === 18)
    const other = await start()
    await connect(other, server)
    const patient = outcome(other.streams.request(server.host.peerId, 'echo', bytes('patient'), ASK))
    await until('the other peer is served', () => state.now === 3)
    state.open()
    expect(await patient).toBe('ok')
    expect((await Promise.all(refused)).filter(Boolean)).toHaveLength(18)
    expect((await Promise.all(flood)).filter((code) => code === 'ok')).toHaveLength(2)
    expect(await outcome(ask(bytes('later')))).toBe('ok')
  })

  it('answers busy when a protocol, or the whole node, has no room', async () => {
    const { state, handler } = waiting()
    const { ask, client, server } = await pair(handler, { maxConcurrent: 1 }, { maxConcurrent: 3 })
    await server.streams.handle('wait', LIMITS, handler)
    await server.streams.handle('quick', LIMITS, echo)
    const askFor = (name: string) => outcome(client.streams.request(server.host.peerId, name, bytes(name), ASK))
    const first = outcome(ask(bytes('first')))
    await until('the first is being served', () => state.now === 1)
    expect(await askFor('echo')).toBe('net-busy')
    expect(await askFor('quick')).toBe('ok')
    const second = askFor('wait')
    await until('the second is being served', () => state.now === 2)
    expect(await askFor('quick')).toBe('net-busy')
    state.open()
    expect(await Promise.all([first, second])).toEqual(['ok', 'ok'])
    expect(await askFor('quick')).toBe('ok')
  })

  it('answers busy to a peer that asks too often', async () => {
    const { ask } = await pair(echo, {}, { peerRate: { burst: 3, perSecond: 0.001 } })
    const codes: string[] = []
    for (let i = 0; i < 5; i++) codes.push(await outcome(ask(bytes('again'))))
    expect(codes).toEqual(['ok', 'ok', 'ok', 'net-busy', 'net-busy'])
  })

  it('serves others while four peers read nothing of what they asked for', async () => {
    const server = await start()
    const names = ['a', 'b', 'c', 'd', 'e']
    const limits = { ...LIMITS, maxConcurrent: 64, maxPerPeer: 4 }
    let asked = 0
    const long: RequestHandler = async () => {
      asked++
      return new Uint8Array(MIB)
    }
    for (const name of names) await server.streams.handle(name, limits, long)
    await server.streams.handle('echo', limits, echo)
    const hogs = await Promise.all([1, 2, 3, 4].map(() => start()))
    const { signal } = new AbortController()
    for (const hog of hogs) {
      await connect(hog, server)
      for (const name of names.flatMap((one) => [one, one, one, one])) {
        const stream = await hog.host.openStream(server.host.peerId, hog.host.protocol(name), 99, signal)
        stream.pause()
        stream.send(Uint8Array.of(1, 0))
      }
    }
    await until('they have what they get', () => asked >= 40)
    const honest = await start()
    await connect(honest, server)
    const ask = () => outcome(honest.streams.request(server.host.peerId, 'echo', bytes('one'), ASK))
    const outcomes = new Set<string>()
    for (let n = 0; n < 50; n++) outcomes.add(await ask())
    expect(outcomes).toEqual(new Set(['ok']))
    expect(asked).toBeLessThan(64)
    expect(server.streams.counters.served).toBe(asked + 50)
  })

  it('does not ask one peer for so much that nobody else could be asked', async () => {
    const { state, handler } = waiting()
    const [silent, other, client] = [await start(), await start(), await start({ maxOutboundPerPeer: 1 })]
    await silent.streams.handle('echo', LIMITS, handler)
    await other.streams.handle('echo', LIMITS, echo)
    await connect(client, silent)
    await connect(client, other)
    const ask = ({ host }: Node) => outcome(client.streams.request(host.peerId, 'echo', bytes('one'), ASK))
    const first = ask(silent)
    await until('the first is being served', () => state.now === 1)
    expect(await ask(silent)).toBe('net-busy')
    expect(await ask(other)).toBe('ok')
    state.open()
    expect(await first).toBe('ok')
    expect(await ask(silent)).toBe('ok')
  })

  it('does not ask more than so many at once itself', async () => {
    const { state, handler } = waiting()
    const [server, client] = [await start(), await start({ maxOutbound: 1 })]
    await server.streams.handle('echo', LIMITS, handler)
    await connect(client, server)
    const ask = () => outcome(client.streams.request(server.host.peerId, 'echo', bytes('one'), ASK))
    const first = ask()
    await until('the first is being served', () => state.now === 1)
    expect(await ask()).toBe('net-busy')
    state.open()
    expect(await first).toBe('ok')
  })
})

describe('peers', () => {
  it('that are not connected cannot be asked', async () => {
    const [a, b] = [await start(), await start()]
    await expect(a.streams.request(b.host.peerId, 'echo', bytes('hi'), ASK)).rejects.toMatchObject({
      code: 'net-unreachable',
    })
  })

  it('that do not serve a protocol say so', async () => {
    const { client, server } = await pair(echo)
    await expect(client.streams.request(server.host.peerId, 'other', bytes('hi'), ASK)).rejects.toMatchObject({
      code: 'net-stream',
    })
  })

  it('of another network are not served', async () => {
    const { server } = await pair(echo)
    const other = await start({}, 'cd34')
    await expect(connect(other, server)).rejects.toMatchObject({ data: { reason: 'network' } })
    await expect(other.streams.request(server.host.peerId, 'echo', bytes('hi'), ASK)).rejects.toMatchObject({
      code: 'net-unreachable',
    })
    expect(server.streams.counters.served).toBe(0)
  })

  it.each([
    ['an answer without a status', new Uint8Array(0), { code: 'net-response', data: { status: 'malformed' } }],
    ['an unknown status', Uint8Array.of(9, 1, 2), { code: 'net-response', data: { status: 'malformed' } }],
    ['no answer', undefined, { code: 'net-stream' }],
  ])('that give %s are found out', async (_what, answer, expected) => {
    const [server, client] = [await start(), await start()]
    await server.host.handle(server.host.protocol('odd'), { maxInbound: 8, maxOutbound: 8 }, (stream) => {
      if (answer === undefined) stream.abort(new Error('no answer'))
      else void lpStream(stream).write(answer)
    })
    await connect(client, server)
    await expect(client.streams.request(server.host.peerId, 'odd', bytes('hi'), ASK)).rejects.toMatchObject(expected)
  })

  it('that leave while they are being asked', async () => {
    let asked = false
    const { open, opened } = gate()
    const { ask, client, server } = await pair(async (request) => {
      asked = true
      await opened
      return request
    })
    const answer = ask(bytes('hi'))
    const failed = expect(answer).rejects.toMatchObject({ code: 'net-stream' })
    await until('the peer is asked', () => asked)
    await server.host.disconnect(client.host.peerId)
    await failed
    open()
  })
})

it('ends what is under way when it stops, and waits for its handlers', async () => {
  let ended = false
  let begun = false
  const { ask, client, server } = await pair(async (request, _from, signal) => {
    begun = true
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    await runtime.timers.sleep(100)
    ended = true
    return request
  })
  const failed = expect(ask(bytes('last'))).rejects.toMatchObject({ code: 'net-stream' })
  await until('the handler has begun', () => begun)
  await server.streams.stop()
  expect(ended).toBe(true)
  await failed
  const called = client.streams.request(server.host.peerId, 'echo', bytes('x'), ASK)
  await client.streams.stop()
  await expect(called).rejects.toMatchObject({ code: expect.stringMatching(/aborted|net-stream/) })
  await expect(ask(bytes('later'))).rejects.toMatchObject({ code: 'aborted' })
})
