/**
 * Asks other nodes over streams: status, headers, blocks, transactions. Owns the protocol names, time-outs and the decoding of
 * answers; an answer that is no encoding of anything is the peer's violation (CodecError).
 */
import { type Block, decodeBlock } from '@kvchain/core/block'
import { equalBytes } from '@kvchain/core/bytes'
import type { Header } from '@kvchain/core/header'
import { headerHash } from '@kvchain/core/header'
import type { Transaction } from '@kvchain/core/transaction'
import { sha256 } from '../crypto/sodium.js'
import { NetError } from '../runtime/errors.js'
import {
  decodeBlocks,
  decodeHashes,
  decodeHeaders,
  decodePacked,
  decodeStatus,
  encodeBlockTransactionsRequest,
  encodeHashes,
  encodeStatus,
  MAX_BLOCKS,
  MAX_HEADERS,
  MAX_LOCATOR,
  MAX_PACKED,
  MAX_POOL_IDS,
  type Status,
} from './messages.js'
import type { RequestOptions } from './streams/streams.js'

/** Bytes of blocks or transactions that one answer holds at most, one item always allowed. */
export const ANSWER_BYTES = 4 << 20

/** Every request protocol: what it is called, and how large a request may be. */
export const PROTOCOLS = {
  status: { name: 'status', maxRequestBytes: 68 },
  headers: { name: 'headers', maxRequestBytes: 4 + MAX_LOCATOR * 32 },
  blocks: { name: 'blocks', maxRequestBytes: 4 + MAX_BLOCKS * 32 },
  blockTransactions: { name: 'block-transactions', maxRequestBytes: 36 + MAX_PACKED * 4 },
  pool: { name: 'pool', maxRequestBytes: 0 },
  transactions: { name: 'transactions', maxRequestBytes: 4 + MAX_PACKED * 32 },
} as const

const SMALL_TIMEOUT_MS = 5_000
const BULK_TIMEOUT_MS = 20_000

/** What Fetcher needs of the streams. */
export interface FetcherStreams {
  request(peerId: string, name: string, request: Uint8Array, options: RequestOptions): Promise<Uint8Array>
}

export class Fetcher {
  /** @param maxBlockBytes of the network: an answer must have room for one whole block. */
  constructor(
    private readonly streams: FetcherStreams,
    private readonly genesisHash: Uint8Array,
    private readonly maxBlockBytes: number,
  ) {}

  /** Tells our status and learns theirs. */
  async status(peerId: string, own: Status, signal: AbortSignal): Promise<Status> {
    return decodeStatus(await this.ask(peerId, 'status', encodeStatus(own), 68, SMALL_TIMEOUT_MS, signal))
  }

  /** The headers that follow the first of the locator's hashes that the peer has on its main chain. */
  async headers(peerId: string, locator: readonly Uint8Array[], signal: AbortSignal): Promise<Header[]> {
    const limit = 4 + MAX_HEADERS * 184
    return decodeHeaders(await this.ask(peerId, 'headers', encodeHashes(locator), limit, SMALL_TIMEOUT_MS, signal))
  }

  /**
   * Blocks by hash, in the order of asking; undefined for one that the peer lacks, and the list may end early. A block that is not
   * the one asked for is the peer's violation.
   */
  async blocks(
    peerId: string,
    hashes: readonly Uint8Array[],
    signal: AbortSignal,
    timeoutMs = BULK_TIMEOUT_MS,
  ): Promise<(Block | undefined)[]> {
    const answer = await this.bulk(peerId, 'blocks', encodeHashes(hashes), signal, timeoutMs)
    return decodeBlocks(answer).map((bytes, i) => {
      if (bytes === undefined) return undefined
      const block = decodeBlock(bytes, sha256, this.genesisHash)
      const wanted = hashes[i]
      if (wanted === undefined || !equalBytes(headerHash(sha256, block.header), wanted)) {
        throw new NetError('net-response', 'another block than the one that was asked for', {
          peerId,
          status: 'unasked',
        })
      }
      return block
    })
  }

  /**
   * The transactions of a block at these places, in that order; fewer when the peer lacks the block. NetError `net-limit` when they are more than a
   * block may hold.
   */
  async blockTransactions(
    peerId: string,
    hash: Uint8Array,
    indexes: readonly number[],
    signal: AbortSignal,
  ): Promise<Transaction[]> {
    const found: Transaction[] = []
    let bytes = 0
    while (found.length < indexes.length) {
      const request = encodeBlockTransactionsRequest({
        hash,
        indexes: indexes.slice(found.length, found.length + MAX_PACKED),
      })
      const answer = await this.bulk(peerId, 'blockTransactions', request, signal)
      const transactions = decodePacked(answer, sha256, this.genesisHash)
      if (transactions.length === 0) break
      bytes += answer.length
      if (bytes > this.maxBlockBytes) throw new NetError('net-limit', 'more transactions than a block may hold')
      found.push(...transactions)
    }
    return found
  }

  /** The txids that wait in the peer's mempool, the newest so many. */
  async poolIds(peerId: string, signal: AbortSignal): Promise<Uint8Array[]> {
    const limit = 4 + MAX_POOL_IDS * 32
    const answer = await this.ask(peerId, 'pool', new Uint8Array(0), limit, SMALL_TIMEOUT_MS, signal)
    return decodeHashes(answer, MAX_POOL_IDS)
  }

  /** Transactions of the peer's mempool by txid: those that it still has, as far as fits. */
  async transactions(peerId: string, txids: readonly Uint8Array[], signal: AbortSignal): Promise<Transaction[]> {
    const answer = await this.bulk(peerId, 'transactions', encodeHashes(txids), signal)
    return decodePacked(answer, sha256, this.genesisHash)
  }

  private bulk(
    peerId: string,
    protocol: keyof typeof PROTOCOLS,
    request: Uint8Array,
    signal: AbortSignal,
    timeoutMs = BULK_TIMEOUT_MS,
  ): Promise<Uint8Array> {
    const limit = ANSWER_BYTES + this.maxBlockBytes + 1024
    return this.ask(peerId, protocol, request, limit, timeoutMs, signal)
  }

  private ask(
    peerId: string,
    protocol: keyof typeof PROTOCOLS,
    request: Uint8Array,
    maxResponseBytes: number,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    return this.streams.request(peerId, PROTOCOLS[protocol].name, request, { maxResponseBytes, timeoutMs, signal })
  }
}
