/** The file of a pre-shared key: what the handbook makes is read; anything else is refused in one line, before anything listens. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readPsk } from '@kvchain/node/pskFile'
import { hex } from '@kvchain/node/runtime/hex'
import { afterAll, beforeAll, expect, test } from 'vitest'

let folder = ''
const file = (): string => join(folder, 'psk')
const KEY = 'ab'.repeat(32)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvchain-psk-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

async function write(text: string): Promise<void> {
  await writeFile(file(), text, { mode: 0o600 })
}

test.each([
  ['as other programs write it', `/key/swarm/psk/1.0.0/\n/base16/\n${KEY}`],
  ['with lines of another system', `/key/swarm/psk/1.0.0/\r\n/base16/\r\n${KEY.toUpperCase()}\r\n`],
])('a key %s is read', async (_how, text) => {
  await write(text)
  expect(hex(await readPsk(file()))).toBe(KEY)
})

test('a key made as a refusal says is read', async () => {
  const refusal = await readPsk(join(folder, 'none')).catch((error: Error) => error.message)
  const command = String(refusal).split('made by: ')[1]?.replaceAll('FILE', join(folder, 'made')) ?? 'false'
  await promisify(execFile)('sh', ['-c', command])
  expect(await readPsk(join(folder, 'made'))).toHaveLength(32)
})

test.each([
  ['too short', `/key/swarm/psk/1.0.0/\n/base16/\n${KEY.slice(2)}`],
  ['too long', `/key/swarm/psk/1.0.0/\n/base16/\n${KEY}00`],
  ['of another form', `/key/swarm/psk/1.0.0/\n/base64/\n${KEY}`],
  ['bare', KEY],
  ['empty', ''],
])('a key that is %s is refused', async (_what, text) => {
  await write(text)
  await expect(readPsk(file())).rejects.toMatchObject({
    code: 'options',
    message: expect.stringMatching(/holds no pre-shared key/),
  })
})

test('a key that others may read, or that lies elsewhere, is refused', async () => {
  await write(`/key/swarm/psk/1.0.0/\n/base16/\n${KEY}`)
  await chmod(file(), 0o640)
  await expect(readPsk(file())).rejects.toMatchObject({
    code: 'options',
    message: expect.stringMatching(/may be read by others: chmod 600/),
  })
  await chmod(file(), 0o600)
  await symlink(file(), join(folder, 'link'))
  await expect(readPsk(join(folder, 'link'))).rejects.toMatchObject({ code: 'options' })
})
