/**
 * A network's identity read back from its canonical bytes, so that a proof can bring the network along and its verifier needs no file.
 * Owns the reading alone; what a network may be is params.ts's to say, and is asked there. (protocol.md 10.2)
 */
import { toAddress } from './address.js'
import { equalBytes, toHex } from './bytes.js'
import { decodeAll, type Reader } from './codec.js'
import { assert } from './errors.js'
import { PUBLIC_KEY_BYTES } from './keys.js'
import { type ConsensusParams, encodeParams, NetworkError, type NetworkIdentity, parseNetwork } from './params.js'

const MAX_NAME_BYTES = 32
const MAX_PREFIX_BYTES = 16
const MAX_ALLOCATIONS = 10_000
/** Both texts and all allocations at their longest. */
export const MAX_PARAMS_BYTES: number = 130 + MAX_NAME_BYTES + MAX_PREFIX_BYTES + MAX_ALLOCATIONS * 40
const PARAMS_VERSION = 1
const TARGET_RULES = ['fixed', 'relative-exponential'] as const

/**
 * The inverse of encodeParams. Throws CodecError for bytes that are no encoding, NetworkError for what no network file could say; accepts
 * exactly what encodeParams makes of a network.
 */
export function decodeParams(bytes: Uint8Array): NetworkIdentity {
  const { name, consensus } = decodeAll(bytes, readIdentity)
  // The one set of rules for networks is that of their files. Policy is no part of the identity.
  const policy = { mining: 'pending', settleDepth: 1, listen: [], bootstrap: [] }
  const { params } = parseNetwork({ name, consensus, policy })
  assert(equalBytes(encodeParams(name, params), bytes), 'every field has one encoding')
  return { name, params }
}

function readIdentity(reader: Reader): { name: string; consensus: ConsensusParams } {
  reader.version(PARAMS_VERSION)
  const name = readText(reader, MAX_NAME_BYTES)
  const addressPrefix = readText(reader, MAX_PREFIX_BYTES)
  // Addresses are made with it before the schema sees it.
  if (!/^[a-z]+$/.test(addressPrefix)) throw wrongPrefix()
  reader.tag(1, 1)
  const consensus = {
    addressPrefix,
    proofOfWork: 'sha256' as const,
    genesisTimestampMs: reader.u64(),
    blockIntervalMs: reader.u32(),
    targetRule: TARGET_RULES[reader.tag(1, TARGET_RULES.length) - 1] ?? 'fixed',
    initialTarget: toHex(reader.fixed(32)),
    easiestTarget: toHex(reader.fixed(32)),
    targetWindowBlocks: reader.u32(),
    solveTimeClampBlocks: reader.u32(),
    maxFutureMs: reader.u32(),
    maxValueBytes: reader.u32(),
    maxTransactionBytes: reader.u32(),
    maxBlockBytes: reader.u32(),
    maxTransactions: reader.u32(),
    minFeePerByte: reader.u32(),
    blockReward: reader.u32(),
    allocations: readAllocations(reader, addressPrefix),
  }
  return { name, consensus }
}

function wrongPrefix(): NetworkError {
  const path = '/consensus/addressPrefix'
  return new NetworkError('network-schema', `${path}: not letters a-z`, { path })
}

function readAllocations(reader: Reader, prefix: string): ConsensusParams['allocations'] {
  const allocations: ConsensusParams['allocations'] = []
  for (let left = reader.count(0, MAX_ALLOCATIONS); left > 0; left--) {
    allocations.push({ address: toAddress(reader.fixed(PUBLIC_KEY_BYTES), prefix), amount: reader.u64() })
  }
  return allocations
}

/** Any byte becomes one character: what may stand there is the schema's to say. */
function readText(reader: Reader, maximum: number): string {
  return String.fromCharCode(...reader.variable(1, maximum))
}
