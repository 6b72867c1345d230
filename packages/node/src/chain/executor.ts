/**
 * Executes the transactions of a block on a view of the state, in slices, so that a full block never holds the event loop. Owns the
 * order: transactions as they stand, then the miner's pay. Stores nothing.
 */
import type { IncludedTransaction } from '@kvchain/core/block'
import { BlockError, blockTransactionError } from '@kvchain/core/checks'
import { sameOutcome } from '@kvchain/core/outcome'
import {
  applyTransaction,
  type BlockContext,
  payMiner,
  type StateChanges,
  type StateReader,
  StateView,
} from '@kvchain/core/state'
import type { Timers } from '../runtime/runtime.js'

/** Transactions between two looks at the event loop: some 5 ms of work at 40 us each. */
export const SLICE = 128

/** Runs a received block. Throws BlockError when a transaction may not stand there or its outcome is not the one recorded. */
export async function executeBlock(
  state: StateReader,
  transactions: readonly IncludedTransaction[],
  miner: Uint8Array,
  context: BlockContext,
  timers: Timers,
): Promise<StateChanges> {
  const view = new StateView(state)
  let fees = 0
  for (const [index, { transaction, outcome }] of transactions.entries()) {
    if (index % SLICE === SLICE - 1) await timers.yield()
    let actual: IncludedTransaction['outcome']
    try {
      actual = applyTransaction(view, transaction, context)
    } catch (error) {
      throw blockTransactionError(error, index)
    }
    if (!sameOutcome(actual, outcome)) {
      throw new BlockError(
        'block-outcome',
        `transaction ${index} ends in ${actual.code}, the block says ${outcome.code}`,
        {
          index,
          actual: actual.code,
          recorded: outcome.code,
        },
      )
    }
    fees += transaction.body.fee
  }
  payMiner(view, miner, context.params.blockReward, fees)
  return view.changes()
}
