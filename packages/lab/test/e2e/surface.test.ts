/**
 * What people type, and what programs call, on a real daemon:
 * 1. scan, batch, compare-and-set, access, the own namespace;
 * 2. reads that say how sure they are;
 * 3. a watch that goes on while the daemon is killed and started again;
 * 4. the life of a transaction, line by line;
 * 5. the client library: atomic, scan, watch, follow, update and increment, with two writers at once.
 */
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { increment, update } from '@kvchain/client/retry'
import { Cluster } from '@kvchain/lab/cluster'
import type { Daemon } from '@kvchain/lab/daemon'
import { CLI_LAUNCHER, cleanEnvironment } from '@kvchain/lab/launchers'
import { TempDir } from '@kvchain/lab/tempDir'
import { waitUntil } from '@kvchain/lab/wait'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let cluster: Cluster
let daemon: Daemon
let other: Daemon
let folder: TempDir

beforeAll(async () => {
  folder = await TempDir.make()
  cluster = await Cluster.start({ nodes: 2, join: 'bootstrap' })
  daemon = cluster.at(0)
  other = cluster.at(1)
})

afterAll(async () => {
  await cluster.stop()
  await folder.remove()
})

async function done(args: readonly string[], at: Daemon = daemon): Promise<string> {
  const { exitCode, stdout, stderr } = await at.cli(args)
  expect({ args, exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ args, exitCode: 0, stderr: '' })
  return stdout
}

async function file(name: string, lines: readonly object[]): Promise<string> {
  const path = join(folder.path, name)
  await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  return path
}

