/**
 * Damage to data folders. A folder is made once, with all kinds of files and records in it; each trial then
 * damages a copy. Everything is drawn from a seed.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Block, encodeBlock } from '@kvchain/core/block'
import { fromUtf8 } from '@kvchain/core/bytes'
import { hex } from '@kvchain/node/runtime/hex'
import { Batch } from '@kvchain/node/store/batch'
import { recordKey } from '@kvchain/node/store/schema'
import { account, easyNetworkJson, TestLedger } from './ledger.js'

/** Numbers from a seed (mulberry32). */
export class Dice {
  constructor(private state: number) {}

  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound)
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new TypeError('nothing to pick from')
    return item
  }
}

const KEYS = Array.from({ length: 30 }, (_, i) => `key-${i}`)

export interface Specimen {
  readonly folder: string
  /** The network file. */
  readonly network: object
  /** Blocks in hexadecimal digits: the branch that lost, and the one that won, each from genesis on. */
  readonly branches: readonly (readonly string[])[]
}

/** A folder with tables and a log, two branches, keys with long histories, deleted keys, an own transaction and peers. */
export async function makeSpecimen(seed: number): Promise<Specimen> {
  const dice = new Dice(seed)
  let ledger = await TestLedger.open()
  const rival = await TestLedger.open()
  const grow = async (on: TestLedger, count: number, miner: number) => {
    const blocks: Block[] = []
    for (let i = 0; i < count; i++) {
      for (let n = dice.below(6); n >= 0; n--) await on.pool(randomTransaction(on, dice))
      blocks.push(...(await on.mine(1, miner)))
    }
    return blocks
  }
  const trunk = await grow(ledger, 8, 9)
  for (const block of trunk) await rival.chain.addBlock(block, 'test')
  // The rival's branch wins, so that some of what was written is taken back.
  const lost = await grow(ledger, 2, 9)
  const won = await grow(rival, 4, 8)
  for (const block of won) await ledger.chain.addBlock(block, 'rival')
  // A restart makes a table of the log; after it another log begins.
  ledger = await ledger.reopen()
  const later = await grow(ledger, 7, 9)
  ledger = await ledger.reopen()
  later.push(...(await grow(ledger, 4, 9)))
  const nonce = ledger.mempool.nextNonce(account(3).publicKey)
  await ledger.own.submit(ledger.put('own', 'mine', { from: 3, nonce }))
  await ledger.database.write(new Batch().put(recordKey.peers(), fromUtf8('[]')), { sync: true })
  await rival.close()
  await ledger.leave()
  const branches = [
    [...trunk, ...lost],
    [...trunk, ...won, ...later],
  ].map((branch) => branch.map((block) => hex(encodeBlock(block))))
  return { folder: ledger.folder, network: easyNetworkJson(), branches }
}

function randomTransaction(ledger: TestLedger, dice: Dice) {
  const from = 1 + dice.below(3)
  const nonce = ledger.mempool.nextNonce(account(from).publicKey)
  const key = dice.pick(KEYS)
  const what = dice.below(10)
  if (what === 0) {
    const to = account(1 + dice.below(3)).publicKey
    return ledger.sign([{ kind: 'transfer', to, amount: 1 + dice.below(9) }], [], { from, nonce })
  }
  if (what === 1) {
    return ledger.sign([{ kind: 'delete', key: fromUtf8(key), expect: { kind: 'any' } }], [], { from, nonce })
  }
  return ledger.put(key, `${dice.below(1_000_000)} `.repeat(1 + dice.below(60)), { from, nonce })
}

/** A copy of a folder, in a folder of its own. */
export function copyOf(folder: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'kvchain-damage-'))
  cpSync(folder, copy, { recursive: true })
  return copy
}

export function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

/** Files of a database that hold anything. */
function filesOf(database: string): string[] {
  return readdirSync(database)
    .filter((name) => name !== 'LOCK' && !name.startsWith('LOG'))
    .map((name) => join(database, name))
    .filter((file) => statSync(file).size > 0)
    .sort()
}

/** CURRENT, MANIFEST, log or ldb. */
function kindOf(file: string): string {
  return /(CURRENT|MANIFEST|log|ldb)[^/]*$/.exec(file)?.[1] ?? ''
}

const DAMAGES = ['flip', 'flip', 'flip', 'zero', 'truncate', 'empty', 'delete'] as const

/** Damages one file of a database, of a kind that is drawn first. Returns what was done, for people. */
export function damage(database: string, dice: Dice): string {
  const files = filesOf(database)
  const kinds = ['log', 'log', 'ldb', 'ldb', 'ldb', 'MANIFEST', 'CURRENT']
  const kind = dice.pick(kinds.filter((one) => files.some((file) => kindOf(file) === one)))
  const file = dice.pick(files.filter((one) => kindOf(one) === kind))
  const bytes = readFileSync(file)
  const at = dice.below(bytes.length)
  const how = dice.pick(DAMAGES)
  if (how === 'flip') bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.below(8))
  if (how === 'zero') bytes.subarray(at, at + 4_096).fill(0)
  if (how === 'flip' || how === 'zero') writeFileSync(file, bytes)
  if (how === 'truncate') truncateSync(file, at)
  if (how === 'empty') truncateSync(file, 0)
  if (how === 'delete') rmSync(file)
  return `${how} ${kind} at ${at} of ${bytes.length}`
}
