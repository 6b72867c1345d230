/**
 * The file of a pre-shared key, which a private network's members have and nobody else: three lines, in the form that libp2p's own programs
 * know, so that one made for them serves here. Owns reading it, and that it is kept from others.
 */
import { lstat, readFile } from 'node:fs/promises'
import { OptionsError } from './runtime/errors.js'
import { unhex } from './runtime/hex.js'

const FORM = /^\/key\/swarm\/psk\/1\.0\.0\/\r?\n\/base16\/\r?\n([0-9a-fA-F]{64})\s*$/
const MAKE = '(echo /key/swarm/psk/1.0.0/; echo /base16/; openssl rand -hex 32) > FILE && chmod 600 FILE'

/** The 32 bytes of the key. Throws OptionsError: not there, readable by others, not such a file. */
export async function readPsk(file: string): Promise<Uint8Array> {
  const stats = await lstat(file).catch(() => undefined)
  if (!stats?.isFile())
    throw new OptionsError(`there is no file ${file} with a pre-shared key; one is made by: ${MAKE}`)
  if ((stats.mode & 0o077) !== 0) throw new OptionsError(`${file} may be read by others: chmod 600 ${file}`)
  let text: string
  try {
    text = await readFile(file, 'latin1')
  } catch (error) {
    throw new OptionsError(`the pre-shared key ${file} cannot be read: see to its owner and its mode`, error)
  }
  const digits = FORM.exec(text)?.[1]
  if (digits === undefined) throw new OptionsError(`${file} holds no pre-shared key; one is made by: ${MAKE}`)
  return unhex(digits.toLowerCase())
}
