/**
 * What a node may do that follows the rules only where it suits it: hooks at the seams of a whole node. What has no hook it does as everybody does.
 * The behaviours themselves are in behaviours.ts; each is made anew for each world, as it may remember.
 */
import type { IncludedTransaction } from '@kvchain/core/block'
import type { Header } from '@kvchain/core/header'
import type { Chain } from '@kvchain/node/chain/chain'
import type { ChainNode } from '@kvchain/node/chain/headerTree'
import type { Template } from '@kvchain/node/miner/template'
import type { Topic } from '@kvchain/node/net/gossip'

export interface GossipMessage {
  readonly topic: Topic
  readonly data: Uint8Array
}

export interface PeerRequest {
  readonly name: string
  readonly request: Uint8Array
  readonly from: string
}

/** What a behaviour has of its node. */
export interface Seat {
  readonly chain: Chain
  /** Tells everybody of a block of its own chain. */
  announce(block: ChainNode): void
}

/** A block that is still to be solved, and for whom. */
export interface ForgedBlock {
  readonly header: Omit<Header, 'nonce'>
  readonly transactions: readonly IncludedTransaction[]
  /** Whether the node with this index is told of it. */
  readonly isFor: (index: number) => boolean
  /** Whether the forger's own chain takes it, so that it can be asked for it. */
  readonly isKept: boolean
}

export interface Byzantine {
  readonly name: string
  /** At the beginning of each life. */
  begin?(seat: Seat): void
  /** Whether a block that its miner solved is announced now. */
  announces?(block: ChainNode): boolean
  /** What is solved in place of a template, one after the other. */
  forge?(template: Template): readonly ForgedBlock[]
  /** Whether a message of its own leaves it. */
  tells?(message: GossipMessage): boolean
  /** Whether a message of another is looked at. */
  receives?(message: GossipMessage): boolean
  /** Whether a message of another that was accepted is passed on. */
  forwards?(message: GossipMessage): boolean
  /** Whether it asks anybody anything by this protocol. */
  asks?(name: string): boolean
  /** What a peer is told in place of the true answer; undefined: nothing at all. */
  answer?(request: PeerRequest, truth: Uint8Array): Uint8Array | undefined
}
