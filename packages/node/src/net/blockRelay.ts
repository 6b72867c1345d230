/**
 * Blocks over gossip: announcing them, and rebuilding announced ones from what is here and what is asked for. Owns the order: header, its place in
 * the chain, then the bytes, then the message is passed on, then the block is executed. Whoever passes a block on answers for what it
 * has looked at, the header and the bytes, and for nothing that only signatures and execution show.
 */
import type { Block, IncludedTransaction } from '@kvchain/core/block'
import { equalBytes } from '@kvchain/core/bytes'
import { BlockError, checkBody, checkHeader } from '@kvchain/core/checks'
import { OK } from '@kvchain/core/outcome'
import { targetWork } from '@kvchain/core/pow'
import type { Transaction } from '@kvchain/core/transaction'
import type { Chain } from '../chain/chain.js'
import type { ChainNode } from '../chain/headerTree.js'
import { sha256 } from '../crypto/sodium.js'
import { NetError } from '../runtime/errors.js'
import { hex } from '../runtime/hex.js'
import type { Log, Runtime } from '../runtime/runtime.js'
import { type Announcement, decodeAnnouncement, encodeAnnouncement, SALT_BYTES, shortIdsOf } from './announcement.js'
import type { BlocksInHand } from './blocksInHand.js'
import type { Fetcher } from './fetcher.js'
import type { GossipVerdict } from './gossip.js'
import { askInTurn } from './hedge.js'
import { MAX_GOSSIP_BYTES } from './messages.js'

/** Announcements of one block that are worked on at a time: the first to come may be from a peer that does not answer. */
const MAX_PER_BLOCK = 3
/** A peer that has not answered for so long gets company: others are asked too. A guess: several round trips between continents. */
const HEDGE_MS = 500
/** Peers that are asked for one block's transactions, the announcer among them. */
const MAX_ASKED = 4
/** Connected blocks whose transactions a rival block will mostly hold too. */
const RECENT_BLOCKS = 2
/** In the place of an index: more than one transaction has this short id. */
const CLASH = -1

export interface BlockRelayDeps {
  readonly runtime: Runtime
  readonly chain: Chain
  readonly fetcher: Fetcher
  readonly inHand: BlocksInHand
  readonly peerIds: () => string[]
  /** Transactions that may stand in a block and are not confirmed. */
  readonly pooled: () => Iterable<Transaction>
  /** A peer answered with what breaks a rule. */
  readonly onBad: (peerId: string, error: unknown) => void
  /** A peer's announcement was not its block's. */
  readonly onMisfit: (peerId: string) => void
  /** This peer knows a block whose parent we lack. */
  readonly onBehind: (peerId: string) => void
}

/** Told the hash of a block once that may be passed on. */
type OnChecked = (hash: Uint8Array) => void

export class BlockRelay {
  /** Announcements being worked on, by block. */
  private readonly open = new Map<string, number>()
  private readonly recent: (readonly IncludedTransaction[])[] = []

  constructor(
    private readonly deps: BlockRelayDeps,
    private readonly log: Log,
    private readonly signal: AbortSignal,
  ) {}

  /** The bytes that tell others of a block of the chain. `untold`: transactions that were not told of yet. */
  announcementOf(node: ChainNode, untold: Iterable<Transaction>): Uint8Array | undefined {
    const { chain, runtime } = this.deps
    const transactions = chain.store.body(node.hash)
    if (transactions === undefined) return undefined
    const salt = runtime.random.bytes(SALT_BYTES)
    return encodeAnnouncement(sha256, { header: node.header, transactions }, salt, untold, MAX_GOSSIP_BYTES)
  }

  /** Follows the chain. */
  onConnected(transactions: readonly IncludedTransaction[]): void {
    this.recent.push(transactions)
    if (this.recent.length > RECENT_BLOCKS) this.recent.shift()
  }

  /**
   * Takes an announced block in. `onChecked` is called once it may be passed on; what is found wrong after that is nobody's fault that we know. Before
   * that, throws BlockError or CodecError for what is the announcer's fault, and failures of the network. Resolves to the verdict otherwise.
   */
  async receive(data: Uint8Array, from: string, onChecked: OnChecked): Promise<GossipVerdict> {
    const { chain } = this.deps
    const announcement = decodeAnnouncement(data, sha256, chain.genesis.hash)
    const { header } = announcement
    const hash = checkHeader(chain.params, sha256, header)
    const known = chain.tree.get(hash)
    // Others pass it on before they have executed it, or its parent: so they cannot be blamed for what we found then.
    if (known?.hasBody === true || known?.invalid === true) return 'ignore'
    const parent = chain.tree.get(header.parent)
    if (parent?.invalid === true) return 'ignore'
    if (parent === undefined) {
      this.deps.onBehind(from)
      return 'ignore'
    }
    // Cheap blocks on an old one: neither kept nor passed on.
    if (parent.chainwork + targetWork(header.target) < chain.requiredWork) return 'ignore'
    const id = hex(hash)
    const working = this.open.get(id) ?? 0
    if (working >= MAX_PER_BLOCK || this.deps.inHand.get(hash) !== undefined) return 'ignore'
    this.open.set(id, working + 1)
    try {
      chain.addHeaders([header])
      return await this.takeIn(announcement, hash, from, onChecked)
    } finally {
      const left = (this.open.get(id) ?? 1) - 1
      if (left > 0) this.open.set(id, left)
      else this.open.delete(id)
    }
  }

