/** What a write should pay: the least that the network takes, or more while more is pending than the next blocks have room for. */
import type { Result } from '@kvchain/client/contract'
import { minimumFee } from '@kvchain/core/rules'
import type { ReadContext } from './context.js'

/** `size` in bytes; `blocks`: in one of the next so many. */
export function estimateFee({ chain, mempool }: ReadContext, size: number, blocks: number): Result<'coin_fee'> {
  const { params } = chain
  const minimum = minimumFee(params, size)
  const room = { bytes: params.maxBlockBytes * blocks - size, count: (params.maxTransactions ?? Infinity) * blocks - 1 }
  const isCrowded = mempool.bytes > room.bytes || mempool.size > room.count
  const perByte = isCrowded
    ? Math.max(params.minFeePerByte, marginalFeePerByte(mempool.all(), room))
    : params.minFeePerByte
  const fee = Math.max(minimum, Math.ceil(perByte * size))
  return { fee, minimum, feePerByte: perByte, pendingBytes: mempool.bytes }
}

/** Just more than what the first pays that finds no room, when those who pay most go first. */
function marginalFeePerByte(
  pending: Iterable<{ readonly bytes: number; readonly feePerByte: number }>,
  room: { readonly bytes: number; readonly count: number },
): number {
  let { bytes, count } = room
  for (const pooled of [...pending].sort((a, b) => b.feePerByte - a.feePerByte)) {
    bytes -= pooled.bytes
    count--
    // One coin more for the whole transaction decides; see the rounding up.
    if (bytes < 0 || count < 0) return pooled.feePerByte + MARGIN_PER_BYTE
  }
  return 0
}

/** Coins for a byte: enough to be rounded up to one coin. */
const MARGIN_PER_BYTE = 0.001
