import { toAddress } from '@kvchain/core/address'
import { equalBytes, toHex, ZERO_32 } from '@kvchain/core/bytes'
import { accountDigest, accountPath, type Entry, entryDigest, entryPath, isEmptyAccount } from '@kvchain/core/entry'
import { FAILURES } from '@kvchain/core/outcome'
import { treeChanges, undoOf, undoTreeChanges } from '@kvchain/core/state'
import type { AccessChange, Expectation, Transaction } from '@kvchain/core/transaction'
import { StateTree } from '@kvchain/core/tree'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  assertThat,
  executeBlock,
  MapState,
  makeTransaction,
  put,
  remove,
  type Step,
  setAccess,
  sha256,
  type TestAccount,
  testAccount,
  testNetwork,
  transfer,
  tries,
  writersOf,
} from './helpers.js'

const { params } = testNetwork({ blockReward: 50, minFeePerByte: 0 })
const accounts = ['alice', 'bob', 'carol'].map(testAccount) as [TestAccount, TestAccount, TestAccount]
const [alice, bob, carol] = accounts
const who = fc.constantFrom(...accounts)

const keys = ['a', 'b', 'c', `@${toAddress(alice.publicKey, 'kvt')}/x`]
const values = ['', 'one', 'two']
const digests = values
  .map((value) => put('k', value).operation)
  .map(
    (operation): Expectation => ({
      kind: 'digest',
      digest: operation.kind === 'put' ? operation.valueDigest : ZERO_32,
    }),
  )
const expectations: Expectation[] = [
  { kind: 'any' },
  { kind: 'absent' },
  ...[1, 2, 3].map((version): Expectation => ({ kind: 'version', version })),
  ...digests,
]
const accesses: AccessChange[] = [
  { kind: 'keep' },
  { kind: 'private' },
  { kind: 'open' },
  writersOf(bob),
  writersOf(bob, carol),
]

const key = fc.constantFrom(...keys)
/** Mostly such as hold, so that most transactions are not lost at their first operation. */
const expectation = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Expectation>({ kind: 'any' }) },
  { weight: 1, arbitrary: fc.constantFrom(...expectations) },
)
const access = fc.oneof(
  { weight: 1, arbitrary: fc.constant<AccessChange>({ kind: 'keep' }) },
  { weight: 1, arbitrary: fc.constantFrom(...accesses) },
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(key, fc.constantFrom(...values), expectation, access)
      .map(([k, value, expect, change]) => put(k, value, { expect, access: change })),
  },
  { weight: 2, arbitrary: fc.tuple(key, expectation).map(([k, expect]) => remove(k, expect)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(key, expectation, fc.option(who, { nil: undefined }), access)
      .map(([k, expect, owner, change]) => setAccess(k, { expect, access: change, ...(owner && { owner }) })),
  },
  { weight: 1, arbitrary: fc.tuple(who, fc.integer({ min: 1, max: 120 })).map(([to, amount]) => transfer(to, amount)) },
  {
    weight: 1,
    arbitrary: fc.tuple(key, fc.constantFrom(...expectations.slice(1))).map(([k, expect]) => assertThat(k, expect)),
  },
)

interface Plan {
  readonly sender: TestAccount
  readonly steps: Step[]
  readonly fee: number
}

const plan: fc.Arbitrary<Plan> = fc.record({
  sender: who,
  steps: fc.array(step, { minLength: 1, maxLength: 4 }),
  fee: fc.nat(10),
})
const block = fc.record({ miner: who, plans: fc.array(plan, { maxLength: 6 }) })
const chain = fc.array(block, { minLength: 1, maxLength: 8 })

/** Every pair that the tree of a state must hold, from the maps. */
function treeOf(state: MapState): StateTree {
  const entries = [...state.entries.values()].map((entry) => ({
    path: entryPath(sha256, entry.key),
    digest: entryDigest(sha256, entry),
  }))
  const held = [...state.accounts.values()]
    .filter((account) => !isEmptyAccount(account))
    .map((account) => ({
      path: accountPath(sha256, account.publicKey),
      digest: accountDigest(sha256, account),
    }))
  return StateTree.empty(sha256).update([...entries, ...held])
}

