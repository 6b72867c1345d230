/**
 * Executes a block: its transactions in order, then the miner's pay, and checks that each ends as the block says. A long block can be
 * executed in parts, since the caller drives it. (protocol.md section 6)
 */
import type { IncludedTransaction } from './block.js'
import { BlockError, blockTransactionError } from './checks.js'
import { type Outcome, sameOutcome } from './outcome.js'
import {
  applyTransaction,
  type BlockContext,
  payMiner,
  ReadOnce,
  type StateChanges,
  type StateReader,
  StateView,
} from './state.js'

/**
 * Runs the transactions of a block on a state; yields after each, returns what they change. Throws BlockError when one may not stand there
 * or does not end as the block records (rule 6.5).
 */
export function* executeBlock(
  state: StateReader,
  transactions: readonly IncludedTransaction[],
  miner: Uint8Array,
  context: BlockContext,
): Generator<void, StateChanges, void> {
  const view = new StateView(new ReadOnce(state))
  let fees = 0
  for (const [index, { transaction, outcome }] of transactions.entries()) {
    let actual: Outcome
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
    yield
  }
  payMiner(view, miner, context.params.blockReward, fees)
  return view.changes()
}
