/**
 * The bytes of a proof file: what a key held at a height, with all that it takes to check it without a daemon. Owns the format (bounded,
 * strict, one encoding for each proof) and the codes of every way in which a proof can fail; proof.ts decides whether one holds.
 * (docs/proofs.md)
 */
import { CodecError, decodeAll, encodeWith, type Reader, type Writer } from './codec.js'
import { decodeEntry, type Entry, encodeEntry, entryPath } from './entry.js'
import { KvError } from './errors.js'
import type { Sha256 } from './hash.js'
import { HEADER_BYTES, type Header, writeHeader } from './header.js'
import { MAX_KEY_BYTES } from './limits.js'
import { MAX_PARAMS_BYTES } from './paramsBytes.js'
import { decodeProof, encodeProof, type TreeProof } from './treeProof.js'

/** In the order in which they are looked for. */
export const PROOF_ERROR_CODES = [
  /** The file does not begin as a proof file does. */
  'proof-magic',
  /** A proof file of a version that this verifier does not know. */
  'proof-version',
  /** The bytes are not an encoding of a proof; the cause says where. */
  'proof-malformed',
  /** The network parameters are not those of any network. */
  'proof-network',
  /** The proof is of another network than the one that is trusted. */
  'proof-genesis',
  /** The headers are not those that a claim at this height needs. */
  'proof-range',
  /** A header is not one higher than the header before it. */
  'proof-height',
  /** A header does not name the header before it (or genesis) as its parent. */
  'proof-link',
  /** A target that this network never has, or not the one that the rule gives. */
  'proof-target',
  /** A hash that does not meet its target: work that was not done. */
  'proof-work',
  /** A timestamp that is not above that of the block before. */
  'proof-time',
  /** The tree path does not lead to the state root of the claim's block. */
  'proof-tree',
  /** The tree path shows another entry than the one in the proof, or none, or one where the proof claims none. */
  'proof-claim',
  /** An entry of another key, or one that no transaction can have made by that height. */
  'proof-entry',
  /** A value that is not the one its entry names. */
  'proof-value',
  /** The versions are not an unbroken chain from version 1 on. */
  'proof-history',
] as const

export type ProofErrorCode = (typeof PROOF_ERROR_CODES)[number]

/** A proof file that proves nothing. */
export class ProofError extends KvError<ProofErrorCode> {}

/** What a proof is about: the entry at a height, or with it every version before. */
export type ProofKind = 'entry' | 'history'

/** A version of a key, with its value if the proof brings it. */
export interface ProofRecord {
  readonly entry: Entry
  readonly value: Uint8Array | undefined
}

/** A proof without its headers. */
export interface ProofClaim {
  readonly kind: ProofKind
  /** The network's identity (protocol.md 10.2). */
  readonly parameters: Uint8Array
  readonly key: Uint8Array
  /** Of the block whose state root the tree path leads to. */
  readonly height: number
  readonly path: TreeProof
  /** Oldest first, the last being the one in the tree; none when the key was never written. */
  readonly records: readonly ProofRecord[]
}

export interface ProofFile extends ProofClaim {
  /** HEADER_BYTES for each header, lowest first. Kept as bytes: there may be millions. */
  readonly headers: Uint8Array
}

/** `kvproof` and a zero byte. */
const MAGIC: Uint8Array = Uint8Array.of(0x6b, 0x76, 0x70, 0x72, 0x6f, 0x6f, 0x66, 0x00)
const VERSION = 1
const KINDS = ['entry', 'history'] as const
/** A path of 256 siblings that ends at another path's leaf. */
const MAX_PATH_BYTES = 2 + 32 + 256 * 32 + 1 + 64
const MIN_PATH_BYTES = 3
/** An entry with the longest key and the most writers; one with the shortest key and none. */
const MAX_ENTRY_BYTES = 2_714
const MIN_ENTRY_BYTES = 151
/** Versions in a history. */
export const MAX_PROOF_RECORDS: number = 1 << 20
/** Headers in a proof: some 770 MB of them, two years of blocks 15 s apart. */
export const MAX_PROOF_HEADERS: number = 1 << 22

/**
 * The bytes of a proof. With `headerCount` above the number of `headers` they are the beginning of a proof whose other headers the caller
 * appends.
 */
export function encodeProofFile(
  sha256: Sha256,
  claim: ProofClaim,
  headers: readonly Header[],
  headerCount: number = headers.length,
): Uint8Array {
  return encodeWith((writer) => {
    writer.fixed(MAGIC).u32(VERSION)
    writer.u8(KINDS.indexOf(claim.kind) + 1)
    writer.variable(claim.parameters).variable(claim.key).u32(claim.height)
    writer.variable(encodeProof(claim.path, entryPath(sha256, claim.key)))
    writer.u32(claim.records.length)
    for (const record of claim.records) writeRecord(writer, record)
    writer.u32(headerCount)
    for (const header of headers) writeHeader(writer, header)
  }, 4096)
}

function writeRecord(writer: Writer, { entry, value }: ProofRecord): void {
  writer.variable(encodeEntry(entry)).u8(value === undefined ? 0 : 1)
  if (value !== undefined) writer.fixed(value)
}

/** The inverse of encodeProofFile. Throws ProofError; what the headers say is not looked at. */
export function decodeProofFile(sha256: Sha256, bytes: Uint8Array): ProofFile {
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) throw new ProofError('proof-magic', 'this is not a proof file')
  try {
    return decodeAll(bytes, (reader) => readProofFile(reader, sha256))
  } catch (error) {
    if (error instanceof CodecError) throw malformed(error)
    throw error
  }
}

/** Bytes that are no encoding, as a failure of the proof. */
export function malformed(error: CodecError): ProofError {
  return new ProofError('proof-malformed', `the proof file is damaged: ${error.message}`, error.data, error)
}

function readProofFile(reader: Reader, sha256: Sha256): ProofFile {
  reader.fixed(MAGIC.length)
  const version = reader.u32()
  if (version !== VERSION) {
    throw new ProofError(
      'proof-version',
      `a proof file of version ${version}; this verifier reads version ${VERSION}`,
      {
        version,
      },
    )
  }
  const kind = KINDS[reader.tag(1, KINDS.length) - 1] ?? 'entry'
  const parameters = reader.variable(1, MAX_PARAMS_BYTES)
  const key = reader.variable(1, MAX_KEY_BYTES)
  const height = reader.u32()
  const path = decodeProof(reader.variable(MIN_PATH_BYTES, MAX_PATH_BYTES), entryPath(sha256, key))
  const records: ProofRecord[] = []
  for (let left = reader.count(0, kind === 'entry' ? 1 : MAX_PROOF_RECORDS); left > 0; left--) {
    records.push(readRecord(reader))
  }
  const headerCount = reader.count(0, MAX_PROOF_HEADERS)
  return { kind, parameters, key, height, path, records, headers: reader.fixed(headerCount * HEADER_BYTES) }
}

function readRecord(reader: Reader): ProofRecord {
  const entry = decodeEntry(reader.variable(MIN_ENTRY_BYTES, MAX_ENTRY_BYTES))
  const at = reader.offset
  const hasValue = reader.tag(0, 1) === 1
  // A deleted entry has no value to bring; one of no bytes costs nothing, so it is never left out.
  if (entry.deleted ? hasValue : !hasValue && entry.valueLength === 0) {
    throw new CodecError('codec-tag', 'a value flag that can only be the other', { offset: at })
  }
  return { entry, value: hasValue ? reader.fixed(entry.valueLength) : undefined }
}
