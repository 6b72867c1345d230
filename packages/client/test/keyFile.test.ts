/**
 * Key files:
 * 1. what is sealed comes out again, with the password and not without;
 * 2. the vector, which another program made after the document: the same bytes both ways;
 * 3. damage: every digit and every field changed, with and without a good check, gives a typed error and never a key;
 * 4. files and passwords that are not taken.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  type KeyFile,
  KeyFileError,
  type KeyFileErrorCode,
  keyFileText,
  openKeyFile,
  parseKeyFile,
  sealKeyFile,
} from '@kvchain/client/keyFile'
import { seedSigner } from '@kvchain/client/signer'
import { fromHex, toHex } from '@kvchain/core/bytes'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'

const COST = { n: 1024, r: 8, p: 1 }
const seed = Uint8Array.from({ length: 32 }, (_, i) => i)
const random = (bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => 0xa0 + i)
const vector = (name: string) => fileURLToPath(new URL(`./vectors/${name}`, import.meta.url))

let file: KeyFile
let text: string

beforeAll(async () => {
  file = await sealKeyFile(seed, 'correct horse', random, COST)
  text = keyFileText(file)
})

async function codeOf(work: () => Promise<unknown> | unknown): Promise<KeyFileErrorCode | 'none'> {
  try {
    await work()
  } catch (error) {
    expect(error).toBeInstanceOf(KeyFileError)
    if (error instanceof KeyFileError) return error.code
  }
  return 'none'
}

const open = (json: unknown, password = 'correct horse') => openKeyFile(parseKeyFile(JSON.stringify(json)), password)

describe('seal and open', () => {
  test('the seed comes out again', async () => {
    expect(await openKeyFile(parseKeyFile(text), 'correct horse')).toEqual(seed)
    expect(file.publicKey).toBe(toHex(seedSigner(seed).publicKey))
    expect(text).not.toContain(toHex(seed))
  })

  test('another password opens nothing', async () => {
    for (const wrong of ['correct hors', 'correct horse ', 'Correct horse', ' ']) {
      expect(await codeOf(() => open(file, wrong))).toBe('wrong-password')
    }
  })

  test('a password is its letters, however composed', async () => {
    const composed = await sealKeyFile(seed, 'caf\u00e9', random, COST)
    expect(await open(composed, 'cafe\u0301')).toEqual(seed)
  })

  test('any seed, any password', async () => {
    const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const passwords = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(seeds, passwords, async (seed, password) => {
        const sealed = await sealKeyFile(seed, password, random, { n: 2, r: 1, p: 1 })
        expect(await openKeyFile(parseKeyFile(keyFileText(sealed)), password)).toEqual(seed)
      }),
      { numRuns: 50 },
    )
  })
})

test('another program’s file opens, and is made again byte for byte', async () => {
  const given = JSON.parse(readFileSync(vector('keyFile.given.json'), 'utf8'))
  const theirs = readFileSync(vector('keyFile.json'), 'utf8')
  expect(toHex(await openKeyFile(parseKeyFile(theirs), given.password))).toBe(given.seed)
  const parts = [fromHex(given.salt), fromHex(given.nonce)]
  const ours = await sealKeyFile(fromHex(given.seed) ?? seed, given.password, () => parts.shift() ?? seed, given)
  expect(keyFileText(ours)).toBe(theirs)
})

test('the other program still makes that file', () => {
  const input = readFileSync(vector('keyFile.given.json'))
  expect(execFileSync('python3', [vector('keyFile.py')], { input }).toString()).toBe(
    readFileSync(vector('keyFile.json'), 'utf8'),
  )
})

/** Every text in the file, by the way to it. */
const TEXTS = ['publicKey', 'kdf.salt', 'cipher.nonce', 'ciphertext']

function changed(path: string, change: (value: unknown) => unknown): KeyFile {
  const copy = structuredClone(file)
  let at: Record<string, unknown> = copy
  const names = path.split('.')
  for (const name of names.slice(0, -1)) at = at[name] as Record<string, unknown>
  const last = names.at(-1) ?? ''
  at[last] = change(at[last])
  return copy
}

