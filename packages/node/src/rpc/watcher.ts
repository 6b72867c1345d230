/**
 * Watching keys. Owns what a cursor means and which events lie between it and the tip; keeps nothing of any watcher, so that a watch goes on after a
 * restart of either side. A cursor names a block and how far settling was told; the events are those of the way from there to the tip, the
 * blocks that a reorg took away first. Whole blocks are told, never parts.
 */
import type { Params, Result } from '@kvchain/client/contract'
import { toAddress } from '@kvchain/core/address'
import { equalBytes } from '@kvchain/core/bytes'
import { changesOf, type KeyChange } from '../chain/changes.js'
import { type ChainNode, findForkPoint, pathBetween } from '../chain/headerTree.js'
import { AbortError, BusyError } from '../runtime/errors.js'
import { hex, unhex } from '../runtime/hex.js'
import { AnswerError } from './answers.js'
import { invalid, keyText, parseKeyPart, type ReadContext, tipRef, valueText } from './context.js'

type WatchParams = Params<'kv_watch'>
type KvEvent = Result<'kv_watch'>['events'][number]

/** Where a watch has got to. */
interface Position {
  readonly node: ChainNode
  /** The settling of versions was told up to this height. */
  readonly settled: number
}

const DEFAULT_TIMEOUT_MS = 30_000
const MAX_WATCHING = 1_000
/** Blocks that one answer looks at; with nothing in them it is an answer without events. */
const MAX_BLOCKS = 500
/** An answer ends with the block in which it has grown to so many bytes, values included; values beyond are left out. */
const MAX_BYTES = 1 << 20
const EVENT_BYTES = 400
const CURSOR = /^(\d{1,10})\.([0-9a-f]{64})$/

export class Watcher {
  private watching = 0

  constructor(private readonly context: ReadContext) {}

  /** Resolves when there is something to tell, or after the time that the caller gives it. */
  async watch(params: WatchParams, signal: AbortSignal): Promise<Result<'kv_watch'>> {
    if (this.watching >= MAX_WATCHING) throw new BusyError('the list of watches', MAX_WATCHING)
    this.watching++
    try {
      return await this.follow(params, signal)
    } finally {
      this.watching--
    }
  }

  private async follow(params: WatchParams, signal: AbortSignal): Promise<Result<'kv_watch'>> {
    const { chain, runtime } = this.context
    const isWanted = wantedKeys(params)
    await chain.consistent()
    let position = this.begin(params)
    const deadline = runtime.clock.monotonicMs() + (params.timeoutMs ?? DEFAULT_TIMEOUT_MS)
    for (;;) {
      const tip = chain.tip
      const page = new EventPage(this.context, params)
      position = await this.advance(position, tip, isWanted, page)
      const leftMs = deadline - runtime.clock.monotonicMs()
      if (page.events.length > 0 || position.node !== tip || leftMs <= 0) {
        return { events: page.events, cursor: cursorText(position), tip: tipRef(chain) }
      }
      await this.nextTip(tip, leftMs, signal)
    }
  }

  private begin({ cursor, fromHeight }: WatchParams): Position {
    const { chain } = this.context
    if (cursor !== undefined && fromHeight !== undefined) throw invalid('cursor', 'and fromHeight exclude each other')
    if (cursor !== undefined) {
      const [, settled, hash] = CURSOR.exec(cursor) ?? []
      if (settled === undefined || hash === undefined) throw invalid('cursor', 'is not one of this method')
      const node = chain.tree.get(unhex(hash))
      if (node === undefined) {
        throw new AnswerError('not-found', 'this daemon does not know the block of the cursor; begin anew', { hash })
      }
      return { node, settled: Number(settled) }
    }
    const height = fromHeight === undefined ? chain.tip.header.height : fromHeight - 1
    const node = chain.nodeAt(height)
    if (node === undefined) throw new AnswerError('not-found', `no block has the height ${height}`, { height })
    return { node, settled: Math.min(height, this.settledAt(height)) }
  }

  /** The height up to which blocks are settled when the tip is at `height`. */
  private settledAt(height: number): number {
    return Math.max(0, height - this.context.settleDepth + 1)
  }

