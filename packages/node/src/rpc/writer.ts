/**
 * Writes of the daemon's own account. Owns the account nonce and the least fee of each, the look ahead that refuses what is bound to fail,
 * and the signature; what happens next is the mempool's and the journal's.
 */
import type { Receipt } from '@kvchain/client/contract/schemas'
import type { ParsedOperations } from '@kvchain/client/operations'
import { minimumFee } from '@kvchain/core/rules'
import { applyTransaction, StateView } from '@kvchain/core/state'
import { signTransaction, type Transaction, transactionSize } from '@kvchain/core/transaction'
import type { Chain } from '../chain/chain.js'
import { type KeyPair, sha256, signMessage } from '../crypto/sodium.js'
import type { OwnTransactions } from '../mempool/ownTransactions.js'
import { hex } from '../runtime/hex.js'
import { refusedBy } from './answers.js'

export interface WriterDeps {
  readonly chain: Chain
  readonly own: OwnTransactions
  readonly account: KeyPair
}

/** On what terms a write is made. */
export interface WriteTerms {
  /** Coins; the least that is due when left out. */
  readonly fee?: number
  /** Blocks; without end when left out. */
  readonly validFor?: number
}

export class Writer {
  constructor(private readonly deps: WriterDeps) {}

  get publicKey(): Uint8Array {
    return this.deps.account.publicKey
  }

  /** The account nonce that the account's next transaction must carry, waiting ones counted. */
  nextNonce(publicKey: Uint8Array): number {
    return this.deps.own.nextNonce(publicKey)
  }

  /** Signs and takes in one transaction. Resolves once it is safe with this daemon. */
  async write({ operations, values }: ParsedOperations, { fee, validFor }: WriteTerms): Promise<Receipt> {
    await this.deps.chain.consistent()
    const { publicKey } = this
    const accountNonce = this.nextNonce(publicKey)
    const hasPending = accountNonce > this.deps.chain.store.account(publicKey).nonce
    const validUntil = validFor === undefined ? 0 : this.deps.chain.tip.header.height + validFor
    const transaction = this.sign({ operations, values }, { accountNonce, validUntil }, fee)
    this.lookAhead(transaction, hasPending)
    return this.submit(transaction)
  }

  /** Takes in a transaction whose signature has been checked. */
  async submit(transaction: Transaction): Promise<Receipt> {
    await this.deps.own.submit(transaction)
    return this.known(transaction)
  }

  /** The receipt of a transaction that is known: the same however often it is sent, but for its status. */
  known({ txid, body: { accountNonce, validUntil } }: Transaction, status: Receipt['status'] = 'pending'): Receipt {
    return { txid: hex(txid), accountNonce, status, ...(validUntil === 0 ? {} : { validUntil }) }
  }

  private sign(
    { operations, values }: ParsedOperations,
    place: { readonly accountNonce: number; readonly validUntil: number },
    fee: number | undefined,
  ): Transaction {
    const { chain, account } = this.deps
    const signed = (fee: number) =>
      signTransaction(
        sha256,
        chain.genesis.hash,
        { sender: account.publicKey, ...place, fee, operations },
        values,
        (txid) => signMessage(txid, account.secretKey),
      )
    const first = signed(fee ?? 0)
    const least = minimumFee(chain.params, transactionSize(first))
    return fee === undefined && least > 0 ? signed(least) : first
  }

  /**
   * Executes the transaction on the tip's state, and refuses it when it fails there. With own writes still pending only what they cannot
   * change counts: ownership and balance.
   */
  private lookAhead(transaction: Transaction, hasPending: boolean): void {
    const { chain } = this.deps
    const view = new StateView(chain.store)
    const sender = view.account(this.publicKey)
    // What the account may pay and in what order is the mempool's to judge.
    view.setAccount({ ...sender, nonce: transaction.body.accountNonce })
    if (transaction.body.fee > sender.balance) return
    const height = chain.tip.header.height + 1
    const outcome = applyTransaction(view, transaction, { params: chain.params, sha256, height })
    if (outcome.code === 'ok') return
    if (hasPending && (outcome.code === 'expectation-failed' || outcome.code === 'no-entry')) return
    throw refusedBy(outcome.code, outcome.operation)
  }
}
