/**
 * Named places at which a test may end the process or make a write fail: before and after each step that changes what is on disk. Owns the
 * names and the counting; what happens there is the caller's, so that nothing here knows of a process. Unarmed they do nothing.
 */
import { KvError } from '@kvchain/core/errors'
import { StoreError } from './errors.js'

/** Every write to the database is one of these steps, with a failpoint before it and one after it. */
export const WRITE_STEPS = [
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
  'checkpoint',
  /** A client's write, before it is answered. */
  'journal-add',
  'journal-remove',
  /** The state tree made anew: the old top taken away; a part; the pages between are cleared by ranges. */
  'tree-forget',
  'tree-part',
  /** The database is found not to be trusted, or found sound. */
  'suspect',
  'absolve',
  /** What is whole goes into a new database: a part; the end. */
  'salvage-part',
  'salvage-end',
  /** A body and its values come back from a peer. */
  'mend',
  'peers',
] as const

export type WriteStep = (typeof WRITE_STEPS)[number]

const OTHER_FAILPOINTS = [
  /** A block is on disk; memory and mempool have followed. */
  'connect-remembered',
  'disconnect-remembered',
  /** Before the first block is taken off; at the fork; after the last one is put on. */
  'reorg-begin',
  'reorg-fork',
  'reorg-end',
  'checkpoint-remembered',
  'tree-cleared',
  /** The library repairs its files. */
  'files-repair-before',
  'files-repair-after',
  'inspect-before',
  'inspect-after',
  'salvage-begin',
  /** The old folder is moved aside; the new one takes its place. */
  'swap-before',
  'swap-aside',
  'swap-after',
  /** Blocks are connected again from the store's own. */
  'replay-before',
  'replay-after',
] as const

export type FailpointName = `${WriteStep}-before` | `${WriteStep}-after` | (typeof OTHER_FAILPOINTS)[number]

export const FAILPOINTS: readonly FailpointName[] = [
  ...WRITE_STEPS.flatMap((step) => [`${step}-before`, `${step}-after`] as const),
  ...OTHER_FAILPOINTS,
]

export interface Failpoints {
  /** Returns; or throws StoreError, or never returns, when armed for this place. */
  pass(name: FailpointName): void
}

export const NO_FAILPOINTS: Failpoints = { pass() {} }

/** exit: the process ends there. error: the step fails as with a broken disk. */
export type FailpointMode = 'exit' | 'error'

export interface FailpointSpec {
  readonly name: FailpointName
  /** Which passing of it counts, from 1. */
  readonly nth: number
  readonly mode: FailpointMode
}

/** The text that arms a failpoint makes no sense. */
export class FailpointError extends KvError<'failpoint'> {}

/** Reads `name`, `name:nth` or `name:nth:mode`. Throws FailpointError. */
export function parseFailpoint(text: string): FailpointSpec {
  const [first = '', nth = '1', mode = 'exit', ...more] = text.split(':')
  const name = FAILPOINTS.find((known) => known === first)
  const isMode = mode === 'exit' || mode === 'error'
  if (name === undefined || !/^[1-9]\d{0,8}$/.test(nth) || !isMode || more.length > 0) {
    throw new FailpointError('failpoint', `no failpoint ${text}: name, name:nth or name:nth:exit|error`)
  }
  return { name, nth: Number(nth), mode }
}

/** One failpoint that goes off once. `exit` must not return when it is called in mode exit. */
export class ArmedFailpoint implements Failpoints {
  private passed = 0

  constructor(
    private readonly spec: FailpointSpec,
    private readonly exit: (name: FailpointName) => void,
  ) {}

  pass(name: FailpointName): void {
    if (name !== this.spec.name || ++this.passed !== this.spec.nth) return
    if (this.spec.mode === 'exit') this.exit(name)
    throw new StoreError('store-io', `the disk fails at ${name}`, { failpoint: name })
  }
}
