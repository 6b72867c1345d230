/**
 * Blocks under construction. Owns what a template holds: the ready transactions in selection order, executed on the tip's state, with
 * outcomes and roots. While the tip stays, a template grows: only what is new is executed.
 */
import { EMPTY_BLOCK_BYTES, type IncludedTransaction, OUTCOME_BYTES, transactionLeaf } from '@kvchain/core/block'
import { TxError } from '@kvchain/core/checks'
import { nextTarget } from '@kvchain/core/difficulty'
import { type Header, headerCommitment } from '@kvchain/core/header'
import { MerkleTree } from '@kvchain/core/merkle'
import type { Outcome } from '@kvchain/core/outcome'
import { applyTransaction, payMiner, StateView, treeChanges } from '@kvchain/core/state'
import type { Transaction } from '@kvchain/core/transaction'
import type { StateTree } from '@kvchain/core/tree'
import type { Chain } from '../chain/chain.js'
import { SLICE } from '../chain/executor.js'
import type { ChainNode } from '../chain/headerTree.js'
import { sha256 } from '../crypto/sodium.js'
import type { Mempool } from '../mempool/mempool.js'
import { selectTransactions } from '../mempool/selection.js'
import type { Runtime } from '../runtime/runtime.js'

/** An unsolved block. */
export interface Template {
  readonly parent: ChainNode
  readonly header: Omit<Header, 'nonce'>
  readonly commitment: Uint8Array
  readonly transactions: readonly IncludedTransaction[]
  /** Arrivals that the mempool had counted when the template was begun: more of them mean that it lacks some. */
  readonly arrivalCount: number
}

interface Draft {
  readonly parent: ChainNode
  /** Of the parent, as the chain had it: after a reorg there and back it has another, and this one may not be read any more. */
  readonly base: StateTree
  readonly view: StateView
  tree: StateTree
  readonly transactions: IncludedTransaction[]
  readonly leaves: MerkleTree
  readonly nextNonces: Map<string, number>
  bytes: number
  fees: number
}

export class TemplateBuilder {
  private draft: Draft | undefined

  constructor(
    private readonly chain: Chain,
    private readonly mempool: Mempool,
    private readonly miner: Uint8Array,
    private readonly runtime: Runtime,
  ) {}

  /** The template on the present tip. Resolves to undefined when the tip moved meanwhile: ask again. */
  async build(): Promise<Template | undefined> {
    await this.chain.consistent()
    const { arrivalCount } = this.mempool
    const draft = this.currentDraft()
    const isExtended = await this.extend(draft)
    return isExtended && !this.isPast(draft) ? this.seal(draft, arrivalCount) : undefined
  }

  private currentDraft(): Draft {
    const { tip: parent, stateTree: base } = this.chain
    // Where fees matter a better-paying newcomer must be able to push others out, so the choice is made afresh.
    if (this.draft?.parent === parent && this.draft.base === base && this.chain.params.minFeePerByte === 0)
      return this.draft
    this.draft = {
      parent,
      base,
      view: new StateView(this.chain.store),
      tree: base,
      transactions: [],
      leaves: new MerkleTree(sha256),
      nextNonces: new Map(),
      bytes: EMPTY_BLOCK_BYTES,
      fees: 0,
    }
    return this.draft
  }

  /** Adds what is ready and fits. False when the tip moved: the draft is then worthless. */
  private async extend(draft: Draft): Promise<boolean> {
    const { params } = this.chain
    const context = { params, sha256, height: draft.parent.header.height + 1 }
    const added = new StateView(draft.view)
    const selection = selectTransactions(this.mempool, draft.nextNonces)
    let skipAccount = false
    let operations = 0
    while (draft.transactions.length < params.maxTransactions) {
      if (operations >= SLICE) {
        operations = 0
        await this.runtime.timers.yield()
      }
      if (this.isPast(draft)) return this.discard()
      const next = selection.next({ skipAccount })
      if (next.done === true) break
      const { transaction, bytes, account } = next.value
      operations += transaction.body.operations.length
      const total = draft.bytes + bytes + OUTCOME_BYTES
      skipAccount = total > params.maxBlockBytes
      if (skipAccount) continue
      const outcome = tryApply(() => applyTransaction(added, transaction, context))
      skipAccount = outcome === undefined
      if (outcome === undefined) continue
      this.include(draft, transaction, outcome, total)
      draft.nextNonces.set(account, transaction.body.accountNonce + 1)
    }
    const { tree } = draft
    draft.tree = this.chain.store.guardTree(() => tree.update(treeChanges(sha256, added.changes())))
    draft.view.absorb(added)
    return true
  }

  /** Whether the state below a draft is, or is about to be, that of another tip. */
  private isPast({ parent }: Draft): boolean {
    return this.chain.tip !== parent || this.chain.isCommitting
  }

  private include(draft: Draft, transaction: Transaction, outcome: Outcome, bytes: number): void {
    const included = { transaction, outcome }
    draft.transactions.push(included)
    draft.leaves.add(transactionLeaf(sha256, included))
    draft.bytes = bytes
    draft.fees += transaction.body.fee
  }

  private discard(): false {
    this.draft = undefined
    return false
  }

  private seal(draft: Draft, arrivalCount: number): Template {
    const { params } = this.chain
    const { parent, transactions } = draft
    const paid = new StateView(draft.view)
    payMiner(paid, this.miner, params.blockReward, draft.fees)
    const header: Omit<Header, 'nonce'> = {
      parent: parent.hash,
      height: parent.header.height + 1,
      timestampMs: Math.max(this.runtime.clock.nowMs(), parent.header.timestampMs + 1),
      target: nextTarget(params, parent.header, parent.parent?.header),
      txRoot: draft.leaves.root(),
      stateRoot: this.chain.store.guardTree(() => draft.tree.update(treeChanges(sha256, paid.changes())).root),
      miner: this.miner,
    }
    const commitment = headerCommitment(sha256, header)
    return { parent, header, commitment, transactions: [...transactions], arrivalCount }
  }
}

function tryApply(apply: () => Outcome): Outcome | undefined {
  try {
    return apply()
  } catch (error) {
    if (error instanceof TxError) return undefined
    throw error
  }
}
