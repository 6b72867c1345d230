/** What the commands of the keystore do. Loaded when one of them runs, or when a write is signed with a key. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type KeyFile, keyFileText, openKeyFile, parseKeyFile, sealKeyFile } from '@kvchain/client/keyFile'
import { SEED_BYTES } from '@kvchain/client/signer'
import { KvError } from '@kvchain/core/errors'
import { parseSeedText, seedText } from '@kvchain/node/identity'
import { unhex } from '@kvchain/node/runtime/hex'
import { CliError, usageError } from '../exits.js'
import { resolvePath } from '../paths.js'
import { fieldLines, print, remark, tableLines } from '../terminal.js'
import { addressesOf, addressPrefixes } from './addresses.js'
import type { ExportOptions, ImportOptions, KeysOptions, NewPasswordOptions, PasswordOptions } from './keyOptions.js'
import { Keystore, keysFolder, readSecretFile, writeNewFile } from './keystore.js'
import { readNewPassword, readPassword } from './passwords.js'
import { show } from './session.js'

export async function newKey(name: string, options: KeysOptions): Promise<void> {
  await addSeed(name, random(SEED_BYTES), options)
}

async function addSeed(name: string, seed: Uint8Array, options: KeysOptions): Promise<void> {
  const prefixes = await addressPrefixes(options)
  const store = new Keystore(keysFolder(options))
  // Before anybody thinks up a password.
  await store.requireFree(name)
  const source = { file: options.passwordFile, fd: options.passwordFd }
  const password = await readNewPassword(source, `A password for the new key ${name}`)
  const file = await sealKeyFile(seed, password, random)
  await addFile(store, name, file, { options, prefixes })
}

async function addFile(
  store: Keystore,
  name: string,
  file: KeyFile,
  { options, prefixes }: { options: KeysOptions; prefixes: readonly [string, string][] },
): Promise<void> {
  const path = await store.add(name, file)
  const addresses = addressesOf(unhex(file.publicKey), prefixes)
  show(options, { name, file: path, publicKey: file.publicKey, addresses }, () =>
    fieldLines([['key', name], ['file', path], ...Object.entries(addresses)]),
  )
  if (!options.json) remark('keep a copy of the file and remember its password: nobody can bring either back')
}

export async function listKeys(options: KeysOptions): Promise<void> {
  const prefixes = await addressPrefixes(options)
  const store = new Keystore(keysFolder(options))
  const names = await store.names()
  const keys = await Promise.all(names.map((name) => describeKey(store, name, prefixes)))
  show(options, { folder: store.folder, keys }, () => {
    if (keys.length === 0) return `no keys in ${store.folder}\n`
    const rows = keys.flatMap(({ name, ...key }) =>
      'error' in key
        ? [[name, '-', key.error]]
        : Object.entries(key.addresses).map(([network, address]) => [name, network, address]),
    )
    return tableLines(['KEY', 'NETWORK', 'ADDRESS'], rows)
  })
}

/** A file that cannot be used is listed with the reason: the others can. */
async function describeKey(store: Keystore, name: string, prefixes: readonly [string, string][]) {
  try {
    const { publicKey } = await store.read(name)
    return { name, publicKey, addresses: addressesOf(unhex(publicKey), prefixes) }
  } catch (error) {
    if (!(error instanceof KvError)) throw error
    return { name, error: error.message }
  }
}

export async function importKey(name: string, options: KeysOptions & ImportOptions): Promise<void> {
  const { seedFile, file, dataDir } = options
  const given = [seedFile, file, dataDir].filter((source) => source !== undefined)
  if (given.length !== 1) throw usageError('give one of --seed-file, --file and --data-dir')
  if (file !== undefined) {
    const prefixes = await addressPrefixes(options)
    const keyFile = parseKeyFile(await readSecretFile(resolvePath(file, process.cwd())))
    return addFile(new Keystore(keysFolder(options)), name, keyFile, { options, prefixes })
  }
  const path = seedFile ?? join(resolvePath(dataDir ?? '', process.cwd()), 'account.key')
  const text = seedFile === '-' ? await readStandardInput() : await readSecretFile(resolvePath(path, process.cwd()))
  const seed = parseSeedText(text)
  if (seed === undefined) throw new CliError('failed', `${path === '-' ? 'standard input' : path} holds no seed`)
  await addSeed(name, seed, options)
}

export async function exportKey(name: string, options: KeysOptions & ExportOptions): Promise<void> {
  const { output, seed } = options
  const file = await new Keystore(keysFolder(options)).read(name)
  if (seed && output === undefined)
    throw usageError('say where the seed is to go: -o FILE, or -o - for standard output')
  const text = seed ? `${seedText(await unlock(name, file, options))}\n` : keyFileText(file)
  if (output === undefined || output === '-') return print(text)
  const path = resolvePath(output, process.cwd())
  await writeNewFile(path, text, () => new CliError('failed', `${path} is there already`, { path }))
  show(options, { name, file: path, seed: seed === true }, () => `${path}\n`)
}

export async function changePassword(name: string, options: KeysOptions & NewPasswordOptions): Promise<void> {
  const store = new Keystore(keysFolder(options))
  const seed = await unlock(name, await store.read(name), options)
  const source = { file: options.newPasswordFile, fd: options.newPasswordFd }
  const password = await readNewPassword(source, `A new password for the key ${name}`)
  await store.replace(name, await sealKeyFile(seed, password, random))
  show(options, { name }, () => `the key ${name} has another password; copies of its file keep the old one\n`)
}

/** The seed of a key, once its password is known. */
export async function unlock(name: string, file: KeyFile, options: PasswordOptions): Promise<Uint8Array> {
  const source = { file: options.passwordFile, fd: options.passwordFd }
  return openKeyFile(file, await readPassword(source, `The password of the key ${name}`))
}

function random(bytes: number): Uint8Array {
  return new Uint8Array(randomBytes(bytes))
}

/** Enough for a seed. */
const MAX_INPUT_BYTES = 1_024

async function readStandardInput(): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin) {
    text += String(chunk)
    if (text.length > MAX_INPUT_BYTES) throw new CliError('failed', 'standard input is no seed')
  }
  return text
}
