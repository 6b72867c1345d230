/**
 * The mining threads: a valid nonce or the end of the range, cancellation at once, and no nonce lost when a thread dies or lies.
 * The faults come from a fixture which is the real worker again after some lives.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PowPool, type PowPoolOptions, type PowWork } from '@kvchain/node/miner/powPool'
import { createPowSearch, maxNonce, meetsTarget } from '@kvchain/node/miner/powWasm'
import { type Log, silentLog, systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterEach, describe, expect, it } from 'vitest'

const easiest = new Uint8Array(32).fill(0xff)
const impossible = new Uint8Array(32)

const pools: PowPool[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

async function startPool(options: Partial<PowPoolOptions> = {}, log: Log = silentLog): Promise<PowPool> {
  const pool = new PowPool({ threads: 2, ...options }, { runtime: systemRuntime(log) })
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
    real: '@kvchain/node/miner/powWorker',
  }).toString()
  // A worker is given no query of a file, so it is one line that imports the fixture with it.
  return new URL(`data:text/javascript,${encodeURIComponent(`import '${url}'`)}`)
}

function targetOf(bits: number): Uint8Array {
  const target = Buffer.alloc(32, 0xff)
  target.writeUInt32BE(Math.floor(2 ** (32 - bits)) - 1, 0)
  return target
}

function makeWork(work: Partial<PowWork> = {}): PowWork {
  return { commitment: randomBytes(32), target: targetOf(20), start: 0, count: 2 ** 50, ...work }
}

const never = () => new AbortController().signal

/** A range with exactly one valid nonce, `before` nonces after its start. */
function makeNeedle(before: number, after: number): { work: PowWork; nonce: number } {
  const search = createPowSearch()
  for (;;) {
    const commitment = randomBytes(32)
    const target = targetOf(22)
    const nonce = search.search(commitment, target, before, maxNonce - before)
    if (nonce === undefined || search.search(commitment, target, nonce + 1, after) !== undefined) continue
    if (search.search(commitment, target, nonce - before, before) !== undefined) continue
    return { work: { commitment, target, start: nonce - before, count: before + after + 1 }, nonce }
  }
}

describe('search', () => {
  it('finds a valid nonce inside the range', async () => {
    const pool = await startPool()
    for (let i = 0; i < 20; i++) {
      const work = makeWork({ start: 2 ** (32 + i) - 1000 })
      const nonce = (await pool.search(work, never())) ?? -1
      expect(nonce).toBeGreaterThanOrEqual(work.start)
      expect(meetsTarget(work.commitment, nonce, work.target)).toBe(true)
    }
  })

  it('finds at once what is easy', async () => {
    const pool = await startPool()
    for (let i = 0; i < 200; i++) {
      const work = makeWork({ target: easiest, start: i, count: 1 })
      expect(await pool.search(work, never())).toBe(i)
    }
  })

  it('finds the only valid nonce, wherever the chunks divide the range', async () => {
    const pool = await startPool()
    for (const before of [0, 1, 2 ** 17 - 1, 2 ** 17, 300_007]) {
      const { work, nonce } = makeNeedle(before, 500_000)
      expect(await pool.search(work, never())).toBe(nonce)
      expect(await pool.search({ ...work, count: before }, never())).toBeUndefined()
      const rest = { ...work, start: nonce + 1, count: work.count - before - 1 }
      expect(await pool.search(rest, never())).toBeUndefined()
    }
  })

  it('says that a range is exhausted', async () => {
    const pool = await startPool()
    for (const count of [0, 1, 3, 4096, 1_000_003, 20_000_001]) {
      expect(await pool.search(makeWork({ target: impossible, count }), never())).toBeUndefined()
    }
    expect(
      await pool.search(makeWork({ target: impossible, start: maxNonce - 99, count: 100 }), never()),
    ).toBeUndefined()
  })

  it('measures its rate', async () => {
    const pool = await startPool()
    expect(pool.hashRate).toBe(0)
    await pool.search(makeWork({ target: impossible, count: 1_000_000 }), never())
    expect(pool.hashRate).toBeGreaterThan(0)
  })

  it('refuses a range that is none', async () => {
    const pool = await startPool({ threads: 1 })
    for (const wrong of [{ start: -1 }, { count: 0.5 }, { start: 1 + maxNonce }, { target: easiest.subarray(1) }]) {
      expect(() => pool.search(makeWork(wrong), never())).toThrow()
    }
  })
})

