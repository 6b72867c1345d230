/**
 * Key files: a seed under a password, as one JSON text. Owns the format: scrypt makes a key of the password, ChaCha20-Poly1305 seals the seed
 * and, as additional data, everything else that the file says. A check over the whole tells damage from a wrong password. Does not own where
 * files lie, who may read them, or how a password is asked for. Needs Node. (docs/keys.md has the format)
 */
import { createCipheriv, createDecipheriv, scrypt } from 'node:crypto'
import { equalBytes, fromHex, toHex } from '@kvchain/core/bytes'
import { KvError } from '@kvchain/core/errors'
import { Compile, Type } from '@kvchain/core/typebox'
import type { Static } from 'typebox'
import { closed } from './contract/schemas.js'
import { SEED_BYTES, seedSigner, sha256 } from './signer.js'

export type KeyFileErrorCode =
  /** No key file at all: not JSON, or other fields. */
  | 'key-file-malformed'
  /** Of a version, or with a work factor, that this program does not take. */
  | 'key-file-unsupported'
  /** Not as it was written. */
  | 'key-file-damaged'
  /** The password is not this file's. */
  | 'wrong-password'
  /** Nothing can be sealed with such a password. */
  | 'bad-password'

/** A key file that cannot be used, or not so. */
export class KeyFileError extends KvError<KeyFileErrorCode> {}

/** How much work a guess at the password costs: 128 * n * r bytes of memory, p times. */
export interface ScryptCost {
  /** A power of two. */
  readonly n: number
  readonly r: number
  readonly p: number
}

/** 128 MiB and a third of a second for each guess. */
export const DEFAULT_COST: ScryptCost = { n: 2 ** 17, r: 8, p: 1 }
/** What a file may ask of the machine that opens it. */
const MAX_SCRYPT_BYTES = 512 << 20
const MAX_P = 16
export const MAX_PASSWORD_BYTES = 1_024
const VERSION = 1
const SALT_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CIPHER = 'chacha20-poly1305'

const Hex = (bytes: number) => Type.String({ pattern: `^[0-9a-f]{${2 * bytes}}$` })

const KeyFileSchema = closed({
  kind: Type.Literal('kvchain-key'),
  version: Type.Literal(VERSION),
  publicKey: Hex(32),
  kdf: closed({
    name: Type.Literal('scrypt'),
    n: Type.Integer({ minimum: 2, maximum: 2 ** 31 }),
    r: Type.Integer({ minimum: 1, maximum: 2 ** 16 }),
    p: Type.Integer({ minimum: 1, maximum: 2 ** 16 }),
    salt: Hex(SALT_BYTES),
  }),
  cipher: closed({ name: Type.Literal(CIPHER), nonce: Hex(NONCE_BYTES) }),
  ciphertext: Hex(SEED_BYTES + TAG_BYTES),
  check: Hex(8),
})

/** A key file whose check has been found good. */
export type KeyFile = Static<typeof KeyFileSchema>

const validator = Compile(KeyFileSchema)

/** Reads a key file, without opening it. Throws KeyFileError. */
export function parseKeyFile(text: string): KeyFile {
  const json = parseJson(text)
  if (typeof json === 'object' && json !== null && 'version' in json && 'kind' in json) {
    const isOther = json.kind === 'kvchain-key' && typeof json.version === 'number' && json.version !== VERSION
    if (isOther) throw new KeyFileError('key-file-unsupported', `a key file of version ${json.version}, not ${VERSION}`)
  }
  if (!validator.Check(json)) {
    const [first] = validator.Errors(json)
    throw new KeyFileError('key-file-malformed', `no key file: ${first?.instancePath || '/'} is not as it should be`)
  }
  if (json.check !== checkOf(json)) {
    throw new KeyFileError('key-file-damaged', 'the key file is damaged: bring a copy of it back')
  }
  requireCost(json.kdf)
  return json
}

/** The 32-byte seed in a key file. Throws KeyFileError. */
export async function openKeyFile(file: KeyFile, password: string): Promise<Uint8Array> {
  const key = await derive(passwordBytes(password), bytesOf(file.kdf.salt), file.kdf)
  const sealed = bytesOf(file.ciphertext)
  const decipher = createDecipheriv(CIPHER, key, bytesOf(file.cipher.nonce), { authTagLength: TAG_BYTES })
  decipher.setAAD(headerOf(file), { plaintextLength: SEED_BYTES })
  decipher.setAuthTag(sealed.subarray(SEED_BYTES))
  const seed = new Uint8Array(decipher.update(sealed.subarray(0, SEED_BYTES)))
  try {
    decipher.final()
  } catch (error) {
    throw new KeyFileError('wrong-password', 'the password is not this key’s', {}, error)
  }
  if (!equalBytes(seedSigner(seed).publicKey, bytesOf(file.publicKey))) {
    throw new KeyFileError('key-file-damaged', 'the key file holds another key than it says')
  }
  return seed
}

