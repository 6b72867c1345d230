/**
 * A ledger killed at every failpoint, as by a power cut, and opened again: then it has the state root of one that was never killed, and every own
 * write that it accepted.
 *
 * Plan: blocks of two branches and two writes are made once. A process of its own (crashWorker.mjs) lives through all that can happen to a ledger; once
 * without being killed, which is the truth. For every failpoint it is killed there in a fresh folder, and then lives again in the same folder.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeBlock } from '@kvchain/core/block'
import { fromUtf8, ZERO_32 } from '@kvchain/core/bytes'
import { entryPath } from '@kvchain/core/entry'
import { encodeTransaction } from '@kvchain/core/transaction'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { armFailpoint, FAILPOINTS } from '@kvchain/node/runtime/failpoints'
import { hex } from '@kvchain/node/runtime/hex'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { easyNetworkJson, TestLedger } from '../helpers/ledger.js'

const WORKER = fileURLToPath(new URL('../fixtures/crashWorker.mjs', import.meta.url))

interface State {
  readonly height: number
  readonly tip: string
  readonly root: string
  readonly waiting: readonly string[]
}

/** What a process said, and how it ended. */
interface Life {
  readonly start?: State
  readonly end?: State
  readonly accepted: readonly string[]
  readonly exit: number | string | null
  readonly stderr: string
}

let place: string
let script: { blocks: string[]; writes: string[] }
let truth: State
/** Of the write that no block takes up. */
let pending: string

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'kvchain-crash-'))
  ;({ script, pending } = await makeScript())
  const life = await live('truth')
  expect(life).toMatchObject({ exit: 0, stderr: '' })
  if (life.end === undefined) expect.fail('an end')
  truth = life.end
})

afterAll(() => rmSync(place, { recursive: true, force: true }))

/** Keys whose paths in the state tree begin with the same 12 bits: so many that the tree has buckets to divide there. */
function crowdedKeys(count: number): string[] {
  const keys: string[] = []
  for (let n = 0; keys.length < count; n++) {
    const [first, second = 0] = entryPath(sha256, fromUtf8(`crowded ${n}`))
    if (first === 0 && second >> 4 === 0) keys.push(`crowded ${n}`)
  }
  return keys
}

/** Six blocks in common, two that lose, four that win, one that is invalid, four more. */
async function makeScript() {
  const [a, b] = [await TestLedger.open(), await TestLedger.open()]
  const own = a.put('own', 'one', { from: 1, nonce: 0 })
  await a.pool(own, ...crowdedKeys(10).map((key, nonce) => a.put(key, 'x', { from: 2, nonce })))
  const common = await a.mine(6)
  for (const block of common) await b.chain.addBlock(block, 'test')
  await a.pool(a.put('own', 'lost', { from: 1, nonce: 1 }))
  const lost = await a.mine(2, 9)
  await b.pool(b.put('own', 'won', { from: 1, nonce: 1 }))
  const won = await b.mine(4, 8)
  const good = await b.solve(8)
  const bad = { ...good, header: { ...good.header, stateRoot: ZERO_32 } }
  await b.pool(b.put('own', 'later', { from: 1, nonce: 2 }))
  const later = await b.mine(4, 8)
  const last = b.put('own', 'waits', { from: 1, nonce: 3 })
  const blocks = [...common, ...lost, ...won, bad, ...later].map((block) => hex(encodeBlock(block)))
  const writes = [own, last].map((transaction) => hex(encodeTransaction(transaction)))
  await Promise.all([a.close(), b.close()])
  return { script: { blocks, writes }, pending: hex(last.txid) }
}

/** One process in the folder of that name, killed at a point if one is given. */
function live(name: string, point?: string): Promise<Life> {
  const dataDir = join(place, name)
  mkdirSync(dataDir, { recursive: true })
  const file = join(place, `${name}.json`)
  writeFileSync(file, JSON.stringify({ network: easyNetworkJson(), dataDir, ...script }))
  const child = spawn(process.execPath, [WORKER, file, ...(point === undefined ? [] : [point])])
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      const lines = Buffer.concat(stdout).toString().split('\n').filter(Boolean)
      const said = lines.map((line): Partial<Life> & { accepted?: string } => JSON.parse(line))
      const accepted = said.map((one) => one.accepted).filter((txid) => txid !== undefined)
      resolve({
        ...Object.assign({}, ...said),
        accepted,
        exit: code ?? signal,
        stderr: Buffer.concat(stderr).toString(),
      })
    })
  })
}

test('the truth is a whole life', () => {
  expect(truth).toMatchObject({ height: 14, waiting: [pending] })
})

/** In which the blocks are all there, on one side or the other. */
const REBUILDING = /^(?:suspect|aside|salvage|replay|swap|absolve|cleanup)-/

test.concurrent.each([...FAILPOINTS, 'connect-before:9', 'connect-after:25', 'disconnect-after:2', 'genesis-after:2'])(
  'killed at %s',
  async (point) => {
    const name = point.replace(':', '-')
    const killed = await live(name, point)
    expect(killed).toMatchObject({ exit: 'SIGKILL', stderr: '' })
    const life = await live(name)
    expect(life).toMatchObject({ exit: 0, stderr: '', end: truth })
    for (const txid of killed.accepted) if (txid === pending) expect(life.start?.waiting).toContain(txid)
    if (REBUILDING.test(point)) expect(life.start).toEqual(truth)
  },
)

test('a failpoint has a name and a number', () => {
  const exit = () => {}
  expect(() => armFailpoint('nowhere', exit)).toThrowError(expect.objectContaining({ code: 'options' }))
  for (const text of ['peers-before:0', 'peers-before:x', 'peers-before:1:2', '']) {
    expect(() => armFailpoint(text, exit)).toThrowError(expect.objectContaining({ code: 'options' }))
  }
})
