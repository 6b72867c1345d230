/** Rows on encodings: each field that has only some values is given the last that it may have, and the first that it may not. */
import { encodeBlock } from '@kvchain/core/block'
import type { Transaction } from '@kvchain/core/transaction'
import {
  absent,
  assertThat,
  included,
  put,
  remove,
  type Step,
  setAccess,
  sha256,
  type TestAccount,
  transfer,
  writersOf,
} from '../helpers.js'
import { alice, bob, type TableChain } from './chain.js'
import { ending, flipped, forged, of, patched, type Row, Rows } from './rows.js'

const HEADER_BYTES = 184
/** Offsets in a body. */
const AT = { version: 0, nonce: 33, fee: 41, count: 53, operation: 57 } as const
/** Offsets in an operation on a key of one byte. */
const IN = { keyLength: 1, expectation: 6 } as const
/** 2^53, the first integer that is none; and the last that is one. */
const OVER = [0, 0x20, 0, 0, 0, 0, 0, 0] as const
const LAST = [0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff] as const

const MAX_KEY_BYTES = 512
const MAX_OPERATIONS = 1_000
const MAX_WRITERS = 64

export function bytesRows(chain: TableChain): Row[] {
  return [...blockOf(chain), ...bodyOf(chain), ...operationsOf(chain), ...accessOf(chain), ...outcomesOf(chain)]
}

/** A block of one transaction whose body bytes are spoilt and signed. */
function spoilt(chain: TableChain, step: Step | readonly Step[], at: number, ...values: readonly number[]) {
  const steps = 'operation' in step ? [step] : step
  const transaction = chain.transaction(alice, steps)
  return of(forged(chain, alice, transaction, patched(transaction.bodyBytes, at, ...values)))
}

function blockOf(chain: TableChain): Row[] {
  const transaction = chain.transaction(alice, [put('k', 'value')])
  const good = chain.bytes(of(transaction))
  const count = (...values: readonly number[]) => patched(good, HEADER_BYTES, ...values)
  const flag = HEADER_BYTES + 4 + transaction.bodyBytes.length + 64
  return new Rows(chain)
    .good('Block bytes', 'one transaction', of(transaction))
    .bad('1.2', 'a byte more', Uint8Array.of(...good, 0), 'codec-trailing', good)
    .bad('1.2', 'a byte less', good.subarray(0, -1), 'codec-truncated', good)
    .bad('1.2', 'no bytes', new Uint8Array(0), 'codec-truncated')
    .bad('1.2', 'a header alone', good.subarray(0, HEADER_BYTES), 'codec-truncated', good)
    .bad('Block bytes', 'a count of one less', count(0, 0, 0, 0), 'codec-trailing', good)
    .bad('Block bytes', 'a count of one more', count(0, 0, 0, 2), 'codec-truncated', good)
    .bad('Block bytes', 'a count of 100,000', count(0, 1, 0x86, 0xa0), 'codec-truncated', good)
    .bad('Block bytes', 'a count of 100,001', count(0, 1, 0x86, 0xa1), 'codec-length', good)
    .bad('Transaction bytes', 'a values flag of 2', patched(good, flag, 2), 'codec-tag', good).list
}

function bodyOf(chain: TableChain): Row[] {
  const one = put('k', 'v')
  const asserts = (count: number) => Array.from({ length: count }, () => assertThat('nothing', absent))
  const short = Array.from({ length: MAX_OPERATIONS }, () => assertThat('n', absent))
  return new Rows(chain)
    .good('1.1', 'fields one after the other', of(chain.transaction(alice, [one])))
    .bad('Body', 'version 0', spoilt(chain, one, AT.version, 0), 'codec-tag')
    .bad('Body', 'version 2', spoilt(chain, one, AT.version, 2), 'codec-tag')
    .bad(
      'Body',
      'an account nonce of 2^53 - 1',
      spoilt(chain, one, AT.nonce, ...LAST),
      'block-transaction tx-nonce-gap',
    )
    .bad('Body', 'an account nonce of 2^53', spoilt(chain, one, AT.nonce, ...OVER), 'codec-integer')
    .bad('Body', 'a fee of 2^53 - 1', spoilt(chain, one, AT.fee, ...LAST), 'block-transaction tx-balance')
    .bad('Body', 'a fee of 2^53', spoilt(chain, one, AT.fee, ...OVER), 'codec-integer')
    .bad('Body', 'no operations', empty(chain), 'codec-length')
    .good('Body', '1,000 operations', of(chain.transaction(alice, short)))
    .bad('Body', '1,001 operations', spoilt(chain, short, AT.count, 0, 0, 3, 0xe9), 'codec-length')
    .bad('Body', 'an operation more than the count', spoilt(chain, asserts(2), AT.count, 0, 0, 0, 1), 'codec-tag').list
}

/** A body that ends behind its count. */
function empty(chain: TableChain) {
  const transaction = chain.transaction(alice, [remove('k')])
  const body = patched(new Uint8Array(transaction.bodyBytes.subarray(0, AT.operation)), AT.count, 0, 0, 0, 0)
  return of(forged(chain, alice, transaction, body))
}

