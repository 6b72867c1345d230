/**
 * The two secrets of a data folder: the account's key (who writes and is paid) and the peer's key (who it is on the network). Made at the
 * first start, mode 0600; a file that others may read, that is a link or that is damaged is refused. A file holds the seed and a check of it, in
 * hexadecimal digits with a space between; a seed alone, as a person may bring it, will do.
 */
import { lstat, mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type KeyPair, keyPairFromSeed, seedBytes, sha256 } from './crypto/sodium.js'
import { OptionsError } from './runtime/errors.js'
import { hex, unhex } from './runtime/hex.js'
import type { Random } from './runtime/runtime.js'

export interface Identity {
  readonly account: KeyPair
  /** Ed25519 seed of the peer key. */
  readonly peerSeed: Uint8Array
}

const CHECK_DIGITS = 8
/** The files of the two keys in a data folder. */
export const KEY_FILES = ['account.key', 'peer.key'] as const

/** Reads or makes the keys. Creates the folder (mode 0700). Throws OptionsError. */
export async function loadIdentity(dataDir: string, random: Random): Promise<Identity> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new OptionsError(`the data folder ${dataDir} cannot be made`, error)
  }
  return {
    account: keyPairFromSeed(await loadSeed(join(dataDir, 'account.key'), random)),
    peerSeed: await loadSeed(join(dataDir, 'peer.key'), random),
  }
}

async function loadSeed(file: string, random: Random): Promise<Uint8Array> {
  const stats = await lstat(file).catch(() => undefined)
  if (stats === undefined) return makeSeed(file, random)
  if (!stats.isFile()) throw new OptionsError(`${file} is not a plain file`)
  if ((stats.mode & 0o077) !== 0) throw new OptionsError(`${file} may be read by others: chmod 600 ${file}`)
  const seed = parseSeedText(await readKeyFile(file))
  if (seed !== undefined) return seed
  const advice = 'bring a copy of it back, or move it away and the next start makes another key'
  throw new OptionsError(`the key file ${file} is damaged: ${advice}`)
}

/** The seed that a file's text holds, or undefined when it is none or is damaged. */
export function parseSeedText(text: string): Uint8Array | undefined {
  const [digits = '', check, ...more] = text.trimEnd().split(' ')
  const isSeed = /^[0-9a-f]+$/.test(digits) && digits.length === seedBytes * 2 && more.length === 0
  if (!isSeed) return undefined
  const seed = unhex(digits)
  return check === undefined || check === checkOf(seed) ? seed : undefined
}

/** A seed as a file holds it, without the line's end. */
export function seedText(seed: Uint8Array): string {
  return `${hex(seed)} ${checkOf(seed)}`
}

async function readKeyFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'latin1')
  } catch (error) {
    throw new OptionsError(`the key file ${file} cannot be read: see to its owner and its mode`, error)
  }
}

/** Damage to a digit must not make another account. */
function checkOf(seed: Uint8Array): string {
  return hex(sha256(seed)).slice(0, CHECK_DIGITS)
}

/** Written aside, flushed, then renamed: the file is whole or not there. */
async function makeSeed(file: string, random: Random): Promise<Uint8Array> {
  const seed = random.bytes(seedBytes)
  const aside = `${file}.new`
  try {
    const handle = await open(aside, 'w', 0o600)
    try {
      await handle.writeFile(`${seedText(seed)}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(aside, file)
  } catch (error) {
    throw new OptionsError(`the key file ${file} cannot be written`, error)
  }
  return seed
}
