/**
 * The HTTP server of a real daemon, started through bin/ as a user would:
 * 1. the banner and the log say where it is and where the token is; where it may not listen, one line says why;
 * 2. REST: keys of any bytes, values as they are, expectations by query and by header, waiting, blocks, transactions;
 * 3. bad requests: a clear status and one error in JSON, and the daemon goes on;
 * 4. events: of keys and of the tip, gone on with after hanging up; figures: the text read strictly; dashboard and alerts name only what is there;
 * 5. a client in Python with its standard library alone (skipped where there is no python3);
 * 6. a stop by HTTP, which is answered; a new token afterwards.
 */
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Daemon } from '@kvchain/lab/daemon'
import { runKvchain } from '@kvchain/lab/launchers'
import { TempDir } from '@kvchain/lab/tempDir'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Family, readPrometheusText } from '../prometheusText.js'

const pythonClient = fileURLToPath(new URL('../fixtures/http_client.py', import.meta.url))
const hasPython = spawnSync('python3', ['--version']).status === 0

let folder: TempDir
let daemon: Daemon
let url: string
let token: string

beforeAll(async () => {
  folder = await TempDir.make('http')
  daemon = await Daemon.start({ dataDir: join(folder.path, 'data'), mine: 'always', args: ['--http', '127.0.0.1:0'] })
  await findDoor()
})

afterAll(async () => {
  await daemon.stop()
  await folder.remove()
})

/** Reads where it is from the log, as an operator would, and the token from its file. */
async function findDoor(): Promise<void> {
  const found = [...(await readFile(daemon.logFile, 'utf8')).matchAll(/http:\/\/127\.0\.0\.1:\d+/g)].at(-1)
  url = found?.[0] ?? ''
  token = (await readFile(join(daemon.dataDir, 'http.cookie'), 'utf8')).trim()
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

async function ask(verb: string, path: string, init: RequestInit = {}): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, ...init.headers }
  const response = await fetch(`${url}${path}`, { ...init, method: verb, headers })
  const { status } = response
  return { status, headers: response.headers, body: (await response.json()) as Answer['body'] }
}

function put(
  path: string,
  value: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return ask('PUT', path, { body: value, headers })
}

/** What an error says: its status, its name, and its rule or field. */
function told({ status, body }: Answer): unknown[] {
  const { name, data } = body.error as { name: string; data: Record<string, unknown> }
  return [status, name, data.rule ?? data.field ?? null]
}

describe('start', () => {
  test('an address that others reach is refused in one line, unless the operator insists', async () => {
    const args = ['daemon', '--data-dir', join(folder.path, 'other'), '--http', '0.0.0.0:0']
    const refused = await runKvchain(args)
    expect(refused.exitCode).toBe(2)
    expect(refused.stderr.trim().split('\n')).toHaveLength(1)
    expect(refused.stderr).toMatch(/--http-allow-remote/)
    const insisting = ['--http', '0.0.0.0:0', '--http-allow-remote']
    const other = await Daemon.start({ dataDir: join(folder.path, 'remote'), args: insisting })
    expect(await readFile(other.logFile, 'utf8')).toMatch(/http:\/\/0\.0\.0\.0:\d+/)
    expect(await other.stop()).toEqual({ code: 0, signal: null })
  })
})

