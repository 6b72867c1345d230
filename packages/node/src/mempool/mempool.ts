/**
 * Unconfirmed valid transactions. Owns the policy of what is kept (per-account nonce queues, bounds, replacement, expiry) and what
 * became of the rest; follows the chain through an awaited hook. Consensus rules are core's; the order for a block is
 * selection.ts. Every bound says what is dropped: see LIMITS.
 */
import { equalBytes, toMapKey } from '@kvchain/core/bytes'
import { checkTransaction, signatureError, TxError } from '@kvchain/core/checks'
import type { Account } from '@kvchain/core/entry'
import type { Params } from '@kvchain/core/params'
import { minimumFee } from '@kvchain/core/rules'
import { type Transaction, transactionSize } from '@kvchain/core/transaction'
import type { ChainStep } from '../chain/chain.js'
import { sha256 } from '../crypto/sodium.js'
import type { SignatureVerifier } from '../crypto/verifyPool.js'
import { hex } from '../runtime/hex.js'
import { Observers } from '../runtime/observers.js'
import type { Runtime } from '../runtime/runtime.js'
import { AccountQueue, type PooledTransaction } from './accountQueue.js'
import { PoolError } from './errors.js'
import { Fates } from './fates.js'

export interface PoolLimits {
  readonly transactions: number
  readonly bytes: number
  readonly perAccount: number
  readonly gap: number
  readonly maxAgeMs: number
}

export const LIMITS: PoolLimits = {
  /** In the pool; one more drops the last of the account with most bytes, or is refused when that is its own. What this daemon accepted of its clients
   * is never dropped for another, and comes back from a lost branch even into a pool that is full of such. */
  transactions: 100_000,
  bytes: 96 << 20,
  /** Of one account; one more is refused. */
  perAccount: 32_768,
  /** How far an account nonce may lie ahead of the first that is missing; further ones are refused. Packs overtake one another, so that under load
   * thousands may be ahead of one that is late. */
  gap: 32_768,
  /** How long a transaction of somebody else's is kept, in milliseconds. */
  maxAgeMs: 6 * 3_600_000,
}

/** What the pool needs to know of the chain, at its best tip. */
export interface PoolState {
  readonly height: number
  account(publicKey: Uint8Array): Account
  isConfirmed(txid: Uint8Array): boolean
}

export interface MempoolDeps {
  readonly runtime: Runtime
  readonly params: Params
  readonly state: PoolState
  readonly verifier: SignatureVerifier
  /** Whether this daemon accepted a transaction (hexadecimal txid) of a client, and has not forgotten it. */
  readonly isOwn: (txid: string) => boolean
  /** LIMITS unless said otherwise. */
  readonly limits?: PoolLimits
}

/** Why a transaction left the pool without being confirmed. */
export type DropReason = 'replaced' | 'nonce-used' | 'expired' | 'pool-full' | 'too-old' | 'cannot-pay'

export class Mempool {
  /** Every transaction that enters, in order. */
  readonly added: Observers<PooledTransaction>
  /** Every transaction that leaves without being confirmed. */
  readonly dropped: Observers<{ pooled: PooledTransaction; reason: DropReason }>
  private readonly byTxid = new Map<string, PooledTransaction>()
  private readonly queues = new Map<string, AccountQueue>()
  private readonly fates = new Fates<DropReason>(20_000)
  private bytes_ = 0
  private arrivals = 0
  private readonly limits: PoolLimits

  constructor(private readonly deps: MempoolDeps) {
    this.limits = deps.limits ?? LIMITS
    const log = deps.runtime.log.child({ module: 'mempool' })
    this.added = new Observers(log)
    this.dropped = new Observers(log)
  }

  get size(): number {
    return this.byTxid.size
  }

  get bytes(): number {
    return this.bytes_
  }

  /** Grows with every arrival: tells whether anything came since. */
  get arrivalCount(): number {
    return this.arrivals
  }

  get(txid: string): PooledTransaction | undefined {
    return this.byTxid.get(txid)
  }

