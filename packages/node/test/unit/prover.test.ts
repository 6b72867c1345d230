/**
 * Proofs as a daemon makes them, each checked by the verifier that anybody has:
 * 1. which height is chosen: as settled as the present answer can be; a height that was asked for; one that is not there yet;
 * 2. present, deleted, absent; histories with values, without, with values that are no longer kept, and such as are too large;
 * 3. headers: two below, all from genesis, more than one answer holds, put together by the client;
 * 4. a chain that changes meanwhile; bounds; the queue;
 * 5. reads at a height, and the headers method.
 */
import type { Handlers } from '@kvchain/client/contract'
import { RpcError } from '@kvchain/client/errors'
import { KvClient } from '@kvchain/client/kvClient'
import type { Transport } from '@kvchain/client/transport'
import { fromUtf8 } from '@kvchain/core/bytes'
import { decodeHeader, HEADER_BYTES } from '@kvchain/core/header'
import { type ProofReport, verifyProofFile } from '@kvchain/core/proof'
import type { Chain } from '@kvchain/node/chain/chain'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { AnswerError } from '@kvchain/node/rpc/answers'
import type { ReadContext } from '@kvchain/node/rpc/context'
import { kvHandlers } from '@kvchain/node/rpc/kvHandlers'
import { proofHandlers } from '@kvchain/node/rpc/proofHandlers'
import { type MadeProof, type ProofRequest, Prover, type ProverDeps } from '@kvchain/node/rpc/prover'
import { Writer } from '@kvchain/node/rpc/writer'
import { hex } from '@kvchain/node/runtime/hex'
import { Batch } from '@kvchain/node/store/batch'
import { recordKey } from '@kvchain/node/store/schema'
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

const never = new AbortController().signal

function proverOf(made: TestLedger, changes: Partial<ProverDeps> = {}): Prover {
  const { chain, network, runtime } = made
  const { settleDepth } = network.policy
  return new Prover({ chain, timers: runtime.timers, network, settleDepth, ...changes })
}

function asked(key: string, changes: Partial<ProofRequest> = {}): ProofRequest {
  return { key: fromUtf8(key), kind: 'entry', height: undefined, withValues: true, fromGenesis: false, ...changes }
}

/** What the proof proves, to somebody who trusts the ledger's genesis. */
function proven(made: TestLedger, { bytes, block, tip, size, missing }: MadeProof): ProofReport {
  expect(missing).toBeUndefined()
  expect(bytes.length).toBe(size)
  const report = verifyProofFile(sha256, bytes, { expectedGenesis: made.genesis.hash })
  expect(hex(report.block.hash)).toBe(hex(block.hash))
  expect(hex(report.tip.hash)).toBe(hex(tip.hash))
  return report
}

async function prove(made: TestLedger, key: string, changes: Partial<ProofRequest> = {}): Promise<ProofReport> {
  return proven(made, await proverOf(made).prove(asked(key, changes), never))
}

function remove(made: TestLedger, key: string, nonce: number) {
  const operation = { kind: 'delete', key: fromUtf8(key), expect: { kind: 'any' } } as const
  return made.sign([operation], [], { from: 1, nonce })
}

/** Versions of k at 1, 2, 2, 3 (deleted) and 4; `old` at 1; 12 blocks more than those. */
async function story(): Promise<TestLedger> {
  const made = await ledger()
  const put = (key: string, value: string, nonce: number) => made.put(key, value, { from: 1, nonce })
  await made.pool(put('k', 'one', 0), put('old', 'x', 1))
  await made.mine()
  await made.pool(put('k', 'two', 2), put('k', '', 3))
  await made.mine()
  await made.pool(remove(made, 'k', 4))
  await made.mine()
  await made.pool(put('k', 'five', 5))
  await made.mine()
  return made
}

describe('the height of a proof', () => {
  test('is as settled as the present answer can be', async () => {
    const made = await story()
    // The network settles at three confirmations; k was written in the newest block.
    expect(await prove(made, 'k')).toMatchObject({ block: { height: 4 }, confirmations: 1 })
    expect(await prove(made, 'old')).toMatchObject({ block: { height: 2 }, confirmations: 3 })
    expect(await prove(made, 'never')).toMatchObject({ block: { height: 2 }, confirmations: 3, claim: 'absent' })
    await made.mine()
    expect(await prove(made, 'k')).toMatchObject({ block: { height: 4 }, confirmations: 2 })
    await made.mine(5)
    expect(await prove(made, 'k')).toMatchObject({ block: { height: 8 }, confirmations: 3 })
    const fresh = await ledger()
    expect(await prove(fresh, 'k')).toMatchObject({ block: { height: 0 }, confirmations: 1, fullChain: true })
  })

  test('is the one that was asked for, and there must be such a block', async () => {
    const made = await story()
    const shown = [undefined, 'one', '', undefined, 'five']
    for (const [height, value] of shown.entries()) {
      const report = await prove(made, 'k', { height })
      expect(report.block.height).toBe(height)
      expect(report.claim).toBe(['absent', 'present', 'present', 'deleted', 'present'][height])
      expect(report.value).toEqual(value === undefined ? undefined : fromUtf8(value))
    }
    await expect(prove(made, 'k', { height: 5 })).rejects.toMatchObject({ code: 'not-found', data: { height: 4 } })
  })
})

