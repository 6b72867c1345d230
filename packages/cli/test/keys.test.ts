/**
 * The keystore as a user sees it: real files, real processes through bin/, no daemon.
 * 1. new, list, export, import, passwd: what is printed, what lies on disk, with which modes; round trips;
 * 2. passwords: by file, descriptor and terminal (unseen, twice); wrong, empty, loose, none;
 * 3. what is refused: a name that is taken or none, loose modes, damaged files, seeds that are none.
 */
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openKeyFile, parseKeyFile } from '@kvchain/client/keyFile'
import { seedSigner } from '@kvchain/client/signer'
import { toAddress } from '@kvchain/core/address'
import { toHex } from '@kvchain/core/bytes'
import { loadIdentity, seedText } from '@kvchain/node/identity'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { playCli, type RunOptions, runCli } from './programs.js'

const seed = Uint8Array.from({ length: 32 }, (_, i) => 7 * i)
const { publicKey } = seedSigner(seed)
const PASSWORD = 'correct horse'

let home: string
let folder: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kvchain-keys-'))
  folder = join(home, '.kvchain/keys')
  await writeFile(join(home, 'pw'), `${PASSWORD}\nsecond line\n`, { mode: 0o600 })
})

afterEach(() => rm(home, { recursive: true }))

const cli = (args: readonly string[], options: Omit<RunOptions, 'home'> = {}) => runCli(args, { home, ...options })
const withPw = ['--password-file', 'pw']
const importSeed = (name = 'alice') =>
  cli(['keys', 'import', name, '--seed-file', '-', ...withPw], { input: `${toHex(seed)}\n` })
const modeOf = async (path: string) => (await stat(path)).mode & 0o777

/** One line that a person can read, and nothing on standard output. */
function expectRefusal({ code, out, err }: Awaited<ReturnType<typeof cli>>, exitCode: number, words: RegExp): void {
  expect({ code, out }).toEqual({ code: exitCode, out: '' })
  expect(err).toMatch(words)
  expect(err.trim().split('\n')).toHaveLength(1)
  expect(err).not.toMatch(/\n\s+at |node:internal/)
}

