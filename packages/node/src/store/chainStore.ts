/**
 * What the node keeps of the chain: headers, bodies, values, the main chain's index, the state and its undo. Owns which records a
 * connect and a disconnect write, each as one atomic synced batch; decides nothing. Reads are synchronous: they see the last
 * commit, whole.
 */

import { type Block, type IncludedTransaction, readBody, writeBody } from '@kvchain/core/block'
import { equalBytes, ZERO_32 } from '@kvchain/core/bytes'
import { decodeAll, encodeWith } from '@kvchain/core/codec'
import {
  type Account,
  accountPath,
  decodeAccount,
  decodeEntry,
  type Entry,
  encodeAccount,
  encodeEntry,
  entryPath,
  isEmptyAccount,
} from '@kvchain/core/entry'
import type { Genesis } from '@kvchain/core/genesis'
import { DOMAIN, taggedHash } from '@kvchain/core/hash'
import { encodeHeader, HEADER_BYTES, type Header, readHeader } from '@kvchain/core/header'
import { PUBLIC_KEY_BYTES } from '@kvchain/core/keys'
import { type Outcome, readOutcome, writeOutcome } from '@kvchain/core/outcome'
import { type StateChanges, type StateReader, type Undo, undoOf } from '@kvchain/core/state'
import { type Transaction, valueDigest } from '@kvchain/core/transaction'
import type { StateTree, TreeChange } from '@kvchain/core/tree'
import { sha256 } from '../crypto/sodium.js'
import { StoreError } from '../runtime/errors.js'
import type { Log } from '../runtime/runtime.js'
import { Batch, type Database } from './database.js'
import { recordKey, SCHEMA_VERSION, versionRange } from './schema.js'
import { DEFAULT_TREE_CACHE_BYTES, TreeStore, type TreeStoreOptions } from './treeStore.js'
import { decodeUndo, encodeUndo } from './undo.js'

/** A header as it is kept. */
export interface StoredHeader {
  readonly header: Header
  readonly hash: Uint8Array
  readonly invalid: boolean
}

/** Where a transaction stands in the main chain. */
export interface TransactionLocation {
  readonly height: number
  readonly index: number
  /** Kept here too, so that nobody decodes a block to learn them. */
  readonly outcome: Outcome
  readonly sender: Uint8Array
}

/** Undefined when a record is absent, the decoded record otherwise. */
function decoded<T>(content: Uint8Array | undefined, decode: (bytes: Uint8Array) => T): T | undefined {
  return content === undefined ? undefined : decode(content)
}

function u32(value: number): Uint8Array {
  return encodeWith((writer) => writer.u32(value), 4)
}

export class ChainStore implements StateReader {
  private readonly pages: TreeStore

  constructor(
    private readonly database: Database,
    private readonly genesis: Genesis,
    log: Log,
    options: TreeStoreOptions = { cacheBytes: DEFAULT_TREE_CACHE_BYTES },
  ) {
    this.pages = new TreeStore(database, options, log)
  }

  // --- opening -------------------------------------------------------------------------------------------------------

  /** Makes a new database this network's, or checks that an old one is. Returns the hash of the tip. */
  async initialise(): Promise<Uint8Array> {
    const schema = this.database.read(recordKey.meta('schema'))
    if (schema === undefined) {
      await this.writeGenesis()
      return this.genesis.hash
    }
    const version = decodeAll(schema, (reader) => reader.u32())
    if (version !== SCHEMA_VERSION) {
      throw new StoreError(
        'store-schema',
        `the data folder has schema ${version}, this kvchain reads schema ${SCHEMA_VERSION}: use the version of kvchain that made it, or another folder`,
        { version, expected: SCHEMA_VERSION },
      )
    }
    if (!equalBytes(this.meta('genesis'), this.genesis.hash)) {
      throw new StoreError(
        'store-network',
        'the data folder belongs to another network: choose another with --data-dir',
      )
    }
    return this.meta('tip')
  }

  /** Every header, parents before children. */
  async *headers(): AsyncGenerator<StoredHeader> {
    for await (const { key, content } of this.database.scan('header')) {
      yield decodeAll(content, (reader) => ({
        header: readHeader(reader),
        hash: key.subarray(5),
        invalid: reader.tag(0, 1) === 1,
      }))
    }
  }

  /** The state tree of this root. */
  openTree(root: Uint8Array): Promise<StateTree> {
    return this.pages.open(root, () => this.stateLeaves())
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
    return decoded(this.database.read(recordKey.entry(key)), decodeEntry)
  }

  account(publicKey: Uint8Array): Account {
    const account = decoded(this.database.read(recordKey.account(publicKey)), decodeAccount)
    return account ?? { publicKey, balance: 0, nonce: 0 }
  }

  /** Versions of a key below `before`, newest first. */
  async versions(key: Uint8Array, before: number, limit: number): Promise<Entry[]> {
    const records = await this.database.readBackwards(versionRange(entryPath(sha256, key), before), limit)
    return records.map(decodeEntry)
  }

