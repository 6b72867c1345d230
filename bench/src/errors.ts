/** What can go wrong with a measurement. */
import { KvError } from '@kvchain/core/errors'

export type BenchErrorCode =
  /** The command line asks for what cannot be measured. */
  | 'bench-usage'
  /** The measurement does not count: the load that was asked for was not generated. */
  | 'bench-void'
  /** Something that was to be measured did not happen at all. */
  | 'bench-failed'
  /** The user called it off. */
  | 'bench-cancelled'

export class BenchError extends KvError<BenchErrorCode> {}