describe('histories', () => {
  test('are whole, up to any height', async () => {
    const made = await story()
    const history = async (changes: Partial<ProofRequest>) => {
      const { records } = await prove(made, 'k', { kind: 'history', ...changes })
      return records.map(({ value }) => (value === undefined ? null : new TextDecoder().decode(value)))
    }
    expect(await history({})).toEqual(['one', 'two', '', null, 'five'])
    expect(await history({ height: 2 })).toEqual(['one', 'two', ''])
    expect(await history({ height: 0 })).toEqual([])
    expect(await history({ withValues: false })).toEqual([null, null, '', null, null])
    const { claim, records } = await prove(made, 'never', { kind: 'history' })
    expect({ claim, records }).toEqual({ claim: 'absent', records: [] })
  })

  test('need no value that is not kept any more', async () => {
    const made = await story()
    const [latest] = await made.store.versions(fromUtf8('k'), 2, 1)
    await made.database.write(new Batch().delete(recordKey.value(latest?.valueDigest ?? expect.fail('a version'))), {
      sync: false,
    })
    const { records, value } = await prove(made, 'k', { kind: 'history' })
    expect(records.map((record) => record.value?.length)).toEqual([undefined, 3, 0, undefined, 4])
    expect(value).toEqual(fromUtf8('five'))
    expect((await prove(made, 'k', { height: 1 })).value).toBeUndefined()
  })

  test('are read page by page, and refused when a proof cannot hold them', async () => {
    const made = await ledger()
    for (let nonce = 0; nonce < 1_200; ) {
      const batch = Array.from({ length: 400 }, () => made.put('small', `${nonce}`, { from: 1, nonce: nonce++ }))
      await made.pool(...batch)
      await made.mine()
    }
    expect((await prove(made, 'small', { kind: 'history' })).records).toHaveLength(1_200)
    for (let nonce = 0; nonce < 135; ) {
      const value = 'v'.repeat(65_000)
      const batch = Array.from({ length: 45 }, () => made.put('large', `${nonce}${value}`, { from: 2, nonce: nonce++ }))
      await made.pool(...batch)
      await made.mine()
    }
    await expect(prove(made, 'large', { kind: 'history' })).rejects.toMatchObject({
      code: 'refused',
      data: { rule: 'proof-size', versions: 135 },
    })
    expect((await prove(made, 'large', { kind: 'history', withValues: false })).records).toHaveLength(135)
    expect((await prove(made, 'large')).value).toHaveLength(65_003)
  })
})

/** A client whose daemon is these handlers. */
function clientOf(handlers: Partial<Handlers>): KvClient {
  const transport: Transport = {
    async request({ method, params }) {
      const handler = Object.entries(handlers).find(([name]) => name === method)?.[1] as
        | ((params: object, context: object) => Promise<unknown>)
        | undefined
      try {
        return JSON.parse(JSON.stringify(await handler?.(params, { signal: never })))
      } catch (error) {
        throw error instanceof AnswerError ? new RpcError(error.code, error.message, error.data) : error
      }
    },
    batch: () => Promise.reject(new TypeError('no batch')),
    close: async () => {},
  }
  return new KvClient(transport)
}

function contextOf({ chain, mempool, runtime, network }: TestLedger): ReadContext {
  return { chain, mempool, runtime, prefix: network.params.addressPrefix, settleDepth: network.policy.settleDepth }
}

describe('headers', () => {
  test('begin two below the claim, or at genesis', async () => {
    const made = await story()
    await made.mine(16)
    expect(await prove(made, 'k')).toMatchObject({ block: { height: 18 }, fullChain: false, chainwork: undefined })
    const full = await prove(made, 'k', { fromGenesis: true })
    expect(full).toMatchObject({ fullChain: true, chainwork: made.chain.tip.chainwork })
  })

  test('that one answer cannot hold come in pages', async () => {
    const made = await story()
    await made.mine(16)
    for (const maxHeaders of [1, 5, 19, 20, 21]) {
      const prover = proverOf(made, { maxHeaders })
      const handlers = proofHandlers(contextOf(made), prover)
      const client = clientOf(handlers)
      for (const fromGenesis of [false, true]) {
        const { file, ...about } = await client.prove('k', { fromGenesis, history: true })
        const report = verifyProofFile(sha256, file, { expectedGenesis: made.genesis.hash })
        expect(report).toMatchObject({ fullChain: fromGenesis, confirmations: 3, tip: { height: 20 } })
        expect(about).toMatchObject({ claim: 'present', version: 5, kind: 'history', size: file.length, height: 18 })
      }
    }
  })

  test('by themselves: of the main chain, of another branch, of none', async () => {
    const [left, right] = [await ledger(), await ledger()]
    await left.mine(3)
    const other = await right.mine(2, 8)
    for (const block of other) await left.chain.addBlock(block, 'test')
    const handlers = proofHandlers(contextOf(left), proverOf(left))
    const ask = async (params: { from: number; count?: number; tip?: string }) => {
      const answer = await handlers.chain_headers(params, { signal: never })
      const bytes = Buffer.from(answer.headers, 'base64')
      expect(bytes.length).toBe(answer.count * HEADER_BYTES)
      const heights = Array.from({ length: answer.count }, (_, i) => {
        return decodeHeader(Uint8Array.from(bytes.subarray(i * HEADER_BYTES, (i + 1) * HEADER_BYTES))).height
      })
      return { heights, tip: answer.tip.height }
    }
    expect(await ask({ from: 0 })).toEqual({ heights: [0, 1, 2, 3], tip: 3 })
    expect(await ask({ from: 1, count: 2 })).toEqual({ heights: [1, 2], tip: 3 })
    expect(await ask({ from: 3, count: 9 })).toEqual({ heights: [3], tip: 3 })
    expect(await ask({ from: 4 })).toEqual({ heights: [], tip: 3 })
    expect(await ask({ from: 0, tip: right.tipHash })).toEqual({ heights: [0, 1, 2], tip: 2 })
    expect(await ask({ from: 1, count: 1, tip: right.tipHash })).toEqual({ heights: [1], tip: 2 })
    await expect(ask({ from: 0, tip: 'ab'.repeat(32) })).rejects.toMatchObject({ code: 'not-found' })
  })
})

