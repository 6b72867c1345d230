/**
 * Who writes: one writer is one connection to one node. Owns what is written (keys that nobody else has, values that do not compress) and, for
 * transactions of several puts, an account of its own that signs them here, since the RPC contract has no method for that.
 */

import { RpcError } from '@kvchain/client/errors'
import type { KvClient } from '@kvchain/client/kvClient'
import { fromUtf8 } from '@kvchain/core/bytes'
import {
  encodeTransaction,
  signTransaction,
  type Transaction,
  transactionSize,
  valueDigest,
} from '@kvchain/core/transaction'
import { type KeyPair, keyPairFromSeed, seedBytes, sha256, signMessage } from '@kvchain/node/crypto/sodium'
import { hex } from '@kvchain/node/runtime/hex'
import { systemRuntime } from '@kvchain/node/runtime/runtime'

export interface Written {
  readonly txid: string
  /** The key, or the first of several. */
  readonly key: string
}

export interface Writer {
  /** Index of the node that it writes to. */
  readonly node: number
  /** Resolves when the node has accepted the transaction with this number. */
  write(sequence: number): Promise<Written>
}

const { random, timers } = systemRuntime()
/** How long a node that was busy is left alone. */
const RETRY_MS = 100
const OFFSETS = 4_096

/** Keys and values of one run. */
export class Material {
  private readonly run = hex(random.bytes(4))
  private readonly text: string

  constructor(private readonly valueBytes: number) {
    this.text = Buffer.from(random.bytes(valueBytes + OFFSETS)).toString('base64')
  }

  key(sequence: number): string {
    return `bench/${this.run}/${sequence}`
  }

  value(sequence: number): string {
    const offset = sequence % OFFSETS
    return this.text.slice(offset, offset + this.valueBytes)
  }
}

/** One put in a transaction, by the node's own account. */
export class PutWriter implements Writer {
  constructor(
    readonly node: number,
    private readonly client: KvClient,
    private readonly material: Material,
  ) {}

  async write(sequence: number): Promise<Written> {
    const key = this.material.key(sequence)
    const { txid } = await this.client.put(key, this.material.value(sequence))
    return { txid, key }
  }
}

/** What a transaction of several puts is made of. */
export interface BatchShape {
  readonly genesisHash: Uint8Array
  readonly material: Material
  /** Puts in each. */
  readonly batch: number
}

/** Several puts in a transaction, by the writer's own account. */
export class BatchWriter implements Writer {
  private readonly account = makeAccount()
  private nextNonce = 0

  constructor(
    readonly node: number,
    private readonly client: KvClient,
    private readonly shape: BatchShape,
    private readonly signal: AbortSignal,
  ) {}

  async write(sequence: number): Promise<Written> {
    const { batch, material } = this.shape
    const transaction = signBatch(this.shape, this.account, this.nextNonce++, sequence)
    const params = { transaction: hex(encodeTransaction(transaction)) }
    for (;;) {
      try {
        const { txid } = await this.client.call('tx_submit', params)
        return { txid, key: material.key(sequence * batch) }
      } catch (error) {
        // Giving one up would leave all later ones of the account without their predecessor.
        if (!isForLater(error)) throw error
        await timers.sleep(RETRY_MS, this.signal)
      }
    }
  }
}

/** Bytes of one such transaction. */
export function batchBytes(shape: BatchShape): number {
  return transactionSize(signBatch(shape, makeAccount(), 0, 0))
}

function makeAccount(): KeyPair {
  return keyPairFromSeed(random.bytes(seedBytes))
}

function signBatch(
  { genesisHash, material, batch }: BatchShape,
  account: KeyPair,
  accountNonce: number,
  sequence: number,
): Transaction {
  const puts = Array.from({ length: batch }, (_, i) => {
    const value = fromUtf8(material.value(sequence * batch + i))
    const operation = {
      kind: 'put',
      key: fromUtf8(material.key(sequence * batch + i)),
      expect: { kind: 'any' },
      valueDigest: valueDigest(sha256, value),
      valueLength: value.length,
      access: { kind: 'keep' },
    } as const
    return { operation, value }
  })
  return signTransaction(
    sha256,
    genesisHash,
    {
      sender: account.publicKey,
      accountNonce,
      fee: 0,
      validUntil: 0,
      operations: puts.map(({ operation }) => operation),
    },
    puts.map(({ value }) => value),
    (txid) => signMessage(txid, account.secretKey),
  )
}

/** The node is full, or has not yet got the transactions before this one. */
function isForLater(error: unknown): boolean {
  return error instanceof RpcError && (error.code === 'busy' || error.data.rule === 'pool-gap')
}