describe('typed', () => {
  test('a batch, then a scan; a batch that cannot be changes nothing', async () => {
    const lines = Array.from({ length: 5 }, (_, i) => ({ op: 'put', key: `fruit/${i}`, value: `value ${i}` }))
    await done(['batch', await file('good.jsonl', lines), '--wait'])
    expect((await done(['scan', 'fruit/'])).split('\n').map((line) => line.split(/\s+/).filter(Boolean))).toEqual([
      ['VERSION', 'HEIGHT', 'KEY', 'VALUE'],
      ...[0, 1, 2, 3, 4].map((i) => ['1', expect.stringMatching(/^\d+$/), `fruit/${i}`, 'value', String(i)]),
      [],
    ])
    const keys = (await done(['scan', 'fruit/', '--keys-only', '--json', '--limit', '2'])).trim().split('\n')
    expect(keys.map((line) => JSON.parse(line).key)).toEqual(['fruit/0', 'fruit/1'])

    const bad = [
      { op: 'put', key: 'fruit/5', value: 'x' },
      { op: 'delete', key: 'no such key' },
    ]
    const refused = await daemon.cli(['batch', await file('bad.jsonl', bad), '--wait'])
    expect(refused).toMatchObject({ exitCode: 4, stdout: '' })
    expect(refused.stderr).toContain('(line 2)')
    expect((await daemon.cli(['get', 'fruit/5'])).exitCode).toBe(3)
    const odd = await daemon.cli(['batch', await file('odd.jsonl', [{ op: 'put', key: 'k', valeu: 'x' }])])
    expect(odd).toMatchObject({ exitCode: 2, stdout: '' })
    expect(odd.stderr).toContain('line 1')

    const many = Array.from({ length: 1_500 }, (_, i) => ({ op: 'put', key: `many/${i}`, value: '' }))
    const path = await file('many.jsonl', many)
    expect((await daemon.cli(['batch', path])).stderr).toContain('--chunk')
    await done(['batch', path, '--chunk', '400', '--wait'])
    expect((await done(['scan', 'many/', '--keys-only'])).trim().split('\n')).toHaveLength(1_501)
  })

  test('compare and set: absent, version, value; whoever is late is told', async () => {
    await done(['put', 'cas', 'one', '--if-absent', '--wait'])
    expect((await daemon.cli(['put', 'cas', 'two', '--if-absent'])).exitCode).toBe(4)
    await done(['put', 'cas', 'two', '--if-value', 'one', '--wait'])
    expect((await daemon.cli(['put', 'cas', 'three', '--if-value', 'one'])).exitCode).toBe(4)
    await done(['put', 'cas', 'three', '--if-version', '2', '--wait'])
    expect((await daemon.cli(['delete', 'cas', '--if-value', 'two'])).exitCode).toBe(4)
    await done(['delete', 'cas', '--if-value', 'three', '--wait'])
  })

  test('access: closed to others, open to all, handed over; a namespace of one’s own', async () => {
    await done(['put', 'house', 'mine', '--wait=2'])
    await cluster.waitForSameTip({ minHeight: 1 })
    expect((await other.cli(['put', 'house', 'theirs'])).exitCode).toBe(4)
    const { account } = await other.status()
    await done(['access', 'house', '--writers', account, '--wait'])
    await cluster.waitForSameTip({ minHeight: 1 })
    await done(['put', 'house', 'theirs', '--wait'], other)
    await cluster.waitForSameTip({ minHeight: 1 })
    await done(['access', 'house', '--owner', account, '--writers', 'private', '--wait'])
    expect((await daemon.cli(['put', 'house', 'mine again'])).exitCode).toBe(4)

    await done(['put', '@me/name', 'first', '--wait=2'])
    expect(await done(['get', '@me/name'])).toBe('first')
    const mine = (await daemon.status()).account
    await cluster.waitForSameTip({ minHeight: 1 })
    expect((await other.cli(['put', `@${mine}/name`, 'x'])).exitCode).toBe(4)
    expect(await done(['get', `@${mine}/name`], other)).toBe('first')
  })

  test('how sure a read is', async () => {
    await done(['put', 'sure', 'old', '--wait'])
    const { height, blockHash } = JSON.parse(await done(['get', 'sure', '--json']))
    await done(['put', 'sure', 'new', '--wait'])
    expect(await done(['get', 'sure', '--at', String(height)])).toBe('old')
    expect(await done(['get', 'sure', '--at', blockHash])).toBe('old')
    expect(await done(['get', 'sure', '--min-conf', '1'])).toBe('new')
    expect(await done(['get', 'sure', '--details', '--attacker', '0.3'])).toMatch(
      /^undone +with probability [\d.]+ % by 30 % of the hash rate$/m,
    )
    expect((await daemon.cli(['get', 'sure', '--at', '1', '--pending'])).exitCode).toBe(2)
    expect((await daemon.cli(['get', 'sure', '--attacker', '2', '--details'])).exitCode).toBe(2)
    expect(JSON.parse(await done(['get', 'sure', '--pending', '--json']))).toMatchObject({ value: 'new' })
    expect(await done(['fee'])).toMatch(/^at least +\d+$/m)
    expect(await done(['reorgs', '--limit', '1'])).toMatch(/no reorgs|^reorg/)
  })

  test('the bytes of a transaction and of its block', async () => {
    const { txid } = JSON.parse(await done(['put', 'bytes', 'v', '--wait', '--json']))
    const { height, raw } = JSON.parse(await done(['tx', txid, '--raw', '--json']))
    expect(await done(['tx', txid, '--raw'])).toBe(`${raw}\n`)
    expect(await done(['block', String(height), '--raw'])).toMatch(new RegExp(`^[0-9a-f]+${raw}[0-9a-f]+\n$`))
    expect(await done(['submit', raw])).toContain(txid)
    expect(await daemon.cli(['tx', txid, '--raw', '--follow'])).toMatchObject({ exitCode: 2, stdout: '' })
    expect(await daemon.cli(['block', '99999999', '--raw'])).toMatchObject({ exitCode: 3, stdout: '' })
    expect(await daemon.cli(['tx', '0'.repeat(64), '--raw'])).toMatchObject({ exitCode: 3, stdout: '' })
  })

  test('a transaction, line by line', async () => {
    const { txid } = JSON.parse(await done(['put', 'followed', 'v', '--json']))
    const lines = (await done(['tx', txid, '--follow', '--timeout', '60'])).trim().split('\n')
    expect(lines.at(-1)).toMatch(/^settled: block \d+$/)
    expect(lines.some((line) => line.startsWith('in a block'))).toBe(true)
    expect((await daemon.cli(['tx', '0'.repeat(64), '--follow'])).exitCode).toBe(3)
  })
})

