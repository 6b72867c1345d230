/**
 * The accounts that the last blocks changed, as they left them: whoever sends in one block often sends in the next. Owns their number; the caller
 * tells it every change of the main chain.
 */
import { toMapKey } from '@kvchain/core/bytes'
import type { Account } from '@kvchain/core/entry'
import type { StateChanges } from '@kvchain/core/state'

/** Some 200 bytes each. */
export const MAX_RECENT_ACCOUNTS = 20_000

export class RecentAccounts {
  /** Without public keys: these may be parts of the blocks that they came in, which need not be kept. */
  private readonly accounts = new Map<string, Omit<Account, 'publicKey'>>()

  get(publicKey: Uint8Array): Account | undefined {
    const known = this.accounts.get(toMapKey(publicKey))
    return known && { publicKey, balance: known.balance, nonce: known.nonce }
  }

  /** A block was connected. */
  add({ accounts }: StateChanges): void {
    if (this.accounts.size + accounts.length > MAX_RECENT_ACCOUNTS) this.clear()
    if (accounts.length > MAX_RECENT_ACCOUNTS) return
    for (const { after } of accounts) {
      const { publicKey, balance, nonce } = after
      this.accounts.set(toMapKey(publicKey), { balance, nonce })
    }
  }

  /** A block was disconnected. */
  clear(): void {
    this.accounts.clear()
  }
}
