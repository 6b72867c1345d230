/**
 * Read, change, write, and again if somebody else was faster: compare-and-set as a loop. Owns the loop and when to give up; the comparison itself
 * is the chain's.
 */
import type { KvEntry } from './contract/kv.js'
import type { TxStatus } from './contract/tx.js'
import { ClientError, RpcError } from './errors.js'
import type { KvClient, WaitOptions } from './kvClient.js'
import type { KeyLike } from './requests.js'

export interface UpdateOptions extends WaitOptions {
  /** How often to try. Default 10. */
  readonly attempts?: number
}

const DEFAULT_ATTEMPTS = 10

/**
 * Writes what `change` makes of a key's present value, and waits until that is confirmed; begins again when the key changed meanwhile. Undefined
 * stands for no value; a change to undefined writes nothing. Throws RpcError, and ClientError `busy` when every attempt lost.
 *
 * @example
 * await update(client, 'config', (old) => JSON.stringify({ ...JSON.parse(old ?? '{}'), on: true }))
 */
export async function update(
  client: KvClient,
  key: KeyLike,
  change: (value: string | undefined) => string | undefined | Promise<string | undefined>,
  options: UpdateOptions = {},
): Promise<TxStatus | undefined> {
  const { attempts = DEFAULT_ATTEMPTS, ...wait } = options
  for (let attempt = 0; attempt < attempts; attempt++) {
    const entry = await client.get(key, { pending: true })
    const value = await change(entry === undefined ? undefined : textOf(entry))
    if (value === undefined) return undefined
    const expect = entry === undefined ? ({ absent: true } as const) : { version: entry.version }
    try {
      const { txid } = await client.put(key, value, { expect })
      return await client.waitFor(txid, wait)
    } catch (error) {
      if (!isLost(error)) throw error
    }
  }
  throw new ClientError('busy', `the key changed ${attempts} times while it was to be changed`, { attempts })
}

/**
 * Adds to a number that is kept under a key, 0 when there is none. Resolves with what it came to, once that is confirmed. Throws as update does,
 * and ClientError `bad-params` when the key holds no whole number.
 */
export async function increment(
  client: KvClient,
  key: KeyLike,
  by: number = 1,
  options: UpdateOptions = {},
): Promise<number> {
  let sum = 0
  const add = (value: string | undefined) => {
    if (value !== undefined && !/^-?\d{1,16}$/.test(value)) {
      throw new ClientError('bad-params', 'the key holds no whole number', { field: 'key' })
    }
    sum = Number(value ?? 0) + by
    if (!Number.isSafeInteger(sum)) throw new ClientError('bad-params', 'the sum is too large', { field: 'by' })
    return String(sum)
  }
  await update(client, key, add, options)
  return sum
}

/** Whether an expectation was not met: at the daemon's door, or in a block. */
function isLost(error: unknown): boolean {
  return error instanceof RpcError && error.data.rule === 'expectation-failed'
}

function textOf({ value, encoding }: KvEntry): string {
  if (encoding !== 'utf8') throw new ClientError('bad-params', 'the value under the key is no text', { field: 'key' })
  return value
}
