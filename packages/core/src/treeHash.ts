/**
 * The hashes of the state tree's nodes as they are held in memory: as text of 32 characters, each the value of a byte. A tree holds many: as
 * text they take a quarter of the memory that arrays take, and the collector a fraction of the time. (protocol.md section 9)
 */
import { toMapKey, ZERO_32 } from './bytes.js'

export type HashText = string

export const PATH_BITS = 256
export const ZERO_TEXT: HashText = toMapKey(ZERO_32)

export function putText(text: HashText, to: Uint8Array, at: number): void {
  for (let i = 0; i < 32; i++) to[at + i] = text.charCodeAt(i)
}

export function fromText(text: HashText): Uint8Array {
  const bytes = new Uint8Array(32)
  putText(text, bytes, 0)
  return bytes
}

export function bitAt(path: Uint8Array, depth: number): number {
  return ((path[depth >> 3] ?? 0) >> (7 - (depth & 7))) & 1
}
