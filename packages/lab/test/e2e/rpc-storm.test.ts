/**
 * Bad requests by the thousand on a real daemon: twenty thousand, or a million with KVCHAIN_LONG=1.
 * 1. Four callers send lines of every bad kind, pipelined: mutated bytes, binary, deep, half, of wrong types, with huge ids, in odd batches. Each line
 *    that asks for an answer gets one, and the code is a documented one.
 * 2. Now and then a line that is too long: an answer that says so, then the end of that connection; and callers who hang up in the middle of a line.
 * 3. A good caller beside them writes and reads all the while, and is never turned away.
 * 4. The daemon's memory grows by no more than a bound once it is warm.
 * The seed is printed by a failing test, and KVCHAIN_SEED=N repeats it.
 */
import { readFile } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { RPC_ERRORS } from '@kvchain/client/rpcErrors'
import { Daemon } from '@kvchain/lab/daemon'
import { TempDir } from '@kvchain/lab/tempDir'
import { afterAll, beforeAll, expect, test } from 'vitest'

const REQUESTS = process.env.KVCHAIN_LONG === '1' ? 1_000_000 : 20_000
const SEED = Number(process.env.KVCHAIN_SEED ?? 1 + (Date.now() % 1_000_000))
const CALLERS = 4
/** Lines that are sent before their answers are awaited. */
const ROUND = 250
const MAX_GROWTH_KB = 96 * 1024
const MAX_LINE_BYTES = 2 << 20

let folder: TempDir
let daemon: Daemon

beforeAll(async () => {
  folder = await TempDir.make()
  daemon = await Daemon.start({ dataDir: join(folder.path, 'data'), mine: 'pending', logLevel: 'warn' })
})

afterAll(async () => {
  await daemon.stop()
  await folder.remove()
})

/** Numbers that are the same for the same seed (mulberry32). */
function generator(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound
  }
}

const HASH = 'ab'.repeat(32)
/** Requests that change nothing, whatever becomes of them. */
const GOOD = [
  '{"jsonrpc":"2.0","id":17,"method":"kv_get","params":{"key":"storm","keyEncoding":"utf8","height":0}}',
  `{"jsonrpc":"2.0","id":"a","method":"tx_status","params":{"txid":"${HASH}"}}`,
  '{"jsonrpc":"2.0","id":1.5,"method":"chain_block","params":{"height":0}}',
  '[{"jsonrpc":"2.0","id":1,"method":"chain_tip"},{"jsonrpc":"2.0","id":2,"method":"kv_scan","params":{"limit":1}}]',
]
const METHODS = ['kv_get', 'kv_put', 'kv_batch', 'tx_submit', 'chain_block', 'nope', '__proto__', 'toString', '']
const ODD = [
  'null',
  'true',
  '-1',
  '1e400',
  '9007199254740993',
  '""',
  '"\\ud800"',
  '[]',
  '{}',
  '[[]]',
  '{"__proto__":1}',
]

type Pick = (bound: number) => number

const KINDS: readonly ((pick: Pick) => Buffer)[] = [
  // Mutated: some bytes of a good request are others.
  (pick) => {
    const bytes = Buffer.from(GOOD[pick(GOOD.length)] ?? '')
    for (let i = 0; i <= pick(4); i++) bytes[pick(bytes.length)] = pick(256)
    return bytes
  },
  // Half of one.
  (pick) => {
    const text = GOOD[pick(GOOD.length)] ?? ''
    return Buffer.from(text.slice(0, 1 + pick(text.length - 1)))
  },
  // Binary.
  (pick) => Buffer.from(Uint8Array.from({ length: 1 + pick(200) }, () => pick(256))),
  // Deep.
  (pick) => {
    const levels = 19 + pick(2_000)
    return Buffer.from(pick(2) === 0 ? '['.repeat(levels) : `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`)
  },
  // Parameters of wrong types and names.
  (pick) => {
    const odd = () => ODD[pick(ODD.length)] ?? 'null'
    const params = pick(3) === 0 ? odd() : `{"key":${odd()},"${pick(2) === 0 ? 'height' : 'colour'}":${odd()}}`
    return Buffer.from(`{"jsonrpc":"2.0","id":${pick(1000)},"method":"kv_get","params":${params}}`)
  },
  // Ids, methods and versions that are none.
  (pick) => {
    const odd = () => ODD[pick(ODD.length)] ?? 'null'
    const id = pick(2) === 0 ? odd() : JSON.stringify('i'.repeat(1 + pick(3_000)))
    const method = pick(3) === 0 ? odd() : JSON.stringify(METHODS[pick(METHODS.length)])
    return Buffer.from(`{"jsonrpc":${pick(2) === 0 ? '"2.0"' : odd()},"id":${id},"method":${method},"params":[]}`)
  },
  // Batches of nothing, of nonsense, of too many.
  (pick) => Buffer.from(`[${new Array(pick(150)).fill(ODD[pick(ODD.length)]).join(',')}]`),
]

/** A line of a bad kind. */
function badLine(pick: Pick): Buffer {
  const line = KINDS[pick(KINDS.length)]?.(pick) ?? Buffer.alloc(0)
  // In one line, and not blank.
  for (let i = 0; i < line.length; i++) if (line[i] === 0x0a) line[i] = 0x2b
  return line.some((byte) => ![0x20, 0x09, 0x0d].includes(byte)) ? line : Buffer.from('+')
}

