/**
 * The state tree at an older height, as far as one path needs it: the tip's tree with the blocks above taken back, in memory. Owns how that
 * is done while the chain goes on: what to take back is gathered once and kept up with the tip; the hashes are worked out for one part of
 * the tree after the other, each on the tree of the moment, since a part at the older height is the same from whichever tip it is
 * reached. So no tip is held, no event loop either, and no tree is copied.
 */
import { toMapKey, ZERO_32 } from '@kvchain/core/bytes'
import { KvError } from '@kvchain/core/errors'
import { undoTreeChanges } from '@kvchain/core/state'
import type { TreeChange } from '@kvchain/core/tree'
import { bitAt } from '@kvchain/core/treeHash'
import { leafHash, nodeHash, type Terminal, type TreeProof, verifyProof } from '@kvchain/core/treeProof'
import { sha256 } from '../crypto/sodium.js'
import { AbortError } from '../runtime/errors.js'
import type { Timers } from '../runtime/runtime.js'
import type { Chain } from './chain.js'
import { type ChainNode, findForkPoint, pathBetween } from './headerTree.js'

export interface TreeAtOptions {
  /** Blocks that are taken back. */
  readonly maxBlocks: number
  /** Entries and accounts that are taken back, each counted once: some 300 bytes of memory and 30 us each. */
  readonly maxChanges: number
}

export const DEFAULT_TREE_AT: TreeAtOptions = { maxBlocks: 10_000, maxChanges: 500_000 }

export type TreeAtErrorCode =
  /** The height is too far below the tip. */
  | 'tree-too-deep'
  /** The block is not on the main chain any more. */
  | 'tree-reorged'

/** The tree of a block cannot be had. */
export class TreeAtError extends KvError<TreeAtErrorCode> {}

export interface TreeAtDeps {
  readonly chain: Chain
  readonly timers: Timers
  readonly signal: AbortSignal
  readonly options?: TreeAtOptions
}

/** Changes are kept by the first bits of their paths. */
const GROUP_BITS = 12
/** Changes in a part: some 10 ms of hashing. */
const PART_CHANGES = 400

/**
 * The proof for a path in the state tree of a block of the main chain. Throws TreeAtError, AbortError, or StoreError when what was stored does
 * not give the block's state root.
 */
export async function provePathAt(path: Uint8Array, block: ChainNode, deps: TreeAtDeps): Promise<TreeProof> {
  const past = new Past(block, deps)
  await past.keepUp()
  const bits = past.partBits()
  const parts: Subtree[] = []
  let own: TreeProof | undefined
  for (let part = 0; part < 1 << bits; part++) {
    const isOwn = part === prefixOf(path, bits)
    const proof = await past.provePart(part, bits, isOwn ? path : pathTo(part, bits))
    parts.push(subtreeOf(proof, isOwn ? path : pathTo(part, bits), bits))
    if (isOwn) own = proof
    await past.pause()
  }
  const proof = joined(parts, path, bits, own)
  if (verifyProof(sha256, block.header.stateRoot, path, proof).kind === 'invalid') {
    throw deps.chain.store.damage('taking blocks back does not give the state before them')
  }
  return proof
}

/** What lies between a block's state and the tip's. */
class Past {
  private readonly known = new Set<string>()
  private readonly groups: TreeChange[][] = Array.from({ length: 1 << GROUP_BITS }, () => [])
  /** The block up to which all is gathered. */
  private covered: ChainNode
  private readonly options: TreeAtOptions

  constructor(
    private readonly block: ChainNode,
    private readonly deps: TreeAtDeps,
  ) {
    this.covered = block
    this.options = deps.options ?? DEFAULT_TREE_AT
  }

  /** How many bits of a path name a part, so that no part is much work. */
  partBits(): number {
    let bits = 0
    while (bits < GROUP_BITS && this.known.size > PART_CHANGES << bits) bits++
    return bits
  }

  /** The proof for a path in the older tree, right in everything that lies in the part. */
  async provePart(part: number, bits: number, path: Uint8Array): Promise<TreeProof> {
    const { chain } = this.deps
    do await this.keepUp()
    while (chain.isCommitting || chain.tip !== this.covered)
    // Nothing else runs from here on: the tree is the covered tip's.
    const width = GROUP_BITS - bits
    const changes = this.groups.slice(part << width, (part + 1) << width).flat()
    const { stateTree, store } = chain
    const proof = store.guardTree(() => stateTree.update(changes).prove(path))
    stateTree.trim()
    return proof
  }