/** The plans that their senders can pay for, as transactions with contiguous nonces. */
function toTransactions(state: MapState, plans: readonly Plan[]): Transaction[] {
  const used = new Map<TestAccount, { nonce: number; fees: number }>()
  const transactions: Transaction[] = []
  for (const { sender, steps, fee } of plans) {
    const account = state.account(sender.publicKey)
    const { nonce, fees } = used.get(sender) ?? { nonce: account.nonce, fees: 0 }
    // Only of whom no transfers of this block can leave too poor to pay: else the whole block would be invalid.
    const paid = account.balance - fees >= 3_000 ? fee : 0
    transactions.push(makeTransaction(sender, steps, { nonce, fee: paid }))
    used.set(sender, { nonce: nonce + 1, fees: fees + paid })
  }
  return transactions
}

describe('any chain of blocks', () => {
  it('keeps tree and maps together, coins conserved, nonces contiguous, histories chained; and is undone to where it was', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(chain, (blocks) => {
        const state = new MapState().fund(alice, 20_000).fund(bob, 5_000)
        let tree = treeOf(state)
        const history = new Map<string, Entry>()
        const past: { state: MapState; tree: StateTree; undo: ReturnType<typeof undoOf> }[] = []
        let height = 0
        for (const { miner, plans } of blocks) {
          height++
          const before = state.copy()
          const transactions = toTransactions(state, plans)
          const { outcomes, changes } = executeBlock(state, params, { height, miner: miner.publicKey, transactions })
          for (const { code } of outcomes) seen.add(code)
          past.push({ state: before, tree, undo: undoOf(changes) })
          state.commit(changes)
          tree = tree.update(treeChanges(sha256, changes))

          expect(toHex(tree.root)).toBe(toHex(treeOf(state).root))
          expect(state.coins()).toBe(before.coins() + params.blockReward)
          for (const account of accounts) {
            const sent = transactions.filter(({ body }) => equalBytes(body.sender, account.publicKey)).length
            expect(state.account(account.publicKey).nonce).toBe(before.account(account.publicKey).nonce + sent)
          }
          for (const entry of changes.versions) {
            const last = history.get(toHex(entry.key))
            expect(entry.version).toBe((last?.version ?? 0) + 1)
            expect(entry.previous).toEqual(last === undefined ? ZERO_32 : entryDigest(sha256, last))
            expect(entry.height).toBe(height)
            history.set(toHex(entry.key), entry)
          }
          expect(state.entries).toEqual(history)
        }
        for (const { state: before, tree: treeBefore, undo } of past.reverse()) {
          state.revert(undo)
          tree = tree.update(undoTreeChanges(sha256, undo))
          expect(toHex(tree.root)).toBe(toHex(treeBefore.root))
          expect(state.entries).toEqual(before.entries)
          expect(state.accounts).toEqual(before.accounts)
        }
      }),
      tries(300),
    )
    expect(seen).toEqual(new Set(['ok', ...FAILURES]))
  })

  it('comes to the same state whether two blocks are executed or their transactions in one, but for heights and reward', () => {
    fc.assert(
      fc.property(fc.array(plan, { maxLength: 6 }), fc.nat(6), (plans, cut) => {
        const start = () => new MapState().fund(alice, 20_000).fund(bob, 5_000)
        const free = { ...params, blockReward: 0 }
        const transactions = toTransactions(
          start(),
          plans.map((one) => ({ ...one, fee: 0 })),
        )
        const whole = start()
        const joined = executeBlock(whole, free, { height: 1, miner: ZERO_32, transactions })
        whole.commit(joined.changes)
        const split = start()
        const outcomes = [transactions.slice(0, cut), transactions.slice(cut)].flatMap((part) => {
          const executed = executeBlock(split, free, { height: 1, miner: ZERO_32, transactions: part })
          split.commit(executed.changes)
          return executed.outcomes
        })
        expect(outcomes).toEqual(joined.outcomes)
        expect(split.entries).toEqual(whole.entries)
        expect(split.accounts).toEqual(whole.accounts)
      }),
      tries(200),
    )
  })

  it('is as if a failed transaction had no operations at all', () => {
    fc.assert(
      fc.property(fc.array(plan, { minLength: 1, maxLength: 5 }), (plans) => {
        const state = new MapState().fund(alice, 20_000).fund(bob, 5_000)
        const transactions = toTransactions(state, plans)
        const height = 1
        const { outcomes, changes } = executeBlock(state, params, { height, miner: carol.publicKey, transactions })
        const hollow = transactions.map((transaction, i) =>
          outcomes[i]?.code === 'ok' ? transaction : { ...transaction, body: { ...transaction.body, operations: [] } },
        )
        const again = executeBlock(state, params, { height, miner: carol.publicKey, transactions: hollow })
        expect(again.changes).toEqual(changes)
      }),
      tries(300),
    )
  })
})
