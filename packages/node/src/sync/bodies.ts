/**
 * Fetching the bodies of the best chain of headers, from several peers at once, and handing them to the chain in order. Owns the window: which
 * blocks are asked for, here, or with the chain. Fetching, checking of signatures and connecting overlap; each is bounded.
 */
import { type Block, blockSize } from '@kvchain/core/block'
import { BlockError } from '@kvchain/core/checks'
import type { Chain } from '../chain/chain.js'
import { type ChainNode, isBetter } from '../chain/headerTree.js'
import type { Fetcher } from '../net/fetcher.js'
import { AbortError } from '../runtime/errors.js'
import type { Runtime } from '../runtime/runtime.js'
import { type BlameDeps, blaming, type Ending } from './blame.js'
import { Sources } from './sources.js'

/** Blocks from the first that is missing up to the last that is asked for. */
const WINDOW_BLOCKS = 1_024
/** Bytes of blocks that wait for an earlier one. Beyond, only what they wait for is asked for. */
const MAX_READY_BYTES = 32 << 20
/** With the chain at a time, where they wait for the threads that verify: enough to keep those busy while one block is connected. */
const MAX_ADDING = 128
const MAX_ADDING_TRANSACTIONS = 16_384
/** How often peers that were left alone are looked at again. */
const LOOK_MS = 250
/** Blocks this close to the goal are on disk before the chain goes on. */
const DURABLE_LAST = 64
/** And one in so many of the others: what a loss of power costs is fetched again. */
const DURABLE_EVERY = 1_024

export interface BodiesDeps extends BlameDeps {
  readonly runtime: Runtime
  readonly chain: Chain
  readonly fetcher: Fetcher
  readonly peerIds: () => string[]
  readonly signal: AbortSignal
  /** Runs work in the background; a stop waits for it. */
  readonly track: (what: string, work: () => Promise<void>) => void
  /** Told whenever a block has joined the chain. */
  readonly onProgress: () => void
}

interface Fetched {
  readonly block: Block
  readonly peerId: string
  readonly bytes: number
}

export class Bodies {
  readonly sources: Sources
  /** From the first block that was not stored when it was made, up to the goal. */
  private path: ChainNode[] = []
  /** In `path`: all before it are stored or with the chain. */
  private next = 0
  /** In `path`: all before it are besides asked for, or here. */
  private unasked = 0
  private readonly asked = new Set<ChainNode>()
  private readonly ready = new Map<ChainNode, Fetched>()
  private readyBytes = 0
  private readonly adding = new Set<ChainNode>()
  private addingTransactions = 0
  /** When the block that was handed to the chain last is through. */
  private turn: Promise<unknown> = Promise.resolve()
  private isWoken = false
  private wake: () => void = () => {}

  constructor(private readonly deps: BodiesDeps) {
    this.sources = new Sources(deps.runtime.clock, deps.peerIds)
    deps.signal.addEventListener('abort', () => this.signalChange())
  }

  /** Resolves when nothing better than the tip is known. */
  async run(): Promise<void> {
    for (;;) {
      this.findPath()
      this.handOver()
      if (this.next >= this.path.length && this.adding.size === 0) break
      this.assign()
      await this.change()
    }
    this.path = []
    this.next = 0
    this.unasked = 0
  }

  /** The way to the best header, when that has changed. */
  private findPath(): void {
    const { tree, tip } = this.deps.chain
    const goal = tree.bestHeader
    const last = this.path.at(-1)
    if (goal === last) return
    const added: ChainNode[] = []
    if (isBetter(goal, tip)) {
      for (let at: ChainNode | undefined = goal; at && at !== last && !at.complete; at = at.parent) added.push(at)
    }
    added.reverse()
    if (last !== undefined && added[0]?.parent === last) {
      for (const node of added) this.path.push(node)
      return
    }
    this.path = added
    this.restart()
    const onPath = new Set(added)
    for (const node of this.ready.keys()) if (!onPath.has(node)) this.take(node)
  }

  /** Looks at the whole path again: something that was asked for or handed over did not come through. */
  private restart(): void {
    this.next = 0
    this.unasked = 0
  }

  private handOver(): void {
    // Many at a time: a message to a thread costs as much as ten signatures.
    if (this.adding.size > MAX_ADDING / 2 || this.addingTransactions > MAX_ADDING_TRANSACTIONS / 2) return
    for (let node = this.path[this.next]; node !== undefined; node = this.path[++this.next]) {
      if (node.hasBody || this.adding.has(node)) continue
      const isFull = this.adding.size >= MAX_ADDING || this.addingTransactions >= MAX_ADDING_TRANSACTIONS
      if (isFull || !this.ready.has(node)) return
      const fetched = this.take(node)
      if (fetched !== undefined) this.add(node, fetched)
    }
  }

