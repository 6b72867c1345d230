/** Addresses of peers, kept over a restart in one record. A record that does not read is an empty book: addresses can be learnt again. */
import { fromUtf8 } from '@kvchain/core/bytes'
import { Batch, type Database } from '../store/database.js'
import { recordKey } from '../store/schema.js'
import type { PeerBook, SavedPeer } from './peerManager.js'

export function peerBook(database: Database): PeerBook {
  return {
    async load(): Promise<SavedPeer[]> {
      const content = database.read(recordKey.peers())
      if (content === undefined) return []
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
