/** Rows on bodies, and on transactions wherever they stand: roots, counts, sizes, values. */
import type { IncludedTransaction } from '@kvchain/core/block'
import { encodeBlock } from '@kvchain/core/block'
import type { Transaction } from '@kvchain/core/transaction'
import {
  absent,
  any,
  assertThat,
  included,
  put,
  remove,
  type Step,
  type TestAccount,
  text,
  transfer,
} from '../helpers.js'
import {
  alice,
  bob,
  carol,
  MAX_BLOCK_BYTES,
  MAX_TRANSACTION_BYTES,
  MAX_TRANSACTIONS,
  MAX_VALUE_BYTES,
  ownKey,
  PUT_FRAME_BYTES,
  type TableChain,
  TRANSACTION_FRAME_BYTES,
} from './chain.js'
import { flipped, grafted, of, type Row, Rows } from './rows.js'

/** Bytes of a block without transactions; bytes that each adds to its own. */
const EMPTY_BLOCK_BYTES = 184 + 4
const OUTCOME_BYTES = 3

export function transactionRows(chain: TableChain): Row[] {
  return [...rootOf(chain), ...sizesOf(chain), ...keysOf(chain), ...contentOf(chain), ...valuesOf(chain)]
}

function rootOf(chain: TableChain): Row[] {
  const [first, second, third] = [
    included(chain.transaction(alice, [put('root/a', 'v')])),
    included(chain.transaction(bob, [put('root/b', 'v')])),
    included(chain.transaction(carol, [put('root/c', 'v')])),
  ] as const
  const draft = { transactions: [first, second, third] }
  const truth = chain.bytes(draft)
  const resigned = { ...first.transaction, signature: flipped(first.transaction.signature) }
  const rows = new Rows(chain).good('5.7', 'three transactions', draft)
  const bodies: [string, readonly IncludedTransaction[]][] = [
    ['none of them', []],
    ['the last left out', [first, second]],
    ['the last doubled', [first, second, third, third]],
    ['two swapped', [second, first, third]],
    ['one in the place of another', [first, second, second]],
    ['another outcome', [first, second, { ...third, outcome: { code: 'no-entry', operation: 0 } }]],
    ['a bit of a signature', [{ ...first, transaction: resigned }, second, third]],
  ]
  for (const [name, body] of bodies) rows.bad('5.7', name, grafted(chain, draft, body), 'block-mutated', truth)
  const { txRoot } = chain.make(draft).header
  return rows.bad('Tx root', 'a bit of the root', { ...draft, header: { txRoot: flipped(txRoot) } }, 'block-mutated')
    .list
}

/** A transaction of exactly so many bytes, in values as long as they may be. */
function ofSize(chain: TableChain, sender: TestAccount, bytes: number): Transaction {
  const steps: Step[] = []
  for (let left = bytes - TRANSACTION_FRAME_BYTES; left > 0; ) {
    const key = `${sender === alice ? 'a' : 'b'}/${steps.length}`
    const length = Math.min(left - PUT_FRAME_BYTES - key.length, MAX_VALUE_BYTES)
    steps.push(put(key, 'v'.repeat(length)))
    left -= PUT_FRAME_BYTES + key.length + length
  }
  return chain.transaction(sender, steps)
}

/** Two transactions that make a block of so many bytes. */
function blockOfSize(chain: TableChain, bytes: number) {
  const second = bytes - EMPTY_BLOCK_BYTES - 2 * OUTCOME_BYTES - MAX_TRANSACTION_BYTES
  return of(ofSize(chain, alice, MAX_TRANSACTION_BYTES), ofSize(chain, bob, second))
}

function sizesOf(chain: TableChain): Row[] {
  const { nonce } = chain.state.account(alice.publicKey)
  const many = (count: number) =>
    of(...Array.from({ length: count }, (_, i) => chain.transaction(alice, [put(`${i}`, 'v')], { nonce: nonce + i })))
  const value = (length: number) => of(chain.transaction(alice, [put('value', 'v'.repeat(length))]))
  return new Rows(chain)
    .good('4.1', 'as large as may be', of(ofSize(chain, alice, MAX_TRANSACTION_BYTES)))
    .bad('4.1', 'a byte larger', of(ofSize(chain, alice, MAX_TRANSACTION_BYTES + 1)), 'block-transaction tx-size')
    .good('4.2', 'a value as long as may be', value(MAX_VALUE_BYTES))
    .good('4.2', 'a value of no bytes', value(0))
    .bad('4.2', 'a byte longer', value(MAX_VALUE_BYTES + 1), 'block-transaction tx-value-size')
    .good('5.8', 'as many transactions as may be', many(MAX_TRANSACTIONS))
    .bad('5.8', 'one more', many(MAX_TRANSACTIONS + 1), 'block-count')
    .good('5.9', 'as large as may be', blockOfSize(chain, MAX_BLOCK_BYTES))
    .bad('5.9', 'a byte larger', blockOfSize(chain, MAX_BLOCK_BYTES + 1), 'block-size').list
}

