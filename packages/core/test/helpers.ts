/**
 * What the tests of core share: the primitives that core asks for, golden vectors, accounts, a network, transactions, and a state in
 * plain maps. Owns no expectation.
 */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncludedTransaction } from '@kvchain/core/block'
import { transactionRoot } from '@kvchain/core/block'
import { equalBytes, fromHex, fromUtf8, toHex, ZERO_32 } from '@kvchain/core/bytes'
import { CodecError } from '@kvchain/core/codec'
import type { Account, Entry } from '@kvchain/core/entry'
import { KvError } from '@kvchain/core/errors'
import { type Header, headerHash } from '@kvchain/core/header'
import type { Outcome } from '@kvchain/core/outcome'
import { type Network, type Params, parseNetwork } from '@kvchain/core/params'
import { meetsTarget } from '@kvchain/core/pow'
import {
  applyTransaction,
  payMiner,
  type StateChanges,
  type StateReader,
  StateView,
  type Undo,
} from '@kvchain/core/state'
import {
  type AccessChange,
  type Expectation,
  type Operation,
  signTransaction,
  type Transaction,
  valueDigest,
} from '@kvchain/core/transaction'
import { keyPairFromSeed, signMessage, verifySignature } from '@kvchain/node/crypto/sodium'
import { expect } from 'vitest'

export { verifySignature }

export function sha256(data: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', data, 'buffer'))
}

/** The bytes of a hexadecimal string that a test wrote or a vector holds. */
export function hex(text: string): Uint8Array {
  const bytes = fromHex(text)
  if (bytes === undefined) expect.fail(`not hexadecimal: ${text}`)
  return bytes
}

export function text(value: string): Uint8Array {
  return fromUtf8(value)
}

/** A file of vectors/, which make_vectors.py made. */
export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), 'utf8')) as T
}

/** Equality of byte strings, fast enough for properties. */
export function expectBytes(found: Uint8Array, expected: Uint8Array): void {
  if (!equalBytes(found, expected)) expect(toHex(found)).toBe(toHex(expected))
}

/**
 * Whatever a decoder accepts is the encoding of what it understood; whatever it does not is a CodecError. Returns whether it was
 * accepted.
 */
export function expectCanonical<T>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => T,
  encode: (value: T) => Uint8Array,
): boolean {
  let value: T
  try {
    value = decode(bytes)
  } catch (error) {
    if (!(error instanceof CodecError)) throw error
    return false
  }
  expectBytes(encode(value), bytes)
  return true
}

/** The typed error that `run` throws: with one line for people, and, if it is one of bytes, with where they are wrong. */
export function thrownBy(run: () => unknown): KvError {
  try {
    run()
  } catch (error) {
    if (!(error instanceof KvError)) throw error
    expect(error.message).toMatch(/^\S.+$/)
    if (error instanceof CodecError) expect(error.data).not.toEqual({})
    return error
  }
  expect.fail('nothing was thrown')
}

export function codeOf(run: () => unknown): string {
  return thrownBy(run).code
}

/** Tries of a property: what CI affords, times KVCHAIN_FUZZ_FACTOR for a long run; a whole number, since fast-check never ends with another. */
export function tries(numRuns: number): { numRuns: number } {
  return { numRuns: Math.ceil(numRuns * Number(process.env.KVCHAIN_FUZZ_FACTOR ?? 1)) }
}

// --- networks and accounts -------------------------------------------------------------------------------------------

/** A network file as parsed JSON, for tests that spoil one field. */
export interface NetworkJson {
  [field: string]: unknown
  consensus: { [field: string]: unknown; allocations: { [field: string]: unknown }[] }
  policy: { [field: string]: unknown }
}

export function networkJson(consensus: Record<string, unknown> = {}): NetworkJson {
  return {
    name: 'test',
    consensus: {
      addressPrefix: 'kvt',
      proofOfWork: 'sha256',
      genesisTimestampMs: 1_767_225_600_000,
      blockIntervalMs: 2_000,
      targetRule: 'fixed',
      initialTarget: '0f'.padEnd(64, 'f'),
      easiestTarget: '1f'.padEnd(64, 'f'),
      targetWindowBlocks: 10,
      solveTimeClampBlocks: 6,
      maxFutureMs: 10_000,
      maxValueBytes: 1_000,
      maxTransactionBytes: 4_000,
      maxBlockBytes: 20_000,
      maxTransactions: 20,
      minFeePerByte: 0,
      blockReward: 50,
      allocations: [],
      ...consensus,
    },
    policy: { mining: 'pending', settleDepth: 6, listen: [], bootstrap: [] },
  }
}

export function testNetwork(consensus: Record<string, unknown> = {}): Network {
  return parseNetwork(networkJson(consensus))
}

export interface TestAccount {
  readonly publicKey: Uint8Array
  sign(message: Uint8Array): Uint8Array
}

/** The same account for the same name, always. */
export function testAccount(name: string): TestAccount {
  const { publicKey, secretKey } = keyPairFromSeed(sha256(text(`test account ${name}`)))
  return { publicKey, sign: (message) => signMessage(message, secretKey) }
}

// --- transactions ----------------------------------------------------------------------------------------------------

export const genesisHash: Uint8Array = sha256(fromUtf8('a genesis hash'))
export const any: Expectation = { kind: 'any' }
export const absent: Expectation = { kind: 'absent' }
export const keep: AccessChange = { kind: 'keep' }

/** An operation, and the value if it is a put. */
export interface Step {
  readonly operation: Operation
  readonly value?: Uint8Array
}

