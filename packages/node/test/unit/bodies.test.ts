/**
 * Bodies from several peers, real nodes on loopback.
 *
 * 1. A long chain comes in order, from several peers, and the node says how far it has come.
 * 2. Peers that stop answering mid-range are left; one is enough.
 * 3. A peer that serves bodies that are not their headers' is charged and left; so is one whose block is invalid, and what hangs on it costs nobody.
 * 4. A node that ends in between goes on where it was.
 */
import { type Block, encodeBlock } from '@kvchain/core/block'
import { decodeBlocks, encodeBlocks } from '@kvchain/node/net/messages'
import { afterEach, expect, it } from 'vitest'
import { TestLedger } from '../helpers/ledger.js'
import { RelayNode, type RelayNodeOptions, until } from '../helpers/relayNode.js'

const LENGTH = 150
const nodes: RelayNode[] = []

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close()
})

async function open(options: RelayNodeOptions = {}): Promise<RelayNode> {
  const node = await RelayNode.open(options)
  nodes.push(node)
  return node
}

/** Blocks with a put each. */
async function makeChain(length = LENGTH): Promise<Block[]> {
  const ledger = await TestLedger.open()
  const blocks: Block[] = []
  for (let nonce = 0; nonce < length; nonce++) {
    await ledger.pool(ledger.put(`k${nonce % 7}`, `v${nonce}`, { from: 1, nonce }))
    blocks.push(...(await ledger.mine()))
  }
  await ledger.close()
  return blocks
}

async function openWith(blocks: readonly Block[], options: RelayNodeOptions = {}): Promise<RelayNode> {
  const node = await open(options)
  for (const block of blocks) await node.ledger.chain.addBlock(block, 'test', { durable: false })
  return node
}

async function join(node: RelayNode, others: readonly RelayNode[]): Promise<void> {
  await Promise.all(others.map((other) => node.host.dial(other.host.addresses()[0] ?? '')))
}

it('come from several peers, and the node says how far it has come', async () => {
  const blocks = await makeChain()
  const others = [await openWith(blocks), await openWith(blocks), await openWith(blocks)]
  const node = await open({ syncs: true })
  const heights: number[] = []
  const targets = new Set<number | undefined>()
  node.ledger.chain.tips.add(({ header }) => {
    heights.push(header.height)
    if (header.height < LENGTH - 3) targets.add(node.sync.progress?.targetHeight)
  })
  await join(node, others)
  await until('it has caught up', () => node.tip === others[0]?.tip)
  expect(heights).toEqual(Array.from({ length: LENGTH }, (_, i) => i + 1))
  expect([...targets]).toEqual([LENGTH])
  expect(node.sync.progress).toBeUndefined()
  expect(others.filter(({ streams }) => streams.counters.served > 3).length).toBeGreaterThan(1)
}, 60_000)

it('come from the one peer that is left when the others stop answering', async () => {
  const blocks = await makeChain()
  const silent = (): NonNullable<RelayNodeOptions['twist']> => {
    let answers = 1
    return {
      name: 'blocks',
      answer: (honest, request, from, signal) => {
        if (answers-- > 0) return honest(request, from, signal)
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      },
    }
  }
  const others = [await openWith(blocks)]
  for (let i = 0; i < 4; i++) others.push(await openWith(blocks, { twist: silent() }))
  const node = await open({ syncs: true })
  await join(node, others)
  await until('it has caught up', () => node.tip === others[0]?.tip)
  // It may be the line: no number of these hangs up on anybody.
  expect(node.charges.filter(({ reason }) => reason !== 'answer-slow')).toEqual([])
}, 60_000)

it('that are not their headers’ cost the peer that serves them, and come from another', async () => {
  const blocks = await makeChain()
  const lie = (bytes: Uint8Array | undefined, { header }: Block) => bytes && encodeBlock({ header, transactions: [] })
  const liar = await openWith(blocks, {
    twist: {
      name: 'blocks',
      answer: async (honest, ...call) => {
        const answer = decodeBlocks(await honest(...call))
        const byBytes = answer.map((bytes) =>
          blocks.find((block) => bytes && encodeBlock(block).join() === bytes.join()),
        )
        return encodeBlocks(answer.map((bytes, i) => (byBytes[i] ? lie(bytes, byBytes[i]) : bytes)))
      },
    },
  })
  const good = await openWith(blocks)
  const node = await open({ syncs: true })
  await join(node, [liar, good])
  await until('it has caught up', () => node.tip === good.tip)
  expect(new Set(node.charges.map(({ peerId, reason }) => `${peerId} ${reason}`))).toEqual(
    new Set([`${liar.peerId} block-mutated`]),
  )
  expect(node.ledger.chain.tree.bestHeader.invalid).toBe(false)
}, 60_000)

it('go on where they were when the node ends in between', async () => {
  const blocks = await makeChain()
  const other = await openWith(blocks)
  const first = await RelayNode.open({ syncs: true })
  await join(first, [other])
  await until('some have come', () => first.ledger.chain.tip.header.height >= 20)
  await first.leave()
  const reached = first.ledger.chain.tip.header.height
  const second = await open({ syncs: true, ledger: await first.ledger.reopen() })
  expect(second.ledger.chain.tip.header.height).toBe(reached)
  await join(second, [other])
  await until('it has caught up', () => second.tip === other.tip)
}, 60_000)
