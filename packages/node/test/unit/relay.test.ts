/**
 * Blocks between real nodes on loopback.
 *
 * 1. A block whose transactions are everywhere travels as its announcement alone, through nodes in a row.
 * 2. What a node lacks: it comes along when it was never told, is asked for otherwise, of others when the announcer is silent.
 * 3. An announcement that is not its block's: the block is had all the same, the announcement stops there, a few points, no mark on the hash.
 * 4. A block that only execution shows to be invalid is passed on before that; whoever passed it on is not charged.
 * 5. A header without work, or a block whose bytes the header commits to break a rule, is the announcer's fault.
 */
import type { Block } from '@kvchain/core/block'
import { transactionRoot } from '@kvchain/core/block'
import { encodeWith } from '@kvchain/core/codec'
import { writeHeader } from '@kvchain/core/header'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { encodeAnnouncement, SALT_BYTES } from '@kvchain/node/net/announcement'
import { hex } from '@kvchain/node/runtime/hex'
import { afterEach, describe, expect, it } from 'vitest'
import { RelayNode, until } from '../helpers/relayNode.js'

const SALT = new Uint8Array(SALT_BYTES).fill(7)
const nodes: RelayNode[] = []

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close()
})

async function open(options: { serves?: boolean } = {}): Promise<RelayNode> {
  const node = await RelayNode.open(options)
  nodes.push(node)
  return node
}

/** Nodes that are connected in a row. */
async function row(count: number): Promise<RelayNode[]> {
  const made: RelayNode[] = []
  for (let i = 0; i < count; i++) made.push(await open())
  for (const [i, node] of made.entries()) if (i > 0) await node.connect(made[i - 1] as RelayNode)
  return made
}

function putsOf(node: RelayNode, count: number) {
  return Array.from({ length: count }, (_, nonce) => node.ledger.put(`k${nonce}`, `v${nonce}`, { from: 1, nonce }))
}

/** Mines a block of what the node holds and announces it as its miner does. */
async function mineAndAnnounce(node: RelayNode): Promise<string> {
  await node.ledger.mine()
  node.relay.announce(node.ledger.chain.tip)
  return node.tip
}

function requestsServed(all: readonly RelayNode[]): number {
  return all.reduce((sum, { streams }) => sum + streams.counters.served, 0)
}

describe('a block', () => {
  it('of transactions that all have travels as its announcement alone', async () => {
    const all = await row(3)
    const [a, b, c] = all as [RelayNode, RelayNode, RelayNode]
    for (const node of all) await node.ledger.pool(...putsOf(node, 30))
    const hash = await mineAndAnnounce(a)
    await until('all have it', () => all.every(({ tip }) => tip === hash))
    expect(requestsServed(all)).toBe(0)
    expect([a, b, c].flatMap(({ charges }) => charges)).toEqual([])
  }, 60_000)

  it('is completed by asking for what is missing', async () => {
    const all = await row(3)
    const [a, b, c] = all as [RelayNode, RelayNode, RelayNode]
    const puts = putsOf(a, 20)
    await a.ledger.pool(...puts)
    await c.ledger.pool(...puts.filter((_, i) => i < 10))
    const hash = await mineAndAnnounce(a)
    await until('all have it', () => all.every(({ tip }) => tip === hash))
    expect([a, b, c].map(({ streams }) => streams.counters.served)).toEqual([1, 1, 0])
  }, 60_000)

  it('brings along what its miner had not told', async () => {
    const all = await row(2)
    const [a] = all as [RelayNode]
    const puts = putsOf(a, 5)
    await a.ledger.pool(...puts)
    a.relay.tell(puts)
    const hash = await mineAndAnnounce(a)
    await until('all have it', () => all.every(({ tip }) => tip === hash))
    expect(requestsServed(all)).toBe(0)
  }, 60_000)

  it('is asked of others when whoever announced it does not answer', async () => {
    const [silent, good, node] = [await open({ serves: false }), await open(), await open()]
    await node.connect(silent)
    await node.connect(good)
    await silent.ledger.pool(...putsOf(silent, 5))
    const block = await silent.ledger.solve()
    await good.ledger.chain.addBlock(block, 'test')
    await silent.gossip.publish('blocks', encodeAnnouncement(sha256, block, SALT))
    await until('it is there', () => node.tip === good.tip)
    expect(node.charges).toEqual([])
  }, 60_000)
})

