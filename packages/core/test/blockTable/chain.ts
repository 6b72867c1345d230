/**
 * A small chain that the block table stands on, and blocks made for its tip, each as good as its maker does not spoil it. Every number that
 * the protocol or this network fixes is written here again on purpose: should one change in core, the table must notice. Owns no expectation.
 */
import { toAddress } from '@kvchain/core/address'
import { type Block, encodeBlock, type IncludedTransaction, transactionRoot } from '@kvchain/core/block'
import { fromBigInt, toBigInt, toHex } from '@kvchain/core/bytes'
import { accountDigest, accountPath, entryDigest, entryPath } from '@kvchain/core/entry'
import { KvError } from '@kvchain/core/errors'
import { type Genesis, makeGenesis } from '@kvchain/core/genesis'
import { type Header, headerHash } from '@kvchain/core/header'
import { type Network, parseNetwork } from '@kvchain/core/params'
import {
  executeBlock,
  included,
  MapState,
  makeTransaction,
  mine,
  put,
  remove,
  type Step,
  sha256,
  type Terms,
  type TestAccount,
  testAccount,
} from '../helpers.js'
import { modelRoot } from '../treeModel.js'

export const INTERVAL_MS = 2_000
export const WINDOW_BLOCKS = 10
export const CLAMP_BLOCKS = 6
export const MAX_FUTURE_MS = 10_000
export const MAX_VALUE_BYTES = 1_000
export const MAX_TRANSACTION_BYTES = 8_000
export const MAX_BLOCK_BYTES = 12_000
export const MAX_TRANSACTIONS = 5
export const FEE_PER_BYTE = 1
export const REWARD = 50
export const EASIEST_TARGET = `3f${'f'.repeat(62)}`
const INITIAL_TARGET = `1f${'f'.repeat(62)}`
const GENESIS_MS = 1_767_225_600_000
const PREFIX = 'kvt'

/** Bytes of a transaction besides its operations: body up to their count, count, signature, flag. */
export const TRANSACTION_FRAME_BYTES = 1 + 32 + 8 + 8 + 4 + 4 + 64 + 1
/** Bytes of a put besides its key and value: tag, key length, expectation `any`, value length, digest, access `keep`. */
export const PUT_FRAME_BYTES = 1 + 4 + 1 + 4 + 32 + 1

export const alice = testAccount('alice')
export const bob = testAccount('bob')
export const carol = testAccount('carol')
/** Holds no more than what he can pay in fees. */
export const dave = testAccount('dave')
export const DAVES_COINS = 5_000
export const miner = testAccount('miner')
const RICH = 1_000_000

/** Accounts that hold coins, and whose every signature is refused: 1 is of small order, 2 is the y of no point. */
export const smallOrder: Uint8Array = new Uint8Array(32).fill(1, 0, 1)
export const noPoint: Uint8Array = new Uint8Array(32).fill(2, 0, 1)

export const network: Network = parseNetwork({
  name: 'table',
  consensus: {
    addressPrefix: PREFIX,
    proofOfWork: 'sha256',
    genesisTimestampMs: GENESIS_MS,
    blockIntervalMs: INTERVAL_MS,
    targetRule: 'relative-exponential',
    initialTarget: INITIAL_TARGET,
    easiestTarget: EASIEST_TARGET,
    targetWindowBlocks: WINDOW_BLOCKS,
    solveTimeClampBlocks: CLAMP_BLOCKS,
    maxFutureMs: MAX_FUTURE_MS,
    maxValueBytes: MAX_VALUE_BYTES,
    maxTransactionBytes: MAX_TRANSACTION_BYTES,
    maxBlockBytes: MAX_BLOCK_BYTES,
    maxTransactions: MAX_TRANSACTIONS,
    minFeePerByte: FEE_PER_BYTE,
    blockReward: REWARD,
    allocations: [
      [alice.publicKey, RICH] as const,
      [bob.publicKey, RICH] as const,
      [carol.publicKey, RICH] as const,
      [dave.publicKey, DAVES_COINS] as const,
      [smallOrder, RICH] as const,
      [noPoint, RICH] as const,
    ].map(([publicKey, amount]) => ({ address: toAddress(publicKey, PREFIX), amount })),
  },
  policy: { mining: 'pending', settleDepth: 6, listen: [], bootstrap: [] },
})

/** A key in an account's namespace. */
export function ownKey(account: TestAccount, rest: string, prefix: string = PREFIX): string {
  return `@${toAddress(account.publicKey, prefix)}/${rest}`
}

/** protocol.md section 7, steps 1 to 6, from the page. */
function targetRule(parent: Header, grandparent: Header): bigint {
  const [interval, clamp] = [BigInt(INTERVAL_MS), BigInt(CLAMP_BLOCKS * INTERVAL_MS)]
  let solve = BigInt(parent.timestampMs - grandparent.timestampMs)
  if (solve > clamp) solve = clamp
  if (solve < -clamp) solve = -clamp
  const e = floorDivide((solve - interval) * 65_536n, BigInt(WINDOW_BLOCKS) * interval)
  const s = floorDivide(e, 65_536n)
  const x = e - s * 65_536n
  const f = 65_536n + (195_766_423_245_049n * x + 971_821_376n * x ** 2n + 5_127n * x ** 3n + 2n ** 47n) / 2n ** 48n
  const product = toBigInt(parent.target) * f
  const t = s > 16n ? product * 2n ** (s - 16n) : product / 2n ** (16n - s)
  const easiest = BigInt(`0x${EASIEST_TARGET}`)
  return t < 1n ? 1n : t > easiest ? easiest : t
}

