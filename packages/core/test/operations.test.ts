/** Every operation with every outcome that it can have (protocol.md section 6). */
import { toAddress } from '@kvchain/core/address'
import { ZERO_32 } from '@kvchain/core/bytes'
import { type Entry, entryDigest } from '@kvchain/core/entry'
import { OK } from '@kvchain/core/outcome'
import { type Expectation, valueDigest } from '@kvchain/core/transaction'
import { describe, expect, it } from 'vitest'
import {
  absent,
  assertThat,
  keep,
  put,
  remove,
  type Step,
  setAccess,
  sha256,
  text,
  transfer,
  writersOf,
} from './helpers.js'
import { alice, bob, carol, dave, digestOf, failed, Ledger, open, priv, versionIs } from './ledger.js'

describe('put', () => {
  it('makes the first version of a key, owned by the sender and private', () => {
    const ledger = new Ledger().did(alice, put('k', 'one'))
    expect(ledger.entry('k')).toEqual({
      key: text('k'),
      version: 1,
      deleted: false,
      valueLength: 3,
      valueDigest: valueDigest(sha256, text('one')),
      owner: alice.publicKey,
      access: priv,
      height: 1,
      txid: ledger.lastTransaction?.txid,
      previous: ZERO_32,
    })
  })

  it('makes the next version, which names the one before', () => {
    const ledger = new Ledger().did(alice, put('k', 'one', { access: open }))
    const before = ledger.entry('k') as Entry
    ledger.did(bob, put('k', 'three'))
    expect(ledger.entry('k')).toEqual({
      ...before,
      version: 2,
      valueLength: 5,
      valueDigest: valueDigest(sha256, text('three')),
      height: 2,
      txid: ledger.lastTransaction?.txid,
      previous: entryDigest(sha256, before),
    })
  })

  it.each([
    [keep, priv],
    [priv, priv],
    [open, open],
    [writersOf(bob), writersOf(bob)],
  ])('on a new key: access %j makes %j', (access, made) => {
    expect(new Ledger().did(alice, put('k', 'v', { access })).entry('k')?.access).toEqual(made)
  })

  it.each([
    [keep, open],
    [priv, priv],
    [writersOf(bob, carol), writersOf(bob, carol)],
  ])('by the owner of an open key: access %j makes %j', (access, made) => {
    const ledger = new Ledger().did(alice, put('k', 'v', { access: open })).did(alice, put('k', 'w', { access }))
    expect(ledger.entry('k')?.access).toEqual(made)
  })

  it('fails with not-owner for whoever may not write', () => {
    const ledger = new Ledger().did(alice, put('k', 'v'), put('l', 'v', { access: writersOf(bob) }))
    expect(ledger.run(bob, [put('k', 'w')])).toEqual(failed('not-owner'))
    expect(ledger.run(carol, [put('l', 'w')])).toEqual(failed('not-owner'))
    expect(ledger.run(bob, [put('l', 'w')])).toEqual(OK)
    expect(ledger.entry('k')?.version).toBe(1)
  })

  it('fails with not-owner for a writer who would change the access', () => {
    const ledger = new Ledger().did(alice, put('k', 'v', { access: open }), put('l', 'v', { access: writersOf(bob) }))
    for (const access of [priv, open, writersOf(bob)]) {
      expect(ledger.run(bob, [put('k', 'w', { access })])).toEqual(failed('not-owner'))
      expect(ledger.run(bob, [put('l', 'w', { access })])).toEqual(failed('not-owner'))
    }
  })

  it('stores what an empty value says', () => {
    const entry = new Ledger().did(alice, put('k', '')).entry('k')
    expect(entry).toMatchObject({ deleted: false, valueLength: 0, valueDigest: valueDigest(sha256, text('')) })
  })
})

describe('namespaces', () => {
  const own = `@${toAddress(alice.publicKey, 'kvt')}/`

  it('let nobody but the account write first', () => {
    const ledger = new Ledger()
    expect(ledger.run(bob, [put(`${own}x`, 'v')])).toEqual(failed('namespace-owner'))
    expect(ledger.run(bob, [remove(`${own}x`)])).toEqual(failed('no-entry'))
    expect(ledger.run(bob, [setAccess(`${own}x`)])).toEqual(failed('no-entry'))
    expect(ledger.entry(`${own}x`)).toBeUndefined()
    ledger.did(alice, put(`${own}x`, 'v'), put(own, 'v'))
    expect(ledger.entry(`${own}x`)?.owner).toEqual(alice.publicKey)
  })

  it('are keys like others once written: let others write, hand over, delete', () => {
    const ledger = new Ledger().did(alice, put(`${own}x`, 'v', { access: writersOf(bob) }))
    expect(ledger.run(carol, [put(`${own}x`, 'w')])).toEqual(failed('not-owner'))
    ledger.did(bob, put(`${own}x`, 'w')).did(alice, setAccess(`${own}x`, { owner: carol }))
    ledger.did(carol, remove(`${own}x`)).did(carol, put(`${own}x`, 'back', { access: priv }))
    expect(ledger.run(alice, [put(`${own}x`, 'mine')])).toEqual(failed('not-owner'))
  })

  it('are not claimed by what only looks like one', () => {
    const ledger = new Ledger().did(bob, put('alice/x', 'v'), put(` ${own}`, 'v'))
    expect(ledger.entry(` ${own}`)?.owner).toEqual(bob.publicKey)
  })
})

