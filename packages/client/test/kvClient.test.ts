/**
 * KvClient over a Unix socket, against the daemon's own RPC server with small handlers:
 * 1. what the friendly methods send, and what they make of the answers;
 * 2. many requests on one connection, answered out of order; batches;
 * 3. errors: the daemon's, the contract's, nobody there, somebody else there, connection lost and made again, time, calling off.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Handlers, Params } from '@kvchain/client/contract'
import type { KvEntry } from '@kvchain/client/contract/kv'
import type { TxStatus } from '@kvchain/client/contract/tx'
import { KvClient } from '@kvchain/client/kvClient'
import { keyParams } from '@kvchain/client/requests'
import { UnixTransport, type UnixTransportOptions } from '@kvchain/client/unixTransport'
import { KvError } from '@kvchain/core/errors'
import { RpcServer } from '@kvchain/node/rpc/socketServer'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const HASH = 'ab'.repeat(32)
const TIP = { height: 7, hash: HASH }

let folder: string
let path: string
let closers: (() => Promise<void>)[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvchain-client-'))
  path = join(folder, 'kvchain.sock')
  closers = []
})

afterEach(async () => {
  for (const close of closers.reverse()) await close()
  await rm(folder, { recursive: true })
})

/** A store in a map: small, and real enough to be asked. */
function makeHandlers(): Handlers & {
  puts: Params<'kv_put'>[]
  waits: Params<'tx_wait'>[]
  pages: Params<'chain_headers'>[]
  mostHeaders: number
  status: TxStatus
} {
  const entries = new Map<string, KvEntry>()
  const refuse = async () => {
    throw new KvError('no-entry', 'there is nothing under the key', { operation: 0 })
  }
  const handlers = {
    puts: [] as Params<'kv_put'>[],
    waits: [] as Params<'tx_wait'>[],
    pages: [] as Params<'chain_headers'>[],
    mostHeaders: 10_000,
    status: { txid: HASH, status: 'confirmed', height: 7, blockHash: HASH, confirmations: 1 } as TxStatus,
    kv_put: async (params: Params<'kv_put'>) => {
      handlers.puts.push(params)
      const { key, keyEncoding = 'utf8', value, encoding } = params
      entries.set(`${keyEncoding} ${key}`, {
        key,
        keyEncoding,
        value,
        encoding: encoding === 'base64' ? 'base64' : 'utf8',
        version: 1,
        height: 7,
        blockHash: HASH,
        confirmations: 1,
        settled: false,
        reversal: { attackerShare: 0.1, probability: 0.2 },
        owner: 'kv1x',
        writers: 'private' as const,
        txid: HASH,
        valueDigest: HASH,
        tip: TIP,
      })
      return { txid: HASH, accountNonce: handlers.puts.length - 1, status: 'pending' as const }
    },
    kv_delete: refuse,
    kv_access: refuse,
    kv_get: async ({ key, keyEncoding = 'utf8' }: Params<'kv_get'>) => {
      const entry = entries.get(`${keyEncoding} ${key}`)
      if (entry === undefined) throw new KvError('not-found', 'there is nothing under the key', { ...TIP })
      return entry
    },
    kv_history: async ({ key, limit = 100 }: Params<'kv_history'>) => {
      // The larger the limit, the later the answer: answers come in another order than requests.
      for (let turn = 0; turn < limit; turn++) await new Promise((resolve) => setImmediate(resolve))
      return { key, keyEncoding: 'utf8' as const, versions: [], tip: TIP }
    },
    kv_prove: async ({ key, fromGenesis }: Params<'kv_prove'>) => ({
      key,
      keyEncoding: 'utf8' as const,
      kind: 'entry' as const,
      claim: 'absent' as const,
      height: 9,
      blockHash: HASH,
      confirmations: 1,
      tip: TIP,
      proof: 'AQID',
      size: fromGenesis ? 8 : 3,
      ...(fromGenesis ? { missing: { from: 20, count: 40_000 } } : {}),
    }),
    chain_headers: async (params: Params<'chain_headers'>) => {
      handlers.pages.push(params)
      const count = Math.min(params.count ?? 0, handlers.mostHeaders)
      return { from: params.from, count, headers: count === 0 ? '' : 'BA==', tip: TIP }
    },
    coin_send: refuse,
    coin_balance: async ({ address = 'kv1me' }: Params<'coin_balance'>) => ({
      address,
      balance: 5,
      accountNonce: 0,
      nextNonce: 0,
      tip: TIP,
    }),
    tx_submit: refuse,
    tx_status: async () => handlers.status,
    tx_wait: async (params: Params<'tx_wait'>, { signal }: { signal: AbortSignal }) => {
      handlers.waits.push(params)
      if (handlers.status.status !== 'pending') return handlers.status
      return new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    },
    tx_get: refuse,
    chain_tip: async () => ({ ...TIP, chainwork: '01', stateRoot: HASH, timestampMs: 1 }),
    chain_block: refuse,
    node_status: refuse,
    net_peers: async () => ({ peers: [] }),
    net_bans: async () => ({ bans: [] }),
    net_ban: refuse,
    net_unban: refuse,
    node_backup: async ({ path }: Params<'node_backup'>) => ({ path, records: 3, headers: 1, bytes: 100 }),
    node_stop: async () => ({ stopping: true as const }),
    'rpc.discover': refuse,
    kv_batch: refuse,
    kv_scan: refuse,
    kv_watch: refuse,
    coin_fee: refuse,
    tx_follow: refuse,
    chain_reorgs: refuse,
    tx_pending: refuse,
  }
  return handlers
}

