/** Reorgs that this node saw, the last so many. Owns their numbering; what a reorg is, is the chain's to say. */
import { fromUtf8 } from '@kvchain/core/bytes'
import { Batch } from './batch.js'
import type { Database } from './database.js'
import { recordKey } from './schema.js'

/** A version that a reorg took from a key. */
export interface LostVersion {
  /** In hexadecimal. */
  readonly key: string
  readonly version: number
  readonly txid: string
  /** The transaction that made this version of the key in the new branch, if one did. */
  readonly replacedBy?: string
}

/** A reorg, once it was over. Hashes in hexadecimal. */
export interface Reorg {
  /** From 1, in the order in which this node saw them. */
  readonly number: number
  readonly timeMs: number
  /** Blocks that left the main chain. */
  readonly depth: number
  readonly fork: { readonly height: number; readonly hash: string }
  readonly from: { readonly height: number; readonly hash: string }
  readonly to: { readonly height: number; readonly hash: string }
  /** Whether it was as deep as the alarm is set. */
  readonly alarm: boolean
  /** Versions that the new branch has not, or not by the same transaction: the first so many. */
  readonly lost: readonly LostVersion[]
  /** How many there were in all. */
  readonly lostCount: number
}

const KEPT = 1_000

export class ReorgLog {
  private last: number | undefined

  constructor(private readonly database: Database) {}

  /** Keeps a reorg, and forgets the oldest beyond the last 1,000. */
  async add(reorg: Omit<Reorg, 'number'>): Promise<Reorg> {
    this.last ??= (await this.list(1)).at(0)?.number ?? 0
    const numbered = { number: ++this.last, ...reorg }
    const batch = new Batch().put(recordKey.reorg(numbered.number), fromUtf8(JSON.stringify(numbered)))
    if (numbered.number > KEPT) batch.delete(recordKey.reorg(numbered.number - KEPT))
    await this.database.write(batch, { sync: true })
    return numbered
  }

  /** The newest first, of those before `before`. */
  async list(limit: number, before: number = 2 ** 32 - 1): Promise<Reorg[]> {
    const range = { gte: recordKey.reorg(0), lt: recordKey.reorg(before) }
    const records = await this.database.readRange(range)
    return records
      .slice(-limit)
      .reverse()
      .map(({ content }) => JSON.parse(new TextDecoder().decode(content)))
  }
}
