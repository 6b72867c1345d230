/**
 * Can a confirmed block be taken back? One race at a time: honest miners extend the public branch; an attacker with a share of the hash
 * rate extends a private one from the same parent, with whatever timestamps suit him, and wins once the victim's block has its
 * confirmations and the private branch more work. Both start level, and a tie does not win. With a target that never moves that is a gambler
 * of known luck (0.95 % for a tenth of the hash rate and 2 confirmations, 8.91 % for three tenths and 6; the ties more if they
 * win, which is Rosenfeld's table).
 */
import { Chain, RIGHT_TARGET, type World } from './chain.js'
import { Random } from './random.js'
import { honest, type Strategy } from './strategies.js'

const STREAM = 7
/** Blocks before the race, so that the targets are as scattered as they always are. */
const WARM_UP_BLOCKS = 30
/** Behind by so many of his own next blocks the attacker gives up, */
const HOPELESS = 15
/** and when the public branch has grown by so many blocks beyond what anybody asks about. */
const PATIENCE_BLOCKS = 150

export interface Race {
  readonly share: number
  /** How long nobody mined before the race began. */
  readonly sleepMs: number
  readonly strategy: Strategy
  /** The most confirmations that are asked about. */
  readonly most: number
}

/** The most confirmations, up to `race.most`, that this attacker took back: 0 if none. He would have taken back any fewer as well. */
export function deepestReversal(world: World, seed: number, race: Race): number {
  const random = new Random(seed, STREAM)
  const open = new Chain(world, random)
  for (let i = 0; i < WARM_UP_BLOCKS; i++) open.mine({ hashRate: 1 })
  open.sleep(race.sleepMs)
  const hidden = new Chain(world, random, open.history.clone(), open.nowMs)
  const work = { open: 0, hidden: 0 }
  let confirmations = 0
  let deepest = 0
  while (deepest < race.most && confirmations < race.most + PATIENCE_BLOCKS) {
    const next = workOf(hidden.target)
    if (work.hidden > work.open) deepest = confirmations
    else if (confirmations > 0 && work.open - work.hidden > HOPELESS * next) break
    // Each side's next block is a draw without memory, so it may be drawn anew whenever the other side has found one.
    const honestMs = open.draw(1 - race.share)
    const hiddenMs = hidden.draw(race.share)
    if (honestMs <= hiddenMs) {
      work.open += workOf(open.target)
      open.find(honestMs, honest, { hashRate: 1 - race.share })
      hidden.sleep(honestMs)
      confirmations++
    } else {
      work.hidden += next
      hidden.find(hiddenMs, race.strategy, { hashRate: race.share, share: 1 })
      open.sleep(hiddenMs)
    }
  }
  return Math.min(deepest, race.most)
}

function workOf(target: bigint): number {
  return Number(RIGHT_TARGET) / Number(target)
}