describe('delete', () => {
  it('leaves an entry without a value, with its owner and access', () => {
    const ledger = new Ledger().did(alice, put('k', 'v', { access: writersOf(bob) }))
    const before = ledger.entry('k') as Entry
    ledger.did(alice, remove('k'))
    expect(ledger.entry('k')).toEqual({
      ...before,
      version: 2,
      deleted: true,
      valueLength: 0,
      valueDigest: ZERO_32,
      height: 2,
      txid: ledger.lastTransaction?.txid,
      previous: entryDigest(sha256, before),
    })
  })

  it('may be done by whoever may write, and by nobody else', () => {
    const ledger = new Ledger().did(
      alice,
      put('p', ''),
      put('o', '', { access: open }),
      put('w', '', { access: writersOf(bob) }),
    )
    expect(ledger.run(bob, [remove('p')])).toEqual(failed('not-owner'))
    expect(ledger.run(carol, [remove('w')])).toEqual(failed('not-owner'))
    ledger.did(bob, remove('o'), remove('w'))
  })

  it('fails with no-entry when there is nothing, or it is deleted already', () => {
    const ledger = new Ledger().did(alice, put('k', 'v')).did(alice, remove('k'))
    expect(ledger.run(alice, [remove('k')])).toEqual(failed('no-entry'))
    expect(ledger.run(bob, [remove('k')])).toEqual(failed('no-entry'))
    expect(ledger.run(alice, [remove('never')])).toEqual(failed('no-entry'))
    expect(ledger.entry('k')?.version).toBe(2)
  })

  it('keeps the key for those who could write it before', () => {
    const ledger = new Ledger().did(alice, put('k', 'v', { access: writersOf(bob) })).did(bob, remove('k'))
    expect(ledger.run(carol, [put('k', 'mine now')])).toEqual(failed('not-owner'))
    ledger.did(bob, put('k', 'again'))
    expect(ledger.entry('k')).toMatchObject({ version: 3, deleted: false, access: writersOf(bob) })
    expect(ledger.entry('k')?.owner).toEqual(alice.publicKey)
  })
})

describe('access', () => {
  it('changes who may write, and neither value nor owner', () => {
    const ledger = new Ledger().did(alice, put('k', 'v'))
    const before = ledger.entry('k') as Entry
    ledger.did(alice, setAccess('k', { access: writersOf(bob) }))
    expect(ledger.entry('k')).toEqual({
      ...before,
      version: 2,
      access: writersOf(bob),
      height: 2,
      txid: ledger.lastTransaction?.txid,
      previous: entryDigest(sha256, before),
    })
  })

  it('hands the key over: the old owner may then do no more than others', () => {
    const ledger = new Ledger().did(alice, put('k', 'v')).did(alice, setAccess('k', { owner: bob }))
    expect(ledger.entry('k')?.owner).toEqual(bob.publicKey)
    expect(ledger.entry('k')?.access).toEqual(priv)
    expect(ledger.run(alice, [put('k', 'w')])).toEqual(failed('not-owner'))
    expect(ledger.run(alice, [setAccess('k', { owner: alice })])).toEqual(failed('not-owner'))
    ledger.did(bob, put('k', 'w'), setAccess('k', { owner: carol, access: open }))
    expect(ledger.entry('k')).toMatchObject({ version: 4, access: open })
    ledger.did(alice, put('k', 'x'))
  })

  it('is the owner’s alone, however open the key', () => {
    const ledger = new Ledger().did(alice, put('o', 'v', { access: open }), put('w', 'v', { access: writersOf(bob) }))
    for (const key of ['o', 'w']) {
      expect(ledger.run(bob, [setAccess(key, { access: priv })])).toEqual(failed('not-owner'))
      expect(ledger.run(bob, [setAccess(key, { owner: bob })])).toEqual(failed('not-owner'))
      expect(ledger.run(bob, [setAccess(key)])).toEqual(failed('not-owner'))
    }
  })

  it('needs an entry, deleted or not', () => {
    const ledger = new Ledger().did(alice, put('k', 'v')).did(alice, remove('k'))
    expect(ledger.run(alice, [setAccess('never', { access: open })])).toEqual(failed('no-entry'))
    expect(ledger.run(bob, [setAccess('k', { owner: bob })])).toEqual(failed('not-owner'))
    ledger.did(alice, setAccess('k', { owner: bob }))
    expect(ledger.entry('k')).toMatchObject({ deleted: true, version: 3, valueLength: 0, valueDigest: ZERO_32 })
    ledger.did(bob, put('k', 'mine'))
  })

  it('may change nothing, and is a version all the same', () => {
    const ledger = new Ledger().did(alice, put('k', 'v')).did(alice, setAccess('k'))
    expect(ledger.entry('k')).toMatchObject({ version: 2, access: priv, deleted: false, valueLength: 1 })
  })
})