describe('an announcement that is not its block’s', () => {
  const lies: readonly [string, (block: Block) => Block][] = [
    [
      'names the transactions in another order',
      (block) => ({ ...block, transactions: block.transactions.toReversed() }),
    ],
    ['leaves one out', (block) => ({ ...block, transactions: block.transactions.filter((_, i) => i > 0) })],
    [
      'tells another outcome',
      ({ header, transactions }) => ({
        header,
        transactions: transactions.map(({ transaction }) => ({
          transaction,
          outcome: { code: 'not-owner', operation: 0 },
        })),
      }),
    ],
  ]

  it.each(lies)(
    'and %s: the block is had, the announcement stops there',
    async (_what, lie) => {
      const all = await row(3)
      const [a, b, c] = all as [RelayNode, RelayNode, RelayNode]
      for (const node of all) await node.ledger.pool(...putsOf(node, 5))
      const [block] = (await a.ledger.mine()) as [Block]
      await a.gossip.publish('blocks', encodeAnnouncement(sha256, lie(block), SALT))
      await until('b has it', () => b.tip === a.tip)
      expect(b.charges).toEqual([{ peerId: a.peerId, points: 10, reason: 'block-announcement' }])
      expect(b.gossip.counters('blocks')).toMatchObject({ ignored: 1, accepted: 0 })
      b.relay.announce(b.ledger.chain.tip)
      await until('c has it', () => c.tip === a.tip)
      expect(c.charges).toEqual([])
    },
    60_000,
  )

  it('of a block too large to name its transactions, is passed on', async () => {
    const all = await row(3)
    const [a] = all as [RelayNode]
    for (const node of all) await node.ledger.pool(...putsOf(node, 5))
    const [block] = (await a.ledger.mine()) as [Block]
    await a.gossip.publish('blocks', encodeAnnouncement(sha256, block, SALT, [], 210))
    await until('all have it', () => all.every(({ tip }) => tip === a.tip))
    expect(all.flatMap(({ charges }) => charges)).toEqual([])
  }, 60_000)
})

describe('a block that breaks a rule', () => {
  it('which only execution shows, is passed on, and nobody is charged for that', async () => {
    const all = await row(3)
    const [a, b, c] = all as [RelayNode, RelayNode, RelayNode]
    for (const node of all) await node.ledger.pool(...putsOf(node, 5))
    const block = await a.ledger.solve()
    const bad = { ...block, header: { ...block.header, stateRoot: new Uint8Array(32).fill(9) } }
    await a.gossip.publish('blocks', encodeAnnouncement(sha256, bad, SALT))
    const markOf = (node: RelayNode) => node.ledger.chain.tree.get(Buffer.from(node.ledger.hashOf(bad), 'hex'))?.invalid
    await until('both have judged it', () => markOf(b) === true && markOf(c) === true)
    expect(b.gossip.counters('blocks')).toMatchObject({ accepted: 1 })
    expect([...b.charges, ...c.charges]).toEqual([])
    expect(new Set([b.tip, c.tip])).toEqual(new Set([hex(b.ledger.genesis.hash)]))
    expect(b.ledger.fatal).toEqual([])
  }, 60_000)

  it('which its bytes show, is the announcer’s fault', async () => {
    const [a, b] = (await row(2)) as [RelayNode, RelayNode]
    const wrong = a.ledger.put('k0', 'v', { from: 1, nonce: 0 })
    const transaction = { ...wrong, values: [new Uint8Array(2)] }
    const block = await a.ledger.solve()
    const transactions = [{ transaction, outcome: { code: 'ok' } as const }]
    const header = { ...block.header, height: 7, txRoot: transactionRoot(sha256, transactions) }
    await a.gossip.publish('blocks', encodeAnnouncement(sha256, { header, transactions: [] }, SALT))
    await until('it is judged', () => b.charges.length > 0)
    expect(b.charges).toEqual([{ peerId: a.peerId, points: 100, reason: 'block-height' }])
  }, 60_000)

  it('or is none at all, likewise', async () => {
    const [a, b] = (await row(2)) as [RelayNode, RelayNode]
    const block = await a.ledger.solve()
    await a.gossip.publish(
      'blocks',
      encodeWith((writer) => writeHeader(writer, block.header)),
    )
    await until('it is judged', () => b.charges.length > 0)
    expect(b.charges).toEqual([{ peerId: a.peerId, points: 50, reason: 'codec-truncated' }])
  }, 60_000)
})
