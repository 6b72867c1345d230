/**
 * LevelDB does not notice damage to its files, so each record carries its own check: the first 8 bytes of SHA-256 over database key and
 * content. Guards against accidents, not against whoever may write the files.
 */
import { sha256 } from '../crypto/sodium.js'

export const SEAL_BYTES = 8

/** Key and content are joined here, so that checking allocates nothing. Grows to the longest. */
let scratch = new Uint8Array(4096)

/** Writes the seal of the key and content in bytes[start..end) behind them. */
export function sealInto(bytes: Uint8Array, start: number, end: number): void {
  const seal = sha256.text(bytes.subarray(start, end))
  for (let i = 0; i < SEAL_BYTES; i++) bytes[end + i] = seal.charCodeAt(i)
}

/** The content of a sealed record, undefined when it is damaged. */
export function unseal(key: Uint8Array, record: Uint8Array): Uint8Array | undefined {
  if (record.length < SEAL_BYTES) return undefined
  const content = record.subarray(0, record.length - SEAL_BYTES)
  const length = key.length + content.length
  if (scratch.length < length) scratch = new Uint8Array(length * 2)
  scratch.set(key)
  scratch.set(content, key.length)
  const seal = sha256.text(scratch.subarray(0, length))
  for (let i = 0; i < SEAL_BYTES; i++) if (record[content.length + i] !== seal.charCodeAt(i)) return undefined
  return content
}
