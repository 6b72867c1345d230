/**
 * Proofs of older states on a real chain:
 * 1. at every height, of every key and of keys that never were, the proof leads to that block's state root and shows what was there;
 * 2. with so many changes that the tree is worked out in parts;
 * 3. while blocks are connected, and while a branch takes another's place; and when the block itself is gone;
 * 4. bounds, and calling it off;
 * 5. the entry at a height, from the version records.
 */
import { fromUtf8 } from '@kvchain/core/bytes'
import { entryDigest, entryPath } from '@kvchain/core/entry'
import { verifyProof } from '@kvchain/core/treeProof'
import { entryAt } from '@kvchain/node/chain/entryAt'
import type { ChainNode } from '@kvchain/node/chain/headerTree'
import { provePathAt, type TreeAtDeps } from '@kvchain/node/chain/treeAt'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { AbortError } from '@kvchain/node/runtime/errors'
import { hex } from '@kvchain/node/runtime/hex'
import { afterEach, describe, expect, test } from 'vitest'
import { account, TestLedger } from '../helpers/ledger.js'

const open: TestLedger[] = []

async function ledger(): Promise<TestLedger> {
  const made = await TestLedger.open()
  open.push(made)
  return made
}

afterEach(async () => {
  for (const made of open.splice(0)) await made.close()
})

function depsOf({ chain, runtime }: TestLedger, changes: Partial<TreeAtDeps> = {}): TreeAtDeps {
  return { chain, timers: runtime.timers, signal: new AbortController().signal, ...changes }
}

/** Does something at the n-th pause of a proof. */
function meddled(made: TestLedger, pause: number, meddle: () => Promise<void>): TreeAtDeps {
  let pauses = 0
  const { timers } = made.runtime
  const yieldTo = async () => {
    pauses++
    if (pauses === pause) await meddle()
    await timers.yield()
  }
  return depsOf(made, { timers: { ...timers, yield: yieldTo } })
}

function nodeAt({ chain }: TestLedger, height: number): ChainNode {
  return chain.nodeAt(height) ?? expect.fail(`no block at ${height}`)
}

/** What a proof of the key at a height shows: the version there, undefined for none. */
async function shownAt(
  made: TestLedger,
  key: string,
  height: number,
  deps = depsOf(made),
): Promise<number | undefined> {
  const path = entryPath(sha256, fromUtf8(key))
  const block = nodeAt(made, height)
  const proof = await provePathAt(path, block, deps)
  const verdict = verifyProof(sha256, block.header.stateRoot, path, proof)
  const entry = await entryAt(made.store, fromUtf8(key), height)
  const shown = verdict.kind === 'present' ? hex(verdict.digest) : verdict.kind
  expect(shown).toBe(entry === undefined ? 'absent' : hex(entryDigest(sha256, entry)))
  return entry?.version
}

/** `blocks` blocks of `keys` puts each: key0, key1, ... again and again, and one key of its own for each block. */
async function fill(made: TestLedger, blocks: number, keys: number): Promise<void> {
  let nonce = made.store.account(account(1).publicKey).nonce
  for (let block = 0; block < blocks; block++) {
    const names = [...Array.from({ length: keys }, (_, i) => `key${i}`), `own${made.chain.tip.header.height + 1}`]
    await made.pool(...names.map((name) => made.put(name, `${block}`, { from: 1, nonce: nonce++ })))
    await made.mine()
  }
}

