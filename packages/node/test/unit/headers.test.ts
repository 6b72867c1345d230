/**
 * Headers of peers, before anything of them is kept. KVCHAIN_LONG=1: ten times as many.
 *
 * 1. Cheap headers, however many, are counted and not kept, and take less than 10 MB of memory; an honest peer's chain is had meanwhile.
 * 2. A chain that shows enough work only after several answers is had in two passes.
 * 3. Another chain the second time is noticed before any of it is kept; a last header that claims work without having it keeps none before it.
 * 4. A new network, on which there is little work yet, is had at once.
 * 5. The bits that are kept notice a switch at any height within what is held back, and take little memory.
 */
import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ZERO_32 } from '@kvchain/core/bytes'
import { nextTarget } from '@kvchain/core/difficulty'
import type { Genesis } from '@kvchain/core/genesis'
import { type Header, headerHash } from '@kvchain/core/header'
import { type Network, type Params, parseNetwork } from '@kvchain/core/params'
import { meetsTarget } from '@kvchain/core/pow'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { decodeHashes, encodeHeaders, MAX_HEADERS, MAX_LOCATOR } from '@kvchain/node/net/messages'
import { hex } from '@kvchain/node/runtime/hex'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { Commitments } from '@kvchain/node/sync/headerWalk'
import { afterEach, expect, it } from 'vitest'
import { easyNetworkJson } from '../helpers/ledger.js'
import { RelayNode, type RelayNodeOptions, until } from '../helpers/relayNode.js'

const isLong = process.env.KVCHAIN_LONG === '1'
const CHEAP = isLong ? 1_000_000 : 100_000
const CHEAP_TIMEOUT_MS = isLong ? 1_200_000 : 240_000
const MAX_KEPT_BYTES = 10_000_000
const nodes: RelayNode[] = []

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close()
})

async function open(options: RelayNodeOptions = {}): Promise<RelayNode> {
  const node = await RelayNode.open(options)
  nodes.push(node)
  return node
}

function networkWith(minimumChainwork: number, consensus = {}): Network {
  const json = easyNetworkJson(consensus)
  const policy = { mining: 'always', settleDepth: 3, listen: [], bootstrap: [] }
  return parseNetwork({ ...json, policy: { ...policy, minimumChainwork: minimumChainwork.toString(16) } })
}

/** A nonce that gives the header enough work. */
function solved(header: Omit<Header, 'nonce'>): Header {
  for (let nonce = 0; ; nonce++) {
    const tried = { ...header, nonce }
    if (meetsTarget(headerHash(sha256, tried), header.target)) return tried
  }
}

/** Headers without blocks, from genesis on, each `stepMs` after the one before it. */
function* fakeHeaders(
  params: Params,
  genesis: Genesis,
  count: number,
  stepMs: (height: number) => number,
  miner = 1,
): Generator<Header> {
  let [parent, grandparent]: [Header, Header | undefined] = [genesis.header, undefined]
  let hash = genesis.hash
  for (let height = 1; height <= count; height++) {
    const header = solved({
      parent: hash,
      height,
      timestampMs: parent.timestampMs + stepMs(height),
      target: nextTarget(params, parent, grandparent),
      txRoot: ZERO_32,
      stateRoot: ZERO_32,
      miner: new Uint8Array(32).fill(miner),
    })
    hash = headerHash(sha256, header)
    ;[parent, grandparent] = [header, parent]
    yield header
  }
}

/** Serves headers that `chainOf` gives for each request, and says that its tip is better than anything. */
async function openServing(network: Network, chainOf: (request: number) => readonly Header[]): Promise<RelayNode> {
  let requests = 0
  const heights = new Map<readonly Header[], Map<string, number>>()
  const indexOf = (headers: readonly Header[]) => {
    const known = heights.get(headers)
    if (known !== undefined) return known
    const made = new Map(headers.map((header) => [hex(headerHash(sha256, header)), header.height]))
    heights.set(headers, made)
    return made
  }
  return open({
    network,
    twist: {
      name: 'headers',
      answer: async (_honest, request) => {
        const headers = chainOf(requests++)
        const found = decodeHashes(request, MAX_LOCATOR).map((hash) => indexOf(headers).get(hex(hash)))
        const from = found.find((height) => height !== undefined) ?? 0
        return encodeHeaders(headers.slice(from, from + MAX_HEADERS))
      },
    },
  })
}

