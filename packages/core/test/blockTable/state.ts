/** Rows on execution: who may be included, what operations come to, and the state that the state root stands for. */
import { toHex, ZERO_32 } from '@kvchain/core/bytes'
import type { Account, Entry } from '@kvchain/core/entry'
import { headerHash } from '@kvchain/core/header'
import type { Failure, Outcome } from '@kvchain/core/outcome'
import type { Expectation } from '@kvchain/core/transaction'
import {
  absent,
  assertThat,
  type MapState,
  put,
  remove,
  type Step,
  setAccess,
  sha256,
  type Terms,
  type TestAccount,
  text,
  transfer,
  writersOf,
} from '../helpers.js'
import { digestOf, failed, versionIs } from '../ledger.js'
import { alice, bob, carol, DAVES_COINS, dave, FEE_PER_BYTE, miner, ownKey, REWARD, type TableChain } from './chain.js'
import { ending, flipped, of, type Row, Rows } from './rows.js'

const OK: Outcome = { code: 'ok' }

export function stateRows(chain: TableChain): Row[] {
  return [...inclusionOf(chain), ...orderOf(chain), ...outcomesOf(chain), ...stateRootOf(chain)]
}

function inclusionOf(chain: TableChain): Row[] {
  const height = chain.height + 1
  const { nonce } = chain.state.account(alice.publicKey)
  const due = chain.transaction(alice, [put('k', 'v')]).body.fee
  const by = (sender: TestAccount, terms: Terms) => of(chain.transaction(sender, [put('k', 'v')], terms))
  return new Rows(chain)
    .good('6.1', 'the next account nonce', by(alice, { nonce }))
    .bad('6.1', 'one below', by(alice, { nonce: nonce - 1 }), 'block-transaction tx-nonce-used')
    .bad('6.1', 'one above', by(alice, { nonce: nonce + 1 }), 'block-transaction tx-nonce-gap')
    .good('6.2', 'valid until this height', by(alice, { validUntil: height }))
    .good('6.2', 'valid for ever', by(alice, { validUntil: 0 }))
    .bad('6.2', 'valid until the height before', by(alice, { validUntil: height - 1 }), 'block-transaction tx-expired')
    .good('6.3', 'the fee that is due', by(alice, { fee: due }))
    .bad('6.3', 'a coin less', by(alice, { fee: due - FEE_PER_BYTE }), 'block-transaction tx-fee')
    .good('6.4', 'all that the account holds', by(dave, { fee: DAVES_COINS }))
    .bad('6.4', 'a coin more', by(dave, { fee: DAVES_COINS + 1 }), 'block-transaction tx-balance').list
}

/** Each transaction meets the state that those before it left, and the miner is paid last. */
function orderOf(chain: TableChain): Row[] {
  const { nonce } = chain.state.account(alice.publicKey)
  const mined = chain.state.account(miner.publicKey)
  const first = chain.transaction(alice, [put('twice', 'one')])
  const second = chain.transaction(alice, [put('twice', 'two', { expect: versionIs(1) })], { nonce: nonce + 1 })
  const pays = (fee: number, number = 0) => chain.transaction(dave, [put(`d${number}`, 'v')], { fee, nonce: number })
  const spends = (fee: number) => chain.transaction(miner, [put('m', 'v')], { fee, nonce: mined.nonce })
  return new Rows(chain)
    .good('6.1', 'two of one sender, in order', of(first, second))
    .bad('6.1', 'two of one sender, the other way round', of(second, first), 'block-transaction tx-nonce-gap')
    .bad('6.1', 'a transaction twice', of(first, first), 'block-transaction tx-nonce-used')
    .good('6.4', 'two fees that leave nothing', of(pays(DAVES_COINS - 2_000), pays(2_000, 1)))
    .bad(
      '6.4',
      'two fees, a coin too much',
      of(pays(DAVES_COINS - 2_000), pays(2_001, 1)),
      'block-transaction tx-balance',
    )
    .good(
      '6.4',
      'coins that came with the transaction before',
      of(chain.transaction(alice, [transfer(dave, 1)]), pays(DAVES_COINS + 1)),
    )
    .good('6.4', 'all that the miner was paid so far', of(spends(mined.balance)))
    .bad('6.4', 'a coin of what this block pays', of(spends(mined.balance + 1)), 'block-transaction tx-balance').list
}

type Case = readonly [name: string, sender: TestAccount, steps: readonly Step[], failure?: Failure, operation?: number]

function transfers(chain: TableChain): Case[] {
  const { balance } = chain.state.account(carol.publicKey)
  const all = balance - chain.transaction(carol, [transfer(bob, 1)]).body.fee
  return [
    ['all coins but the fee', carol, [transfer(bob, all)]],
    ['a coin more', carol, [transfer(bob, all + 1)], 'insufficient-balance', 0],
    ['to oneself, all but the fee', carol, [transfer(carol, all)]],
    ['to oneself, a coin more', carol, [transfer(carol, all + 1)], 'insufficient-balance', 0],
    ['to whom nobody has heard of', carol, [transfer({ ...carol, publicKey: sha256(text('nobody')) }, 1)]],
  ]
}

