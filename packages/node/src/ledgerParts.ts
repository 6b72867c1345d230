/**
 * How database, chain, mempool and own transactions hang together, whatever the database is kept in: the mempool reads the chain and follows it
 * through the awaited hook. Owns no behaviour, and starts nothing.
 */
import type { Genesis } from '@kvchain/core/genesis'
import type { Network } from '@kvchain/core/params'
import { Chain } from './chain/chain.js'
import type { SignatureVerifier } from './crypto/verifyPool.js'
import { Mempool, type PoolLimits } from './mempool/mempool.js'
import { type KeptLimits, OwnTransactions } from './mempool/ownTransactions.js'
import type { Runtime } from './runtime/runtime.js'
import { ChainStore } from './store/chainStore.js'
import type { Database } from './store/database.js'
import { Journal } from './store/journal.js'
import { DEFAULT_TREE_CACHE_BYTES } from './store/treeStore.js'

export interface LedgerPartsOptions {
  readonly network: Network
  readonly genesis: Genesis
  /** Memory for pages of the state tree. */
  readonly treeCacheBytes?: number
  /** Of the mempool; its own when left out. */
  readonly poolLimits?: PoolLimits
  /** Of settled transactions of clients; OwnTransactions' own when left out. */
  readonly kept?: KeptLimits
}

export interface LedgerPartsDeps {
  readonly runtime: Runtime
  /** Started before the parts. */
  readonly database: Database
  readonly verifier: SignatureVerifier
  /** A commit failed: disk and memory may disagree. */
  readonly onFatal: (error: unknown) => void
}

export interface LedgerParts {
  readonly database: Database
  readonly store: ChainStore
  readonly chain: Chain
  readonly mempool: Mempool
  readonly own: OwnTransactions
}

/** The parts of a ledger, not started: `database`, `chain` and `own` are, in this order. */
export function composeLedger(options: LedgerPartsOptions, deps: LedgerPartsDeps): LedgerParts {
  const { network, genesis, treeCacheBytes: cacheBytes = DEFAULT_TREE_CACHE_BYTES, poolLimits, kept } = options
  const { runtime, database, verifier, onFatal } = deps
  const store = new ChainStore(database, genesis, runtime.log.child({ module: 'store' }), { cacheBytes })
  // The mempool reads the chain and follows it; the chain knows neither it nor the clients' transactions.
  const chain: Chain = new Chain(network, genesis, {
    runtime,
    store,
    verifier,
    isVerified: (transaction) => mempool.isVerified(transaction),
    afterCommit: async (step) => {
      mempool.onStep(step)
      own.onStep(step)
    },
    onFatal,
  })
  const mempool: Mempool = new Mempool({
    runtime,
    params: network.params,
    verifier,
    isOwn: (txid) => own.has(txid),
    ...(poolLimits === undefined ? {} : { limits: poolLimits }),
    state: {
      get height() {
        return chain.tip.header.height
      },
      account: (publicKey) => store.account(publicKey),
      isConfirmed: (txid) => store.isIndexed(txid),
    },
  })
  const own: OwnTransactions = new OwnTransactions({
    runtime,
    mempool,
    journal: new Journal(database, genesis.hash),
    settleDepth: network.policy.settleDepth,
    ...(kept === undefined ? {} : { kept }),
    tipHeight: () => chain.tip.header.height,
    location: (txid) => store.location(txid),
  })
  return { database, store, chain, mempool, own }
}
