/**
 * The HTTP server on a real port, spoken to by fetch and by raw sockets, with handlers of the test's own:
 * 1. who may come in: token, cookie, Host, Origin; what is open without; where it may listen;
 * 2. JSON-RPC: answers, batches, notifications, what is no JSON-RPC;
 * 3. bounds: body, headers, depth, a request that never ends, requests at once;
 * 4. callers who hang up, and stop while requests run.
 * Every bad request is told so in JSON, and the server goes on.
 */
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Handlers, METHOD_NAMES } from '@kvchain/client/contract'
import { KvError } from '@kvchain/core/errors'
import { Guard } from '@kvchain/node/http/guard'
import { Metrics } from '@kvchain/node/http/metrics'
import { HttpServer, type HttpServerOptions } from '@kvchain/node/http/server'
import { toRpcError } from '@kvchain/node/rpc/answers'
import { AbortError, OptionsError } from '@kvchain/node/runtime/errors'
import { Observers } from '@kvchain/node/runtime/observers'
import { silentLog, systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestLedger } from '../helpers/ledger.js'

const HASH = 'ab'.repeat(32)
const TIP = { height: 1, hash: HASH, chainwork: 'ff', stateRoot: HASH, timestampMs: 5 }

let folder: string
let servers: HttpServer[]
let ledger: TestLedger
let syncing: boolean

beforeAll(async () => {
  ledger = await TestLedger.open()
})

afterAll(() => ledger.close())

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvchain-http-'))
  servers = []
  syncing = false
})

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()))
  await rm(folder, { recursive: true })
})

/** A map of handlers in which only `some` do anything. */
function handlersWith(some: Partial<Handlers>): Handlers {
  const none = () => Promise.reject(new KvError('not-here', 'no such handler in this test'))
  const all = Object.fromEntries(METHOD_NAMES.map((name) => [name, none])) as unknown as Handlers
  return { ...all, chain_tip: async () => TIP, ...some }
}

function metricsOf({ chain, mempool }: TestLedger): Metrics {
  return new Metrics(
    { version: '1.2.3', network: 'test', dataDir: folder },
    {
      chain,
      mempool,
      miner: { active: false, solved: new Observers(silentLog) },
      reorgs: { reorgs: new Observers(silentLog) },
      hashRate: () => 5,
      isSyncing: () => syncing,
      directions: () => ['inbound'],
    },
  )
}

async function serve(some: Partial<Handlers> = {}, options: Partial<HttpServerOptions> = {}): Promise<HttpServer> {
  const server = new HttpServer(
    { host: '127.0.0.1', port: 0, allowRemote: false, dataDir: folder, ...options },
    {
      runtime: systemRuntime(),
      handlers: handlersWith(some),
      toRpcError,
      version: '1.2.3',
      metrics: metricsOf(ledger),
      chain: ledger.chain,
      health: { height: () => 7, isSyncing: () => syncing, peers: () => 2 },
    },
  )
  servers.push(server)
  await server.start()
  return server
}

async function tokenOf(server: HttpServer): Promise<string> {
  return (await readFile(server.tokenFile, 'utf8')).trim()
}

async function post(
  server: HttpServer,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
  path = '/rpc',
) {
  return fetch(`${server.url}${path}`, {
    method: 'POST',
    body,
    headers: { authorization: `Bearer ${await tokenOf(server)}`, 'content-type': 'application/json', ...headers },
  })
}

/** An answer: of JSON-RPC, or an error of ours. */
interface Answer {
  readonly id: unknown
  readonly result: unknown
  readonly error: { readonly code: number; readonly name: string; readonly message: string; readonly data: Data }
}
type Data = Readonly<Record<string, unknown>>

async function jsonOf(response: Response | Promise<Response>): Promise<Answer> {
  return (await (await response).json()) as Answer
}

const TIP_CALL = '{"jsonrpc":"2.0","id":1,"method":"chain_tip"}'

/** Sends bytes as they are; resolves with all that came until the server hung up. */
function raw(server: HttpServer, text: string): Promise<string> {
  const { hostname, port } = new URL(server.url)
  return new Promise((resolve, reject) => {
    const socket = createConnection(Number(port), hostname)
    let received = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      received += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
    socket.write(text)
  })
}

/** What a raw answer says: its status, and the name of the error in its body. */
function rawError(answer: string): { status: number; name: string } {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), name: JSON.parse(body).error.name }
}

async function expectError(response: Response, status: number, name: string): Promise<void> {
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
  const { error } = await jsonOf(response)
  expect({ status: response.status, name: error.name }).toEqual({ status, name })
  expect(typeof error.code).toBe('number')
  expect(error.message).toMatch(/^[^\n]+$/)
}

