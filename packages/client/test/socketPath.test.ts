/** The socket's place: in the data folder; a short one, private, when that path is too long for a socket; the same by any name. */
import { chmod, mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { checkSocketPath, defaultSocketPath, isSocketPath, MAX_SOCKET_PATH_BYTES } from '@kvchain/client/socketPath'
import { afterEach, beforeEach, expect, test } from 'vitest'

let folder: string

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'kvchain-path-')))
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

test('a short data folder holds its socket', () => {
  expect(defaultSocketPath(join(folder, 'data'))).toBe(join(folder, 'data', 'kvchain.sock'))
})

test('bytes count, not characters', () => {
  expect(isSocketPath('/'.padEnd(MAX_SOCKET_PATH_BYTES, 'x'))).toBe(true)
  expect(isSocketPath('/'.padEnd(MAX_SOCKET_PATH_BYTES, 'é'))).toBe(false)
  expect(() => checkSocketPath('/'.padEnd(200, 'x'))).toThrow(expect.objectContaining({ code: 'socket-path' }))
})

test('a long one gets a short socket in a private folder, the same before and after it exists, and through a link', async () => {
  const long = join(folder, 'x'.repeat(60), 'y'.repeat(60))
  const before = defaultSocketPath(long)
  expect(isSocketPath(before)).toBe(true)
  expect(dirname(before)).toBe(join(tmpdir(), `kvchain-${userInfo().uid}`))
  await mkdir(long, { recursive: true })
  expect(defaultSocketPath(long)).toBe(before)
  const linked = join(folder, 'z'.repeat(120))
  await symlink(long, linked)
  expect(defaultSocketPath(linked)).toBe(before)
  expect(defaultSocketPath(join(folder, 'w'.repeat(120)))).not.toBe(before)
  expect(basename(before)).toMatch(/^[0-9a-f]{16}\.sock$/)
})

test('a folder that others may enter is refused', async () => {
  const temporary = process.env.TMPDIR
  process.env.TMPDIR = join(folder, 't')
  try {
    const loose = join(folder, 't', `kvchain-${userInfo().uid}`)
    await mkdir(loose, { recursive: true })
    await chmod(loose, 0o755)
    const long = join(folder, 'x'.repeat(120))
    expect(() => defaultSocketPath(long)).toThrow(expect.objectContaining({ code: 'socket-path' }))
    await chmod(loose, 0o700)
    expect(dirname(defaultSocketPath(long))).toBe(loose)
  } finally {
    if (temporary === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = temporary
  }
})
