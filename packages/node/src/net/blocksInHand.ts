/**
 * Blocks that were passed on and are being executed: whoever heard of one from us asks us for what it lacks, and the chain does not have it yet.
 * Owns their bound, beyond which the oldest is forgotten.
 */
import { type Block, blockSize } from '@kvchain/core/block'
import { hex } from '../runtime/hex.js'

/** Two of the largest blocks. Each has real work on it. */
const MAX_BYTES = 32 << 20

export class BlocksInHand {
  private readonly blocks = new Map<string, { readonly block: Block; readonly bytes: number }>()
  private bytes = 0

  get(hash: Uint8Array): Block | undefined {
    return this.blocks.get(hex(hash))?.block
  }

  add(hash: Uint8Array, block: Block): void {
    this.delete(hash)
    const bytes = blockSize(block)
    this.blocks.set(hex(hash), { block, bytes })
    this.bytes += bytes
    for (const id of this.blocks.keys()) {
      if (this.bytes <= MAX_BYTES) break
      this.remove(id)
    }
  }

  delete(hash: Uint8Array): void {
    this.remove(hex(hash))
  }

  private remove(id: string): void {
    this.bytes -= this.blocks.get(id)?.bytes ?? 0
    this.blocks.delete(id)
  }
}
