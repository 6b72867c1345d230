/**
 * What the node keeps of the chain: headers, bodies, values, the main chain's index, the state and its undo. Owns which records a
 * connect and a disconnect write, each as one atomic batch; decides nothing. Reads are synchronous: they see the last
 * commit, whole. What a seal cannot show (that a record is the latest, that one should be there) is checked against the committed state tree
 * and the main chain: whatever does not agree is StoreError `store-corrupt`, never an answer. While a commit is under way the tree and the
 * records are of different tips, and nothing is compared: whoever answers others waits for it (Chain.consistent).
 */

import type { Block, IncludedTransaction } from '@kvchain/core/block'
import { equalBytes, ZERO_32 } from '@kvchain/core/bytes'
import { CodecError } from '@kvchain/core/codec'
import {
  type Account,
  accountPath,
  decodeEntry,
  type Entry,
  encodeEntry,
  entryDigest,
  entryPath,
} from '@kvchain/core/entry'
import { AssertionError, type ErrorData } from '@kvchain/core/errors'
import type { Genesis } from '@kvchain/core/genesis'
import { DOMAIN, taggedHash } from '@kvchain/core/hash'
import type { Header } from '@kvchain/core/header'
import { sameOutcome } from '@kvchain/core/outcome'
import { type StateChanges, type StateReader, type Undo, undoOf } from '@kvchain/core/state'
import { type Transaction, valueDigest } from '@kvchain/core/transaction'
import { type StateTree, type TreeChange, TreeError } from '@kvchain/core/tree'
import { sha256 } from '../crypto/sodium.js'
import type { StoreError } from '../runtime/errors.js'
import type { Failpoints } from '../runtime/failpoints.js'
import type { Log } from '../runtime/runtime.js'
import { Batch } from './batch.js'
import type { Database } from './database.js'
import { RecentAccounts } from './recentAccounts.js'
import {
  accountOf,
  checkNetwork,
  checkSchema,
  decodeBody,
  decoded,
  decodeLocation,
  encodeLocation,
  headerRecord,
  putAccount,
  putBody,
  putValues,
  putVersion,
  type StoredHeader,
  storedHeader,
  type TransactionLocation,
  u32,
} from './records.js'
import { entryRange, recordKey, SCHEMA_VERSION } from './schema.js'
import { DEFAULT_TREE_CACHE_BYTES, TreeStore, type TreeStoreOptions } from './treeStore.js'
import { decodeUndo, encodeUndo } from './undo.js'

export type { TransactionLocation }

export interface ConnectOptions {
  /** The block was stored before, with its values. */
  readonly isStored: boolean
  /** Whether it is to be on disk when it is connected; else it gets there with the next commit that is, or earlier. */
  readonly isDurable: boolean
}

export class ChainStore implements StateReader {
  /** The state without a look into the tree: for executing a block of others, whose state root shows whether it was read right. */
  readonly unchecked: StateReader
  private readonly pages: TreeStore
  private readonly recent = new RecentAccounts()
  /** That of the last commit; undefined until it is opened. */
  private tree: StateTree | undefined
  private tipHeight = 0
  private isWriting = false
  private isStored: (hash: Uint8Array) => boolean = () => false
  /** The body that was read last: what is asked of one block is often asked again. */
  private lastBody: { readonly hash: Uint8Array; readonly transactions: IncludedTransaction[] } | undefined

  constructor(
    private readonly database: Database,
    private readonly genesis: Genesis,
    log: Log,
    options: TreeStoreOptions = { cacheBytes: DEFAULT_TREE_CACHE_BYTES },
  ) {
    this.pages = new TreeStore(database, options, log)
    this.unchecked = {
      entry: (key) => decoded(database.read(recordKey.entry(key)), decodeEntry),
      account: (publicKey) =>
        this.recent.get(publicKey) ?? accountOf(publicKey, database.read(recordKey.account(publicKey))),
    }
  }

  get failpoints(): Failpoints {
    return this.database.failpoints
  }

  /** The error for damage; see Database. */
  damage(message: string, data: ErrorData = {}, cause?: unknown): StoreError {
    return this.database.damage(message, data, cause)
  }

  // --- opening -------------------------------------------------------------------------------------------------------

