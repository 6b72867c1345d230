/**
 * The authenticated state: a compact binary tree over 256-bit paths. A subtree with a single leaf is that leaf, an empty one is 32
 * zero bytes; leaf and inner hashes have domains of their own. Trees are immutable: an update shares what it does not change, so
 * a block under construction, or one that turns out wrong, costs nothing to drop. (protocol.md section 9)
 */
import { compareBytes, equalBytes, ZERO_32 } from './bytes.js'
import { CodecError, decodeAll, encodeWith } from './codec.js'
import { assert } from './errors.js'
import { DOMAIN, type Sha256, taggedHash } from './hash.js'

const PATH_BITS = 256

interface Leaf {
  readonly path: Uint8Array
  readonly digest: Uint8Array
  readonly hash: Uint8Array
}

interface Inner {
  readonly left: TreeNode | undefined
  readonly right: TreeNode | undefined
  readonly hash: Uint8Array
}

type TreeNode = Leaf | Inner

/** Sets the digest at a path, or (undefined) removes it. */
export interface TreeChange {
  readonly path: Uint8Array
  readonly digest: Uint8Array | undefined
}

/** What lies where a path ends: nothing, the path's own leaf, or the leaf of another path. */
export type Terminal =
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'leaf'
      readonly path: Uint8Array
      readonly digest: Uint8Array
    }

/** The way from the root to where a path ends. `siblings` run from the top down. */
export interface TreeProof {
  readonly siblings: readonly Uint8Array[]
  readonly terminal: Terminal
}

function isLeaf(node: TreeNode): node is Leaf {
  return 'digest' in node
}

function bitAt(path: Uint8Array, depth: number): number {
  return ((path[depth >> 3] ?? 0) >> (7 - (depth & 7))) & 1
}

function leafHash(sha256: Sha256, path: Uint8Array, digest: Uint8Array): Uint8Array {
  return taggedHash(sha256, DOMAIN.treeLeaf, path, digest)
}

/** One immutable version of the state tree. */
export class StateTree {
  private constructor(
    private readonly sha256: Sha256,
    private readonly node: TreeNode | undefined,
  ) {}

  static empty(sha256: Sha256): StateTree {
    return new StateTree(sha256, undefined)
  }

  /** 32 bytes that stand for every path and digest in the tree. */
  get root(): Uint8Array {
    return this.node?.hash ?? ZERO_32
  }

  /** The tree with the changes made. Paths must be distinct; the order does not matter. Costs O(changes x depth) hashes. */
  update(changes: readonly TreeChange[]): StateTree {
    const sorted = [...changes].sort((a, b) => compareBytes(a.path, b.path))
    for (let i = 1; i < sorted.length; i++) {
      const [before, here] = [sorted[i - 1], sorted[i]]
      assert(before && here && !equalBytes(before.path, here.path), 'tree changes have distinct paths')
    }
    return new StateTree(this.sha256, this.apply(this.node, 0, sorted, 0, sorted.length))
  }

  /** The proof of presence or absence for a path. */
  prove(path: Uint8Array): TreeProof {
    const siblings: Uint8Array[] = []
    let node = this.node
    for (let depth = 0; node !== undefined && !isLeaf(node); depth++) {
      const right = bitAt(path, depth) === 1
      siblings.push((right ? node.left : node.right)?.hash ?? ZERO_32)
      node = right ? node.right : node.left
    }
    if (node === undefined) return { siblings, terminal: { kind: 'empty' } }
    return {
      siblings,
      terminal: { kind: 'leaf', path: node.path, digest: node.digest },
    }
  }

  private apply(
    node: TreeNode | undefined,
    depth: number,
    changes: readonly TreeChange[],
    from: number,
    to: number,
  ): TreeNode | undefined {
    if (from === to) return node
    if (node === undefined || isLeaf(node)) return this.build(depth, this.overlay(node, changes, from, to))
    const middle = split(changes, from, to, depth)
    const left = this.apply(node.left, depth + 1, changes, from, middle)
    const right = this.apply(node.right, depth + 1, changes, middle, to)
    return left === node.left && right === node.right ? node : this.join(left, right)
  }

  /** The leaves that stand where `leaf` stood, in order, once the changes are made. */
  private overlay(leaf: Leaf | undefined, changes: readonly TreeChange[], from: number, to: number): Leaf[] {
    const leaves: Leaf[] = []
    let kept = leaf
    for (let i = from; i < to; i++) {
      const change = changes[i]
      if (change === undefined) break
      const order = kept === undefined ? 1 : compareBytes(kept.path, change.path)
      if (kept !== undefined && order < 0) leaves.push(kept)
      if (order <= 0) kept = undefined
      const { path, digest } = change
      if (digest !== undefined)
        leaves.push({
          path,
          digest,
          hash: leafHash(this.sha256, path, digest),
        })
    }
    if (kept !== undefined) leaves.push(kept)
    return leaves
  }

  private build(depth: number, leaves: readonly Leaf[], from = 0, to = leaves.length): TreeNode | undefined {
    if (to - from <= 1) return from === to ? undefined : leaves[from]
    const middle = split(leaves, from, to, depth)
    return this.join(this.build(depth + 1, leaves, from, middle), this.build(depth + 1, leaves, middle, to))
  }

