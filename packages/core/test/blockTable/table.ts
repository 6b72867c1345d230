/**
 * The block table: blocks for the tip of a small chain, good ones at the limit of each rule and bad ones just beyond it, each broken in
 * one field, with what becomes of it. Made anew by each run; numbers of the protocol are written there again, not imported.
 */
import { bytesRows } from './bytes.js'
import { tableChain } from './chain.js'
import { headerRows } from './headers.js'
import type { Row } from './rows.js'
import { signatureRows } from './signatures.js'
import { stateRows } from './state.js'
import { transactionRows } from './transactions.js'

export function blockTable(): Row[] {
  const chain = tableChain()
  return [headerRows, bytesRows, transactionRows, signatureRows, stateRows].flatMap((rows) => rows(chain))
}
