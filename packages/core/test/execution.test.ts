import { toHex, ZERO_32 } from '@kvchain/core/bytes'
import { type Entry, entryDigest } from '@kvchain/core/entry'
import { AssertionError } from '@kvchain/core/errors'
import { executeBlock as executeReceived } from '@kvchain/core/execution'
import { OK } from '@kvchain/core/outcome'
import { applyTransaction, payMiner, StateView, treeChanges } from '@kvchain/core/state'
import type { Transaction } from '@kvchain/core/transaction'
import { describe, expect, it } from 'vitest'
import {
  codeOf,
  executeBlock,
  included,
  MapState,
  makeTransaction,
  put,
  remove,
  setAccess,
  sha256,
  text,
  thrownBy,
  transfer,
} from './helpers.js'
import { alice, bob, dave, failed, Ledger, open, params } from './ledger.js'

describe('the versions of a key', () => {
  it('are a chain by their digests, from the latest to the first', () => {
    const ledger = new Ledger()
    ledger.did(alice, put('k', 'one'), put('k', 'two'), put('l', 'other'))
    ledger
      .did(alice, remove('k'))
      .did(alice, put('k', 'three', { access: open }))
      .did(bob, put('k', 'four'))
    ledger.did(alice, setAccess('k', { owner: bob }))
    const versions = ledger.versions.filter((entry) => toHex(entry.key) === toHex(text('k')))
    expect(versions.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6])
    expect(versions.at(-1)).toEqual(ledger.entry('k'))
    versions.forEach((entry, i) => {
      const before = versions[i - 1]
      expect(entry.previous).toEqual(before === undefined ? ZERO_32 : entryDigest(sha256, before))
    })
    expect(versions.map(({ height }) => height)).toEqual([1, 1, 2, 3, 4, 5])
  })
})

describe('a transaction', () => {
  it('that fails pays its fee, spends its nonce and changes nothing else', () => {
    const ledger = new Ledger().did(bob, put('theirs', 'v'))
    const before = ledger.state.copy()
    const outcome = ledger.run(
      alice,
      [
        put('k', 'v'),
        transfer(dave, 10),
        put('l', 'v'),
        setAccess('k', { owner: bob }),
        remove('theirs'),
        put('m', 'v'),
      ],
      { fee: 7 },
    )
    expect(outcome).toEqual(failed('not-owner', 4))
    expect(ledger.state.entries).toEqual(before.entries)
    expect(ledger.state.account(alice.publicKey)).toEqual({ publicKey: alice.publicKey, balance: 993, nonce: 1 })
    expect(ledger.state.account(dave.publicKey)).toMatchObject({ balance: 0, nonce: 0 })
    expect(ledger.versions).toHaveLength(1)
  })

  it('that may not be included changes nothing at all', () => {
    const state = new MapState().fund(alice, 5)
    const view = new StateView(state)
    const context = { params, sha256, height: 10 }
    const refused: [string, Transaction][] = [
      ['tx-nonce-gap', makeTransaction(alice, [put('k', 'v')], { nonce: 1 })],
      ['tx-expired', makeTransaction(alice, [put('k', 'v')], { validUntil: 9 })],
      ['tx-balance', makeTransaction(alice, [put('k', 'v')], { fee: 6 })],
      ['tx-nonce-gap', makeTransaction(dave, [put('k', 'v')], { nonce: 1 })],
    ]
    for (const [code, transaction] of refused) {
      expect(codeOf(() => applyTransaction(view, transaction, context))).toBe(code)
    }
    const dear = { ...context, params: { ...params, minFeePerByte: 1 } }
    expect(codeOf(() => applyTransaction(view, makeTransaction(alice, [put('k', 'v')]), dear))).toBe('tx-fee')
    expect(view.changes()).toEqual({ entries: [], accounts: [], versions: [] })
  })

  it('of an account that nobody has heard of is good where writing is free', () => {
    const ledger = new Ledger().did(dave, put('k', 'v'))
    expect(ledger.state.account(dave.publicKey)).toEqual({ publicKey: dave.publicKey, balance: 0, nonce: 1 })
  })

  it('takes the account nonces one by one', () => {
    const ledger = new Ledger().did(alice, put('k', 'v')).did(alice, remove('k'))
    expect(codeOf(() => ledger.run(alice, [put('k', 'v')], { nonce: 1 }))).toBe('tx-nonce-used')
    expect(codeOf(() => ledger.run(alice, [put('k', 'v')], { nonce: 3 }))).toBe('tx-nonce-gap')
    ledger.did(alice, put('k', 'v'))
    expect(ledger.state.account(alice.publicKey).nonce).toBe(3)
  })
})

describe('the execution of a received block', () => {
  const transactions = [
    included(makeTransaction(alice, [put('k', 'v')], { fee: 3 })),
    included(makeTransaction(alice, [remove('nothing')], { nonce: 1, fee: 4 }), failed('no-entry')),
  ]
  const context = { params, sha256, height: 1 }

  it('stops after each transaction, and ends with what all of them and the miner’s pay change', () => {
    const state = new MapState().fund(alice, 100)
    const steps = executeReceived(state, transactions, dave.publicKey, context)
    expect([steps.next(), steps.next()]).toEqual([
      { done: false, value: undefined },
      { done: false, value: undefined },
    ])
    const block = { height: 1, miner: dave.publicKey, transactions: transactions.map(({ transaction }) => transaction) }
    expect(steps.next()).toEqual({ done: true, value: executeBlock(state, params, block).changes })
  })

  it('says which transaction ends otherwise than the block says, and how (6.5)', () => {
    const [first, second] = transactions
    const wrong = [first, { ...second, outcome: OK }] as typeof transactions
    const steps = executeReceived(new MapState().fund(alice, 100), wrong, dave.publicKey, context)
    steps.next()
    expect(thrownBy(() => steps.next())).toMatchObject({
      code: 'block-outcome',
      data: { index: 1, actual: 'no-entry', recorded: 'ok' },
    })
  })

  it('says which transaction may not stand there (6.1 to 6.4)', () => {
    const steps = executeReceived(new MapState(), transactions, dave.publicKey, context)
    expect(thrownBy(() => steps.next())).toMatchObject({
      code: 'block-transaction',
      data: { index: 0, rule: 'tx-balance' },
    })
  })
})

