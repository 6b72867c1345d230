/**
 * Bad input to a real daemon: one clear line, the documented exit code or RPC error code, no stack trace, nothing lost.
 *
 * Plan: one daemon for all; then start-ups that must fail beside it.
 */
import { connect } from 'node:net'
import { defaultSocketPath } from '@kvchain/client/socketPath'
import { Cluster } from '@kvchain/lab/cluster'
import { Daemon } from '@kvchain/lab/daemon'
import { type CliResult, runCli, runKvchain } from '@kvchain/lab/launchers'
import { TempDir } from '@kvchain/lab/tempDir'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let cluster: Cluster
let daemon: Daemon
let other: Daemon

beforeAll(async () => {
  cluster = await Cluster.start({ nodes: 2, join: 'bootstrap' })
  daemon = cluster.at(0)
  other = cluster.at(1)
  const put = await other.cli(['put', 'theirs', 'x', '--wait=2'])
  expect(put.exitCode).toBe(0)
  await cluster.waitForSameTip({ minHeight: 2 })
})

afterAll(() => cluster.stop())

/** One line that a person can read. */
function expectOneLine(stderr: string): void {
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).not.toMatch(/\n\s+at |Error:|node:internal/)
}

describe('kvchain-cli', () => {
  const own = 'kvdev1'
  test.each([
    ['a wrong flag', ['get', 'k', '--wrong'], 2],
    ['a wrong command', ['putt', 'k', 'v'], 2],
    ['no value', ['put', 'k'], 2],
    ['a bad number', ['put', 'k', 'v', '--fee', 'much'], 2],
    ['a bad address', ['send', 'kvdev1nonsense', '5'], 2],
    ['an address of another network', ['balance', 'kv1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqkgzkmx'], 2],
    ['an over-long key', ['put', 'k'.repeat(513), 'v'], 2],
    ['an over-long value', ['put', 'k', 'v'.repeat(65_537)], 4],
    ['a put to somebody’s key', ['put', 'theirs', 'mine'], 4],
    ['a delete of somebody’s key', ['delete', 'theirs'], 4],
    ['a put that expects nothing there', ['put', 'theirs', 'v', '--if-absent'], 4],
    ['a delete of nothing', ['delete', 'nothing'], 4],
    ['more coins than there are', ['send', 'SELF', '9000000000'], 4],
    ['an absent key', ['get', 'nothing'], 3],
    ['no history', ['history', 'nothing'], 3],
    ['an unknown block', ['block', '99999999'], 3],
    ['an unknown transaction', ['tx', '0'.repeat(64)], 3],
    ['a malformed transaction id', ['tx', 'xyz'], 2],
  ])('%s', async (_, args, code) => {
    const self = (await daemon.status()).account
    expect(self.startsWith(own)).toBe(true)
    const result = await daemon.cli(args.map((arg) => (arg === 'SELF' ? self : arg)))
    expect(result.stderr).not.toBe('')
    expect(result).toMatchObject({ exitCode: code, stdout: '' })
    expectOneLine(result.stderr)
  })

  test('no daemon', async () => {
    const empty = await TempDir.make()
    const result = await runCli(['--data-dir', empty.path, 'get', 'k'])
    expect(result).toMatchObject({ exitCode: 5, stdout: '' })
    expectOneLine(result.stderr)
    await empty.remove()
  })

  test('a wait that takes too long', async () => {
    // Its account nonce leaves a gap: it can never be confirmed before the others come.
    const result = await other.cli(['--timeout', '1', 'put', 'slow', 'v', '--wait=100000'])
    expect(result).toMatchObject({ exitCode: 6, stdout: '' })
    expectOneLine(result.stderr)
  })
})

describe('kvchain daemon', () => {
  async function startBad(args: readonly string[]): Promise<CliResult> {
    const folder = await TempDir.make()
    const own = args.includes('--data-dir') ? [] : ['--data-dir', folder.path]
    const result = await runKvchain(['daemon', '--log-level', 'error', '--no-mdns', ...own, ...args])
    await folder.remove()
    return result
  }

  test.each([
    ['a wrong flag', ['--wrong'], 2],
    ['an unknown network', ['--network', 'nowhere'], 1],
    ['a network file that is none', ['--network', '/etc/hostname'], 1],
    ['a bad address to listen on', ['--listen', 'here'], 1],
    ['a bad bootstrap address', ['--bootstrap', 'there'], 1],
    ['a relay without its peer id', ['--relay', '/ip4/192.0.2.1/tcp/9000'], 1],
    ['a bad address to announce', ['--announce', '/ip4/0.0.0.0/tcp/9000'], 1],
    ['a bad number of threads', ['--miner-threads', 'many'], 2],
    ['a bad log level', ['--log-level', 'loud'], 2],
    ['a config file that is none', ['--config', '/nonexistent'], 1],
  ])('%s', async (_, args, code) => {
    const result = await startBad(args)
    expect([1, 2]).toContain(result.exitCode)
    expect(result.exitCode === code || result.exitCode === 2).toBe(true)
    expectOneLine(result.stderr)
  })

  test('a port in use', async () => {
    const port = /\/tcp\/(\d+)/.exec(daemon.addresses[0] ?? '')?.[1]
    const result = await startBad(['--listen', `/ip4/127.0.0.1/tcp/${port}`])
    expect(result.exitCode).toBe(1)
    expect(result.stderr).toContain(port)
    expectOneLine(result.stderr)
  })

  test('a second daemon on the data folder leaves the first unharmed', async () => {
    const result = await startBad(['--data-dir', daemon.dataDir, '--listen', '/ip4/127.0.0.1/tcp/0'])
    expect(result.exitCode).toBe(1)
    expectOneLine(result.stderr)
    expect((await daemon.cli(['put', 'still', 'here', '--wait'])).exitCode).toBe(0)
  })

  test('a folder of another network is left as it is', async () => {
    const folder = await TempDir.make()
    const first = await Daemon.start({ dataDir: folder.path, network: 'dev', mdns: false })
    await first.stop()
    const result = await startBad(['--data-dir', folder.path, '--network', 'lan'])
    expect(result.exitCode).toBe(1)
    expectOneLine(result.stderr)
    await first.restart()
    await first.stop()
    await folder.remove()
  })
})

test('a malformed line gets its error code, and the connection goes on', async () => {
  const socket = connect(defaultSocketPath(daemon.dataDir))
  const lines = [
    '{oops',
    '[]',
    '42',
    '{"jsonrpc":"2.0","id":1,"method":"nope"}',
    '{"jsonrpc":"2.0","id":2,"method":"chain_tip","params":{"x":1}}',
  ]
  socket.write(`${lines.join('\n')}\n{"jsonrpc":"2.0","id":3,"method":"chain_tip"}\n`)
  let text = ''
  for await (const chunk of socket) {
    text += String(chunk)
    if (text.trim().split('\n').length === lines.length + 1) break
  }
  const answers = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(
    answers
      .map(({ error }) => error?.code)
      .filter((code) => code !== undefined)
      .sort(),
  ).toEqual([-32700, -32600, -32600, -32601, -32602].sort())
  expect(answers.find(({ id }) => id === 3)).toHaveProperty('result.height')
  expect(text).not.toContain('    at ')
})
