/** Answers other nodes: status, headers by locator, blocks, transactions. Reads only; every answer is bounded in items and bytes. */
import { encodeBlock } from '@kvchain/core/block'
import type { Transaction } from '@kvchain/core/transaction'
import type { Chain } from '../chain/chain.js'
import type { Mempool } from '../mempool/mempool.js'
import { hex } from '../runtime/hex.js'
import type { BlocksInHand } from './blocksInHand.js'
import { ANSWER_BYTES, PROTOCOLS } from './fetcher.js'
import {
  decodeBlockTransactionsRequest,
  decodeHashes,
  decodeStatus,
  encodeBlocks,
  encodeHashes,
  encodeHeaders,
  encodePacked,
  encodeStatus,
  MAX_BLOCKS,
  MAX_HEADERS,
  MAX_LOCATOR,
  MAX_PACKED,
  MAX_POOL_IDS,
  type Status,
  takeWithin,
} from './messages.js'
import type { HandleOptions, RequestHandler } from './streams/streams.js'

/** As many of one kind as there are places: what leaves room for others is that nobody holds as many as are free. */
const LIMITS = { maxConcurrent: 64, maxPerPeer: 8, timeoutMs: 20_000 } as const
/** The whole mempool is looked at for it, and no peer asks for it twice. */
const POOL_COST = 4

/** What serveSync needs of the streams. */
export interface ServerStreams {
  handle(name: string, options: HandleOptions, handler: RequestHandler): Promise<void>
}

export interface SyncServerDeps {
  readonly chain: Chain
  readonly mempool: Mempool
  readonly inHand: BlocksInHand
  readonly streams: ServerStreams
  /** A peer told its status while asking for ours. */
  readonly onStatus: (peerId: string, status: Status) => void
}

/** What this node says of its chain. */
export function ownStatus(chain: Chain): Status {
  const { hash, header, chainwork } = chain.tip
  return { tipHash: hash, height: header.height, chainwork }
}

/** Registers every protocol. They are served for as long as `streams` runs. */
export async function serveSync(deps: SyncServerDeps): Promise<void> {
  const { chain, mempool, streams, inHand } = deps
  const serve = (protocol: keyof typeof PROTOCOLS, handler: RequestHandler) =>
    streams.handle(
      PROTOCOLS[protocol].name,
      {
        ...LIMITS,
        maxRequestBytes: PROTOCOLS[protocol].maxRequestBytes,
        ...(protocol === 'pool' && { cost: POOL_COST }),
      },
      handler,
    )

  await serve('status', async (request, from) => {
    deps.onStatus(from, decodeStatus(request))
    return encodeStatus(ownStatus(chain))
  })
  await serve('headers', async (request) => encodeHeaders(headersAfter(chain, decodeHashes(request, MAX_LOCATOR))))
  await serve('blocks', async (request) => encodeBlocks(blocksFor(deps, decodeHashes(request, MAX_BLOCKS))))
  await serve('blockTransactions', async (request) => {
    const { hash, indexes } = decodeBlockTransactionsRequest(request)
    const body = inHand.get(hash)?.transactions ?? chain.store.body(hash) ?? []
    const wanted = indexes.map((index) => body[index]?.transaction).filter((transaction) => transaction !== undefined)
    return encodePacked(takeWithin(withValues(chain, wanted), ANSWER_BYTES, MAX_PACKED))
  })
  await serve('pool', async () => {
    const txids = [...mempool.all()].slice(-MAX_POOL_IDS).map(({ transaction }) => transaction.txid)
    return encodeHashes(txids)
  })
  await serve('transactions', async (request) => {
    const pooled = decodeHashes(request, MAX_PACKED).map((txid) => mempool.get(hex(txid))?.transaction)
    const found = pooled.filter((transaction) => transaction !== undefined)
    return encodePacked(takeWithin(found, ANSWER_BYTES, MAX_PACKED))
  })
}

function* withValues(chain: Chain, transactions: readonly Transaction[]): Generator<Transaction> {
  for (const transaction of transactions) {
    yield transaction.values === undefined ? chain.store.withValues(transaction) : transaction
  }
}

/** The headers that follow the first known hash of the locator on our main chain. */
function headersAfter(chain: Chain, locator: readonly Uint8Array[]) {
  let start = 0
  for (const hash of locator) {
    const node = chain.tree.get(hash)
    if (node === undefined || !chain.isMain(node)) continue
    start = node.header.height
    break
  }
  const headers = []
  for (let height = start + 1; headers.length < MAX_HEADERS; height++) {
    const node = chain.nodeAt(height)
    if (node === undefined) break
    headers.push(node.header)
  }
  return headers
}

function blocksFor({ chain, inHand }: SyncServerDeps, hashes: readonly Uint8Array[]): (Uint8Array | undefined)[] {
  const blocks: (Uint8Array | undefined)[] = []
  let bytes = 0
  for (const hash of hashes) {
    if (bytes >= ANSWER_BYTES) break
    const header = chain.tree.get(hash)?.header
    const transactions = inHand.get(hash)?.transactions ?? chain.store.bodyWithValues(hash)
    const block = header && transactions && encodeBlock({ header, transactions })
    blocks.push(block)
    bytes += block?.length ?? 0
  }
  return blocks
}
