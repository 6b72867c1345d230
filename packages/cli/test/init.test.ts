/**
 * Setting up a daemon, through bin/:
 * 1. init makes a private folder with keys and a configuration file that the daemon takes, says who the node is, and replaces nothing;
 * 2. --print-config says of each setting where it comes from;
 * 3. configs/config.schema.json is made from the table of settings, takes what the daemon takes, and refuses what it refuses.
 */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configSchema, readSettings } from '@kvchain/cli/daemon/settings'
import { Daemon } from '@kvchain/lab/daemon'
import { runKvchain } from '@kvchain/lab/launchers'
import { Ajv } from 'ajv'
import { afterAll, beforeAll, expect, test } from 'vitest'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvchain-init-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

/** The fields that a command printed. */
function fields(stdout: string): Record<string, string> {
  return Object.fromEntries(
    stdout
      .split('\n')
      .map((line) => line.split(/ {2,}/))
      .filter(({ length }) => length === 2),
  )
}

test('init, then a daemon with the file that it made', async () => {
  const dataDir = join(folder, 'data')
  const file = join(dataDir, 'config.json')
  const args = [
    'init',
    '--data-dir',
    dataDir,
    '--listen',
    '/ip4/127.0.0.1/tcp/0',
    '--no-mdns',
    '--mine',
    '--http',
    '[::1]:0',
  ]
  const { exitCode, stdout } = await runKvchain(args)
  expect(exitCode).toBe(0)
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700)
  for (const name of ['account.key', 'peer.key', 'config.json']) {
    expect((await stat(join(dataDir, name))).mode & 0o777).toBe(0o600)
  }
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
    $schema: expect.stringMatching(/configs\/config\.schema\.json$/),
    network: 'dev',
    'data-dir': dataDir,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    mdns: false,
    mine: true,
    http: '[::1]:0',
  })
  const said = fields(stdout)
  expect(said).toMatchObject({ 'data folder': dataDir, configuration: file, next: `kvchain daemon --config ${file}` })

  const daemon = await Daemon.start({ dataDir, args: ['--config', file] })
  try {
    expect(await daemon.status()).toMatchObject({ account: said.account, peerId: said.peer, network: 'dev' })
  } finally {
    await daemon.stop()
  }

  const before = await readFile(file)
  expect(await runKvchain(args)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('is there already') })
  expect(await readFile(file)).toEqual(before)
  // Another file, the same keys.
  const again = await runKvchain([...args, '--config', join(folder, 'other.json')])
  expect(fields(again.stdout)).toMatchObject({ account: said.account, keys: 'were there before' })
})

test('--print-config: the values, and where each comes from', async () => {
  const file = join(folder, 'print.json')
  await writeFile(file, JSON.stringify({ mine: 'pending', 'rpc-rate': 7, listen: '/ip4/127.0.0.1/tcp/1' }))
  const { stdout, exitCode } = await runKvchain(['daemon', '--config', file, '--mine=always', '--print-config'])
  expect(exitCode).toBe(0)
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/))
  expect(rows).toEqual([
    ['setting', 'value', 'from'],
    ['network', '"dev"', 'default'],
    ['listen', '["/ip4/127.0.0.1/tcp/1"]', file],
    ['bootstrap', '[]', 'default'],
    ['mdns', 'true', 'default'],
    ['peer-exchange', 'true', 'default'],
    ['mine', '"always"', '--mine'],
    ['miner-threads', '1', 'default'],
    ['rpc-rate', '7', file],
    ['log-level', '"info"', 'default'],
  ])
})

test('the schema of the configuration file', async () => {
  const url = new URL('../../../configs/config.schema.json', import.meta.url)
  const schema = JSON.parse(await readFile(url, 'utf8'))
  expect(schema).toEqual(JSON.parse(JSON.stringify(configSchema())))
  const validate = new Ajv({ allowUnionTypes: true }).compile(schema)
  const taken = async (json: unknown) => {
    const file = join(folder, 'schema.json')
    await writeFile(file, JSON.stringify(json))
    try {
      readSettings({ config: file }, {}, '/')
      return true
    } catch {
      return false
    }
  }
  const texts = { network: 'lan', 'data-dir': 'd', listen: ['/a'], bootstrap: '/b', mine: true, 'rpc-socket': 's' }
  const good = [{}, texts, { mdns: false, 'miner-threads': 2, http: 8080, 'log-level': 'warn', 'log-format': 'json' }]
  const bad = [
    { colour: 1 },
    { 'miner-threads': 0 },
    { mdns: 'perhaps' },
    { mine: 'sometimes' },
    { 'rpc-rate': 0 },
    { 'log-level': 5 },
    [],
  ]
  for (const json of good) expect([json, validate(json), await taken(json)]).toEqual([json, true, true])
  for (const json of bad) expect([json, validate(json), await taken(json)]).toEqual([json, false, false])
})
