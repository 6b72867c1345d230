/**
 * Byzantine nodes among honest ones. Plan: each behaviour with three tenths of the hashing power, writes all the time and one honest node that was away; each
 * leaves its trace, so that the test knows that it happened; the honest agree, nothing of theirs is lost, and nothing forged is on the chain. Then
 * what selfish mining earns.
 */
import { transactionRoot } from '@kvchain/core/block'
import { equalBytes, toHex } from '@kvchain/core/bytes'
import {
  censor,
  equivocator,
  liar,
  rootForger,
  SelfishMiner,
  timeForger,
  withholder,
} from '@kvchain/lab/sim/behaviours'
import type { Byzantine } from '@kvchain/lab/sim/byzantine'
import { Checks } from '@kvchain/lab/sim/checks'
import { makeWorld, type World } from '@kvchain/lab/sim/world'
import type { ChainNode } from '@kvchain/node/chain/headerTree'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { describe, expect, test } from 'vitest'

const MINUTE_MS = 60_000
const TRAITOR = 4

/** Ten minutes and what it takes to come to rest. */
async function live(byzantine: Byzantine): Promise<World> {
  const honest = [{ hashShare: 0.4 }, { hashShare: 0.3 }, {}, {}]
  const network = { blockIntervalMs: 5_000 }
  const world = await makeWorld({ seed: 21, nodes: [...honest, { hashShare: 0.3, byzantine }], network })
  const checks = new Checks(world, { fullEvery: 5_000 })
  for (let i = 0; i < 20; i++) {
    await world.finish(world.node(i % 3).put(`key-${i % 3}`, `${i}`))
    if (byzantine.tells !== undefined) await world.finish(world.node(TRAITOR).put(`secret-${i}`, `${i}`))
    if (i === 5) world.crash(3)
    if (i === 15) await world.finish(world.restart(3))
    await world.run(world.nowMs + MINUTE_MS / 2)
  }
  await world.rest(10 * MINUTE_MS)
  checks.atRest()
  expect(world.accepted.size).toBe(20)
  return world
}

function mainChain(world: World): ChainNode[] {
  const blocks: ChainNode[] = []
  for (let at = world.node(0).tip; at.parent !== undefined; at = at.parent) blocks.push(at)
  return blocks
}

function byTraitor(world: World, blocks: readonly ChainNode[]): ChainNode[] {
  const { publicKey } = world.node(TRAITOR).options.account
  return blocks.filter(({ header }) => equalBytes(header.miner, publicKey))
}

/** Every block that node 0 has heard of. */
function heardOf(world: World): ChainNode[] {
  const open = [world.node(0).chain.tree.genesis]
  for (const node of open) open.push(...node.children)
  return open.slice(1)
}

describe('honest nodes agree and lose nothing', () => {
  test('among whom one withholds what is in its blocks: its headers alone keep nobody from mining', async () => {
    const inner = withholder()
    let refused = 0
    const byzantine: Byzantine = {
      ...inner,
      answer: (request, truth) => {
        const answer = inner.answer?.(request, truth)
        if (answer === undefined) refused++
        return answer
      },
    }
    await live(byzantine)
    expect(refused).toBeGreaterThan(0)
  })

  test('among whom one solves two blocks on a parent and tells each to half of the others', async () => {
    const world = await live(equivocator())
    const parents = byTraitor(world, heardOf(world)).map(({ header }) => toHex(header.parent))
    expect(new Set(parents).size).toBeLessThan(parents.length)
  })

  test('among whom one lies to whoever catches up', async () => {
    const lies = new Set<string>()
    const inner = liar()
    const byzantine: Byzantine = {
      ...inner,
      answer: (request, truth) => {
        const answer = inner.answer?.(request, truth)
        if (answer !== undefined && !equalBytes(answer, truth)) lies.add(request.name)
        return answer
      },
    }
    await live(byzantine)
    expect(lies).toContain('status')
  })

  test('among whom one claims another state: its blocks are known to be invalid, and none is on the chain', async () => {
    const world = await live(rootForger())
    const forged = byTraitor(world, heardOf(world))
    expect(forged.length).toBeGreaterThan(0)
    expect(forged.every(({ invalid }) => invalid)).toBe(true)
    expect(byTraitor(world, mainChain(world))).toEqual([])
  })

  test('among whom one forges times: none of its blocks is on the chain', async () => {
    const inner = timeForger()
    let forged = 0
    const byzantine: Byzantine = {
      ...inner,
      forge: (template) => {
        forged++
        return inner.forge?.(template) ?? []
      },
    }
    const world = await live(byzantine)
    expect(forged).toBeGreaterThan(10)
    expect(byTraitor(world, mainChain(world))).toEqual([])
  })

  test('among whom one censors: its blocks are empty, and the others mine what it left out', async () => {
    const world = await live(censor())
    const blocks = byTraitor(world, mainChain(world))
    expect(blocks.length).toBeGreaterThan(5)
    const empty = transactionRoot(sha256, [])
    for (const { header } of blocks) expect(equalBytes(header.txRoot, empty)).toBe(true)
  })

  test('among whom one mines selfishly', async () => {
    const world = await live(new SelfishMiner())
    expect(byTraitor(world, mainChain(world)).length).toBeGreaterThan(0)
  })
})

test('a selfish miner with 40 % earns what SM1 promises where half of the ties are won: 52.6 %', async () => {
  const nodes = [{ hashShare: 0.6 }, { hashShare: 0.4, byzantine: new SelfishMiner() }]
  const links = { delayMs: 1, jitterMs: 0 }
  const intervals = { pollMs: 60_000, lookMs: 60_000 }
  const world = await makeWorld({ seed: 5, nodes, links, intervals })
  await world.until('2,000 blocks', () => world.node(0).tip.header.height >= 2_000, 40_000_000)
  const { publicKey } = world.node(1).options.account
  const share = mainChain(world).filter(({ header }) => equalBytes(header.miner, publicKey)).length / 2_000
  // Three standard errors; runs of blocks that are won together make them half as large again as those of single draws.
  expect(share).toBeGreaterThan(0.526 - 0.05)
  expect(share).toBeLessThan(0.526 + 0.05)
})