function nameOf(expect: Expectation): string {
  return expect.kind === 'version' ? `version ${expect.version}` : expect.kind
}

function expectations(): Case[] {
  const holds = (key: string, expect: Expectation): Case => {
    return [`${key} is ${nameOf(expect)}`, bob, [assertThat(key, expect)]]
  }
  const fails = (key: string, expect: Expectation): Case => {
    return [
      `${key} is not ${nameOf(expect)}`,
      bob,
      [transfer(alice, 1), assertThat(key, expect)],
      'expectation-failed',
      1,
    ]
  }
  return [
    holds('never', absent),
    holds('gone', absent),
    fails('private', absent),
    holds('private', versionIs(2)),
    fails('private', versionIs(1)),
    fails('private', versionIs(3)),
    holds('gone', versionIs(2)),
    fails('never', versionIs(0)),
    holds('private', digestOf('five')),
    fails('private', digestOf('one')),
    fails('gone', digestOf('four')),
    fails('never', digestOf('')),
    ['any put that expects', bob, [put('open', 'v', { expect: absent })], 'expectation-failed', 0],
    ['any delete that expects', bob, [remove('open', absent)], 'expectation-failed', 0],
    ['an expectation before an owner', bob, [setAccess('private', { expect: absent })], 'expectation-failed', 0],
  ]
}

function writes(): Case[] {
  const priv = { access: { kind: 'private' } } as const
  return [
    ['a put by the owner', alice, [put('private', 'v', { access: { kind: 'open' } })]],
    ['a put by another', bob, [put('private', 'v')], 'not-owner', 0],
    ['a put on what is open', bob, [put('open', 'v')]],
    ['a put on what is open, closing it', bob, [put('open', 'v', priv)], 'not-owner', 0],
    ['a put by a writer', bob, [put('shared', 'v')]],
    ['a put by a writer, closing it', bob, [put('shared', 'v', priv)], 'not-owner', 0],
    ['a put by none of the writers', carol, [put('shared', 'v')], 'not-owner', 0],
    ['a put on a deleted key by its owner', alice, [put('gone', 'v')]],
    ['a put on a deleted key by another', bob, [put('gone', 'v')], 'not-owner', 0],
    ['a put in another’s namespace', bob, [put(ownKey(carol, 'x'), 'v')], 'namespace-owner', 0],
    ['a put in one’s own namespace', carol, [put(ownKey(carol, 'x'), 'v')]],
    ['a delete by the owner', alice, [remove('private')]],
    ['a delete by another', bob, [remove('private')], 'not-owner', 0],
    ['a delete by a writer', bob, [remove('shared')]],
    ['a delete of what is open', bob, [remove('open')]],
    ['a delete of what was never there', alice, [remove('never')], 'no-entry', 0],
    ['a delete of what is deleted, by another', bob, [remove('gone')], 'no-entry', 0],
    ['access by the owner', alice, [setAccess('shared', { access: writersOf(carol), owner: carol })]],
    ['access of a deleted key', alice, [setAccess('gone', { owner: bob })]],
    ['access by a writer', bob, [setAccess('shared', priv)], 'not-owner', 0],
    ['access to what is open, by another', bob, [setAccess('open', priv)], 'not-owner', 0],
    ['access to what was never there', alice, [setAccess('never')], 'no-entry', 0],
    [
      'a second operation that sees the first',
      bob,
      [put('new', '1'), put('new', '2', { expect: versionIs(1) }), remove('new')],
    ],
    ['all or none', alice, [put('private', 'v'), transfer(bob, 5), remove('never')], 'no-entry', 2],
  ]
}

/** Each case ends as it says; and a block that says something else is bad. */
function outcomesOf(chain: TableChain): Row[] {
  const rows = new Rows(chain)
  for (const [name, sender, steps, failure, operation] of [...transfers(chain), ...expectations(), ...writes()]) {
    const transaction = chain.transaction(sender, steps)
    const outcome = failure === undefined ? OK : failed(failure, operation)
    const other = failure === undefined ? failed('not-owner') : OK
    const clause = 'What it does'
    rows.good(clause, name, ending(transaction, outcome))
    rows.bad('6.5', `${name}, and the block says ${other.code}`, ending(transaction, other), 'block-outcome')
  }
  const lost = chain.transaction(alice, [put('private', 'v'), remove('never')])
  return rows
    .good('6.5', 'the operation that failed', ending(lost, failed('no-entry', 1)))
    .bad('6.5', 'another operation', ending(lost, failed('no-entry', 0)), 'block-outcome')
    .bad('6.5', 'another reason', ending(lost, failed('not-owner', 1)), 'block-outcome').list
}

// --- the state root --------------------------------------------------------------------------------------------------

function changeAccount(account: TestAccount, change: (now: Account) => Partial<Account>) {
  return (state: MapState) => {
    const now = state.account(account.publicKey)
    state.accounts.set(toHex(account.publicKey), { ...now, ...change(now) })
  }
}

