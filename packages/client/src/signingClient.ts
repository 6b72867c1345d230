/**
 * Writes signed by the caller: the daemon carries them, and never sees the key. Owns the account nonce, the least fee and the signature of
 * each, and that nothing is signed for another network than the caller means. Never signs the same write twice: a daemon that refused the
 * first one falsely could have both included. Runs in a browser too.
 *
 * @example
 * const network = await readSigningNetwork(client, [])
 * const alice = new SigningClient(client, seedSigner(seed), network)
 * const { txid } = await alice.call('kv_put', { key: 'greeting', value: 'hello' })
 * await client.waitFor(txid)
 */
import { AddressError, toAddress } from '@kvchain/core/address'
import { fromHex, toHex } from '@kvchain/core/bytes'
import { CodecError } from '@kvchain/core/codec'
import {
  encodeTransaction,
  signTransaction,
  type Transaction,
  type TransactionBody,
  transactionSize,
} from '@kvchain/core/transaction'
import type { Receipt } from './contract/schemas.js'
import type { Params } from './contract.js'
import { ClientError } from './errors.js'
import type { KvClient } from './kvClient.js'
import { operationsOf, type ParsedOperations, parseOperations, type WriteMethod } from './operations.js'
import { requireParams } from './requests.js'
import { type Signer, sha256 } from './signer.js'
import type { CallOptions } from './transport.js'

/** What a signature needs to know of the network. */
export interface SigningNetwork {
  /** The hash of block 0: 32 bytes. A signature holds on the network with this genesis, and on no other. */
  readonly genesis: Uint8Array
  /** What addresses begin with, before the 1. */
  readonly addressPrefix: string
  /** Coins for each byte of a transaction; the daemon is asked when left out. */
  readonly minFeePerByte?: number
}

/** A network that the caller knows without the daemon. */
export interface KnownNetwork extends SigningNetwork {
  readonly name: string
}

/** Writes that may wait for those before them. Each holds up to a transaction. */
const MAX_WAITING = 1_000
const NO_SIGNATURE = new Uint8Array(64)

/**
 * The network of a daemon. What it says is held against `known`: a network of one of these names must have its genesis, and the other way
 * round; of any other network the daemon's word is taken. Throws ClientError `other-network`.
 */
export async function readSigningNetwork(
  client: KvClient,
  known: readonly KnownNetwork[],
  options: CallOptions = {},
): Promise<KnownNetwork> {
  const { network: name, genesis: genesisText, account } = await client.status(options)
  const genesis = fromHex(genesisText)
  if (genesis === undefined) throw new ClientError('bad-answer', 'the daemon’s genesis is not hex')
  const match = known.find((other) => other.name === name || toHex(other.genesis) === genesisText)
  if (match === undefined)
    return { name, genesis, addressPrefix: account.slice(0, Math.max(0, account.lastIndexOf('1'))) }
  if (match.name === name && toHex(match.genesis) === genesisText) return match
  throw new ClientError(
    'other-network',
    `the daemon calls its network ${name}, but its genesis ${genesisText} is not that network’s: nothing was signed`,
    { network: name, genesis: genesisText },
  )
}

export class SigningClient {
  /** The account that signs. */
  readonly address: string
  private last: Promise<unknown> = Promise.resolve()
  private waiting = 0

  constructor(
    private readonly client: KvClient,
    private readonly signer: Signer,
    private readonly network: SigningNetwork,
  ) {
    this.address = toAddress(signer.publicKey, network.addressPrefix)
  }

  /**
   * A write of the contract, signed here and sent by tx_submit. Writes of one SigningClient go one after the other. Throws RpcError and
   * ClientError; `busy` when too many wait.
   */
  async call<M extends WriteMethod>(method: M, params: Params<M>, options: CallOptions = {}): Promise<Receipt> {
    requireParams(method, params)
    const parsed = this.refusingBadParams(() =>
      parseOperations(sha256, operationsOf(method, params), this.network.addressPrefix),
    )
    if (this.waiting >= MAX_WAITING) throw new ClientError('busy', `${MAX_WAITING} writes wait already`)
    this.waiting++
    const turn = this.last.then(() => this.write(parsed, params, options))
    this.last = turn.then(
      () => this.waiting--,
      () => this.waiting--,
    )
    return turn
  }

  private async write(
    { operations, values }: ParsedOperations,
    { fee, validFor }: { readonly fee?: number; readonly validFor?: number },
    options: CallOptions,
  ): Promise<Receipt> {
    const { nextNonce, tip } = await this.client.balance(this.address, options)
    const validUntil = validFor === undefined ? 0 : tip.height + validFor
    const terms = { sender: this.signer.publicKey, accountNonce: nextNonce, validUntil, operations }
    const unsigned = this.make({ ...terms, fee: fee ?? 0 }, values, () => NO_SIGNATURE)
    const due = fee ?? (await this.leastFee(transactionSize(unsigned), options))
    const transaction = this.make({ ...terms, fee: due }, values, this.signer.sign)
    const receipt = await this.client.call('tx_submit', { transaction: toHex(encodeTransaction(transaction)) }, options)
    if (receipt.txid === toHex(transaction.txid)) return receipt
    throw new ClientError('bad-answer', 'the daemon’s receipt is of another transaction')
  }

  private make(body: TransactionBody, values: readonly Uint8Array[], sign: Signer['sign']): Transaction {
    return this.refusingBadParams(() => signTransaction(sha256, this.network.genesis, body, values, sign))
  }

  private async leastFee(size: number, options: CallOptions): Promise<number> {
    const { minFeePerByte } = this.network
    if (minFeePerByte !== undefined) return minFeePerByte * size
    return (await this.client.call('coin_fee', { size }, options)).minimum
  }

  /** What no daemon would take is the caller's mistake. */
  private refusingBadParams<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof AddressError || error instanceof CodecError)) throw error
      throw new ClientError('bad-params', error.message, error.data, error)
    }
  }
}