  private take(node: ChainNode): Fetched | undefined {
    const fetched = this.ready.get(node)
    this.ready.delete(node)
    this.readyBytes -= fetched?.bytes ?? 0
    return fetched
  }

  private add(node: ChainNode, { block, peerId }: Fetched): void {
    const { chain, track } = this.deps
    const count = block.transactions.length
    const left = this.path.length - this.next
    const durable = left <= DURABLE_LAST || node.header.height % DURABLE_EVERY === 0
    const after = this.turn
    this.adding.add(node)
    this.addingTransactions += count
    const work = this.blaming(peerId, async () => {
      try {
        await chain.addBlock(block, peerId, { after, durable })
      } catch (error) {
        // Found with an ancestor, by no fault of whoever had this one.
        const isHeir = error instanceof BlockError && HEIR_CODES.includes(error.code)
        if (!isHeir) throw error
      }
    })
    this.turn = work.catch(() => {})
    track('a block', async () => {
      try {
        const ending = await work
        if (ending === 'violation') this.shun(peerId)
        if (ending !== 'done') this.restart()
      } finally {
        this.adding.delete(node)
        this.addingTransactions -= count
        this.signalChange()
      }
      this.deps.onProgress()
    })
  }

  /** A peer told what is not true: whatever else it told is not looked at. */
  private shun(peerId: string): void {
    this.sources.shun(peerId)
    for (const [node, fetched] of this.ready) if (fetched.peerId === peerId) this.take(node)
  }

  /** Gives the lowest blocks that nobody was asked for to peers that are free. */
  private assign(): void {
    this.unasked = Math.max(this.unasked, this.next)
    for (let peer = this.sources.next(); peer !== undefined; peer = this.sources.next()) {
      const batch = this.nextBatch(peer.batch)
      if (batch.length === 0) return
      this.fetch(peer.peerId, batch)
    }
  }

  private nextBatch(limit: number): ChainNode[] {
    const batch: ChainNode[] = []
    const end = Math.min(this.path.length, this.next + WINDOW_BLOCKS)
    for (; this.unasked < end && batch.length < limit; this.unasked++) {
      const node = this.path[this.unasked]
      if (node === undefined || node.hasBody) continue
      if (this.adding.has(node) || this.ready.has(node) || this.asked.has(node)) continue
      if (this.readyBytes >= MAX_READY_BYTES && this.unasked > this.next) break
      batch.push(node)
    }
    return batch
  }

  private fetch(peerId: string, batch: readonly ChainNode[]): void {
    const { fetcher, signal, track } = this.deps
    const { sources } = this
    for (const node of batch) this.asked.add(node)
    const stallMs = sources.begin(peerId)
    track('bodies', async () => {
      let came = 0
      let ending: Ending = 'failed'
      try {
        ending = await this.blaming(peerId, async () => {
          const hashes = batch.map(({ hash }) => hash)
          const answer = await fetcher.blocks(peerId, hashes, signal, stallMs)
          for (const [i, block] of answer.entries()) {
            const node = batch[i]
            if (block === undefined || node === undefined) continue
            came++
            const bytes = blockSize(block)
            this.ready.set(node, { block, peerId, bytes })
            this.readyBytes += bytes
          }
        })
      } finally {
        for (const node of batch) this.asked.delete(node)
        sources.end(peerId, ending, came, batch.length, stallMs)
        if (came < batch.length) this.unasked = this.next
        this.signalChange()
      }
    })
  }

  private blaming(peerId: string, work: () => Promise<void>): Promise<Ending> {
    return blaming(this.deps, peerId, work)
  }

  private signalChange(): void {
    this.isWoken = true
    this.wake()
  }

  /** Resolves when something came or went, and now and then. */
  private async change(): Promise<void> {
    const { runtime, signal } = this.deps
    if (!this.isWoken) {
      let cancelTimer = () => {}
      await new Promise<void>((resolve) => {
        this.wake = resolve
        cancelTimer = runtime.timers.after(LOOK_MS, resolve)
      })
      cancelTimer()
    }
    this.isWoken = false
    if (signal.aborted) throw new AbortError('catching up')
  }
}

const HEIR_CODES: readonly string[] = ['block-known-invalid', 'block-invalid-ancestor']