  /** Why a transaction was dropped, as far back as is remembered. */
  fateOf(txid: string): DropReason | undefined {
    return this.fates.get(txid)
  }

  all(): IterableIterator<PooledTransaction> {
    return this.byTxid.values()
  }

  /** Whether this very transaction, signature included, was checked before. */
  isVerified(transaction: Transaction): boolean {
    if (this.byTxid.size === 0) return false
    const pooled = this.byTxid.get(hex(transaction.txid))
    return pooled !== undefined && equalBytes(pooled.transaction.signature, transaction.signature)
  }

  /** The account nonce that the account's next transaction must carry, pooled ones counted. */
  nextNonce(publicKey: Uint8Array): number {
    const { nonce } = this.deps.state.account(publicKey)
    return this.queues.get(toMapKey(publicKey))?.nextFree(nonce) ?? nonce
  }

  /** Whether a pooled transaction of the account carries this account nonce. */
  hasNonce(publicKey: Uint8Array, accountNonce: number): boolean {
    return this.queues.get(toMapKey(publicKey))?.get(accountNonce) !== undefined
  }

  /** What can stand in the next block: each account's run from its next nonce on. */
  *ready(): IterableIterator<{ account: Account; queue: AccountQueue }> {
    for (const queue of this.queues.values()) {
      const [first] = queue.all()
      if (first !== undefined) yield { account: this.deps.state.account(first.transaction.body.sender), queue }
    }
  }

  /**
   * Checks transactions of others and takes in what may be. The signature costs most, so it comes after everything else. One verdict
   * each: the pooled transaction, or the TxError or PoolError that says why not.
   */
  async addAll(transactions: readonly Transaction[]): Promise<(PooledTransaction | TxError | PoolError)[]> {
    const verdicts: (PooledTransaction | TxError | PoolError | undefined)[] = transactions.map((transaction) =>
      attempt(() => {
        checkTransaction(this.deps.params, sha256, transaction)
        this.checkPolicy(transaction)
        return undefined
      }),
    )
    const open = transactions.filter((_, i) => verdicts[i] === undefined)
    const valid = await this.deps.verifier.verifyBatch(
      open.map(({ signature, txid, body }) => ({ signature, message: txid, publicKey: body.sender })),
    )
    const isValid = new Map(open.map((transaction, i) => [transaction, valid[i] === true]))
    return transactions.map((transaction, i) => {
      const verdict = verdicts[i]
      if (verdict !== undefined) return verdict
      if (isValid.get(transaction) !== true) return signatureError()
      return attempt(() => this.admit(transaction, false))
    })
  }

  /** Throws the TxError or PoolError with which `addLocal` would refuse the transaction as things are, but for want of room. */
  checkLocal(transaction: Transaction): void {
    checkTransaction(this.deps.params, sha256, transaction)
    this.checkPolicy(transaction)
  }

  /** Takes in a transaction that this daemon just signed, or whose signature is checked. Throws TxError or PoolError. */
  addLocal(transaction: Transaction): PooledTransaction {
    checkTransaction(this.deps.params, sha256, transaction)
    return this.admit(transaction, true)
  }

  /** Follows the chain. Called and awaited after each commit. */
  onStep(step: ChainStep): void {
    if (step.kind === 'connected') this.onConnected(step)
    else this.onDisconnected(step)
  }

  /** Drops what has become too old. Called on a timer. */
  expire(): void {
    const oldest = this.deps.runtime.clock.monotonicMs() - this.limits.maxAgeMs
    for (const pooled of [...this.byTxid.values()]) {
      if (!pooled.local && pooled.arrivedMs < oldest) this.drop(pooled, 'too-old')
    }
  }

