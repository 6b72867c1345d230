/**
 * Blocks whose parent is not known yet. Each has real work on it (the caller checks), still the pool is bounded in bytes and a
 * crowded pool drops the oldest of whoever sent most.
 */
import type { Block } from '@kvchain/core/block'
import { blockSize } from '@kvchain/core/block'
import { hex } from '../runtime/hex.js'

interface Orphan {
  readonly block: Block
  readonly hash: Uint8Array
  readonly parent: string
  readonly from: string
  readonly bytes: number
}

export class OrphanPool {
  private readonly orphans = new Map<string, Orphan>()
  private bytes_ = 0

  constructor(private readonly maxBytes: number) {}

  get size(): number {
    return this.orphans.size
  }

  get bytes(): number {
    return this.bytes_
  }

  add(block: Block, hash: Uint8Array, from: string): void {
    const id = hex(hash)
    if (this.orphans.has(id)) return
    const bytes = blockSize(block)
    this.orphans.set(id, { block, hash, parent: hex(block.header.parent), from, bytes })
    this.bytes_ += bytes
    while (this.bytes_ > this.maxBytes) this.evict()
  }

  /** Takes out the blocks that wait for this parent. */
  takeChildren(parentHash: Uint8Array): { block: Block; from: string }[] {
    const parent = hex(parentHash)
    const children: { block: Block; from: string }[] = []
    for (const [id, orphan] of this.orphans) {
      if (orphan.parent !== parent) continue
      this.remove(id, orphan)
      children.push(orphan)
    }
    return children
  }

  /** The oldest orphan of the peer that holds the most bytes here. */
  private evict(): void {
    const bytesOf = new Map<string, number>()
    for (const { from, bytes } of this.orphans.values()) bytesOf.set(from, (bytesOf.get(from) ?? 0) + bytes)
    const [greediest] = [...bytesOf].reduce((a, b) => (b[1] > a[1] ? b : a))
    for (const [id, orphan] of this.orphans) {
      if (orphan.from === greediest) {
        this.remove(id, orphan)
        return
      }
    }
  }

  private remove(id: string, orphan: Orphan): void {
    this.orphans.delete(id)
    this.bytes_ -= orphan.bytes
  }
}