  /** Makes a new database this network's, or checks that an old one is. Returns the hash of the tip. */
  async initialise(): Promise<Uint8Array> {
    const schema = this.database.read(recordKey.meta('schema'))
    if (schema === undefined) {
      for await (const _ of this.database.scan('header'))
        throw this.damage('the data folder has lost its schema record')
      await this.writeGenesis()
      return this.genesis.hash
    }
    checkSchema(schema)
    checkNetwork(this.meta('genesis'), this.genesis)
    return this.meta('tip')
  }

  /** Every header, parents before children. */
  async *headers(): AsyncGenerator<StoredHeader> {
    for await (const { key, content } of this.database.scan('header')) {
      yield storedHeader(key, content)
    }
  }

  /** The state tree at the tip, and the index of the main chain compared with it. `main` is the main chain's hashes, genesis first. */
  async openState(tip: Header, main: readonly Uint8Array[]): Promise<StateTree> {
    let height = 0
    for await (const { key, content } of this.database.scan('mainChain')) {
      const expected = main[height]
      const isNext = expected !== undefined && equalBytes(content, expected)
      if (!isNext || !equalBytes(key, recordKey.mainChain(height++))) {
        throw this.damage('the index of the main chain is not that of its tip')
      }
    }
    if (height !== main.length) throw this.damage('the index of the main chain is not that of its tip')
    this.tree = await this.pages.open(tip.stateRoot, () => this.stateLeaves())
    this.tipHeight = tip.height
    return this.tree
  }

