/**
 * Bytes as text at the RPC's edge: UTF-8, hex and base64. Owns the strictness: a text stands for one byte string or for none.
 * Runs in a browser too.
 */
import type { AnswerEncoding, ValueEncoding } from './contract/schemas.js'

const HEX = /^(?:[0-9a-fA-F]{2})*$/
/** Of the standard alphabet, without white space; padded, when its length is a multiple of 4. No groups: megabytes are matched. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
/** Half of a pair: such a string has no UTF-8. */
const LONE_SURROGATE = /\p{Surrogate}/u
/** String.fromCharCode takes its characters as arguments, of which there may not be too many. */
const CHUNK = 8192

const encoder = new TextEncoder()
/** With the byte order mark kept: it is part of the value. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Whether a string has a UTF-8 form. */
export function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text)
}

/** The bytes that a text stands for, or undefined when it is not in that encoding. */
export function decodeText(text: string, encoding: ValueEncoding): Uint8Array | undefined {
  switch (encoding) {
    case 'utf8':
      return isWellFormed(text) ? encoder.encode(text) : undefined
    case 'hex':
      return HEX.test(text) ? fromHexDigits(text) : undefined
    case 'base64':
      return text.length % 4 === 0 && BASE64.test(text) ? fromBinary(atob(text)) : undefined
  }
}

/** The text of bytes in an encoding, or undefined when they are no UTF-8. */
export function encodeText(bytes: Uint8Array, encoding: ValueEncoding): string | undefined {
  switch (encoding) {
    case 'utf8':
      try {
        return decoder.decode(bytes)
      } catch {
        return undefined
      }
    case 'hex':
      return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
    case 'base64':
      return btoa(toBinary(bytes))
  }
}

/** How an answer writes bytes: as text when they are valid UTF-8, else in base64. */
export function toAnswerText(bytes: Uint8Array): { text: string; encoding: AnswerEncoding } {
  const text = encodeText(bytes, 'utf8')
  return text === undefined ? { text: btoa(toBinary(bytes)), encoding: 'base64' } : { text, encoding: 'utf8' }
}

function fromHexDigits(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

function fromBinary(binary: string): Uint8Array {
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

function toBinary(bytes: Uint8Array): string {
  let binary = ''
  for (let i = 0; i < bytes.length; i += CHUNK) binary += String.fromCharCode(...bytes.subarray(i, i + CHUNK))
  return binary
}
