/**
 * Every header known, as a tree from genesis, in memory: about 700 bytes a header. Owns parenthood, chainwork, which blocks are
 * complete (their bodies and those of all ancestors are stored) or invalid, and the fork choice among them. Knows nothing of
 * disks or state.
 */
import { compareBytes } from '@kvchain/core/bytes'
import { assert } from '@kvchain/core/errors'
import type { Header } from '@kvchain/core/header'
import { targetWork } from '@kvchain/core/pow'
import type { HeaderContext } from '@kvchain/core/rules'
import { hex } from '../runtime/hex.js'

/** One known header. Only the tree changes the flags. */
export interface ChainNode {
  readonly hash: Uint8Array
  readonly header: Header
  readonly parent: ChainNode | undefined
  readonly children: ChainNode[]
  /** Work from genesis up to and with this block. */
  readonly chainwork: bigint
  hasBody: boolean
  /** The bodies of this block and of every ancestor are stored. */
  complete: boolean
  invalid: boolean
}

/** The fork choice: more chainwork, and at a tie the lower hash. */
export function isBetter(a: ChainNode, b: ChainNode): boolean {
  if (a.chainwork !== b.chainwork) return a.chainwork > b.chainwork
  return compareBytes(a.hash, b.hash) < 0
}

export class HeaderTree {
  readonly genesis: ChainNode
  private readonly nodes = new Map<string, ChainNode>()
  private bestComplete_: ChainNode
  private bestHeader_: ChainNode

  constructor(header: Header, hash: Uint8Array) {
    this.genesis = {
      hash,
      header,
      parent: undefined,
      children: [],
      chainwork: targetWork(header.target),
      hasBody: true,
      complete: true,
      invalid: false,
    }
    this.nodes.set(hex(hash), this.genesis)
    this.bestComplete_ = this.genesis
    this.bestHeader_ = this.genesis
  }

  get size(): number {
    return this.nodes.size
  }

  /** The best block whose chain is all stored and not known to be invalid. */
  get bestComplete(): ChainNode {
    return this.bestComplete_
  }

  /** The best header that is not known to be invalid, body or not. */
  get bestHeader(): ChainNode {
    return this.bestHeader_
  }

  get(hash: Uint8Array): ChainNode | undefined {
    return this.nodes.get(hex(hash))
  }

  /** Adds a header whose parent is known. An invalid parent makes an invalid child. */
  add(header: Header, hash: Uint8Array, options: { hasBody: boolean; invalid?: boolean }): ChainNode {
    const parent = this.get(header.parent)
    assert(parent !== undefined, 'a header joins a known parent')
    const node: ChainNode = {
      hash,
      header,
      parent,
      children: [],
      chainwork: parent.chainwork + targetWork(header.target),
      hasBody: false,
      complete: false,
      invalid: parent.invalid || options.invalid === true,
    }
    parent.children.push(node)
    this.nodes.set(hex(hash), node)
    if (!node.invalid && isBetter(node, this.bestHeader_)) this.bestHeader_ = node
    if (options.hasBody) this.markBody(node)
    return node
  }

  /** The body of this block is stored now; it, and what waited for it, may become complete. */
  markBody(node: ChainNode): void {
    node.hasBody = true
    const open = node.parent?.complete === true ? [node] : []
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      next.complete = true
      if (!next.invalid && isBetter(next, this.bestComplete_)) this.bestComplete_ = next
      for (const child of next.children) if (child.hasBody) open.push(child)
    }
  }

  /** This block breaks a rule: so it and everything above it is out for ever. Rare, so the best are looked for afresh. */
  markInvalid(node: ChainNode): void {
    const open = [node]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      next.invalid = true
      open.push(...next.children)
    }
    this.bestComplete_ = this.genesis
    this.bestHeader_ = this.genesis
    for (const other of this.nodes.values()) {
      if (other.invalid) continue
      if (other.complete && isBetter(other, this.bestComplete_)) this.bestComplete_ = other
      if (isBetter(other, this.bestHeader_)) this.bestHeader_ = other
    }
  }

  /** What a child of `parent` is checked against. */
  contextFor(parent: ChainNode): HeaderContext {
    return { parent: parent.header, grandparent: parent.parent?.header }
  }
}

/** The last block that two branches have in common. */
export function findForkPoint(a: ChainNode, b: ChainNode): ChainNode {
  let [left, right]: [ChainNode | undefined, ChainNode | undefined] = [a, b]
  while (left !== right) {
    const leftHeight: number = left?.header.height ?? -1
    const rightHeight: number = right?.header.height ?? -1
    if (leftHeight >= rightHeight) left = left?.parent
    if (rightHeight >= leftHeight) right = right?.parent
  }
  assert(left !== undefined, 'all branches begin at genesis')
  return left
}

/** The blocks above `from` up to `to`, lowest first. `from` must be an ancestor of `to`. */
export function pathBetween(from: ChainNode, to: ChainNode): ChainNode[] {
  const path: ChainNode[] = []
  for (let at: ChainNode | undefined = to; at !== undefined && at !== from; at = at.parent) path.push(at)
  return path.reverse()
}

/** The ancestor at a height, or the node itself. */
export function ancestorAt(node: ChainNode, height: number): ChainNode | undefined {
  let at: ChainNode | undefined = node
  while (at !== undefined && at.header.height > height) at = at.parent
  return at
}

/** Exponentially spaced ancestors from a block down to genesis: where another node's branch meets ours is found by it. */
export function locatorOf(node: ChainNode): Uint8Array[] {
  const hashes: Uint8Array[] = []
  let step = 1
  let at: ChainNode | undefined = node
  while (at !== undefined) {
    hashes.push(at.hash)
    if (at.parent === undefined) break
    if (hashes.length >= 10) step *= 2
    at = ancestorAt(at, Math.max(0, at.header.height - step))
  }
  return hashes
}