describe('keys and values', () => {
  test('a value goes in and comes out as it is, under any key', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
    const put1 = await put('/v1/kv/a%2Fb%20%C3%A9%25?wait=1', bytes)
    expect([put1.status, put1.body.status]).toEqual([200, 'confirmed'])
    const entry = await ask('GET', '/v1/kv/a%2Fb%20%C3%A9%25')
    expect(entry.body).toMatchObject({ key: 'a/b é%', version: 1, encoding: 'base64', txid: put1.body.txid })
    const headers = { authorization: `Bearer ${token}`, accept: 'application/octet-stream' }
    const raw = await fetch(`${url}/v1/kv/a%2Fb%20%C3%A9%25`, { headers })
    expect(new Uint8Array(await raw.arrayBuffer())).toEqual(bytes)
    expect(raw.headers.get('etag')).toBe('"1"')
    expect(raw.headers.get('kvchain-txid')).toBe(put1.body.txid)
    expect((await put('/v1/kv/00ff?keyEncoding=hex&wait=1', '')).status).toBe(200)
    expect((await ask('GET', '/v1/kv/AP8%3D?keyEncoding=base64')).body).toMatchObject({ value: '', version: 1 })
    const head = await fetch(`${url}/v1/kv/00ff?keyEncoding=hex`, { method: 'HEAD', headers })
    expect([head.status, head.headers.get('etag'), await head.text()]).toEqual([200, '"1"', ''])
  })

  test('a write without wait is accepted, and says where its status is', async () => {
    const written = await put('/v1/kv/later', 'x')
    expect([written.status, written.body.status]).toEqual([202, 'pending'])
    const status = await ask('GET', `${written.headers.get('location')}?wait=1`)
    expect(status.body).toMatchObject({ txid: written.body.txid, status: 'confirmed' })
    expect((await ask('GET', `/v1/tx/${written.body.txid}`)).body).toMatchObject({
      status: 'confirmed',
      operations: [{ kind: 'put', key: 'later', value: 'x' }],
    })
    expect((await ask('GET', `/v1/tx/${written.body.txid}/status`)).body.status).toBe('confirmed')
  })

  test('expectations, by query and by header; history, older heights, deletion', async () => {
    const first = await put('/v1/kv/cas?ifAbsent=true&wait=1', 'one')
    expect(first.status).toBe(200)
    expect(told(await put('/v1/kv/cas', 'two', { 'if-none-match': '*' }))).toEqual([
      412,
      'refused',
      'expectation-failed',
    ])
    expect(told(await put('/v1/kv/cas?ifVersion=2', 'two'))).toEqual([412, 'refused', 'expectation-failed'])
    expect((await put('/v1/kv/cas?wait=1', 'two', { 'if-match': '"1"' })).status).toBe(200)
    const digest = (await ask('GET', '/v1/kv/cas')).body.valueDigest
    expect((await put(`/v1/kv/cas?ifDigest=${digest}&wait=1&access=open`, 'three')).status).toBe(200)
    const old = await ask('GET', `/v1/kv/cas?height=${first.body.height}`)
    expect(old.body).toMatchObject({ value: 'one', version: 1 })
    expect((await ask('DELETE', '/v1/kv/cas?ifVersion=3&wait=1')).status).toBe(200)
    expect(told(await ask('GET', '/v1/kv/cas'))).toEqual([404, 'not-found', null])
    const { versions } = (await ask('GET', '/v1/kv/cas/history?limit=3')).body as { versions: { value: unknown }[] }
    expect(versions.map(({ value }) => value)).toEqual([null, 'three', 'two'])
    expect((await ask('GET', '/v1/kv/cas/proof')).body).toMatchObject({ key: 'cas', claim: expect.any(String) })
  })

  test('a wait that ends too early says which transaction it was', async () => {
    const late = await put('/v1/kv/slow?wait=100000&timeoutMs=1', 'x')
    expect(told(late)).toEqual([504, 'timed-out', null])
    const { data } = late.body.error as { data: { txid: string } }
    expect((await ask('GET', `/v1/tx/${data.txid}/status?wait=1`)).body.status).toBe('confirmed')
  })

  test('operations in a body of JSON: batches, access, coins', async () => {
    const json = { 'content-type': 'application/json' }
    const send = (verb: string, path: string, body: object) =>
      ask(verb, path, { body: JSON.stringify(body), headers: json })
    const operations = [
      { op: 'put', key: 'batch/a', value: '1' },
      { op: 'put', key: 'batch/b', value: '2' },
    ]
    expect((await send('POST', '/v1/batch?wait=1', { operations })).body.status).toBe('confirmed')
    const keys = async (query: string) => {
      const { entries } = (await ask('GET', `/v1/scan?${query}`)).body as { entries: { key: string }[] }
      return entries.map(({ key }) => key)
    }
    expect(await keys('prefix=batch/')).toEqual(['batch/a', 'batch/b'])
    expect(await keys('prefix=batch/&after=batch/a&keysOnly=true&limit=1')).toEqual(['batch/b'])
    expect((await send('PUT', '/v1/kv/batch%2Fa/access?wait=1&ifVersion=1', { access: 'open' })).body.status).toBe(
      'confirmed',
    )
    expect((await ask('GET', '/v1/kv/batch%2Fa?minConfirmations=1&attackerShare=0.25')).body).toMatchObject({
      writers: 'open',
      reversal: { attackerShare: 0.25 },
    })
    const { account } = await daemon.status()
    expect((await send('POST', '/v1/send?wait=1', { to: account, amount: 1 })).body.status).toBe('confirmed')
    expect((await ask('GET', '/v1/fee?size=1000')).body).toMatchObject({ fee: expect.any(Number) })
    expect((await ask('GET', '/v1/reorgs')).body).toEqual({ reorgs: [] })
    const pending = await put('/v1/kv/pending', 'soon')
    expect((await ask('GET', '/v1/kv/pending?pending=true')).body).toMatchObject({
      value: 'soon',
      txid: pending.body.txid,
    })
    expect((await ask('GET', `/v1/tx/${pending.body.txid}/follow`)).body).toMatchObject({ state: expect.any(String) })
    expect((await ask('GET', `/v1/tx/${pending.body.txid}/status?wait=1`)).body.status).toBe('confirmed')
    expect(told(await send('POST', '/v1/batch', { operations: [], other: 1 }))).toEqual([
      400,
      'invalid-params',
      'other',
    ])
    expect(told(await send('POST', '/v1/batch', { operations: [] }))).toEqual([400, 'invalid-params', 'operations'])
    const deep = { body: `{"operations":${'['.repeat(50_000)}`, headers: json }
    expect(told(await ask('POST', '/v1/batch', deep))).toEqual([400, 'parse', null])
  })

  test('blocks, headers, balances, status, peers', async () => {
    const tip = await ask('GET', '/v1/blocks/tip')
    const { hash, height } = tip.body
    expect((await ask('GET', `/v1/blocks/${hash}`)).body).toMatchObject({ hash, height })
    expect((await ask('GET', `/v1/blocks/${height}`)).body).toMatchObject({ hash, height })
    const raw = expect.stringMatching(/^00000001[0-9a-f]{368,}$/)
    expect((await ask('GET', `/v1/blocks/${height}?raw=true`)).body).toMatchObject({ hash, raw })
    expect((await ask('GET', '/v1/headers?from=0&count=2')).body).toMatchObject({ from: 0, count: 2 })
    const status = await daemon.status()
    expect((await ask('GET', '/v1/status')).body).toMatchObject({ genesis: status.genesis, account: status.account })
    expect((await ask('GET', '/v1/peers')).body).toEqual({ peers: [] })
    const own = (await ask('GET', '/v1/balance')).body
    expect((await ask('GET', `/v1/balance/${status.account}`)).body.address).toBe(own.address)
  })
})

