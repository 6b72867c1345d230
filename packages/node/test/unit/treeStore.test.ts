/**
 * The state tree on disk: with hardly any cache it has the same roots and proofs as a tree in memory; it opens without a rebuild, after a
 * stop and after a crash; damaged or missing pages are made anew from the records of the state, or noticed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeWith } from '@kvchain/core/codec'
import { StateTree, type TreeChange } from '@kvchain/core/tree'
import { encodeProof, type TreeProof, verifyProof } from '@kvchain/core/treeProof'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { hex } from '@kvchain/node/runtime/hex'
import { silentLog } from '@kvchain/node/runtime/runtime'
import { Batch } from '@kvchain/node/store/batch'
import { Database } from '@kvchain/node/store/database'
import { recordKey } from '@kvchain/node/store/schema'
import { TreeStore } from '@kvchain/node/store/treeStore'
import { afterEach, expect, test } from 'vitest'

const folders: string[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function numbered(value: number): Uint8Array {
  return sha256(encodeWith((writer) => writer.u32(value)))
}

function text(proof: TreeProof, path: Uint8Array): string {
  return hex(encodeProof(proof, path))
}

/** A tree store beside a Map of what it should hold. */
class Fixture {
  readonly expected = new Map<string, TreeChange>()
  tree: StateTree

  private constructor(
    readonly database: Database,
    readonly store: TreeStore,
  ) {
    this.tree = store.empty()
  }

  static async open(cacheBytes: number, folder = mkdtempSync(join(tmpdir(), 'kvchain-tree-'))): Promise<Fixture> {
    folders.push(folder)
    const database = new Database(join(folder, 'db'), silentLog)
    await database.start()
    return new Fixture(database, new TreeStore(database, { cacheBytes }, silentLog))
  }

  async commit(changes: readonly TreeChange[]): Promise<void> {
    const tree = this.tree.update(changes)
    const batch = new Batch()
    this.store.addPages(batch, tree)
    await this.database.write(batch, { sync: false })
    this.store.onCommitted(tree)
    this.tree = tree
    for (const change of changes) {
      if (change.digest === undefined) this.expected.delete(hex(change.path))
      else this.expected.set(hex(change.path), change)
    }
  }

  /** The same tree made from scratch in memory. */
  fresh(): StateTree {
    return StateTree.empty(sha256).update([...this.expected.values()])
  }

  /** A store that knows nothing but the database, as after a crash. */
  async reopen(root = this.tree.root): Promise<{ tree: StateTree; rebuilt: boolean }> {
    let rebuilt = false
    const { expected } = this
    const store = new TreeStore(this.database, { cacheBytes: 100_000 }, silentLog)
    const tree = await store.open(root, async function* () {
      rebuilt = true
      yield* expected.values()
    })
    return { tree, rebuilt }
  }
}

/** Sets, changes and removals, some 2,000 leaves in all: deep enough to be crowded once `spread` is small. */
function step(round: number, spread: number): TreeChange[] {
  const changes = new Map<string, TreeChange>()
  for (let i = 0; i < 300; i++) {
    const path = numbered((round * 131 + i * 17) % 2_000)
    // Few first bits, so that paths crowd together.
    if (spread < 256) path[0] = (path[0] ?? 0) % spread
    if (spread < 256) path[1] = 0
    const removed = (round + i) % 5 === 0
    changes.set(hex(path), { path, digest: removed ? undefined : numbered(round * 1_000 + i) })
  }
  return [...changes.values()]
}

test.each([
  ['spread out', 256],
  ['crowded in four places', 4],
])('without a cache it equals a tree in memory: %s', async (_, spread) => {
  const a = await Fixture.open(0)
  for (let round = 0; round < 30; round++) {
    await a.commit(step(round, spread))
    expect(hex(a.tree.root)).toBe(hex(a.fresh().root))
    expect(a.tree.size).toBe(a.expected.size)
  }
  const fresh = a.fresh()
  for (const { path, digest } of a.expected.values()) {
    const proof = a.tree.prove(path)
    expect(text(proof, path)).toBe(text(fresh.prove(path), path))
    const verdict = verifyProof(sha256, a.tree.root, path, proof)
    expect(verdict.kind === 'present' && hex(verdict.digest)).toBe(digest && hex(digest))
  }
  const absent = numbered(1_000_000)
  expect(verifyProof(sha256, a.tree.root, absent, a.tree.prove(absent))).toEqual({ kind: 'absent' })
  await a.database.stop()
})

test.each([256, 4])('opens without a rebuild, after a crash as after a stop (spread %i)', async (spread) => {
  const a = await Fixture.open(1 << 20)
  for (let round = 0; round < 10; round++) await a.commit(step(round, spread))
  const crashed = await a.reopen()
  expect(crashed.rebuilt).toBe(false)
  expect(hex(crashed.tree.root)).toBe(hex(a.tree.root))
  await a.commit(step(11, spread))
  const again = await a.reopen()
  expect(again.rebuilt).toBe(false)
  for (const { path } of a.expected.values()) {
    expect(text(again.tree.prove(path), path)).toBe(text(a.tree.prove(path), path))
  }
  await a.database.stop()
})

test('pages of another state are made anew', async () => {
  const a = await Fixture.open(1 << 20)
  for (let round = 0; round < 5; round++) await a.commit(step(round, 4))
  // As if another version of the software had written the records but not the pages.
  a.expected.set('late', { path: numbered(77_777), digest: numbered(1) })
  const root = a.fresh().root
  const { tree, rebuilt } = await a.reopen(root)
  expect(rebuilt).toBe(true)
  expect(hex(tree.root)).toBe(hex(root))
  await expect(a.reopen(numbered(5))).rejects.toMatchObject({ code: 'store-corrupt' })
  await a.database.stop()
})

test('a bucket that is another’s is noticed when it is read', async () => {
  const a = await Fixture.open(0)
  for (let round = 0; round < 5; round++) await a.commit(step(round, 256))
  const keys: Uint8Array[] = []
  for await (const { key } of a.database.scan('bucket')) keys.push(key.subarray(1))
  const [first, second] = keys
  if (first === undefined || second === undefined) throw new TypeError('unreachable')
  const other = a.database.read(recordKey.bucket(second))
  if (other !== undefined) await a.database.write(new Batch().put(recordKey.bucket(first), other), { sync: false })
  const { tree } = await a.reopen()
  expect(() => tree.prove(first.subarray(0, 32))).toThrowError(expect.objectContaining({ code: 'tree-page' }))
  await a.database.stop()
})

test('a tree of the past does not read from the present', async () => {
  const a = await Fixture.open(0)
  for (let round = 0; round < 5; round++) await a.commit(step(round, 256))
  const old = a.tree
  const before = a.fresh()
  const paths = [...a.expected.values()].map(({ path }) => path)
  await a.commit(step(6, 256).slice(0, 3))
  let stale = 0
  for (const path of paths) {
    try {
      expect(text(old.prove(path), path)).toBe(text(before.prove(path), path))
    } catch (error) {
      expect(error).toMatchObject({ code: 'tree-stale' })
      stale++
    }
  }
  expect(stale).toBeGreaterThan(0)
  await a.database.stop()
})
