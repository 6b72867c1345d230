/**
 * What is remembered of peers over a restart: addresses in one record, bans in another. A record that is damaged is an empty book, and said
 * to be: addresses can be learnt again, and who deserves a ban earns it again.
 */
import { fromUtf8 } from '@kvchain/core/bytes'
import type { Log } from '../../runtime/runtime.js'
import { Batch } from '../../store/batch.js'
import type { Database } from '../../store/database.js'
import { recordKey } from '../../store/schema.js'
import { unseal } from '../../store/seal.js'
import type { Ban } from './bans.js'

/** A peer that was connected once. */
export interface SavedPeer {
  readonly peerId: string
  /** Without the peer id. */
  readonly addresses: readonly string[]
  /** Wall time in milliseconds. */
  readonly lastSeenMs: number
  /** For how long it was connected by our choice. */
  readonly provenMs?: number
  /** One of the two that were connected longest by our choice. */
  readonly anchor?: boolean
}

export interface BookContent {
  readonly peers: readonly SavedPeer[]
  readonly bans: readonly Ban[]
}

/** Where peers and bans are kept over a restart; each save replaces what was there. */
export interface PeerBook {
  load(): Promise<BookContent>
  save(content: BookContent): Promise<void>
}

/** A book of blank pages, for a node that remembers nobody. */
export const emptyBook: PeerBook = { load: async () => ({ peers: [], bans: [] }), save: async () => {} }

export function peerBook(database: Database, log: Log): PeerBook {
  const read = (key: Uint8Array, what: string): unknown[] => {
    const record = database.readBare(key)
    if (record === undefined) return []
    const content = unseal(key, record)
    if (content === undefined) {
      log.warn({}, what)
      return []
    }
    const saved: unknown = JSON.parse(new TextDecoder().decode(content))
    return Array.isArray(saved) ? saved : []
  }
  return {
    async load() {
      const peers = read(recordKey.peers(), 'the addresses of peers are damaged and given up: peers are learnt again')
      const bans = read(recordKey.bans(), 'the bans of peers are damaged and given up')
      return { peers: peers.filter(isSavedPeer), bans: bans.filter(isBan) }
    },
    async save({ peers, bans }) {
      const batch = new Batch()
        .put(recordKey.peers(), fromUtf8(JSON.stringify(peers)))
        .put(recordKey.bans(), fromUtf8(JSON.stringify(bans)))
      await database.write(batch, { sync: false, step: 'peers' })
    },
  }
}

function isSavedPeer(value: unknown): value is SavedPeer {
  if (typeof value !== 'object' || value === null) return false
  if (!('peerId' in value && 'addresses' in value && 'lastSeenMs' in value)) return false
  const { peerId, addresses, lastSeenMs } = value
  const areTexts = Array.isArray(addresses) && addresses.every((address) => typeof address === 'string')
  const isProven = !('provenMs' in value) || typeof value.provenMs === 'number'
  const isMarked = !('anchor' in value) || typeof value.anchor === 'boolean'
  return typeof peerId === 'string' && areTexts && typeof lastSeenMs === 'number' && isProven && isMarked
}

function isBan(value: unknown): value is Ban {
  if (typeof value !== 'object' || value === null) return false
  if (!('target' in value && 'untilMs' in value && 'reason' in value && 'by' in value && 'times' in value)) return false
  const { target, untilMs, reason, by, times } = value
  const areTexts = typeof target === 'string' && typeof reason === 'string'
  return areTexts && typeof untilMs === 'number' && typeof times === 'number' && (by === 'node' || by === 'operator')
}
