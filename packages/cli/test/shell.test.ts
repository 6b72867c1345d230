/**
 * The shell:
 * 1. a line as arguments: quoting, short commands, the shell's own options;
 * 2. completion: commands, options, keys, each offer going on from what is typed;
 * 3. history: kept, bounded, private;
 * 4. lines from a pipe, on a real daemon: as outside, exit codes, --keep-going, --key;
 * 5. on a terminal: prompt, completion, history over two runs, Ctrl-C at the prompt and in a wait, one password for many writes.
 */
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { complete } from '@kvchain/cli/client/shellCompletion'
import { MAX_HISTORY, ShellHistory } from '@kvchain/cli/client/shellHistory'
import { splitLine, toArguments } from '@kvchain/cli/client/shellLine'
import { quoteWord } from '@kvchain/cli/client/shellWords'
import { seedSigner } from '@kvchain/client/signer'
import { toAddress } from '@kvchain/core/address'
import { toHex } from '@kvchain/core/bytes'
import { Daemon } from '@kvchain/lab/daemon'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { playCli, runCli } from './programs.js'

let home: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kvchain-shell-'))
})

afterAll(() => rm(home, { recursive: true }))

describe('a line', () => {
  test.each([
    ['put a b', ['put', 'a', 'b']],
    ['  put a "b  c" \'d "e"\' f\\ g ', ['put', 'a', 'b  c', 'd "e"', 'f g']],
    ['put empty ""', ['put', 'empty', '']],
    [String.raw`put '\"'"'"' '`, ['put', String.raw`\"' `]],
    [String.raw`put "\" \\ \$ \a"`, ['put', String.raw`" \ $ \a`]],
    ["put a''b'c'", ['put', 'abc']],
    ['# put a b', []],
    ['   ', []],
    ['put żółw ①', ['put', 'żółw', '①']],
  ])('%o', (line, words) => {
    expect(splitLine(line)).toEqual(words)
  })

  test.each(['put "a', "put 'a b", 'put a\\'])('%o does not end', (line) => {
    expect(() => splitLine(line)).toThrow(expect.objectContaining({ code: 'usage' }))
  })

  test('any words, quoted, come back', () => {
    const character = fc.oneof(
      fc.constantFrom('"', "'", '\\', ' ', '$', '`'),
      fc.string({ minLength: 1, maxLength: 1 }),
    )
    fc.assert(
      fc.property(fc.array(fc.string({ unit: character })), (words) => {
        expect(splitLine(`put ${words.map(quoteWord).join(' ')}`)).toEqual(['put', ...words])
      }),
    )
  })

  const key = ['--key=k']
  const signing = new Map(['put', 'send', 'balance'].map((command) => [command, key]))
  const defaults = { globals: ['--data-dir=d'], signing }
  test.each([
    [
      ['get', 'a'],
      ['--data-dir=d', 'get', 'a'],
    ],
    [
      ['put', 'a', 'b', '--wait'],
      ['--data-dir=d', 'put', '--key=k', 'a', 'b', '--wait'],
    ],
    [
      ['put', 'a', 'b', '--key', 'other'],
      ['--data-dir=d', 'put', 'a', 'b', '--key', 'other'],
    ],
    [
      ['t', 'ADDRESS', '5'],
      ['--data-dir=d', 'send', '--key=k', '--wait=1', 'ADDRESS', '5'],
    ],
    [['balance'], ['--data-dir=d', 'balance', '--key=k']],
    [
      ['balance', 'ADDRESS'],
      ['--data-dir=d', 'balance', 'ADDRESS'],
    ],
    [
      ['keys', 'list'],
      ['keys', 'list'],
    ],
    [
      ['verify', 'proof'],
      ['verify', 'proof'],
    ],
    [
      ['help', 'put'],
      ['put', '--help'],
    ],
    [
      ['prove', 'a', '-o', '-'],
      ['--data-dir=d', 'prove', 'a', '-o', '-'],
    ],
  ])('%o', (words, args) => {
    expect(toArguments(words, defaults)).toEqual(args)
  })

  test.each([[['put', 'a', '-']], [['batch', '-']], [['shell']]])('%o is refused', (words) => {
    expect(() => toArguments(words, defaults)).toThrow(expect.objectContaining({ code: 'usage' }))
  })
})

