/**
 * A whole ledger for tests: real LevelDB in a temporary folder, real chain, mempool and template builder, with proof of work so easy
 * that any nonce will do. Accounts are made from a number, so that tests can name them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseOperations } from '@kvchain/client/operations'
import { toAddress } from '@kvchain/core/address'
import type { Block } from '@kvchain/core/block'
import { fromUtf8 } from '@kvchain/core/bytes'
import { type Genesis, makeGenesis } from '@kvchain/core/genesis'
import { headerHash } from '@kvchain/core/header'
import { type ConsensusParams, type Network, parseNetwork } from '@kvchain/core/params'
import { type Operation, signTransaction, type Transaction } from '@kvchain/core/transaction'
import type { Chain, ChainStep } from '@kvchain/node/chain/chain'
import { type KeyPair, keyPairFromSeed, sha256, signMessage } from '@kvchain/node/crypto/sodium'
import { VerifyPool } from '@kvchain/node/crypto/verifyPool'
import { composeLedger } from '@kvchain/node/ledgerParts'
import type { Mempool, PoolLimits } from '@kvchain/node/mempool/mempool'
import type { KeptLimits, OwnTransactions } from '@kvchain/node/mempool/ownTransactions'
import { TemplateBuilder } from '@kvchain/node/miner/template'
import { hex } from '@kvchain/node/runtime/hex'
import { type Runtime, silentLog, systemRuntime } from '@kvchain/node/runtime/runtime'
import type { ChainStore } from '@kvchain/node/store/chainStore'
import { Database } from '@kvchain/node/store/database'

const EASY = 'f'.repeat(64)

export function account(number: number): KeyPair {
  return keyPairFromSeed(new Uint8Array(32).fill(number))
}

/** A network on which every hash is good enough. Accounts 1 to 3 begin with 1,000 coins each. */
export function easyNetwork(changes: Partial<ConsensusParams> = {}): Network {
  return parseNetwork(easyNetworkJson(changes))
}

/** Its network file. */
export function easyNetworkJson(changes: Partial<ConsensusParams> = {}): object {
  const addressPrefix = 'kvtest'
  return {
    name: 'test',
    consensus: {
      addressPrefix,
      proofOfWork: 'sha256',
      genesisTimestampMs: 1_700_000_000_000,
      blockIntervalMs: 1_000,
      targetRule: 'fixed',
      initialTarget: EASY,
      easiestTarget: EASY,
      targetWindowBlocks: 60,
      solveTimeClampBlocks: 60,
      maxFutureMs: 60_000,
      maxValueBytes: 65_536,
      maxTransactionBytes: 262_144,
      maxBlockBytes: 4_194_304,
      maxTransactions: 1_000,
      minFeePerByte: 0,
      blockReward: 10,
      allocations: [1, 2, 3].map((n) => ({ address: toAddress(account(n).publicKey, addressPrefix), amount: 1_000 })),
      ...changes,
    },
    policy: { mining: 'always', settleDepth: 3, listen: [], bootstrap: [] },
  }
}

export interface TransactionOptions {
  readonly from: number
  readonly nonce: number
  readonly fee?: number
  readonly validUntil?: number
}

/** One test's ledger. `close` ends it; the folder goes with it unless it is reopened. */
export class TestLedger {
  readonly steps: ChainStep[] = []
  readonly fatal: unknown[] = []
  private readonly builders = new Map<number, TemplateBuilder>()

  private constructor(
    readonly folder: string,
    readonly network: Network,
    readonly genesis: Genesis,
    readonly runtime: Runtime,
    readonly database: Database,
    readonly store: ChainStore,
    readonly verifier: VerifyPool,
    readonly chain: Chain,
    readonly mempool: Mempool,
    readonly own: OwnTransactions,
  ) {
    chain.steps.add((step) => this.steps.push(step))
  }

