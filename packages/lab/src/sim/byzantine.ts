/**
 * What a node may do that follows the rules only where it suits it: hooks at the seams of a whole node. What has no hook it does as everybody does.
 * The behaviours themselves are in behaviours.ts.
 */
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

export interface Byzantine {
  readonly name: string
  /** What the node with this index gets of a message of our own; undefined: nothing. */
  publish?(message: GossipMessage, to: number): Uint8Array | undefined
  /** Whether a message of another is looked at. */
  receive?(message: GossipMessage, from: string): boolean
  /** Whether a message of another that was accepted is passed on. */
  forward?(message: GossipMessage): boolean
  /** What a peer is told in place of the true answer; undefined: nothing at all. */
  answer?(request: PeerRequest, truth: Uint8Array): Uint8Array | undefined
}