describe('keys', () => {
  test('new makes a key that nobody else may read', async () => {
    const made = await cli(['keys', 'new', 'alice', '--json', ...withPw])
    expect(made).toMatchObject({ code: 0, err: '' })
    const answer = JSON.parse(made.out)
    const path = join(folder, 'alice.json')
    expect(answer).toMatchObject({ name: 'alice', file: path })
    expect([await modeOf(folder), await modeOf(path)]).toEqual([0o700, 0o600])
    expect(await readdir(folder)).toEqual(['alice.json'])
    const file = parseKeyFile(await readFile(path, 'utf8'))
    const { publicKey } = seedSigner(await openKeyFile(file, PASSWORD))
    expect(file.kdf).toMatchObject({ n: 131_072, r: 8, p: 1 })
    expect(answer.addresses).toEqual({
      dev: toAddress(publicKey, 'kvdev'),
      lan: toAddress(publicKey, 'kvlan'),
      public: toAddress(publicKey, 'kv'),
    })
  })

  test('two keys are two', async () => {
    await cli(['keys', 'new', 'a', ...withPw])
    await cli(['keys', 'new', 'b', ...withPw])
    const { keys } = JSON.parse((await cli(['keys', 'list', '--json'])).out)
    expect(keys.map(({ name }: { name: string }) => name)).toEqual(['a', 'b'])
    expect(keys[0].publicKey).not.toBe(keys[1].publicKey)
  })

  test('list shows each address, or that of one network', async () => {
    expect((await cli(['keys', 'list'])).out).toBe(`no keys in ${folder}\n`)
    await importSeed()
    const all = (await cli(['keys', 'list'])).out
    for (const prefix of ['kvdev', 'kvlan', 'kv']) expect(all).toContain(` ${toAddress(publicKey, prefix)}\n`)
    const lan = (await cli(['keys', 'list', '--network', 'lan'])).out.trimEnd().split('\n')
    expect(lan[1]?.split(/ +/)).toEqual(['alice', 'lan', toAddress(publicKey, 'kvlan')])
    const own = (await cli(['keys', 'list', '--prefix', 'mine'])).out
    expect(own).toContain(toAddress(publicKey, 'mine'))
  })

  test('a seed comes in and goes out', async () => {
    expect((await importSeed()).code).toBe(0)
    const shown = await cli(['keys', 'export', 'alice', '--seed', '-o', '-', ...withPw])
    expect(shown.out).toBe(`${seedText(seed)}\n`)
    const written = await cli(['keys', 'export', 'alice', '--seed', '-o', 'seed.txt', ...withPw])
    expect(written).toMatchObject({ code: 0, out: `${join(home, 'seed.txt')}\n` })
    expect(await modeOf(join(home, 'seed.txt'))).toBe(0o600)
    const again = await cli(['keys', 'import', 'copy', '--json', '--seed-file', 'seed.txt', ...withPw])
    expect(JSON.parse(again.out)).toMatchObject({ publicKey: toHex(publicKey) })
  })

  test('a key file moves with its password', async () => {
    await importSeed()
    const onDisk = await readFile(join(folder, 'alice.json'), 'utf8')
    expect((await cli(['keys', 'export', 'alice'])).out).toBe(onDisk)
    expect((await cli(['keys', 'export', 'alice', '-o', 'backup.json'])).code).toBe(0)
    expect(await readFile(join(home, 'backup.json'), 'utf8')).toBe(onDisk)
    const other = ['--keys-dir', join(home, 'other')]
    expect((await cli(['keys', 'import', 'bob', '--file', 'backup.json', ...other])).code).toBe(0)
    const seedOut = await cli(['keys', 'export', 'bob', '--seed', '-o', '-', ...withPw, ...other])
    expect(seedOut.out).toBe(`${seedText(seed)}\n`)
  })

  test('the account of a data folder', async () => {
    const dataDir = join(home, 'data')
    const { account } = await loadIdentity(dataDir, systemRuntime().random)
    const taken = await cli(['keys', 'import', 'node', '--json', '--data-dir', dataDir, ...withPw])
    expect(JSON.parse(taken.out)).toMatchObject({ publicKey: toHex(account.publicKey) })
    expectRefusal(await cli(['keys', 'import', 'x', '--data-dir', home, ...withPw]), 1, /cannot read .*account\.key/)
    expect(await readdir(home)).not.toContain('account.key')
  })

  test('passwd: the new password opens, the old one does not', async () => {
    await importSeed()
    await writeFile(join(home, 'pw2'), 'another\n', { mode: 0o600 })
    const change = await cli(['keys', 'passwd', 'alice', ...withPw, '--new-password-fd', '3'], { third: 'another\n' })
    expect(change).toMatchObject({ code: 0, err: '' })
    expectRefusal(await cli(['keys', 'export', 'alice', '--seed', '-o', '-', ...withPw]), 7, /password/)
    const opened = await cli(['keys', 'export', 'alice', '--seed', '-o', '-', '--password-file', 'pw2'])
    expect(opened.out).toBe(`${seedText(seed)}\n`)
    expect(await readdir(folder)).toEqual(['alice.json'])
    expect(await modeOf(join(folder, 'alice.json'))).toBe(0o600)
  })

  test('a link to a key file is followed, and stays one', async () => {
    await importSeed()
    await mkdir(join(home, 'linked'), { mode: 0o700 })
    await symlink(join(folder, 'alice.json'), join(home, 'linked/alice.json'))
    const env = { KVCHAIN_KEYS_DIR: join(home, 'linked') }
    const change = await cli(['keys', 'passwd', 'alice', ...withPw, '--new-password-fd', '3'], {
      third: 'another',
      env,
    })
    expect(change.code).toBe(0)
    expect((await lstat(join(home, 'linked/alice.json'))).isSymbolicLink()).toBe(true)
    const opened = await cli(['keys', 'export', 'alice', '--seed', '-o', '-', '--password-fd', '3'], {
      third: 'another',
    })
    expect(opened.out).toBe(`${seedText(seed)}\n`)
  })
})