function floorDivide(a: bigint, b: bigint): bigint {
  return a >= 0n ? a / b : -((-a + b - 1n) / b)
}

/** What a block is made of. What is left out is as it should be. */
export interface Draft {
  readonly transactions?: readonly IncludedTransaction[]
  readonly header?: Partial<Header>
  /** Changes the state that the state root stands for, after execution. */
  readonly tamper?: (state: MapState) => void
  /** False: a hash that does not meet the target. */
  readonly meetsTarget?: boolean
}

/** A branch from genesis on. */
export class TableChain {
  readonly genesis: Genesis = makeGenesis(sha256, network)
  readonly blocks: Block[] = []
  state = new MapState()

  constructor() {
    for (const account of this.genesis.accounts) this.state.accounts.set(toHex(account.publicKey), account)
  }

  get tip(): Header {
    return this.headerAt(this.height)
  }

  get height(): number {
    return this.blocks.length
  }

  headerAt(height: number): Header {
    return this.blocks[height - 1]?.header ?? this.genesis.header
  }

  /** The target that is due for the next block. */
  get dueTarget(): Uint8Array {
    if (this.height < 2) return fromBigInt(BigInt(`0x${INITIAL_TARGET}`))
    return fromBigInt(targetRule(this.tip, this.headerAt(this.height - 1)))
  }

  /** A transaction with the next account nonce and exactly the fee that is due. */
  transaction(sender: TestAccount, steps: readonly Step[], terms: Terms = {}) {
    const nonce = this.state.account(sender.publicKey).nonce
    const all = { nonce, genesis: this.genesis.hash, ...terms }
    const { bodyBytes, values } = makeTransaction(sender, steps, all)
    const bytes = bodyBytes.length + 65 + (values ?? []).reduce((sum, value) => sum + value.length, 0)
    return makeTransaction(sender, steps, { fee: bytes * FEE_PER_BYTE, ...all })
  }

  /** The next block, with its work. */
  make(draft: Draft = {}): Block {
    const transactions = draft.transactions ?? []
    const header: Header = {
      parent: headerHash(sha256, this.tip),
      height: this.height + 1,
      timestampMs: this.tip.timestampMs + INTERVAL_MS,
      target: this.dueTarget,
      txRoot: transactionRoot(sha256, transactions),
      miner: miner.publicKey,
      nonce: 0,
      ...draft.header,
      stateRoot: draft.header?.stateRoot ?? rootOf(this.after(draft)),
    }
    return { header: mine(header, draft.meetsTarget), transactions }
  }

  /** Its bytes. */
  bytes(draft: Draft = {}): Uint8Array {
    return encodeBlock(this.make(draft))
  }

  extend(transactions: readonly IncludedTransaction[], solveMs: number): this {
    const draft = { transactions, header: { timestampMs: this.tip.timestampMs + solveMs } }
    const block = this.make(draft)
    this.state = this.after(draft)
    this.blocks.push(block)
    return this
  }

  /** The state after a draft; where its transactions may not be included, the state before. */
  private after({ transactions = [], tamper, header }: Draft): MapState {
    const state = this.state.copy()
    const list = transactions.map(({ transaction }) => transaction)
    try {
      const block = { height: this.height + 1, miner: header?.miner ?? miner.publicKey, transactions: list }
      state.commit(executeBlock(state, network.params, block).changes)
    } catch (error) {
      if (!(error instanceof KvError)) throw error
    }
    tamper?.(state)
    return state
  }
}

function rootOf(state: MapState): Uint8Array {
  const pairs = [
    ...[...state.entries.values()].map((entry) => [entryPath(sha256, entry.key), entryDigest(sha256, entry)] as const),
    ...[...state.accounts.values()].map(
      (account) => [accountPath(sha256, account.publicKey), accountDigest(sha256, account)] as const,
    ),
  ]
  return modelRoot(pairs.map(([path, digest]) => [toHex(path), digest] as const))
}

/** The transactions of one sender, one after the other. */
function series(chain: TableChain, sender: TestAccount, ...lists: readonly (readonly Step[])[]): IncludedTransaction[] {
  const { nonce } = chain.state.account(sender.publicKey)
  return lists.map((steps, i) => included(chain.transaction(sender, steps, { nonce: nonce + i })))
}

/**
 * Four blocks. Alice owns `private`, `open`, `shared` (Bob may write) and `gone` (deleted), and nothing in Carol's namespace. `lastSolveMs`
 * decides which target is due on top.
 */
export function tableChain(lastSolveMs: number = 1_300): TableChain {
  const chain = new TableChain()
  const shared = { kind: 'writers', writers: [bob.publicKey] } as const
  chain.extend(series(chain, alice, [put('private', 'one')], [put('open', 'two', { access: { kind: 'open' } })]), 1_700)
  chain.extend(series(chain, alice, [put('shared', 'three', { access: shared }), put('gone', 'four')]), 2_900)
  chain.extend(series(chain, alice, [remove('gone')], [put('private', 'five')]), 2_200)
  return chain.extend([], lastSolveMs)
}

/** The checker's clock. */
export function nowMs(chain: TableChain): number {
  return chain.tip.timestampMs + 3_000
}
