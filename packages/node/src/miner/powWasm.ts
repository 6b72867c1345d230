/**
 * The inner loop of the miner: the lowest nonce of a range whose block hash meets a target. Owns a WebAssembly module whose
 * bytes are generated here when it is first wanted, and a plain `crypto.hash` loop of the same interface for machines without
 * WebAssembly SIMD. Does not own threads, chunks or cancellation: a search runs to its end.
 *
 * block hash = sha256(commitment[32] || nonce as u64 big-endian[8]), one compression of one 64-byte block. The module does four
 * nonces per step, one per lane. A word that all nonces of a scan share is worked out once, in JavaScript, while the module is
 * generated only for what is left: the first nine rounds and a part of the message schedule are never in the loop.
 * Invariant: no nonce is returned that `meetsTarget` (node's own SHA-256) has not confirmed.
 */
import { hash } from 'node:crypto'
import { assert } from '@kvchain/core/errors'

/** Nonces are whole numbers up to this one, so that a JavaScript number holds each exactly. */
export const maxNonce = Number.MAX_SAFE_INTEGER

const hashBytes = 32
const nonceBytes = 8
const lowWords = 2 ** 32

/** One search implementation. Not shared between threads; a call blocks its thread until it has the answer. */
export interface PowSearch {
  /** Which implementation this is. */
  readonly kind: 'wasm' | 'hash'
  /** The lowest valid nonce in [start, start + count), or undefined when there is none. */
  search(commitment: Uint8Array, target: Uint8Array, start: number, count: number): number | undefined
}

/** The fastest search that this machine can run. */
export function createPowSearch(): PowSearch {
  return createWasmSearch() ?? createHashSearch()
}

/** The search without WebAssembly: the fallback, and what the tests compare the module with. */
export function createHashSearch(): PowSearch {
  return {
    kind: 'hash',
    search(commitment, target, start, count) {
      checkPowRange(commitment, target, start, count)
      const message = toMessage(commitment)
      for (let nonce = start; nonce < start + count; nonce++) {
        if (isBelow(message, nonce, target)) return nonce
      }
      return undefined
    },
  }
}

/** Whether sha256(commitment || nonce), as a big-endian number, is at or below the target. By node's own SHA-256. */
export function meetsTarget(commitment: Uint8Array, nonce: number, target: Uint8Array): boolean {
  checkPowRange(commitment, target, nonce, 1)
  return isBelow(toMessage(commitment), nonce, target)
}

/** Holds the sizes and bounds of a search; what it refuses is a bug of the caller's. */
export function checkPowRange(commitment: Uint8Array, target: Uint8Array, start: number, count: number): void {
  assert(commitment.length === hashBytes, 'a commitment is 32 bytes')
  assert(target.length === hashBytes, 'a target is 32 bytes')
  assert(Number.isSafeInteger(start) && start >= 0, 'a nonce is a whole number')
  assert(Number.isSafeInteger(count) && count >= 0, 'a count is a whole number')
  assert(count === 0 || start <= maxNonce - (count - 1), 'a range ends at the largest nonce')
}

function toMessage(commitment: Uint8Array): Buffer {
  const message = Buffer.alloc(hashBytes + nonceBytes)
  message.set(commitment)
  return message
}

/** Writes the nonce into the message, so the caller may use one message for many nonces. */
function isBelow(message: Buffer, nonce: number, target: Uint8Array): boolean {
  const low = nonce % lowWords
  message.writeUInt32BE((nonce - low) / lowWords, hashBytes)
  message.writeUInt32BE(low, hashBytes + 4)
  return hash('sha256', message, 'buffer').compare(target) <= 0
}

/** The part of the WebAssembly API in use; the compiler's library for this package has none of it. */
interface WasmApi {
  validate(bytes: Uint8Array): boolean
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { readonly exports: object }
}