  /** Gathers what the blocks up to the tip have changed. */
  async keepUp(): Promise<void> {
    const { chain } = this.deps
    for (;;) {
      await chain.consistent()
      if (!chain.isMain(this.block))
        throw new TreeAtError('tree-reorged', 'the block is not on the main chain any more')
      const { tip } = chain
      const fork = findForkPoint(this.covered, tip)
      // Blocks that are gone since do no harm: what they changed is as it was before them.
      this.covered = fork
      if (fork === tip) return
      const blocks = pathBetween(fork, tip)
      if (tip.header.height - this.block.header.height > this.options.maxBlocks) throw this.tooDeep()
      for (const next of blocks) {
        if (chain.isCommitting || !chain.isMain(next)) break
        this.take(next)
        await this.pause()
      }
    }
  }

  /** Of blocks that changed the same, the lowest knows what was before all of them. */
  private take(next: ChainNode): void {
    const undo = this.deps.chain.store.undo(next.hash)
    for (const change of undoTreeChanges(sha256, undo)) {
      const key = toMapKey(change.path)
      if (this.known.has(key)) continue
      if (this.known.size >= this.options.maxChanges) throw this.tooDeep()
      this.known.add(key)
      this.groups[prefixOf(change.path, GROUP_BITS)]?.push(change)
    }
    this.covered = next
  }

  async pause(): Promise<void> {
    await this.deps.timers.yield()
    if (this.deps.signal.aborted) throw new AbortError('a proof')
  }

  private tooDeep(): TreeAtError {
    const { maxBlocks, maxChanges } = this.options
    const message = `height ${this.block.header.height} is too far below the tip: at most ${maxBlocks} blocks or ${maxChanges} changes can be taken back`
    return new TreeAtError('tree-too-deep', message, { height: this.block.header.height, maxBlocks, maxChanges })
  }
}

// --- parts of a tree -------------------------------------------------------------------------------------------------

/** What a tree holds below a prefix: no leaf, one, or more. */
type Subtree =
  | { readonly kind: 'none'; readonly hash: Uint8Array }
  | { readonly kind: 'one'; readonly hash: Uint8Array; readonly terminal: Terminal }
  | { readonly kind: 'many'; readonly hash: Uint8Array }

const NONE: Subtree = { kind: 'none', hash: ZERO_32 }

/** The first bits of a path as a number. */
function prefixOf(path: Uint8Array, bits: number): number {
  return (((path[0] ?? 0) << 8) | (path[1] ?? 0)) >> (16 - bits)
}

/** The lowest path with a prefix. */
function pathTo(prefix: number, bits: number): Uint8Array {
  const path = new Uint8Array(32)
  const first = prefix << (16 - bits)
  path[0] = first >> 8
  path[1] = first & 0xff
  return path
}

/** The subtree that begins after the first `bits` bits of `path`, from a proof for it. */
function subtreeOf({ siblings, terminal }: TreeProof, path: Uint8Array, bits: number): Subtree {
  const isHere = terminal.kind === 'leaf' && prefixOf(terminal.path, bits) === prefixOf(path, bits)
  let hash = terminal.kind === 'leaf' ? leafHash(sha256, terminal.path, terminal.digest) : ZERO_32
  if (siblings.length <= bits) return isHere ? { kind: 'one', hash, terminal } : NONE
  for (let depth = siblings.length - 1; depth >= bits; depth--) {
    const sibling = siblings[depth] ?? ZERO_32
    hash = bitAt(path, depth) === 1 ? nodeHash(sha256, sibling, hash) : nodeHash(sha256, hash, sibling)
  }
  return { kind: 'many', hash }
}

function join(left: Subtree, right: Subtree): Subtree {
  if (left.kind === 'none' && right.kind !== 'many') return right
  if (right.kind === 'none' && left.kind !== 'many') return left
  return { kind: 'many', hash: nodeHash(sha256, left.hash, right.hash) }
}

/** The proof for a path in the tree that the parts make up. `own` is a proof in the part where the path lies. */
function joined(parts: readonly Subtree[], path: Uint8Array, bits: number, own: TreeProof | undefined): TreeProof {
  const levels = [parts]
  for (let below = parts; below.length > 1; levels.unshift(below)) {
    const children = below
    below = Array.from({ length: children.length / 2 }, (_, i) =>
      join(children[2 * i] ?? NONE, children[2 * i + 1] ?? NONE),
    )
  }
  const siblings: Uint8Array[] = []
  for (let depth = 0; depth <= bits; depth++) {
    const here = levels[depth]?.[prefixOf(path, depth)] ?? NONE
    if (here.kind === 'none') return { siblings, terminal: { kind: 'empty' } }
    if (here.kind === 'one') return { siblings, terminal: here.terminal }
    if (depth < bits) siblings.push(levels[depth + 1]?.[prefixOf(path, depth + 1) ^ 1]?.hash ?? ZERO_32)
  }
  return { siblings: [...siblings, ...(own?.siblings.slice(bits) ?? [])], terminal: own?.terminal ?? { kind: 'empty' } }
}
