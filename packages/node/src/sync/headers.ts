/**
 * Learning a peer's headers. Owns that nothing is kept of a chain before it has shown enough work (Chain.requiredWork): what is far below is counted in
 * a first pass, and only what has proved its work is fetched again and kept, once it is sure to be the same chain. A peer with a million
 * cheap headers takes some kilobytes, and at most half of the time.
 */
import type { Header } from '@kvchain/core/header'
import type { Chain } from '../chain/chain.js'
import { type ChainNode, locatorOf } from '../chain/headerTree.js'
import type { Fetcher } from '../net/fetcher.js'
import { MAX_HEADERS } from '../net/messages.js'
import { Mutex } from '../runtime/mutex.js'
import type { Log, Runtime } from '../runtime/runtime.js'
import { Commitments, HeaderWalk } from './headerWalk.js'

/** Headers that are held back in the second pass: 32 bits must fit before one is kept. */
const HELD_BACK = 1_024
/** More than this nobody is heard out for. */
const MAX_COUNTED = 20_000_000
/** A peer whose chain did not show enough work, or was another one the second time, is not heard again for so long. */
const PAUSE_MS = 60_000
const MAX_PEERS = 1_000

export interface HeadersDeps {
  readonly runtime: Runtime
  readonly chain: Chain
  readonly fetcher: Fetcher
  readonly log: Log
  readonly signal: AbortSignal
}

export class Headers {
  /** Peers that are not heard for now, until when. */
  private readonly paused = new Map<string, number>()
  /** Counting is done by one after the other, with pauses, so that peers cannot take all of the time. */
  private readonly counting = new Mutex('the counting of headers', MAX_PEERS)

  constructor(private readonly deps: HeadersDeps) {}

  /** Fetches what the peer has beyond our best header, as far as it shows enough work. Throws BlockError at a header that breaks a rule. */
  async follow(peerId: string): Promise<void> {
    const { chain, runtime } = this.deps
    if ((this.paused.get(peerId) ?? 0) > runtime.clock.monotonicMs()) return
    let from = chain.tree.bestHeader
    for (;;) {
      const headers = await this.ask(peerId, locatorOf(from))
      const start = headers[0] && chain.tree.get(headers[0].parent)
      if (start === undefined) return
      const last = this.keep(start, headers) ?? (await this.prove(peerId, start, headers))
      if (last === undefined || last === from || headers.length < MAX_HEADERS) return
      from = last
      this.deps.log.debug({ height: last.header.height, peerId }, 'headers')
      await runtime.timers.yield()
    }
  }

  /** Keeps headers that show enough work by themselves, and returns the last; undefined when they do not. */
  private keep(start: ChainNode, headers: readonly Header[]): ChainNode | undefined {
    const { chain } = this.deps
    // Each must be real before the first is kept: the last could claim any work.
    if (start.chainwork < chain.requiredWork) {
      const walk = this.walkFrom(start)
      for (const header of headers) walk.step(header)
      if (walk.work < chain.requiredWork) return undefined
    }
    return chain.addHeaders(headers)
  }

  /** Both passes. Returns the last header that was kept. */
  private async prove(peerId: string, start: ChainNode, first: readonly Header[]): Promise<ChainNode | undefined> {
    const commitments = new Commitments(this.deps.runtime)
    const isEnough = await this.countFrom(peerId, start, first, commitments)
    const last = isEnough ? await this.keepProven(peerId, start, commitments) : undefined
    if (last === undefined) this.pause(peerId)
    return last
  }

  /** The first pass: whether the chain shows enough work. */
  private async countFrom(
    peerId: string,
    start: ChainNode,
    first: readonly Header[],
    commitments: Commitments,
  ): Promise<boolean> {
    const { chain, log } = this.deps
    const walk = this.walkFrom(start)
    let headers = first
    while (walk.count < MAX_COUNTED) {
      const batch = headers
      await this.inTurn(() => {
        for (const header of batch) commitments.note(walk.count + 1, walk.step(header))
      })
      if (walk.work >= chain.requiredWork) return true
      if (headers.length < MAX_HEADERS) break
      headers = await this.ask(peerId, [walk.lastHash, ...locatorOf(start)])
      if (!walk.isNext(headers[0])) break
    }
    log.debug({ peerId, headers: walk.count }, 'a chain without enough work')
    return false
  }

  /** The second pass: keeps what is the chain of the first one. */
  private async keepProven(peerId: string, start: ChainNode, commitments: Commitments): Promise<ChainNode | undefined> {
    const { chain, log } = this.deps
    const walk = this.walkFrom(start)
    let held: Header[] = []
    let last: ChainNode | undefined
    for (;;) {
      const headers = await this.ask(peerId, [walk.lastHash, ...locatorOf(start)])
      let isSame = walk.isNext(headers[0])
      await this.inTurn(() => {
        for (const header of isSame ? headers : []) {
          isSame = commitments.admits(walk.count + 1, walk.step(header))
          if (!isSame) return
          held.push(header)
          if (walk.work >= chain.requiredWork) return
        }
      })
      if (!isSame) {
        log.debug({ peerId, headers: walk.count }, 'another chain of headers the second time')
        return undefined
      }
      const isEnough = walk.work >= chain.requiredWork
      const sure = isEnough ? held : held.slice(0, Math.max(0, held.length - HELD_BACK))
      held = isEnough ? [] : held.slice(sure.length)
      last = chain.addHeaders(sure) ?? last
      if (isEnough) return last
    }
  }

  private ask(peerId: string, locator: readonly Uint8Array[]): Promise<Header[]> {
    return this.deps.fetcher.headers(peerId, locator, this.deps.signal)
  }

  private walkFrom(start: ChainNode): HeaderWalk {
    const { chain, runtime } = this.deps
    return new HeaderWalk(chain.params, start, () => runtime.clock.nowMs())
  }

  /** Runs work, and rests for as long as it took, before the next one's turn. */
  private inTurn(work: () => void): Promise<void> {
    const { clock, timers } = this.deps.runtime
    return this.counting.run(async () => {
      const startMs = clock.monotonicMs()
      work()
      await timers.sleep(clock.monotonicMs() - startMs, this.deps.signal)
    })
  }

  private pause(peerId: string): void {
    this.paused.delete(peerId)
    this.paused.set(peerId, this.deps.runtime.clock.monotonicMs() + PAUSE_MS)
    const [oldest] = this.paused.keys()
    if (this.paused.size > MAX_PEERS && oldest !== undefined) this.paused.delete(oldest)
  }
}
