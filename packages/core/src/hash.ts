/**
 * SHA-256 with a domain tag. Owns the list of domains; core computes no hash itself, the caller brings the function (native in
 * the daemon, WASM in a browser). (protocol.md section 2)
 */
import { fromUtf8 } from './bytes.js'

/** SHA-256 of a byte string: 32 bytes. */
export interface Sha256 {
  (data: Uint8Array): Uint8Array
  /** The hashes of many pairs at once. Where an engine has it, the state tree takes it. */
  readonly pairs?: PairHasher
}

/**
 * Hashes of many pairs of 32 bytes at once: sha256(tag || left || right). What is hashed and what comes of it stands in `bytes`; a job says where. Not for
 * two users at a time.
 */
export interface PairHasher {
  /** Zeros at first. Another array after `grow`. */
  readonly bytes: Uint8Array
  /** Three numbers for each job: where in `bytes` left, right and result begin, all multiples of 32. Another array after `grow`. */
  readonly jobs: Uint32Array
  /** Makes `bytes` at least so long. What was there stays. */
  grow(length: number): void
  /** Does the first `count` jobs. No result may be a part of another job. `tag` is 16 bytes. */
  run(tag: Uint8Array, count: number): void
  /** The 32 bytes from `at` on, as text of 32 characters, each the value of a byte. */
  text(at: number): string
}

export const TAG_BYTES = 16

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

/** Messages are put together here, so that the millions of them in a tree allocate nothing. By length, the short ones. */
const scratch: (Uint8Array | undefined)[] = []
const MAX_SCRATCH_BYTES = 160
/** The long ones. Grows to the longest that is kept. */
let longScratch = new Uint8Array(1024)
const MAX_LONG_BYTES = 64 << 10

/** Room for a message of so many bytes: for most of them used again by the next. */
function messageRoom(length: number): Uint8Array {
  if (length <= MAX_SCRATCH_BYTES) {
    scratch[length] ??= new Uint8Array(length)
    return scratch[length]
  }
  if (length > MAX_LONG_BYTES) return new Uint8Array(length)
  if (length > longScratch.length) longScratch = new Uint8Array(2 * length)
  return longScratch.subarray(0, length)
}

/** sha256(tag || parts...). The function must be done with its input when it returns. */
export function taggedHash(sha256: Sha256, tag: Uint8Array, first: Uint8Array, second?: Uint8Array): Uint8Array {
  const message = messageRoom(TAG_BYTES + first.length + (second?.length ?? 0))
  message.set(tag)
  message.set(first, TAG_BYTES)
  if (second !== undefined) message.set(second, TAG_BYTES + first.length)
  return sha256(message)
}
