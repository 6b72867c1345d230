/**
 * Whose request is served next, in virtual time.
 *
 * 1. A peer has so many requests of a kind and no more; others are not touched by that.
 * 2. What has no room waits, and is refused after a while; each that ends lets the next one in.
 * 3. Units: long answers are paid for by waiting, one peer's do not keep others waiting, and all together have a bound.
 * 4. Fairness: beside peers that ask for ever more, one that asks for little gets what it gets without them; those whose requests never end leave
 *    places to others, however many they are.
 * 5. Who goes on asking after refusals is told of; a burst is forgiven.
 */
import { Admission, type AdmissionOptions, type Lane, type Place } from '@kvchain/node/net/streams/admission'
import { type Runtime, systemRuntime } from '@kvchain/node/runtime/runtime'
import { describe, expect, test } from 'vitest'

const PLENTY = { perSecond: 1e6, burst: 1e6 }
const LANE: Lane = { maxRunning: 100, maxPerPeer: 4, cost: 1 }

/** A clock that stands still until it is put forward, and the timers that hang on it. */
class VirtualTime {
  private nowMs = 0
  private readonly timers = new Set<{ readonly atMs: number; readonly run: () => void }>()
  readonly runtime: Runtime = {
    ...systemRuntime(),
    clock: { nowMs: () => this.nowMs, monotonicMs: () => this.nowMs },
    timers: { ...systemRuntime().timers, after: (delayMs, run) => this.after(delayMs, run) },
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, run }
    this.timers.add(timer)
    return () => this.timers.delete(timer)
  }

  async forward(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms
    for (;;) {
      // Lets everything that was begun get as far as it can.
      await systemRuntime().timers.yield()
      const next = [...this.timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined) break
      this.timers.delete(next)
      this.nowMs = next.atMs
      next.run()
    }
    this.nowMs = untilMs
  }
}

function setUp(options: Partial<AdmissionOptions> = {}) {
  const time = new VirtualTime()
  const tooMany: string[] = []
  const all = { maxRunning: 100, peerRate: PLENTY, nodeRate: PLENTY, ...options }
  const admission = new Admission(all, time.runtime, (peerId) => tooMany.push(peerId))
  /** A request: says in `log` what became of it, and leaves only when told to. */
  const log: string[] = []
  const ask = (peerId: string, name: string, lane: Lane = LANE): Place | undefined => {
    const place = admission.arrive(lane, peerId)
    if (place === undefined) log.push(`${name} refused`)
    else void place.turn().then((granted) => log.push(`${name} ${granted ? 'begins' : 'gives up'}`))
    return place
  }
  return { time, admission, tooMany, log, ask }
}

test('a peer has so many requests of a kind, and other peers and kinds have theirs', async () => {
  const { time, log, ask } = setUp()
  const [first] = [1, 2, 3, 4, 5].map((n) => ask('a', `a${n}`))
  ask('b', 'b1')
  ask('a', 'other', { ...LANE })
  first?.leave()
  ask('a', 'a6')
  await time.forward(0)
  const begun = ['a1', 'a2', 'a3', 'a4', 'a6', 'b1', 'other'].map((name) => `${name} begins`)
  expect(log.sort()).toEqual([...begun, 'a5 refused'].sort())
})

describe('what has no room', () => {
  test.each([
    ['on the node', { maxRunning: 1 }, LANE],
    ['of its kind', {}, { ...LANE, maxRunning: 1 }],
  ])('%s waits for its turn, and no longer than two seconds', async (_where, options, lane) => {
    const { time, log, ask } = setUp(options)
    const first = ask('a', 'first', lane)
    const second = ask('b', 'second', lane)
    const third = ask('c', 'third', lane)
    await time.forward(1_999)
    expect(log).toEqual(['first begins'])
    first?.leave()
    await time.forward(1)
    expect(log).toEqual(['first begins', 'second begins', 'third gives up'])
    third?.leave()
    second?.leave()
    ask('c', 'fourth', lane)
    await time.forward(0)
    expect(log.at(-1)).toBe('fourth begins')
  })

  test('is refused when it stops', async () => {
    const { time, admission, log, ask } = setUp({ maxRunning: 1 })
    for (const name of ['a', 'b', 'c']) ask(name, name)
    admission.clear()
    await time.forward(0)
    expect(log).toEqual(['a begins', 'b gives up', 'c gives up'])
  })
})

