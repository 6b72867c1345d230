/** Accounts that the last blocks changed: as they were left, none after a block is taken back, never too many. */
import type { Account } from '@kvchain/core/entry'
import type { StateChanges } from '@kvchain/core/state'
import { MAX_RECENT_ACCOUNTS, RecentAccounts } from '@kvchain/node/store/recentAccounts'
import { expect, it } from 'vitest'

const keyOf = (n: number) => Uint8Array.of(n >> 16, n >> 8, n)
const account = (n: number, balance: number): Account => ({ publicKey: keyOf(n), balance, nonce: balance + 1 })

function changes(...after: Account[]): StateChanges {
  return { entries: [], versions: [], accounts: after.map((one) => ({ before: account(0, 0), after: one })) }
}

it('has what the last change left, by the bytes of the key', () => {
  const recent = new RecentAccounts()
  expect(recent.get(keyOf(1))).toBeUndefined()
  recent.add(changes(account(1, 10), account(2, 20)))
  recent.add(changes(account(1, 11)))
  expect(recent.get(keyOf(1))).toEqual(account(1, 11))
  expect(recent.get(keyOf(2))).toEqual(account(2, 20))
  expect(recent.get(keyOf(3))).toBeUndefined()
})

it('keeps nothing of the bytes that a key came in', () => {
  const recent = new RecentAccounts()
  const block = new Uint8Array(1_000).fill(7)
  recent.add(changes({ publicKey: block.subarray(10, 42), balance: 5, nonce: 6 }))
  const asked = new Uint8Array(32).fill(7)
  expect(recent.get(asked)?.publicKey).toBe(asked)
})

it('has nothing once a block is taken back', () => {
  const recent = new RecentAccounts()
  recent.add(changes(account(1, 10)))
  recent.clear()
  expect(recent.get(keyOf(1))).toBeUndefined()
})

it('begins anew when there would be too many, and takes no block of more', () => {
  const recent = new RecentAccounts()
  const many = Array.from({ length: MAX_RECENT_ACCOUNTS }, (_, n) => account(n, n))
  recent.add(changes(...many))
  expect(recent.get(keyOf(0))).toEqual(account(0, 0))
  recent.add(changes(account(MAX_RECENT_ACCOUNTS, 1)))
  expect(recent.get(keyOf(0))).toBeUndefined()
  expect(recent.get(keyOf(MAX_RECENT_ACCOUNTS))).toEqual(account(MAX_RECENT_ACCOUNTS, 1))
  recent.add(changes(...many, account(MAX_RECENT_ACCOUNTS, 2)))
  expect(recent.get(keyOf(MAX_RECENT_ACCOUNTS))).toBeUndefined()
})