describe('completion', () => {
  const stored = ['apple', 'apple pie', "it's", 'say "no"', 'users/1', 'users/2', 'żółw']
  const asked: string[] = []
  const offers = {
    commands: new Map([
      ['get', ['--at', '--encoding']],
      ['put', ['--wait']],
      ['peers', []],
    ]),
    keys: async (prefix: string) => {
      asked.push(prefix)
      return stored.filter((key) => key.startsWith(prefix))
    },
  }

  test.each([
    ['', ['get ', 'put ', 'peers '], ''],
    ['p', ['put ', 'peers '], 'p'],
    ['x', [], 'x'],
    ['get --', ['--at ', '--encoding '], '--'],
    ['get key --e', ['--encoding '], '--e'],
    ['help p', ['put', 'peers'], 'p'],
    ['get us', ['users/1', 'users/2'], 'us'],
    ['get  users/1', ['users/1'], 'users/1'],
    ['get app', ['apple', 'apple\\ pie'], 'app'],
    ['get apple\\ ', ['apple\\ pie'], 'apple\\ '],
    ["get 'apple ", ["'apple pie'"], "'apple "],
    ['get "say \\"', ['"say \\"no\\""'], '"say \\"'],
    ['get ż', ['żółw'], 'ż'],
    ['get us more', [], 'more'],
    ['peers us', [], 'us'],
  ])('%o', async (line, found, typed) => {
    expect(await complete(line, offers)).toEqual([found, typed])
  })

  test('whatever is offered stands for a key that begins as asked', async () => {
    const anyKeys = fc.array(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1 })
    await fc.assert(
      fc.asyncProperty(anyKeys, fc.nat(), fc.nat(), async (keys, which, length) => {
        const visible = keys.filter((key) => !/\p{C}/u.test(key) && !key.startsWith('-'))
        fc.pre(visible.length > 0)
        const key = visible[which % visible.length] ?? ''
        const prefix = key.slice(0, length % (key.length + 1))
        const typed = prefix.replace(/[^\p{L}\p{N}]/gu, '\\$&')
        const source = {
          commands: new Map(),
          keys: async (begin: string) => visible.filter((k) => k.startsWith(begin)),
        }
        const [found] = await complete(`get ${typed}`, source)
        for (const offer of found) expect(visible).toContain(splitLine(`get ${offer}`)[1])
      }),
    )
  })
})

