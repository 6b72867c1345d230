/**
 * Proof files of a real daemon, made and checked through bin/.
 *
 * Plan:
 *  1. one daemon; keys written, overwritten, deleted; blocks on top;
 *  2. proofs of what is present, deleted and absent, at the height the daemon chooses, at older ones, of a history, from genesis; reads at a height;
 *  3. the daemon stops, its folder is gone: every file still verifies, with no daemon anywhere; an independent verifier finds the same;
 *  4. spoilt files, another network: refused.
 */

import { spawnSync } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PROOF_CONTEXT_HEADERS } from '@kvchain/core/proof'
import { Daemon } from '@kvchain/lab/daemon'
import { runCli } from '@kvchain/lab/launchers'
import { TempDir } from '@kvchain/lab/tempDir'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

interface Report {
  readonly claim: string
  readonly version?: number
  readonly value?: string
  readonly height: number
  readonly confirmations: number
  readonly fullChain: boolean
  readonly blockHash: string
  readonly genesis: string
  readonly work: string
  readonly tip: { readonly height: number }
  readonly versions?: readonly { readonly version: number; readonly value?: string; readonly writtenAt: number }[]
}

let folder: TempDir
let daemon: Daemon
let genesis: string
/** Name of each file, and what it must prove. */
const files = new Map<string, Report>()

async function cli(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await daemon.cli(args)
  expect({ args, exitCode, stderr }).toEqual({ args, exitCode: 0, stderr: '' })
  return stdout
}

/** Has a proof made, and checks it as its receiver would: in a process that knows of no daemon. */
async function prove(name: string, ...args: string[]): Promise<Report> {
  const file = join(folder.path, `${name}.proof`)
  const said = await cli(...args, '-o', file)
  expect(said).toContain(`kvchain-cli verify ${file}`)
  const report = await verify(file)
  files.set(file, report)
  return report
}

async function verify(file: string, ...args: string[]): Promise<Report> {
  const { exitCode, stdout, stderr } = await runCli(['verify', file, '--network', 'dev', '--json', ...args])
  expect({ file, exitCode, stderr }).toEqual({ file, exitCode: 0, stderr: '' })
  return JSON.parse(stdout)
}

async function heightOf(key: string): Promise<number> {
  return (await daemon.client.get(key))?.height ?? -1
}

beforeAll(async () => {
  folder = await TempDir.make()
  daemon = await Daemon.start({ dataDir: join(folder.path, 'data'), mine: true })
  genesis = (await daemon.status()).genesis
  await cli('put', 'city', 'Liège', '--wait')
  await cli('put', 'city', 'Namur', '--wait')
  await cli('put', 'gone', 'x', '--wait')
  await cli('delete', 'gone', '--wait')
  for (let n = 0; n < 50; n++) await daemon.client.put(`filler/${n}`, `${n}`)
  await cli('put', 'city', 'Huy', '--wait=9')
})

afterAll(async () => {
  await daemon.stop()
  await folder.remove()
})

describe('a proof', () => {
  test('of what is there now is as settled as it can be', async () => {
    const { settleDepth, tip } = await daemon.status()
    const report = await prove('present', 'prove', 'city')
    expect(report).toMatchObject({ claim: 'present', version: 3, value: 'Huy', genesis, confirmations: settleDepth })
    expect(report.tip.height).toBeGreaterThanOrEqual(tip.height)
    expect(report.blockHash).toBe((await daemon.client.block(report.height)).hash)
    await cli('put', 'fresh', 'paint', '--wait')
    const fresh = await prove('fresh', 'prove', 'fresh')
    expect(fresh).toMatchObject({ claim: 'present', value: 'paint', height: await heightOf('fresh') })
  })

  test('of what was deleted, and of what never was', async () => {
    expect(await prove('deleted', 'prove', 'gone')).toMatchObject({ claim: 'deleted', version: 2 })
    expect(await prove('absent', 'prove', 'nobody wrote this')).toMatchObject({ claim: 'absent' })
  })

  test('of what was there at an older height, as get --at reads it', async () => {
    const { versions } = await daemon.client.history('city')
    const heights = versions.map(({ height }) => height).reverse()
    const names = ['Liège', 'Namur', 'Huy']
    for (const [i, height] of heights.entries()) {
      const report = await prove(`at ${i}`, 'prove', 'city', '--at', `${height}`)
      // A claim so low that its context reaches down to genesis comes with the whole chain.
      const fullChain = height <= PROOF_CONTEXT_HEADERS + 1
      expect(report).toMatchObject({ claim: 'present', version: i + 1, value: names[i], height, fullChain })
      expect(await cli('get', 'city', '--at', `${height}`)).toBe(names[i])
    }
    expect(await prove('before', 'prove', 'city', '--at', '0')).toMatchObject({ claim: 'absent', height: 0 })
    expect(await daemon.cli(['get', 'city', '--at', '0'])).toMatchObject({ exitCode: 3, stdout: '' })
    expect(await daemon.cli(['prove', 'city', '--at', '99999', '-o', 'f'])).toMatchObject({ exitCode: 3, stdout: '' })
  })

  test('of a whole history, and of the whole chain', async () => {
    const history = await prove('history', 'history', 'city', '--prove')
    expect(history.versions).toMatchObject([
      { version: 1, value: 'Liège' },
      { version: 2, value: 'Namur' },
      { version: 3, value: 'Huy' },
    ])
    const bare = await prove('bare', 'prove', 'city', '--history', '--no-values')
    expect(bare.versions?.map(({ value }) => value)).toEqual([undefined, undefined, undefined])
    const whole = await prove('whole', 'prove', 'city', '--from-genesis')
    expect(whole.fullChain).toBe(true)
    expect(whole.tip.height).toBeGreaterThan(12)
  })

  test('comes out of a pipe, and for machines', async () => {
    const piped = await daemon.cli(['prove', 'city', '-o', '-'])
    expect(piped.exitCode).toBe(0)
    expect(piped.stderr).toContain('city: present, version 3')
    expect(piped.stdout.startsWith('kvproof\0')).toBe(true)
    const file = join(folder.path, 'json.proof')
    const made = JSON.parse(await cli('prove', 'city', '-o', file, '--json'))
    expect(made).toMatchObject({ key: 'city', claim: 'present', version: 3, file, size: (await readFile(file)).length })
  })
})

