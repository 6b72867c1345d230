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
  /** A file that the experiment is to play is not as it should be, or not there. */
  | 'lab-input'
  /** The results cannot be written. */
  | 'lab-output'
  /** What must hold at the end of the experiment does not: coins made or lost, a write gone. */
  | 'lab-broken'

export class LabError extends KvError<LabErrorCode> {}
