/**
 * The RPC server on a real Unix socket, spoken to in bytes:
 * 1. what is no JSON-RPC gets the code that the specification says, and the connection goes on;
 * 2. bounds: depth, line, batch, answers, requests at once and in a second, callers (idle ones make room), a caller who does not read;
 * 3. errors of handlers: typed ones as mapped, others without a word of what they were;
 * 4. the socket file: modes, a stale one, one in use, one that is none; gone after stop;
 * 5. stop while requests run; callers who hang up.
 */
import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Handlers, METHOD_NAMES } from '@kvchain/client/contract'
import { KvError } from '@kvchain/core/errors'
import { RpcServer, type RpcServerOptions } from '@kvchain/node/rpc/socketServer'
import { BusyError, OptionsError } from '@kvchain/node/runtime/errors'
import { type Log, silentLog, systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const HASH = 'ab'.repeat(32)
const TIP = { height: 1, hash: HASH, chainwork: 'ff', stateRoot: HASH, timestampMs: 5 }

let folder: string
let socketPath: string
let servers: RpcServer[]
let callers: Caller[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvchain-rpc-'))
  socketPath = join(folder, 'data', 'kvchain.sock')
  servers = []
  callers = []
})

afterEach(async () => {
  for (const caller of callers) caller.socket.destroy()
  await Promise.all(servers.map((server) => server.stop()))
  await rm(folder, { recursive: true })
})

/** A map of handlers in which only `some` do anything. */
function handlersWith(some: Partial<Handlers>): Handlers {
  const none = () => Promise.reject(new KvError('not-here', 'no such handler in this test'))
  const all = Object.fromEntries(METHOD_NAMES.map((name) => [name, none])) as unknown as Handlers
  return {
    ...all,
    chain_tip: async () => TIP,
    net_peers: async () => ({ peers: [] }),
    ...some,
  }
}

async function serve(some: Partial<Handlers> = {}, options: Partial<RpcServerOptions> = {}, log: Log = silentLog) {
  const server = new RpcServer(
    { socketPath, ...options },
    {
      runtime: systemRuntime(log),
      handlers: handlersWith(some),
      toRpcError: (error) =>
        error instanceof BusyError
          ? { name: 'busy', message: error.message, data: error.data }
          : { name: 'refused', message: error.message, data: { ...error.data, rule: error.code } },
    },
  )
  servers.push(server)
  await server.start()
  return server
}

/** Writes bytes and reads lines. */
class Caller {
  private readonly lines: string[] = []
  private text = ''
  private wake: () => void = () => {}
  private closed = false

  constructor(readonly socket: Socket) {
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      const parts = (this.text + chunk).split('\n')
      this.text = parts.pop() ?? ''
      this.lines.push(...parts.filter((line) => line !== ''))
      this.wake()
    })
    const onEnd = () => {
      this.closed = true
      this.wake()
    }
    socket.on('error', onEnd)
    socket.on('end', onEnd)
    socket.on('close', onEnd)
  }

  send(...lines: string[]): void {
    this.socket.write(lines.map((line) => `${line}\n`).join(''))
  }

  /** The next answer, or undefined when the connection ended. */
  async next(): Promise<unknown> {
    while (this.lines.length === 0 && !this.closed) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    const line = this.lines.shift()
    return line === undefined ? undefined : JSON.parse(line)
  }

  async nextCode(): Promise<unknown> {
    const answer = await this.next()
    return answer && typeof answer === 'object' && 'error' in answer
      ? { id: 'id' in answer ? answer.id : 'none', ...pick(answer.error) }
      : answer
  }
}

function pick(error: unknown): object {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('data' in error)) return {}
  const { data } = error
  return { code: error.code, name: typeof data === 'object' && data !== null && 'name' in data ? data.name : 'none' }
}

