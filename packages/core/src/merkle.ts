/**
 * The tree over a block's transactions. Leaves and inner nodes have domains of their own, an odd node is promoted and never
 * doubled, and the count is committed: so one root stands for one list. (protocol.md section 5)
 */
import { ZERO_32 } from './bytes.js'
import { encodeWith } from './codec.js'
import { DOMAIN, type Sha256, taggedHash } from './hash.js'

/**
 * The tree as far as it goes, by its peaks: the roots of its full subtrees, largest first. A leaf costs one hash on average, a root one
 * for each peak, so that a block under construction need not be hashed anew for each transaction that joins it.
 */
export class MerkleTree {
  private readonly peaks: { readonly hash: Uint8Array; readonly leaves: number }[] = []
  private count = 0

  constructor(private readonly sha256: Sha256) {}

  add(leaf: Uint8Array): void {
    let [hash, leaves] = [leaf, 1]
    for (let last = this.peaks.at(-1); last?.leaves === leaves; last = this.peaks.at(-1)) {
      this.peaks.pop()
      hash = taggedHash(this.sha256, DOMAIN.txNode, last.hash, hash)
      leaves *= 2
    }
    this.peaks.push({ hash, leaves })
    this.count++
  }

  /** Tagged hash of the count and the tree's top (32 zero bytes for an empty list). More leaves may follow. */
  root(): Uint8Array {
    let top: Uint8Array | undefined
    for (const { hash } of [...this.peaks].reverse()) {
      top = top === undefined ? hash : taggedHash(this.sha256, DOMAIN.txNode, hash, top)
    }
    const count = encodeWith((writer) => writer.u32(this.count), 4)
    return taggedHash(this.sha256, DOMAIN.txRoot, count, top ?? ZERO_32)
  }
}

/** The root over leaf hashes. */
export function merkleRoot(sha256: Sha256, leaves: Iterable<Uint8Array>): Uint8Array {
  const tree = new MerkleTree(sha256)
  for (const leaf of leaves) tree.add(leaf)
  return tree.root()
}