function operationsOf(chain: TableChain): Row[] {
  const at = AT.operation
  const key = (length: number) => of(chain.transaction(alice, [put('k'.repeat(length), 'v')]))
  const long = put('k'.repeat(MAX_KEY_BYTES), 'v')
  const version = assertThat('k', { kind: 'version', version: 1 })
  const valueLength = at + IN.expectation + 1
  return new Rows(chain)
    .bad('Operations', 'tag 0', spoilt(chain, remove('k'), at, 0), 'codec-tag')
    .bad('Operations', 'tag 6', spoilt(chain, remove('k'), at, 6), 'codec-tag')
    .good('Operations', 'a key of one byte', key(1))
    .good('Operations', 'a key of 512 bytes', key(MAX_KEY_BYTES))
    .bad('Operations', 'a key of no bytes', spoilt(chain, remove('k'), at + IN.keyLength, 0, 0, 0, 0), 'codec-length')
    .bad('Operations', 'a key of 513 bytes', spoilt(chain, long, at + IN.keyLength, 0, 0, 2, 1), 'codec-length')
    .bad('Operations', 'expectation 4', spoilt(chain, remove('k'), at + IN.expectation, 4), 'codec-tag')
    .bad('Operations', 'version 2^53', spoilt(chain, version, at + IN.expectation + 1, ...OVER), 'codec-integer')
    .bad(
      'Operations',
      'a value of 2^20 + 1 bytes',
      spoilt(chain, put('k', 'v'), valueLength, 0, 0x10, 0, 1),
      'codec-length',
    )
    .bad('Operations', 'a value of 2^20 bytes', dropped(chain, valueLength), 'block-size')
    .bad('Operations', 'an amount of 2^53', spoilt(chain, transfer(bob, 1), at + 33, ...OVER), 'codec-integer')
    .good('Operations', 'an amount of 2^53 - 1', {
      transactions: [
        included(chain.transaction(alice, [transfer(bob, 2 ** 53 - 1)]), {
          code: 'insufficient-balance',
          operation: 0,
        }),
      ],
    }).list
}

/** A value of 2^20 bytes, left out: the format has room for it, this network has not. */
function dropped(chain: TableChain, valueLength: number): Uint8Array {
  const draft = spoilt(chain, put('k', 'v'), valueLength, 0, 0x10, 0, 0)
  const block = chain.make(draft)
  const transactions = block.transactions.map(({ transaction: whole, outcome }) => {
    // Read back, so that the size is that of the bytes.
    const [operation] = whole.body.operations
    const body = { ...whole.body, operations: operation ? [{ ...operation, valueLength: 2 ** 20 }] : [] }
    return { transaction: { ...whole, body, values: undefined } as Transaction, outcome }
  })
  return encodeBlock({ ...block, transactions })
}

function writers(count: number): TestAccount[] {
  return Array.from({ length: count }, (_, i) => ({ publicKey: sha256(Uint8Array.of(i)), sign: (it) => it }))
}

function accessOf(chain: TableChain): Row[] {
  const at = AT.operation
  const access = at + IN.expectation + 1 + 4 + 32
  const list = put('k', 'v', { access: writersOf(...writers(2)) })
  const full = put('k', 'v', { access: writersOf(...writers(MAX_WRITERS)) })
  const [low, high] = [...writers(2)].map(({ publicKey }) => publicKey).sort((a, b) => Buffer.compare(a, b)) as [
    Uint8Array,
    Uint8Array,
  ]
  const owner = setAccess('k', { owner: bob })
  return new Rows(chain)
    .bad('Operations', 'access 4', spoilt(chain, put('k', 'v'), access, 4), 'codec-tag')
    .bad('Operations', 'new owner 2', spoilt(chain, owner, at + IN.expectation + 1, 2), 'codec-tag')
    .good('Operations', '64 writers', of(chain.transaction(alice, [full])))
    .bad('Operations', '65 writers', spoilt(chain, full, access + 1, 0, 0, 0, 65), 'codec-length')
    .bad('Operations', 'no writers', spoilt(chain, list, access + 1, 0, 0, 0, 0), 'codec-length')
    .good('Operations', 'two writers', of(chain.transaction(alice, [list])))
    .bad('Operations', 'two writers, the higher first', spoilt(chain, list, access + 5, ...high, ...low), 'codec-order')
    .bad('Operations', 'a writer twice', spoilt(chain, list, access + 5, ...low, ...low), 'codec-order').list
}

function outcomesOf(chain: TableChain): Row[] {
  const transaction = chain.transaction(alice, [put('k', 'value')])
  const ok = chain.bytes(of(transaction))
  const failed = chain.bytes(ending(transaction, { code: 'no-entry', operation: 0 }))
  const tail = (bytes: Uint8Array, ...values: readonly number[]) => patched(bytes, bytes.length - 3, ...values)
  return new Rows(chain)
    .bad('Outcome', 'code 6', tail(failed, 6, 0, 0), 'codec-tag')
    .bad('Outcome', 'ok, in operation 1', tail(ok, 0, 0, 1), 'codec-tag', ok)
    .bad('Outcome', 'operation 1,000', tail(failed, 4, 0x03, 0xe8), 'codec-tag')
    .bad(
      'Outcome',
      'operation 999, which there is not',
      ending(transaction, { code: 'no-entry', operation: 999 }),
      'block-outcome',
    )
    .bad('Outcome', 'a bit of it', flipped(failed), 'block-mutated').list
}