describe('transfer', () => {
  it('moves coins', () => {
    const ledger = new Ledger().did(alice, transfer(bob, 400), transfer(dave, 600))
    expect([alice, bob, dave].map((account) => ledger.balance(account))).toEqual([0, 1_400, 600])
  })

  it('fails with insufficient-balance, after the fee', () => {
    const ledger = new Ledger()
    expect(ledger.run(alice, [transfer(bob, 991)], { fee: 10 })).toEqual(failed('insufficient-balance'))
    expect(ledger.run(alice, [transfer(bob, 900), transfer(bob, 91)])).toEqual(failed('insufficient-balance', 1))
    expect(ledger.balance(alice)).toBe(990)
    expect(ledger.balance(bob)).toBe(1_000)
    ledger.did(alice, transfer(bob, 990))
  })

  it('to oneself needs the balance and changes nothing', () => {
    const ledger = new Ledger().did(alice, transfer(alice, 1_000))
    expect(ledger.balance(alice)).toBe(1_000)
    expect(ledger.run(alice, [transfer(alice, 1_001)])).toEqual(failed('insufficient-balance'))
  })

  it('may pass on what came in the same transaction', () => {
    const ledger = new Ledger().did(alice, transfer(alice, 1_000), transfer(alice, 1_000), transfer(bob, 1_000))
    expect(ledger.balance(bob)).toBe(2_000)
  })
})

describe('expectations', () => {
  const never = 'never'
  const steps: [string, (key: string, expectation: Expectation) => Step][] = [
    ['put', (key, expectation) => put(key, 'new', { expect: expectation })],
    ['delete', (key, expectation) => remove(key, expectation)],
    ['access', (key, expectation) => setAccess(key, { expect: expectation })],
    ['assert', assertThat],
  ]
  /** Whether each holds of a key that was never written, of one with its second version, and of a deleted one (third version). */
  const table: [string, Expectation, boolean, boolean, boolean][] = [
    ['absent', absent, true, false, true],
    ['version 0', versionIs(0), false, false, false],
    ['version 1', versionIs(1), false, false, false],
    ['version 2', versionIs(2), false, true, false],
    ['version 3', versionIs(3), false, false, true],
    ['its digest', digestOf('two'), false, true, false],
    ['an older digest', digestOf('one'), false, false, false],
    ['the digest of nothing', { kind: 'digest', digest: ZERO_32 }, false, false, false],
    ['any', { kind: 'any' }, true, true, true],
  ]

  for (const [operation, step] of steps) {
    it.each(table)(`of ${operation}: %s`, (_name, expectation, ofNever, ofPresent, ofDeleted) => {
      const cases = [
        [never, ofNever],
        ['present', ofPresent],
        ['deleted', ofDeleted],
      ] as const
      for (const [key, holds] of cases) {
        const ledger = new Ledger()
        ledger.did(alice, put('present', 'one'), put('present', 'two'))
        ledger.did(alice, put('deleted', 'one'), put('deleted', 'two'), remove('deleted'))
        const outcome = ledger.run(alice, [step(key, expectation)])
        if (!holds) expect(outcome).toEqual(failed('expectation-failed'))
        else if (operation === 'delete' && key !== 'present') expect(outcome).toEqual(failed('no-entry'))
        else if (operation === 'access' && key === never) expect(outcome).toEqual(failed('no-entry'))
        else expect(outcome).toEqual(OK)
      }
    })
  }

  it('come before all else', () => {
    const ledger = new Ledger().did(alice, put('k', 'v'))
    expect(ledger.run(bob, [put('k', 'w', { expect: absent })])).toEqual(failed('expectation-failed'))
    expect(ledger.run(bob, [remove('k', absent)])).toEqual(failed('expectation-failed'))
    expect(ledger.run(bob, [setAccess('k', { expect: absent })])).toEqual(failed('expectation-failed'))
    expect(ledger.run(bob, [remove(never, versionIs(1))])).toEqual(failed('expectation-failed'))
  })

  it('see what the same transaction did before', () => {
    const ledger = new Ledger()
    ledger.did(
      alice,
      put('k', 'one', { expect: absent }),
      put('k', 'two', { expect: versionIs(1) }),
      assertThat('k', digestOf('two')),
      remove('k', versionIs(2)),
      assertThat('k', absent),
      put('k', 'three', { expect: versionIs(3) }),
    )
    expect(ledger.entry('k')?.version).toBe(4)
  })

  it('let an assert speak of anybody’s key, and change nothing', () => {
    const ledger = new Ledger().did(alice, put('k', 'v'))
    ledger.did(bob, assertThat('k', digestOf('v')), put('mine', 'w'))
    expect(ledger.entry('k')?.version).toBe(1)
  })
})
