/**
 * The links between the nodes of a cluster, with plain sockets.
 *
 * 1. The dice depend on the seed and on the place among the bytes, not on the pieces in which they come.
 * 2. Bytes come whole and in order, both ways, over a link that delays, loses and is narrow; so do the ends of a connection.
 * 3. A cut holds one direction and is silent; what waited arrives when it is healed. A connection begun over a cut link is not heard of.
 * 4. A reset breaks off what is open. A sender that nobody reads from has to wait.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Links, type LinksOptions } from '@kvchain/lab/links/links'
import { Dice, FREE_LINK, type LinkRule, SEGMENT_BYTES } from '@kvchain/lab/links/rule'
import { waitUntil } from '@kvchain/lab/wait'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterEach, describe, expect, test } from 'vitest'

const { clock } = systemRuntime()
const MIB = 1 << 20
const cleanups: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

/** Two nodes: the second is a server that keeps what connects to it. */
async function pair(options: Omit<LinksOptions, 'nodes'> = {}) {
  const accepted: Socket[] = []
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    accepted.push(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const links = await Links.open({ nodes: 2, ...options })
  cleanups.push(async () => {
    for (const socket of accepted) socket.destroy()
    server.close()
    await links.stop()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has a port')
  links.attach(1, `/ip4/127.0.0.1/tcp/${address.port}/p2p/whoever`)
  const dial = (): Socket => {
    const socket = connect({ port: Number(links.address(0, 1).split('/').at(-1)), allowHalfOpen: true })
    socket.on('error', () => {})
    cleanups.push(async () => socket.destroy())
    return socket
  }
  return { links, accepted, dial }
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const first = (sockets: readonly Socket[]): Promise<Socket> => waitUntil(() => sockets[0], { what: 'a connection' })

describe('dice', () => {
  const rule = { ...FREE_LINK, delayMs: 100, jitterMs: 50, loss: 0.2 }
  const delays = (seed: number, stream: number, pieces: readonly number[]) => {
    const dice = new Dice(seed, stream)
    return pieces.map((length) => dice.delayMs(length, rule))
  }
  const segments = Array.from({ length: 1_000 }, () => SEGMENT_BYTES)

  test('fall alike for the same seed and stream only', () => {
    expect(delays(7, 1, segments)).toEqual(delays(7, 1, segments))
    expect(delays(8, 1, segments)).not.toEqual(delays(7, 1, segments))
    expect(delays(7, 2, segments)).not.toEqual(delays(7, 1, segments))
  })

  test('do not depend on the pieces: a piece takes as long as the slowest segment in it', () => {
    const single = delays(7, 1, segments)
    const pairs = delays(
      7,
      1,
      Array.from({ length: 500 }, () => 2 * SEGMENT_BYTES),
    )
    expect(pairs).toEqual(pairs.map((_, i) => Math.max(single[2 * i] ?? 0, single[2 * i + 1] ?? 0)))
    const halves = delays(
      7,
      1,
      segments.flatMap(() => [1, SEGMENT_BYTES - 1]),
    )
    expect(halves.filter((_, i) => i % 2 === 0)).toEqual(single)
  })

  test('fall as the rule says', () => {
    const single = delays(7, 1, segments)
    const prompt = single.filter((delayMs) => delayMs <= 150)
    expect(Math.min(...single)).toBeGreaterThanOrEqual(50)
    expect(single.filter((delayMs) => delayMs > 150 && delayMs < 250)).toEqual([])
    expect(prompt.length).toBeGreaterThan(760)
    expect(prompt.length).toBeLessThan(840)
    const mean = prompt.reduce((sum, delayMs) => sum + delayMs, 0) / prompt.length
    expect(mean).toBeGreaterThan(95)
    expect(mean).toBeLessThan(105)
  })
})

test.each<[string, Partial<LinkRule>]>([
  ['nothing in the way', {}],
  ['delay, jitter, loss', { delayMs: 20, jitterMs: 15, loss: 0.02, resendMs: 30 }],
  ['a narrow line', { delayMs: 1, bytesPerSecond: 8 * MIB }],
])('bytes and ends come whole, both ways: %s', async (_what, rule) => {
  const { links, accepted, dial } = await pair({ rule })
  const [there, back] = [randomBytes(6 * MIB), randomBytes(5 * MIB)]
  const startMs = clock.monotonicMs()
  const socket = dial()
  const read = readAll(socket)
  socket.end(there)
  const far = await first(accepted)
  // Its own direction stays open after the other one has ended.
  expect(Buffer.compare(await readAll(far), there)).toBe(0)
  far.end(back)
  expect(Buffer.compare(await read, back)).toBe(0)
  const leastMs =
    rule.bytesPerSecond !== undefined ? 1_000 : 2 * Math.max(0, (rule.delayMs ?? 0) - (rule.jitterMs ?? 0))
  expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(leastMs)
  expect([links.carried(0, 1), links.carried(1, 0)]).toEqual([there.length, back.length])
})

describe('a cut', () => {
  test('holds one direction, and nothing is lost by it', async () => {
    const { links, accepted, dial } = await pair({ rule: { resendMs: 1 } })
    const socket = dial()
    socket.write('before')
    const far = await first(accepted)
    expect(String((await once(far, 'data'))[0])).toBe('before')
    links.cut(0, 1)
    let arrived = ''
    far.on('data', (bytes) => {
      arrived += String(bytes)
    })
    socket.write('held')
    for (let n = 0; n < 10; n++) {
      far.write(`${n}`)
      expect(String((await once(socket, 'data'))[0])).toBe(`${n}`)
    }
    expect(arrived).toBe('')
    links.heal(0, 1)
    await waitUntil(() => arrived === 'held', { what: 'what was held' })
  })

  test('hides that the other side is gone, and that somebody dials', async () => {
    const { links, accepted, dial } = await pair({ rule: { resendMs: 1 } })
    const socket = dial()
    const far = await first(accepted)
    links.partition([[0], [1]])
    const later = dial()
    await once(later, 'connect')
    later.write('hello')
    let isClosed = false
    socket.once('close', () => {
      isClosed = true
    })
    far.resetAndDestroy()
    // Others give up before anybody hears of them: the link leaves them at once.
    for (let n = 0; n < 20; n++) {
      const other = dial()
      await once(other, 'connect')
      other.end()
      await waitUntil(() => other.closed, { what: 'that the link leaves it' })
    }
    expect([isClosed, accepted.length]).toEqual([false, 1])
    links.healAll()
    await waitUntil(() => isClosed && accepted.length === 2, { what: 'the end of the one, and the other' })
    expect(String((await once(accepted[1] ?? far, 'data'))[0])).toBe('hello')
  })
})

test('a reset breaks off what is open, and lets new connections through', async () => {
  const { links, accepted, dial } = await pair()
  const socket = dial()
  const far = await first(accepted)
  links.reset(1, 0)
  await waitUntil(() => socket.destroyed && far.destroyed, { what: 'the end on both sides' })
  dial().write('again')
  const again = await waitUntil(() => accepted[1], { what: 'another connection' })
  expect(String((await once(again, 'data'))[0])).toBe('again')
})

test('a sender has to wait for a reader that does not read', async () => {
  const { links, accepted, dial } = await pair()
  const socket = dial()
  const far = await first(accepted)
  links.cut(0, 1)
  const sent = randomBytes(64 * MIB)
  let isWritten = false
  socket.end(sent, () => {
    isWritten = true
  })
  // What the link holds, and the buffers of the system on both sides of it: far less than was sent.
  await waitUntil(() => socket.bytesWritten > 0, { what: 'a first write' })
  expect(isWritten).toBe(false)
  links.heal(0, 1)
  expect(Buffer.compare(await readAll(far), sent)).toBe(0)
})

test('what makes no sense is refused', async () => {
  const { links } = await pair()
  for (const rule of [{ loss: 1 }, { delayMs: -1 }, { jitterMs: 1 }, { bytesPerSecond: 0 }]) {
    expect(() => links.set(0, 1, rule)).toThrow(expect.objectContaining({ code: 'lab-options' }))
  }
  expect(() => links.cut(0, 2)).toThrow(expect.objectContaining({ code: 'lab-options' }))
  expect(() => links.attach(0, '/dns4/localhost/tcp/1')).toThrow(expect.objectContaining({ code: 'lab-options' }))
  await expect(Links.open({ nodes: 65 })).rejects.toMatchObject({ code: 'lab-options' })
})