async function call(): Promise<Caller> {
  const socket = createConnection({ path: socketPath, allowHalfOpen: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  const caller = new Caller(socket)
  callers.push(caller)
  return caller
}

const PING = '{"jsonrpc":"2.0","id":"ping","method":"chain_tip"}'
const PONG = { jsonrpc: '2.0', id: 'ping', result: TIP }

const parse = { id: null, code: -32700, name: 'parse' }
const invalidRequest = { id: null, code: -32600, name: 'invalid-request' }

describe('what is no JSON-RPC', () => {
  const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`
  const cases: [string, string, unknown][] = [
    ['text', 'hello', parse],
    ['half an object', '{"jsonrpc":"2.0",', parse],
    ['NaN', '{"id":NaN}', parse],
    ['100,000 levels', deep(100_000), parse],
    ['21 levels', deep(21), parse],
    ['unclosed levels', '['.repeat(50_000), parse],
    ['20 levels in a batch', deep(20), [expect.objectContaining({ id: null })]],
    ['a number', '5', invalidRequest],
    ['a huge number', '1e400', invalidRequest],
    ['null', 'null', invalidRequest],
    ['a text', '"chain_tip"', invalidRequest],
    ['an empty batch', '[]', invalidRequest],
    ['an empty object', '{}', invalidRequest],
    ['no version', '{"id":1,"method":"chain_tip"}', { ...invalidRequest, id: 1 }],
    ['version 1', '{"jsonrpc":"1.0","id":1,"method":"chain_tip"}', { ...invalidRequest, id: 1 }],
    ['a method that is no text', '{"jsonrpc":"2.0","id":1,"method":7}', { ...invalidRequest, id: 1 }],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"chain_tip"}', invalidRequest],
    ['an id beyond all numbers', '{"jsonrpc":"2.0","id":1e400,"method":"chain_tip"}', invalidRequest],
    ['an endless id', `{"jsonrpc":"2.0","id":"${'x'.repeat(300)}","method":"chain_tip"}`, invalidRequest],
    ['an unknown method', '{"jsonrpc":"2.0","id":1,"method":"nope"}', { id: 1, code: -32601, name: 'unknown-method' }],
    [
      'a name of Object.prototype',
      '{"jsonrpc":"2.0","id":1,"method":"toString"}',
      { id: 1, code: -32601, name: 'unknown-method' },
    ],
    [
      'a method __proto__',
      '{"jsonrpc":"2.0","id":1,"method":"__proto__"}',
      { id: 1, code: -32601, name: 'unknown-method' },
    ],
    ['a request whose fields are in __proto__', '{"__proto__":{"jsonrpc":"2.0","id":1,"method":"x"}}', invalidRequest],
  ]
  test.each(cases)('%s', async (_name, line, expected) => {
    await serve()
    const caller = await call()
    caller.send(line, PING)
    const answers = [await caller.nextCode(), await caller.next()]
    expect(answers).toContainEqual(expected)
    expect(answers.map((answer) => JSON.stringify(answer))).toContain(JSON.stringify(PONG))
  })

  test('bytes that are no UTF-8', async () => {
    await serve()
    const caller = await call()
    caller.socket.write(new Uint8Array([0x22, 0xff, 0x22, 0x0a]))
    expect(await caller.nextCode()).toEqual(parse)
    caller.send(PING)
    expect(await caller.next()).toEqual(PONG)
  })

  test('blank lines and notifications get no answer', async () => {
    let calls = 0
    await serve({
      net_peers: async () => {
        calls++
        return { peers: [] }
      },
    })
    const caller = await call()
    caller.send('', '  ', '\r', '{"jsonrpc":"2.0","method":"net_peers"}', '{"jsonrpc":"2.0","method":"nope"}', PING)
    expect(await caller.next()).toEqual(PONG)
    caller.send('[{"jsonrpc":"2.0","method":"net_peers"},{"jsonrpc":"2.0","method":"net_peers"}]', PING)
    expect(await caller.next()).toEqual(PONG)
    expect(calls).toBe(3)
  })
})

describe('parameters', () => {
  const cases: [string, string, string, string][] = [
    ['by position', '["key"]', '', 'params must be an object, its fields by name'],
    ['a text', '"key"', '', 'params must be an object, its fields by name'],
    ['null', 'null', '', 'params must be an object, its fields by name'],
    ['none', '{}', 'key', 'key is missing'],
    ['an empty key', '{"key":"","value":""}', 'key', 'key must not be empty'],
    ['an unknown field', '{"key":"k","value":"","colour":1}', 'colour', 'colour is not a field of it'],
    ['__proto__', '{"key":"k","value":"","__proto__":{"fee":1}}', '__proto__', '__proto__ is not a field of it'],
    ['constructor', '{"key":"k","value":"","constructor":1}', 'constructor', 'constructor is not a field of it'],
    ['an infinite fee', '{"key":"k","value":"","fee":1e400}', 'fee', 'fee must be a whole number'],
    ['a negative fee', '{"key":"k","value":"","fee":-1}', 'fee', 'fee must be at least 0'],
    ['an inexact fee', '{"key":"k","value":"","fee":9007199254740993}', 'fee', 'fee must be at most 9007199254740991'],
    ['an encoding', '{"key":"k","value":"","encoding":"x"}', 'encoding', 'encoding must be one of utf8, hex, base64'],
    [
      'an expectation',
      '{"key":"k","value":"","expect":{"version":0}}',
      'expect',
      'expect must be {"absent": true}, {"version": N}, {"digest": HEX} of the value, or {"value": TEXT} itself',
    ],
    ['half a character', '{"key":"k","value":"\\ud800"}', 'value', 'value is no well-formed Unicode'],
  ]
  test.each(cases)('%s', async (_name, params, field, message) => {
    await serve()
    const caller = await call()
    caller.send(`{"jsonrpc":"2.0","id":1,"method":"kv_put","params":${params}}`)
    expect(await caller.next()).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: { code: -32602, message, data: { field, name: 'invalid-params' } },
    })
    expect(Object.getPrototypeOf({})).toBe(Object.prototype)
    expect(Object.keys(Object.prototype)).toEqual([])
  })
})

describe('bounds', () => {
  test('an overlong line is answered, and ends the connection; others go on', async () => {
    await serve({}, { maxLineBytes: 1000 })
    const caller = await call()
    const other = await call()
    caller.send(PING)
    expect(await caller.next()).toEqual(PONG)
    caller.socket.write('x'.repeat(1001))
    expect(await caller.nextCode()).toEqual(invalidRequest)
    expect(await caller.next()).toBeUndefined()
    other.send(PING)
    expect(await other.next()).toEqual(PONG)
  })

  test('a line that comes a byte at a time', async () => {
    await serve()
    const caller = await call()
    for (const character of `${PING}\n`) {
      await new Promise<void>((resolve) => caller.socket.write(character, () => resolve()))
    }
    expect(await caller.next()).toEqual(PONG)
  })

  test('a batch: as many answers as requests with an id, one too many is refused as a whole', async () => {
    await serve({}, { maxBatch: 3 })
    const caller = await call()
    caller.send(`[${PING},${PING},5]`)
    expect(await caller.next()).toEqual(expect.arrayContaining([PONG, PONG, expect.objectContaining({ id: null })]))
    caller.send(`[${PING},${PING},${PING},${PING}]`)
    expect(await caller.nextCode()).toEqual(invalidRequest)
  })

  test('an answer over the bound is refused by name; in a batch, what fits is kept', async () => {
    const peer = { peerId: 'x'.repeat(400), address: '', direction: 'inbound', connectedMs: 0 } as const
    let count = 1
    await serve({ net_peers: async () => ({ peers: new Array(count).fill(peer) }) }, { maxAnswerBytes: 1000 })
    const caller = await call()
    const ask = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"net_peers"}`
    caller.send(`[${ask(1)},${ask(2)},${ask(3)}]`)
    expect(await caller.next()).toEqual([
      expect.objectContaining({ id: 1, result: { peers: [peer] } }),
      {
        jsonrpc: '2.0',
        id: 2,
        error: expect.objectContaining({ data: expect.objectContaining({ rule: 'answer-size' }) }),
      },
      {
        jsonrpc: '2.0',
        id: 3,
        error: expect.objectContaining({ data: expect.objectContaining({ rule: 'answer-size' }) }),
      },
    ])
    count = 3
    caller.send(ask(4))
    expect(await caller.nextCode()).toEqual({ id: 4, code: -32002, name: 'refused' })
  })

  test('no more than so many requests run at once; the rest waits, and answers come as they are ready', async () => {
    let running = 0
    let most = 0
    const release: (() => void)[] = []
    await serve(
      {
        net_peers: async () => {
          running++
          most = Math.max(most, running)
          await new Promise<void>((resolve) => release.push(resolve))
          running--
          return { peers: [] }
        },
      },
      { maxInFlightPerConnection: 4 },
    )
    const caller = await call()
    const other = await call()
    const ask = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"net_peers"}`
    caller.send(`[${[0, 1, 2, 3, 4, 5].map(ask).join(',')}]`, ...[6, 7, 8, 9].map(ask), PING)
    for (let done = 0; done < 10; done++) {
      // The other caller's turns are what time there is; he is served whatever the first one asks for.
      while (release.length < Math.min(4, 10 - done)) {
        other.send(PING)
        expect(await other.next()).toEqual(PONG)
      }
      release.shift()?.()
    }
    const answers: unknown[] = []
    while (answers.length < 6) answers.push(await caller.next())
    expect(answers).toContainEqual(PONG)
    expect(answers.filter((answer) => Array.isArray(answer) && answer.length === 6)).toHaveLength(1)
    expect(most).toBe(4)
  })

  describe('with every place taken', () => {
    const wait = `{"jsonrpc":"2.0","id":"wait","method":"tx_wait","params":{"txid":"${HASH}"}}`
    const busy = { id: null, code: -32004, name: 'busy' }

    /** A server of so many places, where tx_wait ends with the caller or with `release`. */
    async function places(maxConnections: number) {
      const releases: (() => void)[] = []
      let begun = 0
      const server = await serve(
        {
          tx_wait: (_params, { signal }) =>
            new Promise((resolve, reject) => {
              begun++
              releases.push(() => resolve({ txid: HASH, status: 'pending' }))
              signal.addEventListener('abort', () => reject(signal.reason))
            }),
        },
        { maxConnections },
      )
      /** Resolves once so many wait. */
      const waiting = async (count: number) => {
        while (begun < count) await new Promise((resolve) => setImmediate(resolve))
      }
      return { server, waiting, release: () => releases.shift()?.() }
    }

    test('whoever was idle for longest makes room, and is told so; the others are served on', async () => {
      await places(3)
      const callers = [await call(), await call(), await call()]
      for (const caller of callers) caller.send(PING)
      for (const caller of callers) expect(await caller.next()).toEqual(PONG)
      // Used again: no longer the one that was idle for longest.
      callers[0]?.send(PING)
      expect(await callers[0]?.next()).toEqual(PONG)
      const newcomer = await call()
      newcomer.send(PING)
      expect(await newcomer.next()).toEqual(PONG)
      expect(await callers[1]?.nextCode()).toEqual(busy)
      expect(await callers[1]?.next()).toBeUndefined()
      for (const caller of [callers[0], callers[2]]) {
        caller?.send(PING)
        expect(await caller?.next()).toEqual(PONG)
      }
    })

    test('who waits for an answer is not idle: when all do, the new one is refused', async () => {
      const { waiting, release } = await places(2)
      const [first, second] = [await call(), await call()]
      first.send(wait)
      second.send(wait)
      await waiting(2)
      const third = await call()
      expect(await third.nextCode()).toEqual(busy)
      expect(await third.next()).toBeUndefined()
      release()
      release()
      expect(await first.next()).toMatchObject({ id: 'wait', result: { status: 'pending' } })
      expect(await second.next()).toMatchObject({ id: 'wait', result: { status: 'pending' } })
    })

    test('hundreds who connect and say nothing, or dribble, keep nobody out', async () => {
      const { server } = await places(8)
      for (let i = 0; i < 200; i++) {
        const silent = await call()
        if (i % 2 === 0) silent.socket.write('{"jsonrpc":')
        if (i % 20 !== 0) continue
        const caller = await call()
        caller.send(PING)
        expect(await caller.next()).toEqual(PONG)
        expect(server.load.connections).toBeLessThanOrEqual(8)
      }
    })
  })

  test('beyond its rate a connection is told busy for each request, by its id; others are not', async () => {
    await serve({}, { requestBurst: 3, requestsPerSecond: 1e-9 })
    const caller = await call()
    const ask = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"chain_tip"}`
    caller.send(`[${ask(1)},${ask(2)}]`, ask(3), ask(4), '{"jsonrpc":"2.0","method":"chain_tip"}', '{}', 'no JSON')
    caller.send(`[${ask(5)}]`)
    const answers: unknown[] = []
    for (let i = 0; i < 6; i++) answers.push(await caller.nextCode())
    // The answers of what runs come when they are ready.
    expect(answers).toContainEqual({ jsonrpc: '2.0', id: 3, result: TIP })
    expect(answers.filter((answer) => Array.isArray(answer) && answer.length === 2)).toHaveLength(1)
    expect(answers).toContainEqual({ id: 4, code: -32004, name: 'busy' })
    expect(answers).toContainEqual({ id: null, code: -32004, name: 'busy' })
    expect(answers).toContainEqual(parse)
    expect(answers).toContainEqual([
      expect.objectContaining({ id: 5, error: expect.objectContaining({ code: -32004 }) }),
    ])
    const other = await call()
    other.send(PING)
    expect(await other.next()).toEqual(PONG)
  })

  test('what is held for callers who send halves and read nothing stays within the bounds', async () => {
    const peer = { peerId: 'x'.repeat(50_000), address: '', direction: 'inbound', connectedMs: 0 } as const
    const [maxLineBytes, maxUnreadBytes, callersOfEach] = [100_000, 2_000_000, 5]
    const server = await serve({ net_peers: async () => ({ peers: [peer] }) }, { maxLineBytes, maxUnreadBytes })
    const other = await call()
    for (let i = 0; i < callersOfEach; i++) {
      const slow = await call()
      slow.socket.pause()
      slow.send(...new Array(500).fill('{"jsonrpc":"2.0","id":1,"method":"net_peers"}'))
      const half = await call()
      half.socket.write('x'.repeat(maxLineBytes - 1))
    }
    for (let i = 0; i < 100; i++) {
      other.send(PING)
      expect(await other.next()).toEqual(PONG)
      const { waitingBytes, unreadBytes, inFlight } = server.load
      // A line that is not complete, and what one read brought.
      expect(waitingBytes).toBeLessThanOrEqual(2 * callersOfEach * (maxLineBytes + 65_536))
      expect(unreadBytes).toBeLessThanOrEqual(callersOfEach * maxUnreadBytes)
      expect(inFlight).toBeLessThanOrEqual(callersOfEach * 64)
    }
    expect(server.load.waitingBytes).toBeGreaterThanOrEqual(callersOfEach * (maxLineBytes - 1))
  })

  test('a caller who does not read is held back, then cut off; others are served meanwhile', async () => {
    const peer = { peerId: 'x'.repeat(100_000), address: '', direction: 'inbound', connectedMs: 0 } as const
    let answered = 0
    await serve(
      {
        net_peers: async () => {
          answered++
          return { peers: [peer] }
        },
      },
      { maxUnreadBytes: 3_000_000 },
    )
    const slow = await call()
    slow.socket.pause()
    const other = await call()
    const ask = '{"jsonrpc":"2.0","id":1,"method":"net_peers"}'
    slow.send(...new Array(1000).fill(ask))
    for (let i = 0; i < 50; i++) {
      other.send(PING)
      expect(await other.next()).toEqual(PONG)
    }
    slow.socket.resume()
    while ((await slow.next()) !== undefined);
    expect(answered).toBeLessThan(200)
  })
})

