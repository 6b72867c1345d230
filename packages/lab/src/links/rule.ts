/**
 * What a link does to the bytes that pass over it, and the dice that decide. A link is one direction between two nodes; TCP hides
 * loss, so what a lost segment costs here is the time until it is sent again.
 */
import { Random } from '../difficulty/random.js'
import { LabError } from '../errors.js'

export interface LinkRule {
  /** One way, on average. */
  readonly delayMs: number
  /** Each segment takes up to so much less or more. */
  readonly jitterMs: number
  /** Share of segments that are lost, 0 to below 1. */
  readonly loss: number
  /** How long it takes until a lost segment is sent again; twice as long when it is lost again, and so on. */
  readonly resendMs: number
  /** Over all connections of the link together. */
  readonly bytesPerSecond: number
}

/** Nothing in the way. 200 ms is the least that an operating system waits before it sends a segment again. */
export const FREE_LINK: LinkRule = {
  delayMs: 0,
  jitterMs: 0,
  loss: 0,
  resendMs: 200,
  bytesPerSecond: Number.POSITIVE_INFINITY,
}

/** Payload of a segment on Ethernet. */
export const SEGMENT_BYTES = 1_448
/** More losses in a row than this a segment does not suffer. */
const MAX_LOSSES = 6

/** The rule with these changes. LabError `lab-options` when it makes no sense. */
export function changedRule(rule: LinkRule, changes: Partial<LinkRule>): LinkRule {
  const changed = { ...rule, ...changes }
  const { delayMs, jitterMs, loss, resendMs, bytesPerSecond } = changed
  const isSane =
    delayMs >= 0 && jitterMs >= 0 && jitterMs <= delayMs && loss >= 0 && loss < 1 && resendMs > 0 && bytesPerSecond > 0
  if (!isSane) throw new LabError('lab-options', 'no link can be like that', { ...changed })
  return changed
}

/**
 * The dice of one direction of one connection. What they say depends on the seed, the stream and the place of a segment among the bytes,
 * and on nothing else: not on when the bytes come, nor in what pieces.
 */
export class Dice {
  private readonly random: Random
  /** Bytes until the next segment begins. */
  private untilSegment = 0

  /** `stream` keeps the dice of different connections apart. */
  constructor(seed: number, stream: number) {
    this.random = new Random(seed, stream)
  }

  /** How long the next `length` bytes take, without the time that the line needs to send them: as long as the slowest of their segments. */
  delayMs(length: number, rule: LinkRule): number {
    let slowest = rule.delayMs - rule.jitterMs
    for (; this.untilSegment < length; this.untilSegment += SEGMENT_BYTES) {
      // Two draws for each segment, whatever the rule: so a change of the rule does not shift the draws that follow.
      const jitter = (2 * this.random.uniform() - 1) * rule.jitterMs
      slowest = Math.max(slowest, rule.delayMs + jitter + resendsMs(this.random.uniform(), rule))
    }
    this.untilSegment -= length
    return slowest
  }
}

function resendsMs(draw: number, { loss, resendMs }: LinkRule): number {
  let waitMs = 0
  let chance = loss
  for (let losses = 0; draw < chance && losses < MAX_LOSSES; losses++) {
    waitMs += resendMs * 2 ** losses
    chance *= loss
  }
  return waitMs
}
