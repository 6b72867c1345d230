/** Where a transaction is in its life, and waiting for the next part of it. */
import type { Result } from '@kvchain/client/contract'
import type { Chain } from '../chain/chain.js'
import { Fates } from '../mempool/fates.js'
import { AbortError, BusyError, TimeoutError } from '../runtime/errors.js'
import { hex, unhex } from '../runtime/hex.js'
import { AnswerError } from './answers.js'
import { placeOf, type ReadContext } from './context.js'

export type TxStatus = Result<'tx_status'>

/** Clients that may wait at once. Each is looked at once a block. */
const MAX_WAITING = 50_000
const MAX_REORGED_OUT = 100_000
const DEFAULT_FOLLOW_MS = 30_000

export function readStatus({ reorgedOut, ...context }: StatusContext, txid: string): TxStatus {
  const { chain, mempool } = context
  const location = chain.store.location(unhex(txid))
  if (location !== undefined) {
    const { outcome, height } = location
    return { txid, status: outcome.code === 'ok' ? 'confirmed' : 'failed', ...placeOf(context, height), outcome }
  }
  const last = reorgedOut.of(txid)
  const out = last === undefined ? {} : { reorgedOut: last }
  if (mempool.get(txid) !== undefined) return { txid, status: 'pending', ...out }
  const reason = mempool.fateOf(txid)
  return reason === undefined ? { txid, status: 'unknown', ...out } : { txid, status: 'dropped', reason, ...out }
}

/** What tells one state of a transaction from another. Confirmations do not. */
function stateOf({ status, blockHash, settled, reason, reorgedOut }: TxStatus): string {
  return [status, blockHash ?? reason ?? reorgedOut?.blockHash ?? '', settled === true ? 'settled' : '']
    .join(' ')
    .trim()
}

/** The block that held a transaction until a reorg took it out: the last so many, by what was seen since the start. */
export class ReorgedOut {
  private readonly places = new Fates<{ readonly height: number; readonly blockHash: string }>(MAX_REORGED_OUT)

  constructor(chain: Chain) {
    chain.steps.add(({ kind, node, transactions }) => {
      const place = { height: node.header.height, blockHash: hex(node.hash) }
      for (const { transaction } of transactions) {
        if (kind === 'disconnected') this.places.set(hex(transaction.txid), place)
        else this.places.delete(hex(transaction.txid))
      }
    })
  }

  of(txid: string): { readonly height: number; readonly blockHash: string } | undefined {
    return this.places.get(txid)
  }
}

export interface StatusContext extends ReadContext {
  readonly reorgedOut: ReorgedOut
}

export class TxWaiter {
  private waiting = 0

  constructor(private readonly context: StatusContext) {}

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
    const first = await this.context.chain.steady(() => readStatus(this.context, txid))
    if (first.status === 'unknown') throw new AnswerError('not-found', 'this daemon never heard of the transaction')
    if (isOver(first, confirmations)) return first
    return this.watch(txid, timeoutMs, signal, (status) => isOver(status, confirmations))
  }

  /** Resolves when the state is another than `seen`, or with the same after the time. */
  async follow(
    txid: string,
    seen: string | undefined,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<Result<'tx_follow'>> {
    const first = await this.context.chain.steady(() => readStatus(this.context, txid))
    const status = stateOf(first) === seen ? await this.nextState(first, seen, timeoutMs, signal) : first
    const isFinal = status.settled === true || status.status === 'dropped'
    return { ...status, state: stateOf(status), final: isFinal }
  }

  private async nextState(first: TxStatus, seen: string, timeoutMs: number | undefined, signal: AbortSignal) {
    try {
      const isNew = (status: TxStatus) => stateOf(status) !== seen
      return await this.watch(first.txid, timeoutMs ?? DEFAULT_FOLLOW_MS, signal, isNew)
    } catch (error) {
      if (error instanceof TimeoutError) return readStatus(this.context, first.txid)
      throw error
    }
  }

  private async watch(
    txid: string,
    timeoutMs: number | undefined,
    signal: AbortSignal,
    isEnough: (status: TxStatus) => boolean,
  ): Promise<TxStatus> {
    if (this.waiting >= MAX_WAITING) throw new BusyError('the list of waiting clients', MAX_WAITING)
    const { chain, mempool, runtime } = this.context
    const undo: (() => void)[] = []
    this.waiting++
    return new Promise<TxStatus>((resolve, reject) => {
      const look = () => {
        const status = readStatus(this.context, txid)
        if (isEnough(status)) resolve(status)
      }
      const onAbort = () => reject(new AbortError('waiting for a transaction'))
      undo.push(chain.tips.add(look))
      undo.push(mempool.dropped.add(({ pooled }) => pooled.txid === txid && look()))
      undo.push(mempool.added.add((pooled) => pooled.txid === txid && look()))
      signal.addEventListener('abort', onAbort, { once: true })
      undo.push(() => signal.removeEventListener('abort', onAbort))
      if (timeoutMs !== undefined) {
        const what = 'the confirmation'
        undo.push(runtime.timers.after(timeoutMs, () => reject(new TimeoutError(what, timeoutMs))))
      }
      if (signal.aborted) onAbort()
    }).finally(() => {
      this.waiting--
      for (const step of undo) step()
    })
  }
}

function isOver(status: TxStatus, confirmations: number): boolean {
  if (status.status === 'dropped') return true
  return status.confirmations !== undefined && status.confirmations >= confirmations
}