  static async open(
    network: Network = easyNetwork(),
    folder?: string,
    limits?: PoolLimits,
    cacheBytes = 1 << 20,
    kept?: KeptLimits,
  ): Promise<TestLedger> {
    const runtime = systemRuntime(silentLog)
    const place = folder ?? mkdtempSync(join(tmpdir(), 'kvchain-test-'))
    const genesis = makeGenesis(sha256, network)
    const database = new Database(join(place, 'db'), silentLog)
    await database.start()
    const verifier = new VerifyPool({ threads: 0 }, { runtime })
    await verifier.start()
    const fatal: unknown[] = []
    const { store, chain, mempool, own } = composeLedger(
      {
        ...{ network, genesis, treeCacheBytes: cacheBytes },
        ...(limits === undefined ? {} : { poolLimits: limits }),
        ...(kept === undefined ? {} : { kept }),
      },
      { runtime, database, verifier, onFatal: (error) => fatal.push(error) },
    )
    try {
      await chain.start()
      await own.start()
    } catch (error) {
      await verifier.stop()
      await database.stop()
      throw error
    }
    return new TestLedger(place, network, genesis, runtime, database, store, verifier, chain, mempool, own)
  }

  /** Stops everything and opens the same folder again. */
  async reopen(): Promise<TestLedger> {
    await this.stop()
    return TestLedger.open(this.network, this.folder)
  }

  async close(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Stops everything and leaves the folder. */
  leave(): Promise<void> {
    return this.stop()
  }

  get tipHash(): string {
    return hex(this.chain.tip.hash)
  }

  get stateRoot(): string {
    return hex(this.chain.stateTree.root)
  }

  sign(operations: readonly Operation[], values: readonly Uint8Array[], options: TransactionOptions): Transaction {
    const { publicKey, secretKey } = account(options.from)
    const body = {
      sender: publicKey,
      accountNonce: options.nonce,
      fee: options.fee ?? 0,
      validUntil: options.validUntil ?? 0,
      operations,
    }
    return signTransaction(sha256, this.genesis.hash, body, values, (txid) => signMessage(txid, secretKey))
  }

  put(key: string, value: string, options: TransactionOptions): Transaction {
    const { addressPrefix } = this.network.params
    const { operations, values } = parseOperations(sha256, [{ op: 'put', key, value }], addressPrefix)
    return this.sign(operations, values, options)
  }

  /** Takes transactions into the mempool; every one must be welcome. */
  async pool(...transactions: Transaction[]): Promise<void> {
    for (const result of await this.mempool.addAll(transactions)) if (result instanceof Error) throw result
  }

  /** A solved block on the tip with whatever the mempool holds, not handed to the chain. */
  async solve(miner = 9): Promise<Block> {
    let builder = this.builders.get(miner)
    if (builder === undefined) {
      builder = new TemplateBuilder(this.chain, this.mempool, account(miner).publicKey, this.runtime)
      this.builders.set(miner, builder)
    }
    const template = await builder.build()
    if (template === undefined) throw new TypeError('the tip moved')
    return { header: { ...template.header, nonce: 0 }, transactions: template.transactions }
  }

  /** Solves and connects `count` blocks; the mempool goes into the first. */
  async mine(count = 1, miner = 9): Promise<Block[]> {
    const blocks: Block[] = []
    for (let i = 0; i < count; i++) {
      const block = await this.solve(miner)
      await this.chain.addBlock(block, 'test')
      blocks.push(block)
    }
    return blocks
  }

  /** The value of a key at the tip, undefined when absent or deleted. */
  get(key: string): string | undefined {
    const entry = this.store.entry(fromUtf8(key))
    if (entry === undefined || entry.deleted) return undefined
    return new TextDecoder().decode(this.store.value(entry.valueDigest))
  }

  hashOf(block: Block): string {
    return hex(headerHash(sha256, block.header))
  }

  private async stop(): Promise<void> {
    await this.own.stop()
    await this.chain.stop()
    await this.verifier.stop()
    await this.database.stop()
  }
}