test('a watch misses nothing while the daemon is killed and started again', async () => {
  const cursorFile = join(folder.path, 'cursor')
  await done(['put', 'w/0', 'v', '--wait'])
  const begin = await done(['watch', 'w/', '--prefix', '--from', '1', '--count', '1', '--cursor-file', cursorFile])
  expect(begin).toMatch(/^put {8}w\/0 {2}version 1/)
  const lines: string[] = []
  const args = ['--data-dir', daemon.dataDir, 'watch', 'w/', '--prefix', '--cursor-file', cursorFile, '--count', '20']
  const watching = spawn(process.execPath, [CLI_LAUNCHER, ...args], { env: cleanEnvironment() })
  watching.stdout.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n').filter(Boolean)))
  const ended = new Promise<number | null>((resolve) => watching.on('exit', resolve))
  for (let i = 1; i <= 10; i++) await daemon.client.put(`w/${i}`, String(i))
  await waitUntil(() => lines.length >= 10, { what: 'ten events', timeoutMs: 60_000 })
  await daemon.kill9()
  await daemon.restart()
  for (let i = 11; i <= 20; i++) await daemon.client.put(`w/${i}`, String(i))
  expect(await ended).toBe(0)
  const told = lines.filter((line) => line.startsWith('put')).map((line) => line.split(/\s+/)[1])
  expect(told).toEqual(Array.from({ length: 20 }, (_, i) => `w/${i + 1}`))
  expect((await readFile(cursorFile, 'utf8')).trim()).toMatch(/^\d+\.[0-9a-f]{64}$/)
})

describe('called', () => {
  test('atomic, scan, watch and follow', async () => {
    const { client } = daemon
    const controller = new AbortController()
    const told: string[] = []
    let isReady = () => {}
    const ready = new Promise<void>((resolve) => {
      isReady = resolve
    })
    const watching = (async () => {
      for await (const { events } of client.watch({ prefix: 'lib/' }, { signal: controller.signal })) {
        isReady()
        told.push(...events.map(({ kind, key }) => `${kind} ${key}`))
        if (told.length >= 3) return
      }
    })()
    await ready
    const bytes = Uint8Array.of(0xff, 0x00)
    const { txid } = await client.atomic([
      { op: 'put', key: 'lib/a', value: '1' },
      { op: 'put', key: 'lib/b', value: '2' },
      { op: 'delete', key: 'lib/a' },
    ])
    await client.put(bytes, 'bytes')
    const states: string[] = []
    for await (const { status, settled } of client.follow(txid)) states.push(settled ? 'settled' : status)
    expect(states.at(-1)).toBe('settled')
    await watching
    expect(told).toEqual(['put lib/a', 'put lib/b', 'delete lib/a'])
    const keys: string[] = []
    for await (const { key } of client.scan('lib/', { deleted: true, pageSize: 1 })) keys.push(key)
    expect(keys).toEqual(['lib/a', 'lib/b'])
    const all: string[] = []
    for await (const { key, keyEncoding } of client.scan('', { pageSize: 100, keysOnly: true }))
      all.push(`${keyEncoding} ${key}`)
    expect(all).toContain('hex ff00')
    expect(new Set(all).size).toBe(all.length)
  })

  test('two who count at once lose nothing', async () => {
    await daemon.client.waitFor((await daemon.client.put('counter', '0', { access: 'open' })).txid, {
      confirmations: 2,
    })
    await cluster.waitForSameTip({ minHeight: 1 })
    const count = async (at: Daemon) => {
      for (let i = 0; i < 3; i++) await increment(at.client, 'counter', 1, { attempts: 50 })
    }
    await Promise.all([count(daemon), count(other)])
    await cluster.waitForSameTip({ minHeight: 1 })
    expect((await other.client.get('counter'))?.value).toBe('6')
    expect(await update(daemon.client, 'counter', () => undefined)).toBeUndefined()
    await daemon.client.waitFor((await daemon.client.put('word', 'text')).txid)
    await expect(increment(daemon.client, 'word')).rejects.toMatchObject({ code: 'bad-params' })
  })
})