/** Seals a 32-byte seed; `random` gives that many bytes which nobody can guess. Throws KeyFileError `bad-password`. */
export async function sealKeyFile(
  seed: Uint8Array,
  password: string,
  random: (bytes: number) => Uint8Array,
  cost: ScryptCost = DEFAULT_COST,
): Promise<KeyFile> {
  requireCost(cost)
  const salt = random(SALT_BYTES)
  const nonce = random(NONCE_BYTES)
  const header = {
    publicKey: toHex(seedSigner(seed).publicKey),
    kdf: { name: 'scrypt' as const, n: cost.n, r: cost.r, p: cost.p, salt: toHex(salt) },
    cipher: { name: CIPHER, nonce: toHex(nonce) } as const,
  }
  const key = await derive(passwordBytes(password), salt, cost)
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(headerOf(header), { plaintextLength: SEED_BYTES })
  const sealed = Buffer.concat([cipher.update(seed), cipher.final(), cipher.getAuthTag()])
  const file = { kind: 'kvchain-key' as const, version: VERSION, ...header, ciphertext: toHex(sealed) } as const
  return { ...file, check: checkOf(file) }
}

/** The text of a key file. */
export function keyFileText(file: KeyFile): string {
  return `${JSON.stringify(file, null, 2)}\n`
}

/** Throws KeyFileError `bad-password` for one that is empty, too long or no text. */
export function passwordBytes(password: string): Uint8Array {
  // The same letters, however a keyboard composes them.
  const bytes = new TextEncoder().encode(password.normalize('NFKC'))
  if (bytes.length >= 1 && bytes.length <= MAX_PASSWORD_BYTES) return bytes
  const why = bytes.length === 0 ? 'must not be empty' : `has at most ${MAX_PASSWORD_BYTES} bytes`
  throw new KeyFileError('bad-password', `a password ${why}`)
}

type Sealed = Omit<KeyFile, 'check'>

/** All that a file says, but the sealed seed and the check: authenticated with the seed. In this order, without white space. */
function headerText({ publicKey, kdf, cipher }: Pick<Sealed, 'publicKey' | 'kdf' | 'cipher'>): string {
  const { n, r, p, salt } = kdf
  return JSON.stringify({
    kind: 'kvchain-key',
    version: VERSION,
    publicKey,
    kdf: { name: 'scrypt', n, r, p, salt },
    cipher: { name: CIPHER, nonce: cipher.nonce },
  })
}

function headerOf(file: Pick<Sealed, 'publicKey' | 'kdf' | 'cipher'>): Uint8Array {
  return new TextEncoder().encode(headerText(file))
}

/** 8 bytes of SHA-256 over header and ciphertext. */
function checkOf(file: Sealed): string {
  return toHex(sha256(new TextEncoder().encode(`${headerText(file)}${file.ciphertext}`))).slice(0, 16)
}

function requireCost({ n, r, p }: ScryptCost): void {
  const isPower = n >= 2 && Number.isInteger(Math.log2(n))
  if (isPower && 128 * n * r <= MAX_SCRYPT_BYTES && p <= MAX_P) return
  throw new KeyFileError('key-file-unsupported', `scrypt with n=${n}, r=${r}, p=${p} is not taken`, { n, r, p })
}

function derive(password: Uint8Array, salt: Uint8Array, { n, r, p }: ScryptCost): Promise<Uint8Array> {
  // Some more than the block of memory itself: its bookkeeping.
  const options = { N: n, r, p, maxmem: 2 * MAX_SCRYPT_BYTES }
  return new Promise((resolve, reject) => {
    scrypt(password, salt, 32, options, (error, key) => (error === null ? resolve(key) : reject(error)))
  })
}

function bytesOf(hex: string): Uint8Array {
  const bytes = fromHex(hex)
  if (bytes === undefined) throw new KeyFileError('key-file-malformed', 'no key file: a field is not hex')
  return bytes
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new KeyFileError('key-file-malformed', 'no key file: it is not JSON', {}, error)
  }
}