describe('passwords', () => {
  test('asked for twice on the terminal, and never shown', async () => {
    const steps = [
      ['A password for the new key alice: ', 'hush hush\r'],
      ['The same again: ', 'hush hush\r'],
    ] as const
    const played = await playCli(['keys', 'new', 'alice'], steps, { home })
    expect(played).toMatchObject({ exitCode: 0, left: 0 })
    expect(played.output).not.toContain('hush')
    const opened = await playCli(['keys', 'export', 'alice', '--seed', '-o', 'out'], [['alice: ', 'hush hush\r']], {
      home,
    })
    expect(opened).toMatchObject({ exitCode: 0, left: 0 })
  })

  test('two that differ make no key', async () => {
    const steps = [
      ['new key alice: ', 'one\r'],
      ['again: ', 'two\r'],
    ] as const
    const played = await playCli(['keys', 'new', 'alice'], steps, { home })
    expect(played.exitCode).toBe(1)
    expect(played.output).toContain('the two passwords differ')
    expect((await cli(['keys', 'list'])).out).toBe(`no keys in ${folder}\n`)
  })

  test.each([
    ['Ctrl-C', '\x03'],
    ['Ctrl-D', '\x04'],
  ])('%s gives none', async (_, typed) => {
    const played = await playCli(['keys', 'new', 'alice'], [['new key alice: ', typed]], { home })
    expect(played.exitCode).toBe(1)
    expect(played.output).toContain('no password was given')
  })

  test('a descriptor gives its first line', async () => {
    for (const third of [PASSWORD, `${PASSWORD}\n`, `${PASSWORD}\r\nmore`]) {
      const name = `k${third.length}`
      const made = await cli(['keys', 'import', name, '--seed-file', '-', '--password-fd', '3'], {
        input: seedText(seed),
        third,
      })
      expect(made.code).toBe(0)
      const out = await cli(['keys', 'export', name, '--seed', '-o', '-', ...withPw])
      expect(out.out).toBe(`${seedText(seed)}\n`)
    }
  })

  test('a wrong one has an exit code of its own, and a name', async () => {
    await importSeed()
    const wrong = await cli(['keys', 'export', 'alice', '--seed', '-o', 'x', '--password-fd', '3'], {
      third: 'wrong\n',
    })
    expectRefusal(wrong, 7, /the password is not this key’s/)
    const json = await cli(['keys', 'export', 'alice', '--seed', '-o', 'x', '--json', '--password-fd', '3'], {
      third: 'w',
    })
    expect(JSON.parse(json.err).error).toMatchObject({ name: 'wrong-password', exitCode: 7 })
    expect(await readdir(home)).not.toContain('x')
  })

  test.each([
    ['no terminal', [], undefined, 2, /no terminal/],
    ['an empty one', ['--password-fd', '3'], '\n', 2, /must not be empty/],
    ['none at all', ['--password-fd', '3'], '', 2, /must not be empty/],
    ['one without end', ['--password-fd', '3'], 'x'.repeat(5000), 2, /at most 1024 bytes/],
    ['a descriptor that is not open', ['--password-fd', '99'], undefined, 1, /descriptor 99/],
    ['a descriptor that is none', ['--password-fd', 'three'], undefined, 2, /descriptor/],
    ['a file that is not there', ['--password-file', 'nowhere'], undefined, 1, /cannot read/],
    ['both ways', ['--password-file', 'pw', '--password-fd', '3'], undefined, 2, /not by both/],
  ])('%s', async (_, args, third, code, words) => {
    const result = await cli(['keys', 'new', 'alice', ...args], third === undefined ? {} : { third })
    expectRefusal(result, code, words)
  })

  test('a file that others may read', async () => {
    await chmod(join(home, 'pw'), 0o640)
    expectRefusal(await cli(['keys', 'new', 'alice', ...withPw]), 1, /chmod 600/)
  })
})

