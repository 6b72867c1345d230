/** fast-check generators for every structure of the protocol, weighted towards the limits. */
import type { Block, IncludedTransaction } from '@kvchain/core/block'
import { compareBytes } from '@kvchain/core/bytes'
import type { Account, Entry } from '@kvchain/core/entry'
import type { Header } from '@kvchain/core/header'
import { FAILURES, type Outcome } from '@kvchain/core/outcome'
import {
  type AccessChange,
  computeTxid,
  type Expectation,
  encodeBody,
  type Operation,
  type Transaction,
  type TransactionBody,
  type WriteAccess,
} from '@kvchain/core/transaction'
import type { TreeProof } from '@kvchain/core/treeProof'
import fc from 'fast-check'
import { genesisHash, sha256 } from './helpers.js'

export const bytes32: fc.Arbitrary<Uint8Array> = fc.uint8Array({ minLength: 32, maxLength: 32 })
export const bytes64: fc.Arbitrary<Uint8Array> = fc.uint8Array({ minLength: 64, maxLength: 64 })

export const u64: fc.Arbitrary<number> = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(300),
  fc.constantFrom(2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
)
export const u32: fc.Arbitrary<number> = fc.oneof(
  fc.nat(2 ** 32 - 1),
  fc.nat(300),
  fc.constantFrom(2 ** 31, 2 ** 32 - 1),
)

const key: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 9, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 24 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 512, maxLength: 512 }) },
)

const expectation: fc.Arbitrary<Expectation> = fc.oneof(
  fc.constant<Expectation>({ kind: 'any' }),
  fc.constant<Expectation>({ kind: 'absent' }),
  fc.record({ kind: fc.constant('version' as const), version: u64 }),
  fc.record({ kind: fc.constant('digest' as const), digest: bytes32 }),
)

export const writeAccess: fc.Arbitrary<WriteAccess> = fc.oneof(
  fc.constant<WriteAccess>({ kind: 'private' }),
  fc.constant<WriteAccess>({ kind: 'open' }),
  fc
    .uniqueArray(bytes32, { minLength: 1, maxLength: 64, size: 'small', selector: (bytes) => bytes.join() })
    .map((writers): WriteAccess => ({ kind: 'writers', writers: writers.sort(compareBytes) })),
)

const accessChange: fc.Arbitrary<AccessChange> = fc.oneof(fc.constant<AccessChange>({ kind: 'keep' }), writeAccess)

/** A put's value is as long as it says; its digest is any. */
const valueLength = fc.oneof(fc.nat(20), fc.constantFrom(0, 255, 256))

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    kind: fc.constant('put' as const),
    key,
    expect: expectation,
    valueDigest: bytes32,
    valueLength,
    access: accessChange,
  }),
  fc.record({ kind: fc.constant('delete' as const), key, expect: expectation }),
  fc.record({
    kind: fc.constant('access' as const),
    key,
    expect: expectation,
    owner: fc.option(bytes32, { nil: undefined }),
    access: accessChange,
  }),
  fc.record({ kind: fc.constant('transfer' as const), to: bytes32, amount: u64 }),
  fc.record({ kind: fc.constant('assert' as const), key, expect: expectation }),
)

export const body: fc.Arbitrary<TransactionBody> = fc.record({
  sender: bytes32,
  accountNonce: u64,
  fee: u64,
  validUntil: u32,
  operations: fc.array(operation, { minLength: 1, maxLength: 6 }),
})

/** Well-formed, not more: signature and value digests are any bytes. With its values or without. */
export const transaction: fc.Arbitrary<Transaction> = fc
  .record({ body, signature: bytes64, fill: fc.nat(255), withValues: fc.boolean() })
  .map(({ body, signature, fill, withValues }) => {
    const bodyBytes = encodeBody(body)
    const values = body.operations.flatMap((operation) =>
      operation.kind === 'put' ? [new Uint8Array(operation.valueLength).fill(fill)] : [],
    )
    return {
      body,
      bodyBytes,
      txid: computeTxid(sha256, genesisHash, bodyBytes),
      signature,
      values: withValues ? values : undefined,
    }
  })

export const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  fc.constant<Outcome>({ code: 'ok' }),
  fc.record({ code: fc.constantFrom(...FAILURES), operation: fc.nat(999) }),
)

export const header: fc.Arbitrary<Header> = fc.record({
  parent: bytes32,
  height: u32,
  timestampMs: u64,
  target: bytes32,
  txRoot: bytes32,
  stateRoot: bytes32,
  miner: bytes32,
  nonce: u64,
})

const includedTransaction: fc.Arbitrary<IncludedTransaction> = fc.record({ transaction, outcome })

export const block: fc.Arbitrary<Block> = fc.record({
  header,
  transactions: fc.array(includedTransaction, { maxLength: 4 }),
})

export const entry: fc.Arbitrary<Entry> = fc.record({
  key,
  version: u64,
  deleted: fc.boolean(),
  valueLength: fc.nat(1 << 20),
  valueDigest: bytes32,
  owner: bytes32,
  access: writeAccess,
  height: u32,
  txid: bytes32,
  previous: bytes32,
})

export const account: fc.Arbitrary<Account> = fc.record({ publicKey: bytes32, balance: u64, nonce: u64 })

/** A proof as it may be encoded; it need not verify. */
export const proof: fc.Arbitrary<TreeProof> = fc.record({
  siblings: fc.array(fc.oneof(bytes32, fc.constant(new Uint8Array(32))), { maxLength: 40 }),
  terminal: fc.oneof(
    fc.constant({ kind: 'empty' as const }),
    fc.record({ kind: fc.constant('leaf' as const), path: bytes32, digest: bytes32 }),
  ),
})

/** One change to a byte string: a bit flipped, a byte set, removed, inserted or doubled, the end cut, or two bytes swapped. */
export interface Mutation {
  readonly kind: 'flip' | 'set' | 'remove' | 'insert' | 'cut' | 'swap'
  readonly at: number
  readonly value: number
}

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('flip', 'flip', 'set', 'set', 'remove', 'insert', 'cut', 'swap'),
  at: fc.nat(1_000_003),
  value: fc.nat(255),
})

export function mutate(bytes: Uint8Array, { kind, at, value }: Mutation): Uint8Array {
  const copy = [...bytes]
  const index = bytes.length === 0 ? 0 : at % bytes.length
  const old = copy[index] ?? 0
  if (kind === 'flip') copy[index] = old ^ (1 << (value & 7))
  if (kind === 'set') copy[index] = value
  if (kind === 'remove') copy.splice(index, 1)
  if (kind === 'insert') copy.splice(index, 0, value)
  if (kind === 'cut') copy.length = index
  if (kind === 'swap') {
    copy[index] = copy[copy.length - 1] ?? 0
    copy[copy.length - 1] = old
  }
  return Uint8Array.from(copy)
}
