/**
 * The relay scenario: blocks over links that delay, between real nodes in one process. Owns the two measurements, the relay's and that of the same
 * blocks sent whole over the same kind of mesh, and what counts: from the announcement until each node has header and bytes.
 */
import { join } from 'node:path'
import process from 'node:process'
import { type Block, blockSize, encodeBlock } from '@kvchain/core/block'
import type { Network } from '@kvchain/core/params'
import type { Transaction } from '@kvchain/core/transaction'
import { TempDir } from '@kvchain/lab/tempDir'
import { waitUntil } from '@kvchain/lab/wait'
import { Ledger } from '@kvchain/node/ledger'
import { BlocksInHand } from '@kvchain/node/net/blocksInHand'
import { Fetcher } from '@kvchain/node/net/fetcher'
import { Relay } from '@kvchain/node/net/relay'
import { serveSync } from '@kvchain/node/net/server'
import { Streams } from '@kvchain/node/net/streams/streams'
import { NO_FAILPOINTS } from '@kvchain/node/runtime/failpoints'
import { hex } from '@kvchain/node/runtime/hex'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { BenchError } from '../errors.js'
import type { RelayBenchOptions } from '../options.js'
import { describeCommit, describeMachine, type Machine, readMachineCpuSeconds } from '../resources.js'
import { type Summary, summarize } from '../stats.js'
import { percent, row, whole } from '../table.js'
import { ChainMaker } from './chainMaker.js'
import { writeEasyNetwork } from './easyNetwork.js'
import { type LinkedNode, LinkedNodes } from './linkedNodes.js'

/** Of one way of sending blocks. */
export interface Spread {
  /** From the announcement until a node has header and bytes, of every block and node. */
  readonly latencyMs: Summary
  readonly bytesPerBlockAndNode: number
}

export interface RelayReport {
  readonly scenario: 'relay'
  readonly date: string
  readonly commit: string
  readonly dirty: boolean
  readonly machine: Machine
  readonly options: RelayBenchOptions
  /** Of one block, on average. */
  readonly blockBytes: number
  readonly relayed: Spread
  /** The same blocks as gossip messages. */
  readonly flooded: Spread
  /** Bytes of the relay by those of flooding. */
  readonly ratioToFlooding: number
  /** What the machine spent on other processes meanwhile. */
  readonly otherCpuSeconds: number | undefined
}

interface Member extends LinkedNode {
  readonly ledger: Ledger
  readonly streams: Streams
  readonly relay: Relay
}

const WAIT_MS = 120_000
/** Gossip goes on talking for a moment after everybody has a block. */
const SETTLE_MS = 300

const runtime = systemRuntime()
const { clock, timers, random } = runtime

