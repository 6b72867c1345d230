/**
 * The target rule. relative-exponential: each block corrects the target by how far its own solve time was from the interval,
 * 2^((solveTime - interval) / window), the solve time clamped; so a network that slept does not storm on return. Integers
 * only. (protocol.md section 7)
 */
import { fromBigInt, toBigInt } from './bytes.js'
import type { Header } from './header.js'
import type { Params } from './params.js'

const FRACTION_BITS = 16n
const ONE = 1n << FRACTION_BITS

/**
 * 2^x for x in 16-bit fixed point, as (factor, shift): factor in [2^16, 2^17), shift a whole power. The cubic is that of aserti3-2d
 * (Bitcoin Cash, 2020): error below 0.013 %, exact at whole powers.
 */
function powerOfTwo(exponent: bigint): { factor: bigint; shift: bigint } {
  const shift = exponent >> FRACTION_BITS
  const x = exponent - (shift << FRACTION_BITS)
  const curve = 195_766_423_245_049n * x + 971_821_376n * x * x + 5_127n * x * x * x + (1n << 47n)
  return { factor: ONE + (curve >> 48n), shift }
}

/**
 * The target that the child of `parent` must carry. `grandparent` is undefined when the parent is genesis; the first two blocks carry
 * the initial target, since the time since genesis says nothing of anybody's hash rate.
 */
export function nextTarget(params: Params, parent: Header, grandparent: Header | undefined): Uint8Array {
  if (params.targetRule === 'fixed' || grandparent === undefined || parent.height < 2) return params.initialTarget
  const interval = params.blockIntervalMs
  const clamp = params.solveTimeClampBlocks * interval
  const solveTime = Math.max(-clamp, Math.min(clamp, parent.timestampMs - grandparent.timestampMs))
  const window = BigInt(params.targetWindowBlocks) * BigInt(interval)
  const scaled = BigInt(solveTime - interval) << FRACTION_BITS
  // Division that rounds towards minus infinity, so that the rule has no seam at zero.
  const exponent = scaled >= 0n ? scaled / window : -((-scaled + window - 1n) / window)
  const { factor, shift } = powerOfTwo(exponent)
  // A shift by less than nothing is one to the other side.
  const target = (toBigInt(parent.target) * factor) >> (FRACTION_BITS - shift)
  const easiest = toBigInt(params.easiestTarget)
  return fromBigInt(target < 1n ? 1n : target > easiest ? easiest : target)
}
