/**
 * What penalties lead to, with a clock that stands still: which addresses belong together, points that wear off, bans that double, and a swarm
 * of fresh peer ids from one address, whose table and rate stay bounded.
 */
import { Access } from '@kvchain/node/net/peers/access'
import { Bans } from '@kvchain/node/net/peers/bans'
import { Conduct } from '@kvchain/node/net/peers/conduct'
import { AddressRange, banGroup, isPrivate, netGroup, parseTarget } from '@kvchain/node/net/peers/groups'
import { Scores } from '@kvchain/node/net/peers/scores'
import { describe, expect, it, test } from 'vitest'

const MINUTE_MS = 60_000
const PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'

class StillClock {
  ms = 1_000_000

  nowMs(): number {
    return this.ms
  }

  monotonicMs(): number {
    return this.ms
  }
}

describe('addresses', () => {
  test.each([
    ['198.51.100.7', '198.51.100.7', '198.51.0.0/16'],
    ['::ffff:198.51.100.7', '198.51.100.7', '198.51.0.0/16'],
    ['2001:db8:7:1::5', '2001:db8:7::/48', '2001:db8::/32'],
    ['example.org', 'example.org', 'example.org'],
    ['10.1.2.3', '10.1.2.3', undefined],
    ['::ffff:127.0.0.1', '127.0.0.1', undefined],
    ['fd00::1', 'fd00::1', undefined],
  ])('%s answers with %s, and is near %s', (host, banned, near) => {
    expect([banGroup(host), netGroup(host)]).toEqual([banned, near])
  })

  test.each([
    '127.0.0.1',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.3.4',
    '169.254.1.1',
    '100.64.0.1',
    '::1',
    'fe80::1',
    'fc00::1',
  ])('%s is private', (host) => expect(isPrivate(host)).toBe(true))
  test.each(['172.32.0.1', '100.128.0.1', '8.8.8.8', '2001:db8::1', 'localhost.example'])('%s is not', (host) =>
    expect(isPrivate(host)).toBe(false),
  )

  test('ranges hold what begins with the same bits', () => {
    expect(new AddressRange('192.0.2.0/24').contains('192.0.2.255')).toBe(true)
    expect(new AddressRange('192.0.2.0/24').contains('192.0.3.0')).toBe(false)
    expect(new AddressRange('192.0.2.1').contains('::ffff:192.0.2.1')).toBe(true)
    expect(new AddressRange('2001:db8::/32').contains('2001:db8:ff::1')).toBe(true)
    expect(new AddressRange('2001:db8::/32').contains('192.0.2.1')).toBe(false)
    for (const text of ['192.0.2.0/33', '192.0.2.0/', '192.0.2.0/x', '::/129', '1.2.3', '192.0.2.0/8/8', '']) {
      expect(() => parseTarget(text)).toThrow(/no peer id, and no address/)
    }
    expect(parseTarget(PEER)).toEqual({ kind: 'peer', text: PEER })
  })
})