describe('a proof at an older height', () => {
  test('shows what was there, at every height', async () => {
    const made = await ledger()
    await fill(made, 6, 4)
    await made.mine(2)
    for (let height = 0; height <= 8; height++) {
      expect(await shownAt(made, 'key2', height)).toBe(height === 0 ? undefined : Math.min(height, 6))
      expect(await shownAt(made, 'own3', height)).toBe(height >= 3 ? 1 : undefined)
      expect(await shownAt(made, 'never', height)).toBeUndefined()
    }
  })

  test('is worked out in parts when much has changed', async () => {
    const made = await ledger()
    await made.mine()
    // 600 changed paths and more make two parts, 4,000 sixteen.
    await fill(made, 1, 600)
    for (const key of ['key0', 'key1', 'key599', 'own2', 'never', 'nor this']) {
      expect(await shownAt(made, key, 1)).toBeUndefined()
      expect(await shownAt(made, key, 2)).toBe(key.startsWith('n') ? undefined : 1)
    }
    await fill(made, 4, 900)
    for (const height of [0, 1, 2, 3, 5]) {
      for (const key of ['key0', 'key899', 'own4', 'never']) await shownAt(made, key, height)
    }
    expect(await shownAt(made, 'key899', 2)).toBeUndefined()
    expect(await shownAt(made, 'key899', 5)).toBe(3)
  })

  test('is the same while the chain goes on', async () => {
    const made = await ledger()
    await fill(made, 3, 700)
    for (const [height, pause] of [
      [1, 1],
      [1, 3],
      [2, 2],
    ] as const) {
      const deps = meddled(made, pause, () => fill(made, 1, 700))
      expect(await shownAt(made, 'key650', height, deps)).toBe(height)
    }
    expect(made.chain.tip.header.height).toBe(6)
  })

  test('is the same while another branch takes over above it, and is refused when it takes over below', async () => {
    for (const pause of [1, 2, 3, 4]) {
      const [left, right] = [await ledger(), await ledger()]
      for (const block of await left.mine(2)) await right.chain.addBlock(block, 'test')
      await fill(left, 2, 500)
      const blocks = await right.mine(6, 8)
      const takeOver = async () => {
        for (const block of blocks) await left.chain.addBlock(block, 'test')
      }
      const own = nodeAt(left, 3)
      expect(await shownAt(left, 'key7', 2, meddled(left, pause, takeOver))).toBeUndefined()
      expect(left.tipHash).toBe(right.tipHash)
      await expect(provePathAt(own.hash, own, depsOf(left))).rejects.toMatchObject({ code: 'tree-reorged' })
    }
  })

  test('has bounds, and can be called off', async () => {
    const made = await ledger()
    await fill(made, 4, 10)
    const path = entryPath(sha256, fromUtf8('key1'))
    const withOptions = (maxBlocks: number, maxChanges: number) =>
      provePathAt(path, nodeAt(made, 1), depsOf(made, { options: { maxBlocks, maxChanges } }))
    // Ten keys, two accounts and one key of its own for each of three blocks.
    await withOptions(3, 15)
    await expect(withOptions(2, 15)).rejects.toMatchObject({ code: 'tree-too-deep', data: { maxBlocks: 2 } })
    await expect(withOptions(3, 14)).rejects.toMatchObject({ code: 'tree-too-deep', data: { height: 1 } })
    const controller = new AbortController()
    controller.abort()
    await expect(
      provePathAt(path, nodeAt(made, 1), depsOf(made, { signal: controller.signal })),
    ).rejects.toBeInstanceOf(AbortError)
  })

  test('holds up nobody', async () => {
    const made = await ledger()
    await fill(made, 2, 990)
    let longest = 0
    let last = performance.now()
    let watching = true
    const watch = (async () => {
      while (watching) {
        await made.runtime.timers.yield()
        const now = performance.now()
        longest = Math.max(longest, now - last)
        last = now
      }
    })()
    expect(await shownAt(made, 'key5', 0)).toBeUndefined()
    watching = false
    await watch
    expect(longest).toBeLessThan(250)
  })
})

test('the entry at a height, whatever its history', async () => {
  const made = await ledger()
  const key = fromUtf8('k')
  expect(await entryAt(made.store, key, 5)).toBeUndefined()
  // Versions at heights 2, 2, 3, 7, 7, 7, 8.
  const heights = [2, 2, 3, 7, 7, 7, 8]
  for (let height = 1, nonce = 0; height <= 9; height++) {
    const due = heights.filter((at) => at === height)
    await made.pool(...due.map(() => made.put('k', `${nonce}`, { from: 1, nonce: nonce++ })))
    await made.mine()
  }
  for (let height = 0; height <= 12; height++) {
    const expected = heights.filter((at) => at <= height).length
    expect((await entryAt(made.store, key, height))?.version).toBe(expected === 0 ? undefined : expected)
  }
})