async function serve(handlers: Handlers): Promise<RpcServer> {
  const server = new RpcServer(
    { socketPath: path },
    {
      runtime: systemRuntime(),
      handlers,
      toRpcError: (error) =>
        error.code === 'not-found'
          ? { name: 'not-found', message: error.message, data: error.data }
          : { name: 'refused', message: error.message, data: { ...error.data, rule: error.code } },
    },
  )
  await server.start()
  closers.push(() => server.stop())
  return server
}

function connect(options: Partial<UnixTransportOptions> = {}): KvClient {
  const client = new KvClient(new UnixTransport({ path, ...options }))
  closers.push(() => client.close())
  return client
}

/** Somebody on the socket who is no daemon. */
async function impostor(onLine: (socket: Socket, line: string) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => onLine(socket, chunk.toString()))
  })
  closers.push(() => new Promise((resolve) => server.close(() => resolve())))
  await new Promise<void>((resolve) => server.listen({ path }, resolve))
  return server
}

describe('friendly methods', () => {
  test('put and get texts and bytes', async () => {
    const handlers = makeHandlers()
    await serve(handlers)
    const client = connect()
    expect(await client.put('k', 'v', { fee: 3, expect: { absent: true }, access: 'open' })).toMatchObject({
      txid: HASH,
    })
    expect(handlers.puts[0]).toEqual({
      key: 'k',
      keyEncoding: 'utf8',
      value: 'v',
      encoding: 'utf8',
      fee: 3,
      expect: { absent: true },
      access: 'open',
    })
    expect(await client.get('k')).toMatchObject({ value: 'v', encoding: 'utf8', tip: TIP })
    await client.put(new Uint8Array([0xff]), new Uint8Array([0xfe]))
    expect(await client.get(new Uint8Array([0xff]))).toMatchObject({ value: '/g==', encoding: 'base64' })
    expect(await client.get('absent')).toBeUndefined()
    expect(keyParams(new TextEncoder().encode('plain'))).toEqual({ key: 'plain', keyEncoding: 'utf8' })
  })

  test('waitFor tells a confirmed write from one that never will be', async () => {
    const handlers = makeHandlers()
    await serve(handlers)
    const client = connect()
    expect(await client.waitFor(HASH, { confirmations: 2, timeoutMs: 1234 })).toEqual(handlers.status)
    expect(handlers.waits).toEqual([{ txid: HASH, confirmations: 2, timeoutMs: 1234 }])
    handlers.status = { txid: HASH, status: 'failed', outcome: { code: 'not-owner', operation: 0 } }
    await expect(client.waitFor(HASH)).rejects.toMatchObject({
      code: 'failed',
      data: { txid: HASH, status: 'failed', rule: 'not-owner', operation: 0 },
    })
    handlers.status = { txid: HASH, status: 'dropped', reason: 'expired' }
    await expect(client.waitFor(HASH)).rejects.toMatchObject({ code: 'failed', data: { reason: 'expired' } })
  })

  test('prove puts a proof together from as many answers as it takes', async () => {
    const handlers = makeHandlers()
    await serve(handlers)
    const client = connect()
    const { file, ...about } = await client.prove('k')
    expect([...file]).toEqual([1, 2, 3])
    expect(about).toEqual({
      ...{ key: 'k', keyEncoding: 'utf8', kind: 'entry', claim: 'absent' },
      ...{ height: 9, blockHash: HASH, confirmations: 1, tip: TIP, size: 3 },
    })
    expect(handlers.pages).toEqual([])
    await expect(client.prove('k', { fromGenesis: true })).rejects.toMatchObject({ code: 'bad-answer' })
    const page = (from: number, count: number) => ({ from, count, tip: HASH })
    expect(handlers.pages).toEqual([page(20, 16_384), page(10_020, 16_384), page(20_020, 16_384), page(30_020, 10_000)])
    handlers.pages.length = 0
    handlers.mostHeaders = 8_000
    expect([...(await client.prove('k', { fromGenesis: true })).file]).toEqual([1, 2, 3, 4, 4, 4, 4, 4])
    expect(handlers.pages.at(-1)).toEqual(page(32_020, 8_000))
    handlers.mostHeaders = 0
    await expect(client.prove('k', { fromGenesis: true })).rejects.toMatchObject({ code: 'bad-answer' })
  })

  test('the others', async () => {
    await serve(makeHandlers())
    const client = connect()
    expect(await client.balance()).toMatchObject({ address: 'kv1me', balance: 5 })
    expect(await client.balance('kv1you')).toMatchObject({ address: 'kv1you' })
    expect(await client.history('k', { limit: 1, before: 5 })).toMatchObject({ versions: [] })
    expect(await client.peers()).toEqual([])
    await client.stop()
    await expect(client.delete('k')).rejects.toMatchObject({
      code: 'refused',
      rpcCode: -32002,
      data: { rule: 'no-entry' },
    })
    await expect(client.send('kv1x', 1)).rejects.toMatchObject({ code: 'refused' })
    await expect(client.status()).rejects.toMatchObject({ code: 'refused' })
    await expect(client.block(3)).rejects.toMatchObject({ code: 'refused' })
    await expect(client.tx(HASH)).rejects.toMatchObject({ code: 'refused' })
  })
})

