/**
 * SHA-256 with a domain tag. Owns the list of domains; core computes no hash itself, the caller brings the function (native in
 * the daemon, WASM in a browser). (protocol.md section 2)
 */
import { fromUtf8 } from './bytes.js'

/** SHA-256 of a byte string: 32 bytes. */
export interface Sha256 {
  (data: Uint8Array): Uint8Array
  /** The same as text of 32 characters, each the value of a byte. Where an engine gives it at less cost, the state tree takes it. */
  readonly text?: (data: Uint8Array) => string
}

const TAG_BYTES = 16

/** 16 bytes: `kvchain/` and the name, zero-padded. So no message of one domain is a message of another. */
function domain(name: string): Uint8Array {
  const tag = new Uint8Array(TAG_BYTES)
  tag.set(fromUtf8(`kvchain/${name}`))
  return tag
}

export const DOMAIN = {
  params: domain('params'),
  header: domain('header'),
  txid: domain('txid'),
  value: domain('value'),
  txLeaf: domain('txleaf'),
  txNode: domain('txnode'),
  txRoot: domain('txroot'),
  entryPath: domain('entpath'),
  entry: domain('entry'),
  accountPath: domain('accpath'),
  account: domain('account'),
  treeLeaf: domain('leaf'),
  treeNode: domain('node'),
} as const

/** Short messages are put together here, so that the millions of them in a tree allocate nothing. By length. */
const scratch: (Uint8Array | undefined)[] = []
const MAX_SCRATCH_BYTES = 160

/** sha256(tag || parts...). The function must be done with its input when it returns. */
export function taggedHash(sha256: Sha256, tag: Uint8Array, first: Uint8Array, second?: Uint8Array): Uint8Array {
  const length = TAG_BYTES + first.length + (second?.length ?? 0)
  let message = scratch[length]
  if (message === undefined) {
    message = new Uint8Array(length)
    if (length <= MAX_SCRATCH_BYTES) scratch[length] = message
  }
  message.set(tag)
  message.set(first, TAG_BYTES)
  if (second !== undefined) message.set(second, TAG_BYTES + first.length)
  return sha256(message)
}