test('bans are made and lifted', async () => {
  const ban = await ask('PUT', '/v1/bans/192.0.2.0%2F24?seconds=60&reason=test')
  expect([ban.status, ban.body]).toMatchObject([200, { target: '192.0.2.0/24', by: 'operator', reason: 'test' }])
  expect((await ask('GET', '/v1/bans')).body).toEqual({ bans: [ban.body] })
  expect((await ask('DELETE', '/v1/bans/192.0.2.0%2F24')).body).toEqual({ lifted: true })
  expect((await ask('DELETE', '/v1/bans/192.0.2.0%2F24')).body).toEqual({ lifted: false })
  expect(told(await ask('PUT', '/v1/bans/example.org'))).toEqual([400, 'invalid-params', 'target'])
})

describe('bad requests', () => {
  test.each([
    ['GET', '/v1/kv/%ff', 400, 'bad-request', null],
    ['GET', '/v1/kv/%zz', 400, 'bad-request', null],
    ['GET', `/v1/kv/${'k'.repeat(513)}`, 400, 'invalid-params', 'key'],
    ['GET', `/v1/kv/${'k'.repeat(5000)}`, 400, 'bad-request', null],
    ['GET', '/v1/kv/', 400, 'invalid-params', 'key'],
    ['GET', '/v1/kv/xyz?keyEncoding=hex', 400, 'invalid-params', 'key'],
    ['GET', '/v1/kv/k?keyEncoding=latin1', 400, 'invalid-params', 'keyEncoding'],
    ['GET', '/v1/kv/k?height=-1', 400, 'invalid-params', 'height'],
    ['GET', '/v1/kv/k?height=1&height=2', 400, 'invalid-params', 'height'],
    ['GET', '/v1/kv/k?unknown=1', 400, 'invalid-params', 'unknown'],
    ['GET', '/v1/kv/k?__proto__=1', 400, 'invalid-params', '__proto__'],
    ['GET', '/v1/kv/nothing', 404, 'not-found', null],
    ['GET', '/v1/kv/nothing/history', 404, 'not-found', null],
    ['GET', '/v1/blocks/999999999', 404, 'not-found', null],
    ['GET', '/v1/blocks/latest', 400, 'invalid-params', 'hash'],
    ['GET', '/v1/blocks/tip?raw=yes', 400, 'invalid-params', 'raw'],
    ['GET', '/v1/blocks/tip?colour=red', 400, 'invalid-params', 'colour'],
    ['GET', `/v1/tx/${'0'.repeat(64)}`, 404, 'not-found', null],
    ['GET', '/v1/tx/xyz/status', 400, 'invalid-params', 'txid'],
    ['GET', '/v1/balance/kvdev1nonsense', 400, 'invalid-params', null],
    ['GET', '/v1/nothing', 404, 'no-such-path', null],
    ['PUT', '/v1/kv/k?wait=0', 400, 'invalid-params', 'wait'],
    ['PUT', '/v1/kv/k?wait=soon', 400, 'invalid-params', 'wait'],
    ['PUT', '/v1/kv/k?timeoutMs=5', 400, 'invalid-params', 'timeoutMs'],
    ['PUT', '/v1/kv/k?ifVersion=1&ifAbsent=true', 400, 'invalid-params', 'expect'],
    ['PUT', '/v1/kv/k?ifVersion=x', 400, 'invalid-params', 'ifVersion'],
    ['PUT', '/v1/kv/k?ifAbsent=yes', 400, 'invalid-params', 'ifAbsent'],
    ['PUT', '/v1/kv/k?access=nobody', 400, 'invalid-params', null],
    ['PUT', '/v1/kv/k?fee=much', 400, 'invalid-params', 'fee'],
    ['DELETE', '/v1/kv/nothing', 409, 'refused', 'no-entry'],
    ['POST', '/v1/kv/k', 405, 'bad-method', null],
    ['OPTIONS', '/v1/kv/k', 405, 'bad-method', null],
    ['POST', '/v1/tx', 415, 'media-type', null],
  ])('%s %s', async (verb, path, status, name, detail) => {
    const before = (await daemon.status()).mempool.transactions
    const answer = await ask(verb, path)
    expect(told(answer)).toEqual([status, name, detail])
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    if (status === 405) expect(answer.headers.get('allow')).toMatch(/GET/)
    expect((await daemon.status()).mempool.transactions).toBeLessThanOrEqual(before)
  })

  test('a transaction that is none, in each way of sending one', async () => {
    const json = { 'content-type': 'application/json' }
    const bytes = { 'content-type': 'application/octet-stream' }
    const submit = (body: string, headers: Record<string, string>) => ask('POST', '/v1/tx', { body, headers })
    expect(told(await submit('{"transaction":"00"}', json))[1]).toBe('invalid-params')
    expect(told(await submit('{"transaction":7}', json))).toEqual([400, 'invalid-params', 'transaction'])
    expect(told(await submit('[', json))).toEqual([400, 'parse', null])
    expect(told(await submit('[]', json))).toEqual([400, 'parse', null])
    expect(told(await submit('00', bytes))[1]).toBe('invalid-params')
  })

  test('a value over the bound is refused, however it is sent', async () => {
    expect(told(await put('/v1/kv/big', new Uint8Array(100_000)))[1]).toBe('refused')
    expect(told(await put('/v1/kv/big', new Uint8Array(3 << 20)))).toEqual([413, 'too-large', null])
    expect((await ask('GET', '/v1/status')).status).toBe(200)
  })
})