/** Serves full answers that were made before: a million headers as objects would keep this process busy for longer than anybody waits. */
async function openServingMany(
  network: Network,
  headers: Iterable<Header>,
  onRequest: (request: number) => void,
): Promise<RelayNode> {
  const answers: Uint8Array[] = []
  const answerAfter = new Map<string, number>()
  let batch: Header[] = []
  for (const header of headers) {
    batch.push(header)
    if (batch.length < MAX_HEADERS) continue
    answers.push(encodeHeaders(batch))
    answerAfter.set(hex(headerHash(sha256, header)), answers.length)
    batch = []
  }
  let requests = 0
  return open({
    network,
    twist: {
      name: 'headers',
      answer: async (_honest, request) => {
        onRequest(requests++)
        const found = decodeHashes(request, MAX_LOCATOR).map((hash) => answerAfter.get(hex(hash)))
        return answers[found.find((index) => index !== undefined) ?? 0] ?? encodeHeaders([])
      },
    },
  })
}

/** Bytes of this process's objects and arrays that are in use. */
function usedBytes(): number {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc')
  // The memory of arrays is given back after the first.
  for (let n = 0; n < 2; n++) gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** As if the peer had told of a tip that is better than ours. */
function hearOf(node: RelayNode, peer: RelayNode): void {
  node.sync.onStatus(peer.peerId, { tipHash: new Uint8Array(32).fill(1), height: 1, chainwork: 1n << 200n })
}

async function dial(node: RelayNode, other: RelayNode): Promise<void> {
  await node.host.dial(other.host.addresses()[0] ?? '')
}

it(
  `that are cheap are not kept, be they ${CHEAP}, and an honest chain is had meanwhile`,
  async () => {
    // 256 hashes a block, or ten times as many: but when a block takes very long, the next is half as much work.
    const initialTarget = (isLong ? '0019' : '00ff').padEnd(64, 'f')
    const slow = { targetRule: 'relative-exponential', initialTarget, blockIntervalMs: 10 } as const
    const wide = { ...slow, targetWindowBlocks: 100_000, solveTimeClampBlocks: 100_000 }
    const network = networkWith(Math.floor(CHEAP * 1.2), wide)
    const honest = await open({ network })
    const { chain } = honest.ledger
    while (chain.tip.chainwork <= CHEAP * 1.2) {
      const { header, transactions } = await honest.ledger.solve()
      await chain.addBlock({ header: solved(header), transactions }, 'test', { durable: false })
    }
    const params = network.params
    // Each after one interval: the target stays where the first ones took it.
    const step = (height: number) => (height < 20 ? 1_000_000 : params.blockIntervalMs)
    const cheap = fakeHeaders(params, honest.ledger.genesis, CHEAP, step)
    const used: number[] = []
    let counted = 0
    const liar = await openServingMany(network, cheap, (request) => {
      counted = request * MAX_HEADERS
      if (request === 3 || request === CHEAP / MAX_HEADERS - 1) used.push(usedBytes())
    })
    const node = await open({ network, syncs: true })
    await dial(node, liar)
    hearOf(node, liar)
    await until('some are counted', () => liar.streams.counters.served > 5)
    await dial(node, honest)
    await until('the honest chain is had', () => node.tip === honest.tip)
    while (counted < CHEAP) await systemRuntime().timers.sleep(100)
    const [before = 0, after = 0] = used
    process.stdout.write(`${CHEAP} cheap headers: ${after - before} bytes kept\n`)
    expect(used).toHaveLength(2)
    expect(after - before).toBeLessThan(MAX_KEPT_BYTES)
    expect(node.ledger.chain.tree.size).toBe(honest.ledger.chain.tree.size)
    expect(node.charges).toEqual([])
  },
  CHEAP_TIMEOUT_MS,
)

it('that show enough work after several answers are had in two passes', async () => {
  const network = networkWith(4_500)
  const empty = await open({ network })
  const headers = [...fakeHeaders(network.params, empty.ledger.genesis, 5_000, () => 1)]
  let size = 0
  const peer = await openServing(network, (request) => {
    // Three answers are counted, with nothing kept.
    if (request === 3) size = node.ledger.chain.tree.size
    return headers
  })
  const node = await open({ network, syncs: true })
  await dial(node, peer)
  hearOf(node, peer)
  await until('they are had', () => node.ledger.chain.tree.bestHeader.header.height === 5_000)
  expect(size).toBe(1)
}, 60_000)

it('that are others the second time are noticed before one is kept', async () => {
  const network = networkWith(4_500)
  const empty = await open({ network })
  const { genesis } = empty.ledger
  const [first, second] = [1, 2].map((miner) => [...fakeHeaders(network.params, genesis, 5_000, () => 1, miner)])
  const liar = await openServing(network, (request) => (request < 3 ? first : second) ?? [])
  const node = await open({ network, syncs: true })
  await dial(node, liar)
  hearOf(node, liar)
  await until('the second pass has begun', () => liar.streams.counters.served > 4)
  await node.leave()
  expect(node.ledger.chain.tree.size).toBe(1)
}, 60_000)

it('before one that only claims to be work are not kept', async () => {
  const network = networkWith(1_000, { targetRule: 'relative-exponential' })
  const empty = await open({ network })
  const headers = [...fakeHeaders(network.params, empty.ledger.genesis, 100, () => 1_000)]
  const last = headers[99] as Header
  const claim = { ...last, target: new Uint8Array(32).fill(1, 1, 2) }
  const liar = await openServing(network, () => [...headers.slice(0, 99), claim])
  const node = await open({ network, syncs: true })
  await dial(node, liar)
  hearOf(node, liar)
  await until('it is charged', () => node.charges.length > 0)
  expect(node.charges).toEqual([{ peerId: liar.peerId, points: 100, reason: 'block-pow' }])
  expect(node.ledger.chain.tree.size).toBe(1)
}, 60_000)

it('of a new network with little work are had at once', async () => {
  const peer = await open()
  await peer.ledger.mine(3)
  const node = await open({ syncs: true })
  await dial(node, peer)
  await until('they are had', () => node.tip === peer.tip)
}, 60_000)

it('switched at any height do not fit the bits within what is held back', () => {
  const runtime = systemRuntime()
  const hashOf = (chain: number, height: number) => sha256(new Uint8Array([chain, height >> 8, height & 255]))
  const length = 2_500
  for (let run = 0; run < (isLong ? 1_000 : 100); run++) {
    const commitments = new Commitments(runtime)
    for (let height = 1; height <= length; height++) commitments.note(height, hashOf(1, height))
    const at = 1 + runtime.random.below(length - 1_100)
    let height = 1
    while (commitments.admits(height, hashOf(height < at ? 1 : 2 + (run % 200), height))) height++
    expect(height).toBeGreaterThanOrEqual(at)
    expect(height).toBeLessThan(at + 1_024)
    const beyond = Array.from({ length: 32 }, (_, i) => commitments.admits(length + 1 + i, hashOf(1, length + 1 + i)))
    expect(beyond.filter((fits) => !fits)).toHaveLength(1)
  }
  const many = new Commitments(runtime)
  for (let height = 1; height <= 1_000_000; height += 1) many.note(height, ZERO_32)
  expect(many.bytes).toBeLessThan(100_000)
}, 60_000)

it.runIf(isLong)(
  'of a reorganisation of 4,000 blocks are had',
  async () => {
    const [node, peer] = [await open({ syncs: true }), await open()]
    const grow = async (on: RelayNode, count: number, miner: number) => {
      for (let i = 0; i < count; i++)
        await on.ledger.chain.addBlock(await on.ledger.solve(miner), 'test', { durable: false })
    }
    await grow(node, 4_000, 8)
    await grow(peer, 4_002, 9)
    await dial(node, peer)
    await until('they are had', () => node.ledger.chain.tree.bestHeader.header.height === 4_002)
    while (node.tip !== peer.tip) await systemRuntime().timers.sleep(100)
  },
  1_200_000,
)