  /** Every place in the state tree with its digest, to build the tree from. */
  async *stateLeaves(): AsyncGenerator<TreeChange> {
    for await (const { key, content } of this.database.scan('entry')) {
      yield { path: entryPath(sha256, key.subarray(1)), digest: taggedHash(sha256, DOMAIN.entry, content) }
    }
    for await (const { key, content } of this.database.scan('account')) {
      yield { path: accountPath(sha256, key.subarray(1)), digest: taggedHash(sha256, DOMAIN.account, content) }
    }
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  entry(key: Uint8Array): Entry | undefined {
    const record = this.database.read(recordKey.entry(key))
    this.checkInTree(entryPath(sha256, key), DOMAIN.entry, record)
    return decoded(record, decodeEntry)
  }

  account(publicKey: Uint8Array): Account {
    const record = this.database.read(recordKey.account(publicKey))
    this.checkInTree(accountPath(sha256, publicKey), DOMAIN.account, record)
    return accountOf(publicKey, record)
  }

  /** Keys that begin with `prefix` and come after `after`, in the order of their bytes, deleted ones included. */
  async *keys(prefix: Uint8Array, after: Uint8Array | undefined): AsyncGenerator<Uint8Array> {
    for await (const key of this.database.keys(entryRange(prefix, after))) yield key.subarray(1)
  }

  /** A record of the state, or that there is none, is what the committed tree says. */
  private checkInTree(path: Uint8Array, domain: Uint8Array, content: Uint8Array | undefined): void {
    const { tree } = this
    if (tree === undefined || this.isWriting) return
    const digest = this.guardTree(() => tree.digestAt(path))
    const isSame =
      content === undefined || digest === undefined
        ? content === digest
        : equalBytes(taggedHash(sha256, domain, content), digest)
    if (!isSame) throw this.damage('the stored state is not what the state root of the tip says')
  }

  /** Runs `work` on a state tree: a page that is damaged is StoreError `store-corrupt`. */
  guardTree<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      const isPage = error instanceof TreeError && error.code === 'tree-page'
      if (!isPage && !(error instanceof CodecError) && !(error instanceof AssertionError)) throw error
      throw this.damage('a page of the state tree is damaged', {}, error)
    }
  }

  /**
   * Versions of a key below `before`, newest first. Each is compared with the one that follows it, which names its digest, the newest of all with
   * the latest entry; and the transaction of each must be where it says, also of the one that a page from the middle of a history hangs by.
   */
  async versions(key: Uint8Array, before: number, limit: number): Promise<Entry[]> {
    const latest = this.entry(key)
    if (latest === undefined) return []
    const path = entryPath(sha256, key)
    const newest = Math.min(before - 1, latest.version)
    const next = newest === latest.version ? undefined : this.version(path, newest + 1)
    let digest = next === undefined ? entryDigest(sha256, latest) : next.previous
    if (next !== undefined) this.checkPlace(next)
    const entries: Entry[] = []
    for (let number = newest; number > 0 && entries.length < limit; number--) {
      const entry = this.version(path, number)
      const isLinked = entry !== undefined && equalBytes(entryDigest(sha256, entry), digest)
      if (!isLinked && !this.isWriting) throw this.damage('the versions of a key do not hang together')
      if (entry === undefined) break
      this.checkPlace(entry)
      entries.push(entry)
      digest = entry.previous
    }
    return entries
  }

  private checkPlace({ txid, height }: Entry): void {
    if (this.isWriting || this.locationRecord(txid)?.height === height) return
    throw this.damage('the transaction of a version is not where that says')
  }

  private version(path: Uint8Array, number: number): Entry | undefined {
    return decoded(this.database.read(recordKey.version(path, number)), decodeEntry)
  }

  /** The value of a digest. Undefined when it is lost, which is told as damage: nothing is given up on purpose. Throws `store-corrupt`. */
  value(digest: Uint8Array): Uint8Array | undefined {
    const value = this.database.readBare(recordKey.value(digest))
    if (value === undefined) this.damage('a value is missing', { kind: 'V' })
    else if (!equalBytes(valueDigest(sha256, value), digest))
      throw this.damage('a value is damaged on disk', { kind: 'V' })
    return value
  }

  hashAt(height: number): Uint8Array | undefined {
    const hash = this.database.read(recordKey.mainChain(height))
    const isDue = this.tree !== undefined && !this.isWriting && height <= this.tipHeight
    if (hash === undefined && isDue) throw this.damage('the index of the main chain has a gap')
    return hash
  }

  /** Where a transaction stands in the main chain, compared with the block there. */
  location(txid: Uint8Array): TransactionLocation | undefined {
    const location = this.locationRecord(txid)
    if (location === undefined || this.isWriting) return location
    const hash = this.hashAt(location.height)
    const included = hash && this.body(hash)?.[location.index]
    const isThere =
      included !== undefined &&
      equalBytes(included.transaction.txid, txid) &&
      equalBytes(included.transaction.body.sender, location.sender) &&
      sameOutcome(included.outcome, location.outcome)
    if (!isThere) throw this.damage('a transaction is not where the index says')
    return location
  }

  /** Whether the index knows a transaction as part of the main chain. Costs no look into the block. */
  isIndexed(txid: Uint8Array): boolean {
    return this.locationRecord(txid) !== undefined
  }

  private locationRecord(txid: Uint8Array): TransactionLocation | undefined {
    return decoded(this.database.read(recordKey.transaction(txid)), decodeLocation)
  }

  /** Says which blocks have a body here, so that the loss of one is noticed. */
  expectBodies(isStored: (hash: Uint8Array) => boolean): void {
    this.isStored = isStored
  }

  /** The transactions of a block without their values; undefined when the block was never stored. */
  body(hash: Uint8Array): IncludedTransaction[] | undefined {
    if (this.lastBody !== undefined && equalBytes(this.lastBody.hash, hash)) return this.lastBody.transactions
    const transactions = decoded(this.database.read(recordKey.body(hash)), (bytes) =>
      decodeBody(bytes, this.genesis.hash),
    )
    if (transactions !== undefined) this.lastBody = { hash, transactions }
    else if (this.isStored(hash)) throw this.damage('the body of a block is missing', { kind: 'B' })
    return transactions
  }

  /** The transactions of a block with their values, as far as those are kept. */
  bodyWithValues(hash: Uint8Array): IncludedTransaction[] | undefined {
    return this.body(hash)?.map(({ transaction, outcome }) => ({
      transaction: this.withValues(transaction),
      outcome,
    }))
  }

  withValues(transaction: Transaction): Transaction {
    const values: Uint8Array[] = []
    for (const operation of transaction.body.operations) {
      if (operation.kind !== 'put') continue
      const value = this.value(operation.valueDigest)
      if (value === undefined) return transaction
      values.push(value)
    }
    return { ...transaction, values }
  }

  undo(hash: Uint8Array): Undo {
    const undo = decoded(this.database.read(recordKey.undo(hash)), decodeUndo)
    if (undo === undefined) throw this.damage('the undo record of a connected block is missing', { kind: 'U' })
    return undo
  }

  // --- writing -------------------------------------------------------------------------------------------------------

  /** Keeps a block that is not (yet) part of the main chain. */
  async storeBlock(block: Block, hash: Uint8Array): Promise<void> {
    await this.database.write(this.putBlock(new Batch(), block, hash), { sync: false, step: 'store-block' })
  }

  async markInvalid(header: Header, hash: Uint8Array): Promise<void> {
    const key = recordKey.header(header.height, hash)
    await this.database.write(new Batch().put(key, headerRecord(header, true)), { sync: true, step: 'mark-invalid' })
  }

  /** One block onto the main chain: body, index, state, tree, undo and tip in one batch. `tree` is the committed one, changed. */
  async connect(
    block: Block,
    hash: Uint8Array,
    changes: StateChanges,
    tree: StateTree,
    { isStored, isDurable }: ConnectOptions,
  ): Promise<void> {
    const batch = new Batch()
    if (!isStored) this.putBlock(batch, block, hash)
    const { height } = block.header
    batch.put(recordKey.mainChain(height), hash)
    for (const [index, { transaction, outcome }] of block.transactions.entries()) {
      const location = { height, index, outcome, sender: transaction.body.sender }
      batch.put(recordKey.transaction(transaction.txid), encodeLocation(location))
    }
    const latest = new Set(changes.entries.map(({ after }) => after))
    for (const entry of changes.versions) putVersion(batch, entry, latest.has(entry))
    for (const { after } of changes.accounts) putAccount(batch, after)
    batch.put(recordKey.undo(hash), encodeUndo(undoOf(changes)))
    batch.put(recordKey.meta('tip'), hash)
    await this.commit('connect', batch, tree, height, isDurable)
    this.recent.add(changes)
  }

  /** The tip off the main chain, in one synced batch. The block itself is kept. */
  async disconnect(
    header: Header,
    hash: Uint8Array,
    transactions: readonly IncludedTransaction[],
    undo: Undo,
    tree: StateTree,
  ): Promise<void> {
    const batch = new Batch().delete(recordKey.mainChain(header.height)).delete(recordKey.undo(hash))
    for (const { transaction } of transactions) batch.delete(recordKey.transaction(transaction.txid))
    for (const { key, before } of undo.entries) this.revertEntry(batch, key, before)
    for (const before of undo.accounts) putAccount(batch, before)
    batch.put(recordKey.meta('tip'), header.parent)
    this.recent.clear()
    await this.commit('disconnect', batch, tree, header.height - 1, true)
  }

  private async commit(
    step: 'connect' | 'disconnect',
    batch: Batch,
    tree: StateTree,
    height: number,
    isDurable: boolean,
  ): Promise<void> {
    this.isWriting = true
    try {
      this.pages.addPages(batch, tree)
      await this.database.write(batch, { sync: isDurable, behind: !isDurable, step })
      this.pages.onCommitted(tree)
      this.tree = tree
      this.tipHeight = height
    } finally {
      this.isWriting = false
    }
  }

  private revertEntry(batch: Batch, key: Uint8Array, before: Entry | undefined): void {
    const current = this.entry(key)
    const path = entryPath(sha256, key)
    const kept = before?.version ?? 0
    for (let version = current?.version ?? 0; version > kept; version--) batch.delete(recordKey.version(path, version))
    if (before === undefined) batch.delete(recordKey.entry(key))
    else batch.put(recordKey.entry(key), encodeEntry(before))
  }

  private putBlock(batch: Batch, block: Block, hash: Uint8Array): Batch {
    const { header, transactions } = block
    batch.put(recordKey.header(header.height, hash), headerRecord(header, false))
    putBody(batch, hash, transactions)
    for (const { transaction } of transactions) putValues(batch, transaction)
    return batch
  }

  private async writeGenesis(): Promise<void> {
    const { header, hash, accounts } = this.genesis
    const batch = new Batch()
    batch.put(recordKey.meta('schema'), u32(SCHEMA_VERSION)).put(recordKey.meta('genesis'), hash)
    this.putBlock(batch, { header, transactions: [] }, hash)
    batch.put(recordKey.mainChain(0), hash).put(recordKey.meta('tip'), hash)
    for (const account of accounts) putAccount(batch, account)
    await this.database.write(batch, { sync: true, step: 'genesis' })
  }

  private meta(name: 'genesis' | 'tip'): Uint8Array {
    const content = this.database.read(recordKey.meta(name))
    if (content === undefined || content.length !== ZERO_32.length) {
      throw this.damage(`the data folder has lost its ${name} record`)
    }
    return content
  }
}
