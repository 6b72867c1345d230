/**
 * Many hashes of a tree's nodes at once: sha256(tag || left || right), 16, 32 and 32 bytes, four at a time by WebAssembly SIMD. One by one they cost
 * twice as much, most of it the call. Owns the module, its memory and how it is told a job.
 */
import { assert } from '@kvchain/core/errors'
import { type PairHasher, TAG_BYTES } from '@kvchain/core/hash'
import { instantiate, LANES, LaneCompiler, type LaneMemory, laneModule, op, type Word } from './lanes.js'
import { BLOCK_WORDS, compress, initialState } from './sha256Rounds.js'

const PAGE_BYTES = 64 << 10
const HASH_BYTES = 32
const MAX_JOBS = 4_096
/** Left, right and result: places behind HASHES_AT. */
const JOB_BYTES = 12
/** The module's memory: the tag; then words that all lanes share; then the table of jobs; then the hashes. */
const SHARED_AT = 64
const JOBS_AT = 1_024
const HASHES_AT = JOBS_AT + MAX_JOBS * JOB_BYTES
const FIRST_PAGES = 4

interface Exports {
  readonly memory: LaneMemory
  /** Does `groups`, at least one, of four jobs each; the first begins at the address `jobs`. */
  readonly run: (jobs: number, groups: number) => void
}

/** A hasher with a memory of its own; undefined where the engine has no WebAssembly SIMD. */
export function createPairHasher(): PairHasher | undefined {
  const { bytes, shared } = generate()
  const exports = instantiate(bytes)
  return exports && new LanePairs(exports as Exports, shared)
}

class LanePairs implements PairHasher {
  bytes: Uint8Array
  jobs: Uint32Array
  private memory: Buffer

  constructor(
    private readonly exports: Exports,
    shared: readonly number[],
  ) {
    this.memory = Buffer.from(exports.memory.buffer)
    for (const [i, word] of shared.entries()) this.memory.writeUInt32LE(word, SHARED_AT + 4 * i)
    this.bytes = this.hashes()
    this.jobs = this.table()
  }

  grow(length: number): void {
    const missing = HASHES_AT + length - this.memory.length
    if (missing <= 0) return
    this.exports.memory.grow(Math.ceil(missing / PAGE_BYTES))
    // What looks into the memory looks nowhere once it has grown.
    this.memory = Buffer.from(this.exports.memory.buffer)
    this.bytes = this.hashes()
    this.jobs = this.table()
  }

  run(tag: Uint8Array, count: number): void {
    assert(tag.length === TAG_BYTES && count <= MAX_JOBS, 'a tag, and no more jobs than there is room for')
    if (count === 0) return
    this.memory.set(tag)
    // Lanes of the last group that are left do its last job once more.
    const groups = Math.ceil(count / LANES)
    for (let i = count; i < groups * LANES; i++) this.jobs.copyWithin(3 * i, 3 * (count - 1), 3 * count)
    this.exports.run(JOBS_AT, groups)
  }

  text(at: number): string {
    return this.memory.toString('latin1', HASHES_AT + at, HASHES_AT + at + HASH_BYTES)
  }

  private hashes(): Uint8Array {
    return new Uint8Array(this.exports.memory.buffer, HASHES_AT)
  }

  private table(): Uint32Array {
    return new Uint32Array(this.exports.memory.buffer, JOBS_AT, 3 * MAX_JOBS)
  }
}

/** Shared words are numbers: all of them are known when the module is made. */
class PairCompiler extends LaneCompiler {
  /** In memory, whence one instruction brings them into all lanes. */
  readonly shared: number[] = []

  constant(value: number): Word {
    return { shared: value >>> 0 }
  }

  protected fold(apply: (...words: number[]) => number, ...operands: number[]): Word {
    return this.constant(apply(...operands))
  }

  protected pushShared(value: number): readonly number[] {
    const known = this.shared.indexOf(value)
    const index = known < 0 ? this.shared.push(value) - 1 : known
    return [...op.i32Const(0), ...op.loadSplat(SHARED_AT + 4 * index)]
  }

  /** Keeps the vector that `code` pushes. */
  vector(...code: number[]): Word {
    return this.keep({ code })
  }

  /** Sets locals, once all values are there. */
  assign(locals: readonly number[], values: readonly Word[]): void {
    for (const value of values) this.code.push(...this.push(value))
    for (const local of locals.toReversed()) this.code.push(...op.localSet(local))
  }

