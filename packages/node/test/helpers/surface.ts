/** What a client may ask of a TestLedger: the real handlers, put together as the node puts them. Account 1 is the daemon's. */
import type { Handlers } from '@kvchain/client/contract'
import { ReorgWatch } from '@kvchain/node/chain/reorgWatch'
import { chainHandlers } from '@kvchain/node/rpc/chainHandlers'
import { kvHandlers } from '@kvchain/node/rpc/kvHandlers'
import { ReorgedOut, TxWaiter } from '@kvchain/node/rpc/txStatus'
import { Watcher } from '@kvchain/node/rpc/watcher'
import { Writer } from '@kvchain/node/rpc/writer'
import { ReorgLog } from '@kvchain/node/store/reorgLog'
import { account, type TestLedger } from './ledger.js'

export const never: { readonly signal: AbortSignal } = { signal: new AbortController().signal }

export type Surface = Pick<
  Handlers,
  keyof ReturnType<typeof kvHandlers> | keyof ReturnType<typeof chainHandlers> | 'kv_watch'
>

/** `reorgs` must be stopped. */
export async function surfaceOf(made: TestLedger): Promise<{ rpc: Surface; reorgs: ReorgWatch }> {
  const { chain, mempool, runtime, network, own, database } = made
  const { params, policy } = network
  const context = { chain, mempool, runtime, prefix: params.addressPrefix, settleDepth: policy.settleDepth }
  const status = { ...context, reorgedOut: new ReorgedOut(chain) }
  const writer = new Writer({ chain, own, account: account(1) })
  const reorgLog = new ReorgLog(database)
  const reorgs = new ReorgWatch({ alarmDepth: 2 }, { runtime, chain, reorgLog })
  await reorgs.start()
  const watcher = new Watcher(context)
  const rpc = {
    ...kvHandlers(context, writer),
    ...chainHandlers(status, writer, new TxWaiter(status), reorgLog),
    kv_watch: (params: Parameters<Handlers['kv_watch']>[0], { signal } = never) => watcher.watch(params, signal),
  }
  return { rpc, reorgs }
}