  /** Rebuilds the block and adds it. When the bytes are not the header's, which a clash of short ids may do, fetches it whole. */
  private async takeIn(
    announcement: Announcement,
    hash: Uint8Array,
    from: string,
    onChecked: OnChecked,
  ): Promise<GossipVerdict> {
    const { header, shortIds } = announcement
    const rebuilt = { header, transactions: await this.rebuild(announcement, hash, from) }
    try {
      return await this.add(rebuilt, hash, from, onChecked)
    } catch (error) {
      if (!(error instanceof BlockError && error.code === 'block-mutated')) throw error
    }
    const isNamed = shortIds.length > 0
    this.log.debug({ hash: hex(hash), from, isNamed }, 'fetching an announced block whole')
    const { block, peerId } = await this.ask(from, (asked, signal) => this.fetchWhole(asked, hash, signal))
    const verdict = await this.add(block, hash, peerId, isNamed ? () => {} : onChecked)
    if (!isNamed) return verdict
    // The block is good, what was told of it was not: others shall not be told the same.
    this.deps.onMisfit(from)
    return 'ignore'
  }

  private async fetchWhole(peerId: string, hash: Uint8Array, signal: AbortSignal) {
    const [block] = await this.deps.fetcher.blocks(peerId, [hash], signal)
    if (block === undefined) throw new NetError('net-response', 'the peer does not have the block', { peerId })
    checkBody(this.deps.chain.params, sha256, block)
    return { block, peerId }
  }

  private async rebuild(announcement: Announcement, hash: Uint8Array, from: string): Promise<IncludedTransaction[]> {
    const { maxTransactions } = this.deps.chain.params
    const { shortIds, failures } = announcement
    if (shortIds.length > maxTransactions) {
      const text = `an announcement of ${shortIds.length} transactions; at most ${maxTransactions}`
      throw new BlockError('block-mutated', text)
    }
    const shortIdOf = shortIdsOf(sha256, announcement.header, announcement.salt)
    const found = this.find(announcement, shortIdOf)
    const missing = [...found.keys()].filter((index) => found[index] === undefined)
    if (missing.length > 0) {
      this.log.debug({ hash: hex(hash), missing: missing.length, of: found.length }, 'fetching what a block lacks')
      const fetched = await this.ask(from, async (peerId, signal) => {
        const transactions = await this.deps.fetcher.blockTransactions(peerId, hash, missing, signal)
        if (transactions.length < missing.length) {
          throw new NetError('net-response', 'the peer does not have the block', { peerId })
        }
        const isOther = (transaction: Transaction, i: number) => shortIdOf(transaction) !== shortIds[missing[i] ?? -1]
        if (transactions.some(isOther))
          throw new BlockError('block-mutated', 'not the transactions that were asked for')
        return transactions
      })
      for (const [i, index] of missing.entries()) found[index] = fetched[i]
    }
    return found.flatMap((transaction, index) =>
      transaction === undefined ? [] : [{ transaction, outcome: failures.get(index) ?? OK }],
    )
  }

  /** The transactions of an announcement that are here, each in its place. Of two that share a short id neither is taken. */
  private find(
    { shortIds, prefilled }: Announcement,
    shortIdOf: (transaction: Transaction) => number,
  ): (Transaction | undefined)[] {
    const found = shortIds.map((_, index) => prefilled.get(index))
    const places = new Map<number, number>()
    for (const [index, id] of shortIds.entries()) places.set(id, places.has(id) ? CLASH : index)
    for (const transaction of this.candidates()) {
      const id = shortIdOf(transaction)
      const place = places.get(id)
      if (place === undefined || place === CLASH || prefilled.has(place)) continue
      const other = found[place]
      const isClash = other !== undefined && !equalBytes(other.txid, transaction.txid)
      found[place] = isClash ? undefined : transaction
      if (isClash) places.set(id, CLASH)
    }
    return found
  }

  private *candidates(): Generator<Transaction> {
    yield* this.deps.pooled()
    for (const transactions of this.recent) for (const { transaction } of transactions) yield transaction
  }

  /** The first good answer of the announcer and, when that is slow, of others. */
  private ask<T>(from: string, work: (peerId: string, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { runtime, peerIds } = this.deps
    const others = peerIds().filter((peerId) => peerId !== from)
    const first = runtime.random.below(others.length)
    const peers = [from, ...others.slice(first), ...others.slice(0, first)].slice(0, MAX_ASKED)
    return askInTurn(peers, work, { runtime, hedgeMs: HEDGE_MS, signal: this.signal, onBad: this.deps.onBad })
  }

  /** Adds a block to the chain, unless that is under way. Whatever is found after `onChecked` is not held against anybody. */
  private async add(block: Block, hash: Uint8Array, from: string, onChecked: OnChecked): Promise<GossipVerdict> {
    const { chain, inHand } = this.deps
    if (inHand.get(hash) !== undefined) return 'ignore'
    let isChecked = false
    try {
      const result = await chain.addBlock(block, from, {
        onChecked: () => {
          isChecked = true
          inHand.add(hash, block)
          onChecked(hash)
        },
      })
      return result === 'known' ? 'ignore' : 'accept'
    } catch (error) {
      if (!isChecked || !(error instanceof BlockError)) throw error
      this.log.debug({ code: error.code, hash: hex(hash), from }, 'a block was passed on that is not valid')
      return 'ignore'
    } finally {
      if (isChecked) inHand.delete(hash)
    }
  }
}
