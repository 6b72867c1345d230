/**
 * Both commands as a user runs them: real processes through bin/, arguments in, exit code and one line out.
 * 1. wrong command lines, kvchain-cli and kvchain: exit 2, one line on standard error, nothing on standard output, no stack;
 * 2. no daemon: exit 5, says how to start one; several daemons: exit 2, says how to choose;
 * 3. against the daemon's own RPC server with small handlers: what each command sends and prints, every exit code;
 * 4. any list of arguments at all ends with a documented exit code.
 */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { clientProgram, OPTIONAL_VALUES } from '@kvchain/cli/client/commands'
import { EXIT_CODES, errorLine, exitCodeFor } from '@kvchain/cli/exits'
import { spellOut } from '@kvchain/cli/parsing'
import { CONTRACT, type Handlers, METHOD_NAMES, type MethodName, type Result } from '@kvchain/client/contract'
import { KvError } from '@kvchain/core/errors'
import { AnswerError } from '@kvchain/node/rpc/answers'
import { RpcServer } from '@kvchain/node/rpc/socketServer'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

const bin = resolve(fileURLToPath(import.meta.url), '../../../../bin')
const HASH = 'ab'.repeat(32)
const TIP = { height: 7, hash: HASH }
const ADDRESS = 'kvdev1somebody'

let home: string
const servers: RpcServer[] = []

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kvchain-cli-'))
})

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop()
})