describe('cancellation', () => {
  it('rejects at once and lets the next search run', async () => {
    const pool = await startPool()
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController()
      const search = pool.search(makeWork({ target: impossible }), controller.signal)
      if (i % 2 === 0) await systemRuntime().timers.sleep(10)
      controller.abort()
      await expect(search).rejects.toMatchObject({ code: 'aborted' })
      const work = makeWork({ target: targetOf(12) })
      const nonce = (await pool.search(work, never())) ?? -1
      expect(meetsTarget(work.commitment, nonce, work.target)).toBe(true)
    }
  })

  it('rejects when it has been aborted already, and leaves a search that runs alone', async () => {
    const pool = await startPool()
    const running = pool.search(makeWork({ target: impossible, count: 1_000_000 }), never())
    const late = pool.search(makeWork({ target: easiest }), AbortSignal.abort())
    await expect(late).rejects.toMatchObject({ code: 'aborted' })
    expect(await running).toBeUndefined()
  })

  it('gives way to a newer search', async () => {
    const pool = await startPool()
    const older = pool.search(makeWork({ target: impossible }), never())
    const rejected = expect(older).rejects.toMatchObject({ code: 'aborted' })
    const work = makeWork()
    const nonce = (await pool.search(work, never())) ?? -1
    expect(meetsTarget(work.commitment, nonce, work.target)).toBe(true)
    await rejected
  })

  it('ignores a signal that aborts after the end', async () => {
    const pool = await startPool()
    const controller = new AbortController()
    await pool.search(makeWork({ target: easiest }), controller.signal)
    const next = pool.search(makeWork({ target: impossible, count: 1_000_000 }), never())
    controller.abort()
    expect(await next).toBeUndefined()
  })
})

describe('a thread that fails', () => {
  it.each(['throw', 'exit', 'unasked', 'wrongNonce', 'unfinished'])(
    '%s: the range is searched all the same',
    async (fault) => {
      const errors: object[] = []
      const log: Log = { ...silentLog, child: () => ({ ...log }), error: (data) => errors.push(data) }
      const pool = await startPool({ workerUrl: faultyUrl(fault, 3) }, log)
      const { work, nonce } = makeNeedle(200_000, 400_000)
      expect(await pool.search({ ...work, count: 200_000 }, never())).toBeUndefined()
      expect(await pool.search(work, never())).toBe(nonce)
      expect(errors.length).toBeGreaterThanOrEqual(2)
      const code = ['throw', 'exit'].includes(fault) ? 'worker-exit' : 'worker-reply'
      for (const error of errors) expect(error).toMatchObject({ err: { code } })
    },
  )

  it('cannot start: start fails and nothing is left running', async () => {
    const pool = new PowPool({ threads: 2, workerUrl: faultyUrl('dead', 1) }, { runtime: systemRuntime() })
    await expect(pool.start()).rejects.toMatchObject({ code: 'worker-exit' })
    expect(pool.state).toBe('stopped')
  })
})

describe('life', () => {
  it('calls the search off when it stops, and searches no more', async () => {
    const pool = await startPool()
    const search = pool.search(makeWork({ target: impossible }), never())
    const rejected = expect(search).rejects.toMatchObject({ code: 'aborted' })
    await pool.stop()
    await rejected
    await expect(pool.search(makeWork(), never())).rejects.toMatchObject({ code: 'worker-stopped' })
  })

  it('searches nothing before it is started', async () => {
    const pool = new PowPool({ threads: 1 }, { runtime: systemRuntime() })
    await expect(pool.search(makeWork(), never())).rejects.toMatchObject({ code: 'worker-stopped' })
    await pool.stop()
  })

  it('refuses a number of threads that makes no sense', () => {
    for (const threads of [0, -1, 1.5, Number.NaN, 100_000]) {
      expect(() => new PowPool({ threads }, { runtime: systemRuntime() })).toThrow('threads')
    }
  })

  it('leaves nothing that keeps a process from ending', async () => {
    const script = new URL('../fixtures/poolsEnd.mjs', import.meta.url).pathname
    const { stdout } = await promisify(execFile)(process.execPath, [script])
    expect(stdout.trim()).toBe('aborted worker-stopped')
  })
})