describe('refused', () => {
  test('a name that is taken, before anybody thinks up a password', async () => {
    await importSeed()
    const before = await readFile(join(folder, 'alice.json'), 'utf8')
    expectRefusal(await cli(['keys', 'new', 'alice']), 1, /never overwritten/)
    expectRefusal(await importSeed(), 1, /never overwritten/)
    await cli(['keys', 'export', 'alice', '-o', 'backup.json'])
    expectRefusal(await cli(['keys', 'import', 'alice', '--file', 'backup.json']), 1, /never overwritten/)
    expectRefusal(await cli(['keys', 'export', 'alice', '-o', 'backup.json']), 1, /there already/)
    expect(await readFile(join(folder, 'alice.json'), 'utf8')).toBe(before)
    expect(await readdir(folder)).toEqual(['alice.json'])
  })

  test.each(['', '.hidden', 'a/b', '../up', 'x'.repeat(65), 'with space', '-'])('the name %o', async (name) => {
    expectRefusal(await cli(['keys', 'export', '--', name]), 2, /a key's name/)
  })

  test.each([
    ['export', 3],
    ['passwd', 3],
  ])('%s of a key that is not there', async (verb, code) => {
    expectRefusal(await cli(['keys', verb, 'nobody']), code, /there is no key nobody/)
  })

  test.each([
    ['alice.json', 0o644, /chmod 600 .*alice\.json/],
    ['alice.json', 0o660, /chmod 600/],
    ['', 0o755, /chmod 700/],
  ])('%s with mode %o', async (path, mode, words) => {
    await importSeed()
    await chmod(join(folder, path), mode)
    expectRefusal(await cli(['keys', 'export', 'alice']), 1, words)
  })

  test('a damaged file; the others are listed all the same', async () => {
    await importSeed()
    await importSeed('bob')
    const path = join(folder, 'alice.json')
    const text = await readFile(path, 'utf8')
    await writeFile(
      path,
      text.replace(/"salt": "(.)/, (_, digit) => `"salt": "${digit === '0' ? 1 : 0}`),
    )
    expectRefusal(await cli(['keys', 'export', 'alice', '--seed', '-o', '-', ...withPw]), 1, /damaged/)
    const list = await cli(['keys', 'list', '--network', 'dev'])
    expect(list.out).toMatch(/alice +- +the key file is damaged/)
    expect(list.out).toMatch(/bob +dev +kvdev1/)
  })

  test.each([
    ['nothing', ''],
    ['half a seed', toHex(seed).slice(2)],
    ['a seed with a wrong check', `${toHex(seed)} 00000000`],
    ['text', 'correct horse battery staple'],
    ['no end', 'x'.repeat(5000)],
  ])('a seed that is none: %s', async (_, input) => {
    expectRefusal(await cli(['keys', 'import', 'a', '--seed-file', '-', ...withPw], { input }), 1, /seed/)
  })

  test.each([
    ['import from nowhere', ['keys', 'import', 'a'], /one of --seed-file/],
    ['import from two places', ['keys', 'import', 'a', '--file', 'x', '--seed-file', 'y'], /one of --seed-file/],
    ['two prefixes', ['keys', 'list', '--network', 'dev', '--prefix', 'kv'], /--network and --prefix/],
    ['a prefix that is none', ['keys', 'list', '--prefix', 'KV1'], /small letters/],
    ['no verb', ['keys'], /which command/],
  ])('%s', async (_, args, words) => {
    expectRefusal(await cli(args), 2, words)
  })

  test('a seed on its way to nowhere', async () => {
    await importSeed()
    expectRefusal(await cli(['keys', 'export', 'alice', '--seed', ...withPw]), 2, /where the seed is to go/)
  })
})
