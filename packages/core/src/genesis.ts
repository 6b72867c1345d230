/**
 * The genesis block of a network: it commits to the name and every consensus parameter, and its hash is the network's identity.
 * It carries no work and is never checked: it is computed. (protocol.md section 10)
 */

import { transactionRoot } from './block.js'
import { ZERO_32 } from './bytes.js'
import { type Account, accountDigest, accountPath } from './entry.js'
import { DOMAIN, type Sha256, taggedHash } from './hash.js'
import { type Header, headerHash } from './header.js'
import { encodeParams, type NetworkIdentity } from './params.js'
import { StateTree } from './tree.js'

export interface Genesis {
  readonly header: Header
  readonly hash: Uint8Array
  /** The accounts that exist from the start. */
  readonly accounts: readonly Account[]
  readonly tree: StateTree
}

export function makeGenesis(sha256: Sha256, network: NetworkIdentity): Genesis {
  const { name, params } = network
  const accounts = params.allocations.map(({ publicKey, amount }) => ({
    publicKey,
    balance: amount,
    nonce: 0,
  }))
  const tree = StateTree.empty(sha256).update(
    accounts.map((account) => ({
      path: accountPath(sha256, account.publicKey),
      digest: accountDigest(sha256, account),
    })),
  )
  const header: Header = {
    parent: taggedHash(sha256, DOMAIN.params, encodeParams(name, params)),
    height: 0,
    timestampMs: params.genesisTimestampMs,
    target: params.initialTarget,
    txRoot: transactionRoot(sha256, []),
    stateRoot: tree.root,
    miner: ZERO_32,
    nonce: 0,
  }
  return { header, hash: headerHash(sha256, header), accounts, tree }
}
