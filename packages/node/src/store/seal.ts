/**
 * LevelDB does not notice damage to its files, so each record carries its own check: the first 8 bytes of SHA-256 over database key and
 * content. Guards against accidents, not against whoever may write the files.
 */
import { equalBytes } from '@kvchain/core/bytes'
import { sha256 } from '../crypto/sodium.js'

const SEAL_BYTES = 8

/** Key and content are joined here, so that sealing allocates nothing but the record. Grows to the longest. */
let scratch = new Uint8Array(4096)

function sealOf(key: Uint8Array, content: Uint8Array): Uint8Array {
  const length = key.length + content.length
  if (scratch.length < length) scratch = new Uint8Array(length * 2)
  scratch.set(key)
  scratch.set(content, key.length)
  return sha256(scratch.subarray(0, length)).subarray(0, SEAL_BYTES)
}

export function seal(key: Uint8Array, content: Uint8Array): Uint8Array {
  const record = new Uint8Array(content.length + SEAL_BYTES)
  record.set(content)
  record.set(sealOf(key, content), content.length)
  return record
}

/** The content of a sealed record, undefined when it is damaged. */
export function unseal(key: Uint8Array, record: Uint8Array): Uint8Array | undefined {
  const content = record.subarray(0, Math.max(0, record.length - SEAL_BYTES))
  const isWhole = record.length >= SEAL_BYTES && equalBytes(record.subarray(content.length), sealOf(key, content))
  return isWhole ? content : undefined
}