interface ScanExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  /** How many batches of four nonces it did before one with a lane at or below the target's first word, or `batches`. */
  readonly scan: (low: number, batches: number) => number
}

/** The search by WebAssembly SIMD; undefined where the engine has no WebAssembly or no SIMD. */
export function createWasmSearch(): PowSearch | undefined {
  const api: WasmApi | undefined = Reflect.get(globalThis, 'WebAssembly')
  if (api === undefined) return undefined
  const { bytes, formulas } = generateScan()
  if (!api.validate(bytes)) return undefined
  const { memory, scan } = new api.Instance(new api.Module(bytes)).exports as ScanExports
  const shared = new Uint32Array(memory.buffer, 0, formulas.length)

  /** Works out every shared word for nonces whose high word is `high`. */
  function prepare(commitment: Buffer, target: Buffer, high: number): void {
    for (let i = 0; i < 8; i++) shared[i] = commitment.readUInt32BE(4 * i)
    shared[inputHigh] = high
    shared[inputTarget] = target.readUInt32BE(0)
    for (const [slot, formula] of formulas.entries()) shared[slot] = formula(shared)
  }

  return {
    kind: 'wasm',
    search(commitment, target, start, count) {
      checkPowRange(commitment, target, start, count)
      const message = toMessage(commitment)
      const bound = Buffer.from(target)
      let from = start
      let left = count
      while (left > 0) {
        // The module counts in the low word only, so a scan ends where the low word would wrap.
        const low = from % lowWords
        const segment = Math.min(left, lowWords - low)
        prepare(message, bound, (from - low) / lowWords)
        for (let done = 0; done < segment; ) {
          const batches = Math.ceil((segment - done) / lanes)
          const clean = scan(low + done, batches)
          if (clean === batches) break
          done += clean * lanes
          // The module compares one word of eight, and its last batch may reach past the segment: both are settled here.
          const end = Math.min(done + lanes, segment)
          for (; done < end; done++) {
            if (isBelow(message, from + done, bound)) return from + done
          }
        }
        from += segment
        left -= segment
      }
      return undefined
    },
  }
}

/** Nonces per step of the module's loop: one in each 32-bit lane of a vector. */
const lanes = 4

/** Slots of the shared words that a scan is given: the commitment's eight words, then these. */
const inputHigh = 8
const inputTarget = 9
const inputs = 10

/** A shared word, from those in lower slots. Kept modulo 2^32 by the array that stores it. */
type Formula = (words: Uint32Array) => number

/** A 32-bit word of the computation: shared by all nonces of a scan (a slot of memory), or one per lane (code that pushes it). */
type Word = { readonly slot: number } | { readonly code: readonly number[] }

/** The opcodes in use, already in their encoded form. */
const op = {
  block: [0x02, 0x40],
  loop: [0x03, 0x40],
  end: [0x0b],
  brIf: (depth: number) => [0x0d, depth],
  localGet: (local: number) => [0x20, ...unsigned(local)],
  localSet: (local: number) => [0x21, ...unsigned(local)],
  localTee: (local: number) => [0x22, ...unsigned(local)],
  i32Const: (value: number) => [0x41, ...signed(value)],
  i32LtU: [0x49],
  i32Add: [0x6a],
  /** One 32-bit word at a constant address, in all lanes. */
  loadSplat: (address: number) => [0x41, 0x00, 0xfd, 0x09, 0x02, ...unsigned(address)],
  splat: [0xfd, 0x11],
  /** Four words below 256, one to a lane. */
  laneConst: (...words: number[]) => [0xfd, 0x0c, ...words.flatMap((word) => [word, 0, 0, 0])],
  leU: [0xfd, 0x3e],
  and: [0xfd, 0x4e],
  or: [0xfd, 0x50],
  xor: [0xfd, 0x51],
  anyTrue: [0xfd, 0x53],
  shl: (bits: number) => [0x41, ...signed(bits), 0xfd, 0xab, 0x01],
  shrU: (bits: number) => [0x41, ...signed(bits), 0xfd, 0xad, 0x01],
  add: [0xfd, 0xae, 0x01],
} as const