  /** Goes towards the tip, to a page's end at most. The chain must not be changing while it begins. */
  private async advance(
    from: Position,
    tip: ChainNode,
    isWanted: (key: Uint8Array) => boolean,
    page: EventPage,
  ): Promise<Position> {
    const { chain, runtime } = this.context
    const fork = findForkPoint(from.node, tip)
    let position = from
    if (fork !== from.node) {
      const lost = pathBetween(fork, from.node)
      const changes = (await changesOf(chain.store, fork, lost, isWanted)) ?? lost.map(() => [])
      await chain.consistent()
      if (!chain.isMain(fork)) return from
      for (const [i, node] of [...lost.entries()].reverse()) page.retract(node, [...(changes[i] ?? [])].reverse())
      position = { node: fork, settled: Math.min(position.settled, fork.header.height) }
    }
    const path = pathBetween(fork, tip)
    for (const node of path.slice(0, MAX_BLOCKS)) {
      const parent = node.parent ?? node
      const [made] = (await changesOf(chain.store, parent, [node], isWanted)) ?? []
      await chain.consistent()
      // What was read may be of another branch by now: this block is told when the watch goes on.
      if (!chain.isMain(node) || made === undefined) return position
      page.tell(node, made)
      const settled = await this.settle(position.settled, node, isWanted, page)
      position = { node, settled }
      if (page.isFull) return position
      await runtime.timers.yield()
    }
    return position
  }

  private async settle(
    from: number,
    tip: ChainNode,
    isWanted: (key: Uint8Array) => boolean,
    page: EventPage,
  ): Promise<number> {
    const { chain } = this.context
    const to = this.settledAt(tip.header.height)
    for (let height = from + 1; height <= to && page.wantsSettled; height++) {
      const node = chain.nodeAt(height)
      const [made] = (node?.parent && (await changesOf(chain.store, node.parent, [node], isWanted))) ?? []
      if (node !== undefined && made !== undefined) page.settle(node, made)
    }
    return Math.max(from, to)
  }

  private nextTip(tip: ChainNode, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { chain, runtime } = this.context
    const undo: (() => void)[] = []
    return new Promise<void>((resolve, reject) => {
      const onAbort = () => reject(new AbortError('watching'))
      undo.push(chain.tips.add(() => resolve()))
      undo.push(runtime.timers.after(timeoutMs, resolve))
      signal.addEventListener('abort', onAbort, { once: true })
      undo.push(() => signal.removeEventListener('abort', onAbort))
      if (signal.aborted) onAbort()
      if (chain.tip !== tip) resolve()
    }).finally(() => {
      for (const step of undo) step()
    })
  }
}

/** The events of one answer. */
class EventPage {
  readonly events: KvEvent[] = []
  private bytes = 0

  constructor(
    private readonly context: ReadContext,
    private readonly params: WatchParams,
  ) {}

  get isFull(): boolean {
    return this.bytes >= MAX_BYTES
  }

  get wantsSettled(): boolean {
    return this.params.settled === true
  }

  tell(node: ChainNode, changes: readonly KeyChange[]): void {
    for (const change of changes) this.events.push(this.text(change.kind, node, change))
  }

  retract(node: ChainNode, changes: readonly KeyChange[]): void {
    for (const change of changes) this.events.push(this.text('retracted', node, change))
  }

  settle(node: ChainNode, changes: readonly KeyChange[]): void {
    for (const change of changes) this.events.push(this.text('settled', node, change))
  }

  private text(kind: KvEvent['kind'], { header, hash }: ChainNode, change: KeyChange): KvEvent {
    const { chain, prefix } = this.context
    const { key, version, txid, author, valueDigest, valueLength } = change
    this.bytes += EVENT_BYTES
    const isWithValue = kind === 'put' && valueDigest !== undefined && this.params.values !== false && !this.isFull
    const value = isWithValue ? chain.store.value(valueDigest) : undefined
    this.bytes += value?.length ?? 0
    return {
      kind,
      ...keyText(key, this.params.keyEncoding),
      version,
      ...(value === undefined ? {} : textOf(value)),
      ...(valueDigest === undefined || kind !== 'put' ? {} : { valueDigest: hex(valueDigest), valueLength }),
      author: toAddress(author, prefix),
      txid: hex(txid),
      height: header.height,
      blockHash: hex(hash),
    }
  }
}

function textOf(bytes: Uint8Array): Pick<KvEvent, 'value' | 'encoding'> {
  const { value, encoding } = valueText(bytes)
  return value === null ? {} : { value, encoding }
}

function cursorText({ node, settled }: Position): string {
  return `${settled}.${hex(node.hash)}`
}

function wantedKeys({ key, prefix, keyEncoding }: WatchParams): (key: Uint8Array) => boolean {
  if (key !== undefined && prefix !== undefined) throw invalid('key', 'and prefix exclude each other')
  const wanted = parseKeyPart(key === undefined ? 'prefix' : 'key', key ?? prefix ?? '', keyEncoding)
  if (key !== undefined) return (other) => equalBytes(other, wanted)
  return (other) => equalBytes(other.subarray(0, wanted.length), wanted)
}
