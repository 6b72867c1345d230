/**
 * Backups of a real daemon, through bin/:
 * 1. made while it mines and takes writes; restored, the new folder has every write that was answered before the backup began, and the same state
 *    root at its height; db check finds it sound; a daemon goes on from it and catches up;
 * 2. made from a folder whose daemon is stopped; with keys, the account is the same; without, there are none in it;
 * 3. what is refused: a path with something at it, a folder that is there, another network; a backup that is cut, changed or no backup, and
 *    nothing is left of what it was to become.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Daemon } from '@kvchain/lab/daemon'
import { type CliResult, runKvchain } from '@kvchain/lab/launchers'
import { writePrivateNetwork } from '@kvchain/lab/networks'
import { TempDir } from '@kvchain/lab/tempDir'
import { afterAll, beforeAll, expect, test } from 'vitest'

let place: TempDir
let network: string
let daemon: Daemon

const at = (name: string) => join(place.path, name)

beforeAll(async () => {
  place = await TempDir.make('backup')
  network = await writePrivateNetwork('dev', place.path)
  daemon = await Daemon.start({ network, dataDir: at('data'), mine: 'always' })
})

afterAll(async () => {
  await daemon.stop()
  await place.remove()
})

async function kvchain(...args: string[]): Promise<CliResult> {
  return runKvchain([...args, '--network', network])
}

async function done(...args: string[]): Promise<string> {
  const result = await kvchain(...args)
  expect(result).toMatchObject({ exitCode: 0 })
  return result.stdout
}

async function restored(name: string, work: (daemon: Daemon) => Promise<void>): Promise<void> {
  const other = await Daemon.start({ network, dataDir: at(name) })
  try {
    await work(other)
  } finally {
    await other.stop()
  }
}

test('while it mines and takes writes', async () => {
  let isDone = false
  const answered: string[] = []
  const load = async () => {
    for (let i = 0; !isDone; i++) {
      await daemon.client.put(`load/${i}`, `${i} ${'x'.repeat(i % 2_000)}`)
      answered.push(`load/${i}`)
    }
  }
  const loading = load()
  await daemon.waitFor(async ({ client }) => answered.length > 200 && (await client.status()).tip.height > 5, {
    what: 'some blocks and writes',
  })
  const before = [...answered]
  await done('backup', '--data-dir', daemon.dataDir, '--to', at('live.kvbackup'))
  isDone = true
  await loading
  expect(statSync(at('live.kvbackup')).mode & 0o777).toBe(0o600)
  expect(readdirSync(place.path).filter((name) => name.endsWith('.part'))).toEqual([])

  expect(await done('restore', at('live.kvbackup'), '--data-dir', at('live'))).toContain('none in the backup')
  expect(statSync(at('live')).mode & 0o777).toBe(0o700)
  expect(await done('db', 'check', '--data-dir', at('live'))).toContain('sound')
  await restored('live', async (other) => {
    const { tip } = await other.status()
    expect((await daemon.client.call('chain_block', { height: tip.height })).stateRoot).toBe(tip.stateRoot)
    for (const key of before) {
      const entry = await other.client.call('kv_get', { key, pending: true })
      expect(entry).toMatchObject({ key, value: expect.stringMatching(new RegExp(`^${key.replace('load/', '')} `)) })
    }
  })
})

test('of a daemon that is stopped, with its keys', async () => {
  const { account, tip } = await daemon.status()
  await daemon.stop()
  await done('backup', '--data-dir', daemon.dataDir, '--to', place.path, '--with-keys')
  const name = readdirSync(place.path).find((found) => found.startsWith('kvchain-')) ?? ''
  expect(await done('restore', at(name), '--data-dir', at('kept'))).toContain('account.key, peer.key')
  for (const key of ['account.key', 'peer.key']) {
    expect(readFileSync(join(at('kept'), key))).toEqual(readFileSync(join(daemon.dataDir, key)))
    expect(statSync(join(at('kept'), key)).mode & 0o777).toBe(0o600)
  }
  await restored('kept', async (other) => {
    const status = await other.status()
    expect(status.account).toBe(account)
    expect(status.tip.height).toBeGreaterThanOrEqual(tip.height)
  })
  // And no secret in the one without.
  const secret = readFileSync(join(daemon.dataDir, 'account.key')).subarray(0, 64)
  expect(readFileSync(at(name)).includes(secret)).toBe(true)
  expect(readFileSync(at('live.kvbackup')).includes(secret)).toBe(false)
  await daemon.restart()
})

test('what is refused leaves everything as it was', async () => {
  const before = readFileSync(at('live.kvbackup'))
  const backup = ['backup', '--data-dir', daemon.dataDir, '--to']
  expect(await kvchain(...backup, at('live.kvbackup'))).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining('is there already'),
  })
  expect(readFileSync(at('live.kvbackup')).equals(before)).toBe(true)
  expect(await kvchain(...backup, at('no/such/folder'))).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining('cannot be written'),
  })
  expect(await kvchain('restore', at('live.kvbackup'), '--data-dir', at('live'))).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('is there already'),
  })
  expect(existsSync(join(at('live'), 'db'))).toBe(true)
  expect(await kvchain('restore', at('live.kvbackup'))).toMatchObject({ exitCode: 2 })
  expect(await runKvchain(['restore', at('live.kvbackup'), '--network', 'lan', '--data-dir', at('lan')])).toMatchObject(
    {
      exitCode: 1,
      stderr: expect.stringContaining('another network'),
    },
  )
})

test('a backup that is not whole', async () => {
  const whole = readFileSync(at('live.kvbackup'))
  const changed = (offset: number) => {
    const bytes = Buffer.from(whole)
    bytes[offset] = (bytes[offset] ?? 0) ^ 1
    return bytes
  }
  const bad: Record<string, Buffer> = {
    empty: Buffer.alloc(0),
    other: Buffer.from('{"this": "is no backup, but a text that is somewhat longer than the head of one would be"}'),
    head: changed(3),
    middle: changed(whole.length >> 1),
    end: changed(whole.length - 1),
    cut: whole.subarray(0, whole.length - 40),
    longer: Buffer.concat([whole, Buffer.from([0])]),
  }
  for (const [name, bytes] of Object.entries(bad)) {
    writeFileSync(at(`${name}.kvbackup`), bytes)
    const { exitCode, stderr, stdout } = await kvchain('restore', at(`${name}.kvbackup`), '--data-dir', at(name))
    expect({ name, exitCode, stdout }).toEqual({ name, exitCode: 1, stdout: '' })
    expect(stderr).toMatch(/^kvchain: the backup cannot be used: [^\n]+\n$/)
    expect(existsSync(at(name))).toBe(false)
  }
})