  /** The value of a digest, or undefined when it is not kept. Throws `store-corrupt` when it is not what the digest says. */
  value(digest: Uint8Array): Uint8Array | undefined {
    const value = this.database.readBare(recordKey.value(digest))
    if (value !== undefined && !equalBytes(valueDigest(sha256, value), digest)) {
      throw new StoreError('store-corrupt', 'a value is damaged on disk', { kind: 'V' })
    }
    return value
  }

  hashAt(height: number): Uint8Array | undefined {
    return this.database.read(recordKey.mainChain(height))
  }

  location(txid: Uint8Array): TransactionLocation | undefined {
    return decoded(this.database.read(recordKey.transaction(txid)), (bytes) =>
      decodeAll(bytes, (reader) => ({
        height: reader.u32(),
        index: reader.u32(),
        outcome: readOutcome(reader),
        sender: reader.fixed(PUBLIC_KEY_BYTES),
      })),
    )
  }

  /** The transactions of a block without their values. */
  body(hash: Uint8Array): IncludedTransaction[] | undefined {
    return decoded(this.database.read(recordKey.body(hash)), (bytes) =>
      decodeAll(bytes, (reader) => readBody(reader, sha256, this.genesis.hash)),
    )
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
    if (undo === undefined) throw new StoreError('store-corrupt', 'the undo record of a connected block is missing')
    return undo
  }

  // --- writing -------------------------------------------------------------------------------------------------------

  /** Keeps a block that is not (yet) part of the main chain. */
  async storeBlock(block: Block, hash: Uint8Array): Promise<void> {
    await this.database.write(this.putBlock(new Batch(), block, hash), { sync: false })
  }

  async markInvalid(header: Header, hash: Uint8Array): Promise<void> {
    const key = recordKey.header(header.height, hash)
    await this.database.write(new Batch().put(key, headerRecord(header, true)), { sync: true })
  }

  /** One block onto the main chain: body, index, state, tree, undo and tip in one synced batch. `tree` is the committed one, changed. */
  async connect(
    block: Block,
    hash: Uint8Array,
    changes: StateChanges,
    tree: StateTree,
    isStored: boolean,
  ): Promise<void> {
    const batch = new Batch()
    if (!isStored) this.putBlock(batch, block, hash)
    const { height } = block.header
    batch.put(recordKey.mainChain(height), hash)
    for (const [index, { transaction, outcome }] of block.transactions.entries()) {
      const location = encodeWith((writer) => {
        writeOutcome(writer.u32(height).u32(index), outcome)
        writer.fixed(transaction.body.sender)
      }, 43)
      batch.put(recordKey.transaction(transaction.txid), location)
    }
    for (const entry of changes.versions) {
      batch.put(recordKey.version(entryPath(sha256, entry.key), entry.version), encodeEntry(entry))
    }
    for (const { key, after } of changes.entries) batch.put(recordKey.entry(key), encodeEntry(after))
    for (const { after } of changes.accounts) putAccount(batch, after)
    batch.put(recordKey.undo(hash), encodeUndo(undoOf(changes)))
    batch.put(recordKey.meta('tip'), hash)
    await this.commit(batch, tree)
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
    await this.commit(batch, tree)
  }

  /** Writes what the tree can be opened from without work. Part of a stop in good order. */
  checkpoint(tree: StateTree): Promise<void> {
    return this.pages.checkpoint(tree)
  }

  private async commit(batch: Batch, tree: StateTree): Promise<void> {
    this.pages.addPages(batch, tree)
    await this.database.write(batch, { sync: true })
    this.pages.onCommitted(tree)
    if (this.pages.isCheckpointDue(tree)) await this.pages.checkpoint(tree)
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
    batch.put(
      recordKey.body(hash),
      encodeWith((writer) => writeBody(writer, transactions, false), 4096),
    )
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
    await this.database.write(batch, { sync: true })
  }

  private meta(name: 'genesis' | 'tip'): Uint8Array {
    const content = this.database.read(recordKey.meta(name))
    if (content === undefined || content.length !== ZERO_32.length) {
      throw new StoreError('store-corrupt', `the data folder has lost its ${name} record`)
    }
    return content
  }
}

function headerRecord(header: Header, invalid: boolean): Uint8Array {
  return encodeWith((writer) => writer.fixed(encodeHeader(header)).u8(invalid ? 1 : 0), HEADER_BYTES + 1)
}

function putAccount(batch: Batch, account: Account): void {
  const key = recordKey.account(account.publicKey)
  if (isEmptyAccount(account)) batch.delete(key)
  else batch.put(key, encodeAccount(account))
}

function putValues(batch: Batch, transaction: Transaction): void {
  let next = 0
  for (const operation of transaction.body.operations) {
    const value = operation.kind === 'put' ? transaction.values?.[next++] : undefined
    if (operation.kind === 'put' && value !== undefined) batch.putBare(recordKey.value(operation.valueDigest), value)
  }
}
