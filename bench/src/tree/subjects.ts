/**
 * What the tree scenario measures: kvchain's state tree on LevelDB, and urkel (Handshake's tree) as the baseline. Both keep keys 0..n-1 under
 * the same paths, commit a batch durably, and prove; both write a record beside each leaf, as a store of entries does.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { silentLog } from '@kvchain/node/runtime/runtime'
import { Batch } from '@kvchain/node/store/batch'
import { Database } from '@kvchain/node/store/database'
import { TreeStore } from '@kvchain/node/store/treeStore'
import { Tree as Urkel } from 'urkel'
import { BenchError } from '../errors.js'

/** What an update sets, as it comes to a tree: where the key stands, and what is kept for it. */
export interface Item {
  readonly path: Uint8Array
  readonly digest: Uint8Array
}

/** A tree that is measured. */
export interface Subject {
  /** Sets the items, all in one commit. It is on disk when this resolves, or else (not `durable`, where there is such a thing) once it is flushed. */
  commit(items: readonly Item[], durable: boolean): Promise<void>
  flush(): Promise<void>
  /** Opens again what was closed, with nothing in memory. */
  reopen(): Promise<void>
  /** Makes a proof for a key; answers whether the key is there. */
  prove(key: number): Promise<boolean>
  close(): Promise<void>
}

export const SUBJECTS = ['kvchain', 'urkel'] as const
export type SubjectName = (typeof SUBJECTS)[number]

/** About what an entry takes. */
const RECORD_BYTES = 200

export function openSubject(name: SubjectName, folder: string, cacheBytes: number): Promise<Subject> {
  return name === 'kvchain' ? KvchainTree.open(folder, cacheBytes) : UrkelTree.open(folder)
}

function number(key: number, round: number): Uint8Array {
  const bytes = new Uint8Array(12)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, key)
  view.setUint32(4, round)
  return bytes
}

/** Where a key stands in either tree. Keys are numbers from 0 on. */
export function pathOf(key: number): Uint8Array {
  return sha256(number(key, 0).subarray(0, 4))
}

/** What sets the keys; `round` makes each update another value. Hashing keys and values is no part of a tree's work. */
export function itemsOf(keys: readonly number[], round: number): Item[] {
  return keys.map((key) => ({ path: pathOf(key), digest: sha256(number(key, round)) }))
}

const recordKey = new Uint8Array(33).fill(0x4c)
const record = new Uint8Array(RECORD_BYTES)

class KvchainTree implements Subject {
  private constructor(
    private readonly folder: string,
    private readonly cacheBytes: number,
    private database: Database,
    private store: TreeStore,
    private tree: ReturnType<TreeStore['empty']>,
  ) {}

  static async open(folder: string, cacheBytes: number): Promise<KvchainTree> {
    const database = await startDatabase(folder)
    const store = new TreeStore(database, { cacheBytes }, silentLog)
    return new KvchainTree(folder, cacheBytes, database, store, store.empty())
  }

  async commit(items: readonly Item[], durable: boolean): Promise<void> {
    const batch = new Batch()
    for (const { path, digest } of items) {
      // A batch copies: as a store's records, these are put together in the same place.
      recordKey.set(path, 1)
      record.set(digest)
      batch.put(recordKey, record)
    }
    const tree = this.tree.update(items)
    this.store.addPages(batch, tree)
    await this.database.write(batch, { sync: durable, behind: !durable })
    this.store.onCommitted(tree)
    this.tree = tree
  }

  async flush(): Promise<void> {
    await this.database.write(new Batch(), { sync: true })
  }

  async reopen(): Promise<void> {
    const root = this.tree.root
    this.database = await startDatabase(this.folder)
    this.store = new TreeStore(this.database, { cacheBytes: this.cacheBytes }, silentLog)
    this.tree = await this.store.open(root, () => {
      throw new BenchError('bench-failed', 'the tree is not opened but rebuilt')
    })
  }

  async prove(key: number): Promise<boolean> {
    const { terminal } = this.tree.prove(pathOf(key))
    this.tree.trim()
    return terminal.kind === 'leaf'
  }

  async close(): Promise<void> {
    await this.database.stop()
  }
}

async function startDatabase(folder: string): Promise<Database> {
  const database = new Database(join(folder, 'db'), silentLog)
  await database.start()
  return database
}

class UrkelTree implements Subject {
  private constructor(private readonly tree: Urkel) {}

  static async open(folder: string): Promise<UrkelTree> {
    const tree = new Urkel({ hash: urkelHash, bits: 256, prefix: join(folder, 'urkel') })
    await tree.open()
    return new UrkelTree(tree)
  }

  async commit(items: readonly Item[]): Promise<void> {
    const batch = this.tree.batch()
    for (const { path, digest } of items) {
      // Urkel keeps the value itself: the record.
      const value = Buffer.alloc(RECORD_BYTES)
      value.set(digest)
      await batch.insert(Buffer.from(path.buffer, path.byteOffset, path.length), value)
    }
    await batch.commit()
  }

  async flush(): Promise<void> {}

  reopen(): Promise<void> {
    return this.tree.open()
  }

  async prove(key: number): Promise<boolean> {
    const proof = await this.tree.prove(Buffer.from(pathOf(key)))
    return proof.type === PROOF_EXISTS
  }

  close(): Promise<void> {
    return this.tree.close()
  }
}

const PROOF_EXISTS = 3

/** What urkel wants of a hash function, over the same SHA-256 that kvchain uses. */
const urkelHash = {
  size: 32,
  bits: 256,
  zero: Buffer.alloc(32),
  digest: (data: Buffer) => createHash('sha256').update(data).digest(),
  root: (left: Buffer, right: Buffer) => urkelHash.multi(left, right),
  multi: (...parts: (Buffer | undefined)[]) =>
    Buffer.from(sha256(Buffer.concat(parts.filter((part) => part !== undefined)))),
  get ctx() {
    let hash = createHash('sha256')
    return {
      init() {
        hash = createHash('sha256')
      },
      update(data: Buffer) {
        hash.update(data)
      },
      final: () => hash.digest(),
    }
  },
}
