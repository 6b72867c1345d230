/** A chain in a data folder, made without searching: blocks of puts by many accounts. Everything in it is as a daemon would make it. */
import type { Block } from '@kvchain/core/block'
import { fromUtf8 } from '@kvchain/core/bytes'
import type { Network } from '@kvchain/core/params'
import { signTransaction, type Transaction, valueDigest } from '@kvchain/core/transaction'
import { type KeyPair, keyPairFromSeed, seedBytes, sha256, signMessage } from '@kvchain/node/crypto/sodium'
import { Ledger } from '@kvchain/node/ledger'
import { TemplateBuilder } from '@kvchain/node/miner/template'
import { NO_FAILPOINTS } from '@kvchain/node/runtime/failpoints'
import { hex } from '@kvchain/node/runtime/hex'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { BenchError } from '../errors.js'

const ACCOUNTS = 64

export class ChainMaker {
  private readonly accounts: readonly { readonly keys: KeyPair; nonce: number }[]
  private readonly builder: TemplateBuilder
  private made = 0

  private constructor(
    private readonly ledger: Ledger,
    private readonly valueBytes: number,
  ) {
    const runtime = systemRuntime()
    const newKeys = () => keyPairFromSeed(runtime.random.bytes(seedBytes))
    this.accounts = Array.from({ length: ACCOUNTS }, () => ({ keys: newKeys(), nonce: 0 }))
    const { chain, mempool } = ledger
    this.builder = new TemplateBuilder(chain, mempool, newKeys().publicKey, runtime)
  }

  static async open(network: Network, dataDir: string, valueBytes: number): Promise<ChainMaker> {
    const onFatal = (error: unknown) => {
      throw error
    }
    const deps = { runtime: systemRuntime(), failpoints: NO_FAILPOINTS, onFatal }
    const ledger = new Ledger({ network, dataDir, verifyThreads: 0 }, deps)
    await ledger.start()
    return new ChainMaker(ledger, valueBytes)
  }

  /** What networks are told apart by in topics and protocol ids. */
  get networkId(): string {
    return hex(this.ledger.genesis.hash).slice(0, 16)
  }

  /** Signed puts of new keys, each account's in order. */
  puts(count: number): Transaction[] {
    return Array.from({ length: count }, () => this.put())
  }

  /** One more block with these transactions, connected. */
  async add(transactions: readonly Transaction[]): Promise<Block> {
    const { chain, mempool } = this.ledger
    for (const transaction of transactions) mempool.addLocal(transaction)
    const template = await this.builder.build()
    if (template?.transactions.length !== transactions.length) {
      throw new BenchError('bench-failed', 'a block does not hold what it should')
    }
    const block = { header: { ...template.header, nonce: 0 }, transactions: template.transactions }
    await chain.addBlock(block, 'bench', { durable: false })
    return block
  }

  stop(): Promise<void> {
    return this.ledger.stop()
  }

  private put(): Transaction {
    const account = this.accounts[this.made % ACCOUNTS]
    if (account === undefined) throw new BenchError('bench-failed', 'there is no account')
    const { random } = systemRuntime()
    const value = random.bytes(this.valueBytes)
    const operation = {
      kind: 'put',
      key: fromUtf8(`bench/${this.made++}`),
      expect: { kind: 'any' },
      valueDigest: valueDigest(sha256, value),
      valueLength: value.length,
      access: { kind: 'keep' },
    } as const
    const { publicKey, secretKey } = account.keys
    const body = { sender: publicKey, accountNonce: account.nonce++, fee: 0, validUntil: 0, operations: [operation] }
    return signTransaction(sha256, this.ledger.genesis.hash, body, [value], (txid) => signMessage(txid, secretKey))
  }
}
