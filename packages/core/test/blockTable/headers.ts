/** Rows on headers: bytes, work, height, target, timestamp. */

import { encodeBlock } from '@kvchain/core/block'
import { fromBigInt, toBigInt, ZERO_32 } from '@kvchain/core/bytes'
import { headerHash } from '@kvchain/core/header'
import { hex, sha256 } from '../helpers.js'
import { EASIEST_TARGET, INTERVAL_MS, MAX_FUTURE_MS, nowMs, TableChain, tableChain } from './chain.js'
import { flipped, patched, type Row, Rows } from './rows.js'

/** Offsets in a header. */
const AT = { timestamp: 40, nonce: 176 } as const

export function headerRows(chain: TableChain): Row[] {
  return [...bytesOf(chain), ...placeOf(chain), ...targetOf(chain), ...timeOf(chain), ...easiest(), ...beginning()]
}

function bytesOf(chain: TableChain): Row[] {
  const good = chain.bytes()
  return new Rows(chain)
    .good('Header', 'no transactions')
    .good('3.1', 'a miner that is no key', { header: { miner: new Uint8Array(32).fill(0xff) } })
    .bad('Header', 'version 0', patched(good, 0, 0, 0, 0, 0), 'codec-tag')
    .bad('Header', 'version 2', patched(good, 0, 0, 0, 0, 2), 'codec-tag')
    .bad('1.1', 'version 1, its bytes the other way round', patched(good, 0, 1, 0, 0, 0), 'codec-tag')
    .bad('Header', 'a timestamp of 2^53', patched(good, AT.timestamp, 0, 0x20, 0, 0, 0, 0, 0, 0), 'codec-integer')
    .bad('Header', 'a nonce of 2^53', patched(good, AT.nonce, 0, 0x20, 0, 0, 0, 0, 0, 0), 'codec-integer')
    .bad('1.3', 'a version and a nonce that are wrong', patched(patched(good, 0, 9), AT.nonce, 0xff), 'codec-tag').list
}

function placeOf(chain: TableChain): Row[] {
  const height = chain.height + 1
  return new Rows(chain)
    .good('5.2', 'a hash that meets the target')
    .bad('5.2', 'a hash above the target', { meetsTarget: false }, 'block-pow')
    .bad('7.2', 'a hash above the target, by the last bytes read as the first', mirrored(chain), 'block-pow')
    .good('5.3', 'one higher than the parent')
    .bad('5.3', 'as high as the parent', { header: { height: height - 1 } }, 'block-height')
    .bad('5.3', 'two higher than the parent', { header: { height: height + 1 } }, 'block-height')
    .bad('5.3', 'the highest that there is', { header: { height: 2 ** 32 - 1 } }, 'block-height').list
}

/** A block whose hash meets the target only when it is read from its end. */
function mirrored(chain: TableChain): Uint8Array {
  let { nonce } = chain.make({ meetsTarget: false }).header
  for (;;) {
    nonce++
    const block = chain.make({ header: { nonce }, meetsTarget: false })
    const hash = headerHash(sha256, block.header)
    if (toBigInt(hash.reverse()) <= toBigInt(chain.dueTarget)) return encodeBlock(block)
    nonce = block.header.nonce
  }
}

function targetOf(chain: TableChain): Row[] {
  const due = chain.dueTarget
  const parents = chain.tip.target
  return new Rows(chain)
    .good('5.4', 'the target that is due, which is not the parent’s')
    .bad('5.4', 'a bit of the target', { header: { target: flipped(due, 16, 0x10) } }, 'block-target')
    .bad('5.4', 'easier by one', { header: { target: fromBigInt(toBigInt(due) + 1n) } }, 'block-target')
    .bad('5.4', 'harder by one', { header: { target: fromBigInt(toBigInt(due) - 1n) } }, 'block-target')
    .bad('5.4', 'the parent’s', { header: { target: parents } }, 'block-target')
    .bad('5.4', 'the easiest', { header: { target: hex(EASIEST_TARGET) } }, 'block-target')
    .bad('5.1', 'the hardest but none', patched(chain.bytes(), 48, ...ZERO_32), 'block-target').list
}

function timeOf(chain: TableChain): Row[] {
  const parent = chain.tip.timestampMs
  const last = nowMs(chain) + MAX_FUTURE_MS
  return new Rows(chain)
    .good('5.5', 'a millisecond after the parent', { header: { timestampMs: parent + 1 } })
    .bad('5.5', 'when the parent was', { header: { timestampMs: parent } }, 'block-time-old')
    .bad('5.5', 'a millisecond before the parent', { header: { timestampMs: parent - 1 } }, 'block-time-old')
    .bad('5.5', 'in 1970', { header: { timestampMs: 0 } }, 'block-time-old')
    .good('5.6', 'as far ahead of the clock as may be', { header: { timestampMs: last } })
    .bad('5.6', 'a millisecond further', { header: { timestampMs: last + 1 } }, 'block-time-future')
    .bad('5.6', 'the end of time', { header: { timestampMs: 2 ** 53 - 1 } }, 'block-time-future').list
}

/** After blocks that took so long that the next target would be easier than any may be. */
function easiest(): Row[] {
  const chain = tableChain(60 * INTERVAL_MS)
    .extend([], 60 * INTERVAL_MS)
    .extend([], 60 * INTERVAL_MS)
  const target = hex(EASIEST_TARGET)
  return new Rows(chain)
    .good('5.1', 'the easiest target, when it is due', { header: { target } })
    .bad('5.1', 'easier than the easiest', { header: { target: fromBigInt(toBigInt(target) + 1n) } }, 'block-target')
    .bad(
      '5.1',
      'the easiest that can be written',
      { header: { target: new Uint8Array(32).fill(0xff) } },
      'block-target',
    ).list
}

/** Heights 1 to 3, where the rule for targets begins. */
function beginning(): Row[] {
  const chains = [0, 1, 2].map((height) => {
    const chain = new TableChain()
    for (let i = 0; i < height; i++) chain.extend([], 3 * INTERVAL_MS)
    return chain
  })
  return chains.flatMap((chain) => {
    const clause = '7.5'
    const wrong = flipped(chain.dueTarget, 31, 2)
    return new Rows(chain)
      .good(clause, `the target at height ${chain.height + 1}`)
      .bad(clause, `another target at height ${chain.height + 1}`, { header: { target: wrong } }, 'block-target').list
  })
}
