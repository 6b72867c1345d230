/** What the chain says after a run: blocks, what they hold, when the nodes had them, and which were made for nothing. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { KvClient } from '@kvchain/client/kvClient'
import type { Window } from './loads.js'

/** A block of the main chain. Times are monotonic milliseconds. */
export interface BlockFacts {
  readonly height: number
  readonly hash: string
  readonly transactions: number
  /** Operations of transactions that did what they say. */
  readonly puts: number
  /** Transactions that changed nothing. */
  readonly failed: number
  /** When the first node was seen to have it. */
  readonly firstMs: number
  /** When the last node was seen to have it. */
  readonly everywhereMs: number
}

/**
 * Reads the main chain above a height. `tips` says for each node when it was first seen with which tip. A node that was never seen with a
 * block as its tip had it when it was seen with one after it.
 */
export async function readBlocks(
  client: KvClient,
  aboveHeight: number,
  tips: readonly ReadonlyMap<string, number>[],
): Promise<BlockFacts[]> {
  const { height: tipHeight } = await client.call('chain_tip', {})
  const blocks: BlockFacts[] = []
  const seenMs = tips.map(() => Number.POSITIVE_INFINITY)
  for (let height = tipHeight; height > aboveHeight; height--) {
    const { hash, transactions } = await client.block(height)
    for (const [node, seen] of tips.entries()) {
      seenMs[node] = Math.min(seenMs[node] ?? Number.POSITIVE_INFINITY, seen.get(hash) ?? Number.POSITIVE_INFINITY)
    }
    const good = transactions.filter(({ outcome }) => outcome.code === 'ok')
    blocks.push({
      height,
      hash,
      transactions: transactions.length,
      puts: good.reduce((sum, { operations }) => sum + operations, 0),
      failed: transactions.length - good.length,
      firstMs: Math.min(...seenMs),
      everywhereMs: Math.max(...seenMs),
    })
  }
  return blocks.reverse()
}

/** Blocks up to a height that a daemon solved, by its log (level debug): stale ones are those that the main chain does not have. */
export async function countSolved(logFile: string, maxHeight: number): Promise<number> {
  let solved = 0
  for await (const line of createInterface({ input: createReadStream(logFile) })) {
    if (!line.includes('"msg":"block solved"')) continue
    const entry: unknown = JSON.parse(line)
    const height = typeof entry === 'object' && entry !== null && 'height' in entry ? Number(entry.height) : Number.NaN
    if (height <= maxHeight) solved++
  }
  return solved
}

/**
 * Puts that all nodes had confirmed, a second, from the last block before the window (or the begin of the load, when that was later) to the last
 * one in it: from block to block, so that it does not depend on how much of an interval the window cuts off. Undefined when there is no block in
 * the window.
 */
export function confirmedPerSecond(
  blocks: readonly BlockFacts[],
  { startMs, fromMs, untilMs }: Window,
): number | undefined {
  const before = blocks.findLast(({ everywhereMs }) => everywhereMs <= fromMs)
  const counted = blocks.filter(
    ({ height, everywhereMs }) => height > (before?.height ?? 0) && everywhereMs > fromMs && everywhereMs <= untilMs,
  )
  const last = counted.at(-1)
  if (last === undefined) return undefined
  const puts = counted.reduce((sum, block) => sum + block.puts, 0)
  return (puts * 1000) / (last.everywhereMs - Math.max(startMs, before?.everywhereMs ?? startMs))
}