describe('units', () => {
  test('a long answer is paid for by waiting, and others do not wait for that', async () => {
    const { time, log, ask } = setUp({ peerRate: { perSecond: 10, burst: 2 } })
    const first = ask('a', 'a1')
    first?.charge(11)
    first?.leave()
    ask('a', 'a2')
    ask('b', 'b1')
    await time.forward(1_000)
    expect(log).toEqual(['a1 begins', 'b1 begins'])
    await time.forward(200)
    expect(log).toEqual(['a1 begins', 'b1 begins', 'a2 begins'])
  })

  test('all peers together have a bound', async () => {
    const { time, log, ask } = setUp({ nodeRate: { perSecond: 10, burst: 2 } })
    for (const name of ['a', 'b', 'c', 'd']) ask(name, name)
    await time.forward(50)
    expect(log).toEqual(['a begins', 'b begins'])
    await time.forward(100)
    expect(log).toHaveLength(3)
    await time.forward(100)
    expect(log).toHaveLength(4)
  })

  test('a dear request costs what its kind costs', async () => {
    const { time, log, ask } = setUp({ peerRate: { perSecond: 10, burst: 5 } })
    for (const name of ['a1', 'a2']) ask('a', name, { ...LANE, cost: 5 })
    await time.forward(99)
    expect(log).toEqual(['a1 begins'])
    await time.forward(1)
    expect(log).toEqual(['a1 begins', 'a2 begins'])
  })
})

/** What `honest` is served in so many seconds, asking 50 times a second, beside peers that ask 3,000 times a second each. */
async function servedBeside(
  flooders: readonly string[],
  seconds: number,
  options: Partial<AdmissionOptions>,
): Promise<number> {
  const { time, admission } = setUp(options)
  let served = 0
  const ask = (peerId: string, everyMs: number) => {
    time.after(everyMs, () => ask(peerId, everyMs))
    const place = admission.arrive(LANE, peerId)
    void place?.turn().then((granted) => {
      if (!granted) place.leave()
      else
        time.after(5, () => {
          if (peerId === 'honest') served++
          place.leave()
        })
    })
  }
  for (const peerId of ['honest', ...flooders]) ask(peerId, peerId === 'honest' ? 20 : 1 / 3)
  await time.forward(seconds * 1_000)
  return served
}

describe('beside three peers that flood', () => {
  test.each<[string, Partial<AdmissionOptions>]>([
    ['on a node with few places', { maxRunning: 1 }],
    ['on a node whose units are few', { nodeRate: { perSecond: 200, burst: 10 } }],
    [
      'on a node as it is',
      { maxRunning: 64, peerRate: { perSecond: 100, burst: 400 }, nodeRate: { perSecond: 1_000, burst: 2_000 } },
    ],
  ])('a peer that asks for little keeps four fifths of what it has alone: %s', async (_where, options) => {
    const alone = await servedBeside([], 4, options)
    expect(alone).toBeGreaterThan(190)
    const beside = await servedBeside(['x', 'y', 'z'], 4, options)
    expect(beside).toBeGreaterThanOrEqual(0.8 * alone)
  })
})

test.each([4, 15, 40])('%i peers whose requests never end leave places to others', async (hogs) => {
  const { time, admission } = setUp({ maxRunning: 64 })
  let begun = 0
  const lanes = Array.from({ length: 8 }, (): Lane => ({ maxRunning: 64, maxPerPeer: 4, cost: 1 }))
  for (let round = 0; round < 4; round++) {
    for (const lane of lanes) {
      for (let hog = 0; hog < hogs; hog++) {
        void admission
          .arrive(lane, `hog ${hog}`)
          ?.turn()
          .then((granted) => {
            if (granted) begun++
          })
      }
    }
  }
  await time.forward(0)
  expect(begun).toBeGreaterThanOrEqual(48)
  let served = 0
  for (let n = 0; n < 100; n++) {
    const place = admission.arrive(LANE, 'honest')
    void place?.turn().then((granted) => {
      if (granted) served++
      place.leave()
    })
    await time.forward(10)
  }
  expect(served).toBe(100)
})

test('who goes on asking after refusals is told of, and a burst is forgiven', async () => {
  const { time, tooMany, ask } = setUp()
  const flood = (count: number) => {
    for (let n = 0; n < count; n++) ask('a', '')
  }
  flood(4 + 50 + 7)
  expect(tooMany).toEqual([])
  flood(1)
  expect(tooMany).toEqual(['a'])
  await time.forward(5_000)
  flood(50)
  expect(tooMany).toEqual(['a'])
  flood(80)
  expect(tooMany).toHaveLength(11)
})
