/**
 * A chain of headers that is looked at and not kept. Owns the check of each header against the one before it, the sum of their work, and one bit for
 * every few headers, salted: enough to notice that what is told the second time is another chain, whoever tells it cannot know which
 * bits were kept. Memory: two headers and a bit for each 32.
 */
import { equalBytes } from '@kvchain/core/bytes'
import { BlockError, checkHeader } from '@kvchain/core/checks'
import { encodeWith } from '@kvchain/core/codec'
import type { Header } from '@kvchain/core/header'
import type { Params } from '@kvchain/core/params'
import { targetWork } from '@kvchain/core/pow'
import { checkHeaderContext, checkHeaderTime } from '@kvchain/core/rules'
import type { ChainNode } from '../chain/headerTree.js'
import { sha256 } from '../crypto/sodium.js'
import type { Runtime } from '../runtime/runtime.js'

/** Headers for each bit. */
const PERIOD = 32
const SALT_BYTES = 16
const FIRST_BYTES = 64

/** Checks headers one after the other, from a block that is known. */
export class HeaderWalk {
  /** From genesis. */
  work: bigint
  /** Headers so far. */
  count = 0
  private last: Header
  private beforeLast: Header | undefined
  private lastHash_: Uint8Array

  constructor(
    private readonly params: Params,
    start: ChainNode,
    private readonly nowMs: () => number,
  ) {
    this.work = start.chainwork
    this.last = start.header
    this.beforeLast = start.parent?.header
    this.lastHash_ = start.hash
  }

  get lastHash(): Uint8Array {
    return this.lastHash_
  }

  /** Whether a header follows the last. */
  isNext(header: Header | undefined): boolean {
    return header !== undefined && equalBytes(header.parent, this.lastHash_)
  }

  /** Takes one more; returns its hash. Throws BlockError when it breaks a rule or does not follow. */
  step(header: Header): Uint8Array {
    if (!this.isNext(header)) throw new BlockError('block-orphan', 'the header does not follow the one before it')
    const hash = checkHeader(this.params, sha256, header)
    checkHeaderContext(this.params, header, { parent: this.last, grandparent: this.beforeLast })
    checkHeaderTime(this.params, header, this.nowMs())
    this.work += targetWork(header.target)
    this.count++
    this.beforeLast = this.last
    this.last = header
    this.lastHash_ = hash
    return hash
  }
}

/** Bits that say which chain was seen. */
export class Commitments {
  private readonly salt: Uint8Array
  private readonly offset: number
  private bits = new Uint8Array(FIRST_BYTES)
  private length = 0

  constructor({ random }: Pick<Runtime, 'random'>) {
    this.salt = random.bytes(SALT_BYTES)
    this.offset = random.below(PERIOD)
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.bits.length
  }

  /** Notes the `count`th header of the chain. */
  note(count: number, hash: Uint8Array): void {
    if (!this.isKept(count)) return
    const index = this.length++
    if (index >> 3 >= this.bits.length) {
      const grown = new Uint8Array(this.bits.length * 2)
      grown.set(this.bits)
      this.bits = grown
    }
    if (this.bitOf(hash)) this.bits[index >> 3] = (this.bits[index >> 3] ?? 0) | (1 << (index & 7))
  }

  /** Whether the `count`th header may be the one that was noted: no for half of all others where a bit is kept, and beyond the last. */
  admits(count: number, hash: Uint8Array): boolean {
    if (!this.isKept(count)) return true
    const index = (count - this.firstKept) / PERIOD
    if (index >= this.length) return false
    return (((this.bits[index >> 3] ?? 0) >> (index & 7)) & 1) === Number(this.bitOf(hash))
  }

  private get firstKept(): number {
    return this.offset === 0 ? PERIOD : this.offset
  }

  private isKept(count: number): boolean {
    return count % PERIOD === this.offset
  }

  private bitOf(hash: Uint8Array): boolean {
    return ((sha256(encodeWith((writer) => writer.fixed(this.salt).fixed(hash), 48))[0] ?? 0) & 1) === 1
  }
}
