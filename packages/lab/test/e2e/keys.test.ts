/**
 * Writes signed by kvchain-cli and by the client library, carried by a real daemon that never sees the key:
 * 1. every kind of write with --key: the entry's owner is the key, the daemon's own account does nothing;
 * 2. what is refused, and that nothing was sent then;
 * 3. a network that asks for fees and that no client knows: the least fee is paid, to the coin;
 * 4. the library: many writes at once, terms, another network.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seedSigner } from '@kvchain/client/signer'
import { readSigningNetwork, SigningClient } from '@kvchain/client/signingClient'
import { toAddress } from '@kvchain/core/address'
import { toHex } from '@kvchain/core/bytes'
import { Daemon } from '@kvchain/lab/daemon'
import { runCli } from '@kvchain/lab/launchers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const seedOf = (fill: number) => new Uint8Array(32).fill(fill)
const ALICE = toAddress(seedSigner(seedOf(1)).publicKey, 'kvdev')
const BOB = toAddress(seedSigner(seedOf(2)).publicKey, 'kvdev')

let home: string
let daemon: Daemon
let passwordFile: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kvchain-keys-'))
  passwordFile = join(home, 'pw')
  await writeFile(passwordFile, 'correct horse\n', { mode: 0o600 })
  daemon = await Daemon.start({ dataDir: join(home, 'dev'), mine: true })
  for (const [name, fill] of [
    ['alice', 1],
    ['bob', 2],
  ] as const) {
    const imported = await runCli(['keys', 'import', name, '--seed-file', '-', ...secret()], {
      input: toHex(seedOf(fill)),
    })
    expect(imported.exitCode).toBe(0)
  }
})

afterAll(async () => {
  await daemon.stop()
  await rm(home, { recursive: true })
})

const keysDir = () => ['--keys-dir', join(home, 'keys')]
const secret = () => [...keysDir(), '--password-file', passwordFile]
const as = (name: string) => ['--key', name, ...secret()]
const cli = (args: readonly string[], input?: string, at = daemon) => at.cli(args, input === undefined ? {} : { input })

async function done(args: readonly string[], input?: string, at = daemon): Promise<string> {
  const { exitCode, stdout, stderr } = await cli(args, input, at)
  expect({ args, exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ args, exitCode: 0, stderr: '' })
  return stdout
}

const nonceOf = async (address?: string) => (await daemon.client.balance(address)).nextNonce

describe('with --key', () => {
  test('put, access, delete: the key owns, the daemon’s account does nothing', async () => {
    const before = await nonceOf()
    await done(['put', 'hers', 'first', '--if-absent', '--wait', ...as('alice')])
    expect(await daemon.client.get('hers')).toMatchObject({ value: 'first', owner: ALICE, writers: 'private' })
    expect((await cli(['put', 'hers', 'mine now'])).exitCode).toBe(4)
    await done(['access', 'hers', '--writers', BOB, '--wait', ...as('alice')])
    await done(['put', 'hers', 'his words', '--wait', ...as('bob')])
    await done(['delete', 'hers', '--wait', ...as('alice')])
    const { versions } = await daemon.client.history('hers')
    expect(versions.map(({ author, deleted }) => [author, deleted])).toEqual([
      [ALICE, true],
      [BOB, false],
      [ALICE, false],
      [ALICE, false],
    ])
    expect(await nonceOf()).toBe(before)
  })

  test('coins: balance, send, and what a miner got', async () => {
    const receipt = JSON.parse(await done(['send', ALICE, '30', '--json', '--wait']))
    expect(receipt.status).toBe('confirmed')
    const sent = JSON.parse(await done(['send', BOB, '12', '--fee', '3', '--json', '--wait', ...as('alice')]))
    expect((await daemon.client.tx(sent.txid)).sender).toBe(ALICE)
    const balance = JSON.parse(await done(['balance', '--json', '--key', 'alice', ...keysDir()]))
    expect(balance).toMatchObject({ address: ALICE, balance: 15 })
    expect(JSON.parse(await done(['balance', BOB, '--json']))).toMatchObject({ balance: 12 })
  })

  test('a batch, in the own namespace', async () => {
    const lines = [
      { op: 'put', key: '@me/name', value: 'Alice' },
      { op: 'assert', key: 'nothing here', expect: { absent: true } },
      { op: 'put', key: 'a', keyEncoding: 'utf8', value: '//8=', encoding: 'base64' },
    ]
    const input = lines.map((line) => JSON.stringify(line)).join('\n')
    await done(['batch', '-', '--wait', ...as('alice')], input)
    expect(await daemon.client.get(`@${ALICE}/name`)).toMatchObject({ value: 'Alice', owner: ALICE })
    expect(await daemon.client.get('a')).toMatchObject({ value: '//8=', encoding: 'base64', owner: ALICE })
  })

  test('a value by standard input, the password by a file', async () => {
    await done(['put', 'piped', '-', '--wait', ...as('alice')], 'some text')
    expect(await daemon.client.get('piped')).toMatchObject({ value: 'some text', owner: ALICE })
  })

  test('writes without waiting follow each other', async () => {
    const before = await nonceOf(ALICE)
    const nonces: number[] = []
    for (let i = 0; i < 4; i++) {
      nonces.push(JSON.parse(await done(['put', `quick/${i}`, 'x', '--json', ...as('alice')])).accountNonce)
    }
    expect(nonces).toEqual([0, 1, 2, 3].map((i) => before + i))
  })

  test('its genesis named', async () => {
    const { genesis } = await daemon.status()
    await done(['put', 'pinned', 'x', '--genesis', genesis, '--wait', ...as('alice')])
    const other = await cli(['put', 'pinned', 'y', '--genesis', 'ab'.repeat(32), ...as('alice')])
    expect(other).toMatchObject({ exitCode: 1, stdout: '' })
    expect(other.stderr).toContain('nothing was signed')
  })
})

describe('refused, with one line', () => {
  const wrong = () => join(home, 'wrong')

  test.each([
    ['a wrong password', ['put', 'x', 'y', '--key', 'alice', '--password-file', 'WRONG'], 7],
    ['no such key', ['put', 'x', 'y', '--key', 'nobody'], 3],
    ['a name that is none', ['put', 'x', 'y', '--key', '../alice'], 2],
    ['nobody to ask for the password', ['put', 'x', 'y', '--key', 'alice'], 2],
    ['a password without a key', ['put', 'x', 'y', '--password-file', 'WRONG'], 2],
    ['a genesis without a key', ['put', 'x', 'y', '--genesis', 'ab'.repeat(32)], 2],
    ['a genesis that is none', ['put', 'x', 'y', '--genesis', 'ab', '--key', 'alice'], 2],
    ['an address of another network', ['send', toAddress(seedOf(1), 'kv'), '1', '--key', 'alice'], 2],
    ['an over-long key', ['put', 'k'.repeat(513), 'y', '--key', 'alice'], 2],
    ['balance of two', ['balance', BOB, '--key', 'alice'], 2],
    ['more coins than there are', ['send', BOB, '900000', '--wait', '--key', 'bob', '--password-file', 'RIGHT'], 4],
  ])('%s', async (_, args, code) => {
    await writeFile(wrong(), 'incorrect horse\n', { mode: 0o600 })
    const real = args.map((arg) => (arg === 'WRONG' ? wrong() : arg === 'RIGHT' ? passwordFile : arg))
    const isAddressed = code === 2 && (args[0] === 'send' || String(args[1]).length > 500)
    const before = await nonceOf(ALICE)
    const full = [...real, ...(real.includes('--key') ? keysDir() : [])]
    const result = await cli(isAddressed ? [...full, '--password-file', passwordFile] : full)
    expect({ code: result.exitCode, out: result.stdout }).toEqual({ code, out: '' })
    expect(result.stderr.trim().split('\n')).toHaveLength(1)
    expect(await nonceOf(ALICE)).toBe(before)
  })
})

test('a network of its own that asks for fees: the least is paid, to the coin', async () => {
  const dev = JSON.parse(await readFile(new URL('../../../../configs/dev.json', import.meta.url), 'utf8'))
  const file = join(home, 'tolls.json')
  const consensus = { ...dev.consensus, addressPrefix: 'toll', minFeePerByte: 2, blockReward: 1_000_000 }
  await writeFile(file, JSON.stringify({ ...dev, name: 'tolls', $schema: undefined, reasons: undefined, consensus }))
  const tolls = await Daemon.start({ dataDir: join(home, 'tolls'), network: file, mine: 'always' })
  try {
    const alice = toAddress(seedSigner(seedOf(1)).publicKey, 'toll')
    expect((await cli(['put', 'x', 'y', ...as('alice')], undefined, tolls)).exitCode).toBe(4)
    await tolls.waitFor(async () => (await tolls.client.balance()).balance > 100_000, { what: 'coins' })
    await done(['send', alice, '5000', '--wait'], undefined, tolls)
    const { txid } = JSON.parse(await done(['put', 'x', 'y', '--json', '--wait', ...as('alice')], undefined, tolls))
    const { fee } = await tolls.client.tx(txid)
    // Body of a one-byte key with one byte under it, signature, flag: see protocol.md section 4.
    expect(fee % 2).toBe(0)
    expect((await tolls.client.call('coin_fee', { size: fee / 2 })).minimum).toBe(fee)
    expect((await tolls.client.balance(alice)).balance).toBe(5000 - fee)
    const mean = await cli(['put', 'x', 'z', '--fee', String(fee - 1), ...as('alice')], undefined, tolls)
    expect(mean.exitCode).toBe(4)
  } finally {
    await tolls.stop()
  }
})

describe('the client library', () => {
  test('many writes at once, each with a nonce of its own', async () => {
    const carol = new SigningClient(daemon.client, seedSigner(seedOf(3)), await readSigningNetwork(daemon.client, []))
    const receipts = await Promise.all(
      Array.from({ length: 50 }, (_, i) => carol.call('kv_put', { key: `carol/${i}`, value: String(i) })),
    )
    expect(receipts.map(({ accountNonce }) => accountNonce)).toEqual(receipts.map((_, i) => i))
    await daemon.client.waitFor(receipts.at(-1)?.txid ?? '')
    expect(await daemon.client.get('carol/49')).toMatchObject({ value: '49', owner: carol.address })
  })

  test('a refusal does not hold up those behind it; a term is kept', async () => {
    const dave = new SigningClient(daemon.client, seedSigner(seedOf(4)), await readSigningNetwork(daemon.client, []))
    const poor = dave.call('kv_put', { key: 'dave', value: '1', fee: 1 })
    const free = dave.call('kv_put', { key: 'dave', value: '2', validFor: 50 })
    await expect(poor).rejects.toMatchObject({ code: 'refused' })
    const { txid, validUntil } = await free
    expect((await daemon.client.waitFor(txid)).status).toBe('confirmed')
    expect((await daemon.client.tx(txid)).validUntil).toBe(validUntil)
  })

  test('signed for another network: refused', async () => {
    const real = await readSigningNetwork(daemon.client, [])
    const elsewhere = { ...real, genesis: new Uint8Array(32) }
    const eve = new SigningClient(daemon.client, seedSigner(seedOf(5)), elsewhere)
    await expect(eve.call('kv_put', { key: 'eve', value: 'x' })).rejects.toMatchObject({ code: 'refused' })
  })

  test('a network that is not what it is called: nothing is signed', async () => {
    const { genesis, addressPrefix, name } = await readSigningNetwork(daemon.client, [])
    const impostor = [{ name, addressPrefix, genesis: new Uint8Array(32) }]
    const renamed = [{ name: 'elsewhere', addressPrefix, genesis }]
    for (const known of [impostor, renamed]) {
      await expect(readSigningNetwork(daemon.client, known)).rejects.toMatchObject({ code: 'other-network' })
    }
    expect(await readSigningNetwork(daemon.client, [{ name, addressPrefix, genesis, minFeePerByte: 0 }])).toEqual({
      name,
      addressPrefix,
      genesis,
      minFeePerByte: 0,
    })
  })
})
