/**
 * Networks: what every member must agree on (consensus) and what a member starts from (policy). Owns the schema of a network file
 * and the canonical bytes of the consensus part, which the genesis block commits to. (protocol.md section 10)
 */
import type { Static } from 'typebox'
import { AddressError, fromAddress } from './address.js'
import { EMPTY_BLOCK_BYTES, OUTCOME_BYTES } from './block.js'
import { fromHex, fromUtf8, toBigInt } from './bytes.js'
import { encodeWith } from './codec.js'
import { KvError } from './errors.js'
import { MAX_BLOCK_BYTES, MAX_BLOCK_TRANSACTIONS, MAX_INTEGER, MAX_TRANSACTION_BYTES } from './limits.js'
import { Compile, Type } from './typebox.js'

export type NetworkErrorCode =
  /** The file does not follow the schema. */
  | 'network-schema'
  /** Each field is well-formed, together they make no sense. */
  | 'network-values'

/** A network file that cannot be used. `data.path` names the field. */
export class NetworkError extends KvError<NetworkErrorCode> {}

const Count = (minimum: number, maximum: number, description: string) => Type.Integer({ minimum, maximum, description })
const Target = (description: string) => Type.String({ pattern: '^[0-9a-f]{64}$', description })

const ConsensusSchema = Type.Object(
  {
    addressPrefix: Type.String({
      pattern: '^[a-z]{1,16}$',
      description: 'What every address begins with, before the 1.',
    }),
    proofOfWork: Type.Literal('sha256', {
      description: 'The hash that miners search.',
    }),
    genesisTimestampMs: Count(0, MAX_INTEGER, 'Timestamp of block 0, in milliseconds since 1970.'),
    blockIntervalMs: Count(1, 86_400_000, 'The time between blocks that the target steers for.'),
    targetRule: Type.Union([Type.Literal('fixed'), Type.Literal('relative-exponential')], {
      description: 'fixed: always initialTarget. relative-exponential: each block corrects by its own solve time.',
    }),
    initialTarget: Target('Target of the first blocks: 64 hexadecimal digits.'),
    easiestTarget: Target('The target never rises above this.'),
    targetWindowBlocks: Count(
      1,
      100_000,
      'A solve time that is off by this many intervals doubles or halves the target.',
    ),
    solveTimeClampBlocks: Count(1, 100_000, 'A solve time counts for at most this many intervals, either way.'),
    maxFutureMs: Count(0, 86_400_000, 'How far a timestamp may lie ahead of the clock of whoever checks it.'),
    maxValueBytes: Count(1, MAX_TRANSACTION_BYTES - 1, 'Bytes of one value.'),
    maxTransactionBytes: Count(256, MAX_TRANSACTION_BYTES, 'Bytes of one transaction, payloads included.'),
    maxBlockBytes: Count(1024, MAX_BLOCK_BYTES, 'Bytes of one block, payloads included.'),
    maxTransactions: Count(1, MAX_BLOCK_TRANSACTIONS, 'Transactions in one block.'),
    minFeePerByte: Count(0, 1_000_000, 'Coins a transaction must pay for each of its bytes. 0: writing is free.'),
    blockReward: Count(0, 1 << 20, 'New coins to the miner of each block.'),
    allocations: Type.Array(
      Type.Object(
        {
          address: Type.String({ maxLength: 160 }),
          amount: Count(1, MAX_INTEGER, 'Coins.'),
        },
        { additionalProperties: false },
      ),
      {
        maxItems: 10_000,
        description: 'Coins that exist from the start. Each address once.',
      },
    ),
  },
  { additionalProperties: false },
)

const PolicySchema = Type.Object(
  {
    mining: Type.Union([Type.Literal('always'), Type.Literal('pending')], {
      description: 'What a bare --mine means here.',
    }),
    settleDepth: Count(1, 100_000, 'Confirmations at which a write counts as settled.'),
    listen: Type.Array(Type.String({ maxLength: 256 }), {
      maxItems: 16,
      description: 'Multiaddrs to listen on.',
    }),
    bootstrap: Type.Array(Type.String({ maxLength: 256 }), {
      maxItems: 64,
      description: 'Multiaddrs of known members.',
    }),
    minimumChainwork: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{1,64}$',
        description:
          'Chains with less work than this, in hexadecimal digits, are not kept: what the network had at some time.',
      }),
    ),
  },
  { additionalProperties: false },
)

/** The JSON schema of a network file; configs/network.schema.json is this, written out. */
export const NetworkSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    name: Type.String({
      pattern: '^[a-z][a-z0-9-]{0,31}$',
      description: 'Short name; part of the identity of the network.',
    }),
    description: Type.Optional(Type.String({ maxLength: 1000 })),
    reasons: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 1000 }), {
        description: 'Why each field is as it is. Not used.',
      }),
    ),
    consensus: ConsensusSchema,
    policy: PolicySchema,
  },
  { additionalProperties: false, title: 'kvchain network file' },
)

export type ConsensusParams = Static<typeof ConsensusSchema>
export type Policy = Static<typeof PolicySchema>

