/**
 * The tree over a block's transactions. Leaves and inner nodes have domains of their own, an odd node is promoted and never
 * doubled, and the count is committed: so one root stands for one list. (protocol.md section 5)
 */
import { ZERO_32 } from './bytes.js'
import { encodeWith } from './codec.js'
import { DOMAIN, type Sha256, taggedHash } from './hash.js'

/** The root over leaf hashes: tagged hash of the count and the tree's top (32 zero bytes for an empty list). */
export function merkleRoot(sha256: Sha256, leaves: readonly Uint8Array[]): Uint8Array {
  let level = leaves
  while (level.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] ?? ZERO_32
      const right = level[i + 1]
      above.push(right === undefined ? left : taggedHash(sha256, DOMAIN.txNode, left, right))
    }
    level = above
  }
  const count = encodeWith((writer) => writer.u32(leaves.length), 4)
  return taggedHash(sha256, DOMAIN.txRoot, count, level[0] ?? ZERO_32)
}
