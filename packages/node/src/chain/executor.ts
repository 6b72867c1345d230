/** Executes a block in slices, so that a full one never holds the event loop. What execution means is core's. */
import type { IncludedTransaction } from '@kvchain/core/block'
import { executeBlock as executeSteps } from '@kvchain/core/execution'
import type { BlockContext, StateChanges, StateReader } from '@kvchain/core/state'
import type { Timers } from '../runtime/runtime.js'

/** Transactions between two looks at the event loop: some 5 ms of work at 40 us each. */
export const SLICE = 128

/** Runs a received block. Throws BlockError when it is not as core's executeBlock demands. */
export async function executeBlock(
  state: StateReader,
  transactions: readonly IncludedTransaction[],
  miner: Uint8Array,
  context: BlockContext,
  timers: Timers,
): Promise<StateChanges> {
  const execution = executeSteps(state, transactions, miner, context)
  for (let count = 1; ; count++) {
    const step = execution.next()
    if (step.done === true) return step.value
    if (count % SLICE === 0) await timers.yield()
  }
}
