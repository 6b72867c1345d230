/** The daemon's settings: flags over variables over file over defaults, each read alike; paths begin where the setting was made. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { readSettings, toConfig } from '@kvchain/cli/daemon/settings'
import { CliError } from '@kvchain/cli/exits'
import { spellOut } from '@kvchain/cli/parsing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvchain-settings-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

async function config(json: unknown): Promise<string> {
  const file = join(folder, 'config.json')
  await writeFile(file, JSON.stringify(json))
  return file
}

test('the defaults', () => {
  expect(readSettings({}, {}, '/cwd')).toEqual({
    network: 'dev',
    bootstrap: [],
    mdns: true,
    peerExchange: true,
    mine: 'off',
    minerThreads: 1,
    logLevel: 'info',
  })
})

test.each([
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['localhost:0', { host: '127.0.0.1', port: 0 }],
  ['8080', { host: '127.0.0.1', port: 8080 }],
  ['[::1]:65535', { host: '::1', port: 65_535 }],
  ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
])('--http %s', (text, http) => {
  expect(readSettings({ http: text, httpAllowRemote: true }, {}, '/cwd').http).toEqual(http)
  expect(readSettings({}, { KVCHAIN_HTTP: text, KVCHAIN_HTTP_ALLOW_REMOTE: 'yes' }, '/cwd')).toMatchObject({
    http,
    httpAllowRemote: true,
  })
})

test('--http beyond this machine takes a second flag', () => {
  expect(() => readSettings({ http: '0.0.0.0:80' }, {}, '/cwd')).toThrow(/--http-allow-remote/)
  expect(() => readSettings({ http: '[::]:80' }, {}, '/cwd')).toThrow(/--http-allow-remote/)
})

test.each(['', '127.0.0.1', ':80', 'example.org:80', '127.0.0.1:65536', '127.0.0.1:x', '::1:80', '1.2.3.4.5:80'])(
  '--http %s makes no sense',
  (text) => {
    expect(() => readSettings({ http: text }, {}, '/cwd')).toThrow(/--http is ADDRESS:PORT/)
  },
)

test('flags win over variables, variables over the file', async () => {
  const file = await config({
    network: 'lan',
    'data-dir': 'data',
    listen: ['/a', '/b'],
    bootstrap: '/c',
    'no-mdns': true,
    'no-peer-exchange': true,
    mine: true,
    'miner-threads': 3,
    'rpc-socket': '/run/kv.sock',
    'log-level': 'warn',
    'log-format': 'json',
    $schema: 'ignored',
  })
  const fromFile = {
    network: 'lan',
    dataDir: join(folder, 'data'),
    listen: ['/a', '/b'],
    bootstrap: ['/c'],
    mdns: false,
    peerExchange: false,
    mine: 'default',
    minerThreads: 3,
    rpcSocket: '/run/kv.sock',
    logLevel: 'warn',
    logFormat: 'json',
  }
  expect(readSettings({ config: file }, {}, '/cwd')).toEqual(fromFile)
  expect(readSettings({}, { KVCHAIN_CONFIG: file }, '/cwd')).toEqual(fromFile)
  const env = {
    KVCHAIN_CONFIG: file,
    KVCHAIN_NETWORK: './ours.json',
    KVCHAIN_DATA_DIR: '~/kv',
    KVCHAIN_LISTEN: '/d, /e',
    KVCHAIN_MDNS: '1',
    KVCHAIN_PEER_EXCHANGE: 'yes',
    KVCHAIN_MINE: 'off',
    KVCHAIN_MINER_THREADS: '',
  }
  const fromEnvironment = {
    ...fromFile,
    network: '/cwd/ours.json',
    dataDir: join(homedir(), 'kv'),
    listen: ['/d', '/e'],
    mdns: true,
    peerExchange: true,
    mine: 'off',
  }
  expect(readSettings({}, env, '/cwd')).toEqual(fromEnvironment)
  const flags = { network: 'public', dataDir: 'mine', listen: ['/f'], mdns: false, mine: 'always', minerThreads: '7' }
  expect(readSettings(flags, env, '/cwd')).toEqual({
    ...fromEnvironment,
    network: 'public',
    dataDir: '/cwd/mine',
    listen: ['/f'],
    mdns: false,
    mine: 'always',
    minerThreads: 7,
  })
})

describe('what makes no sense', () => {
  test.each([
    [{ colour: 'red' }, /no setting "colour"/],
    [{ __proto__: null, constructor: 'x' }, /no setting "constructor"/],
    [{ network: ['a', 'b'] }, /network takes one value/],
    [{ network: {} }, /network must be a text/],
    [{ network: null }, /network must be a text/],
    [{ mdns: 'perhaps' }, /mdns is true or false/],
    [{ mine: 'sometimes' }, /mine is one of/],
    [{ 'miner-threads': 1.5 }, /miner-threads must be a whole number/],
    [{ 'data-dir': '' }, /data-dir must not be empty/],
    [[], /one JSON object/],
  ])('%j', async (json, pattern) => {
    const file = await config(json)
    expect(() => readSettings({ config: file }, {}, '/cwd')).toThrow(pattern)
    expect(() => readSettings({ config: file }, {}, '/cwd')).toThrow(CliError)
  })
})

test('a value that may be left out is taken after = alone, and not after --', () => {
  const defaults = { '--wait': '1' }
  expect(spellOut(['put', '--wait', 'k', 'v'], defaults)).toEqual(['put', '--wait=1', 'k', 'v'])
  expect(spellOut(['put', 'k', 'v', '--wait=3'], defaults)).toEqual(['put', 'k', 'v', '--wait=3'])
  expect(spellOut(['put', '--', '--wait', 'v'], defaults)).toEqual(['put', '--', '--wait', 'v'])
  expect(spellOut(['toString', '__proto__'], defaults)).toEqual(['toString', '__proto__'])
})

test('relays and announced addresses are lists in every way of saying them; none is nowhere to listen', async () => {
  const said = { announce: ['/a', '/b'], relay: ['/c'], relayService: true, listen: [] }
  const file = await config({ announce: ['/a', '/b'], relay: '/c', 'relay-service': true, listen: 'none' })
  const env = {
    KVCHAIN_ANNOUNCE: '/a,/b',
    KVCHAIN_RELAY: '/c',
    KVCHAIN_RELAY_SERVICE: '1',
    KVCHAIN_LISTEN: 'none',
  }
  expect(readSettings({ ...said, listen: ['none'] }, {}, '/cwd')).toMatchObject(said)
  expect(readSettings({}, env, '/cwd')).toMatchObject(said)
  expect(readSettings({ config: file }, {}, '/cwd')).toMatchObject(said)
  expect(readSettings({ config: await config(toConfig(said)) }, {}, '/cwd')).toMatchObject(said)
  expect(readSettings({ listen: ['none', '/a'] }, {}, '/cwd').listen).toEqual(['none', '/a'])
})
