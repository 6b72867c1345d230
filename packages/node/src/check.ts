/**
 * A look at everything in the database of a data folder. Owns what must agree with what; changes nothing that counts (LevelDB may put its files in
 * order). Every record is whole; headers hang together by their hashes; bodies, values, places and undo records belong to their blocks; entries and
 * accounts are those of the state tree, and that has the tip's state root; every version of every key leads to the latest entry.
 */
import { transactionRoot } from '@kvchain/core/block'
import { equalBytes, ZERO_32 } from '@kvchain/core/bytes'
import { CodecError } from '@kvchain/core/codec'
import { accountPath, decodeEntry, entryPath } from '@kvchain/core/entry'
import type { Genesis } from '@kvchain/core/genesis'
import { DOMAIN, taggedHash } from '@kvchain/core/hash'
import { headerHash } from '@kvchain/core/header'
import { sameOutcome } from '@kvchain/core/outcome'
import { valueDigest } from '@kvchain/core/transaction'
import { type StateTree, TreeError } from '@kvchain/core/tree'
import { type ChainNode, HeaderTree, pathBetween } from './chain/headerTree.js'
import { sha256 } from './crypto/sodium.js'
import { type Progress, ProgressTeller } from './progress.js'
import type { Failpoints } from './runtime/failpoints.js'
import type { Runtime } from './runtime/runtime.js'
import { ChainStore } from './store/chainStore.js'
import { Database, type RawRecord } from './store/database.js'
import { readFiles } from './store/files.js'
import { databaseFolder, isDamage, lockFolder, requireDatabase, resumeFolders } from './store/folders.js'
import { journalled } from './store/journal.js'
import { decodeBody, decodeLocation, storedHeader } from './store/records.js'
import { wholeContent } from './store/salvage.js'
import { kindOf, type RecordKind, recordKey } from './store/schema.js'
import { DEFAULT_TREE_CACHE_BYTES, TreeStore } from './store/treeStore.js'
import { decodeUndo } from './store/undo.js'

export interface CheckOptions {
  readonly dataDir: string
  readonly genesis: Genesis
  readonly runtime: Runtime
  readonly failpoints: Failpoints
  readonly onProgress: (progress: Progress) => void
}

export interface CheckReport {
  /** Of the tip; undefined when it did not come so far. */
  readonly height: number | undefined
  readonly keys: number
  readonly accounts: number
  readonly transactions: number
  /** What is wrong, and how often. Empty: all is sound. */
  readonly problems: ReadonlyMap<string, number>
}

const PROGRESS_MS = 1_000

/** Looks at everything. Throws StoreError when the folder is in use, or not of this network or version. */
export async function checkDatabase(options: CheckOptions): Promise<CheckReport> {
  const { dataDir, runtime } = options
  await requireDatabase(dataDir)
  const lock = await lockFolder(dataDir, runtime.log)
  try {
    const check = new Check(options)
    if (await resumeFolders(options)) check.note('the database is marked as damaged: the next start makes it anew')
    else await check.run()
    return check.report()
  } finally {
    await lock.stop()
  }
}

class Check {
  private readonly problems = new Map<string, number>()
  private readonly teller: ProgressTeller
  private height: number | undefined
  private keys = 0
  private accounts = 0
  private transactions = 0

  constructor(private readonly options: CheckOptions) {
    this.teller = new ProgressTeller(options.runtime.clock, PROGRESS_MS, options.onProgress)
  }

  note(problem: string, times = 1): void {
    if (times > 0) this.problems.set(problem, (this.problems.get(problem) ?? 0) + times)
  }

  report(): CheckReport {
    const { height, keys, accounts, transactions, problems } = this
    return { height, keys, accounts, transactions, problems }
  }

  async run(): Promise<void> {
    await this.checkFiles()
    // LevelDB may end the process when it opens files that are damaged.
    if (this.problems.size > 0) return
    const { dataDir, genesis, runtime } = this.options
    const database = new Database(databaseFolder(dataDir), runtime.log)
    try {
      await database.start()
      await new ChainStore(database, genesis, runtime.log).initialise()
      await this.checkRecords(database)
    } catch (error) {
      const isBroken = isDamage(error) || error instanceof TreeError || error instanceof CodecError
      if (!isBroken || !(error instanceof Error)) throw error
      this.note(error.message)
    } finally {
      await database.stop()
    }
  }

  private async checkFiles(): Promise<void> {
    const { dataDir, runtime } = this.options
    const onRecord = (record: RawRecord) => {
      if (wholeContent(record) === undefined) this.note(`damaged record of kind ${kindOf(record.key) ?? 'unknown'}`)
    }
    const damaged = await readFiles({
      dataDir,
      folder: databaseFolder(dataDir),
      log: runtime.log,
      onRecord,
      onFile: (done, of) => this.teller.note('files', done, of),
    })
    for (const name of damaged) this.note(`damaged file ${name}`)
  }

  private async checkRecords(database: Database): Promise<void> {
    const headers = await this.checkHeaders(database)
    const tipHash = database.read(recordKey.meta('tip'))
    const tip = tipHash && headers.get(tipHash)
    if (tip === undefined) {
      this.note('the tip has no header')
      return
    }
    this.height = tip.header.height
    const main = pathBetween(headers.genesis, tip)
    for (const node of main) this.checkBlock(database, node)
    await this.checkCount(database, 'mainChain', main.length + 1)
    await this.checkCount(database, 'transaction', this.transactions)
    await this.checkCount(database, 'undo', main.length)
    const pages = new TreeStore(database, { cacheBytes: DEFAULT_TREE_CACHE_BYTES }, this.options.runtime.log)
    const tree = await pages.openPages()
    if (!equalBytes(tree.root, tip.header.stateRoot)) {
      this.note('the state tree does not have the state root of the tip')
      return
    }
    await this.checkState(database, tree)
    await this.checkVersions(database)
    await this.checkJournal(database)
  }

