/** What is said between the hostile peer's program and whoever starts it: what it is to do, and what it tells. */

/** Ways of misbehaving; what each does is said in behaviours.ts. */
export const BEHAVIOUR_NAMES = [
  'malformed',
  'oversized',
  'subscriptions',
  'orphans',
  'spam',
  'equivocating',
  'withholding',
  'asking',
  'dribbling',
  'lying',
  'sockets',
  'cheap',
  'reborn',
  'silent',
  'honest',
] as const

export type BehaviourName = (typeof BEHAVIOUR_NAMES)[number]

export interface Act {
  readonly behaviour: BehaviourName
  /** How often it is done, where that can be counted. Without end by default. */
  readonly count?: number
  /** Milliseconds between one time and the next, where that can be chosen. As fast as it goes by default. */
  readonly everyMs?: number
  /**
   * lying: mutating, garbage, stalling, braggart. withholding: mutating, stalling. orphans: cheap, without the work that the network asks for. reborn:
   * malformed, asking.
   */
  readonly how?: string
}

export interface HostileOptions {
  /** A network file. */
  readonly network: string
  /** Whom it connects to: multiaddrs. */
  readonly targets?: readonly string[]
  /** Each under a name of its own, all at once. */
  readonly acts: readonly Act[]
}

/** How often what was done, by what; `sent` is the acts themselves. */
export type Counts = Readonly<Record<string, number>>

export interface HostileIdentity {
  readonly peerId: string
  readonly address: string
}

/** A line of the program. Lists are in the order of the acts. */
export type Said =
  /** All are connected and begin. */
  | { readonly peers: readonly HostileIdentity[] }
  /** One act is over: it was done so often, or its peer was shut out. */
  | { readonly act: number; readonly result: Counts }
  /** The program was told to end. */
  | { readonly end: readonly Counts[] }