/** One event of a stream. */
interface StreamEvent {
  readonly id: string
  readonly event: string
  readonly data: Record<string, unknown>
}

/** Reads a stream of events until `isEnough`; then hangs up. */
async function follow(
  path: string,
  isEnough: (events: StreamEvent[]) => boolean,
  lastId?: string,
): Promise<StreamEvent[]> {
  const controller = new AbortController()
  const headers = { authorization: `Bearer ${token}`, ...(lastId === undefined ? {} : { 'last-event-id': lastId }) }
  const response = await fetch(`${url}${path}`, { headers, signal: controller.signal })
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
  const events: StreamEvent[] = []
  let text = ''
  let id = lastId ?? ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const frames = `${text}${chunk}`.split('\n\n')
    text = frames.pop() ?? ''
    for (const frame of frames) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(frame)?.[1]
      id = field('id') ?? id
      const [event, data] = [field('event'), field('data')]
      if (event !== undefined && data !== undefined) events.push({ id, event, data: JSON.parse(data) })
    }
    if (isEnough(events)) break
  }
  controller.abort()
  return events
}

describe('events', () => {
  test('of keys: put, delete; from a height on; nothing missed or told twice after hanging up', async () => {
    const first = await put('/v1/kv/watched%2Fa?wait=1', 'one')
    await put('/v1/kv/unwatched?wait=1', 'x')
    await put('/v1/kv/watched%2Fa?wait=1', 'two')
    const path = `/v1/events?prefix=watched/&fromHeight=${first.body.height}`
    const early = await follow(path, (events) => events.length >= 2)
    expect(early.map(({ event, data }) => [event, data.key, data.value])).toEqual([
      ['put', 'watched/a', 'one'],
      ['put', 'watched/a', 'two'],
    ])
    expect(early[0]?.data).toMatchObject({ txid: first.body.txid, height: first.body.height, version: 1 })
    const later = follow(path, (events) => events.length >= 2, early.at(-1)?.id)
    await ask('DELETE', '/v1/kv/watched%2Fa?wait=1')
    await put('/v1/kv/watched%2Fb?wait=1', 'three')
    expect((await later).map(({ event, data }) => [event, data.key])).toEqual([
      ['delete', 'watched/a'],
      ['put', 'watched/b'],
    ])
  })

  test('of the tip: each move, from where the client was', async () => {
    const moves = await follow('/v1/events/tips', (events) => events.length >= 3)
    const heights = moves.map(({ data }) => Number(data.height))
    expect(heights).toEqual([...heights].sort((a, b) => a - b))
    expect(moves.every(({ event, id, data }) => event === 'tip' && id === data.hash && data.reorgDepth === 0)).toBe(
      true,
    )
    const again = await follow('/v1/events/tips', (events) => events.length >= 1, moves[0]?.id)
    expect(Number(again[0]?.data.height)).toBeGreaterThan(heights[0] ?? 0)
  })

  test('what is wrong with a request is told before the stream begins', async () => {
    expect(told(await ask('GET', '/v1/events?key=a&prefix=b'))).toEqual([400, 'invalid-params', 'key'])
    expect(told(await ask('GET', '/v1/events?cursor=nonsense'))).toEqual([400, 'invalid-params', 'cursor'])
    expect(told(await ask('GET', '/v1/events?timeoutMs=1'))).toEqual([400, 'invalid-params', 'timeoutMs'])
    const unknown = { headers: { 'last-event-id': `0.${'ab'.repeat(32)}` } }
    expect(told(await ask('GET', '/v1/events', unknown))).toEqual([404, 'not-found', null])
    expect((await ask('GET', '/v1/status')).status).toBe(200)
  })

  test('streams beyond the bound are refused; those of callers who hang up are free again', async () => {
    const controller = new AbortController()
    const init = { headers: { authorization: `Bearer ${token}` }, signal: controller.signal }
    const open = await Promise.all(Array.from({ length: 64 }, () => fetch(`${url}/v1/events/tips`, init)))
    expect(open.every(({ status }) => status === 200)).toBe(true)
    expect(told(await ask('GET', '/v1/events'))).toEqual([503, 'busy', null])
    controller.abort()
    await daemon.waitFor(
      async () => (await follow('/v1/events/tips', ({ length }) => length > 0).catch(() => [])).length > 0,
      {
        what: 'a free stream',
      },
    )
  })
})

