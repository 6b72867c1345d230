/** The verification threads: each verdict in its place, whatever is asked at once, and none lost when a thread dies or lies. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keyPairFromSeed, signMessage } from '@kvchain/node/crypto/sodium'
import { type SignedItem, VerifyPool, type VerifyPoolOptions } from '@kvchain/node/crypto/verifyPool'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterEach, describe, expect, it } from 'vitest'

const pair = keyPairFromSeed(randomBytes(32))
const pools: VerifyPool[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

async function startPool(options: Partial<VerifyPoolOptions> = {}): Promise<VerifyPool> {
  const pool = new VerifyPool({ threads: 2, ...options }, { runtime: systemRuntime() })
  pools.push(pool)
  await pool.start()
  return pool
}

function faultyUrl(fault: string, lives: number): URL {
  const url = new URL('../fixtures/faultyWorker.mjs', import.meta.url)
  const folder = mkdtempSync(join(tmpdir(), 'kvchain-'))
  folders.push(folder)
  url.search = new URLSearchParams({
    fault,
    lives: `${lives}`,
    folder,
    real: '@kvchain/node/crypto/verifyWorker',
  }).toString()
  // A worker is given no query of a file, so it is one line that imports the fixture with it.
  return new URL(`data:text/javascript,${encodeURIComponent(`import '${url}'`)}`)
}

function makeItem(good = true): SignedItem {
  const message = randomBytes(32)
  const signature = signMessage(message, pair.secretKey)
  return { signature, message: good ? message : randomBytes(32), publicKey: pair.publicKey }
}

/** Items and what is to be said of them. */
function makeMixed(count: number): { items: SignedItem[]; expected: boolean[] } {
  const expected = Array.from({ length: count }, () => Math.random() < 0.7)
  return { items: expected.map(makeItem), expected }
}

describe.each([0, 1, 2])('with %i threads', (threads) => {
  it('tells good from bad, in order', async () => {
    const pool = await startPool({ threads })
    for (const count of [0, 1, 2, 4, 5, 15, 16, 17, 33, 100, 1500]) {
      const { items, expected } = makeMixed(count)
      expect(await pool.verifyBatch(items)).toEqual(expected)
    }
  })

  it('answers many requests of one turn, each with its own', async () => {
    const pool = await startPool({ threads })
    const requests = Array.from({ length: 300 }, (_, i) => makeMixed(i % 7))
    const answers = await Promise.all(requests.map(({ items }) => pool.verifyBatch(items)))
    expect(answers).toEqual(requests.map(({ expected }) => expected))
  })

  it('calls what has the wrong size bad and keeps the order of the rest', async () => {
    const pool = await startPool({ threads })
    const short = { ...makeItem(), signature: new Uint8Array(63) }
    const long = { ...makeItem(), publicKey: new Uint8Array(33) }
    const empty = { ...makeItem(), signature: new Uint8Array(0), publicKey: new Uint8Array(0) }
    const items = [short, makeItem(), long, makeItem(false), makeItem(), empty]
    expect(await pool.verifyBatch(items)).toEqual([false, true, false, false, true, false])
    expect(await pool.verifyBatch([short])).toEqual([false])
    const many = Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? short : makeItem()))
    expect(await pool.verifyBatch(many)).toEqual(many.map((_, i) => i % 3 !== 0))
  })

  it('refuses a message that is no digest', async () => {
    const pool = await startPool({ threads })
    await expect(pool.verifyBatch([{ ...makeItem(), message: new Uint8Array(31) }])).rejects.toMatchObject({
      code: 'assertion',
    })
  })

  it('rejects every flip of a single bit', async () => {
    const pool = await startPool({ threads })
    const item = makeItem()
    const flipped = (['signature', 'message', 'publicKey'] as const).flatMap((field) =>
      Array.from({ length: 8 * item[field].length }, (_, bit) => {
        const bytes = Uint8Array.from(item[field])
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        return { ...item, [field]: bytes }
      }),
    )
    const verdicts = await pool.verifyBatch([item, ...flipped, item])
    expect(verdicts).toEqual([true, ...flipped.map(() => false), true])
  })

  it('takes no request once it has stopped', async () => {
    const pool = await startPool({ threads })
    await pool.stop()
    await expect(pool.verifyBatch([makeItem()])).rejects.toMatchObject({ code: 'worker-stopped' })
  })
})

