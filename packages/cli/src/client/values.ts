/** Values and keys on their way in and out: from an argument, a file or standard input; to a terminal or a pipe. */
import { createReadStream } from 'node:fs'
import type { KvEntry } from '@kvchain/client/contract/kv'
import type { KeyEncoding, ValueEncoding } from '@kvchain/client/contract/schemas'
import type { KvClient } from '@kvchain/client/kvClient'
import { decodeText, encodeText } from '@kvchain/client/text'
import { CliError, usageError } from '../exits.js'
import { print, printableBytes, printableLines } from '../terminal.js'

const ENCODINGS = ['utf8', 'hex', 'base64'] as const
/** No network takes more, and in base64 it fits the daemon's line. */
const MAX_VALUE_BYTES = 1 << 20

export interface KeyOptions {
  readonly keyEncoding?: string
}

export interface ValueOptions {
  readonly encoding?: string
  readonly file?: string
}

export function keyParams(key: string, options: KeyOptions): { key: string; keyEncoding: KeyEncoding } {
  const keyEncoding = encodingOf(options.keyEncoding, '--key-encoding') ?? 'utf8'
  if (decodeText(key, keyEncoding) === undefined) throw usageError(`KEY is not ${keyEncoding}`)
  if (key === '') throw usageError('KEY must not be empty')
  return { key, keyEncoding }
}

/** What stands for the own namespace at the begin of a key. */
const OWN = '@me/'

/** With `@me/` at the begin of the key made `@ADDRESS/`, the address being that of the daemon's account. */
export function ownKey<T extends object>(client: KvClient, params: T): Promise<T> {
  return ownKeyOf(async () => (await client.status()).account, params)
}

/** The same with another account's address, which is only asked for when it is needed. */
export async function ownKeyOf<T extends object>(address: () => Promise<string>, params: T): Promise<T> {
  if (!('key' in params) || typeof params.key !== 'string' || !params.key.startsWith(OWN)) return params
  if ('keyEncoding' in params && params.keyEncoding !== undefined && params.keyEncoding !== 'utf8') return params
  return { ...params, key: `@${await address()}/${params.key.slice(OWN.length)}` }
}

/** VALUE as it stands, or the bytes of a file or of standard input; in the encoding that was named, if one was. */
export async function valueParams(
  value: string | undefined,
  options: ValueOptions,
): Promise<{ value: string; encoding: ValueEncoding }> {
  const encoding = encodingOf(options.encoding, '--encoding')
  if ((value === undefined) === (options.file === undefined)) throw usageError('give VALUE, - or --file, and one only')
  if (value !== undefined && value !== '-') return inEncoding(value, encoding ?? 'utf8')
  const bytes = await readValue(options.file)
  if (encoding === undefined) return { value: encodeText(bytes, 'base64') ?? '', encoding: 'base64' }
  const text = encodeText(bytes, 'utf8')
  if (text === undefined) throw usageError(`the value is not ${encoding}`)
  return inEncoding(encoding === 'utf8' ? text : text.trim(), encoding)
}

/** The value alone: its bytes, exactly, for a program; for a terminal a line that it can show. */
export function printValue(entry: KvEntry, options: ValueOptions): void {
  const encoding = encodingOf(options.encoding, '--encoding')
  const bytes = decodeText(entry.value, entry.encoding)
  if (bytes === undefined) throw new CliError('failed', 'the daemon sent a value that cannot be read')
  const isTerminal = process.stdout.isTTY
  if (encoding !== undefined && encoding !== 'utf8') print(`${encodeText(bytes, encoding)}${isTerminal ? '\n' : ''}`)
  else if (isTerminal) print(`${entry.encoding === 'utf8' ? printableLines(entry.value) : printableBytes(bytes)}\n`)
  else print(bytes)
}

function inEncoding(value: string, encoding: ValueEncoding): { value: string; encoding: ValueEncoding } {
  if (decodeText(value, encoding) === undefined) throw usageError(`the value is not ${encoding}`)
  return { value, encoding }
}

function encodingOf(text: string | undefined, flag: string): ValueEncoding | undefined {
  if (text === undefined) return undefined
  const encoding = ENCODINGS.find((known) => known === text)
  if (encoding === undefined) throw usageError(`${flag} is one of ${ENCODINGS.join(', ')}, not '${text}'`)
  return encoding
}

async function readValue(file: string | undefined): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of file === undefined ? process.stdin : createReadStream(file)) {
      const bytes: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      size += bytes.length
      if (size > MAX_VALUE_BYTES) throw usageError(`a value has at most ${MAX_VALUE_BYTES} bytes`)
      chunks.push(bytes)
    }
  } catch (error) {
    if (error instanceof CliError) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError('failed', `cannot read ${file ?? 'standard input'}: ${why}`, {}, error)
  }
  return Buffer.concat(chunks)
}
