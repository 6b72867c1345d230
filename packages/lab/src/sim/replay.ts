/**
 * What a chain of blocks makes of the empty state, found by core's rules alone from genesis on: beside the nodes, with none of their stores, pools or
 * caches. Owns the models and what they are compared by; each block is replayed once, whoever holds it.
 */
import type { Block } from '@kvchain/core/block'
import { equalBytes, toMapKey } from '@kvchain/core/bytes'
import { checkBody, checkHeader } from '@kvchain/core/checks'
import { type Account, type Entry, encodeEntry } from '@kvchain/core/entry'
import { executeBlock } from '@kvchain/core/execution'
import type { Genesis } from '@kvchain/core/genesis'
import type { Header } from '@kvchain/core/header'
import type { Network } from '@kvchain/core/params'
import { checkHeaderContext } from '@kvchain/core/rules'
import { type StateReader, treeChanges } from '@kvchain/core/state'
import type { StateTree } from '@kvchain/core/tree'
import type { ChainNode } from '@kvchain/node/chain/headerTree'
import { sha256, verifySignature } from '@kvchain/node/crypto/sodium'
import type { LedgerParts } from '@kvchain/node/ledgerParts'
import { hex } from '@kvchain/node/runtime/hex'
import { LabError } from '../errors.js'

/** The state after a block. */
interface Model extends StateReader {
  readonly header: Header
  readonly parent: Header | undefined
  readonly tree: StateTree
  readonly entries: ReadonlyMap<string, Entry>
  readonly accounts: ReadonlyMap<string, Account>
  /** Hexadecimal txids of all transactions so far. */
  readonly txids: ReadonlySet<string>
}

/** Models that are kept; a chain is replayed from the nearest of them. */
const MAX_MODELS = 64

export class Replay {
  private readonly models = new Map<string, Model>()

  constructor(
    private readonly network: Network,
    private readonly genesis: Genesis,
  ) {}

  /** Whether the state that a node holds is what its main chain makes. Throws LabError `lab-broken`. */
  compare({ chain, store }: LedgerParts): ReadonlySet<string> {
    const { tip } = chain
    const model = this.modelAt(tip, (node) => {
      const transactions = store.bodyWithValues(node.hash)
      if (transactions === undefined) throw broken(`block ${node.header.height} of the main chain has no body`)
      return { header: node.header, transactions }
    })
    if (!equalBytes(chain.stateTree.root, model.tree.root)) throw broken('the state tree is not that of the chain')
    if (chain.stateTree.size !== model.tree.size) throw broken('the state has more or less in it than the chain makes')
    for (const entry of model.entries.values()) {
      const held = store.entry(entry.key)
      const isSame = held !== undefined && equalBytes(encodeEntry(held), encodeEntry(entry))
      if (!isSame) throw broken(`the entry ${new TextDecoder().decode(entry.key)} is not what the chain makes`)
    }
    for (const account of model.accounts.values()) {
      const held = store.account(account.publicKey)
      const isSame = held.balance === account.balance && held.nonce === account.nonce
      if (!isSame) throw broken(`the account ${hex(account.publicKey)} is not what the chain makes`)
    }
    return model.txids
  }

  private modelAt(tip: ChainNode, blockOf: (node: ChainNode) => Block): Model {
    const path: ChainNode[] = []
    let at: ChainNode | undefined = tip
    let model: Model | undefined
    while (at !== undefined && model === undefined) {
      model = this.models.get(hex(at.hash))
      if (model === undefined) path.push(at)
      at = at.parent
    }
    for (const node of path.reverse()) {
      model = model === undefined ? this.first() : this.next(model, blockOf(node))
      this.models.set(hex(node.hash), model)
      const [oldest] = this.models.keys()
      if (this.models.size > MAX_MODELS && oldest !== undefined) this.models.delete(oldest)
    }
    if (model === undefined) throw broken('a chain begins at genesis')
    return model
  }

  private first(): Model {
    const { header, tree, accounts } = this.genesis
    const byKey = new Map(accounts.map((account) => [toMapKey(account.publicKey), account]))
    return makeModel({ header, parent: undefined, tree, entries: new Map(), accounts: byKey, txids: new Set() })
  }

  /** Every rule of the protocol, once more. */
  private next(before: Model, block: Block): Model {
    const { params } = this.network
    const { header, transactions } = block
    checkHeader(params, sha256, header)
    checkHeaderContext(params, header, { parent: before.header, grandparent: before.parent })
    checkBody(params, sha256, block)
    const txids = new Set(before.txids)
    const nonces = new Map<string, number>()
    for (const { transaction } of transactions) {
      const { txid, signature, body } = transaction
      if (!verifySignature(signature, txid, body.sender))
        throw broken('a transaction is on the chain without a signature')
      if (txids.has(hex(txid))) throw broken('a transaction is on the chain twice')
      txids.add(hex(txid))
      const sender = toMapKey(body.sender)
      const expected = nonces.get(sender) ?? before.account(body.sender).nonce
      if (body.accountNonce !== expected) throw broken('the account nonces on the chain have a gap')
      nonces.set(sender, expected + 1)
    }
    const execution = executeBlock(before, transactions, header.miner, { params, sha256, height: header.height })
    let step = execution.next()
    while (step.done !== true) step = execution.next()
    const tree = before.tree.update(treeChanges(sha256, step.value))
    if (!equalBytes(tree.root, header.stateRoot)) throw broken('a block is on the chain with another state root')
    const entries = new Map(before.entries)
    for (const { after } of step.value.entries) entries.set(toMapKey(after.key), after)
    const accounts = new Map(before.accounts)
    for (const { after } of step.value.accounts) accounts.set(toMapKey(after.publicKey), after)
    return makeModel({ header, parent: before.header, tree, entries, accounts, txids })
  }
}

function makeModel(parts: Omit<Model, 'entry' | 'account'>): Model {
  const { entries, accounts } = parts
  return {
    ...parts,
    entry: (key) => entries.get(toMapKey(key)),
    account: (publicKey) => accounts.get(toMapKey(publicKey)) ?? { publicKey, balance: 0, nonce: 0 },
  }
}

/** What must hold does not. */
export function broken(what: string): LabError {
  return new LabError('lab-broken', what)
}
