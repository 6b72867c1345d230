/**
 * Byzantine nodes among honest ones, in simulation: every behaviour, by one node and by all but one, with writes at the honest nodes all the time. Owns the load and
 * the counts; that nothing is lost, forged or split is looked at by the world's own checks, and fails the experiment.
 */
import { toHex } from '@kvchain/core/bytes'
import { unhex } from '@kvchain/node/runtime/hex'
import { Random } from '../../difficulty/random.js'
import type { Table } from '../../difficulty/table.js'
import { bars } from '../../plots.js'
import { BEHAVIOURS } from '../../sim/behaviours.js'
import { Checks } from '../../sim/checks.js'
import { below } from '../../sim/runtime.js'
import { makeWorld, type World } from '../../sim/world.js'
import type { Bench, Report } from '../report.js'

export interface ByzantineOptions {
  readonly nodes: number
  /** How many of them are byzantine, a case for each. */
  readonly byzantine: readonly number[]
  /** Of all hash power, theirs together. */
  readonly share: number
  /** Virtual, of load. */
  readonly minutes: number
}

interface ByzantineResult {
  readonly behaviour: string
  readonly byzantine: number
  readonly accepted: number
  readonly writesPerMinute: number
  /** From the end of the load until the honest nodes had one tip and nothing pending. */
  readonly restSeconds: number
  /** Of the main chain's blocks, those of byzantine nodes. */
  readonly theirBlocks: number
}

const BLOCK_MS = 5_000
const WRITES_PER_MINUTE = 60
const MAX_REST_MS = 30 * 60_000
/** Events between two looks at all nodes. */
const FULL_EVERY = 20_000

/** Each behaviour with each number of nodes. Throws LabError `lab-broken` when something must not be. */
export async function byzantineFaults(options: ByzantineOptions, bench: Bench): Promise<Report> {
  const results: ByzantineResult[] = []
  const cases = [undefined, ...BEHAVIOURS].flatMap((make) =>
    (make === undefined ? [0] : options.byzantine).map((count) => ({ make, count })),
  )
  for (const [i, { make, count }] of cases.entries()) {
    bench.signal.throwIfAborted()
    const name = make?.().name ?? 'none'
    bench.onProgress(i, cases.length, `${name}, ${count} of ${options.nodes}`)
    results.push(await suffer(make, count, options, bench))
  }
  return reportOf(results, options, bench.seed)
}

async function suffer(
  make: (typeof BEHAVIOURS)[number] | undefined,
  count: number,
  options: ByzantineOptions,
  { seed, signal }: Bench,
): Promise<ByzantineResult> {
  const honest = options.nodes - count
  const share = count === 0 ? 0 : options.share
  const nodes = Array.from({ length: options.nodes }, (_, i) =>
    i < honest || make === undefined
      ? { hashShare: (1 - share) / honest }
      : { hashShare: share / count, byzantine: make() },
  )
  const network = { blockIntervalMs: BLOCK_MS }
  const world = await makeWorld({ seed: seed * 7919 + count, nodes, network, bootstrap: options.nodes - 1 })
  const checks = new Checks(world, { fullEvery: FULL_EVERY })
  const startMs = world.nowMs
  const random = new Random(seed, count)
  const txids: string[] = []
  const writes = Math.round(options.minutes * WRITES_PER_MINUTE)
  for (let i = 0; i < writes; i++) {
    signal.throwIfAborted()
    const writer = world.node(below(random, honest))
    txids.push(await world.finish(writer.put(`key ${writer.index} ${i % 10}`, `${i}`)))
    await world.run(startMs + ((i + 1) * 60_000) / WRITES_PER_MINUTE)
  }
  const endMs = world.nowMs
  const store = world.node(0).up.ledger.store
  const inTime = txids.filter((txid) => store.isIndexed(unhex(txid))).length
  const restMs = await world.rest(MAX_REST_MS)
  checks.atRest()
  const minutes = (endMs - startMs) / 60_000
  return {
    behaviour: make?.().name ?? 'none',
    byzantine: count,
    accepted: txids.length,
    writesPerMinute: inTime / minutes,
    restSeconds: restMs / 1_000,
    theirBlocks: theirsOf(world, honest),
  }
}

function theirsOf(world: World, honest: number): number {
  const theirs = new Set(world.nodes.slice(honest).map(({ options }) => toHex(options.account.publicKey)))
  let [blocks, all] = [0, 0]
  for (let at = world.node(0).tip; at.parent !== undefined; at = at.parent) {
    all++
    if (theirs.has(toHex(at.header.miner))) blocks++
  }
  return blocks / all
}

function reportOf(results: readonly ByzantineResult[], options: ByzantineOptions, seed: number): Report {
  const table: Table = {
    name: 'faults',
    title: 'Byzantine nodes under load',
    columns: [
      { name: 'behaviour' },
      { name: 'byzantine' },
      { name: 'accepted' },
      { name: 'in a block a minute', digits: 1 },
      { name: 'rest s', digits: 1 },
      { name: 'their blocks %', digits: 1 },
      { name: 'lost' },
    ],
    // One lost write would have failed the experiment.
    rows: results.map((one) => [
      ...[one.behaviour, one.byzantine, one.accepted, one.writesPerMinute, one.restSeconds, 100 * one.theirBlocks, 0],
    ]),
  }
  return {
    experiment: 'faults',
    title: 'Byzantine nodes, simulated',
    about: [
      'Whole nodes in virtual time, of which some misbehave and have a part of the hash power together; clients write at the honest ones, one write a second. Asked all the time: every honest node is on the best valid chain that it could have, its state is that ' +
        'of a replay from genesis, nothing on it lacks a signature, its pools are within their bounds. At the end: the honest ones have one tip, and every write that one of them accepted is on it. Anything else fails the experiment.',
      'rest s is how long that took after the last write; their blocks is the byzantine nodes’ part of the main chain.',
    ],
    isSimulated: true,
    settings: {
      seed,
      nodes: options.nodes,
      byzantine: options.byzantine.join(', '),
      'their share of the hash power': options.share,
      'minutes of load': options.minutes,
    },
    tables: [table],
    plots: [
      bars(
        'faults',
        'Writes in a block a minute, of 60',
        [...new Set(results.map(({ behaviour }) => behaviour))],
        { name: 'writes a minute' },
        [...new Set(results.map(({ byzantine }) => byzantine))]
          .filter((count) => count > 0)
          .map((count) => ({
            name: `${count} byzantine`,
            values: [...new Set(results.map(({ behaviour }) => behaviour))].map(
              (behaviour) =>
                results.find((one) => one.behaviour === behaviour && (one.byzantine === count || one.byzantine === 0))
                  ?.writesPerMinute ?? 0,
            ),
          })),
      ),
    ],
  }
}