export async function runRelayScenario(
  options: RelayBenchOptions,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<RelayReport> {
  const date = new Date(clock.nowMs()).toISOString()
  const folder = await TempDir.make('relay')
  const cpuBefore = await otherCpuSeconds()
  try {
    const { network } = await writeEasyNetwork(folder.path, 'bench-relay')
    say(`relaying ${options.blocks} blocks between ${options.nodes} nodes`)
    const { spread: relayed, blocks } = await relayBlocks(options, network, folder.path, signal)
    say('sending the same blocks whole')
    const flooded = await floodBlocks(options, blocks, signal)
    const cpuAfter = await otherCpuSeconds()
    return {
      scenario: 'relay',
      date,
      ...(await describeCommit()),
      machine: describeMachine(),
      options,
      blockBytes: Math.round(blocks.reduce((sum, block) => sum + blockSize(block), 0) / blocks.length),
      relayed,
      flooded,
      ratioToFlooding: relayed.bytesPerBlockAndNode / flooded.bytesPerBlockAndNode,
      otherCpuSeconds: cpuAfter === undefined || cpuBefore === undefined ? undefined : cpuAfter - cpuBefore,
    }
  } finally {
    await folder.remove()
  }
}

async function otherCpuSeconds(): Promise<number | undefined> {
  const machine = await readMachineCpuSeconds()
  const { user, system } = process.cpuUsage()
  return machine === undefined ? undefined : machine - (user + system) / 1e6
}

async function relayBlocks(options: RelayBenchOptions, network: Network, folder: string, signal: AbortSignal) {
  const maker = await ChainMaker.open(network, join(folder, 'maker'), options.valueBytes)
  const linked = await LinkedNodes.open(options.nodes, maker.networkId, options.delayMs)
  const members: Member[] = []
  try {
    for (const [index, node] of linked.nodes.entries()) {
      members.push(await openMember(node, network, join(folder, String(index))))
    }
    await linked.mesh(signal)
    const blocks: Block[] = []
    const latencies: number[] = []
    let bytes = 0
    for (let i = 0; i < options.blocks; i++) {
      const puts = maker.puts(options.transactions)
      for (const { ledger } of members)
        await learn(ledger, puts, members[0]?.ledger === ledger ? 0 : options.missingPercent)
      const block = await maker.add(puts)
      blocks.push(block)
      const before = linked.carried
      latencies.push(...(await relayOne(members, block, signal)))
      await timers.sleep(SETTLE_MS, signal)
      bytes += linked.carried - before
      const isEverywhere = () => members.every(({ ledger }) => ledger.chain.tip.header.height === block.header.height)
      await waitUntil(isEverywhere, { what: 'the block everywhere', timeoutMs: WAIT_MS, signal })
    }
    return { spread: spreadOf(latencies, bytes, options), blocks }
  } finally {
    for (const { relay, streams, ledger } of members) {
      await relay.stop()
      await streams.stop()
      await ledger.stop()
    }
    await linked.stop()
    await maker.stop()
  }
}

async function openMember({ host, gossip }: LinkedNode, network: Network, dataDir: string): Promise<Member> {
  const onFatal = (error: unknown) => {
    throw error
  }
  const ledger = new Ledger({ network, dataDir, verifyThreads: 0 }, { runtime, failpoints: NO_FAILPOINTS, onFatal })
  await ledger.start()
  const { chain, mempool, own } = ledger
  const streams = new Streams({}, { runtime, host })
  const inHand = new BlocksInHand()
  const fetcher = new Fetcher(streams, chain.genesis.hash, network.params.maxBlockBytes)
  const peerIds = () => host.peerIds()
  const [penalize, onBehind] = [fail, fail]
  const relay = new Relay({ runtime, chain, mempool, own, gossip, fetcher, inHand, peerIds, penalize, onBehind })
  await serveSync({ chain, mempool, inHand, streams, onStatus: () => {} })
  await streams.start()
  await relay.start()
  return { host, gossip, ledger, streams, relay }
}

function fail(peerId: string): void {
  throw new BenchError('bench-failed', `a block did not come as it should from ${peerId}`)
}

/** As if gossip had brought the transactions, but for some. */
async function learn(ledger: Ledger, puts: readonly Transaction[], missingPercent: number): Promise<void> {
  await ledger.mempool.addAll(puts.filter(() => random.below(100) >= missingPercent))
  await timers.yield()
}

/** The first node announces a block. Returns for each of the others after how many milliseconds it had header and bytes. */
async function relayOne(members: readonly Member[], block: Block, signal: AbortSignal): Promise<number[]> {
  const [first, ...others] = members
  if (first === undefined) return []
  await first.ledger.chain.addBlock(block, 'bench', { durable: false })
  const latencies: number[] = []
  const startMs = clock.monotonicMs()
  const removers = others.map(({ relay }) => relay.received.add(() => latencies.push(clock.monotonicMs() - startMs)))
  first.relay.announce(first.ledger.chain.tip)
  await waitUntil(() => latencies.length >= others.length, {
    what: 'the block',
    timeoutMs: WAIT_MS,
    everyMs: 20,
    signal,
  })
  for (const remove of removers) remove()
  return latencies
}

async function floodBlocks(options: RelayBenchOptions, blocks: readonly Block[], signal: AbortSignal): Promise<Spread> {
  const linked = await LinkedNodes.open(options.nodes, hex(random.bytes(8)), options.delayMs)
  const [first, ...others] = linked.nodes
  const latencies: number[] = []
  let startMs = 0
  try {
    for (const { gossip } of others) {
      gossip.setHandler('blocks', async () => {
        latencies.push(clock.monotonicMs() - startMs)
        return 'accept'
      })
    }
    await linked.mesh(signal)
    const before = linked.carried
    for (const [i, block] of blocks.entries()) {
      startMs = clock.monotonicMs()
      await first?.gossip.publish('blocks', encodeBlock(block))
      const isThere = () => latencies.length >= (i + 1) * others.length
      await waitUntil(isThere, { what: 'the whole block', timeoutMs: WAIT_MS, everyMs: 20, signal })
      await timers.sleep(SETTLE_MS, signal)
    }
    return spreadOf(latencies, linked.carried - before, options)
  } finally {
    await linked.stop()
  }
}

function spreadOf(latencies: readonly number[], bytes: number, { blocks, nodes }: RelayBenchOptions): Spread {
  const latencyMs = summarize(latencies)
  if (latencyMs === undefined) throw new BenchError('bench-failed', 'no block came')
  return { latencyMs, bytesPerBlockAndNode: Math.round(bytes / (blocks * nodes)) }
}

export function formatRelayReport({ options, machine, commit, dirty, ...report }: RelayReport): string {
  const { relayed, flooded } = report
  const both = (name: string, figure: (spread: Spread) => number) =>
    row(name, whole(figure(relayed)), whole(figure(flooded)))
  return [
    `relay: ${options.blocks} blocks of ${options.transactions} puts, ${options.nodes} nodes in one process, links of ${options.delayMs} ms, ${options.missingPercent} % not told before`,
    `${machine.cpu}, ${machine.cores} cores, node ${machine.node}; commit ${commit.slice(0, 12)}${dirty ? ' and changes' : ''}`,
    '',
    row('', 'relayed', 'sent whole'),
    both('ms until a node has it, p50', ({ latencyMs }) => latencyMs.p50),
    both('  p99', ({ latencyMs }) => latencyMs.p99),
    both('  at most', ({ latencyMs }) => latencyMs.max),
    both('bytes sent a block and node', ({ bytesPerBlockAndNode }) => bytesPerBlockAndNode),
    row('  as a share of flooding', percent(report.ratioToFlooding)),
    row('bytes of a block', whole(report.blockBytes)),
    row('CPU seconds of others meanwhile', whole(report.otherCpuSeconds)),
  ].join('\n')
}