/** Whether the protocol owes an answer: to everything but notifications. */
function isOwedAnswer(line: Buffer): boolean {
  let message: unknown
  try {
    message = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line))
  } catch {
    return true
  }
  // Whether a batch that is too deep or too long is one of notifications matters to nobody.
  if (Array.isArray(message)) return message.length === 0 || message.length > 100 || message.some(isAnswered)
  return isAnswered(message)
}

function isAnswered(message: unknown): boolean {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return true
  const { jsonrpc, method, id } = message as Record<string, unknown>
  return !(Object.hasOwn(message, 'id') && id !== undefined) ? !(jsonrpc === '2.0' && typeof method === 'string') : true
}

const CODES = new Set<unknown>(Object.values(RPC_ERRORS).map(({ code }) => code))
const FAILURES = new Set<unknown>([RPC_ERRORS.internal.code, RPC_ERRORS.unavailable.code])

/** Throws unless the answer is a result, or an error that is documented and not the daemon's own failure. */
function checkAnswer(text: string): void {
  const message: unknown = JSON.parse(text)
  for (const answer of Array.isArray(message) ? message : [message]) {
    expect(answer).toMatchObject({ jsonrpc: '2.0', id: expect.toSatisfy(isId) })
    if ('result' in answer) continue
    expect(CODES.has(answer.error.code) && !FAILURES.has(answer.error.code), text).toBe(true)
  }
}

function isId(id: unknown): boolean {
  return id === null || typeof id === 'string' || typeof id === 'number'
}

/** A connection that reads lines as they come. */
class Line {
  private text = ''
  private readonly lines: string[] = []
  private wake: () => void = () => {}
  isClosed = false

  private constructor(readonly socket: Socket) {
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      const parts = (this.text + chunk).split('\n')
      this.text = parts.pop() ?? ''
      this.lines.push(...parts)
      this.wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
      this.wake()
    })
  }

  static async open(): Promise<Line> {
    const socket = createConnection({ path: join(daemon.dataDir, 'kvchain.sock') })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new Line(socket)
  }

  /** Undefined once the daemon has hung up. */
  async next(): Promise<string | undefined> {
    while (this.lines.length === 0 && !this.isClosed) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    return this.lines.shift()
  }
}

/** A round of bad lines on one connection: as many answers as are owed, then the answer to a good request. */
async function round(line: Line, pick: Pick, count: number): Promise<void> {
  const bad = Array.from({ length: count }, () => badLine(pick))
  const owed = bad.filter(isOwedAnswer).length
  const last = '{"jsonrpc":"2.0","id":"last","method":"chain_tip"}'
  line.socket.write(Buffer.concat([...bad.flatMap((bytes) => [bytes, Buffer.from('\n')]), Buffer.from(`${last}\n`)]))
  for (let answers = 0; answers <= owed; answers++) checkAnswer((await line.next()) ?? 'hung up')
}

async function tooLong(): Promise<void> {
  const line = await Line.open()
  line.socket.write(Buffer.alloc(MAX_LINE_BYTES + 1, 0x78))
  expect(JSON.parse((await line.next()) ?? 'hung up')).toMatchObject({ id: null, error: { code: -32600 } })
  expect(await line.next()).toBeUndefined()
}

async function hangUp(pick: Pick): Promise<void> {
  const line = await Line.open()
  await new Promise<void>((resolve) => line.socket.write(badLine(pick), () => resolve()))
  line.socket.destroy()
}

/** Kilobytes of the daemon's memory that are in use. Undefined where there is no /proc. */
async function residentKb(): Promise<number | undefined> {
  const status = await readFile(`/proc/${daemon.pid}/status`, 'utf8').catch(() => '')
  const match = /VmRSS:\s+(\d+) kB/.exec(status)
  return match === null ? undefined : Number(match[1])
}

test(`${REQUESTS} bad requests, seed ${SEED}`, { timeout: 10 * REQUESTS + 120_000 }, async () => {
  const rounds = Math.ceil(REQUESTS / ROUND / CALLERS)
  let running = CALLERS
  let warmKb: number | undefined
  const storm = async (index: number) => {
    const pick = generator(SEED + index)
    const line = await Line.open()
    for (let i = 0; i < rounds; i++) {
      await round(line, pick, ROUND)
      if (i % 40 === 0) await tooLong()
      await hangUp(pick)
      if (index === 0 && i === Math.floor(rounds / 2)) warmKb = await residentKb()
    }
    line.socket.destroy()
  }
  const good = async () => {
    const client = daemon.connect()
    let served = 0
    while (running > 0) {
      await client.put('beside', String(served))
      expect((await client.status()).network).toBe('dev')
      served++
    }
    await client.close()
    return served
  }
  const storms = Array.from({ length: CALLERS }, (_, index) => storm(index).finally(() => running--))
  const [served] = await Promise.all([good(), ...storms])
  expect(served).toBeGreaterThan(0)
  expect(daemon.isRunning).toBe(true)
  expect(await daemon.client.get('nothing')).toBeUndefined()
  const endKb = await residentKb()
  if (warmKb !== undefined && endKb !== undefined) expect(endKb - warmKb).toBeLessThan(MAX_GROWTH_KB)
})
