/**
 * How sure a confirmed block is: the probability that somebody with a part of the hash rate undoes it. For people who decide how long to
 * wait; no part of consensus, which is why floating point may be used. (M. Rosenfeld, Analysis of hashrate-based double spending, 2014)
 *
 * Convention, which belongs beside any such number: the attacker has mined one block in secret before the count begins, and succeeds once
 * his chain is longer than the honest one; or, which comes to the same, he begins level and a tie is enough. `confirmations` counts the
 * block itself. Were he to begin level and have to get ahead, the numbers would be some six times smaller at a tenth of the hash rate.
 */

/**
 * Rosenfeld's probability that an attacker with this share of the whole hash rate ever catches up: exact, by the negative binomial
 * distribution. 1 for a share of a half or more.
 *
 * P = 1 - sum over m = 0..z of C(m+z-1, m) (p^z q^m - p^m q^z), with p = 1 - q. Summed here as the two parts that remain, so that a tiny P is
 * not the difference of two numbers close to 1.
 */
export function reversalProbability(attackerShare: number, confirmations: number): number {
  const q = attackerShare
  const z = confirmations
  if (q <= 0) return 0
  if (q >= 0.5 || z < 1) return 1
  const p = 1 - q
  // While the honest miners find z blocks he finds m more: up to z, and he has to catch up; beyond, and he has won.
  let behind = 0
  let ahead = 0
  // The logarithm of C(m+z-1, m): the powers alone would vanish from z = 1,000 on.
  let ways = 0
  for (let m = 0; ; m++) {
    if (m > 0) ways += Math.log((z + m - 1) / m)
    if (m <= z) behind += Math.exp(ways + m * Math.log(p) + z * Math.log(q))
    else {
      const term = Math.exp(ways + z * Math.log(p) + m * Math.log(q))
      ahead += term
      if (term <= ahead * Number.EPSILON) break
    }
  }
  return Math.min(1, behind + ahead)
}

/** How long so many hashes take at a rate, in seconds. */
export function expectedSeconds(hashes: bigint, hashesPerSecond: number): number {
  return Number(hashes) / hashesPerSecond
}