  private join(left: TreeNode | undefined, right: TreeNode | undefined): TreeNode | undefined {
    if (left === undefined && (right === undefined || isLeaf(right))) return right
    if (right === undefined && left !== undefined && isLeaf(left)) return left
    const hash = taggedHash(this.sha256, DOMAIN.treeNode, left?.hash ?? ZERO_32, right?.hash ?? ZERO_32)
    return { left, right, hash }
  }
}

/** The first index in [from, to) whose path has bit 1 at `depth`; the paths are sorted and agree above it. */
function split(items: readonly { readonly path: Uint8Array }[], from: number, to: number, depth: number): number {
  assert(depth < PATH_BITS, 'two paths that agree in every bit')
  let [low, high] = [from, to]
  while (low < high) {
    const middle = (low + high) >> 1
    const item = items[middle]
    if (item !== undefined && bitAt(item.path, depth) === 0) low = middle + 1
    else high = middle
  }
  return low
}

/** What a proof shows of a path: the digest that the tree holds there, or that it holds none. */
export type ProofVerdict =
  | { readonly kind: 'present'; readonly digest: Uint8Array }
  | { readonly kind: 'absent' }
  | { readonly kind: 'invalid' }

/** Checks a proof for `path` against a root that is trusted by other means. Never throws. */
export function verifyProof(sha256: Sha256, root: Uint8Array, path: Uint8Array, proof: TreeProof): ProofVerdict {
  const { siblings, terminal } = proof
  if (siblings.length > PATH_BITS) return { kind: 'invalid' }
  let hash = ZERO_32
  let verdict: ProofVerdict = { kind: 'absent' }
  if (terminal.kind === 'leaf') {
    if (!agree(terminal.path, path, siblings.length)) return { kind: 'invalid' }
    hash = leafHash(sha256, terminal.path, terminal.digest)
    if (equalBytes(terminal.path, path)) verdict = { kind: 'present', digest: terminal.digest }
  }
  for (let depth = siblings.length - 1; depth >= 0; depth--) {
    const sibling = siblings[depth] ?? ZERO_32
    hash =
      bitAt(path, depth) === 1
        ? taggedHash(sha256, DOMAIN.treeNode, sibling, hash)
        : taggedHash(sha256, DOMAIN.treeNode, hash, sibling)
  }
  return equalBytes(hash, root) ? verdict : { kind: 'invalid' }
}

/** Whether two paths agree in their first `bits` bits. */
function agree(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  for (let depth = 0; depth < bits; depth++) if (bitAt(a, depth) !== bitAt(b, depth)) return false
  return true
}

/**
 * A proof as bytes: u16 sibling count, a bitmap of which siblings are not zero (top first, spare bits zero), those siblings, then a
 * tag: 0 empty, 1 the path's own leaf (its digest), 2 the leaf of another path (path, digest).
 */
export function encodeProof(proof: TreeProof, path: Uint8Array): Uint8Array {
  return encodeWith((writer) => {
    const { siblings, terminal } = proof
    writer.u16(siblings.length)
    const bitmap = new Uint8Array((siblings.length + 7) >> 3)
    siblings.forEach((sibling, i) => {
      if (!equalBytes(sibling, ZERO_32)) bitmap[i >> 3] = (bitmap[i >> 3] ?? 0) | (0x80 >> (i & 7))
    })
    writer.fixed(bitmap)
    for (const sibling of siblings) if (!equalBytes(sibling, ZERO_32)) writer.fixed(sibling)
    if (terminal.kind === 'empty') writer.u8(0)
    else if (equalBytes(terminal.path, path)) writer.u8(1).fixed(terminal.digest)
    else writer.u8(2).fixed(terminal.path).fixed(terminal.digest)
  })
}

/** The inverse of encodeProof. Throws CodecError; accepts exactly what encodeProof makes. */
export function decodeProof(bytes: Uint8Array, path: Uint8Array): TreeProof {
  return decodeAll(bytes, (reader) => {
    const count = reader.u16()
    if (count > PATH_BITS)
      throw new CodecError('codec-length', `a proof of ${count} levels`, {
        offset: 0,
      })
    const bitmap = reader.fixed((count + 7) >> 3)
    const siblings: Uint8Array[] = []
    for (let i = 0; i < bitmap.length * 8; i++) {
      const marked = bitAt(bitmap, i) === 1
      if (i >= count) {
        if (marked) throw new CodecError('codec-tag', 'a spare bit of the bitmap is set', { offset: reader.offset })
        continue
      }
      const sibling = marked ? reader.fixed(32) : ZERO_32
      if (marked && equalBytes(sibling, ZERO_32)) {
        throw new CodecError('codec-tag', 'an empty sibling is marked as present', { offset: reader.offset })
      }
      siblings.push(sibling)
    }
    return { siblings, terminal: readTerminal(reader.tag(0, 2)) }

    function readTerminal(tag: number): Terminal {
      if (tag === 0) return { kind: 'empty' }
      if (tag === 1) return { kind: 'leaf', path, digest: reader.fixed(32) }
      const other = reader.fixed(32)
      if (equalBytes(other, path))
        throw new CodecError('codec-tag', 'own leaf marked as another', {
          offset: 0,
        })
      return { kind: 'leaf', path: other, digest: reader.fixed(32) }
    }
  })
}