it('verifies bytes that are shared between threads', async () => {
  const pool = await startPool()
  const toShared = (bytes: Uint8Array) => {
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
    shared.set(bytes)
    return shared
  }
  const items = Array.from({ length: 50 }, () => {
    const { signature, message, publicKey } = makeItem()
    return { signature: toShared(signature), message: toShared(message), publicKey: toShared(publicKey) }
  })
  expect(await pool.verifyBatch(items)).toEqual(items.map(() => true))
})

describe('a full queue', () => {
  it('refuses the newest and takes more when there is room again', async () => {
    const pool = await startPool({ maxPending: 100 })
    const { items, expected } = makeMixed(60)
    const first = pool.verifyBatch(items)
    await expect(pool.verifyBatch(items)).rejects.toMatchObject({ code: 'busy', data: { limit: 100 } })
    const small = pool.verifyBatch(items.slice(0, 40))
    expect(await first).toEqual(expected)
    expect(await small).toEqual(expected.slice(0, 40))
    expect(await pool.verifyBatch(items)).toEqual(expected)
    await expect(pool.verifyBatch([...items, ...items])).rejects.toMatchObject({ code: 'busy' })
  })
})

describe('a thread that fails', () => {
  it.each(['throw', 'exit', 'unasked', 'short'])('%s: the batch is verified all the same', async (fault) => {
    const pool = await startPool({ workerUrl: faultyUrl(fault, 2) })
    const requests = Array.from({ length: 20 }, (_, i) => makeMixed(10 + i))
    const answers = await Promise.all(requests.map(({ items }) => pool.verifyBatch(items)))
    expect(answers).toEqual(requests.map(({ expected }) => expected))
  })

  it('again and again: the request is refused, and the pool lives on', async () => {
    const pool = await startPool({ threads: 1, workerUrl: faultyUrl('throw', 3) })
    const { items, expected } = makeMixed(20)
    await expect(pool.verifyBatch(items)).rejects.toMatchObject({ code: 'worker-exit' })
    expect(await pool.verifyBatch(items)).toEqual(expected)
  })

  it('cannot start: start fails and nothing is left running', async () => {
    const pool = new VerifyPool({ threads: 2, workerUrl: faultyUrl('dead', 1) }, { runtime: systemRuntime() })
    await expect(pool.start()).rejects.toMatchObject({ code: 'worker-exit' })
    expect(pool.state).toBe('stopped')
  })
})

describe('life', () => {
  it('rejects what is pending when it stops', async () => {
    const pool = await startPool()
    const { items } = makeMixed(100)
    const many = Array.from({ length: 100 }, () => items).flat()
    const rejections = [many, items, items].map((request) =>
      expect(pool.verifyBatch(request)).rejects.toMatchObject({ code: 'worker-stopped' }),
    )
    await systemRuntime().timers.sleep(5)
    await pool.stop()
    await Promise.all(rejections)
  })

  it('verifies nothing before it is started', async () => {
    const pool = new VerifyPool({ threads: 0 }, { runtime: systemRuntime() })
    await expect(pool.verifyBatch([makeItem()])).rejects.toMatchObject({ code: 'worker-stopped' })
  })

  it('refuses options that make no sense', () => {
    for (const options of [{ threads: -1 }, { threads: 1.5 }, { threads: 1000 }, { threads: 1, maxPending: 0 }]) {
      expect(() => new VerifyPool(options, { runtime: systemRuntime() })).toThrow(
        expect.objectContaining({ code: 'options' }),
      )
    }
  })
})