describe('figures', () => {
  test('are what the text format and its rules ask for, and follow what happens', async () => {
    const read = async () => readPrometheusText(await (await fetch(`${url}/metrics`)).text())
    const value = (families: Map<string, Family>, name: string, labels = {}) =>
      families.get(name)?.samples.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))?.value ?? 0
    const before = await read()
    const written = await put('/v1/kv/measured?wait=1', 'x')
    const after = await read()
    expect(value(after, 'kvchain_tip_height')).toBeGreaterThanOrEqual(Number(written.body.height))
    for (const name of [
      'kvchain_blocks_connected_total',
      'kvchain_transactions_connected_total',
      'kvchain_blocks_mined_total',
    ]) {
      expect(value(after, name)).toBeGreaterThan(value(before, name))
    }
    const call = { method: 'kv_put', outcome: 'ok' }
    expect(value(after, 'kvchain_rpc_calls_total', call)).toBe(value(before, 'kvchain_rpc_calls_total', call) + 1)
    expect(value(after, 'kvchain_data_bytes')).toBeGreaterThan(0)
    expect([...after.keys()].filter((name) => name.startsWith('kvchain_')).length).toBeGreaterThan(15)
    const response = await fetch(`${url}/metrics`)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  })

  test('the dashboard and the alert rules ask for nothing that is not there', async () => {
    const families = readPrometheusText(await (await fetch(`${url}/metrics`)).text())
    const known = [...families].flatMap(([name, { type }]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    )
    for (const file of ['grafana-dashboard.json', 'prometheus-alerts.yml']) {
      const text = await readFile(new URL(`../../../../configs/${file}`, import.meta.url), 'utf8')
      const asked = new Set(text.match(/\b(?:kvchain|process|nodejs)_[a-z0-9_]+/g))
      expect(asked.size).toBeGreaterThan(8)
      expect([...asked].filter((name) => !known.includes(name))).toEqual([])
    }
    const dashboard = JSON.parse(
      await readFile(new URL('../../../../configs/grafana-dashboard.json', import.meta.url), 'utf8'),
    )
    const ids = dashboard.panels.map(({ id }: { id: number }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

test.skipIf(!hasPython)('a client in Python, with its standard library alone', () => {
  const args = [pythonClient, url, join(daemon.dataDir, 'http.cookie')]
  const { stdout, stderr } = spawnSync('python3', args, { encoding: 'utf8' })
  expect(stderr).toBe('')
  const said = JSON.parse(stdout)
  expect(said).toMatchObject({
    put: [200, { status: 'confirmed' }],
    get: [200, '"1"', true],
    putAgain: [200, { status: 'confirmed' }],
    putStale: [412, { error: { name: 'refused', data: { rule: 'expectation-failed' } } }],
    old: [true],
    delete: [200, { status: 'confirmed' }],
    gone: 404,
    batch: [200, { status: 'confirmed' }],
    scan: [200, '0', '1', '2', '3', '4'],
    rpc: [200, { error: { code: -32001, data: { deleted: true } } }],
  })
  const [status, { versions }] = said.history
  expect([status, versions.map(({ value }: { value: unknown }) => value !== null)]).toEqual([200, [false, true, true]])
})

describe('the end', () => {
  test('a stop by HTTP is answered, then carried out; the next start makes a new token', async () => {
    const headers = { 'content-type': 'application/json' }
    const body = '{"jsonrpc":"2.0","id":1,"method":"node_stop"}'
    // Streams end with it, and keep nobody.
    const stream = await fetch(`${url}/v1/events`, { headers: { authorization: `Bearer ${token}` } })
    expect((await ask('POST', '/', { body, headers })).body.result).toEqual({ stopping: true })
    expect(await stream.text()).toMatch(/^retry: 1000\n\n/)
    expect(await daemon.exited()).toEqual({ code: 0, signal: null })
    const before = token
    await daemon.restart()
    await findDoor()
    expect(token).not.toBe(before)
    const old = await fetch(`${url}/v1/status`, { headers: { authorization: `Bearer ${before}` } })
    expect(old.status).toBe(401)
    expect((await ask('GET', '/v1/kv/later')).body.value).toBe('x')
  })
})
