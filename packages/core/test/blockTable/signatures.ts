/** Rows on signatures: by whom, of what, and the clauses of section 3, each broken where all others hold. */
import { createHash } from 'node:crypto'
import type { Transaction } from '@kvchain/core/transaction'
import { put, sha256, type TestAccount, text } from '../helpers.js'
import { alice, bob, noPoint, smallOrder, type TableChain } from './chain.js'
import { flipped, of, type Row, Rows } from './rows.js'

const L = 2n ** 252n + 27742317777372353535851937790883648493n
const BASE_POINT: Uint8Array = new Uint8Array(32).fill(0x66).fill(0x58, 0, 1)
const IDENTITY: Uint8Array = new Uint8Array(32).fill(1, 0, 1)

function fromLittleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
}

function toLittleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))
}

function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  return createHash('sha512').update(Buffer.concat(parts)).digest()
}

function joined(r: Uint8Array, s: Uint8Array): Uint8Array {
  return Uint8Array.of(...r, ...s)
}

/** The scalar of a test account (RFC 8032, 5.1.5). */
function scalarOf(name: string): bigint {
  const half = fromLittleEndian(sha512(sha256(text(`test account ${name}`))).subarray(0, 32))
  return (half & (2n ** 254n - 8n)) | (2n ** 254n)
}

/** Whoever signs with bytes of his own making. */
function forger(publicKey: Uint8Array, signature: Uint8Array): TestAccount {
  return { publicKey, sign: () => signature }
}

/** R of small order, and the S that fits it all the same: [S]B - [k]A is the identity for S = k a. */
function smallR({ txid, body }: Transaction): Uint8Array {
  const k = fromLittleEndian(sha512(IDENTITY, body.sender, txid)) % L
  return joined(IDENTITY, toLittleEndian((k * scalarOf('alice')) % L))
}

export function signatureRows(chain: TableChain): Row[] {
  const step = [put('signed', 'v')]
  const good = chain.transaction(alice, step)
  const { signature, txid } = good
  const r = new Uint8Array(signature.subarray(0, 32))
  const s = fromLittleEndian(signature.subarray(32))
  const elsewhere = chain.transaction(alice, step, { genesis: sha256(text('another network')) })
  const rows = new Rows(chain).good('4.8', 'the sender’s signature', of(good)).good('3.2', 'an S below L', of(good))
  const signatures: [string, string, Uint8Array][] = [
    ['4.8', 'another account’s signature', bob.sign(txid)],
    ['4.8', 'a signature for another network', elsewhere.signature],
    ['4.8', 'a signature of the body', alice.sign(good.bodyBytes)],
    ['Txid and signature', 'zeros', new Uint8Array(64)],
    ['3.2', 'S + L for S', joined(r, toLittleEndian(s + L))],
    ['3.5', 'an R of small order', smallR(good)],
    ['3.6', 'a bit of R', flipped(signature, 0)],
    ['3.6', 'the sign of R', flipped(signature, 31, 0x80)],
    ['3.6', 'a bit of S', flipped(signature, 32)],
  ]
  for (const [clause, name, forged] of signatures) {
    rows.bad(clause, name, of({ ...good, signature: forged }), 'block-transaction tx-signature')
  }
  const anyones = forger(smallOrder, joined(BASE_POINT, toLittleEndian(1n)))
  const nobodys = forger(noPoint, signature)
  return rows
    .bad('3.4', 'a sender of small order', of(chain.transaction(anyones, step)), 'block-transaction tx-signature')
    .bad('3.3', 'a sender that is no point', of(chain.transaction(nobodys, step)), 'block-transaction tx-signature')
    .list
}