  /** Of four vectors with four words each: the vector of all first words, that of all second ones, and so on. Turns the bytes of each word round. */
  transpose(rows: readonly Word[]): Word[] {
    const [a = [], b = [], c = [], d = []] = rows.map((row) => this.push(row))
    const [low, high, otherLow, otherHigh] = [
      this.push(this.vector(...a, ...b, ...op.shuffle(TURNED_LOW))),
      this.push(this.vector(...a, ...b, ...op.shuffle(TURNED_HIGH))),
      this.push(this.vector(...c, ...d, ...op.shuffle(TURNED_LOW))),
      this.push(this.vector(...c, ...d, ...op.shuffle(TURNED_HIGH))),
    ]
    return [
      this.vector(...low, ...otherLow, ...op.shuffle(FIRST_HALVES)),
      this.vector(...low, ...otherLow, ...op.shuffle(SECOND_HALVES)),
      this.vector(...high, ...otherHigh, ...op.shuffle(FIRST_HALVES)),
      this.vector(...high, ...otherHigh, ...op.shuffle(SECOND_HALVES)),
    ]
  }
}

/** Of two vectors: word 0 of each, then word 1 of each; words 2 and 3; the first two words of each; the last two. */
const TURNED_LOW = [3, 2, 1, 0, 19, 18, 17, 16, 7, 6, 5, 4, 23, 22, 21, 20]
const TURNED_HIGH = [11, 10, 9, 8, 27, 26, 25, 24, 15, 14, 13, 12, 31, 30, 29, 28]
const FIRST_HALVES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]
const SECOND_HALVES = [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31]

const LOCAL_JOBS = 0
const LOCAL_GROUPS = 1
const LOCAL_BLOCKS = 2
const FIRST_VECTOR = 3

const [LEFT, RIGHT, RESULT] = [0, 4, 8]
const HALVES = [0, 16]
const MESSAGE_BYTES = TAG_BYTES + 2 * HASH_BYTES

/** The module, and the words that belong at SHARED_AT. */
function generate(): { bytes: Uint8Array; shared: readonly number[] } {
  const c = new PairCompiler(FIRST_VECTOR)
  const lanes = Array.from({ length: LANES }, (_, lane) => lane)
  const place = (lane: number, which: number) => [...op.localGet(LOCAL_JOBS), ...op.i32Load(lane * JOB_BYTES + which)]
  const locals = (count: number) => Array.from({ length: count }, () => c.newLocal())
  const wordOf = (local: number): Word => ({ code: op.localGet(local) })

  const tag = c.vector(...op.i32Const(0), ...op.load(0))
  const words = c.transpose(lanes.map(() => tag))
  for (const which of [LEFT, RIGHT]) {
    for (const half of HALVES) {
      words.push(...c.transpose(lanes.map((lane) => c.vector(...place(lane, which), ...op.load(HASHES_AT + half)))))
    }
  }
  const zeros = Array.from({ length: 2 * BLOCK_WORDS - words.length - 2 }, () => 0)
  const padding = [0x80000000, ...zeros, 8 * MESSAGE_BYTES].map((word) => c.constant(word))
  const [state, block] = [locals(initialState(c).length), locals(BLOCK_WORDS)]
  c.assign(state, initialState(c))
  c.assign(block, words.slice(0, BLOCK_WORDS))
  // Two blocks in a loop: the code of both, one after the other, does not fit the processor's cache of instructions and takes twice as long.
  c.code.push(...op.i32Const(2), ...op.localSet(LOCAL_BLOCKS), ...op.loop)
  c.assign(state, compress(c, state.map(wordOf), block.map(wordOf)))
  c.assign(block, [...words.slice(BLOCK_WORDS), ...padding])
  c.code.push(...countDown(LOCAL_BLOCKS), ...op.brIf(0), ...op.end)
  for (const [i, half] of HALVES.entries()) {
    const rows = c.transpose(state.slice(4 * i, 4 * i + 4).map(wordOf))
    for (const [lane, row] of rows.entries()) {
      c.code.push(...place(lane, RESULT), ...c.push(row), ...op.store(HASHES_AT + half))
    }
  }
  const next = [...op.localGet(LOCAL_JOBS), ...op.i32Const(LANES * JOB_BYTES), ...op.i32Add, ...op.localSet(LOCAL_JOBS)]
  const body = [...op.loop, ...c.code, ...next, ...countDown(LOCAL_GROUPS), ...op.brIf(0), ...op.end]
  const types = { parameters: 2, results: 0, i32Locals: 1, vectorLocals: c.vectorLocals } as const
  return { bytes: laneModule({ name: 'run', ...types, body }, FIRST_PAGES), shared: c.shared }
}

/** Takes one from a local, and pushes what is left. */
function countDown(local: number): number[] {
  return [...op.localGet(local), ...op.i32Const(1), ...op.i32Sub, ...op.localTee(local)]
}
