/** Executes a block in slices, so that a full one never holds the event loop. What execution means is core's. */
import type { IncludedTransaction } from '@kvchain/core/block'
import { assert } from '@kvchain/core/errors'
import { executeBlock as executeSteps } from '@kvchain/core/execution'
import type { BlockContext, StateChanges, StateReader } from '@kvchain/core/state'
import type { Timers } from '../runtime/runtime.js'

/** Operations between two looks at the event loop: some milliseconds of work. */
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
  let operations = 0
  for (const { transaction } of transactions) {
    execution.next()
    operations += transaction.body.operations.length
    if (operations < SLICE) continue
    operations = 0
    await timers.yield()
  }
  const last = execution.next()
  assert(last.done === true, 'execution takes a step for each transaction')
  return last.value
}
