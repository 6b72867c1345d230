/**
 * What must hold in a world whatever happens to it. Owns the checks: cheap ones after each event, of the node that it happened to; full ones now and then, of
 * all nodes; and those of a world that has come to rest. Byzantine nodes are not checked.
 */
import { KvError } from '@kvchain/core/errors'
import { type ChainNode, isBetter } from '@kvchain/node/chain/headerTree'
import type { LedgerParts } from '@kvchain/node/ledgerParts'
import { hex, unhex } from '@kvchain/node/runtime/hex'
import { LabError } from '../errors.js'
import { broken, Replay } from './replay.js'
import type { SimNode } from './simNode.js'
import type { World } from './world.js'

/** For so long a node may stay on a tip that is not the best it could have: it may be in the middle of a change. */
const MAX_LAG_MS = 10_000
/** Or for so many synced writes, if its disk is slow: a reorg is one for each block. */
const MAX_LAG_WRITES = 30

export interface CheckOptions {
  /** Events between two full checks. */
  readonly fullEvery: number
}

export class Checks {
  /** How many there were. */
  readonly counts = { cheap: 0, full: 0 }
  private readonly replay: Replay
  private readonly lagSinceMs = new Map<number, number>()
  private left: number

  constructor(
    private readonly world: World,
    private readonly options: CheckOptions,
  ) {
    this.replay = new Replay(world.network, world.genesis)
    this.left = options.fullEvery
    world.onEvent = (owner) => this.onEvent(owner)
  }

  private onEvent(owner: number): void {
    const node = this.world.nodes[owner]
    if (node?.running !== undefined && node.isHonest) this.at(node, () => this.cheap(node))
    if (--this.left > 0) return
    this.left = this.options.fullEvery
    this.full()
  }

  /** Of all honest nodes that run. Throws LabError `lab-broken`. */
  full(): void {
    this.counts.full++
    for (const node of this.world.nodes)
      if (node.running !== undefined && node.isHonest) this.at(node, () => this.whole(node))
  }

  /** Of a world in which faults have ended and everything has come to rest: one tip, and on it every write that was accepted. */
  atRest(): void {
    this.full()
    const [first, ...others] = this.world.nodes.filter(({ isHonest }) => isHonest)
    if (first === undefined) return
    for (const node of others) {
      if (node.tipHash !== first.tipHash) throw this.wrong(node, `its tip is not that of node ${first.index}`)
    }
    const confirmed = this.replay.compare(first.up.ledger)
    for (const [txid, node] of this.world.accepted) {
      if (!confirmed.has(txid)) throw this.wrong(node, `it accepted the write ${txid}, which is lost`)
    }
  }

  private cheap(node: SimNode): void {
    this.counts.cheap++
    const { world } = this
    const [failure] = world.failures
    if (failure !== undefined) {
      throw new LabError('lab-broken', `node ${failure.node}: ${failure.message}`, {}, failure.cause)
    }
    const { ledger, transport } = node.up
    const { mempool, chain } = ledger
    const { poolLimits, maxConnections, diskTimes } = node.options
    if (mempool.size > poolLimits.transactions || mempool.bytes > poolLimits.bytes) this.overfull(ledger)
    if (transport.host.peerIds().length > maxConnections) throw broken('too many connections')
    if (chain.tip.invalid) throw broken('its tip is an invalid block')
    if (!isBetter(chain.tree.bestComplete, chain.tip)) this.lagSinceMs.delete(node.index)
    else {
      const since = this.lagSinceMs.get(node.index) ?? world.nowMs
      this.lagSinceMs.set(node.index, since)
      const maxLagMs = Math.max(MAX_LAG_MS, MAX_LAG_WRITES * diskTimes.maxSyncMs)
      if (world.nowMs - since > maxLagMs) throw broken('it does not follow the best chain that it holds')
    }
  }

  /** Over its bounds a pool holds the node's own transactions alone, come back from a lost branch. */
  private overfull({ mempool }: LedgerParts): void {
    const isOwn = [...mempool.all()].every(({ local }) => local)
    if (!isOwn || mempool.size === 0)
      throw broken(`${mempool.size} transactions of ${mempool.bytes} bytes in the mempool`)
  }

  private whole(node: SimNode): void {
    const { ledger } = node.up
    const { chain } = ledger
    // In the middle of a change disk and memory are of different tips.
    if (chain.isCommitting || this.lagSinceMs.has(node.index)) return
    if (bestHeld(chain.tree.genesis) !== chain.tip) throw broken('its tip is not the best block that it holds')
    const confirmed = this.replay.compare(ledger)
    for (const { transaction } of ledger.mempool.all()) {
      if (confirmed.has(hex(transaction.txid))) throw broken('a confirmed transaction waits in the mempool')
    }
    for (const { hash, by } of this.world.solved) {
      const isWronged = this.world.node(by).isHonest && chain.tree.get(unhex(hash))?.invalid === true
      if (isWronged) throw broken(`it holds the block ${hash} of an honest node to be invalid`)
    }
  }

  private at(node: SimNode, check: () => void): void {
    try {
      check()
    } catch (error) {
      if (error instanceof KvError) throw this.wrong(node, error.message, error)
      throw error
    }
  }

  private wrong(node: SimNode, what: string, cause?: unknown): LabError {
    const { nowMs, options } = this.world
    const message = `seed ${options.seed}, after ${nowMs} ms: node ${node.index}: ${what}`
    return new LabError('lab-broken', message, { node: node.index }, cause)
  }
}

/** The best block whose chain is all held and not known to be invalid, looked for from genesis on. */
function bestHeld(genesis: ChainNode): ChainNode {
  let best = genesis
  const open = [genesis]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.invalid || !node.hasBody) continue
    if (node !== genesis && isBetter(node, best)) best = node
    for (const child of node.children) open.push(child)
  }
  return best
}
