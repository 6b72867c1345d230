/**
 * What is whole of a damaged database: the records that authenticate themselves, carried over into a new one. Owns which those are. Nothing that could be
 * of another moment (state, indexes, the tip) is taken: blocks make it anew.
 */
import { equalBytes } from '@kvchain/core/bytes'
import { CodecError } from '@kvchain/core/codec'
import type { Genesis } from '@kvchain/core/genesis'
import { headerHash } from '@kvchain/core/header'
import { valueDigest } from '@kvchain/core/transaction'
import { sha256 } from '../crypto/sodium.js'
import { hex } from '../runtime/hex.js'
import type { Log } from '../runtime/runtime.js'
import { Batch } from './batch.js'
import type { Database, RawRecord } from './database.js'
import { readFiles } from './files.js'
import { journalled } from './journal.js'
import { checkNetwork, checkSchema, type StoredHeader, storedHeader } from './records.js'
import { kindOf, recordKey } from './schema.js'
import { unseal } from './seal.js'

/** Bytes that are written at once. */
const PART_BYTES = 4 << 20

/** The content of a record that is whole, undefined otherwise. */
export function wholeContent({ key, record }: RawRecord): Uint8Array | undefined {
  if (kindOf(key) === undefined) return undefined
  if (kindOf(key) !== 'value') return unseal(key, record)
  return equalBytes(valueDigest(sha256, record), key.subarray(1)) ? record : undefined
}

export interface SalvageOptions {
  readonly dataDir: string
  /** Where the files of the damaged database are. */
  readonly folder: string
  readonly genesis: Genesis
  readonly log: Log
  /** The new one. */
  readonly target: Database
  readonly onFile?: (done: number, of: number) => void
}

/**
 * Carries bodies, values, own transactions and peers over. Returns the headers whose hash is right. Throws StoreError `store-schema` or
 * `store-network` when the files are not ours to touch.
 */
export async function salvage(options: SalvageOptions): Promise<StoredHeader[]> {
  const { target } = options
  const headers = new Map<string, StoredHeader>()
  let [batch, bytes] = [new Batch(), 0]
  const flush = async () => {
    await target.write(batch, { sync: true })
    ;[batch, bytes] = [new Batch(), 0]
  }
  const onRecord = async ({ key, record }: RawRecord) => {
    // What LevelDB hands out lives in larger buffers.
    const raw = { key: new Uint8Array(key), record: new Uint8Array(record) }
    const header = takeHeader(raw)
    if (header !== undefined) headers.set(hex(header.hash), header)
    if (!isKept(raw, options)) return
    batch.putBare(raw.key, raw.record)
    bytes += raw.record.length
    if (bytes >= PART_BYTES) await flush()
  }
  const damaged = await readFiles({ ...options, onRecord })
  await flush()
  if (damaged.length > 0) options.log.warn({ files: damaged.join(' ') }, 'files of the database are damaged')
  return [...headers.values()].sort((a, b) => a.header.height - b.header.height)
}

function takeHeader(raw: RawRecord): StoredHeader | undefined {
  if (kindOf(raw.key) !== 'header') return undefined
  const content = wholeContent(raw)
  try {
    const stored = content && storedHeader(raw.key, content)
    if (stored !== undefined && equalBytes(headerHash(sha256, stored.header), stored.hash)) return stored
  } catch (error) {
    if (!(error instanceof CodecError)) throw error
  }
  return undefined
}

/** Whether a record goes into the new database as it is. */
function isKept(raw: RawRecord, { genesis, log }: SalvageOptions): boolean {
  const content = wholeContent(raw)
  switch (kindOf(raw.key)) {
    case 'meta':
      if (content !== undefined && equalBytes(raw.key, recordKey.meta('schema'))) checkSchema(content)
      if (content !== undefined && equalBytes(raw.key, recordKey.meta('genesis'))) checkNetwork(content, genesis)
      return false
    case 'body':
    case 'value':
    case 'peers':
    case 'reorg':
      return content !== undefined
    case 'journal':
      if (content !== undefined && journalled(raw.key, content, genesis.hash) !== undefined) return true
      log.warn({ txid: hex(raw.key.subarray(1)) }, 'an own transaction is damaged and is given up: send it again')
      return false
    default:
      return false
  }
}
