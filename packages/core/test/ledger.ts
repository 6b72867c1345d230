/** Transactions run one by one on a state in memory, and short words for what they should come to. Owns no expectation. */
import type { Entry } from '@kvchain/core/entry'
import { OK, type Outcome } from '@kvchain/core/outcome'
import { applyTransaction, StateView } from '@kvchain/core/state'
import { type Expectation, type Transaction, valueDigest } from '@kvchain/core/transaction'
import { expect } from 'vitest'
import {
  MapState,
  makeTransaction,
  type Step,
  sha256,
  type Terms,
  type TestAccount,
  testAccount,
  testNetwork,
  text,
} from './helpers.js'

export const { params } = testNetwork({ minFeePerByte: 0 })
export const alice = testAccount('alice')
export const bob = testAccount('bob')
export const carol = testAccount('carol')
/** The only one without coins at the start. */
export const dave = testAccount('dave')

/** A state that transactions are run on one by one, each in a block of its own without a miner's pay. */
export class Ledger {
  readonly state = new MapState()
  height = 0
  readonly versions: Entry[] = []
  lastTransaction: Transaction | undefined

  constructor() {
    for (const account of [alice, bob, carol]) this.state.fund(account, 1_000)
  }

  run(sender: TestAccount, steps: readonly Step[], terms: Terms = {}): Outcome {
    this.height++
    const view = new StateView(this.state)
    const { nonce } = this.state.account(sender.publicKey)
    const transaction = makeTransaction(sender, steps, { nonce, ...terms })
    this.lastTransaction = transaction
    const outcome = applyTransaction(view, transaction, { params, sha256, height: this.height })
    const changes = view.changes()
    this.versions.push(...changes.versions)
    this.state.commit(changes)
    return outcome
  }

  /** Runs what a test only prepares by. */
  did(sender: TestAccount, ...steps: readonly Step[]): this {
    expect(this.run(sender, steps)).toEqual(OK)
    return this
  }

  entry(key: string): Entry | undefined {
    return this.state.entry(text(key))
  }

  balance(account: TestAccount): number {
    return this.state.account(account.publicKey).balance
  }
}

export function failed(code: Exclude<Outcome['code'], 'ok'>, operation = 0): Outcome {
  return { code, operation }
}

export function digestOf(value: string): Expectation {
  return { kind: 'digest', digest: valueDigest(sha256, text(value)) }
}

export function versionIs(version: number): Expectation {
  return { kind: 'version', version }
}

export const open = { kind: 'open' } as const
export const priv = { kind: 'private' } as const