describe('errors of handlers', () => {
  test('typed ones as mapped; others without a word; both leave the connection alone', async () => {
    const logged: unknown[] = []
    const log: Log = { ...silentLog, error: (data) => logged.push(data), child: () => log }
    const secret = new TypeError('the password is 1234')
    await serve(
      {
        kv_put: async () => {
          throw new KvError('not-owner', 'the key is somebody else’s', { operation: 0 })
        },
        kv_delete: async () => {
          throw new BusyError('the mempool', 5)
        },
        kv_access: async () => {
          throw secret
        },
        kv_get: () => {
          throw secret
        },
      },
      {},
      log,
    )
    const caller = await call()
    const ask = (method: string, params: object) => JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
    caller.send(ask('kv_put', { key: 'k', value: 'v' }))
    expect(await caller.next()).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: {
        code: -32002,
        message: 'the key is somebody else’s',
        data: { name: 'refused', rule: 'not-owner', operation: 0 },
      },
    })
    caller.send(ask('kv_delete', { key: 'k' }))
    expect(await caller.nextCode()).toEqual({ id: 1, code: -32004, name: 'busy' })
    for (const method of ['kv_access', 'kv_get']) {
      caller.send(ask(method, { key: 'k' }))
      const answer = await caller.next()
      expect(answer).toMatchObject({ error: { code: -32603, data: { name: 'internal' } } })
      expect(JSON.stringify(answer)).not.toMatch(/password|at .*\.ts|stack/)
    }
    expect(logged).toEqual([
      { err: secret, method: 'kv_access' },
      { err: secret, method: 'kv_get' },
    ])
  })
})

