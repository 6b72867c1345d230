/**
 * The inner loop of the miner: the lowest nonce of a range whose block hash meets a target. Owns a WebAssembly module that is
 * generated when it is first wanted, and a plain `crypto.hash` loop of the same interface for machines without WebAssembly SIMD.
 * Does not own threads, chunks or cancellation: a search runs to its end.
 *
 * block hash = sha256(commitment[32] || nonce as u64 big-endian[8]), one compression of one 64-byte block. The module does four
 * nonces per step, one per lane. A word that all nonces of a scan share is worked out once, in JavaScript, while the module is
 * generated only for what is left: the first nine rounds and a part of the message schedule are never in the loop.
 * Invariant: no nonce is returned that `meetsTarget` (node's own SHA-256) has not confirmed.
 */
import { hash } from 'node:crypto'
import { assert } from '@kvchain/core/errors'
import { at, instantiate, LANES, LaneCompiler, type LaneMemory, laneModule, op, type Word } from '../crypto/lanes.js'
import { compress, initialState } from '../crypto/sha256Rounds.js'

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

interface ScanExports {
  readonly memory: LaneMemory
  /** How many batches of four nonces it did before one with a lane at or below the target's first word, or `batches`. */
  readonly scan: (low: number, batches: number) => number
}

/** The search by WebAssembly SIMD; undefined where the engine has no WebAssembly or no SIMD. */
export function createWasmSearch(): PowSearch | undefined {
  const { bytes, formulas } = generateScan()
  const exports = instantiate(bytes)
  if (exports === undefined) return undefined
  const { memory, scan } = exports as ScanExports
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
          const batches = Math.ceil((segment - done) / LANES)
          const clean = scan(low + done, batches)
          if (clean === batches) break
          done += clean * LANES
          // The module compares one word of eight, and its last batch may reach past the segment: both are settled here.
          const end = Math.min(done + LANES, segment)
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

/** Slots of the shared words that a scan is given: the commitment's eight words, then these. */
const inputHigh = 8
const inputTarget = 9
const inputs = 10

/** A shared word, from those in lower slots. Kept modulo 2^32 by the array that stores it. */
type Formula = (words: Uint32Array) => number

const localLow = 0
const localBatches = 1
const localDone = 2
const localNonces = 3

/** Words that all nonces of a scan share are slots of memory: the formulas tell how they are worked out. */
class ScanCompiler extends LaneCompiler {
  readonly formulas: Formula[] = []

  /** A new shared word. */
  shared(formula: Formula): Word {
    return { shared: this.formulas.push(formula) - 1 }
  }

  constant(value: number): Word {
    return this.shared(() => value)
  }

  protected fold(apply: (...words: number[]) => number, ...slots: number[]): Word {
    return this.shared((words) => apply(...slots.map((slot) => at(words, slot))))
  }

  protected pushShared(slot: number): readonly number[] {
    return [...op.i32Const(0), ...op.loadSplat(4 * slot)]
  }
}

/** The module, and the formulas of the shared words slot by slot; those of the first `inputs` slots leave what is there. */
function generateScan(): { bytes: Uint8Array; formulas: readonly Formula[] } {
  const compiler = new ScanCompiler(localNonces + 1)
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
  // The first word settles all but one in 2^32 of the nonces.
  const [digest] = compress(compiler, initialState(compiler), block)
  assert(digest !== undefined, 'a digest has words')

  const body = [
    ...[op.localGet(localLow), op.splat, op.laneConst(0, 1, 2, 3), op.add, op.localSet(localNonces)],
    ...[op.block, op.loop, compiler.code],
    ...[compiler.push(digest), compiler.push(at(given, inputTarget)), op.leU, op.anyTrue, op.brIf(1)],
    ...[op.localGet(localNonces), op.laneConst(4, 4, 4, 4), op.add, op.localSet(localNonces)],
    ...[op.localGet(localDone), op.i32Const(1), op.i32Add, op.localTee(localDone)],
    ...[op.localGet(localBatches), op.i32LtU, op.brIf(0), op.end, op.end],
    op.localGet(localDone),
  ].flat()
  // The nonces are a vector too.
  const vectorLocals = compiler.vectorLocals + 1
  const types = { parameters: 2, results: 1, i32Locals: 1, vectorLocals } as const
  return { bytes: laneModule({ name: 'scan', ...types, body }, 1), formulas: compiler.formulas }
}