test('deny wins over allow; an allowed address may be dialled before anybody knows it', () => {
  const open = new Access({ allow: [], deny: ['192.0.2.0/24', PEER] })
  expect([open.admitsHost('192.0.2.9'), open.admitsHost('192.0.3.9')]).toEqual([false, true])
  expect([open.admitsPeer(PEER, '8.8.8.8'), open.admitsPeer('other', '8.8.8.8')]).toEqual([false, true])
  const closed = new Access({ allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16'] })
  expect([closed.admitsHost('10.1.1.1'), closed.admitsHost('10.9.1.1'), closed.admitsHost('11.1.1.1')]).toEqual([
    true,
    false,
    false,
  ])
  expect([closed.admitsPeer('p', undefined), closed.admitsPeer('p', '11.1.1.1')]).toEqual([true, false])
  const named = new Access({ allow: [PEER], deny: [] })
  expect([named.admitsHost('8.8.8.8'), named.admitsPeer('p', undefined), named.admitsPeer(PEER, undefined)]).toEqual([
    true,
    false,
    true,
  ])
})

describe('points', () => {
  it('wear off by half in ten minutes', () => {
    const clock = new StillClock()
    const scores = new Scores(clock)
    scores.take('p', 80)
    clock.ms += 10 * MINUTE_MS
    expect(scores.of('p')).toBeCloseTo(-40)
    expect(scores.take('p', 10)).toBeCloseTo(-50)
    scores.forgive('p')
    expect(scores.of('p')).toBe(0)
  })

  it('are kept of so many, the worst before trifles', () => {
    const scores = new Scores(new StillClock())
    scores.take('worst', 50)
    for (let i = 0; i < 1_100; i++) scores.take(`peer ${i}`, 10)
    const known = Array.from({ length: 1_100 }, (_, i) => scores.of(`peer ${i}`)).filter((score) => score < 0)
    expect(known).toHaveLength(999)
    expect(scores.of('worst')).toBe(-50)
  })
})

describe('conduct', () => {
  it('hangs up at half, bans at all, and says so once', () => {
    const clock = new StillClock()
    const conduct = new Conduct(clock)
    expect(conduct.penalize('p', undefined, 49, 'x')).toMatchObject({ disconnect: false, bans: [] })
    expect(conduct.penalize('p', undefined, 1, 'x')).toMatchObject({ disconnect: true, bans: [], score: -50 })
    expect(conduct.penalize('p', undefined, 1, 'x')).toMatchObject({ disconnect: false, bans: [] })
    const { disconnect, bans } = conduct.penalize('p', undefined, 49, 'the end')
    expect([disconnect, bans]).toEqual([
      true,
      [{ target: 'p', untilMs: clock.ms + 10 * MINUTE_MS, reason: 'the end', by: 'node', times: 1 }],
    ])
    expect(conduct.penalize('p', undefined, 100, 'x').bans).toEqual([])
  })

  it('hangs up on nobody for being slow', () => {
    const conduct = new Conduct(new StillClock())
    for (let times = 0; times < 100; times++) {
      expect(conduct.penalize('p', '198.51.100.7', 2, 'answer-slow')).toMatchObject({ disconnect: false, bans: [] })
    }
    expect(conduct.score('p')).toBe(-48)
    expect(conduct.penalize('p', '198.51.100.7', 2, 'request-rate').disconnect).toBe(true)
  })

  it('bans a public address after three of its peers, and a private one never', () => {
    for (const [host, isBanned] of [
      ['198.51.100.7', true],
      ['2001:db8:7:1::5', true],
      ['192.168.0.7', false],
      ['127.0.0.1', false],
      ['fd00::7', false],
    ] as const) {
      const conduct = new Conduct(new StillClock())
      const after = ['a', 'b', 'c'].map((peer) =>
        conduct.penalize(peer, host, 100, 'x').bans.map(({ target }) => target),
      )
      expect(after).toEqual([['a'], ['b'], isBanned ? ['c', banGroup(host)] : ['c']])
      expect(conduct.bans.hasHost(host)).toBe(isBanned)
      expect(conduct.admits('198.51.100.8')).toBe(true)
      expect(conduct.forgive(host.includes('.') ? host : banGroup(host))).toBe(isBanned)
      expect(conduct.admits(host)).toBe(true)
    }
  })

  it.each(['198.51.100.7', '127.0.0.1'])('holds off ten thousand fresh peer ids from %s', (host) => {
    const clock = new StillClock()
    const conduct = new Conduct(clock)
    let admitted = 0
    let tries = 0
    const seconds = 100
    for (let peer = 0; peer < 10_000; peer++) {
      clock.ms += (seconds * 1_000) / 10_000
      tries++
      if (!conduct.admits(host)) continue
      admitted++
      conduct.penalize(`peer ${peer}`, host, 100, 'spam')
    }
    expect(tries).toBe(10_000)
    expect(admitted).toBeLessThanOrEqual(host === '127.0.0.1' ? 1 + 5 + 5 * seconds : 3)
    expect(conduct.bans.remembered().length).toBeLessThanOrEqual(1_000)
    expect(conduct.admits('198.51.101.1')).toBe(true)
  })
})

describe('bans', () => {
  const target = { kind: 'peer', text: PEER } as const

  it('double each time, a day at most, and begin anew after a day of peace', () => {
    const clock = new StillClock()
    const bans = new Bans(clock)
    const minutes: number[] = []
    for (let i = 0; i < 10; i++) {
      const { untilMs } = bans.punish(target, 'x')
      minutes.push((untilMs - clock.ms) / MINUTE_MS)
      clock.ms = untilMs
      expect(bans.hasPeer(PEER)).toBe(false)
    }
    expect(minutes).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440])
    clock.ms += 1441 * MINUTE_MS
    expect(bans.punish(target, 'x').times).toBe(1)
  })

  it('are remembered as they were, what is none left out, and never for ever', () => {
    const clock = new StillClock()
    const first = new Bans(clock)
    first.punish(target, 'x')
    first.impose('192.0.2.0/24', 3_600, 'by hand')
    const second = new Bans(clock)
    const forged = { target: 'nobody', untilMs: 1e15, reason: '', by: 'node', times: 1 } as const
    const eternal = { ...forged, target: '203.0.113.1', untilMs: Number.MAX_VALUE }
    second.restore([...first.remembered(), forged, eternal])
    expect(second.all().map(({ target: banned }) => banned)).toEqual([PEER, '192.0.2.0/24', '203.0.113.1'])
    expect([second.hasPeer(PEER), second.hasHost('192.0.2.5'), second.hasHost('192.0.3.5')]).toEqual([
      true,
      true,
      false,
    ])
    clock.ms += 367 * 24 * 60 * MINUTE_MS
    expect(second.all()).toEqual([])
  })

  it('are bounded: what ends first goes first', () => {
    const bans = new Bans(new StillClock())
    bans.impose(PEER, 3_600, 'by hand')
    for (let i = 0; i < 1_100; i++) bans.punish({ kind: 'peer', text: `peer ${i}` }, 'x')
    expect(bans.all()).toHaveLength(1_000)
    expect(bans.hasPeer(PEER)).toBe(true)
  })
})