function valueAt(path: string): unknown {
  let found: unknown
  changed(path, (value) => {
    found = value
    return value
  })
  return found
}

function flip(value: unknown, index: number): string {
  const digits = String(value)
  const digit = digits[index] === '0' ? '1' : '0'
  return digits.slice(0, index) + digit + digits.slice(index + 1)
}

/** The check that somebody who changes a file on purpose would give it: found by asking what it should have been. */
async function withGoodCheck(bad: KeyFile): Promise<KeyFile> {
  const { check, ...rest } = bad
  const { kind, version, publicKey, kdf, cipher, ciphertext } = rest
  const header = JSON.stringify({ kind, version, publicKey, kdf, cipher })
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`${header}${ciphertext}`))
  return { ...rest, check: toHex(new Uint8Array(digest)).slice(0, 16) }
}

describe('damage', () => {
  test.each([...TEXTS, 'check'])('any digit of %s', async (path) => {
    const { length } = String(valueAt(path))
    for (let i = 0; i < length; i++) {
      expect(await codeOf(() => open(changed(path, (value) => flip(value, i))))).toBe('key-file-damaged')
    }
  })

  test.each(TEXTS)('%s changed on purpose, with a check that fits', async (path) => {
    for (const index of [0, 15, 23]) {
      const forged = await withGoodCheck(changed(path, (value) => flip(value, index)))
      expect(await codeOf(() => open(forged))).toBe('wrong-password')
    }
  })

  test('less work asked for, with a check that fits', async () => {
    const forged = await withGoodCheck(changed('kdf.n', () => 2))
    expect(await codeOf(() => open(forged))).toBe('wrong-password')
  })

  test('the check of an honest file is found the same way', async () => {
    expect((await withGoodCheck(file)).check).toBe(file.check)
  })

  test.each([
    ['kind', () => 'kvchain-lock', 'key-file-malformed'],
    ['version', () => 2, 'key-file-unsupported'],
    ['version', () => '1', 'key-file-malformed'],
    ['publicKey', () => 'AB'.repeat(32), 'key-file-malformed'],
    ['publicKey', () => undefined, 'key-file-malformed'],
    ['ciphertext', (value: unknown) => String(value).slice(2), 'key-file-malformed'],
    ['kdf', () => ({}), 'key-file-malformed'],
    ['cipher', () => null, 'key-file-malformed'],
    ['more', () => 'than there is', 'key-file-malformed'],
  ])('%s another', async (name, change, code) => {
    expect(await codeOf(() => open(changed(name, change)))).toBe(code)
  })

  test('any text at all', async () => {
    await fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (any) => {
        expect(() => parseKeyFile(any)).toThrow(KeyFileError)
      }),
    )
    for (let end = 0; end < text.trimEnd().length; end++) {
      expect(() => parseKeyFile(text.slice(0, end))).toThrow(KeyFileError)
    }
  })
})

describe('not taken', () => {
  test.each([
    { n: 2 ** 20, r: 8, p: 1 },
    { n: 1000, r: 8, p: 1 },
    { n: 2, r: 1, p: 17 },
    { n: 2, r: 2 ** 16, p: 1 + 2 ** 4 },
  ])('scrypt with %o', async (cost) => {
    expect(await codeOf(() => sealKeyFile(seed, 'x', random, cost))).toBe('key-file-unsupported')
    const forged = await withGoodCheck(changed('kdf', () => ({ name: 'scrypt', ...cost, salt: file.kdf.salt })))
    expect(await codeOf(() => parseKeyFile(JSON.stringify(forged)))).toBe('key-file-unsupported')
  })

  test.each([
    ['no password', ''],
    ['a password without end', 'x'.repeat(1025)],
  ])('%s', async (_, password) => {
    expect(await codeOf(() => sealKeyFile(seed, password, random, COST))).toBe('bad-password')
    expect(await codeOf(() => open(file, password))).toBe('bad-password')
  })

  test('the longest password', async () => {
    const long = 'x'.repeat(1024)
    expect(await open(await sealKeyFile(seed, long, random, COST), long)).toEqual(seed)
  })
})