describe('without any daemon', () => {
  beforeAll(async () => {
    await daemon.stop()
    await rm(daemon.dataDir, { recursive: true })
  })

  test('every proof still says the same', async () => {
    expect(files.size).toBeGreaterThan(10)
    const again = await Promise.all([...files.keys()].map((file) => verify(file)))
    expect(again).toEqual([...files.values()])
  })

  test('people are told what it proves and what it is worth', async () => {
    const [file] = files.keys()
    const { exitCode, stdout } = await runCli(['verify', file ?? ''])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^The proof holds\.\n/)
    expect(stdout).toContain('that of the built-in network dev')
    for (const words of ['Proven:', 'Not proven:', 'To undo it:', '15 MH/s', 'Rosenfeld'])
      expect(stdout).toContain(words)
  })

  test('what was spoilt, or is of another network, or too cheap, is refused', async () => {
    const [file = ''] = files.keys()
    const good = await readFile(file)
    const bad = join(folder.path, 'bad.proof')
    const spoilt: Uint8Array[] = [good.subarray(0, -1), Buffer.from('no proof at all'), Buffer.alloc(0)]
    for (let at = 12; at < good.length; at += 97) spoilt.push(good.with(at, 0x10 ^ (good[at] ?? 0)))
    // A start of the program for each is slow: some will do, here.
    const step = Math.ceil(spoilt.length / 5)
    for (let i = 0; i < spoilt.length; i += i < 3 ? 1 : step) {
      await writeFile(bad, spoilt[i] ?? good)
      const refused = await runCli(['verify', bad, '--network', 'dev'])
      expect({ i, ...refused }).toMatchObject({ i, exitCode: 1, stdout: '' })
      expect(refused.stderr).toMatch(/^kvchain-cli: [^\n]+\n$/)
    }
    for (const flags of [
      ['--network', 'lan'],
      ['--genesis', '0'.repeat(64)],
      ['--min-work', '1e15'],
      ['--min-confirmations', '1000'],
    ]) {
      expect(await runCli(['verify', file, ...flags])).toMatchObject({ exitCode: 1, stdout: '' })
    }
    expect(await runCli(['verify', file, '--genesis', genesis])).toMatchObject({ exitCode: 0 })
  })

  const script = fileURLToPath(new URL('../../../core/test/vectors/verify_proof.py', import.meta.url))
  const hasPython = spawnSync('python3', ['--version']).status === 0

  test.skipIf(!hasPython)('the verifier in Python finds the same', () => {
    const names = [...files.keys()]
    const { stdout, status } = spawnSync('python3', [script, '--genesis', genesis, ...names], { encoding: 'utf8' })
    expect(status).toBe(0)
    const said = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    for (const [i, [file, { claim, version, height, blockHash, confirmations, work, tip }]] of [...files].entries()) {
      expect(said[i]).toMatchObject({
        ...{ holds: true, file, genesis, claim, version: version ?? null, height, blockHash, confirmations, work },
        tip,
      })
    }
  })
})
