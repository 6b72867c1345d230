/** Sums over blocks and over seeds. */

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Standard deviation. */
export function deviation(values: readonly number[]): number {
  const middle = mean(values)
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)))
}

/** Of an even number the mean of the two in the middle. Infinity counts as the largest number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const low = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
  const high = sorted[Math.ceil((sorted.length - 1) / 2)] ?? Number.NaN
  return low === high ? low : (low + high) / 2
}

export function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)
}

export function smallest(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY)
}

/**
 * Rosenfeld's probability that z confirmations are taken back by a share q of the hash rate: the attacker starts level, goes on for
 * ever, and wins a tie.
 */
export function rosenfeld(q: number, z: number): number {
  const p = 1 - q
  let kept = 0
  let ways = 1
  for (let m = 0; m <= z; m++) {
    kept += ways * (p ** z * q ** m - p ** m * q ** z)
    ways *= (m + z) / (m + 1)
  }
  return 1 - kept
}
