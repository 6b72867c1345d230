/**
 * The hashes of the state tree's nodes as they are held in memory: as text of 32 characters, each the value of a byte. A tree holds many: as
 * text they take a quarter of the memory that arrays take, and the collector a fraction of the time. (protocol.md section 9)
 */
import { toMapKey, ZERO_32 } from './bytes.js'
import { DOMAIN, type Sha256 } from './hash.js'

export type HashText = string

export const PATH_BITS = 256
export const ZERO_TEXT: HashText = toMapKey(ZERO_32)

/** Where the hashes of the two subtrees stand in the message that is hashed for a node. */
export const NODE_LEFT_AT = 16
export const NODE_RIGHT_AT = 48

/** The message that is hashed for a node, with its tag, of two empty subtrees. */
export function nodeMessage(): Uint8Array {
  const bytes = new Uint8Array(NODE_RIGHT_AT + 32)
  bytes.set(DOMAIN.treeNode)
  return bytes
}

const message = nodeMessage()

/** The tagged hash of two subtrees; an empty one counts as zeros. */
export function nodeHash(sha256: Sha256, left: HashText | undefined, right: HashText | undefined): HashText {
  putText(left ?? ZERO_TEXT, message, NODE_LEFT_AT)
  putText(right ?? ZERO_TEXT, message, NODE_RIGHT_AT)
  return hashText(sha256, message)
}

/** The function must be done with its input when it returns. */
export function hashText(sha256: Sha256, bytes: Uint8Array): HashText {
  return sha256.text?.(bytes) ?? toMapKey(sha256(bytes))
}

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
