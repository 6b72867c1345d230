/**
 * What blocks did to keys, as an observer tells it: one change for each version that a block made. Owns the counting of versions, which a
 * block off the main chain has no record of; reads nothing but bodies and what the main chain holds below the block.
 */
import { toMapKey } from '@kvchain/core/bytes'
import type { Operation } from '@kvchain/core/transaction'
import type { ChainStore } from '../store/chainStore.js'
import { entryAt } from './entryAt.js'
import type { ChainNode } from './headerTree.js'

/** One version that a block made. */
export interface KeyChange {
  readonly kind: 'put' | 'delete' | 'access'
  readonly key: Uint8Array
  readonly version: number
  readonly txid: Uint8Array
  readonly author: Uint8Array
  /** Of a put. */
  readonly valueDigest: Uint8Array | undefined
  readonly valueLength: number
}

/**
 * The changes that blocks make one after the other to the keys that `isWanted`, by block. `blocks` is a path upwards from a child of `base`, a
 * block of the main chain, and may itself lie off it. Undefined when a body is not stored.
 */
export async function changesOf(
  store: ChainStore,
  base: ChainNode,
  blocks: readonly ChainNode[],
  isWanted: (key: Uint8Array) => boolean,
): Promise<KeyChange[][] | undefined> {
  const versions = new Map<string, number>()
  const changes: KeyChange[][] = []
  for (const { hash } of blocks) {
    const body = store.body(hash)
    if (body === undefined) return undefined
    const made: KeyChange[] = []
    for (const { transaction, outcome } of body) {
      if (outcome.code !== 'ok') continue
      for (const operation of transaction.body.operations) {
        if (!isWrite(operation) || !isWanted(operation.key)) continue
        const name = toMapKey(operation.key)
        const before = versions.get(name) ?? (await entryAt(store, operation.key, base.header.height))?.version ?? 0
        versions.set(name, before + 1)
        const isPut = operation.kind === 'put'
        made.push({
          kind: operation.kind,
          key: operation.key,
          version: before + 1,
          txid: transaction.txid,
          author: transaction.body.sender,
          valueDigest: isPut ? operation.valueDigest : undefined,
          valueLength: isPut ? operation.valueLength : 0,
        })
      }
    }
    changes.push(made)
  }
  return changes
}

function isWrite(operation: Operation): operation is Extract<Operation, { kind: 'put' | 'delete' | 'access' }> {
  return operation.kind === 'put' || operation.kind === 'delete' || operation.kind === 'access'
}