/** Consensus parameters with texts turned into bytes. */
export interface Params extends Omit<ConsensusParams, 'initialTarget' | 'easiestTarget' | 'allocations'> {
  readonly initialTarget: Uint8Array
  readonly easiestTarget: Uint8Array
  readonly allocations: readonly {
    readonly publicKey: Uint8Array
    readonly amount: number
  }[]
}

/** What genesis commits to: all of a network but its policy. */
export interface NetworkIdentity {
  readonly name: string
  readonly params: Params
}

export interface Network extends NetworkIdentity {
  readonly policy: Policy
}

const validator = Compile(NetworkSchema)

/** Checks the parsed JSON of a network file. Throws NetworkError, whose message names the field. */
export function parseNetwork(json: unknown): Network {
  if (!validator.Check(json)) {
    const [first] = validator.Errors(json)
    const parent = first?.instancePath ?? ''
    const missing = first?.keyword === 'required' ? first.params.requiredProperties[0] : undefined
    const path = (missing === undefined ? parent : `${parent}/${missing}`) || '/'
    // The schema says `false` where a field may not be.
    const unknown = first?.keyword === 'boolean' ? 'no such field' : first?.message
    const reason = missing === undefined ? (unknown ?? 'does not follow the schema') : 'missing'
    throw new NetworkError('network-schema', `${path}: ${reason}`, { path })
  }
  const { name, consensus, policy } = json
  const params: Params = {
    ...consensus,
    initialTarget: targetBytes(consensus, 'initialTarget'),
    easiestTarget: targetBytes(consensus, 'easiestTarget'),
    allocations: consensus.allocations.map(({ address, amount }, i) => ({
      publicKey: allocationKey(address, consensus.addressPrefix, i),
      amount,
    })),
  }
  checkTogether(params)
  return { name, params, policy }
}

function targetBytes(consensus: ConsensusParams, field: 'initialTarget' | 'easiestTarget'): Uint8Array {
  const bytes = fromHex(consensus[field])
  if (bytes === undefined || toBigInt(bytes) === 0n) throw wrong(field, 'a target must be above zero')
  return bytes
}

function allocationKey(address: string, prefix: string, index: number): Uint8Array {
  try {
    return fromAddress(address, prefix)
  } catch (error) {
    if (error instanceof AddressError) throw wrong(`allocations/${index}/address`, error.message)
    throw error
  }
}

function wrong(field: string, message: string): NetworkError {
  const path = `/consensus/${field}`
  return new NetworkError('network-values', `${path}: ${message}`, { path })
}

/** Heights are u32: more blocks than this cannot be. */
const MAX_BLOCKS = 2 ** 32

function checkTogether(params: Params): void {
  if (toBigInt(params.initialTarget) > toBigInt(params.easiestTarget)) {
    throw wrong('initialTarget', 'easier than easiestTarget')
  }
  if (params.maxTransactionBytes <= params.maxValueBytes) throw wrong('maxTransactionBytes', 'no room for a value')
  if (params.maxBlockBytes < params.maxTransactionBytes + EMPTY_BLOCK_BYTES + OUTCOME_BYTES) {
    throw wrong('maxBlockBytes', 'no room for a transaction')
  }
  const seen = new Set<string>()
  let supply = BigInt(params.blockReward) * BigInt(MAX_BLOCKS)
  for (const { publicKey, amount } of params.allocations) {
    const key = publicKey.join()
    if (seen.has(key)) throw wrong('allocations', 'an address stands there twice')
    seen.add(key)
    supply += BigInt(amount)
  }
  // So that no balance, and no sum of balances, can ever pass 2^53 - 1.
  if (supply > BigInt(MAX_INTEGER)) throw wrong('allocations', 'allocations and all rewards together pass 2^53 - 1')
}

const PROOF_OF_WORK_TAG = { sha256: 1 } as const
const TARGET_RULE_TAG = { fixed: 1, 'relative-exponential': 2 } as const
const PARAMS_VERSION = 1

/** The canonical bytes of a network's identity: its name and every consensus parameter, in this order. */
export function encodeParams(name: string, params: Params): Uint8Array {
  return encodeWith((writer) => {
    writer.u32(PARAMS_VERSION).variable(fromUtf8(name)).variable(fromUtf8(params.addressPrefix))
    writer.u8(PROOF_OF_WORK_TAG[params.proofOfWork]).u64(params.genesisTimestampMs).u32(params.blockIntervalMs)
    writer.u8(TARGET_RULE_TAG[params.targetRule]).fixed(params.initialTarget).fixed(params.easiestTarget)
    writer.u32(params.targetWindowBlocks).u32(params.solveTimeClampBlocks).u32(params.maxFutureMs)
    writer.u32(params.maxValueBytes).u32(params.maxTransactionBytes).u32(params.maxBlockBytes)
    writer.u32(params.maxTransactions).u32(params.minFeePerByte).u32(params.blockReward)
    writer.u32(params.allocations.length)
    for (const { publicKey, amount } of params.allocations) writer.fixed(publicKey).u64(amount)
  }, 512)
}
