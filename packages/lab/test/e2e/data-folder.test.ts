/**
 * Data folders of real daemons, started through bin/, that are damaged or left by a kill.
 *
 * Plan: one daemon, never touched, is the truth; another follows it. The other is
 *  1. killed at failpoints, before it answers and while it commits, and started again: it has the same state root, and what it accepted;
 *  2. stopped, damaged in each kind of file, and started again: it answers what the truth answers, having made its database anew;
 *  3. damaged while it runs: it ends by itself with a line that says what to do, and that is true;
 *  4. stopped and looked at: kvchain db check tells sound from damaged, kvchain db rebuild makes it sound.
 */
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fromUtf8 } from '@kvchain/core/bytes'
import { Daemon } from '@kvchain/lab/daemon'
import { runKvchain } from '@kvchain/lab/launchers'
import { writePrivateNetwork } from '@kvchain/lab/networks'
import { TempDir } from '@kvchain/lab/tempDir'
import { waitUntil } from '@kvchain/lab/wait'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { hex } from '@kvchain/node/runtime/hex'
import { afterAll, beforeAll, expect, test } from 'vitest'

let place: TempDir
let network: string
let truth: Daemon
let victim: Daemon
const accepted = new Map<string, string>()

beforeAll(async () => {
  place = await TempDir.make('folder')
  network = await writePrivateNetwork('dev', place.path)
  truth = await Daemon.start({ network, dataDir: join(place.path, 'truth'), mine: 'always' })
  const bootstrap = truth.addresses.slice(0, 1)
  victim = await Daemon.start({ network, dataDir: join(place.path, 'victim'), bootstrap, logLevel: 'debug' })
})

afterAll(async () => {
  await Promise.all([truth.stop(), victim.stop()])
  await place.remove()
})

async function put(daemon: Daemon, key: string, value = `value of ${key}`): Promise<void> {
  await daemon.client.put(key, value)
  accepted.set(key, value)
}

/** The victim has caught up, agrees on the state, and has everything that anybody accepted once. */
async function expectTruth(): Promise<void> {
  const agreed = await waitUntil(
    async () => {
      const [a, b] = await Promise.all([victim.status(), truth.status()])
      const isIdle = a.mempool.transactions === 0 && b.mempool.transactions === 0
      return isIdle && a.tip.hash === b.tip.hash && [a.tip.stateRoot, b.tip.stateRoot]
    },
    { what: 'the same tip', timeoutMs: 60_000 },
  )
  expect(agreed[0]).toBe(agreed[1])
  for (const [key, value] of accepted) {
    const { versions } = await victim.client.history(key)
    expect(versions.map((one) => [one.version, one.value])).toEqual([[1, value]])
  }
}

function database(): string {
  return join(victim.dataDir, 'db')
}

function filesLike(pattern: RegExp): string[] {
  return readdirSync(database())
    .filter((name) => pattern.test(name))
    .map((name) => join(database(), name))
    .filter((file) => statSync(file).size > 0)
}

/** Of a file that a daemon has open. */
function flipInPlace(file: string, at: number): void {
  const handle = openSync(file, 'r+')
  const byte = Buffer.alloc(1)
  readSync(handle, byte, 0, 1, at)
  byte[0] = (byte[0] ?? 0) ^ 1
  writeSync(handle, byte, 0, 1, at)
  closeSync(handle)
}

function flipBits(file: string): void {
  const bytes = readFileSync(file)
  for (let at = 100; at < bytes.length; at += 997) bytes[at] = (bytes[at] ?? 0) ^ 4
  writeFileSync(file, bytes)
}

test.each(['journal-add-before', 'journal-add-after', 'connect-after:2'])(
  'killed at %s, it comes back with what it accepted',
  async (point) => {
    // With blocks to come from the start on, it may end before it is ready.
    await victim.restart({ env: { KVCHAIN_FAILPOINT: point } }).catch(() => {})
    for (let n = 0; victim.isRunning; n++) {
      try {
        await put(victim, `${point} ${n}`)
      } catch {
        // No answer: it may have been accepted or not.
        break
      }
    }
    expect(await victim.exited()).toEqual({ code: null, signal: 'SIGKILL' })
    await victim.restart({ env: {} })
    await expectTruth()
  },
)

test.each<[string, () => void]>([
  ['its tables', () => filesLike(/\.ldb$/).forEach(flipBits)],
  ['its list of files', () => filesLike(/^MANIFEST/).forEach(flipBits)],
  ['an empty CURRENT', () => truncateSync(join(database(), 'CURRENT'), 0)],
])('damaged in %s, it makes its database anew and answers the truth', async (_, damage) => {
  await put(victim, `before damage ${accepted.size}`)
  await expectTruth()
  // The second stop makes a table of the first run's log.
  await victim.restart()
  await victim.stop()
  const { length } = await readFile(victim.logFile, 'utf8')
  damage()
  await victim.restart()
  await expectTruth()
  expect((await readFile(victim.logFile, 'utf8')).slice(length)).toMatch(/the database is new|is damaged|are damaged/)
  expect(readdirSync(victim.dataDir)).not.toContain('db.damaged')
})

test('damaged while it runs, it ends with a line that says what to do, and that is true', async () => {
  // Nothing in it repeats, so it stands in a table as it is; last as the value itself.
  const value = Array.from({ length: 500 }, (_, i) => hex(sha256(fromUtf8(`${i}`)))).join('')
  await put(victim, 'long', value)
  await expectTruth()
  await victim.restart()
  const place = filesLike(/\.ldb$/).map((file) => ({ file, at: readFileSync(file).lastIndexOf(value.slice(640, 704)) }))
  const found = place.find(({ at }) => at >= 0) ?? expect.fail('a table with the value')
  flipInPlace(found.file, found.at)
  const ended = await waitUntil(
    async () => {
      if (!victim.isRunning) return victim.exited()
      await victim.client.get('long').catch(() => {})
      return undefined
    },
    { what: 'the end of the daemon', timeoutMs: 60_000 },
  )
  expect(ended).toEqual({ code: 1, signal: null })
  expect(await readFile(victim.logFile, 'utf8')).toMatch(
    /kvchain: cannot go on: .*start the daemon again, and it makes/,
  )
  await victim.restart()
  await expectTruth()
})

test('kvchain db check tells sound from damaged, and kvchain db rebuild makes it sound', async () => {
  const folder = ['--network', network, '--data-dir', victim.dataDir]
  expect(await runKvchain(['db', 'check', ...folder])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/^kvchain: another daemon uses the data folder .*stop it first/),
  })
  await victim.stop()
  expect(await runKvchain(['db', 'check', ...folder])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/verdict +sound\n$/),
  })
  filesLike(/\.(?:ldb|log)$/).forEach(flipBits)
  expect(await runKvchain(['db', 'check', ...folder])).toMatchObject({
    exitCode: 1,
    stdout: expect.stringMatching(/verdict +damaged\n(?:\d+ x (?:damaged .*|the database cannot be read)\n)+$/),
    stderr: expect.stringMatching(/kvchain db rebuild --network .* --data-dir /),
  })
  const rebuilt = await runKvchain(['db', 'rebuild', ...folder])
  expect(rebuilt).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^the database is new, at height \d+\n/) })
  expect(await runKvchain(['db', 'check', ...folder])).toMatchObject({ exitCode: 0 })
  await victim.restart()
  await expectTruth()
})
