/**
 * The two secrets of a data folder: the account's key (who writes and is paid) and the peer's key (who it is on the network). Made at the
 * first start, mode 0600; a file that others may read or that is a link is refused.
 */
import { lstat, mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type KeyPair, keyPairFromSeed, seedBytes } from './crypto/sodium.js'
import { OptionsError } from './runtime/errors.js'
import { hex, unhex } from './runtime/hex.js'
import type { Random } from './runtime/runtime.js'

export interface Identity {
  readonly account: KeyPair
  /** Ed25519 seed of the peer key. */
  readonly peerSeed: Uint8Array
}

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
  const text = (await readFile(file, 'utf8')).trim()
  if (!/^[0-9a-f]+$/.test(text) || text.length !== seedBytes * 2) {
    throw new OptionsError(`${file} is not a key file: it must hold ${seedBytes * 2} hexadecimal digits`)
  }
  return unhex(text)
}

/** Written aside, flushed, then renamed: the file is whole or not there. */
async function makeSeed(file: string, random: Random): Promise<Uint8Array> {
  const seed = random.bytes(seedBytes)
  const aside = `${file}.new`
  try {
    const handle = await open(aside, 'w', 0o600)
    try {
      await handle.writeFile(`${hex(seed)}\n`)
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
