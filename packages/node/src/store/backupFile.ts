/**
 * The bytes of a backup: records of a database in chunks, each with its SHA-256, and at the end a digest over them all; so that a file which is cut
 * short or damaged is told from a whole one. Owns the format and nothing of what the records mean.
 *
 *   "kvbackup" version(4) genesis hash(32)
 *   chunk: length(4) digest(32) records: key length(2) key, content length(4) content
 *   end:   0(4) digest(32) over the digests of all chunks
 */
import type { FileHandle } from 'node:fs/promises'
import { concatBytes, equalBytes, fromUtf8 } from '@kvchain/core/bytes'
import { CodecError, decodeAll, encodeWith, Reader } from '@kvchain/core/codec'
import { sha256 } from '../crypto/sodium.js'
import { StoreError } from '../runtime/errors.js'
import type { RawRecord } from './database.js'

const MAGIC = fromUtf8('kvbackup')
const VERSION = 1
const DIGEST_BYTES = 32
const HEAD_BYTES = MAGIC.length + 4 + DIGEST_BYTES
/** A chunk is written as soon as it has so many bytes; a record is never divided. */
const CHUNK_BYTES = 1 << 20
/** Of a chunk in a file that is read: the largest record that there can be, and a chunk before it. */
const MAX_CHUNK_BYTES = 64 << 20

export class BackupWriter {
  private readonly parts: Uint8Array[] = []
  private readonly digests: Uint8Array[] = []
  private waiting = 0
  private written = 0

  private constructor(private readonly file: FileHandle) {}

  static async begin(file: FileHandle, genesisHash: Uint8Array): Promise<BackupWriter> {
    const writer = new BackupWriter(file)
    await writer.write(encodeWith((to) => to.fixed(MAGIC).u32(VERSION).fixed(genesisHash), HEAD_BYTES))
    return writer
  }

  /** Bytes in the file so far. */
  get bytes(): number {
    return this.written
  }

  async add({ key, record }: RawRecord): Promise<void> {
    const size = 2 + key.length + 4 + record.length
    this.parts.push(encodeWith((to) => to.u16(key.length).fixed(key).u32(record.length).fixed(record), size))
    this.waiting += size
    if (this.waiting >= CHUNK_BYTES) await this.flush()
  }

  /** Resolves once everything is on disk. */
  async end(): Promise<void> {
    await this.flush()
    const digest = sha256(concatBytes(this.digests))
    await this.write(encodeWith((to) => to.u32(0).fixed(digest), 4 + DIGEST_BYTES))
    await this.file.sync()
  }

  private async flush(): Promise<void> {
    if (this.waiting === 0) return
    const chunk = concatBytes(this.parts.splice(0))
    this.waiting = 0
    const digest = sha256(chunk)
    this.digests.push(digest)
    await this.write(encodeWith((to) => to.u32(chunk.length).fixed(digest), 4 + DIGEST_BYTES))
    await this.write(chunk)
  }

  private async write(bytes: Uint8Array): Promise<void> {
    await this.file.writeFile(bytes)
    this.written += bytes.length
  }
}

/** Reads the beginning of a file. Returns the genesis hash of its network. Throws StoreError `store-corrupt`. */
export async function readBackupHead(file: FileHandle): Promise<Uint8Array> {
  const head = await take(file, HEAD_BYTES)
  try {
    return decodeAll(head, (from) => {
      if (!equalBytes(from.fixed(MAGIC.length), MAGIC)) throw damaged('it is no backup of kvchain')
      const version = from.u32()
      if (version !== VERSION) throw damaged(`it is of version ${version}, and this kvchain reads ${VERSION}`)
      return from.fixed(DIGEST_BYTES)
    })
  } catch (error) {
    throw error instanceof CodecError ? damaged('its beginning is damaged') : error
  }
}

/** The records that follow the head, chunk by chunk, with the bytes read so far. Throws StoreError `store-corrupt` at the first that is damaged. */
export async function* readBackupChunks(file: FileHandle): AsyncGenerator<{ records: RawRecord[]; bytes: number }> {
  const digests: Uint8Array[] = []
  let bytes = HEAD_BYTES
  for (;;) {
    const frame = new Reader(await take(file, 4 + DIGEST_BYTES))
    const [length, digest] = [frame.u32(), frame.fixed(DIGEST_BYTES)]
    if (length === 0) {
      if (!equalBytes(digest, sha256(concatBytes(digests)))) throw damaged('a part of it is missing')
      if ((await file.read(new Uint8Array(1), 0, 1)).bytesRead > 0) throw damaged('something follows its end')
      return
    }
    if (length > MAX_CHUNK_BYTES) throw damaged('a part of it is damaged')
    const chunk = await take(file, length)
    if (!equalBytes(digest, sha256(chunk))) throw damaged('a part of it is damaged')
    digests.push(digest)
    bytes += frame.bytes.length + length
    yield { records: recordsOf(chunk), bytes }
  }
}

function recordsOf(chunk: Uint8Array): RawRecord[] {
  const records: RawRecord[] = []
  try {
    decodeAll(chunk, (from) => {
      for (let left = chunk.length; left > 0; ) {
        const key = from.fixed(from.u16())
        const record = from.fixed(from.u32())
        records.push({ key, record })
        left -= 6 + key.length + record.length
      }
    })
  } catch (error) {
    throw error instanceof CodecError ? damaged('a record of it is damaged') : error
  }
  return records
}

async function take(file: FileHandle, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done)
    if (bytesRead === 0) throw damaged('it is cut short')
    done += bytesRead
  }
  return bytes
}

function damaged(why: string): StoreError {
  return new StoreError('store-corrupt', `the backup cannot be used: ${why}`)
}