describe('one connection', () => {
  test('carries many requests at once, each answered to whoever asked', async () => {
    await serve(makeHandlers())
    const client = connect()
    const finished: string[] = []
    const keys = Array.from({ length: 500 }, (_, index) => `key-${index}`)
    await Promise.all(
      keys.map(async (key, index) => {
        const answer = await client.history(key, { limit: 1 + ((index * 7) % 10) })
        expect(answer.key).toBe(key)
        finished.push(key)
      }),
    )
    expect(finished).not.toEqual(keys)
    expect([...finished].sort()).toEqual([...keys].sort())
  })

  test('carries batches: one answer for each call, errors apart', async () => {
    await serve(makeHandlers())
    const client = connect()
    const answers = await client.batch([
      { method: 'kv_history', params: { key: 'slow', limit: 9 } },
      { method: 'kv_get', params: { key: 'absent' } },
      { method: 'coin_balance', params: {} },
    ])
    expect(answers).toEqual([
      { ok: true, result: expect.objectContaining({ key: 'slow' }) },
      { ok: false, error: expect.objectContaining({ code: 'not-found', data: { ...TIP, name: 'not-found' } }) },
      { ok: true, result: expect.objectContaining({ balance: 5 }) },
    ])
    expect(await client.batch([])).toEqual([])
    const tooMany = await client.batch(
      Array.from({ length: 101 }, () => ({ method: 'chain_tip', params: {} }) as const),
    )
    expect(tooMany).toHaveLength(101)
    expect(tooMany[0]).toMatchObject({ ok: false, error: { code: 'invalid-request' } })
  })

  test('is made again after it was lost', async () => {
    const server = await serve(makeHandlers())
    const client = connect()
    await client.balance()
    await server.stop()
    await expect(client.balance()).rejects.toMatchObject({ code: expect.stringMatching(/no-daemon|connection-lost/) })
    await serve(makeHandlers())
    expect(await client.balance()).toMatchObject({ balance: 5 })
  })

  test('is not given up for a call because an attempt from before the call failed', async () => {
    const transport = new UnixTransport({ path })
    const call = () => transport.request({ method: 'coin_balance', params: {} })
    const early = call()
    const listening = impostor((socket, line) => {
      for (const request of line.trim().split('\n')) {
        socket.write(`{"jsonrpc":"2.0","id":${JSON.parse(request).id},"result":"here"}\n`)
      }
    })
    closers.push(() => transport.close())
    const late = [call(), call()]
    await expect(early).rejects.toMatchObject({ code: 'no-daemon', data: { errno: 'ENOENT' } })
    expect(await Promise.all(late)).toEqual(['here', 'here'])
    await listening
  })
})