export function put(key: string, value: string, options: { expect?: Expectation; access?: AccessChange } = {}): Step {
  const bytes = text(value)
  return {
    operation: {
      kind: 'put',
      key: text(key),
      expect: options.expect ?? any,
      valueDigest: valueDigest(sha256, bytes),
      valueLength: bytes.length,
      access: options.access ?? keep,
    },
    value: bytes,
  }
}

export function remove(key: string, expectation: Expectation = any): Step {
  return { operation: { kind: 'delete', key: text(key), expect: expectation } }
}

export function setAccess(
  key: string,
  options: { expect?: Expectation; access?: AccessChange; owner?: TestAccount } = {},
): Step {
  const { expect: expectation = any, access = keep, owner } = options
  return { operation: { kind: 'access', key: text(key), expect: expectation, owner: owner?.publicKey, access } }
}

export function transfer(to: TestAccount, amount: number): Step {
  return { operation: { kind: 'transfer', to: to.publicKey, amount } }
}

export function assertThat(key: string, expectation: Expectation): Step {
  return { operation: { kind: 'assert', key: text(key), expect: expectation } }
}

export function writersOf(...accounts: readonly TestAccount[]): AccessChange {
  const writers = accounts.map(({ publicKey }) => publicKey).sort((a, b) => Buffer.compare(a, b))
  return { kind: 'writers', writers }
}

export interface Terms {
  readonly nonce?: number
  readonly fee?: number
  readonly validUntil?: number
  readonly genesis?: Uint8Array
}

export function makeTransaction(sender: TestAccount, steps: readonly Step[], terms: Terms = {}): Transaction {
  const body = {
    sender: sender.publicKey,
    accountNonce: terms.nonce ?? 0,
    fee: terms.fee ?? 0,
    validUntil: terms.validUntil ?? 0,
    operations: steps.map(({ operation }) => operation),
  }
  const values = steps.flatMap(({ value }) => (value === undefined ? [] : [value]))
  return signTransaction(sha256, terms.genesis ?? genesisHash, body, values, (message) => sender.sign(message))
}

// --- state -----------------------------------------------------------------------------------------------------------

/** The state in two maps from hexadecimal. */
export class MapState implements StateReader {
  readonly entries = new Map<string, Entry>()
  readonly accounts = new Map<string, Account>()

  entry(key: Uint8Array): Entry | undefined {
    return this.entries.get(toHex(key))
  }

  account(publicKey: Uint8Array): Account {
    return this.accounts.get(toHex(publicKey)) ?? { publicKey, balance: 0, nonce: 0 }
  }

  fund(account: TestAccount, balance: number): this {
    const { publicKey } = account
    this.accounts.set(toHex(publicKey), { publicKey, balance, nonce: 0 })
    return this
  }

  commit(changes: StateChanges): void {
    for (const { key, after } of changes.entries) this.entries.set(toHex(key), after)
    for (const { after } of changes.accounts) this.setAccount(after)
  }

  revert(undo: Undo): void {
    for (const { key, before } of undo.entries) {
      if (before === undefined) this.entries.delete(toHex(key))
      else this.entries.set(toHex(key), before)
    }
    for (const before of undo.accounts) this.setAccount(before)
  }

  coins(): number {
    let sum = 0
    for (const { balance } of this.accounts.values()) sum += balance
    return sum
  }

  copy(): MapState {
    const copy = new MapState()
    for (const [key, entry] of this.entries) copy.entries.set(key, entry)
    for (const [key, account] of this.accounts) copy.accounts.set(key, account)
    return copy
  }

  private setAccount(account: Account): void {
    const key = toHex(account.publicKey)
    if (account.balance === 0 && account.nonce === 0) this.accounts.delete(key)
    else this.accounts.set(key, account)
  }
}

export interface Executed {
  readonly outcomes: readonly Outcome[]
  readonly changes: StateChanges
}

/** The transactions of one block, one after the other, and the miner's pay (protocol.md section 6). */
export function executeBlock(
  state: StateReader,
  params: Params,
  block: { height: number; miner: Uint8Array; transactions: readonly Transaction[] },
): Executed {
  const view = new StateView(state)
  const context = { params, sha256, height: block.height }
  const outcomes = block.transactions.map((transaction) => applyTransaction(view, transaction, context))
  const fees = block.transactions.reduce((sum, transaction) => sum + transaction.body.fee, 0)
  payMiner(view, block.miner, params.blockReward, fees)
  return { outcomes, changes: view.changes() }
}

// --- blocks ----------------------------------------------------------------------------------------------------------

/** A header whose every field has its own bytes. */
export function makeHeader(changes: Partial<Header> = {}): Header {
  return {
    parent: sha256(text('parent')),
    height: 7,
    timestampMs: 1_767_225_700_000,
    target: hex('0f'.padEnd(64, 'f')),
    txRoot: transactionRoot(sha256, []),
    stateRoot: sha256(text('state root')),
    miner: testAccount('miner').publicKey,
    nonce: 0,
    ...changes,
  }
}

/** The first nonce from the header's own on with which its hash meets its target, or (`meets` false) does not. */
export function mine(header: Header, meets = true): Header {
  for (let nonce = header.nonce; ; nonce++) {
    const tried = { ...header, nonce }
    if (meetsTarget(headerHash(sha256, tried), header.target) === meets) return tried
  }
}

export function included(transaction: Transaction, outcome: Outcome = { code: 'ok' }): IncludedTransaction {
  return { transaction, outcome }
}

export { ZERO_32 }