  private onConnected({ transactions, node }: ChainStep): void {
    if (this.byTxid.size === 0) return
    const touched = new Set<string>()
    for (const { transaction } of transactions) {
      const account = toMapKey(transaction.body.sender)
      touched.add(account)
      const txid = hex(transaction.txid)
      const pooled = this.byTxid.get(txid)
      if (pooled !== undefined) {
        this.remove(pooled)
        continue
      }
      const rival = this.queues.get(account)?.get(transaction.body.accountNonce)
      if (rival !== undefined) this.drop(rival, 'nonce-used')
    }
    for (const account of touched) this.checkAffordable(account)
    const nextHeight = node.header.height + 1
    for (const pooled of [...this.byTxid.values()]) {
      const { validUntil } = pooled.transaction.body
      if (validUntil !== 0 && validUntil < nextHeight) this.drop(pooled, 'expired')
    }
  }

  /** What the block held is unconfirmed again. It was valid and checked, so it comes back without policy, as far as there is room. */
  private onDisconnected({ transactions }: ChainStep): void {
    for (const { transaction } of transactions) {
      const rival = this.queues.get(toMapKey(transaction.body.sender))?.get(transaction.body.accountNonce)
      if (rival !== undefined || transaction.values === undefined) continue
      const isOwn = this.deps.isOwn(hex(transaction.txid))
      if (this.hasRoomFor(transaction) || isOwn) this.insert(transaction, isOwn)
    }
  }

  private hasRoomFor(transaction: Transaction): boolean {
    try {
      this.makeRoom(transaction)
      return true
    } catch (error) {
      if (error instanceof PoolError) return false
      throw error
    }
  }

  /** Drops, from the end, what an account can no longer pay the fees of. */
  private checkAffordable(account: string): void {
    const queue = this.queues.get(account)
    for (let last = queue?.last(); queue && last && queue.fees > 0; last = queue.last()) {
      if (queue.fees <= this.deps.state.account(last.transaction.body.sender).balance) return
      this.drop(last, 'cannot-pay')
    }
  }

  private admit(transaction: Transaction, local: boolean): PooledTransaction {
    const rival = this.checkPolicy(transaction)
    if (rival !== undefined) this.drop(rival, 'replaced')
    const queue = this.queues.get(toMapKey(transaction.body.sender))
    const last = queue?.last()
    if (queue !== undefined && last !== undefined && queue.size >= this.limits.perAccount) this.drop(last, 'pool-full')
    this.makeRoom(transaction)
    return this.insert(transaction, local)
  }

  /** Whether the pool would take it; returns the pooled transaction that it would replace. */
  private checkPolicy(transaction: Transaction): PooledTransaction | undefined {
    const { params, state } = this.deps
    const { sender, accountNonce, fee, validUntil } = transaction.body
    const txid = hex(transaction.txid)
    if (this.byTxid.has(txid) || state.isConfirmed(transaction.txid)) {
      throw new PoolError('pool-known', 'the transaction is known already')
    }
    const account = state.account(sender)
    if (accountNonce < account.nonce) {
      throw new TxError('tx-nonce-used', `account nonce ${accountNonce} is used, the next is ${account.nonce}`, {
        accountNonce,
        expected: account.nonce,
      })
    }
    if (validUntil !== 0 && validUntil <= state.height) {
      throw new TxError('tx-expired', `valid until height ${validUntil}`, { validUntil, height: state.height })
    }
    const minimum = minimumFee(params, transactionSize(transaction))
    if (fee < minimum) throw new TxError('tx-fee', `the fee is ${fee}, at least ${minimum} is due`, { fee, minimum })
    const queue = this.queues.get(toMapKey(sender))
    const rival = queue?.get(accountNonce)
    // A tenth more, so that replacing over and over costs the sender and not the network.
    if (rival !== undefined && (fee === 0 || fee * 10 < rival.transaction.body.fee * 11)) {
      throw new PoolError('pool-replacement', 'to replace a pooled transaction the fee must be a tenth higher', {
        accountNonce,
      })
    }
    const due = (queue?.fees ?? 0) - (rival?.transaction.body.fee ?? 0) + fee
    if (due > account.balance) {
      throw new TxError('tx-balance', `the account holds ${account.balance}, its fees come to ${due}`, {
        balance: account.balance,
        fee: due,
      })
    }
    if (rival === undefined) this.checkQueueRoom(queue, account.nonce, accountNonce)
    return rival
  }

