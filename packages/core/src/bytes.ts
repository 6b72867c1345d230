/**
 * Byte strings: comparison, joining, hexadecimal and UTF-8, over uint8arrays. Bytes everywhere inside; text only at the edges.
 */
import { compare } from 'uint8arrays/compare'
import { concat } from 'uint8arrays/concat'
import { equals } from 'uint8arrays/equals'
import { fromString } from 'uint8arrays/from-string'
import { toString as encodeText } from 'uint8arrays/to-string'

export { compare as compareBytes, concat as concatBytes, equals as equalBytes }

/** The all-zero 32 bytes: parent of genesis, root of an empty tree, "replaces nothing". */
export const ZERO_32: Uint8Array = new Uint8Array(32)

const HEX = /^(?:[0-9a-f]{2})*$/

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return encodeText(bytes, 'base16')
}

/** The bytes of a lower-case hexadecimal string, or undefined when it is not one. */
export function fromHex(text: string): Uint8Array | undefined {
  return HEX.test(text) ? fromString(text, 'base16') : undefined
}

/** The UTF-8 bytes of a text. */
export function fromUtf8(text: string): Uint8Array {
  return fromString(text, 'utf8')
}

/** A 256-bit big-endian unsigned integer. */
export function toBigInt(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`)
}

/** 32 big-endian bytes of an integer in [0, 2^256). */
export function fromBigInt(value: bigint): Uint8Array {
  return fromString(value.toString(16).padStart(64, '0'), 'base16')
}

/** Copies a few bytes: for some dozen faster than set(), which wants a view of them first. */
export function copyFew(from: Uint8Array, start: number, length: number, to: Uint8Array, at: number): void {
  for (let i = 0; i < length; i++) to[at + i] = from[start + i] ?? 0
}

/** A string that is equal exactly when the bytes are: a Map key, never shown to anybody. At most some kilobytes. */
export function toMapKey(bytes: Uint8Array): string {
  return String.fromCharCode.apply(null, bytes as unknown as number[])
}