const typeI32 = 0x7f
const typeV128 = 0x7b

const localLow = 0
const localBatches = 1
const localDone = 2
const localNonces = 3

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

function signed(value: number): number[] {
  return value >= -0x40 && value < 0x40 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)]
}

function at<T>(list: ArrayLike<T>, index: number): T {
  const item = list[index]
  assert(item !== undefined, 'an index is inside its list')
  return item
}

/**
 * Takes a computation on words apart: what depends on shared words only becomes a formula, the rest becomes code. So SHA-256 is
 * written once below, plainly, and each of its terms lands outside or inside the loop by what it depends on.
 */
class ScanCompiler {
  readonly formulas: Formula[] = []
  readonly code: number[] = []
  private nextLocal = localNonces + 1

  get vectorLocals(): number {
    return this.nextLocal - localNonces
  }

  /** A new shared word. */
  shared(formula: Formula): Word {
    return { slot: this.formulas.push(formula) - 1 }
  }

  constant(value: number): Word {
    return this.shared(() => value)
  }

  /** Code that pushes the word in all lanes. */
  push(word: Word): readonly number[] {
    return 'code' in word ? word.code : op.loadSplat(4 * word.slot)
  }

  /** Computes a word here and now, so that its later uses are cheap. */
  keep(word: Word): Word {
    if ('slot' in word) return word
    const local = this.nextLocal++
    this.code.push(...word.code, ...op.localSet(local))
    return { code: op.localGet(local) }
  }

  xor(a: Word, b: Word): Word {
    return this.binary(a, b, op.xor, (x, y) => x ^ y)
  }

  and(a: Word, b: Word): Word {
    return this.binary(a, b, op.and, (x, y) => x & y)
  }

  /** Adds the shared terms first: together they are one word. */
  sum(...terms: Word[]): Word {
    const ordered = [...terms.filter((term) => 'slot' in term), ...terms.filter((term) => 'code' in term)]
    return ordered.reduce((a, b) => this.binary(a, b, op.add, (x, y) => x + y))
  }

  /** `word` must be cheap to push: it is pushed twice. */
  rotateRight(word: Word, bits: number): Word {
    const both = this.push(word)
    const code = [...both, ...op.shrU(bits), ...both, ...op.shl(32 - bits), ...op.or]
    return this.unary(word, code, (x) => (x >>> bits) | (x << (32 - bits)))
  }

  shiftRight(word: Word, bits: number): Word {
    return this.unary(word, [...this.push(word), ...op.shrU(bits)], (x) => x >>> bits)
  }

  private unary(a: Word, code: readonly number[], apply: (x: number) => number): Word {
    return 'slot' in a ? this.shared((words) => apply(at(words, a.slot))) : { code }
  }

  private binary(a: Word, b: Word, code: readonly number[], apply: (x: number, y: number) => number): Word {
    if ('slot' in a && 'slot' in b) return this.shared((words) => apply(at(words, a.slot), at(words, b.slot)))
    return { code: [...this.push(a), ...this.push(b), ...code] }
  }
}

/** FIPS 180-4: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const roundConstants = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
]

/** FIPS 180-4: the state before the first block. */
const initialState = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
] as const