  private checkQueueRoom(queue: AccountQueue | undefined, stateNonce: number, accountNonce: number): void {
    // One that comes late takes the place of the last, which can only follow it: else the others would wait for it for ever.
    if (queue !== undefined && queue.size >= this.limits.perAccount && !precedes(accountNonce, queue.last())) {
      throw new PoolError('pool-account-full', `the account has ${queue.size} transactions waiting`, {
        size: queue.size,
      })
    }
    const next = queue?.nextFree(stateNonce) ?? stateNonce
    if (accountNonce > next + this.limits.gap) {
      throw new PoolError('pool-gap', `account nonce ${accountNonce}, the next is ${next}`, { accountNonce, next })
    }
  }

  /**
   * Drops the last of the account with most bytes until one more fits. Refuses when the newcomer pays less, or would itself be the last of that account. Own transactions
   * are not dropped: their account nonces would be given out again.
   */
  private makeRoom(transaction: Transaction): void {
    const bytes = transactionSize(transaction)
    while (this.size >= this.limits.transactions || this.bytes_ + bytes > this.limits.bytes) {
      const victim = this.mostGreedy()
      const pays = transaction.body.fee / bytes
      const isSame = victim?.account === toMapKey(transaction.body.sender)
      const isWorth = isSame ? precedes(transaction.body.accountNonce, victim) : (victim?.feePerByte ?? 0) <= pays
      if (victim === undefined || !isWorth) {
        throw new PoolError('pool-full', `the mempool is full (${this.size} transactions)`, { size: this.size })
      }
      this.drop(victim, 'pool-full')
    }
  }

  /** The last of the account with most bytes, those left out whose last is own. */
  private mostGreedy(): PooledTransaction | undefined {
    let found: PooledTransaction | undefined
    let most = 0
    for (const queue of this.queues.values()) {
      if (queue.bytes <= most) continue
      const last = queue.last()
      if (last === undefined || last.local) continue
      found = last
      most = queue.bytes
    }
    return found
  }

  private insert(transaction: Transaction, local: boolean): PooledTransaction {
    const bytes = transactionSize(transaction)
    const pooled: PooledTransaction = {
      transaction,
      txid: hex(transaction.txid),
      account: toMapKey(transaction.body.sender),
      bytes,
      feePerByte: transaction.body.fee / bytes,
      arrivedMs: this.deps.runtime.clock.monotonicMs(),
      order: this.arrivals++,
      local,
    }
    let queue = this.queues.get(pooled.account)
    if (queue === undefined) {
      queue = new AccountQueue()
      this.queues.set(pooled.account, queue)
    }
    queue.set(pooled)
    this.byTxid.set(pooled.txid, pooled)
    this.bytes_ += bytes
    this.fates.delete(pooled.txid)
    this.added.notify(pooled)
    return pooled
  }

  private drop(pooled: PooledTransaction, reason: DropReason): void {
    this.remove(pooled)
    this.fates.set(pooled.txid, reason)
    this.dropped.notify({ pooled, reason })
  }

  private remove(pooled: PooledTransaction): void {
    this.byTxid.delete(pooled.txid)
    this.bytes_ -= pooled.bytes
    const queue = this.queues.get(pooled.account)
    queue?.delete(pooled.transaction.body.accountNonce)
    if (queue?.size === 0) this.queues.delete(pooled.account)
  }
}

/** Whether an account nonce comes before that of a pooled transaction which may be dropped for it. */
function precedes(accountNonce: number, last: PooledTransaction | undefined): boolean {
  return last !== undefined && !last.local && accountNonce < last.transaction.body.accountNonce
}

/** The result of `work`, or the violation that it threw. Anything else is thrown on. */
function attempt<T>(work: () => T): T | TxError | PoolError {
  try {
    return work()
  } catch (error) {
    if (error instanceof TxError || error instanceof PoolError) return error
    throw error
  }
}
