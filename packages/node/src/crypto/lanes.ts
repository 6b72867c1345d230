/**
 * WebAssembly that does the same computation on 32-bit words four times at once, one in each lane of a vector. Owns the encoding of code and
 * modules, and the compiler of words; knows nothing of what is computed. The bytes of a module are generated when it is first wanted: nothing is
 * compiled or downloaded at an install.
 */
import { assert } from '@kvchain/core/errors'

export const LANES = 4

/** A 32-bit word: shared by all lanes and known before the code runs (a number by which the compiler knows it), or one in each (code that pushes it). */
export type Word = { readonly shared: number } | { readonly code: readonly number[] }

/** The opcodes in use, already in their encoded form. */
export const op = {
  block: [0x02, 0x40],
  loop: [0x03, 0x40],
  end: [0x0b],
  brIf: (depth: number) => [0x0d, depth],
  localGet: (local: number) => [0x20, ...unsigned(local)],
  localSet: (local: number) => [0x21, ...unsigned(local)],
  localTee: (local: number) => [0x22, ...unsigned(local)],
  i32Load: (offset: number) => [0x28, 0x02, ...unsigned(offset)],
  i32Const: (value: number) => [0x41, ...signed(value)],
  i32LtU: [0x49],
  i32Add: [0x6a],
  i32Sub: [0x6b],
  load: (offset: number) => [0xfd, 0x00, 0x00, ...unsigned(offset)],
  store: (offset: number) => [0xfd, 0x0b, 0x00, ...unsigned(offset)],
  /** The 32-bit word at the address on the stack and `offset`, in all lanes. */
  loadSplat: (offset: number) => [0xfd, 0x09, 0x02, ...unsigned(offset)],
  splat: [0xfd, 0x11],
  /** Four words, one to a lane. */
  laneConst: (...words: number[]) => [0xfd, 0x0c, ...words.flatMap(littleEndian)],
  /** Bytes of two vectors, the second's numbered from 16 on. */
  shuffle: (bytes: readonly number[]) => [0xfd, 0x0d, ...bytes],
  leU: [0xfd, 0x3e],
  and: [0xfd, 0x4e],
  or: [0xfd, 0x50],
  xor: [0xfd, 0x51],
  anyTrue: [0xfd, 0x53],
  shl: (bits: number) => [0x41, ...signed(bits), 0xfd, 0xab, 0x01],
  shrU: (bits: number) => [0x41, ...signed(bits), 0xfd, 0xad, 0x01],
  add: [0xfd, 0xae, 0x01],
} as const

const TYPE_I32 = 0x7f
const TYPE_V128 = 0x7b

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

function signed(value: number): number[] {
  return value >= -0x40 && value < 0x40 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)]
}

function littleEndian(word: number): number[] {
  return [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24]
}

/**
 * Takes a computation on words apart: what depends on shared words only is folded into another shared word, the rest becomes code. So a
 * computation is written once, plainly, and each of its terms lands outside or inside the code by what it depends on.
 */
export abstract class LaneCompiler {
  readonly code: number[] = []
  private nextLocal: number

  /** Locals from `firstLocal` on are vectors of the compiler's. */
  constructor(private readonly firstLocal: number) {
    this.nextLocal = firstLocal
  }

  get vectorLocals(): number {
    return this.nextLocal - this.firstLocal
  }

  abstract constant(value: number): Word
  /** The shared word that `apply` gives, modulo 2^32. */
  protected abstract fold(apply: (...words: number[]) => number, ...operands: number[]): Word
  protected abstract pushShared(shared: number): readonly number[]

  /** Code that pushes the word in all lanes. */
  push(word: Word): readonly number[] {
    return 'code' in word ? word.code : this.pushShared(word.shared)
  }

  /** Computes a word here and now, so that its later uses are cheap. */
  keep(word: Word): Word {
    if ('shared' in word) return word
    const local = this.newLocal()
    this.code.push(...word.code, ...op.localSet(local))
    return { code: op.localGet(local) }
  }

  newLocal(): number {
    return this.nextLocal++
  }

  xor(a: Word, b: Word): Word {
    return this.binary(a, b, op.xor, (x, y) => x ^ y)
  }

  and(a: Word, b: Word): Word {
    return this.binary(a, b, op.and, (x, y) => x & y)
  }

  /** Adds the shared terms first: together they are one word. */
  sum(...terms: Word[]): Word {
    const ordered = [...terms.filter((term) => 'shared' in term), ...terms.filter((term) => 'code' in term)]
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
    return 'shared' in a ? this.fold(apply, a.shared) : { code }
  }

  private binary(a: Word, b: Word, code: readonly number[], apply: (x: number, y: number) => number): Word {
    if ('shared' in a && 'shared' in b) return this.fold(apply, a.shared, b.shared)
    return { code: [...this.push(a), ...this.push(b), ...code] }
  }
}

/** The one function of a module, over a memory of its own. All it takes and gives is i32. */
export interface LaneFunction {
  readonly name: string
  readonly parameters: number
  readonly results: 0 | 1
  /** Locals behind the parameters: first i32, then vectors. */
  readonly i32Locals: number
  readonly vectorLocals: number
  readonly body: readonly number[]
}

/** The module's bytes. Exports the function, and its memory of `pages` (64 KiB each) as `memory`. */
export function laneModule(
  { name, parameters, results, i32Locals, vectorLocals, body }: LaneFunction,
  pages: number,
): Uint8Array {
  const types = (count: number) => list(Array.from({ length: count }, () => [TYPE_I32]))
  const locals = list([
    [...unsigned(i32Locals), TYPE_I32],
    [...unsigned(vectorLocals), TYPE_V128],
  ])
  const code = [...locals, ...body, ...op.end]
  const text = (value: string) => list([...Buffer.from(value)].map((byte) => [byte]))
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [[0x60, ...types(parameters), ...types(results)]]),
    ...section(3, [[0x00]]),
    ...section(5, [[0x00, ...unsigned(pages)]]),
    ...section(7, [
      [...text('memory'), 0x02, 0x00],
      [...text(name), 0x00, 0x00],
    ]),
    ...section(10, [[...unsigned(code.length), ...code]]),
  ])
}

/** The item at an index that is inside the list. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  const item = list[index]
  assert(item !== undefined, 'an index is inside its list')
  return item
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()]
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const content = list(items)
  return [id, ...unsigned(content.length), ...content]
}

/** The part of the WebAssembly API in use; the compiler's library for this package has none of it. */
interface WasmApi {
  validate(bytes: Uint8Array): boolean
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { readonly exports: object }
}

export interface LaneMemory {
  /** Another one after `grow`. */
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

/** What the module exports; undefined where the engine has no WebAssembly or no SIMD. */
export function instantiate(bytes: Uint8Array): { readonly memory: LaneMemory } | undefined {
  const api: WasmApi | undefined = Reflect.get(globalThis, 'WebAssembly')
  if (api === undefined || !api.validate(bytes)) return undefined
  const { exports } = new api.Instance(new api.Module(bytes))
  assert('memory' in exports, 'a module of lanes has a memory')
  return exports as { memory: LaneMemory }
}
