/**
 * Proof files at the command line, without any daemon:
 * 1. verify says what a proof proves, for people and for machines, whoever names the network and how;
 * 2. what does not hold, is of another network or has too little work: exit 1, one line, nothing on standard output;
 * 3. wrong command lines of prove, verify and history --prove: exit 2.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { toHex } from '@kvchain/core/bytes'
import { parseNetwork } from '@kvchain/core/params'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { put } from '../../core/test/helpers.js'
import { type ProofChain, ProofChain as Story, tellStory, workNetworkJson } from '../../core/test/proofChain.js'

const cliFile = resolve(fileURLToPath(import.meta.url), '../../../../bin/kvchain-cli')
const json = { ...workNetworkJson(10), name: 'story' }
const HASH = 'ab'.repeat(32)

let home: string
let chain: ProofChain
let genesis: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kvchain-proofs-'))
  chain = tellStory(parseNetwork(json))
  genesis = toHex(chain.genesis.hash)
  await writeFile(join(home, 'story.json'), JSON.stringify(json))
})

afterAll(() => rm(home, { recursive: true }))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

async function cli(args: readonly string[], input?: Uint8Array): Promise<Ended> {
  const child = spawn(process.execPath, [cliFile, ...args], {
    env: { PATH: process.env.PATH ?? '', HOME: home },
    cwd: home,
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input ?? '')
  const code = await new Promise<number | null>((done) => child.on('close', done))
  return { code, out, err }
}

async function verify(bytes: Uint8Array, ...args: string[]): Promise<Ended> {
  await writeFile(join(home, 'a.proof'), bytes)
  return cli(['verify', 'a.proof', ...args])
}

function expectOneLine({ out, err }: Ended, pattern: RegExp): void {
  expect(out).toBe('')
  expect(err).toMatch(/^kvchain-cli: [^\n]+\n$/)
  expect(err).toMatch(pattern)
  expect(err).not.toMatch(/\bat .*\.[jt]s/)
}

describe('verify', () => {
  test('says what is proven, what is not, and what it would cost', async () => {
    const { code, out, err } = await verify(chain.prove('k', 31), '--genesis', genesis)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^The proof holds\.\n\nnetwork +story\n/)
    expect(out).toContain(`${genesis} (the one you named)`)
    expect(out).toMatch(/claim +present, version 8\nvalue +five \(4 bytes\)\n/)
    expect(out).toMatch(/written +at height 30, by transaction [0-9a-f]{64}\n/)
    expect(out).toMatch(/confirmations +6\nwork +\d,\d{3} hashes\n/)
    expect(out).toMatch(/\nProven:\n[\s\S]*holds this entry under the key[\s\S]*and the 5 blocks above it/)
    expect(out).toMatch(/\nNot proven:\n[\s\S]*descend from that genesis[\s\S]*no better chain[\s\S]*miners/)
    expect(out).toMatch(/takes \d,\d{3} hashes on average: [\d.]+ ms of one thread that does 15 MH\/s/)
    expect(out).toContain('10 %: 0.059 %, 20 %: 2.3 %, 30 %: 16 %. (Rosenfeld 2014;')
  })

  test('says the other things that can be proven', async () => {
    const shown = async (key: string, height: number, way = {}) => (await verify(chain.prove(key, height, way))).out
    expect(await shown('gone', 20)).toMatch(/deleted, version 2\n[\s\S]*by which the key was deleted/)
    expect(await shown('never', 20)).toMatch(/claim +absent\n[\s\S]*holds nothing under the key, and so never did/)
    expect(await shown('k', 36)).toMatch(/confirmations +1\n[\s\S]*- That block has the work/)
    expect(await shown('k', 20, { values: false })).toMatch(
      /value +not in the file \(4 bytes\)\ndigest +[0-9a-f]{64}\n/,
    )
    const whole = await shown('k', 20, { fromGenesis: true })
    expect(whole).toMatch(/Every header from genesis up to the newest block/)
    expect(whole).not.toMatch(/descend from that genesis/)
    const history = await shown('k', 9, { kind: 'history' })
    expect(history).toMatch(/These 6 versions are its whole history/)
    expect(history).toMatch(/VERSION +HEIGHT +TRANSACTION +VALUE\n +6 +9 +[0-9a-f]{64} +four\n/)
    expect(history).toMatch(/\n +4 +7 +[0-9a-f]{64} +\(deleted\)\n +3 +6 +[0-9a-f]{64}\n/)
    expect(await shown('never', 9, { kind: 'history' })).toMatch(/no version was ever made/)
    expect(await shown('k', 9, { kind: 'history', values: false })).toMatch(/\(not in the file\) [0-9a-f]{64}/)
  })

  test('takes the network from a hash, from a file, or shows it', async () => {
    const bytes = chain.prove('k', 31)
    expect((await verify(bytes, '--network', 'story.json')).out).toContain('(the one you named)')
    const unnamed = await verify(bytes)
    expect(unnamed).toMatchObject({ code: 0, err: '' })
    expect(unnamed.out).toMatch(/compare it: no built-in network has it, and you named none/)
    expect(unnamed.out).toContain('Proven, if that is the genesis of the network you mean:')
    expectOneLine(await verify(bytes, '--network', 'lan'), /another network, which calls itself story/)
    expectOneLine(await verify(bytes, '--genesis', HASH), /another network/)
    expectOneLine(await verify(bytes, '--network', 'nowhere'), /no network nowhere/)
    const consensus = { ...json.consensus, maxTransactions: 0 }
    await writeFile(join(home, 'spoilt.json'), JSON.stringify({ ...json, consensus }))
    const spoilt = await verify(bytes, '--json', '--network', 'spoilt.json')
    expect(JSON.parse(spoilt.err)).toMatchObject({
      error: { name: 'failed', data: { rule: 'network-schema', path: '/consensus/maxTransactions' } },
    })
  })

  test('is for machines too, and reads standard input', async () => {
    const { code, out, err } = await cli(
      ['--json', 'verify', '-', '--genesis', genesis],
      chain.prove('k', 31, { kind: 'history' }),
    )
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(JSON.parse(out)).toMatchObject({
      ...{ holds: true, kind: 'history', network: 'story', genesis, genesisIs: 'expected' },
      ...{
        key: 'k',
        keyEncoding: 'utf8',
        claim: 'present',
        version: 8,
        value: 'five',
        encoding: 'utf8',
        writers: 'open',
      },
      ...{ height: 31, confirmations: 6, fullChain: false, work: expect.stringMatching(/^\d+$/), writtenAt: 30 },
      ...{ tip: { height: 36 }, reversal: [{ share: 0.1 }, { share: 0.2 }, { share: 0.3 }] },
      versions: Array.from({ length: 8 }, (_, i) => ({ version: i + 1 })),
    })
    const failed = await cli(['verify', '-', '--json'], new Uint8Array(9))
    expect(failed).toMatchObject({ code: 1, out: '' })
    expect(JSON.parse(failed.err)).toMatchObject({
      error: { name: 'failed', exitCode: 1, data: { rule: 'proof-magic' } },
    })
  })

  test('obeys nothing that a file holds', async () => {
    const hostile = new Story(parseNetwork({ ...workNetworkJson(4), name: 'story' }))
    hostile.mine([[put('k\u001b[2J', 'v\u001b]0;x\u0007\n\u202e')]])
    const bytes = hostile.prove('k\u001b[2J', 1, { kind: 'history' })
    const { out, code } = await verify(bytes)
    expect(code).toBe(0)
    expect(out.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u)
    expect(out).toContain('k\\x1b[2J')
    const failed = await verify(bytes.subarray(0, -1))
    expectOneLine(failed, /damaged/)
  })
})

describe('what does not hold', () => {
  test('exits with 1, whatever is wrong', async () => {
    const good = chain.prove('k', 20)
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(0), /this is not a proof file/],
      [good.with(11, 9), /version 9; this verifier reads version 1/],
      [good.subarray(0, 300), /the proof file is damaged/],
      [good.with(good.length - 1, 1 ^ (good.at(-1) ?? 0)), /the proof does not hold: height 36/],
      [good.with(good.length - 184 * 19 - 5, 0x58), /the proof does not hold: the value is not the one/],
    ]
    for (const [bytes, pattern] of cases) {
      const ended = await verify(bytes)
      expect(ended.code).toBe(1)
      expectOneLine(ended, pattern)
    }
    const absent = await cli(['verify', 'absent.proof'])
    expect(absent.code).toBe(1)
    expectOneLine(absent, /cannot read absent\.proof/)
  })

  test('so does too little work, or too few confirmations', async () => {
    const bytes = chain.prove('k', 31)
    expect(await verify(bytes, '--min-confirmations', '6', '--min-work', '5e3')).toMatchObject({ code: 0 })
    for (const [flags, pattern] of [
      [['--min-confirmations', '7'], /has only 6 confirmations: at least 7/],
      [['--min-work', '1e6'], /has only \d{4} hashes of work: at least 1000000/],
      [['--min-work', '12345678901234567890123'], /at least 12345678901234567890123/],
    ] as const) {
      const ended = await verify(bytes, ...flags)
      expect(ended.code).toBe(1)
      expectOneLine(ended, pattern)
    }
  })
})

describe('wrong command lines', () => {
  const cases: [string[], number, RegExp][] = [
    [['prove', 'k'], 2, /output/],
    [['prove', '-o', 'f'], 2, /KEY/],
    [['prove', 'k', '-o', 'f', '--at', '-1'], 2, /--at must be/],
    [['prove', 'k', '-o', 'f', '--at', '4294967296'], 2, /--at must be/],
    [['prove', 'xyz', '-o', 'f', '--key-encoding', 'hex'], 2, /KEY is not hex/],
    [['prove', 'k', '-o', 'f'], 5, /no daemon/],
    [['get', 'k', '--at', 'now'], 2, /--at must be/],
    [['history', 'k', '--prove'], 2, /-o FILE/],
    [['history', 'k', '--prove', '-o', 'f', '--limit', '3'], 2, /no --limit/],
    [['history', 'k', '-o', 'f'], 2, /go with --prove/],
    [['history', 'k', '--no-values'], 2, /go with --prove/],
    [['history', 'k', '--prove', '-o', 'f'], 5, /no daemon/],
    [['verify'], 2, /FILE/],
    [['verify', 'f', '--genesis', 'abc'], 2, /64 lower-case hex digits/],
    [['verify', 'f', '--genesis', HASH, '--network', 'dev'], 2, /give one/],
    [['verify', 'f', '--min-work', 'lots'], 2, /--min-work must be/],
    [['verify', 'f', '--min-work', '1.5'], 2, /--min-work must be/],
    [['verify', 'f', '--min-confirmations', '0'], 2, /--min-confirmations must be/],
  ]
  test.each(cases)('%j', async (args, code, pattern) => {
    const ended = await cli(args)
    expectOneLine(ended, pattern)
    expect(ended.code).toBe(code)
  })

  test('help says what a proof is good for', async () => {
    expect((await cli(['prove', '--help'])).out).toMatch(/--from-genesis[\s\S]*with no daemon/)
    expect((await cli(['verify', '--help'])).out).toMatch(/--genesis[\s\S]*exits with 1/)
    expect((await cli(['--help'])).out).toMatch(/prove \[options\] <KEY>[\s\S]*verify \[options\] <FILE>/)
  })
})