  private async checkHeaders(database: Database): Promise<HeaderTree> {
    const { genesis } = this.options
    const tree = new HeaderTree(genesis.header, genesis.hash)
    for await (const { key, content } of database.scan('header')) {
      const { header, hash, invalid } = storedHeader(key, content)
      this.teller.note('headers', tree.size)
      if (equalBytes(hash, genesis.hash)) continue
      if (!equalBytes(headerHash(sha256, header), hash)) this.note('a header does not have its hash')
      else if (tree.get(header.parent) === undefined) this.note('a header has no parent')
      else {
        const node = tree.add(header, hash, { hasBody: !invalid, invalid })
        if (node.hasBody) this.checkBody(database, node)
      }
    }
    return tree
  }

  private checkBody(database: Database, { header, hash }: ChainNode): void {
    const content = database.read(recordKey.body(hash))
    const body = content && decodeBody(content, this.options.genesis.hash)
    if (body === undefined) this.note('a body is missing')
    else if (!equalBytes(transactionRoot(sha256, body), header.txRoot)) this.note('a body is not that of its header')
    for (const { transaction } of body ?? []) {
      for (const operation of transaction.body.operations) {
        if (operation.kind === 'put') this.checkValue(database, operation.valueDigest)
      }
    }
  }

  private checkValue(database: Database, digest: Uint8Array): void {
    const value = database.readBare(recordKey.value(digest))
    if (value === undefined) this.note('a value is missing')
    else if (!equalBytes(valueDigest(sha256, value), digest)) this.note('a value is damaged')
  }

  /** What only blocks of the main chain have. */
  private checkBlock(database: Database, { header, hash }: ChainNode): void {
    this.teller.note('blocks', header.height, this.height)
    const indexed = database.read(recordKey.mainChain(header.height))
    if (indexed === undefined || !equalBytes(indexed, hash))
      this.note('the index of the main chain is not that of the tip')
    const undo = database.read(recordKey.undo(hash))
    if (undo === undefined) this.note('an undo record is missing')
    else decodeUndo(undo)
    const content = database.read(recordKey.body(hash))
    for (const [index, included] of (content ? decodeBody(content, this.options.genesis.hash) : []).entries()) {
      this.transactions++
      const { txid, body } = included.transaction
      const record = database.read(recordKey.transaction(txid))
      const place = record && decodeLocation(record)
      const isThere =
        place?.height === header.height &&
        place.index === index &&
        sameOutcome(place.outcome, included.outcome) &&
        equalBytes(place.sender, body.sender)
      if (!isThere) this.note('the place of a transaction is missing or wrong')
    }
  }

  private async checkCount(database: Database, kind: RecordKind, expected: number): Promise<void> {
    let count = 0
    for await (const _ of database.scan(kind)) count++
    this.note(`record of kind ${kind} that belongs to no block of the main chain`, count - expected)
  }

  /** As many records as the tree has leaves, each of them there: then they are the same. */
  private async checkState(database: Database, tree: StateTree): Promise<void> {
    const check = (path: Uint8Array, domain: Uint8Array, content: Uint8Array) => {
      const digest = tree.digestAt(path)
      const isSame = digest !== undefined && equalBytes(digest, taggedHash(sha256, domain, content))
      if (!isSame) this.note('a record of the state is not what the state tree says')
      this.teller.note('state', this.keys + this.accounts, tree.size)
    }
    for await (const { key, content } of database.scan('entry')) {
      this.keys++
      check(entryPath(sha256, key.subarray(1)), DOMAIN.entry, content)
    }
    for await (const { key, content } of database.scan('account')) {
      this.accounts++
      check(accountPath(sha256, key.subarray(1)), DOMAIN.account, content)
    }
    this.note('a record of the state is missing', tree.size - this.keys - this.accounts)
  }

  /** The versions of a key stand together, oldest first; each names the digest of the one before. */
  private async checkVersions(database: Database): Promise<void> {
    let path: Uint8Array = ZERO_32
    let [digest, next, histories, seen] = [ZERO_32, 1, 0, 0]
    let latest: Uint8Array | undefined
    const finish = () => {
      if (histories > 0 && (latest === undefined || !equalBytes(taggedHash(sha256, DOMAIN.entry, latest), digest))) {
        this.note('the versions of a key do not lead to its entry')
      }
    }
    for await (const { key, content } of database.scan('version')) {
      const entry = decodeEntry(content)
      if (histories === 0 || !equalBytes(key.subarray(1, 33), path)) {
        finish()
        histories++
        path = new Uint8Array(key.subarray(1, 33))
        ;[digest, next] = [ZERO_32, 1]
        latest = database.read(recordKey.entry(entry.key))
      }
      if (entry.version !== next || !equalBytes(entry.previous, digest)) this.note('a version of a key is missing')
      next = entry.version + 1
      digest = taggedHash(sha256, DOMAIN.entry, content)
      this.teller.note('versions', ++seen)
    }
    finish()
    this.note('the history of a key is missing', this.keys - histories)
  }

  private async checkJournal(database: Database): Promise<void> {
    for await (const { key, content } of database.scan('journal')) {
      if (journalled(key, content, this.options.genesis.hash) === undefined) this.note('an own transaction is damaged')
    }
  }
}