describe('a chain that changes meanwhile', () => {
  test('is proven as it is in the end', async () => {
    for (const pause of [1, 2]) {
      const [left, right] = [await ledger(), await ledger()]
      const shared = await left.mine(2)
      for (const block of shared) await right.chain.addBlock(block, 'test')
      await left.pool(left.put('k', 'left', { from: 1, nonce: 0 }))
      await left.mine(4)
      await right.pool(right.put('k', 'right', { from: 1, nonce: 0 }))
      const blocks = await right.mine(9, 8)
      let pauses = 0
      const { timers } = left.runtime
      const yieldTo = async () => {
        pauses++
        if (pauses === pause) for (const block of blocks) await left.chain.addBlock(block, 'test')
        await timers.yield()
      }
      const prover = proverOf(left, { timers: { ...timers, yield: yieldTo } })
      const report = proven(left, await prover.prove(asked('k', { height: 4 }), never))
      expect(report.value).toEqual(fromUtf8('right'))
      expect(report).toMatchObject({ confirmations: 8, tip: { height: 11 } })
    }
  })

  test('that never rests is given up', async () => {
    const made = await story()
    let looks = 0
    const isMain = () => {
      looks++
      return false
    }
    const restless: Chain = Object.create(made.chain, { isMain: { value: isMain } })
    const prover = proverOf(made, { chain: restless })
    await expect(prover.prove(asked('k'), never)).rejects.toMatchObject({ code: 'unavailable' })
    expect(looks).toBe(5)
  })
})

describe('bounds', () => {
  test('of what is taken back', async () => {
    const made = await story()
    const prover = proverOf(made, { treeAt: { maxBlocks: 2, maxChanges: 100 } })
    proven(made, await prover.prove(asked('k', { height: 2 }), never))
    await expect(prover.prove(asked('k', { height: 1 }), never)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/too far below the tip.*history/),
      data: { rule: 'proof-depth', height: 1, maxBlocks: 2 },
    })
  })

  test('of the queue; and who hangs up is let go', async () => {
    const made = await story()
    const prover = proverOf(made)
    const all = await Promise.allSettled(
      Array.from({ length: 70 }, () => prover.prove(asked('k', { height: 1 }), never)),
    )
    const refused = all.filter((one) => one.status === 'rejected')
    expect(refused).toHaveLength(6)
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'busy' })
    const gone = new AbortController()
    gone.abort()
    await expect(prover.prove(asked('k', { height: 1 }), gone.signal)).rejects.toMatchObject({ code: 'aborted' })
    await prover.prove(asked('k'), never)
  })
})

test('reads at a height', async () => {
  const made = await story()
  await made.mine(3)
  const { chain, own } = made
  const client = clientOf(kvHandlers(contextOf(made), new Writer({ chain, own, account: account(1) })))
  const values: unknown[] = []
  for (let height = 0; height <= 7; height++) values.push((await client.get('k', { height }))?.value)
  expect(values).toEqual([undefined, 'one', '', undefined, 'five', 'five', 'five', 'five'])
  expect(await client.get('k', { height: 1 })).toMatchObject({
    version: 1,
    height: 1,
    confirmations: 7,
    settled: true,
    tip: { height: 7 },
  })
  const get = (height: number) => client.call('kv_get', { key: 'k', height })
  await expect(get(0)).rejects.toMatchObject({
    code: 'not-found',
    message: 'no such key at height 0',
    data: { height: 0, hash: hex(made.genesis.hash), deleted: false },
  })
  await expect(get(3)).rejects.toMatchObject({ code: 'not-found', data: { height: 3, deleted: true } })
  await expect(get(8)).rejects.toMatchObject({ code: 'not-found', data: { height: 7 } })
})