describe('errors', () => {
  test('what does not fit the contract is not sent', async () => {
    const handlers = makeHandlers()
    await serve(handlers)
    const client = connect()
    await expect(client.put('', 'v')).rejects.toMatchObject({ code: 'bad-params', data: { field: 'key' } })
    await expect(client.put('k', '\ud800')).rejects.toMatchObject({ code: 'bad-params', data: { field: 'value' } })
    await expect(client.put('k', 'x'.repeat(3 << 20))).rejects.toMatchObject({ code: 'line-too-long' })
    expect(handlers.puts).toEqual([])
    expect(await client.balance()).toMatchObject({ balance: 5 })
  })

  test('nobody there', async () => {
    await expect(connect().balance()).rejects.toMatchObject({ code: 'no-daemon', data: { path, errno: 'ENOENT' } })
    await writeFile(path, '')
    await expect(connect().balance()).rejects.toMatchObject({ code: 'no-daemon', data: { errno: 'ECONNREFUSED' } })
    await expect(connect({ path: `/${'x'.repeat(200)}` }).balance()).rejects.toMatchObject({ code: 'socket-path' })
  })

  test.each([
    ['no JSON', 'hello\n'],
    ['no answer', '5\n'],
    ['no id', '{"jsonrpc":"2.0","result":1}\n'],
    ['an error that is none', '{"jsonrpc":"2.0","id":1,"error":"x"}\n'],
    ['a result of another shape', '{"jsonrpc":"2.0","id":1,"result":{"balance":"x"}}\n'],
    ['neither result nor error', '{"jsonrpc":"2.0","id":1}\n'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x0a])],
  ])('somebody who sends %s', async (_name, answer) => {
    await impostor((socket) => socket.write(answer))
    await expect(connect().balance()).rejects.toMatchObject({ code: 'bad-answer' })
  })

  test('somebody who never ends his line', async () => {
    await impostor((socket) => socket.write('x'.repeat(5000)))
    await expect(connect({ maxAnswerBytes: 1000 }).balance()).rejects.toMatchObject({ code: 'line-too-long' })
  })

  test('an error of an unknown code is internal; one to nobody ends the connection for all', async () => {
    await impostor((socket, line) =>
      socket.write(
        line.includes('kv_get')
          ? '{"jsonrpc":"2.0","id":null,"error":{"code":-32004,"message":"full"}}\n'
          : '{"jsonrpc":"2.0","id":1,"error":{"code":-99,"message":"?","data":{"name":"toString"}}}\n',
      ),
    )
    await expect(connect().balance()).rejects.toMatchObject({ code: 'internal', message: '?' })
    const client = connect()
    const both = await Promise.allSettled([client.get('a'), client.get('b')])
    expect(both).toEqual([
      { status: 'rejected', reason: expect.objectContaining({ code: 'busy' }) },
      { status: 'rejected', reason: expect.objectContaining({ code: 'busy' }) },
    ])
  })

  test('a connection that ends before the answer', async () => {
    await impostor((socket) => socket.destroy())
    await expect(connect().balance()).rejects.toMatchObject({ code: 'connection-lost' })
  })

  test('time, calling off, closing: the others go on', async () => {
    const handlers = makeHandlers()
    handlers.status = { txid: HASH, status: 'pending' }
    await serve(handlers)
    const client = connect()
    const controller = new AbortController()
    const aborted = client.call('tx_wait', { txid: HASH }, { signal: controller.signal })
    await expect(client.call('tx_wait', { txid: HASH }, { timeoutMs: 10 })).rejects.toMatchObject({ code: 'timed-out' })
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' })
    await expect(client.balance(undefined, { signal: controller.signal })).rejects.toMatchObject({ code: 'aborted' })
    expect(await client.balance()).toMatchObject({ balance: 5 })
    const waiting = client.call('tx_wait', { txid: HASH })
    const closing = expect(waiting).rejects.toMatchObject({ code: 'closed' })
    await client.balance()
    await client.close()
    await closing
    await expect(client.balance()).rejects.toMatchObject({ code: 'closed' })
  })

  test('one signal for many requests, without a warning', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    try {
      const handlers = makeHandlers()
      handlers.status = { txid: HASH, status: 'pending' }
      await serve(handlers)
      const client = connect()
      const controller = new AbortController()
      const waits = Array.from({ length: 50 }, () =>
        client.call('tx_wait', { txid: HASH }, { signal: controller.signal }),
      )
      await client.balance()
      controller.abort()
      for (const wait of await Promise.allSettled(waits)) {
        expect(wait).toMatchObject({ status: 'rejected', reason: { code: 'aborted' } })
      }
      await client.balance()
      expect(warnings).toEqual([])
    } finally {
      process.removeListener('warning', onWarning)
    }
  })

  test('a stop while a request waits is told', async () => {
    const handlers = makeHandlers()
    handlers.status = { txid: HASH, status: 'pending' }
    const server = await serve(handlers)
    const client = connect()
    const waiting = expect(client.call('tx_wait', { txid: HASH })).rejects.toMatchObject({ code: 'unavailable' })
    await client.balance()
    await server.stop()
    await waiting
  })

  test('too many that wait', async () => {
    const handlers = makeHandlers()
    handlers.status = { txid: HASH, status: 'pending' }
    await serve(handlers)
    const client = connect({ maxPending: 2 })
    const waits = Promise.allSettled([1, 2].map(() => client.call('tx_wait', { txid: HASH })))
    await expect(client.balance()).rejects.toMatchObject({ code: 'busy' })
    await client.close()
    await waits
  })
})
