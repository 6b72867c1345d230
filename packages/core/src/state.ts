/**
 * The state transition: what a transaction does to entries and accounts, what a block adds up to, and how both are undone. Reads
 * through an interface, writes into an overlay; stores nothing. (protocol.md section 6)
 */
import { namespaceOwner } from './address.js'
import { equalBytes, toMapKey, ZERO_32 } from './bytes.js'
import {
  type Account,
  accountDigest,
  accountPath,
  type Entry,
  entryDigest,
  entryPath,
  isEmptyAccount,
} from './entry.js'
import { assert } from './errors.js'
import type { Sha256 } from './hash.js'
import { type Failure, OK, type Outcome } from './outcome.js'
import type { Params } from './params.js'
import { checkIncludable } from './rules.js'
import type { AccessChange, Expectation, Operation, Transaction, WriteAccess } from './transaction.js'
import type { TreeChange } from './tree.js'

/** Where the present state is read from. */
export interface StateReader {
  /** The latest version, deleted or not; undefined when the key was never written. */
  entry(key: Uint8Array): Entry | undefined
  /** Balance 0 and nonce 0 for an account that nobody has heard of. */
  account(publicKey: Uint8Array): Account
}

/** What a block changes. `before` is what the state held when the block began. */
export interface StateChanges {
  readonly entries: readonly {
    readonly key: Uint8Array
    readonly before: Entry | undefined
    readonly after: Entry
  }[]
  readonly accounts: readonly {
    readonly before: Account
    readonly after: Account
  }[]
  /** Every entry version made, oldest first: a key written twice in one block has two. */
  readonly versions: readonly Entry[]
}

/** Reads each place once, for as long as the state below does not change. */
export class ReadOnce implements StateReader {
  private readonly entries = new Map<string, Entry | undefined>()
  private readonly accounts = new Map<string, Account>()

  constructor(private readonly base: StateReader) {}

  entry(key: Uint8Array): Entry | undefined {
    const text = toMapKey(key)
    const known = this.entries.get(text)
    if (known !== undefined || this.entries.has(text)) return known
    const entry = this.base.entry(key)
    this.entries.set(text, entry)
    return entry
  }

  account(publicKey: Uint8Array): Account {
    const text = toMapKey(publicKey)
    const known = this.accounts.get(text)
    if (known !== undefined) return known
    const account = this.base.account(publicKey)
    this.accounts.set(text, account)
    return account
  }
}

/** An overlay of pending changes over a reader. */
export class StateView implements StateReader {
  private readonly entries = new Map<string, Entry>()
  private readonly accounts = new Map<string, Account>()
  private readonly versions: Entry[] = []

  constructor(private readonly base: StateReader) {}

  entry(key: Uint8Array): Entry | undefined {
    return this.entries.get(toMapKey(key)) ?? this.base.entry(key)
  }

  account(publicKey: Uint8Array): Account {
    return this.accounts.get(toMapKey(publicKey)) ?? this.base.account(publicKey)
  }

  setEntry(entry: Entry): void {
    this.entries.set(toMapKey(entry.key), entry)
    this.versions.push(entry)
  }

  setAccount(account: Account): void {
    this.accounts.set(toMapKey(account.publicKey), account)
  }

  /** Takes over everything that a view on top of this one holds. */
  absorb(above: StateView): void {
    for (const [key, entry] of above.entries) this.entries.set(key, entry)
    for (const [key, account] of above.accounts) this.accounts.set(key, account)
    for (const entry of above.versions) this.versions.push(entry)
  }

  changes(): StateChanges {
    return {
      entries: [...this.entries.values()].map((after) => ({
        key: after.key,
        before: this.base.entry(after.key),
        after,
      })),
      accounts: [...this.accounts.values()].map((after) => ({
        before: this.base.account(after.publicKey),
        after,
      })),
      versions: this.versions,
    }
  }
}

/** What execution needs to know besides the state. */
export interface BlockContext {
  readonly params: Params
  readonly sha256: Sha256
  readonly height: number
}

/**
 * Executes one transaction: charges the fee, spends the account nonce, then does the operations, all or none. Throws TxError when it
 * may not be included at all; then the view is unchanged.
 */
export function applyTransaction(view: StateView, transaction: Transaction, context: BlockContext): Outcome {
  const { sender: publicKey, fee } = transaction.body
  const sender = view.account(publicKey)
  checkIncludable(context.params, transaction, sender, context.height)
  view.setAccount({
    publicKey,
    balance: sender.balance - fee,
    nonce: sender.nonce + 1,
  })
  const pending = new StateView(view)
  for (const [operation, step] of transaction.body.operations.entries()) {
    const failure = applyOperation(pending, step, transaction, context)
    if (failure !== undefined) return { code: failure, operation }
  }
  view.absorb(pending)
  return OK
}

/** Pays the miner: the reward and the fees of the block. The last change of every block. */
export function payMiner(view: StateView, miner: Uint8Array, reward: number, fees: number): void {
  if (reward + fees === 0) return
  const account = view.account(miner)
  view.setAccount({ ...account, balance: account.balance + reward + fees })
}

