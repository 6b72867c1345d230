/**
 * The simulator: whole nodes in one process and in virtual time. Plan: a write mined on one node is read on another; crash, partition and restart do what
 * they say; the same seed gives the same events, another seed others; the disk keeps what it promises and no more.
 */
import { fromUtf8 } from '@kvchain/core/bytes'
import { Random } from '@kvchain/lab/difficulty/random'
import { Disk, DiskEngine, SharedRows } from '@kvchain/lab/sim/disk'
import { KIND, Loop } from '@kvchain/lab/sim/loop'
import { Life } from '@kvchain/lab/sim/runtime'
import type { SimNode } from '@kvchain/lab/sim/simNode'
import { makeWorld, type World } from '@kvchain/lab/sim/world'
import { describe, expect, test } from 'vitest'

const MINUTE_MS = 60_000

function tips(world: World): string[] {
  return world.nodes.map(({ tipHash }) => tipHash)
}

function agree(nodes: readonly SimNode[]): boolean {
  return (
    new Set(nodes.map(({ running }) => running?.ledger.chain.tip.header.height)).size === 1 &&
    new Set(nodes.map(({ tipHash }) => tipHash)).size === 1
  )
}

describe('a world', () => {
  test('a put on one node, mined by another, is read on a third', async () => {
    const world = await makeWorld({ seed: 1, nodes: [{ hashShare: 1 }, {}, {}] })
    const txid = await world.finish(world.node(1).put('colour', 'blue'))
    expect(world.accepted.get(txid)).toBe(world.node(1))
    expect(world.node(2).get('colour')).toBeUndefined()
    const isSettled = () => (world.node(2).get('colour')?.confirmations ?? 0) >= 6
    await world.until('settling', isSettled, 10 * MINUTE_MS)
    expect(world.node(2).get('colour')).toMatchObject({ value: 'blue', version: 1 })
    expect(world.failures).toEqual([])
  })

  test('a write made in solitude comes to those who are not neighbours', async () => {
    const nodes = [{ hashShare: 1 }, {}, {}, {}, {}, {}, {}, {}]
    const world = await makeWorld({ seed: 2, nodes, bootstrap: 1, targetOutbound: 0 })
    await world.run(MINUTE_MS)
    const far = world.nodes.find(
      ({ index, transport }) => index > 0 && transport?.host.isConnected(world.node(0).peerId) === false,
    )
    if (far === undefined) throw new TypeError('the miner has not everybody for a neighbour')
    world.partition([far.index])
    await world.run(2 * MINUTE_MS)
    await world.finish(far.put('early', 'bird'))
    world.heal()
    await world.until('confirmation', () => world.node(0).get('early') !== undefined, 10 * MINUTE_MS)
    expect(far.transport?.host.isConnected(world.node(0).peerId)).toBe(false)
  })

  test('the same seed gives the same events, and another seed others', async () => {
    const runs = await Promise.all(
      [7, 7, 8].map(async (seed) => {
        const world = await makeWorld({
          seed,
          nodes: [{ hashShare: 0.5 }, { hashShare: 0.5 }, {}],
          links: { loss: 0.1 },
        })
        await world.finish(world.node(2).put('k', 'v'))
        await world.run(10 * MINUTE_MS)
        return { ...world.events, tips: tips(world) }
      }),
    )
    expect(runs[0]).toEqual(runs[1])
    expect(runs[0]?.hash).not.toBe(runs[2]?.hash)
  })

  test('two halves that are cut off from each other mine apart, and agree once they meet', async () => {
    const world = await makeWorld({ seed: 3, nodes: [{ hashShare: 0.6 }, {}, { hashShare: 0.4 }, {}] })
    await world.run(MINUTE_MS)
    world.partition([0, 1], [2, 3])
    const losing = await world.finish(world.node(3).put('side', 'right'))
    await world.run(11 * MINUTE_MS)
    expect(world.node(0).tipHash).not.toBe(world.node(2).tipHash)
    expect(world.node(2).get('side')?.value).toBe('right')
    expect(world.node(0).get('side')).toBeUndefined()
    world.heal()
    await world.until('agreement', () => agree(world.nodes), 5 * MINUTE_MS)
    await world.until('the lost write', () => world.node(0).get('side') !== undefined, 10 * MINUTE_MS)
    expect(world.accepted.has(losing)).toBe(true)
  })

  test('an accepted write outlives a loss of power, and nothing happens to a node that is down', async () => {
    const world = await makeWorld({ seed: 4, nodes: [{ hashShare: 1 }, {}] })
    world.partition([0], [1])
    await world.finish(world.node(1).put('k', 'kept'))
    world.crash(1)
    world.heal()
    await world.run(5 * MINUTE_MS)
    expect(world.node(1).running).toBeUndefined()
    expect(world.node(0).get('k')).toBeUndefined()
    await world.finish(world.restart(1))
    await world.until('the write', () => world.node(0).get('k')?.value === 'kept', 10 * MINUTE_MS)
    expect(world.node(1).lives).toBe(2)
    expect(world.failures).toEqual([])
  })

  test('a stop ends by itself, and the next start finds everything', async () => {
    const world = await makeWorld({ seed: 5, nodes: [{ hashShare: 1 }, {}] })
    await world.finish(world.node(0).put('k', 'v'))
    await world.run(10 * MINUTE_MS)
    const { height } = world.node(0).tip.header
    await world.finish(world.node(0).stop())
    await world.finish(world.restart(0))
    expect(world.node(0).tip.header.height).toBe(height)
    expect(world.node(0).get('k')?.value).toBe('v')
  })
})

