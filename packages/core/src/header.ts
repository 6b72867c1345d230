/**
 * Headers: the fixed-size committed part of a block. Owns their bytes, commitment and hash; the rules for their fields are in
 * checks.ts and rules.ts. (protocol.md section 5)
 */
import { decodeAll, encodeWith, type Reader, type Writer } from './codec.js'
import { DOMAIN, type Sha256, taggedHash } from './hash.js'
import { PUBLIC_KEY_BYTES } from './keys.js'
import { powHash } from './pow.js'

export interface Header {
  readonly parent: Uint8Array
  readonly height: number
  /** Milliseconds since 1970. */
  readonly timestampMs: number
  /** 256-bit big-endian bound that the hash must not exceed. */
  readonly target: Uint8Array
  readonly txRoot: Uint8Array
  readonly stateRoot: Uint8Array
  /** The account that gets the reward and the fees. */
  readonly miner: Uint8Array
  /** The search field, 0..2^53-1. */
  readonly nonce: number
}

export const HEADER_VERSION = 1
export const HEADER_BYTES = 184

function writeCommitted(writer: Writer, header: Omit<Header, 'nonce'>): void {
  writer.u32(HEADER_VERSION).fixed(header.parent).u32(header.height).u64(header.timestampMs)
  writer.fixed(header.target).fixed(header.txRoot).fixed(header.stateRoot).fixed(header.miner)
}

export function writeHeader(writer: Writer, header: Header): void {
  writeCommitted(writer, header)
  writer.u64(header.nonce)
}

export function readHeader(reader: Reader): Header {
  reader.version(HEADER_VERSION)
  return {
    parent: reader.fixed(32),
    height: reader.u32(),
    timestampMs: reader.u64(),
    target: reader.fixed(32),
    txRoot: reader.fixed(32),
    stateRoot: reader.fixed(32),
    miner: reader.fixed(PUBLIC_KEY_BYTES),
    nonce: reader.u64(),
  }
}

export function encodeHeader(header: Header): Uint8Array {
  return encodeWith((writer) => writeHeader(writer, header), HEADER_BYTES)
}

export function decodeHeader(bytes: Uint8Array): Header {
  return decodeAll(bytes, readHeader)
}

/** The 32 bytes that a miner works on: everything in the header but the nonce. */
export function headerCommitment(sha256: Sha256, header: Omit<Header, 'nonce'>): Uint8Array {
  return taggedHash(
    sha256,
    DOMAIN.header,
    encodeWith((writer) => writeCommitted(writer, header), HEADER_BYTES),
  )
}

/** The hash of a block: its name, and its proof of work. */
export function headerHash(sha256: Sha256, header: Header): Uint8Array {
  return powHash(sha256, headerCommitment(sha256, header), header.nonce)
}
