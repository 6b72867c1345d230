import { toAddress } from '@kvchain/core/address'
import { toHex, ZERO_32 } from '@kvchain/core/bytes'
import { accountDigest, accountPath } from '@kvchain/core/entry'
import { makeGenesis } from '@kvchain/core/genesis'
import { encodeHeader, headerHash } from '@kvchain/core/header'
import { type Network, parseNetwork } from '@kvchain/core/params'
import { verifyProof } from '@kvchain/core/treeProof'
import { describe, expect, it } from 'vitest'
import { networkJson, readVectors, sha256, testAccount, testNetwork } from './helpers.js'

const vectors = readVectors<{ network: { name: string }; header: string; hash: string }[]>('genesis')

describe('genesis', () => {
  it.each(vectors)('of the vector $network.name', ({ network, header, hash }) => {
    const genesis = makeGenesis(sha256, parseNetwork(network))
    expect(toHex(encodeHeader(genesis.header))).toBe(header)
    expect(toHex(genesis.hash)).toBe(hash)
  })

  it('holds the allocations, and proves them', () => {
    const [alice, bob] = [testAccount('alice'), testAccount('bob')]
    const allocations = [alice, bob].map(({ publicKey }, i) => ({
      address: toAddress(publicKey, 'kvt'),
      amount: i + 1,
    }))
    const genesis = makeGenesis(sha256, testNetwork({ allocations }))
    expect(genesis.accounts).toEqual([
      { publicKey: alice.publicKey, balance: 1, nonce: 0 },
      { publicKey: bob.publicKey, balance: 2, nonce: 0 },
    ])
    expect(genesis.header.stateRoot).toEqual(genesis.tree.root)
    for (const account of genesis.accounts) {
      const path = accountPath(sha256, account.publicKey)
      const verdict = verifyProof(sha256, genesis.header.stateRoot, path, genesis.tree.prove(path))
      expect(verdict).toEqual({ kind: 'present', digest: accountDigest(sha256, account) })
    }
  })

  it('is the first block of all, without miner, nonce or work', () => {
    const network = testNetwork()
    const { header, hash, tree, accounts } = makeGenesis(sha256, network)
    expect(header).toMatchObject({ height: 0, nonce: 0, timestampMs: 1_767_225_600_000 })
    expect(header.target).toEqual(network.params.initialTarget)
    expect(header.miner).toEqual(ZERO_32)
    expect(tree.root).toEqual(ZERO_32)
    expect(accounts).toEqual([])
    expect(hash).toEqual(headerHash(sha256, header))
  })

  it('is another for another name or another parameter, and the same for another policy', () => {
    const hashOf = (network: Network) => toHex(makeGenesis(sha256, network).hash)
    const own = hashOf(testNetwork())
    const others = [
      hashOf(parseNetwork({ ...networkJson(), name: 'other' })),
      hashOf(testNetwork({ addressPrefix: 'kv' })),
      hashOf(testNetwork({ maxFutureMs: 9_999 })),
      hashOf(testNetwork({ blockReward: 51 })),
    ]
    expect(new Set([own, ...others]).size).toBe(5)
    expect(
      hashOf(
        parseNetwork({
          ...networkJson(),
          description: 'the same',
          policy: { mining: 'always', settleDepth: 1, listen: [], bootstrap: [] },
        }),
      ),
    ).toBe(own)
  })
})