describe('history', () => {
  test('kept newest first, without doubles, blanks and secrets; private', async () => {
    const file = join(home, 'deep/history')
    const history = await ShellHistory.open(file)
    for (const line of ['put a 1', 'put a 1', '', '  ', ' put secret x', 'get a', 'x'.repeat(5000)])
      await history.add(line)
    expect(history.lines).toEqual(['get a', 'put a 1'])
    expect((await ShellHistory.open(file)).lines).toEqual(['get a', 'put a 1'])
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await chmod(file, 0o644)
    await history.add('tip')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('bounded, in memory and on disk', async () => {
    const file = join(home, 'long')
    const lines = Array.from({ length: MAX_HISTORY + 50 }, (_, i) => `get ${i}`)
    await writeFile(file, lines.map((line) => `${line}\n`).join(''))
    const history = await ShellHistory.open(file)
    expect(history.lines).toHaveLength(MAX_HISTORY)
    expect(history.lines[0]).toBe(lines.at(-1))
    expect((await readFile(file, 'utf8')).trimEnd().split('\n')).toEqual(lines.slice(-MAX_HISTORY))
    await history.add('one more')
    expect(history.lines).toHaveLength(MAX_HISTORY)
  })

  test('a place where nothing can be written is no failure', async () => {
    const history = await ShellHistory.open('/dev/null/history')
    await history.add('get a')
    expect(history.lines).toEqual(['get a'])
  })
})

describe('on a daemon', () => {
  const ALICE = toAddress(seedSigner(new Uint8Array(32).fill(1)).publicKey, 'kvdev')
  let daemon: Daemon

  beforeAll(async () => {
    daemon = await Daemon.start({ dataDir: join(home, 'data'), mine: true })
    await writeFile(join(home, 'pw'), 'correct horse\n', { mode: 0o600 })
    const seed = toHex(new Uint8Array(32).fill(1))
    const args = ['keys', 'import', 'alice', '--seed-file', '-', '--password-file', 'pw']
    expect((await runCli(args, { home, input: seed })).code).toBe(0)
  })

  afterAll(() => daemon.stop())

  const shell = (input: string, args: readonly string[] = []) =>
    runCli(['--data-dir', daemon.dataDir, 'shell', ...args], { home, input })

  test('lines from a pipe do what commands do', async () => {
    const { code, out, err } = await shell(
      "# words\nput 'b c' \"d e\" --wait\n\nget b\\ c\nget 'b c' --json\nexit\nget b\n",
    )
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const [confirmed, value, json, ...more] = out.trimEnd().split('\n')
    expect(confirmed).toMatch(/^confirmed in block \d+/)
    expect(value).toBe('d e')
    expect(JSON.parse(json ?? '')).toMatchObject({ key: 'b c', value: 'd e' })
    expect(more).toEqual([])
  })

  test('the first failure ends it with its exit code; with --keep-going the rest runs', async () => {
    const lines = 'get nothing\nput "a\nstatus\n'
    const stopped = await shell(lines)
    expect(stopped).toMatchObject({ code: 3, out: '' })
    expect(stopped.err.trim().split('\n')).toHaveLength(1)
    const whole = await shell(lines, ['--keep-going'])
    expect(whole.code).toBe(3)
    expect(whole.out).toContain('network')
    expect(whole.err.trim().split('\n')).toEqual([
      expect.stringContaining('kvchain-cli: '),
      expect.stringContaining('is not ended'),
    ])
    expect((await shell('put a\n')).code).toBe(2)
    expect((await shell('nonsense\n')).code).toBe(2)
  })

  test('t, view, balance, help', async () => {
    const sent = await shell(`t ${ALICE} 7\nview\nbalance ${ALICE} --json\nview 0\nhelp\nhelp send\n`)
    expect({ code: sent.code, err: sent.err }).toEqual({ code: 0, err: '' })
    expect(sent.out).toContain('"balance":7')
    expect(sent.out).toContain('block 0, mined by')
    expect(sent.out).toContain('no transactions')
    expect(sent.out).toContain('t ADDRESS AMOUNT')
    expect(sent.out).toContain('send [options] <ADDRESS> <AMOUNT>')
    // The newest block may be one more by then.
    const height = /confirmed in block (\d+)/.exec(sent.out)?.[1] ?? expect.fail(sent.out)
    expect(sent.out).toMatch(/^block [1-9]\d*, mined by/m)
    const { account } = await daemon.status()
    expect((await shell(`view ${height}\n`)).out).toMatch(new RegExp(`${account} +sent +${ALICE} +7 +ok`))
  })

  test('--json goes for every line, --key for every write', async () => {
    const as = ['--key', 'alice', '--password-file', 'pw', '--json']
    const { code, out } = await shell('put hers 1 --wait\nget hers\nbalance\nview 0\n', as)
    expect(code).toBe(0)
    const answers = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(answers[0]).toMatchObject({ status: 'confirmed' })
    expect(answers[1]).toMatchObject({ value: '1', owner: ALICE })
    expect(answers[2]).toMatchObject({ address: ALICE })
    expect(answers[3]).toMatchObject({ block: { height: 0 }, transactions: [] })
  })

  const play = (steps: readonly (readonly [string, string])[], args: readonly string[] = []) =>
    playCli(['--data-dir', daemon.dataDir, 'shell', ...args], steps, { home })
  const PROMPT = 'kvchain> '

  test('on a terminal: Tab, history over two runs, Ctrl-C at the prompt', async () => {
    await daemon.client.waitFor((await daemon.client.put('rare key', 'found')).txid)
    const first = await play([
      [PROMPT, 'get ra\t'],
      ['rare\\ key', '\r'],
      ['found', ''],
      [PROMPT, 'put half a line\x03'],
      ['^C', ''],
      [PROMPT, 'exit\r'],
    ])
    expect(first).toMatchObject({ exitCode: 0, left: 0 })
    const second = await play([
      [PROMPT, '\x1b[A\x1b[A\r'],
      ['found', ''],
      [PROMPT, '\x04'],
    ])
    expect(second).toMatchObject({ exitCode: 0, left: 0 })
    expect((await stat(join(home, '.kvchain/shell_history'))).mode & 0o777).toBe(0o600)
  })

  test('one password for many writes, asked for between lines', async () => {
    const played = await play(
      [
        [PROMPT, 'put w1 x --wait\r'],
        ['The password of the key alice: ', 'correct horse\r'],
        ['confirmed in block', ''],
        [PROMPT, 'put w2 x --wait\r'],
        ['confirmed in block', ''],
        [PROMPT, 'exit\r'],
      ],
      ['--key', 'alice'],
    )
    expect(played).toMatchObject({ exitCode: 0, left: 0 })
    expect(played.output).not.toContain('correct horse')
    for (const key of ['w1', 'w2']) expect(await daemon.client.get(key)).toMatchObject({ owner: ALICE })
  })

  test('Ctrl-C ends a wait, and not the shell', async () => {
    const played = await play([
      [PROMPT, 'put never seen --wait=100000\r'],
      ['accepted: ', '\x03'],
      ['called off', ''],
      [PROMPT, 'get "rare key"\r'],
      ['found', ''],
      [PROMPT, 'watch --from 1\r'],
      ['rare key', '\x03'],
      ['called off', ''],
      [PROMPT, 'exit\r'],
    ])
    expect(played).toMatchObject({ exitCode: 0, left: 0 })
  })

  test('no daemon: it does not begin', async () => {
    const nowhere = await playCli(['--data-dir', join(home, 'nowhere'), 'shell'], [], { home })
    expect(nowhere.exitCode).toBe(5)
  })
})
