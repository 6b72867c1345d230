/** Undo records as bytes: what every key and account that a block changed was before it. */
import { decodeAll, encodeWith } from '@kvchain/core/codec'
import { decodeAccount, decodeEntry, encodeAccount, encodeEntry } from '@kvchain/core/entry'
import { MAX_BLOCK_TRANSACTIONS, MAX_KEY_BYTES, MAX_OPERATIONS } from '@kvchain/core/limits'
import type { Undo } from '@kvchain/core/state'

const MAX_ITEMS = MAX_BLOCK_TRANSACTIONS * MAX_OPERATIONS
const MAX_RECORD_BYTES = 4096

export function encodeUndo(undo: Undo): Uint8Array {
  return encodeWith((writer) => {
    writer.u32(undo.entries.length)
    for (const { key, before } of undo.entries) {
      writer.variable(key).variable(before === undefined ? new Uint8Array(0) : encodeEntry(before))
    }
    writer.u32(undo.accounts.length)
    for (const account of undo.accounts) writer.variable(encodeAccount(account))
  }, 4096)
}

export function decodeUndo(bytes: Uint8Array): Undo {
  return decodeAll(bytes, (reader) => {
    const entries: { key: Uint8Array; before: ReturnType<typeof decodeEntry> | undefined }[] = []
    for (let left = reader.count(0, MAX_ITEMS); left > 0; left--) {
      const key = reader.variable(1, MAX_KEY_BYTES)
      const before = reader.variable(0, MAX_RECORD_BYTES)
      entries.push({ key, before: before.length === 0 ? undefined : decodeEntry(before) })
    }
    const accounts: ReturnType<typeof decodeAccount>[] = []
    for (let left = reader.count(0, MAX_ITEMS); left > 0; left--) {
      accounts.push(decodeAccount(reader.variable(1, MAX_RECORD_BYTES)))
    }
    return { entries, accounts }
  })
}