/** The value of one line of the figures, which are open on loopback. */
async function metric(server: HttpServer, line: string): Promise<string | undefined> {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  return text
    .split('\n')
    .find((each) => each.startsWith(`${line} `))
    ?.slice(line.length + 1)
}

async function expectAlive(server: HttpServer): Promise<void> {
  expect((await jsonOf(post(server, TIP_CALL))).result).toEqual(TIP)
}

describe('who may come in', () => {
  test('the token file is private, made anew at each start, and never written through a link', async () => {
    const elsewhere = join(folder, 'elsewhere')
    await writeFile(elsewhere, 'mine')
    await symlink(elsewhere, join(folder, 'http.cookie'))
    const first = await serve()
    const token = await tokenOf(first)
    expect(token).toMatch(/^[0-9a-f]{64}$/)
    expect((await stat(first.tokenFile)).mode & 0o777).toBe(0o600)
    expect(await readFile(elsewhere, 'utf8')).toBe('mine')
    await first.stop()
    expect(await tokenOf(await serve())).not.toBe(token)
  })

  test('a bearer token or a cookie lets in; none, a wrong one or another scheme does not', async () => {
    const server = await serve()
    const token = await tokenOf(server)
    const ask = (headers: Record<string, string>) =>
      fetch(server.url, { method: 'POST', body: TIP_CALL, headers: { 'content-type': 'application/json', ...headers } })
    expect((await ask({ authorization: `bearer ${token}` })).status).toBe(200)
    expect((await ask({ cookie: `a=b; kvchain_token=${token}; c=d` })).status).toBe(200)
    const wrong: Record<string, string>[] = [
      {},
      { authorization: `Bearer ${token.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))}` },
      { authorization: `Bearer ${token}0` },
      { authorization: `Basic ${token}` },
      { authorization: 'Bearer' },
      { cookie: `xkvchain_token=${token}` },
      { cookie: 'kvchain_token=' },
    ]
    for (const headers of wrong) {
      const response = await ask(headers)
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
      await expectError(response, 401, 'unauthorised')
    }
    expect(await metric(server, 'kvchain_rpc_calls_total{method="chain_tip",outcome="ok"}')).toBe('2')
    expect(await metric(server, 'kvchain_http_requests_total{verb="POST",route="/",status="401"}')).toBe('7')
    await expectAlive(server)
  })

  test('health and readiness are open; paths that do not exist are not told apart from others', async () => {
    const server = await serve()
    expect(await (await fetch(`${server.url}/healthz`)).json()).toEqual({ status: 'ok' })
    const ready = await fetch(`${server.url}/readyz`)
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, syncing: false, height: 7, peers: 2 }])
    syncing = true
    const behind = await fetch(`${server.url}/readyz`)
    expect([behind.status, await behind.json()]).toEqual([503, { ready: false, syncing: true, height: 7, peers: 2 }])
    await expectError(await fetch(`${server.url}/nothing`), 401, 'unauthorised')
    const authorization = `Bearer ${await tokenOf(server)}`
    await expectError(await fetch(`${server.url}/nothing`, { headers: { authorization } }), 404, 'no-such-path')
  })

  test.each([
    ['a foreign name', 'evil.example:PORT'],
    ['a name that begins like ours', 'localhost.evil.example:PORT'],
    ['another port', 'localhost:1'],
    ['no port', '127.0.0.1'],
    ['another address', '192.0.2.1:PORT'],
    ['nonsense', '127.0.0.1:PORT:PORT'],
    ['nothing', ''],
  ])('a Host header with %s is refused, whoever asks', async (_, host) => {
    const server = await serve()
    const { port } = new URL(server.url)
    const head = `GET /healthz HTTP/1.1\r\nHost: ${host.replaceAll('PORT', port)}\r\nConnection: close\r\n\r\n`
    expect(rawError(await raw(server, head))).toEqual({ status: 403, name: 'forbidden' })
    await expectAlive(server)
  })

  test('a request without a Host header is refused; ours in each spelling is not', async () => {
    const server = await serve()
    const { port } = new URL(server.url)
    expect(rawError(await raw(server, 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n')).status).toBe(403)
    for (const host of [`localhost:${port}`, `LocalHost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
      const answer = await raw(server, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      expect(answer.split('\r\n')[0]).toBe('HTTP/1.1 200 OK')
    }
  })

  test('an Origin must be our own; no answer ever lets another site read it', async () => {
    const server = await serve()
    const own = await post(server, TIP_CALL, { origin: server.url })
    expect(own.status).toBe(200)
    for (const origin of ['http://evil.example', 'null', server.url.replace('http', 'https'), 'http://127.0.0.1:1']) {
      const response = await post(server, TIP_CALL, { origin })
      expect(response.headers.get('access-control-allow-origin')).toBeNull()
      await expectError(response, 403, 'forbidden')
    }
    const authorization = `Bearer ${await tokenOf(server)}`
    const preflight = await fetch(`${server.url}/rpc`, {
      method: 'OPTIONS',
      headers: { authorization, 'access-control-request-method': 'POST' },
    })
    expect(preflight.ok).toBe(false)
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('an address that others reach needs a word from the operator; then any address is a good Host, a foreign name never', async () => {
    await expect(serve({}, { host: '0.0.0.0' })).rejects.toThrow(/--http-allow-remote/)
    const server = await serve({}, { host: '0.0.0.0', allowRemote: true })
    const near = server.url.replace('0.0.0.0', '127.0.0.1')
    expect((await fetch(`${near}/healthz`)).status).toBe(200)
    // What is figures for this machine alone is not for others.
    await expectError(await fetch(`${near}/metrics`), 401, 'unauthorised')
    const guard = new Guard({ token: 'x', host: '0.0.0.0', port: 80 })
    for (const host of ['192.0.2.7:9000', '[2001:db8::1]', 'localhost'])
      expect(() => guard.checkSource({ host })).not.toThrow()
    for (const host of ['evil.example', '']) expect(() => guard.checkSource({ host })).toThrow(/Host/)
  })

  test('a port in use is one clear error', async () => {
    const server = await serve()
    const port = Number(new URL(server.url).port)
    await expect(serve({}, { port })).rejects.toThrow(OptionsError)
    await expectAlive(server)
  })
})

describe('JSON-RPC', () => {
  test('single calls, batches and notifications, at both paths', async () => {
    const server = await serve()
    for (const path of ['/', '/rpc']) {
      expect(await (await post(server, TIP_CALL, {}, path)).json()).toEqual({ jsonrpc: '2.0', id: 1, result: TIP })
    }
    const batch = await post(
      server,
      `[${TIP_CALL},{"jsonrpc":"2.0","method":"chain_tip"},{"jsonrpc":"2.0","id":"b"},7]`,
    )
    expect(((await batch.json()) as Partial<Answer>[]).map(({ id, error }) => [id, error?.code])).toEqual([
      [1, undefined],
      ['b', -32600],
      [null, -32600],
    ])
    const silent = await post(server, '{"jsonrpc":"2.0","method":"chain_tip"}')
    expect([silent.status, await silent.text()]).toEqual([204, ''])
  })

  test('errors of methods are answers', async () => {
    const server = await serve()
    const ask = async (body: string) => {
      const response = await post(server, body)
      return [response.status, (await jsonOf(response)).error.data.name]
    }
    expect(await ask('{"jsonrpc":"2.0","id":1,"method":"nope"}')).toEqual([200, 'unknown-method'])
    expect(await ask('{"jsonrpc":"2.0","id":1,"method":"kv_get"}')).toEqual([200, 'invalid-params'])
    expect(await ask('{"jsonrpc":"2.0","id":1,"method":"net_peers"}')).toEqual([200, 'internal'])
    for (const call of [
      'unknown",outcome="unknown-method',
      'kv_get",outcome="invalid-params',
      'net_peers",outcome="internal',
    ]) {
      expect(await metric(server, `kvchain_rpc_calls_total{method="${call}"}`)).toBe('1')
    }
  })

  test.each([
    ['no JSON', '{"jsonrpc":', -32700],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22]), -32700],
    ['nothing', '', -32700],
    ['JSON that is too deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, -32700],
    ['an empty batch', '[]', -32600],
    ['a batch that is too long', JSON.stringify(Array(101).fill(1)), -32600],
  ])('%s is told so', async (_, body, code) => {
    const server = await serve()
    const response = await post(server, body)
    expect((await jsonOf(response)).error.code).toBe(code)
    await expectAlive(server)
  })

  test('another type of body is refused: a page of another site may send it unasked', async () => {
    const server = await serve()
    await expectError(await post(server, TIP_CALL, { 'content-type': 'text/plain' }), 415, 'media-type')
    expect((await post(server, TIP_CALL, { 'content-type': 'application/json; charset=utf-8' })).status).toBe(200)
  })
})

describe('bounds', () => {
  test('a body over the bound is refused, with its length announced or not', async () => {
    const server = await serve({}, { maxBodyBytes: 1000 })
    await expectError(await post(server, 'x'.repeat(1001)), 413, 'too-large')
    const token = await tokenOf(server)
    const { host } = new URL(server.url)
    const head = `POST /rpc HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`
    const chunked = await raw(
      server,
      `${head}Transfer-Encoding: chunked\r\n\r\n3e9\r\n${'x'.repeat(1001)}\r\n0\r\n\r\n`,
    )
    expect(rawError(chunked)).toEqual({ status: 413, name: 'too-large' })
    await expectAlive(server)
  })

  test('an answer over the bound is an error of its own', async () => {
    const server = await serve({}, { maxAnswerBytes: 300 })
    expect((await jsonOf(post(server, TIP_CALL))).result).toEqual(TIP)
    const answer = await jsonOf(post(server, `[${TIP_CALL},${TIP_CALL}]`))
    expect(answer.error.data.rule).toBe('answer-size')
  })

  test('a request that never ends, headers that never end, and too many headers are cut off', async () => {
    const server = await serve({}, { requestTimeoutMs: 400 })
    const { host } = new URL(server.url)
    const head = `POST /rpc HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${await tokenOf(server)}\r\n`
    const slowBody = `${head}Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"json`
    expect(rawError(await raw(server, slowBody))).toEqual({ status: 408, name: 'too-slow' })
    expect(rawError(await raw(server, 'GET / HTTP/1.1\r\nHost:'))).toEqual({ status: 408, name: 'too-slow' })
    expect(rawError(await raw(server, `${head}X: ${'y'.repeat(20_000)}\r\n\r\n`)).status).toBe(431)
    await expectAlive(server)
  })

  test('what is no HTTP is told so', async () => {
    const server = await serve()
    for (const text of [
      'hello\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\x00',
      '{"jsonrpc":"2.0","id":1,"method":"chain_tip"}\n',
    ]) {
      expect(rawError(await raw(server, text))).toEqual({ status: 400, name: 'bad-request' })
    }
    await expectAlive(server)
  })

  test('with as many requests under way as may be, the next one is told to come again', async () => {
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const server = await serve({ net_peers: () => gate.then(() => ({ peers: [] })) }, { maxRequests: 2 })
    const slow = [1, 2].map((id) => post(server, `{"jsonrpc":"2.0","id":${id},"method":"net_peers"}`))
    // Both are in once a third is refused; a probe that came before them was answered, and is asked again.
    let refused = await post(server, TIP_CALL)
    while (refused.status === 200) refused = await post(server, TIP_CALL)
    expect(refused.headers.get('retry-after')).toBe('1')
    await expectError(refused, 503, 'busy')
    release()
    expect((await Promise.all(slow)).map(({ status }) => status)).toEqual([200, 200])
    await expectAlive(server)
  })
})

describe('ends', () => {
  /** A handler that waits until it is called off, and says when it began. */
  function waiting() {
    let onBegin = () => {}
    const begun = new Promise<void>((resolve) => {
      onBegin = resolve
    })
    let onEnd = () => {}
    const ended = new Promise<void>((resolve) => {
      onEnd = resolve
    })
    const handler: Handlers['net_peers'] = (_, { signal }) =>
      new Promise((_resolve, reject) => {
        onBegin()
        signal.addEventListener('abort', () => {
          onEnd()
          reject(new AbortError('a wait'))
        })
      })
    return { handler, begun, ended }
  }

  const WAIT_CALL = '{"jsonrpc":"2.0","id":1,"method":"net_peers"}'

  test('a caller who hangs up calls his request off', async () => {
    const { handler, begun, ended } = waiting()
    const server = await serve({ net_peers: handler })
    const controller = new AbortController()
    const headers = { authorization: `Bearer ${await tokenOf(server)}`, 'content-type': 'application/json' }
    const request = fetch(server.url, { method: 'POST', body: WAIT_CALL, headers, signal: controller.signal })
    await begun
    controller.abort()
    await expect(request).rejects.toThrow()
    await ended
    await expectAlive(server)
  })

  test('stop answers what is under way, then hangs up on everybody, idle callers too', async () => {
    const { handler, begun } = waiting()
    const server = await serve({ net_peers: handler })
    await expectAlive(server)
    const request = post(server, WAIT_CALL)
    await begun
    await server.stop()
    const response = await request
    expect([response.status, (await jsonOf(response)).error.data.name]).toEqual([200, 'unavailable'])
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow()
  })

  test('stop waits for nobody who does not finish sending', async () => {
    const server = await serve()
    const { host } = new URL(server.url)
    const head = `POST /rpc HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${await tokenOf(server)}\r\n`
    const stuck = raw(server, `${head}Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{`).catch(
      () => 'reset',
    )
    await expectAlive(server)
    await server.stop()
    await stuck
  })
})