function applyOperation(
  view: StateView,
  operation: Operation,
  transaction: Transaction,
  context: BlockContext,
): Failure | undefined {
  const sender = transaction.body.sender
  if (operation.kind === 'transfer') return transfer(view, sender, operation.to, operation.amount)
  const current = view.entry(operation.key)
  if (!isExpected(operation.expect, current)) return 'expectation-failed'
  if (operation.kind === 'assert') return undefined
  const next = nextEntry(operation, current, sender, context)
  if (typeof next === 'string') return next
  // Not spread: that takes longer than the rest of the operation.
  view.setEntry({
    key: operation.key,
    version: (current?.version ?? 0) + 1,
    deleted: next.deleted,
    valueLength: next.valueLength,
    valueDigest: next.valueDigest,
    owner: next.owner,
    access: next.access,
    height: context.height,
    txid: transaction.txid,
    previous: current === undefined ? ZERO_32 : entryDigest(context.sha256, current),
  })
  return undefined
}

type EntryContent = Pick<Entry, 'deleted' | 'valueLength' | 'valueDigest' | 'owner' | 'access'>

const NO_VALUE = { valueLength: 0, valueDigest: ZERO_32 } as const

/** What the key holds after the operation, or why not. */
function nextEntry(
  operation: Extract<Operation, { kind: 'put' | 'delete' | 'access' }>,
  current: Entry | undefined,
  sender: Uint8Array,
  context: BlockContext,
): EntryContent | Failure {
  if (current === undefined) {
    if (operation.kind !== 'put') return 'no-entry'
    const holder = namespaceOwner(operation.key, context.params.addressPrefix)
    if (holder !== undefined && !equalBytes(holder, sender)) return 'namespace-owner'
    const { valueLength, valueDigest } = operation
    return {
      deleted: false,
      valueLength,
      valueDigest,
      owner: sender,
      access: changed({ kind: 'private' }, operation.access),
    }
  }
  const { owner, access, deleted, valueLength, valueDigest } = current
  const isOwner = equalBytes(owner, sender)
  switch (operation.kind) {
    case 'put':
      if (!isOwner && (!mayWrite(access, sender) || operation.access.kind !== 'keep')) return 'not-owner'
      return {
        deleted: false,
        valueLength: operation.valueLength,
        valueDigest: operation.valueDigest,
        owner,
        access: changed(access, operation.access),
      }
    case 'delete':
      if (deleted) return 'no-entry'
      return isOwner || mayWrite(access, sender) ? { deleted: true, ...NO_VALUE, owner, access } : 'not-owner'
    case 'access':
      if (!isOwner) return 'not-owner'
      return {
        deleted,
        valueLength,
        valueDigest,
        owner: operation.owner ?? owner,
        access: changed(access, operation.access),
      }
  }
}

function changed(access: WriteAccess, change: AccessChange): WriteAccess {
  return change.kind === 'keep' ? access : change
}

function mayWrite(access: WriteAccess, sender: Uint8Array): boolean {
  if (access.kind === 'writers') return access.writers.some((account) => equalBytes(account, sender))
  return access.kind === 'open'
}

function isExpected(expect: Expectation, entry: Entry | undefined): boolean {
  switch (expect.kind) {
    case 'any':
      return true
    case 'absent':
      return entry === undefined || entry.deleted
    case 'version':
      return entry !== undefined && entry.version === expect.version
    case 'digest':
      return entry !== undefined && !entry.deleted && equalBytes(entry.valueDigest, expect.digest)
  }
}

function transfer(view: StateView, from: Uint8Array, to: Uint8Array, amount: number): Failure | undefined {
  const payer = view.account(from)
  if (payer.balance < amount) return 'insufficient-balance'
  view.setAccount({ ...payer, balance: payer.balance - amount })
  const payee = view.account(to)
  view.setAccount({ ...payee, balance: payee.balance + amount })
  return undefined
}

// --- undo ------------------------------------------------------------------------------------------------------------

/** What it takes to disconnect a block: what every changed key and account was before. */
export interface Undo {
  readonly entries: readonly {
    readonly key: Uint8Array
    readonly before: Entry | undefined
  }[]
  readonly accounts: readonly Account[]
}

export function undoOf(changes: StateChanges): Undo {
  return {
    entries: changes.entries.map(({ key, before }) => ({ key, before })),
    accounts: changes.accounts.map(({ before }) => before),
  }
}

/** The changes of the state tree that make `changes`. */
export function treeChanges(sha256: Sha256, changes: StateChanges): TreeChange[] {
  return [
    ...changes.entries.map(({ key, after }) => entryChange(sha256, key, after)),
    ...changes.accounts.map(({ after }) => accountChange(sha256, after)),
  ]
}

/** The changes of the state tree that undo a block. */
export function undoTreeChanges(sha256: Sha256, undo: Undo): TreeChange[] {
  return [
    ...undo.entries.map(({ key, before }) => entryChange(sha256, key, before)),
    ...undo.accounts.map((before) => accountChange(sha256, before)),
  ]
}

function entryChange(sha256: Sha256, key: Uint8Array, entry: Entry | undefined): TreeChange {
  assert(entry === undefined || entry.version > 0, 'versions begin at 1')
  return {
    path: entryPath(sha256, key),
    digest: entry && entryDigest(sha256, entry),
  }
}

function accountChange(sha256: Sha256, account: Account): TreeChange {
  const digest = isEmptyAccount(account) ? undefined : accountDigest(sha256, account)
  return { path: accountPath(sha256, account.publicKey), digest }
}
