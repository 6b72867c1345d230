/**
 * Can a confirmed block be taken back? One race at a time: honest miners extend the public branch, an attacker with a share of the hash
 * rate extends a private one from the same parent, with whatever timestamps suit him, and wins as soon as the victim's block has its
 * confirmations and the private branch more work. Both start level, a tie does not win: 0.96 % for a tenth and 2 confirmations,
 * 8.96 % for three tenths and 6 (Rosenfeld).
 */
import { Chain, RIGHT_TARGET, type World } from './chain.js'
import { Random } from './random.js'
import { honest, type Strategy } from './strategies.js'

const STREAM = 7
/** Behind by so many of his own next blocks the attacker gives up, */
const HOPELESS = 40
/** and when so many blocks stand on the victim's confirmations. */
const PATIENCE_BLOCKS = 200

export interface Race {
  readonly share: number
  readonly confirmations: number
  /** How long nobody mined before the race began. */
  readonly sleepMs: number
  readonly strategy: Strategy
}

export function isReversed(world: World, seed: number, race: Race): boolean {
  const random = new Random(seed, STREAM)
  const open = new Chain(world, random)
  for (let i = 0; i < 30; i++) open.mine({ hashRate: 1 })
  open.sleep(race.sleepMs)
  const hidden = new Chain(world, random, open.history.clone())
  hidden.nowMs = open.nowMs
  const work = { open: 0, hidden: 0 }
  let confirmations = 0
  for (;;) {
    if (confirmations >= race.confirmations && work.hidden > work.open) return true
    const next = workOf(hidden.target)
    if (confirmations >= race.confirmations && work.open - work.hidden > HOPELESS * next) return false
    if (confirmations >= race.confirmations + PATIENCE_BLOCKS) return false
    // Each side's next block is a draw without memory, so it may be drawn anew whenever the other side has found one.
    const honestMs = open.draw(1 - race.share)
    const hiddenMs = hidden.draw(race.share)
    if (honestMs <= hiddenMs) {
      work.open += workOf(open.target)
      open.find(honestMs, honest, { hashRate: 1 })
      hidden.sleep(honestMs)
      confirmations++
    } else {
      work.hidden += next
      hidden.find(hiddenMs, race.strategy, { hashRate: race.share, share: 1 })
      open.sleep(hiddenMs)
    }
  }
}

function workOf(target: bigint): number {
  return Number(RIGHT_TARGET) / Number(target)
}