describe('the socket file', () => {
  test('is private, in a private folder, and gone after stop', async () => {
    const server = await serve()
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600)
    expect((await stat(join(folder, 'data'))).mode & 0o777).toBe(0o700)
    await server.stop()
    await expect(stat(socketPath)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('of a daemon that lives is refused, and goes on', async () => {
    await serve()
    await expect(serve()).rejects.toThrow(OptionsError)
    const caller = await call()
    caller.send(PING)
    expect(await caller.next()).toEqual(PONG)
  })

  test('of a daemon that was killed is replaced', async () => {
    await serve()
    await servers.pop()?.stop()
    const script = `require('node:net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`
    spawnSync(process.execPath, ['-e', script])
    expect((await stat(socketPath)).isSocket()).toBe(true)
    await serve()
    const caller = await call()
    caller.send(PING)
    expect(await caller.next()).toEqual(PONG)
  })

  test('is never a file of another kind', async () => {
    await serve()
    await servers.pop()?.stop()
    await writeFile(socketPath, 'precious')
    await expect(serve()).rejects.toThrow(OptionsError)
    expect((await stat(socketPath)).isFile()).toBe(true)
  })

  test('has a path that a socket can have, in a folder that can be made', async () => {
    await expect(serve({}, { socketPath: join(folder, 'x'.repeat(120)) })).rejects.toThrow(OptionsError)
    await writeFile(join(folder, 'file'), '')
    await chmod(join(folder, 'file'), 0o400)
    await expect(serve({}, { socketPath: join(folder, 'file', 's') })).rejects.toThrow(OptionsError)
  })
})

describe('the end', () => {
  test('stop calls off what runs, answers it, and hangs up; a second stop is the first', async () => {
    const begun: (() => void)[] = []
    const server = await serve({
      tx_wait: (_params, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
          for (const wake of begun) wake()
        }),
    })
    const caller = await call()
    const idle = await call()
    const running = new Promise<void>((resolve) => begun.push(resolve))
    caller.send(`{"jsonrpc":"2.0","id":1,"method":"tx_wait","params":{"txid":"${HASH}"}}`)
    await running
    await Promise.all([server.stop(), server.stop()])
    expect(await caller.nextCode()).toEqual({ id: 1, code: -32006, name: 'unavailable' })
    expect(await caller.next()).toBeUndefined()
    expect(await idle.next()).toBeUndefined()
    await expect(call()).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('a handler that stops the server still answers', async () => {
    let stopped: Promise<void> | undefined
    const server: RpcServer = await serve({
      node_stop: async () => {
        stopped = server.stop()
        return { stopping: true }
      },
    })
    const caller = await call()
    caller.send('{"jsonrpc":"2.0","id":1,"method":"node_stop"}')
    expect(await caller.next()).toEqual({ jsonrpc: '2.0', id: 1, result: { stopping: true } })
    expect(await caller.next()).toBeUndefined()
    await stopped
  })

  test('a caller who has said all he has still gets his answers, an unfinished last line included', async () => {
    let release: () => void = () => {}
    const begun = new Promise<void>((resolve) => {
      release = resolve
    })
    let go: () => void = () => {}
    await serve({
      net_peers: async () => {
        release()
        await new Promise<void>((resolve) => {
          go = resolve
        })
        return { peers: [] }
      },
    })
    const caller = await call()
    caller.socket.end('{"jsonrpc":"2.0","id":1,"method":"net_peers"}')
    await begun
    go()
    expect(await caller.next()).toEqual({ jsonrpc: '2.0', id: 1, result: { peers: [] } })
    expect(await caller.next()).toBeUndefined()
  })

  test('a caller who dies has his requests called off', async () => {
    let begin: () => void = () => {}
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    let abort: () => void = () => {}
    const aborted = new Promise<void>((resolve) => {
      abort = resolve
    })
    await serve({
      tx_wait: (_params, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            abort()
            reject(signal.reason)
          })
          begin()
        }),
    })
    const caller = await call()
    caller.send(`{"jsonrpc":"2.0","id":1,"method":"tx_wait","params":{"txid":"${HASH}"}}`)
    await begun
    caller.socket.destroy()
    await aborted
  })
})
