/** Where a transaction is in its life, and waiting for the next part of it. */
import type { Result } from '@kvchain/client/contract'
import { AbortError, BusyError, TimeoutError } from '../runtime/errors.js'
import { unhex } from '../runtime/hex.js'
import { AnswerError } from './answers.js'
import { placeOf, type ReadContext } from './context.js'

export type TxStatus = Result<'tx_status'>

/** Clients that may wait at once. Each is looked at once a block. */
const MAX_WAITING = 50_000

export function readStatus(context: ReadContext, txid: string): TxStatus {
  const { chain, mempool } = context
  const location = chain.store.location(unhex(txid))
  if (location !== undefined) {
    const { outcome, height } = location
    return { txid, status: outcome.code === 'ok' ? 'confirmed' : 'failed', ...placeOf(context, height), outcome }
  }
  if (mempool.get(txid) !== undefined) return { txid, status: 'pending' }
  const reason = mempool.fateOf(txid)
  return reason === undefined ? { txid, status: 'unknown' } : { txid, status: 'dropped', reason }
}

export class TxWaiter {
  private waiting = 0

  constructor(private readonly context: ReadContext) {}

  /** Whether somebody waits for blocks to come. */
  get isAwaited(): boolean {
    return this.waiting > 0
  }

  /** Resolves when the transaction has its confirmations, or can never have them. */
  async wait(
    txid: string,
    confirmations: number,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<TxStatus> {
    if (this.waiting >= MAX_WAITING) throw new BusyError('the list of waiting clients', MAX_WAITING)
    await this.context.chain.consistent()
    const first = readStatus(this.context, txid)
    if (first.status === 'unknown') throw new AnswerError('not-found', 'this daemon never heard of the transaction')
    if (isOver(first, confirmations)) return first
    this.waiting++
    try {
      return await this.watch(txid, confirmations, timeoutMs, signal)
    } finally {
      this.waiting--
    }
  }

  private watch(
    txid: string,
    confirmations: number,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<TxStatus> {
    const { chain, mempool, runtime } = this.context
    const undo: (() => void)[] = []
    return new Promise<TxStatus>((resolve, reject) => {
      const look = () => {
        const status = readStatus(this.context, txid)
        if (isOver(status, confirmations)) resolve(status)
      }
      const onAbort = () => reject(new AbortError('waiting for a transaction'))
      undo.push(chain.tips.add(look))
      undo.push(mempool.dropped.add(({ pooled }) => pooled.txid === txid && look()))
      signal.addEventListener('abort', onAbort, { once: true })
      undo.push(() => signal.removeEventListener('abort', onAbort))
      if (timeoutMs !== undefined) {
        const what = 'the confirmation'
        undo.push(runtime.timers.after(timeoutMs, () => reject(new TimeoutError(what, timeoutMs))))
      }
      if (signal.aborted) onAbort()
    }).finally(() => {
      for (const step of undo) step()
    })
  }
}

function isOver(status: TxStatus, confirmations: number): boolean {
  if (status.status === 'dropped') return true
  return status.confirmations !== undefined && status.confirmations >= confirmations
}
