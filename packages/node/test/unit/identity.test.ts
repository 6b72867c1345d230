/** Key files: made once, read again, and never taken for another key when they are damaged. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadIdentity } from '@kvchain/node/identity'
import { hex } from '@kvchain/node/runtime/hex'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterEach, beforeEach, expect, test } from 'vitest'

const { random } = systemRuntime()
let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvchain-identity-'))
  file = join(folder, 'account.key')
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

const refusal = (words: RegExp) => expect.objectContaining({ code: 'options', message: expect.stringMatching(words) })

test('keys are made once, for their owner alone', async () => {
  const first = await loadIdentity(folder, random)
  const again = await loadIdentity(folder, random)
  expect(hex(again.account.publicKey)).toBe(hex(first.account.publicKey))
  expect(hex(again.peerSeed)).toBe(hex(first.peerSeed))
  expect(hex(first.peerSeed)).not.toBe(readFileSync(file, 'latin1').slice(0, 64))
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test('a seed alone will do', async () => {
  writeFileSync(file, `${'0a'.repeat(32)}\n`, { mode: 0o600 })
  const first = await loadIdentity(folder, random)
  writeFileSync(file, '0a'.repeat(32), { mode: 0o600 })
  expect(hex((await loadIdentity(folder, random)).account.publicKey)).toBe(hex(first.account.publicKey))
})

test('no flipped bit makes another key', async () => {
  const { account } = await loadIdentity(folder, random)
  const whole = readFileSync(file)
  for (let bit = 0; bit < whole.length * 8; bit += 3) {
    const damaged = Buffer.from(whole)
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    writeFileSync(file, damaged)
    const loaded = loadIdentity(folder, random).then(
      (identity) => hex(identity.account.publicKey),
      (error: unknown) => error,
    )
    // White space at the end says nothing.
    const isEnd = bit >> 3 === whole.length - 1
    if (isEnd && hex(account.publicKey) === (await loaded)) continue
    expect(await loaded, `bit ${bit}`).toEqual(refusal(/account\.key is damaged: bring a copy of it back/))
  }
})

test.each(['', '12', `${'0a'.repeat(31)}0`, `${'0A'.repeat(32)}`])('%j is no key', async (text) => {
  writeFileSync(file, text, { mode: 0o600 })
  await expect(loadIdentity(folder, random)).rejects.toEqual(refusal(/damaged/))
})

test('a file that others may read, and a link, are refused', async () => {
  await loadIdentity(folder, random)
  chmodSync(file, 0o644)
  await expect(loadIdentity(folder, random)).rejects.toEqual(refusal(/chmod 600/))
  rmSync(file)
  symlinkSync(join(folder, 'peer.key'), file)
  await expect(loadIdentity(folder, random)).rejects.toEqual(refusal(/plain file/))
})
