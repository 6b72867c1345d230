/** What can go wrong with real daemons in a laboratory. */
import { KvError } from '@kvchain/core/errors'

export type LabErrorCode =
  /** A daemon did not come up: it ended, or was not ready in time. The message has the last lines that it wrote. */
  | 'lab-start'
  /** A daemon ended that should be running. */
  | 'lab-exit'
  /** What was waited for did not come in time. */
  | 'lab-timeout'
  /** The experiment asks for what there is not. */
  | 'lab-options'

export class LabError extends KvError<LabErrorCode> {}
