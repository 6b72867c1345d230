/** Ways of being byzantine, each as hooks of byzantine.ts. docs/simulator.md says of each what it does and what holds in spite of it. */
import { decodeBlock, encodeBlock } from '@kvchain/core/block'
import { equalBytes } from '@kvchain/core/bytes'
import { decodeHeader, HEADER_BYTES, type Header } from '@kvchain/core/header'
import type { ChainNode } from '@kvchain/node/chain/headerTree'
import { sha256 } from '@kvchain/node/crypto/sodium'
import type { Template } from '@kvchain/node/miner/template'
import { decodeBlocks, decodeStatus, encodeBlocks, encodeHeaders, encodeStatus } from '@kvchain/node/net/messages'
import type { Byzantine, ForgedBlock, Seat } from './byzantine.js'

const everybody = () => true

/** Announces blocks with transactions of its own that nobody else has, and answers nobody who asks for what is in them. */
export function withholder(): Byzantine {
  const silent = ['blocks', 'block-transactions', 'transactions', 'pool']
  return {
    name: 'withholder',
    tells: ({ topic }) => topic === 'blocks',
    answer: ({ name }, truth) => (silent.includes(name) ? undefined : truth),
  }
}

/** Solves two blocks on the same parent, and tells one half of the nodes of the one, the other half of the other. */
export function equivocator(): Byzantine {
  const sibling = ({ header, transactions }: Template, rest: number): ForgedBlock => ({
    header: { ...header, timestampMs: header.timestampMs + rest },
    transactions,
    isFor: (index) => index % 2 === rest,
    isKept: true,
  })
  return { name: 'equivocator', forge: (template) => [sibling(template, 0), sibling(template, 1)] }
}

/** Claims a chain of immense work, and answers who asks for it with headers that lead nowhere and blocks of other content. */
export function liar(): Byzantine {
  return {
    name: 'liar',
    answer: ({ name }, truth) => {
      if (name === 'status') {
        const status = decodeStatus(truth)
        return encodeStatus({ ...status, tipHash: sha256(status.tipHash), chainwork: status.chainwork << 64n })
      }
      if (name === 'headers') return encodeHeaders([])
      if (name !== 'blocks') return truth
      return encodeBlocks(decodeBlocks(truth).map((bytes) => bytes && emptied(bytes)))
    },
  }
}

/** The block without its transactions: no longer what its header says, unless it had none. */
function emptied(bytes: Uint8Array): Uint8Array {
  const { header } = decodeBlock(bytes, sha256, new Uint8Array(32))
  return encodeBlock({ header, transactions: [] })
}

/** Does the work for blocks that claim another state than their transactions make. */
export function rootForger(): Byzantine {
  return {
    name: 'root forger',
    forge: ({ header, transactions }) => [
      { header: { ...header, stateRoot: sha256(header.stateRoot) }, transactions, isFor: everybody, isKept: false },
    ],
  }
}

/** Does the work for blocks from the past and from a future that is too far away, in turn. */
export function timeForger(): Byzantine {
  let isPast = false
  return {
    name: 'time forger',
    forge: ({ parent, header, transactions }) => {
      isPast = !isPast
      const timestampMs = isPast ? parent.header.timestampMs : header.timestampMs + 3_600_000
      return [{ header: { ...header, timestampMs }, transactions, isFor: everybody, isKept: false }]
    },
  }
}

/** Takes no transaction of others into its blocks, and passes none on. */
export function censor(): Byzantine {
  return {
    name: 'censor',
    receives: ({ topic }) => topic !== 'transactions',
    asks: (name) => name !== 'pool',
    answer: ({ name }, truth) => (name === 'transactions' ? undefined : truth),
  }
}

/**
 * Selfish mining (Eyal and Sirer's SM1): keeps what it solves to itself, and shows as much of it as makes the work of the others vain. At a tie the nodes of the
 * others follow the lower hash, so that half of all ties are won: gamma is one half.
 */
export class SelfishMiner implements Byzantine {
  readonly name = 'selfish'
  private seat: Seat | undefined
  /** Solved and not shown, lowest first. */
  private hidden: ChainNode[] = []
  /** Shown against a block of the same height, and not decided yet. */
  private isTied = false

  begin(seat: Seat): void {
    this.seat = seat
    this.hidden = []
    this.isTied = false
  }

  announces(block: ChainNode): boolean {
    if (this.isTied) {
      this.isTied = false
      return true
    }
    this.hidden.push(block)
    return false
  }

  receives({ topic, data }: { readonly topic: string; readonly data: Uint8Array }): boolean {
    const { seat } = this
    if (topic !== 'blocks' || seat === undefined) return true
    const header = headerOf(data)
    const { tip, tree } = seat.chain
    const lead = tip.header.height - header.height
    if (lead < 0) {
      this.hidden = []
      this.isTied = false
      return true
    }
    if (this.hidden.length === 0) return !this.isTied
    // Of an older branch, or of its own passed on by others.
    if (tree.get(header.parent) === tip || equalBytes(header.miner, tip.header.miner)) return true
    if (lead === 0) this.isTied = true
    const shown = lead <= 1 ? this.hidden : this.hidden.filter((block) => block.header.height <= header.height)
    this.hidden = this.hidden.filter((block) => !shown.includes(block))
    for (const block of shown) seat.announce(block)
    return false
  }

  /** Whoever asks while something is hidden would be told of it. */
  asks(): boolean {
    return this.hidden.length === 0 && !this.isTied
  }

  answer({ name }: { readonly name: string }, truth: Uint8Array): Uint8Array | undefined {
    return this.hidden.length > 0 && (name === 'status' || name === 'headers') ? undefined : truth
  }
}

/** The header that an announcement begins with. */
function headerOf(data: Uint8Array): Header {
  return decodeHeader(data.subarray(0, HEADER_BYTES))
}

/** All of them, for drawing one by lot. */
export const BEHAVIOURS: readonly (() => Byzantine)[] = [
  withholder,
  equivocator,
  liar,
  rootForger,
  timeForger,
  censor,
  () => new SelfishMiner(),
]