describe('a block', () => {
  it('pays the miner the reward and every fee, of failed transactions too', () => {
    const state = new MapState().fund(alice, 100)
    const transactions = [
      makeTransaction(alice, [remove('nothing')], { fee: 3 }),
      makeTransaction(alice, [put('k', 'v')], { nonce: 1, fee: 4 }),
    ]
    const { outcomes, changes } = executeBlock(state, params, { height: 1, miner: dave.publicKey, transactions })
    expect(outcomes).toEqual([failed('no-entry'), OK])
    state.commit(changes)
    expect(state.account(dave.publicKey)).toEqual({ publicKey: dave.publicKey, balance: 57, nonce: 0 })
    expect(state.account(alice.publicKey)).toMatchObject({ balance: 93, nonce: 2 })
  })

  it('may be mined by one of its senders', () => {
    const state = new MapState().fund(alice, 100)
    const transactions = [makeTransaction(alice, [transfer(bob, 60)], { fee: 40 })]
    state.commit(executeBlock(state, params, { height: 1, miner: alice.publicKey, transactions }).changes)
    expect(state.account(alice.publicKey)).toMatchObject({ balance: 90, nonce: 1 })
  })

  it('pays only at its end: no transaction spends its own block’s reward', () => {
    const state = new MapState()
    const transactions = [makeTransaction(alice, [transfer(bob, 1)])]
    const { outcomes } = executeBlock(state, params, { height: 1, miner: alice.publicKey, transactions })
    expect(outcomes).toEqual([failed('insufficient-balance')])
  })

  it('that pays nothing does not touch the miner’s account', () => {
    const view = new StateView(new MapState())
    payMiner(view, dave.publicKey, 0, 0)
    expect(view.changes().accounts).toEqual([])
    payMiner(view, dave.publicKey, 0, 2)
    payMiner(view, dave.publicKey, 1, 0)
    payMiner(view, dave.publicKey, 5, 5)
    expect(view.account(dave.publicKey)).toMatchObject({ balance: 13, nonce: 0 })
  })

  it('lists each changed key once, with what it was before, and every version in order', () => {
    const state = new MapState().fund(alice, 100)
    state.commit(
      executeBlock(state, params, {
        height: 1,
        miner: dave.publicKey,
        transactions: [makeTransaction(alice, [put('a', 'zero')])],
      }).changes,
    )
    const before = state.entry(text('a'))
    const { changes } = executeBlock(state, params, {
      height: 2,
      miner: dave.publicKey,
      transactions: [
        makeTransaction(alice, [put('a', 'one'), put('b', 'x')], { nonce: 1 }),
        makeTransaction(alice, [put('a', 'two')], { nonce: 2 }),
      ],
    })
    expect(changes.entries.map(({ key }) => key)).toEqual([text('a'), text('b')])
    expect(changes.entries.map((change) => change.before)).toEqual([before, undefined])
    expect(changes.entries.map(({ after }) => after.version)).toEqual([3, 1])
    expect(changes.versions.map(({ key, version }) => [toHex(key), version])).toEqual([
      ['61', 2],
      ['62', 1],
      ['61', 3],
    ])
    expect(changes.accounts.map(({ before, after }) => [before.nonce, after.nonce])).toEqual([
      [1, 3],
      [0, 0],
    ])
    expect(changes.accounts[1]).toMatchObject({ before: { balance: 50 }, after: { balance: 100 } })
  })
})

describe('a view', () => {
  it('reads its own changes first and leaves what lies below', () => {
    const state = new MapState().fund(alice, 100)
    const view = new StateView(state)
    const entry = { ...(new Ledger().did(alice, put('k', 'v')).entry('k') as Entry) }
    view.setEntry(entry)
    view.setAccount({ publicKey: alice.publicKey, balance: 1, nonce: 1 })
    expect(view.entry(text('k'))).toEqual(entry)
    expect(view.account(alice.publicKey).balance).toBe(1)
    expect(state.entry(text('k'))).toBeUndefined()
    expect(state.account(alice.publicKey).balance).toBe(100)
    const above = new StateView(view)
    above.setEntry({ ...entry, version: 2 })
    above.setAccount({ publicKey: bob.publicKey, balance: 9, nonce: 0 })
    expect(view.entry(text('k'))?.version).toBe(1)
    view.absorb(above)
    expect(view.entry(text('k'))?.version).toBe(2)
    expect(view.account(bob.publicKey).balance).toBe(9)
    expect(view.changes().versions.map(({ version }) => version)).toEqual([1, 2])
  })

  it('has no entry of version 0', () => {
    const entry = { ...(new Ledger().did(alice, put('k', 'v')).entry('k') as Entry), version: 0 }
    const changes = { entries: [{ key: entry.key, before: undefined, after: entry }], accounts: [], versions: [] }
    expect(thrownBy(() => treeChanges(sha256, changes))).toBeInstanceOf(AssertionError)
  })
})
