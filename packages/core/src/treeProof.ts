/**
 * Proofs of what the state tree holds at a path: checking them against a root that is trusted by other means, and their bytes. Owns no tree: a
 * verifier needs nothing else. (protocol.md section 9)
 */
import { equalBytes, ZERO_32 } from './bytes.js'
import { CodecError, decodeAll, encodeWith } from './codec.js'
import { DOMAIN, type Sha256, taggedHash } from './hash.js'
import { bitAt, PATH_BITS } from './treeHash.js'

/** What lies where a path ends: nothing, the path's own leaf, or the leaf of another path. */
export type Terminal =
  | { readonly kind: 'empty' }
  | { readonly kind: 'leaf'; readonly path: Uint8Array; readonly digest: Uint8Array }

/** The way from the root to where a path ends. `siblings` run from the top down. */
export interface TreeProof {
  readonly siblings: readonly Uint8Array[]
  readonly terminal: Terminal
}

/** The hash of a leaf. */
export function leafHash(sha256: Sha256, path: Uint8Array, digest: Uint8Array): Uint8Array {
  return taggedHash(sha256, DOMAIN.treeLeaf, path, digest)
}

/** The hash of two subtrees; an empty one counts as zeros. */
export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  return taggedHash(sha256, DOMAIN.treeNode, left, right)
}

/** What a proof shows of a path: the digest that the tree holds there, or that it holds none. */
export type ProofVerdict =
  | { readonly kind: 'present'; readonly digest: Uint8Array }
  | { readonly kind: 'absent' }
  | { readonly kind: 'invalid' }

/** Checks a proof for `path` against a root that is trusted by other means. Never throws. */
export function verifyProof(sha256: Sha256, root: Uint8Array, path: Uint8Array, proof: TreeProof): ProofVerdict {
  const { siblings, terminal } = proof
  if (siblings.length > PATH_BITS || siblings.some(({ length }) => length !== 32)) return { kind: 'invalid' }
  let hash = ZERO_32
  let verdict: ProofVerdict = { kind: 'absent' }
  if (terminal.kind === 'leaf') {
    const { path: place, digest } = terminal
    // A leaf's hash covers the two joined: without this check they could be cut apart elsewhere.
    if (place.length !== 32 || digest.length !== 32) return { kind: 'invalid' }
    if (!agree(place, path, siblings.length)) return { kind: 'invalid' }
    hash = leafHash(sha256, terminal.path, terminal.digest)
    if (equalBytes(terminal.path, path)) verdict = { kind: 'present', digest: terminal.digest }
  }
  for (let depth = siblings.length - 1; depth >= 0; depth--) {
    const sibling = siblings[depth] ?? ZERO_32
    hash = bitAt(path, depth) === 1 ? nodeHash(sha256, sibling, hash) : nodeHash(sha256, hash, sibling)
  }
  return equalBytes(hash, root) ? verdict : { kind: 'invalid' }
}

/** Whether two paths agree in their first `bits` bits. */
function agree(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  for (let depth = 0; depth < bits; depth++) if (bitAt(a, depth) !== bitAt(b, depth)) return false
  return true
}

/**
 * A proof as bytes: u16 sibling count, a bitmap of which siblings are not zero (top first, spare bits zero), those siblings, then a
 * tag: 0 empty, 1 the path's own leaf (its digest), 2 the leaf of another path (path, digest).
 */
export function encodeProof(proof: TreeProof, path: Uint8Array): Uint8Array {
  return encodeWith((writer) => {
    const { siblings, terminal } = proof
    writer.u16(siblings.length)
    const bitmap = new Uint8Array((siblings.length + 7) >> 3)
    siblings.forEach((sibling, i) => {
      if (!equalBytes(sibling, ZERO_32)) bitmap[i >> 3] = (bitmap[i >> 3] ?? 0) | (0x80 >> (i & 7))
    })
    writer.fixed(bitmap)
    for (const sibling of siblings) if (!equalBytes(sibling, ZERO_32)) writer.fixed(sibling)
    if (terminal.kind === 'empty') writer.u8(0)
    else if (equalBytes(terminal.path, path)) writer.u8(1).fixed(terminal.digest)
    else writer.u8(2).fixed(terminal.path).fixed(terminal.digest)
  })
}

/** The inverse of encodeProof. Throws CodecError; accepts exactly what encodeProof makes. */
export function decodeProof(bytes: Uint8Array, path: Uint8Array): TreeProof {
  return decodeAll(bytes, (reader) => {
    const count = reader.u16()
    if (count > PATH_BITS)
      throw new CodecError('codec-length', `a proof of ${count} levels`, {
        offset: 0,
      })
    const bitmap = reader.fixed((count + 7) >> 3)
    const siblings: Uint8Array[] = []
    for (let i = 0; i < bitmap.length * 8; i++) {
      const marked = bitAt(bitmap, i) === 1
      if (i >= count) {
        if (marked) throw new CodecError('codec-tag', 'a spare bit of the bitmap is set', { offset: reader.offset })
        continue
      }
      const sibling = marked ? reader.fixed(32) : ZERO_32
      if (marked && equalBytes(sibling, ZERO_32)) {
        throw new CodecError('codec-tag', 'an empty sibling is marked as present', { offset: reader.offset })
      }
      siblings.push(sibling)
    }
    return { siblings, terminal: readTerminal(reader.tag(0, 2)) }

    function readTerminal(tag: number): Terminal {
      if (tag === 0) return { kind: 'empty' }
      if (tag === 1) return { kind: 'leaf', path, digest: reader.fixed(32) }
      const other = reader.fixed(32)
      if (equalBytes(other, path))
        throw new CodecError('codec-tag', 'own leaf marked as another', {
          offset: 0,
        })
      return { kind: 'leaf', path: other, digest: reader.fixed(32) }
    }
  })
}
