/**
 * Which pooled transactions go into the next block, and in what order: highest fee per byte first, then first come first served, each
 * account's in the order of its nonces.
 */
import TinyQueue from 'tinyqueue'
import type { AccountQueue, PooledTransaction } from './accountQueue.js'
import type { Mempool } from './mempool.js'

interface Head {
  readonly pooled: PooledTransaction
  readonly queue: AccountQueue
}

function compareHeads(a: Head, b: Head): number {
  return b.pooled.feePerByte - a.pooled.feePerByte || a.pooled.order - b.pooled.order
}

/**
 * Walks the ready transactions from the best on. `nonceOf` says which account nonce comes next where it is not what the chain says, since
 * a block under construction already holds some. `skip(account)` inside the walk ends that account's run.
 */
export function* selectTransactions(
  mempool: Mempool,
  nextNonces: ReadonlyMap<string, number>,
): Generator<PooledTransaction, void, { skipAccount: boolean } | undefined> {
  const heads = new TinyQueue<Head>([], compareHeads)
  for (const { account, queue } of mempool.ready()) {
    const [any] = queue.all()
    const nonce = (any && nextNonces.get(any.account)) ?? account.nonce
    const pooled = queue.get(nonce)
    if (pooled !== undefined) heads.push({ pooled, queue })
  }
  for (let head = heads.pop(); head !== undefined; head = heads.pop()) {
    const answer = yield head.pooled
    if (answer?.skipAccount === true) continue
    const pooled = head.queue.get(head.pooled.transaction.body.accountNonce + 1)
    if (pooled !== undefined) heads.push({ pooled, queue: head.queue })
  }
}
