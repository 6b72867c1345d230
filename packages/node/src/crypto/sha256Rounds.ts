/** The rounds of SHA-256 (FIPS 180-4), as code for lanes. */
import { at, type LaneCompiler, type Word } from './lanes.js'

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const ROUND_CONSTANTS = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
]

/** The state before the first block. */
const INITIAL_STATE = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
] as const

export const BLOCK_WORDS = 16

/** What the rounds work on: a to h. */
export type Sha256State = readonly Word[]

export function initialState(compiler: LaneCompiler): Sha256State {
  return INITIAL_STATE.map((value) => compiler.constant(value))
}

/** The state after one more block of 16 words. Words of it that are not used cost nothing. */
export function compress(c: LaneCompiler, before: Sha256State, block: readonly Word[]): Sha256State {
  const w = [...block]
  let state = before
  // maj(a, b, c) = b ^ ((a ^ b) & (b ^ c)), and the b ^ c of a round is the a ^ b of the one before.
  let bc = c.keep(c.xor(at(state, 1), at(state, 2)))
  for (const [round, constant] of ROUND_CONSTANTS.entries()) {
    const [h0, h1, h2, h3, h4, h5, h6, h7] = state as Eight<Word>
    if (round >= BLOCK_WORDS) w.push(c.keep(scheduled(c, w, round)))
    const big1 = c.xor(c.xor(c.rotateRight(h4, 6), c.rotateRight(h4, 11)), c.rotateRight(h4, 25))
    const choice = c.xor(h6, c.and(h4, c.xor(h5, h6)))
    const t1 = c.keep(c.sum(c.constant(constant), at(w, round), h7, choice, big1))
    const big0 = c.xor(c.xor(c.rotateRight(h0, 2), c.rotateRight(h0, 13)), c.rotateRight(h0, 22))
    const ab = c.keep(c.xor(h0, h1))
    const majority = c.xor(h1, c.and(ab, bc))
    bc = ab
    const e = c.keep(c.sum(h3, t1))
    const a = c.keep(c.sum(t1, majority, big0))
    state = [a, h0, h1, h2, e, h4, h5, h6]
  }
  return before.map((word, i) => c.sum(word, at(state, i)))
}

/** The word of the message schedule for a round. */
function scheduled(c: LaneCompiler, w: readonly Word[], round: number): Word {
  const a = at(w, round - 15)
  const b = at(w, round - 2)
  const small0 = c.xor(c.xor(c.rotateRight(a, 7), c.rotateRight(a, 18)), c.shiftRight(a, 3))
  const small1 = c.xor(c.xor(c.rotateRight(b, 17), c.rotateRight(b, 19)), c.shiftRight(b, 10))
  return c.sum(at(w, round - 16), small0, at(w, round - 7), small1)
}

type Eight<T> = readonly [T, T, T, T, T, T, T, T]