/** SHA-256 of one padded block: only the first word of the digest, which settles all but one in 2^32 of the nonces. */
function firstDigestWord(compiler: ScanCompiler, block: readonly Word[]): Word {
  const c = compiler
  const w = [...block]
  let [h0, h1, h2, h3, h4, h5, h6, h7] = initialState.map((value) => c.constant(value)) as State
  // maj(a, b, c) = b ^ ((a ^ b) & (b ^ c)), and the b ^ c of a round is the a ^ b of the one before.
  let bc = c.xor(h1, h2)
  for (const [round, constant] of roundConstants.entries()) {
    if (round >= block.length) {
      const a = at(w, round - 15)
      const b = at(w, round - 2)
      const small0 = c.xor(c.xor(c.rotateRight(a, 7), c.rotateRight(a, 18)), c.shiftRight(a, 3))
      const small1 = c.xor(c.xor(c.rotateRight(b, 17), c.rotateRight(b, 19)), c.shiftRight(b, 10))
      w.push(c.keep(c.sum(at(w, round - 16), small0, at(w, round - 7), small1)))
    }
    const big1 = c.xor(c.xor(c.rotateRight(h4, 6), c.rotateRight(h4, 11)), c.rotateRight(h4, 25))
    const choice = c.xor(h6, c.and(h4, c.xor(h5, h6)))
    const t1 = c.keep(c.sum(c.constant(constant), at(w, round), h7, choice, big1))
    const big0 = c.xor(c.xor(c.rotateRight(h0, 2), c.rotateRight(h0, 13)), c.rotateRight(h0, 22))
    const ab = c.keep(c.xor(h0, h1))
    const majority = c.xor(h1, c.and(ab, bc))
    bc = ab
    const e = c.keep(c.sum(h3, t1))
    const a = c.keep(c.sum(t1, majority, big0))
    ;[h0, h1, h2, h3, h4, h5, h6, h7] = [a, h0, h1, h2, e, h4, h5, h6]
  }
  return c.sum(c.constant(initialState[0]), h0)
}

type State = [Word, Word, Word, Word, Word, Word, Word, Word]

/** The module, and the formulas of the shared words slot by slot; those of the first `inputs` slots leave what is there. */
function generateScan(): { bytes: Uint8Array; formulas: readonly Formula[] } {
  const compiler = new ScanCompiler()
  const given = Array.from({ length: inputs }, (_, slot) => compiler.shared((words) => at(words, slot)))
  const zero = compiler.constant(0)
  const block: Word[] = [
    ...given.slice(0, 8),
    at(given, inputHigh),
    { code: op.localGet(localNonces) },
    compiler.constant(0x80000000),
    ...[zero, zero, zero, zero],
    compiler.constant(8 * (hashBytes + nonceBytes)),
  ]
  const digest = firstDigestWord(compiler, block)

  const body = [
    ...[op.localGet(localLow), op.splat, op.laneConst(0, 1, 2, 3), op.add, op.localSet(localNonces)],
    ...[op.block, op.loop, compiler.code],
    ...[compiler.push(digest), compiler.push(at(given, inputTarget)), op.leU, op.anyTrue, op.brIf(1)],
    ...[op.localGet(localNonces), op.laneConst(4, 4, 4, 4), op.add, op.localSet(localNonces)],
    ...[op.localGet(localDone), op.i32Const(1), op.i32Add, op.localTee(localDone)],
    ...[op.localGet(localBatches), op.i32LtU, op.brIf(0), op.end, op.end],
    ...[op.localGet(localDone), op.end],
  ].flat()
  const locals = [
    [...unsigned(1), typeI32],
    [...unsigned(compiler.vectorLocals), typeV128],
  ]
  const func = [...list(locals), ...body]
  const name = (text: string) => list([...Buffer.from(text)].map((byte) => [byte]))
  const bytes = [
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [[0x60, ...list([[typeI32], [typeI32]]), ...list([[typeI32]])]]),
    ...section(3, [[0x00]]),
    ...section(5, [[0x00, 0x01]]),
    ...section(7, [
      [...name('memory'), 0x02, 0x00],
      [...name('scan'), 0x00, 0x00],
    ]),
    ...section(10, [[...unsigned(func.length), ...func]]),
  ]
  return { bytes: Uint8Array.from(bytes), formulas: compiler.formulas }
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()]
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const content = list(items)
  return [id, ...unsigned(content.length), ...content]
}