describe('a disk', () => {
  /** Writes one record after the other, every third synced, and crashes in the middle; what is left. */
  async function crashed(seed: number): Promise<{ asked: number; synced: number; left: number[] }> {
    const loop = new Loop()
    const random = new Random(seed)
    const disk = new Disk(random, { minSyncMs: 1, maxSyncMs: 4 }, new SharedRows())
    const life = new Life({ loop, owner: 0, random, clockOffsetMs: 0, onError: () => {} })
    const engine = new DiskEngine(disk, life)
    await engine.open()
    let synced = 0
    let asked = 0
    const writeAll = async () => {
      for (let i = 1; i <= 30 && !life.isOver; i++) {
        asked = i
        const batch = engine.batch()
        batch.put(Uint8Array.of(i), Uint8Array.of(i))
        batch.put(fromUtf8('latest'), Uint8Array.of(i))
        await batch.write({ sync: i % 3 === 0 })
        if (i % 3 === 0) synced = i
      }
    }
    void writeAll()
    loop.after(5 + seed, KIND.fault, -1, () => {
      life.end()
      disk.crash()
    })
    await loop.run(1_000, () => {})
    const rows = disk.range({ gte: Uint8Array.of(0), lt: Uint8Array.of(0xff) })
    const left = rows.filter(([key]) => key.length === 1).map(([key]) => key[0] ?? 0)
    expect(rows.find(([key]) => key.length > 1)?.[1]).toEqual(
      left.length === 0 ? undefined : Uint8Array.of(Math.max(...left)),
    )
    return { asked, synced, left }
  }

  test('keeps what was synced, and of what came after a beginning, each batch whole', async () => {
    const ends = new Set<string>()
    for (let seed = 0; seed < 40; seed++) {
      const { asked, synced, left } = await crashed(seed)
      expect(left).toEqual(left.map((_, i) => i + 1))
      expect(left.length).toBeGreaterThanOrEqual(synced)
      expect(left.length).toBeLessThanOrEqual(asked)
      ends.add(left.length === synced ? 'only what was synced' : left.length === asked ? 'everything' : 'a part')
    }
    expect(ends.size).toBe(3)
  })
})
