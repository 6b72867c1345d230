/**
 * Addresses of peers, kept over a restart in one record. A record that is damaged is an empty book, and said to be: addresses can be learnt again.
 */
import { fromUtf8 } from '@kvchain/core/bytes'
import type { Log } from '../runtime/runtime.js'
import { Batch, type Database } from '../store/database.js'
import { recordKey } from '../store/schema.js'
import { unseal } from '../store/seal.js'
import type { PeerBook, SavedPeer } from './peerManager.js'

export function peerBook(database: Database, log: Log): PeerBook {
  return {
    async load(): Promise<SavedPeer[]> {
      const key = recordKey.peers()
      const record = database.readBare(key)
      if (record === undefined) return []
      const content = unseal(key, record)
      if (content === undefined) {
        log.warn({}, 'the addresses of peers are damaged and given up: peers are learnt again')
        return []
      }
      const saved: unknown = JSON.parse(new TextDecoder().decode(content))
      return Array.isArray(saved) ? saved.filter(isSavedPeer) : []
    },
    async save(peers: readonly SavedPeer[]): Promise<void> {
      await database.write(new Batch().put(recordKey.peers(), fromUtf8(JSON.stringify(peers))), {
        sync: false,
        step: 'peers',
      })
    },
  }
}

function isSavedPeer(value: unknown): value is SavedPeer {
  if (typeof value !== 'object' || value === null) return false
  if (!('peerId' in value && 'addresses' in value && 'lastSeenMs' in value)) return false
  const { peerId, addresses, lastSeenMs } = value
  const areTexts = Array.isArray(addresses) && addresses.every((address) => typeof address === 'string')
  return typeof peerId === 'string' && areTexts && typeof lastSeenMs === 'number'
}
