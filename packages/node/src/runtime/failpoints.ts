/**
 * Named places at which a test may end the process: before and after each step that changes what is on disk. Owns the names and the counting;
 * what happens there is the caller's, so that nothing here knows of a process. Unarmed they do nothing.
 */
import { OptionsError } from './errors.js'

/** Steps with a failpoint before and one after. */
const STEPS = [
  /** A new database. */
  'genesis',
  /** One block onto the main chain. */
  'connect',
  /** The tip off the main chain. */
  'disconnect',
  /** A block beside the main chain. */
  'store-block',
  'mark-invalid',
  /** Shelves of the state tree, and their marks off. */
  /** A part of the state tree made anew. */
  'tree-part',
  /** A client's write, before it is answered. */
  'journal-add',
  'journal-remove',
  'peers',
  /** A rebuild: the marker that asks for it; the old database moved aside; what is no block carried over; blocks connected again. */
  'suspect',
  'aside',
  'salvage',
  'replay',
  /** The new database takes the place of the old one; the marker goes; the old one goes. */
  'swap',
  'absolve',
  'cleanup',
] as const

export type FailpointStep = (typeof STEPS)[number]

/** Before the first block is taken off; at the fork; after the last one is put on. */
const REORG_POINTS = ['reorg-begin', 'reorg-fork', 'reorg-end'] as const

export type FailpointName = `${FailpointStep}-${'before' | 'after'}` | (typeof REORG_POINTS)[number]

export const FAILPOINTS: readonly FailpointName[] = [
  ...STEPS.flatMap((step) => [`${step}-before`, `${step}-after`] as const),
  ...REORG_POINTS,
]

export interface Failpoints {
  /** Returns, unless armed for this place. */
  pass(name: FailpointName): void
}

export const NO_FAILPOINTS: Failpoints = { pass() {} }

/** One failpoint that goes off once: at the `nth` passing, from 1. `exit` must not return. */
export class ArmedFailpoint implements Failpoints {
  private passed = 0

  constructor(
    private readonly name: FailpointName,
    private readonly nth: number,
    private readonly exit: (name: FailpointName) => void,
  ) {}

  pass(name: FailpointName): void {
    if (name === this.name && ++this.passed === this.nth) this.exit(name)
  }
}

/** Reads `name` or `name:nth`. Throws OptionsError. */
export function armFailpoint(text: string, exit: (name: FailpointName) => void): Failpoints {
  const [first, nth = '1', ...more] = text.split(':')
  const name = FAILPOINTS.find((known) => known === first)
  if (name === undefined || !/^[1-9]\d{0,8}$/.test(nth) || more.length > 0) {
    throw new OptionsError(`there is no failpoint ${text}: it is a name, or name:nth`)
  }
  return new ArmedFailpoint(name, Number(nth), exit)
}