afterAll(async () => {
  await rm(home, { recursive: true })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

async function run(
  command: 'kvchain' | 'kvchain-cli',
  args: readonly string[],
  options: { env?: Record<string, string>; input?: string | Uint8Array; cwd?: string } = {},
): Promise<Ended & { bytes: Buffer }> {
  const child = spawn(join(bin, command), args, {
    env: { PATH: process.env.PATH ?? '', HOME: home, ...options.env },
    cwd: options.cwd ?? home,
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const code = await new Promise<number | null>((done) => child.on('close', done))
  const bytes = Buffer.concat(out)
  return { code, bytes, out: bytes.toString(), err: Buffer.concat(err).toString() }
}

const cli = (args: readonly string[], options?: Parameters<typeof run>[2]) => run('kvchain-cli', args, options)

/** One line, no more, and nothing that looks like a stack. */
function expectOneLine(text: string, pattern: RegExp): void {
  expect(text).toMatch(/^kvchain(-cli)?: [^\n]+\n$/)
  expect(text).toMatch(pattern)
  expect(text).not.toMatch(/\bat .*\.[jt]s/)
}

describe('wrong command lines of kvchain-cli', () => {
  const cases: [string[], RegExp][] = [
    [[], /which command/],
    [['frobnicate'], /unknown command/],
    [['put'], /KEY/],
    [['put', 'k'], /VALUE, - or --file/],
    [['put', 'k', 'v', '--file', 'f'], /VALUE, - or --file/],
    [['put', 'k', 'v', 'w'], /too many arguments/],
    [['put', '', 'v'], /KEY must not be empty/],
    [['put', 'k', 'v', '--wait=0'], /--wait must be/],
    [['put', 'k', 'v', '--wait='], /--wait must be/],
    [['put', 'k', 'v', '--wait=many'], /--wait must be/],
    [['put', 'k', 'v', '--fee', '-1'], /--fee must be/],
    [['put', 'k', 'v', '--fee', '1.5'], /--fee must be/],
    [['put', 'k', 'v', '--fee', '9007199254740993'], /--fee must be/],
    [['put', 'k', 'v', '--if-absent', '--if-version', '1'], /give one/],
    [['put', 'k', 'v', '--encoding', 'rot13'], /--encoding is one of/],
    [['put', 'k', 'xyz', '--encoding', 'hex'], /not hex/],
    [['get', 'xyz', '--key-encoding', 'hex'], /KEY is not hex/],
    [['get', 'k', '--frob'], /unknown option '--frob'.*after --/],
    [['history', 'k', '--limit', '0'], /--limit must be/],
    [['send', ADDRESS, 'lots'], /AMOUNT must be/],
    [['block', 'HEAD'], /HEIGHT/],
    [['tx', 'abc'], /TXID/],
    [['status', '--timeout', '0'], /--timeout must be/],
    [['status', '--network', 'dev', '--data-dir', 'd'], /give one/],
    [['status', '--network', '../dev'], /name of a network/],
    [['status', '--rpc-socket', `/${'x'.repeat(200)}`], /at most \d+ bytes/],
    [['get', `k\u001b[31m`, '--key-encoding', `\u001b[31m`], /\\x1b/],
  ]
  test.each(cases)('%j', async (args, pattern) => {
    const { code, out, err } = await cli(args)
    expectOneLine(err, pattern)
    expect({ code, out }).toEqual({ code: 2, out: '' })
  })

  test('with --json the error is an object; after -- it is no flag', async () => {
    const { code, out, err } = await cli(['tx', 'abc', '--json'])
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(JSON.parse(err)).toEqual({ error: expect.objectContaining({ name: 'usage', exitCode: 2 }) })
    expectOneLine((await cli(['put', '--', 'k', '--json', 'x'])).err, /too many/)
  })

  test('help and version go to standard output, and document the exit codes', async () => {
    for (const command of ['kvchain', 'kvchain-cli'] as const) {
      const { code, out, err } = await run(command, ['--help'])
      expect({ code, err }).toEqual({ code: 0, err: '' })
      for (const [exitCode, meaning] of EXIT_CODES) expect(out).toContain(`  ${exitCode}  ${meaning}`)
      expect((await run(command, ['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/)
    }
    expect((await cli(['put', '--help'])).out).toContain('--wait[=n]')
    expect((await run('kvchain', ['daemon', '--help'])).out).toContain('--mine[=always|pending]')
  })
})

describe('wrong command lines of kvchain', () => {
  test('flags, variables and configuration files', async () => {
    const file = join(home, 'bad.json')
    await writeFile(file, '{"netwrok": "lan"}')
    await writeFile(join(home, 'text.json'), 'hello')
    const cases: [string[], Record<string, string>, number, RegExp][] = [
      [[], {}, 2, /which command/],
      [['deamon'], {}, 2, /unknown command/],
      [['daemon', '--frob'], {}, 2, /unknown option/],
      [['daemon', 'dev'], {}, 2, /too many arguments/],
      [['daemon', '--mine=never'], {}, 2, /--mine is one of/],
      [['daemon', '--miner-threads', '0'], {}, 2, /--miner-threads must be/],
      [['daemon', '--log-level', 'loud'], {}, 2, /--log-level is one of/],
      [['daemon', '--config', file], {}, 2, /no setting "netwrok"/],
      [['daemon', '--config', join(home, 'text.json')], {}, 2, /not JSON/],
      [['daemon', '--config', join(home, 'absent.json')], {}, 2, /cannot be read/],
      [['daemon'], { KVCHAIN_MDNS: 'perhaps' }, 2, /KVCHAIN_MDNS is true or false/],
      [['daemon', '--network', 'nowhere'], {}, 1, /no network nowhere/],
      [['daemon', '--network', './text.json'], {}, 1, /not JSON/],
      [['daemon', '--data-dir', join(file, 'data')], {}, 1, /data folder/],
      [['daemon', '--rpc-socket', `/${'x'.repeat(200)}`], {}, 2, /at most \d+ bytes/],
    ]
    for (const [args, env, exitCode, pattern] of cases) {
      const { code, out, err } = await run('kvchain', args, { env })
      expectOneLine(err, pattern)
      expect({ args, code, out }).toEqual({ args, code: exitCode, out: '' })
    }
  })
})

describe('finding the daemon', () => {
  test('there is none: exit 5, and how to start one', async () => {
    const cases: [string[], Record<string, string>, RegExp][] = [
      [['get', 'k'], {}, /no daemon.*kvchain daemon$/m],
      [['put', 'k', 'v'], { KVCHAIN_DATA_DIR: 'here' }, /no daemon.*kvchain daemon --data-dir here$/m],
      [['status'], { KVCHAIN_RPC_SOCKET: 'here.sock' }, /no daemon.*--rpc-socket here\.sock$/m],
      [['stop', '--network', 'lan'], {}, /no daemon.*kvchain daemon --network lan$/m],
      [['peers', '--data-dir', 'there'], { KVCHAIN_DATA_DIR: 'here' }, /no daemon.*--data-dir there$/m],
    ]
    for (const [args, env, pattern] of cases) {
      const { code, out, err } = await cli(args, { env })
      expectOneLine(err, pattern)
      expect({ args, code, out }).toEqual({ args, code: 5, out: '' })
    }
    const { code, out, err } = await cli(['get', 'k', '--json'])
    expect({ code, out }).toEqual({ code: 5, out: '' })
    expect(JSON.parse(err)).toEqual({ error: expect.objectContaining({ name: 'no-daemon', exitCode: 5 }) })
  })

  test('the only one is found; of several one must be chosen; dead sockets do not count', async () => {
    const sockets = ['dev', 'lan'].map((name) => join(home, '.kvchain', name, 'kvchain.sock'))
    const dev = await serve({}, sockets[0])
    await mkdir(join(home, '.kvchain', 'public'), { recursive: true })
    await writeFile(join(home, '.kvchain', 'public', 'kvchain.sock'), '')
    expect(await cli(['peers'])).toMatchObject({ code: 0, out: 'no peers\n', err: '' })
    await serve({}, sockets[1])
    const { code, out, err } = await cli(['peers'])
    expectOneLine(err, /dev, lan; choose with --network NAME or --data-dir DIR/)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(await cli(['peers', '--network', 'lan'])).toMatchObject({ code: 0 })
    await dev.stop()
    expect(await cli(['peers'])).toMatchObject({ code: 0 })
  })
})

type Sent = { method: MethodName; params: unknown }

/** The daemon's RPC server; every method that `some` leaves out answers with an error. Notes what was asked. */
async function serve(
  some: Partial<{ [M in MethodName]: () => Result<M> }>,
  socketPath = join(home, 'data', 'kvchain.sock'),
  sent: Sent[] = [],
): Promise<RpcServer> {
  const all: Partial<{ [M in MethodName]: () => Result<M> }> = { net_peers: () => ({ peers: [] }), ...some }
  const entries = METHOD_NAMES.map((method) => [
    method,
    async (params: unknown) => {
      sent.push({ method, params })
      const answer = all[method]
      if (answer === undefined) throw new KvError('unfinished', 'no such handler in this test')
      return answer()
    },
  ])
  const handlers = Object.fromEntries(entries) as Handlers
  const server = new RpcServer(
    { socketPath },
    {
      runtime: systemRuntime(),
      handlers,
      toRpcError: (error) => ({
        name: error instanceof AnswerError ? error.code : 'internal',
        message: error.message,
        data: error.data,
      }),
    },
  )
  await server.start()
  servers.push(server)
  return server
}

const receipt: Result<'kv_put'> = { txid: HASH, accountNonce: 3, status: 'pending' }
const confirmed: Result<'tx_wait'> = {
  txid: HASH,
  status: 'confirmed',
  height: 12,
  blockHash: HASH,
  confirmations: 2,
  settled: false,
  outcome: { code: 'ok' },
}
const entry = (value: string, encoding: 'utf8' | 'base64' = 'utf8'): Result<'kv_get'> => ({
  key: 'k',
  keyEncoding: 'utf8',
  value,
  encoding,
  version: 1,
  height: 7,
  blockHash: HASH,
  confirmations: 1,
  settled: false,
  reversal: { attackerShare: 0.1, probability: 0.2 },
  owner: ADDRESS,
  writers: 'private',
  txid: HASH,
  valueDigest: HASH,
  tip: TIP,
})

describe('against a daemon', () => {
  const at = { env: { KVCHAIN_DATA_DIR: 'data' } }

  test('put sends what was meant, and says what became of it', async () => {
    const sent: Sent[] = []
    await serve({ kv_put: () => receipt, tx_wait: () => confirmed }, undefined, sent)
    const plain = await cli(['put', 'k', 'v'], at)
    expect(plain).toMatchObject({ code: 0, out: `${HASH}\n` })
    expect(plain.err).toContain(`kvchain-cli tx ${HASH}`)
    const line = 'confirmed in block 12 (2 confirmations)\n'
    expect(await cli(['put', '--wait', 'k', 'v'], at)).toMatchObject({ code: 0, out: line, err: '' })
    expect(await cli(['put', 'k', '--wait=2', 'v'], at)).toMatchObject({ code: 0, out: line, err: '' })
    const json = await cli(['--json', 'put', 'k', 'v', '--wait'], at)
    expect(JSON.parse(json.out)).toEqual(confirmed)
    expect(JSON.parse((await cli(['put', 'k', 'v', '--json'], at)).out)).toEqual(receipt)
    const put = { method: 'kv_put', params: { key: 'k', keyEncoding: 'utf8', value: 'v', encoding: 'utf8' } }
    const wait = (confirmations: number) => ({
      method: 'tx_wait',
      params: { txid: HASH, confirmations, timeoutMs: 300_000 },
    })
    expect(sent).toEqual([put, put, wait(1), put, wait(2), put, wait(1), put])
  })

  test('put takes bytes from a file and from standard input, and conditions, and a fee', async () => {
    const sent: Sent[] = []
    await serve({ kv_put: () => receipt }, undefined, sent)
    await writeFile(join(home, 'value'), new Uint8Array([0, 255, 10]))
    await writeFile(join(home, 'value.hex'), '00ff0a\n')
    expect(await cli(['put', 'k', '--file', 'value', '--if-absent'], at)).toMatchObject({ code: 0 })
    expect(await cli(['put', 'k', '-', '--if-version', '4'], { ...at, input: 'abc\n' })).toMatchObject({ code: 0 })
    expect(await cli(['put', 'k', '--file', 'value.hex', '--encoding', 'hex', '--fee', '9'], at)).toMatchObject({
      code: 0,
    })
    expect(await cli(['put', 'aa00', '-5', '--key-encoding', 'hex'], at)).toMatchObject({ code: 0 })
    expect(await cli(['put', 'k', '--', '--wait'], at)).toMatchObject({ code: 0 })
    expect(await cli(['put', 'k', ''], at)).toMatchObject({ code: 0 })
    const key = { key: 'k', keyEncoding: 'utf8' }
    expect(sent.map(({ params }) => params)).toEqual([
      { ...key, value: 'AP8K', encoding: 'base64', expect: { absent: true } },
      { ...key, value: 'YWJjCg==', encoding: 'base64', expect: { version: 4 } },
      { ...key, value: '00ff0a', encoding: 'hex', fee: 9 },
      { key: 'aa00', keyEncoding: 'hex', value: '-5', encoding: 'utf8' },
      { ...key, value: '--wait', encoding: 'utf8' },
      { ...key, value: '', encoding: 'utf8' },
    ])
    const tooLarge = await cli(['put', 'k', '-'], { ...at, input: new Uint8Array(2 << 20) })
    expectOneLine(tooLarge.err, /at most 1048576 bytes/)
    expect(tooLarge.code).toBe(2)
    const absent = await cli(['put', 'k', '--file', 'absent'], at)
    expectOneLine(absent.err, /cannot read absent/)
    expect(absent.code).toBe(1)
  })

  test('get prints the bytes alone', async () => {
    let answer = entry('a\u001b[31m\n')
    await serve({ kv_get: () => answer })
    expect(await cli(['get', 'k'], at)).toMatchObject({ code: 0, out: 'a\u001b[31m\n', err: '' })
    expect(JSON.parse((await cli(['get', 'k', '--json'], at)).out)).toEqual(answer)
    expect((await cli(['get', 'k', '--encoding', 'hex'], at)).out).toBe('611b5b33316d0a')
    answer = entry('AP8K', 'base64')
    expect([...(await cli(['get', 'k'], at)).bytes]).toEqual([0, 255, 10])
    answer = entry('')
    expect(await cli(['get', 'k'], at)).toMatchObject({ code: 0, out: '' })
  })

  test('every kind of failure has its exit code, one line, and nothing on standard output', async () => {
    let status: Result<'tx_wait'> = {
      txid: HASH,
      status: 'failed',
      height: 3,
      outcome: { code: 'not-owner', operation: 0 },
    }
    let late = false
    await serve({
      kv_put: () => receipt,
      tx_wait: () => {
        if (late) throw new AnswerError('timed-out', 'took too long')
        return status
      },
      kv_get: () => {
        throw new AnswerError('not-found', 'no such\u001b[31m key', TIP)
      },
      kv_delete: () => {
        throw new AnswerError('refused', 'the key belongs to another account', { rule: 'not-owner', operation: 0 })
      },
      coin_send: () => {
        throw new AnswerError('invalid-params', 'not an address', { field: 'to' })
      },
      node_status: () => {
        throw new AnswerError('unavailable', 'the daemon is stopping')
      },
      coin_balance: () => {
        throw new AnswerError('busy', 'the mempool is full')
      },
    })
    const expectFailure = async (args: string[], exitCode: number, pattern: RegExp) => {
      const { code, out, err } = await cli(args, at)
      expectOneLine(err, pattern)
      expect({ args, code, out }).toEqual({ args, code: exitCode, out: '' })
    }
    await expectFailure(['get', 'k'], 3, /no such\\x1b\[31m key/)
    await expectFailure(['delete', 'k'], 4, /another account/)
    await expectFailure(['send', 'x', '1'], 2, /not an address/)
    await expectFailure(['status'], 5, /stopping/)
    await expectFailure(['balance'], 1, /full/)
    await expectFailure(['peers', '--timeout', '1', '--data-dir', 'nobody'], 5, /no daemon/)
    await expectFailure(['block'], 1, /no such handler/)
    await expectFailure(['put', 'k', 'v', '--wait'], 4, /failed: not-owner/)
    status = { txid: HASH, status: 'dropped', reason: 'expired' }
    await expectFailure(['put', 'k', 'v', '--wait'], 1, /expired/)
    late = true
    await expectFailure(
      ['put', 'k', 'v', '--wait', '--timeout', '5'],
      6,
      new RegExp(`not confirmed after 5 s.*${HASH}`),
    )
    const json = await cli(['get', 'k', '--json'], at)
    expect({ code: json.code, out: json.out }).toEqual({ code: 3, out: '' })
    expect(JSON.parse(json.err)).toEqual({
      error: {
        name: 'not-found',
        code: -32001,
        message: 'no such\u001b[31m key',
        data: { ...TIP, name: 'not-found' },
        exitCode: 3,
      },
    })
  })

  test('the tables: what others wrote is escaped', async () => {
    const tip = { ...TIP, chainwork: 'ff', stateRoot: HASH, timestampMs: 1_700_000_000_000 }
    const place = { height: 7, blockHash: HASH, confirmations: 1 }
    await serve({
      net_peers: () => ({
        peers: [
          { peerId: 'p\u001b', address: '/ip4/1.2.3.4', direction: 'inbound', connectedMs: 61_000, agent: 'a\u202eb' },
        ],
      }),
      net_bans: () => ({
        bans: [{ target: '192.0.2.0/24', untilMs: 0, by: 'operator', times: 0, reason: 'r\u001b' }],
      }),
      net_ban: () => ({ target: 'p', untilMs: 0, by: 'operator', times: 0, reason: 'by hand' }),
      net_unban: () => ({ lifted: false }),
      kv_history: () => ({
        key: 'k',
        keyEncoding: 'utf8',
        tip: TIP,
        versions: [
          { ...entry('x'), ...place, deleted: true, value: null, author: ADDRESS, timestampMs: 0 },
          { ...entry('x\ny'), ...place, deleted: false, author: ADDRESS, timestampMs: 0 },
        ].map(
          ({
            key: _key,
            keyEncoding: _encoding,
            settled: _settled,
            reversal: _reversal,
            writers: _writers,
            tip: _tip,
            ...version
          }) => version,
        ),
      }),
      node_status: () => ({
        network: 'dev',
        genesis: HASH,
        version: '1.0.0',
        peerId: 'p',
        account: ADDRESS,
        addresses: ['/ip4/1.2.3.4', '/ip4/5.6.7.8'],
        dataDir: 'data',
        uptimeMs: 90_061_000,
        tip,
        syncing: true,
        catchingUp: { targetHeight: 900, blocksPerSecond: 12.5, secondsLeft: 70 },
        peers: 1,
        mempool: { transactions: 1, bytes: 200 },
        mining: { mode: 'pending', active: true, threads: 2, hashRate: 1_234_567, address: ADDRESS },
        settleDepth: 6,
      }),
      coin_balance: () => ({ address: ADDRESS, balance: 5, accountNonce: 1, nextNonce: 1, tip: TIP }),
      chain_block: () => ({
        ...tip,
        parent: HASH,
        target: HASH,
        txRoot: HASH,
        miner: ADDRESS,
        nonce: 1,
        confirmations: 1,
        onMainChain: true,
        size: 300,
        transactions: [{ txid: HASH, sender: ADDRESS, outcome: { code: 'not-owner', operation: 1 }, operations: 2 }],
      }),
      tx_get: () => ({
        ...confirmed,
        sender: ADDRESS,
        accountNonce: 0,
        fee: 0,
        operations: [
          {
            kind: 'put',
            key: 'k\u0007',
            keyEncoding: 'utf8',
            value: 'v',
            encoding: 'utf8',
            valueLength: 1,
            valueDigest: HASH,
            access: 'keep',
          },
          { kind: 'transfer', to: ADDRESS, amount: 9 },
        ],
      }),
      node_stop: () => ({ stopping: true }),
    })
    const shown = async (...args: string[]) => {
      const { code, out, err } = await cli(args, at)
      expect({ args, code, err }).toEqual({ args, code: 0, err: '' })
      if (!args.includes('--json')) expect(out.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u)
      return out
    }
    expect(await shown('peers')).toMatch(/^PEER .*\np\\x1b .* inbound .* 1 min 1 s .* \? .* a\\u\{202e\}b\n$/)
    expect(await shown('bans')).toMatch(/^TARGET .*\n192\.0\.2\.0\/24 +1970\S+ +operator +0 +r\\x1b\n$/)
    expect(await shown('ban', 'p', '--seconds', '60')).toMatch(/\np +1970/)
    expect(await shown('unban', 'p\u0007')).toBe('p\\x07 was not banned\n')
    expect(await shown('history', 'k')).toMatch(/VERSION.*\n.*\(deleted\)\n.*x\\x0ay\n$/)
    expect(await shown('status')).toMatch(/mining +pending, at work, 1\.2 MH\/s, 2 threads\n[\s\S]*up +1 d 1 h\n/)
    expect(await shown('status')).toMatch(/syncing +up to 900, 12\.5 blocks\/s, 1 min 10 s left\n/)
    expect(await shown('balance')).toMatch(/^balance +5\n/)
    expect(await shown('block', '7')).toMatch(/height +7\n[\s\S]*not-owner \(operation 1\)\n$/)
    expect(await shown('tx', HASH)).toMatch(
      /status +confirmed\n[\s\S]*put +k\\x07 = v\n1 +transfer +9 to kvdev1somebody\n$/,
    )
    expect(await shown('stop')).toBe('the daemon is stopping\n')
    for (const args of [['status'], ['peers'], ['history', 'k'], ['balance'], ['block'], ['tx', HASH], ['stop']]) {
      expect(JSON.parse(await shown(...args, '--json'))).toBeTypeOf('object')
    }
  })

  test('tx tells the fate of a transaction of which nothing else is known', async () => {
    let status: Result<'tx_status'> = { txid: HASH, status: 'dropped', reason: 'replaced' }
    await serve({
      tx_get: () => {
        throw new AnswerError('not-found', 'no such transaction')
      },
      tx_status: () => status,
    })
    expect((await cli(['tx', HASH], at)).out).toMatch(/status +dropped\nreason +replaced\n/)
    status = { txid: HASH, status: 'unknown' }
    expect(await cli(['tx', HASH], at)).toMatchObject({ code: 3, out: '' })
  })

  test('a reader who had enough is no failure', async () => {
    await serve({ kv_get: () => entry('x'.repeat(1 << 20)) })
    const command = `"${join(bin, 'kvchain-cli')}" get k | head -c 1; exit "\${PIPESTATUS[0]}"`
    const child = spawn('bash', ['-c', command], { env: { ...process.env, HOME: home, ...at.env }, cwd: home })
    let err = ''
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString()
    })
    const code = await new Promise<number | null>((done) => child.on('close', done))
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })
})

describe('any arguments', () => {
  test('end with a documented exit code and one line', async () => {
    const before = process.env.HOME
    process.env.HOME = home
    const known = EXIT_CODES.map(([code]) => code)
    const names = clientProgram().commands.map((command) => command.name())
    const word = fc.oneof(
      // A shell would read the standard input of this very process: it has a test of its own.
      fc.constantFrom(...names.filter((name) => name !== 'shell')),
      fc.constantFrom(
        '--json',
        '--wait',
        '--wait=2',
        '--fee',
        '--file',
        '--',
        '--if-version',
        '--timeout',
        '--help',
        '-x',
      ),
      fc.constantFrom('--network', '--data-dir', '--rpc-socket', '--key-encoding', '--encoding', 'hex', '0', '7', HASH),
      fc.string({ maxLength: 8 }).filter((text) => text !== '-'),
    )
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (args) => {
          try {
            const program = clientProgram().configureOutput({ writeOut: () => {} })
            for (const command of program.commands) command.configureOutput({ writeOut: () => {} })
            await program.parseAsync(spellOut(args, OPTIONAL_VALUES), { from: 'user' })
            expect.unreachable('nobody is there to answer')
          } catch (error) {
            expect(known).toContain(exitCodeFor(error))
            expect(error).toHaveProperty('code')
            expect(errorLine(error)).toMatch(/^[^\n]+$/)
          }
        }),
        { numRuns: 2000 },
      )
    } finally {
      process.env.HOME = before
    }
  })
})

test('the launchers are named in package.json and say what to do when nothing is built', async () => {
  const root = resolve(bin, '..')
  const json: unknown = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  expect(json).toMatchObject({ bin: { kvchain: 'bin/kvchain', 'kvchain-cli': 'bin/kvchain-cli' } })
  const elsewhere = join(home, 'unbuilt', 'bin')
  await mkdir(elsewhere, { recursive: true })
  await writeFile(join(home, 'unbuilt', 'package.json'), '{"type": "module"}')
  for (const name of ['kvchain', 'kvchain-cli']) {
    await writeFile(join(elsewhere, name), await readFile(join(bin, name)), { mode: 0o755 })
    const child = spawn(join(elsewhere, name), ['--help'])
    let err = ''
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString()
    })
    const code = await new Promise<number | null>((done) => child.on('close', done))
    expect({ code, err }).toEqual({ code: 1, err: `${name}: not built yet; run: npm ci && npm run build\n` })
  }
  expect(Object.keys(CONTRACT)).toHaveLength(30)
})
