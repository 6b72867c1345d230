/**
 * The probability of a reversal: Rosenfeld's table (10 % to 45 %, 1 to 10 confirmations), the formula as it is printed, a race played out, and
 * the edges.
 */
import { expectedSeconds, reversalProbability } from '@kvchain/core/certainty'
import { describe, expect, it } from 'vitest'

/** In per cent, as computed apart from this code, and as many digits as stand there. */
const TABLE: readonly (readonly [number, readonly string[]])[] = [
  [0.1, ['20.000', '5.600', '1.712', '0.546', '0.178', '0.0591', '0.0199', '0.0067', '0.0023', '0.0008']],
  [0.2, ['40.000', '20.800', '11.584', '6.669', '3.916', '2.331', '1.401', '0.848', '0.516', '0.316']],
  [0.3, ['60.000', '43.200', '32.616', '25.207', '19.762', '15.645', '12.475', '10.003', '8.055', '6.511']],
  [0.4, ['80.000', '70.400', '63.488', '57.958', '53.314', '49.300', '45.769', '42.621', '39.787', '37.218']],
  [0.45, ['90.000', '85.050', '81.375', '78.342', '75.716', '73.375', '71.252', '69.299', '67.487', '65.793']],
]

/** Confirmations from which on the probability is below a bound. */
const NEEDED: readonly (readonly [number, number, number])[] = [
  [0.1, 0.001, 6],
  [0.15, 0.001, 9],
  [0.2, 0.001, 13],
  [0.25, 0.001, 20],
  [0.3, 0.001, 32],
  [0.35, 0.001, 58],
  [0.4, 0.001, 133],
  [0.45, 0.001, 539],
  [0.1, 0.01, 4],
  [0.2, 0.01, 8],
  [0.3, 0.01, 20],
  [0.4, 0.01, 82],
  [0.45, 0.01, 331],
]

/** The formula as Rosenfeld prints it, in exact fractions of 100^n: no rounding to agree by. */
function exactly(percent: number, z: number): number {
  const [q, p] = [BigInt(percent), BigInt(100 - percent)]
  let kept = 0n
  let ways = 1n
  for (let m = 0; m <= z; m++) {
    if (m > 0) ways = (ways * BigInt(z + m - 1)) / BigInt(m)
    const scale = 100n ** BigInt(z - m)
    kept += ways * scale * (p ** BigInt(z) * q ** BigInt(m) - p ** BigInt(m) * q ** BigInt(z))
  }
  const whole = 100n ** BigInt(2 * z)
  return Number(((whole - kept) * 10n ** 30n) / whole) / 1e30
}

describe('the probability of a reversal', () => {
  it.each(TABLE)('for a share of %d is that of the table', (share, row) => {
    for (const [i, cell] of row.entries()) {
      const digits = cell.length - cell.indexOf('.') - 1
      expect((100 * reversalProbability(share, i + 1)).toFixed(digits)).toBe(cell)
    }
  })

  it.each(NEEDED)('for a share of %d is below %d from %d confirmations on', (share, bound, needed) => {
    expect(reversalProbability(share, needed)).toBeLessThan(bound)
    expect(reversalProbability(share, needed - 1)).toBeGreaterThanOrEqual(bound)
  })

  it('is the printed formula, to twelve digits', () => {
    for (const percent of [1, 5, 10, 25, 33, 45, 49]) {
      for (const z of [1, 2, 3, 6, 10, 40, 100]) {
        const expected = exactly(percent, z)
        const found = reversalProbability(percent / 100, z)
        expect(Math.abs(found - expected)).toBeLessThanOrEqual(1e-12 * expected + 1e-29)
      }
    }
  })

  it('falls with every confirmation and rises with every share', () => {
    for (let z = 1; z < 50; z++) {
      for (let percent = 1; percent < 50; percent++) {
        const here = reversalProbability(percent / 100, z)
        expect(reversalProbability(percent / 100, z + 1)).toBeLessThan(here)
        expect(reversalProbability((percent + 1) / 100, z)).toBeGreaterThan(here)
      }
    }
  })

  it('is certain for half of the hash rate and without a confirmation, and nothing for nobody', () => {
    for (const z of [1, 6, 1_000]) {
      expect(reversalProbability(0.5, z)).toBe(1)
      expect(reversalProbability(0.7, z)).toBe(1)
      expect(reversalProbability(0, z)).toBe(0)
    }
    expect(reversalProbability(0.1, 0)).toBe(1)
    expect(reversalProbability(0.49, 1)).toBeCloseTo(0.98, 10)
  })

  it('keeps its sense when it is too small to print, and its pace when the confirmations are many', () => {
    expect(reversalProbability(0.1, 100)).toBeGreaterThan(0)
    expect(reversalProbability(0.1, 100)).toBeLessThan(1e-40)
    expect(reversalProbability(0.1, 100_000)).toBe(0)
    expect(reversalProbability(0.499, 100_000)).toBeGreaterThan(0.3)
  })

  it('is what a race comes to', () => {
    // From a fixed seed; three standard errors.
    let state = 12345
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state / 2 ** 32
    }
    for (const [share, z] of [
      [0.1, 2],
      [0.2, 4],
      [0.3, 6],
    ] as const) {
      let won = 0
      const races = 40_000
      for (let race = 0; race < races; race++) {
        // One block mined in secret.
        let lead = 1
        for (let honest = 0; honest < z; ) {
          if (random() < share) lead++
          else {
            lead--
            honest++
          }
        }
        // 60 blocks behind at a share of 30 % he catches up once in 10^22 races.
        while (lead <= 0 && lead > -60) lead += random() < share ? 1 : -1
        if (lead > 0) won++
      }
      const expected = reversalProbability(share, z)
      expect(Math.abs(won / races - expected)).toBeLessThan(3 * Math.sqrt((expected * (1 - expected)) / races))
    }
  })
})

it('hashes take as long as they take', () => {
  expect(expectedSeconds(45_000_000n, 15e6)).toBe(3)
  expect(expectedSeconds(0n, 1)).toBe(0)
})