function changeEntry(key: string, change: (now: Entry) => Partial<Entry>) {
  return (state: MapState) => {
    const now = state.entry(text(key))
    if (now !== undefined) state.entries.set(toHex(text(key)), { ...now, ...change(now) })
  }
}

/** The entry that the failed transaction wrote, as if it had not failed. */
function keepLost(state: MapState): void {
  const like = state.entry(text('put'))
  if (like !== undefined) state.entries.set(toHex(text('lost')), { ...like, key: text('lost'), owner: bob.publicKey })
}

/** States that are wrong in one field, after a block of one put, one delete and one transfer, and one transaction that fails. */
function wrongStates(chain: TableChain, fee: number): [string, string, (state: MapState) => void][] {
  const more = (coins: number) => (now: Account) => ({ balance: now.balance + coins })
  const nobody: TestAccount = { ...alice, publicKey: sha256(text('nobody')) }
  const other = sha256(text('other'))
  return [
    ['6.6', 'a reward of one coin more', changeAccount(miner, more(1))],
    ['6.6', 'a reward of one coin less', changeAccount(miner, more(-1))],
    ['6.6', 'no reward', changeAccount(miner, more(-REWARD))],
    ['6.6', 'fees that the miner does not get', changeAccount(miner, more(-fee))],
    ['6.6', 'a fee that the sender does not pay', changeAccount(alice, more(fee))],
    ['6.6', 'a fee that is not paid for what failed', changeAccount(bob, more(1))],
    ['6.6', 'an account nonce that stays', changeAccount(alice, ({ nonce }) => ({ nonce: nonce - 1 }))],
    ['6.6', 'an account nonce that stays for what failed', changeAccount(bob, ({ nonce }) => ({ nonce: nonce - 1 }))],
    ['6.6', 'a coin out of nothing', changeAccount(carol, more(1))],
    ['8.1', 'an account with nothing', changeAccount(nobody, () => ({}))],
    ['8.2', 'a deleted entry that is gone', (state) => state.entries.delete(toHex(text('private')))],
    ['8.3', 'a digest of another value', changeEntry('put', () => ({ valueDigest: other }))],
    ['8.4', 'an entry under another key', changeEntry('put', () => ({ key: text('puT') }))],
    ['8.5', 'a version that names none before it', changeEntry('private', () => ({ previous: ZERO_32 }))],
    ['8.5', 'a first version that names one', changeEntry('put', () => ({ previous: other }))],
    ['Entry', 'a version too many', changeEntry('private', ({ version }) => ({ version: version + 1 }))],
    ['Entry', 'a deleted entry with a value', changeEntry('private', () => ({ valueLength: 4 }))],
    ['Entry', 'a deleted entry that is not', changeEntry('private', () => ({ deleted: false }))],
    ['Entry', 'a length that is not the value’s', changeEntry('put', () => ({ valueLength: 6 }))],
    ['Entry', 'another owner', changeEntry('put', () => ({ owner: bob.publicKey }))],
    ['Entry', 'another access', changeEntry('put', () => ({ access: { kind: 'open' } }))],
    ['Entry', 'the height of the parent', changeEntry('put', () => ({ height: chain.height }))],
    ['Entry', 'another txid', changeEntry('put', () => ({ txid: other }))],
    ['What it does', 'what a transaction did before it failed', keepLost],
  ]
}

function stateRootOf(chain: TableChain): Row[] {
  const wins = chain.transaction(alice, [put('put', 'value'), remove('private'), transfer(carol, 7)])
  const loses = chain.transaction(bob, [put('lost', 'v'), remove('never')])
  const transactions = [
    { transaction: wins, outcome: OK },
    { transaction: loses, outcome: failed('no-entry', 1) },
  ]
  const good = chain.make({ transactions })
  const gives = chain.transaction(dave, [
    transfer(bob, DAVES_COINS - chain.transaction(dave, [transfer(bob, 1)]).body.fee),
  ])
  const emptied = (state: MapState) => state.accounts.delete(toHex(dave.publicKey))
  const rows = new Rows(chain)
    .good('6.6', 'the state that execution gives', { transactions })
    .good('6.6', 'a miner who is a sender', { transactions, header: { miner: alice.publicKey } })
    .good('8.1', 'an account with a nonce and no coins', of(gives))
    .bad('8.1', 'an account with a nonce and no coins, left out', { ...of(gives), tamper: emptied }, 'block-state-root')
  for (const [clause, name, tamper] of wrongStates(chain, wins.body.fee)) {
    rows.bad(clause, name, { transactions, tamper }, 'block-state-root')
  }
  const roots: [string, Uint8Array][] = [
    ['a bit of the root', flipped(good.header.stateRoot)],
    ['the root of the state before', chain.tip.stateRoot],
    ['no root', ZERO_32],
    ['the block’s own parent', headerHash(sha256, chain.tip)],
  ]
  for (const [name, stateRoot] of roots)
    rows.bad('6.6', name, { transactions, header: { stateRoot } }, 'block-state-root')
  return rows.list
}
