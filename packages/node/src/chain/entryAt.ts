/** What a key held at an older height, from the records of its versions. Owns the search; that a record is whole is the store's to see. */
import type { Entry } from '@kvchain/core/entry'
import type { ChainStore } from '../store/chainStore.js'

/**
 * The newest version of a key that was made at a height or below; undefined when there was none yet. Versions count from 1 without a gap and
 * their heights never fall, so it takes a few reads however many there are.
 */
export async function entryAt(store: ChainStore, key: Uint8Array, height: number): Promise<Entry | undefined> {
  const latest = store.entry(key)
  if (latest === undefined || latest.height <= height) return latest
  let found: Entry | undefined
  // `low` was made by that height (0 stands for none), `high` was not.
  let [low, high] = [0, latest.version]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    const [entry] = await store.versions(key, middle + 1, 1)
    if (entry !== undefined && entry.height <= height) [low, found] = [middle, entry]
    else high = middle
  }
  return found
}
