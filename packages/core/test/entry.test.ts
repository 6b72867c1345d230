import { toHex, ZERO_32 } from '@kvchain/core/bytes'
import {
  type Account,
  accountDigest,
  accountPath,
  decodeAccount,
  decodeEntry,
  type Entry,
  encodeAccount,
  encodeEntry,
  entryDigest,
  entryPath,
  isEmptyAccount,
} from '@kvchain/core/entry'
import type { WriteAccess } from '@kvchain/core/transaction'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { account as anyAccount, entry as anyEntry, mutate, mutation } from './arbitraries.js'
import { codeOf, expectCanonical, hex, readVectors, sha256, text, tries } from './helpers.js'

interface RecordVectors {
  readonly entries: {
    name: string
    entry: { [K in keyof Entry]: Entry[K] extends Uint8Array ? string : Entry[K] } & {
      access: { kind: WriteAccess['kind']; writers?: string[] }
    }
    bytes: string
    digest: string
    path: string
  }[]
  readonly accounts: {
    account: { publicKey: string; balance: number; nonce: number }
    bytes: string
    digest: string
    path: string
  }[]
}

const vectors = readVectors<RecordVectors>('records')

function toEntry(json: RecordVectors['entries'][number]['entry']): Entry {
  const writers = json.access.writers?.map(hex)
  return {
    ...json,
    key: hex(json.key),
    valueDigest: hex(json.valueDigest),
    owner: hex(json.owner),
    access: (writers === undefined ? json.access : { kind: 'writers', writers }) as WriteAccess,
    txid: hex(json.txid),
    previous: hex(json.previous),
  }
}

const sample: Entry = {
  key: text('k'),
  version: 1,
  deleted: false,
  valueLength: 3,
  valueDigest: sha256(text('d')),
  owner: sha256(text('o')),
  access: { kind: 'private' },
  height: 4,
  txid: sha256(text('t')),
  previous: ZERO_32,
}

describe('entries', () => {
  it.each(vectors.entries)('$name: bytes, digest and path', (vector) => {
    const entry = toEntry(vector.entry)
    expect(toHex(encodeEntry(entry))).toBe(vector.bytes)
    expect(decodeEntry(hex(vector.bytes))).toEqual(entry)
    expect(toHex(entryDigest(sha256, entry))).toBe(vector.digest)
    expect(toHex(entryPath(sha256, entry.key))).toBe(vector.path)
  })

  it('are refused when a field is out of bounds, or bytes are missing or added', () => {
    const bytes = encodeEntry(sample)
    for (let length = 0; length < bytes.length; length++) {
      expect(codeOf(() => decodeEntry(bytes.subarray(0, length)))).toBe('codec-truncated')
    }
    expect(codeOf(() => decodeEntry(Uint8Array.of(...bytes, 0)))).toBe('codec-trailing')
    expect(codeOf(() => decodeEntry(encodeEntry({ ...sample, key: text('') })))).toBe('codec-length')
    expect(codeOf(() => decodeEntry(encodeEntry({ ...sample, key: new Uint8Array(513) })))).toBe('codec-length')
    expect(codeOf(() => decodeEntry(encodeEntry({ ...sample, valueLength: (1 << 20) + 1 })))).toBe('codec-length')
    const [deletedAt, accessAt] = [13, 82]
    expect(codeOf(() => decodeEntry(bytes.with(deletedAt, 2)))).toBe('codec-tag')
    expect(codeOf(() => decodeEntry(bytes.with(accessAt, 0)))).toBe('codec-tag')
    expect(codeOf(() => decodeEntry(bytes.with(accessAt, 4)))).toBe('codec-tag')
  })

  it('decode to themselves; what is accepted re-encodes to itself', () => {
    fc.assert(
      fc.property(anyEntry, fc.array(mutation, { maxLength: 2 }), (entry, changes) => {
        expect(decodeEntry(encodeEntry(entry))).toEqual(entry)
        expectCanonical(changes.reduce(mutate, encodeEntry(entry)), decodeEntry, encodeEntry)
      }),
      tries(1_000),
    )
  })

  it('have a digest that covers every field', () => {
    const others: Partial<Entry>[] = [
      { key: text('l') },
      { version: 2 },
      { deleted: true },
      { valueLength: 4 },
      { valueDigest: ZERO_32 },
      { owner: ZERO_32 },
      { access: { kind: 'open' } },
      { access: { kind: 'writers', writers: [ZERO_32] } },
      { height: 5 },
      { txid: ZERO_32 },
      { previous: sample.txid },
    ]
    const digests = [sample, ...others.map((change) => ({ ...sample, ...change }))].map((entry) =>
      toHex(entryDigest(sha256, entry)),
    )
    expect(new Set(digests).size).toBe(others.length + 1)
  })
})

describe('accounts', () => {
  it.each(vectors.accounts)('$account.publicKey: bytes, digest and path', (vector) => {
    const account: Account = { ...vector.account, publicKey: hex(vector.account.publicKey) }
    expect(toHex(encodeAccount(account))).toBe(vector.bytes)
    expect(decodeAccount(hex(vector.bytes))).toEqual(account)
    expect(toHex(accountDigest(sha256, account))).toBe(vector.digest)
    expect(toHex(accountPath(sha256, account.publicKey))).toBe(vector.path)
  })

  it('are 48 bytes that decode to themselves', () => {
    fc.assert(
      fc.property(anyAccount, (account) => {
        const bytes = encodeAccount(account)
        expect(bytes).toHaveLength(48)
        expect(decodeAccount(bytes)).toEqual(account)
        expect(codeOf(() => decodeAccount(bytes.subarray(0, 47)))).toBe('codec-truncated')
        expect(codeOf(() => decodeAccount(Uint8Array.of(...bytes, 0)))).toBe('codec-trailing')
      }),
      tries(300),
    )
    expect(codeOf(() => decodeAccount(hex(`${'00'.repeat(32)}0020000000000000${'00'.repeat(8)}`)))).toBe(
      'codec-integer',
    )
    expect(codeOf(() => decodeAccount(hex(`${'00'.repeat(40)}0020000000000000`)))).toBe('codec-integer')
  })

  it('have no place in the tree with balance 0 and nonce 0', () => {
    const publicKey = ZERO_32
    expect(isEmptyAccount({ publicKey, balance: 0, nonce: 0 })).toBe(true)
    expect(isEmptyAccount({ publicKey, balance: 1, nonce: 0 })).toBe(false)
    expect(isEmptyAccount({ publicKey, balance: 0, nonce: 1 })).toBe(false)
  })

  it('and entries never share a path or a digest', () => {
    const bytes = new Uint8Array(32).fill(7)
    expect(entryPath(sha256, bytes)).not.toEqual(accountPath(sha256, bytes))
  })
})