function keysOf(chain: TableChain): Row[] {
  const key = (name: string) => of(chain.transaction(alice, [put(name, 'v')]))
  const own = ownKey(alice, '')
  const bad: [string, string, string][] = [
    ['3.10', 'an @ and nothing', '@'],
    ['3.10', 'an @ and no address', '@nobody/x'],
    ['3.10', 'an address that no / ends', own.slice(0, -1)],
    ['3.7', 'a letter of the address for another', own.replace(/.\/$/, (end) => (end === 'q/' ? 'p/' : 'q/'))],
    ['3.7', 'an address of another network', ownKey(alice, 'x', 'kv')],
    ['3.8', 'an address in upper case', own.toUpperCase()],
  ]
  const rows = new Rows(chain)
    .good('3.9', 'an @ that is not the first byte', key('a@nobody/x'))
    .good('3.10', 'a key in one’s own namespace', key(ownKey(alice, 'x')))
    .good('4.3', 'a namespace and nothing more', key(own))
    .good('4.3', 'a / before the address ends, in a plain key', key('/@'))
    .good('4.3', 'a key that can never be written, deleted all the same', {
      transactions: [included(chain.transaction(alice, [remove('@nobody')]), { code: 'no-entry', operation: 0 })],
    })
    .bad('4.3', 'two @', key(`@${own}`), 'block-transaction tx-namespace')
  for (const [clause, name, bytes] of bad) rows.bad(clause, name, key(bytes), 'block-transaction tx-namespace')
  return rows.list
}

function contentOf(chain: TableChain): Row[] {
  const by = (...steps: readonly Step[]) => of(chain.transaction(alice, steps))
  return new Rows(chain)
    .good('4.4', 'a transfer of one coin', by(transfer(bob, 1)))
    .bad('4.4', 'a transfer of nothing', by(transfer(bob, 0)), 'block-transaction tx-amount')
    .bad(
      '4.4',
      'a transfer of nothing, behind others',
      by(transfer(bob, 1), transfer(bob, 0)),
      'block-transaction tx-amount',
    )
    .good('4.5', 'an assert of something', by(assertThat('nothing', absent)))
    .bad('4.5', 'an assert of anything', by(assertThat('nothing', any)), 'block-transaction tx-assert-any').list
}

function valuesOf(chain: TableChain): Row[] {
  const transaction = chain.transaction(alice, [put('first', 'one'), remove('open'), put('second', 'two')])
  const empty = chain.transaction(alice, [put('nothing', '')])
  const without = chain.transaction(alice, [transfer(bob, 1)])
  const rows = new Rows(chain)
    .good('4.6', 'two values', of(transaction))
    .good('4.6', 'no put, no value, and the flag', of(without))
    .good('4.7', 'a value of no bytes', of(empty))
  const lose = (one: Transaction, values: readonly Uint8Array[] | undefined) => {
    const draft = of(one)
    const body = draft.transactions?.map((it) => ({ ...it, transaction: { ...one, values } })) ?? []
    return [encodeBlock({ ...chain.make(draft), transactions: body }), chain.bytes(draft)] as const
  }
  const cases: [string, string, Transaction, readonly Uint8Array[] | undefined, string][] = [
    ['4.6', 'values dropped', transaction, undefined, 'tx-value-missing'],
    ['4.6', 'no values to drop, dropped', without, undefined, 'tx-value-missing'],
    ['4.6', 'a value of no bytes, dropped', empty, undefined, 'tx-value-missing'],
    ['4.7', 'a bit of a value', transaction, [text('one'), flipped(text('two'))], 'tx-value-digest'],
    ['4.7', 'two values swapped', transaction, [text('two'), text('one')], 'tx-value-digest'],
    ['5.10', 'one value twice', transaction, [text('one'), text('one')], 'tx-value-digest'],
  ]
  for (const [clause, name, one, values, rule] of cases) {
    const [bytes, truth] = lose(one, values)
    rows.bad(clause, name, bytes, `block-mutated ${rule}`, truth)
  }
  return rows
    .good('5.10', 'a transaction of every operation', of(transaction))
    .bad('5.10', 'one bad transaction behind a good one', secondBad(chain), 'block-transaction tx-amount').list
}

function secondBad(chain: TableChain) {
  return of(chain.transaction(alice, [transfer(bob, 1)]), chain.transaction(bob, [transfer(alice, 0)]))
}
