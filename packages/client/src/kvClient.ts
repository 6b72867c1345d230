/**
 * The client of a kvchain daemon: every method of the contract, typed, and friendly names for the common ones. Owns the checks at
 * this end: parameters before they are sent, answers before they are believed. Not the transport.
 *
 * @example
 * const client = new KvClient(new UnixTransport({ path: defaultSocketPath('/home/me/.kvchain/dev') }))
 * const { txid } = await client.put('greeting', 'hello world')
 * await client.waitFor(txid)
 * console.log((await client.get('greeting'))?.value) // hello world
 * await client.close()
 */

import { concatBytes } from '@kvchain/core/bytes'
import type { ChainBlock, ChainReorg } from './contract/chain.js'
import type { CoinBalance } from './contract/coin.js'
import type { BatchOperation, KvEntry, KvHistory, KvScanned } from './contract/kv.js'
import type { NetPeer } from './contract/net.js'
import type { NodeStatus } from './contract/node.js'
import { type KvProof, MAX_HEADERS } from './contract/proof.js'
import type { AccessChange, Expect, Receipt } from './contract/schemas.js'
import type { TxDetail, TxState, TxStatus } from './contract/tx.js'
import type { KvEvents } from './contract/watch.js'
import type { MethodName, Params, Result } from './contract.js'
import { ClientError, RpcError } from './errors.js'
import {
  type BatchAnswer,
  type BatchCall,
  fromBase64,
  heightParam,
  type KeyLike,
  keyParams,
  prefixParams,
  requireParams,
  requireResult,
  toBatchAnswer,
  toBytes,
  valueParams,
  writeParams,
} from './requests.js'
import { decodeText, encodeText } from './text.js'
import type { CallOptions, Transport } from './transport.js'

export interface RawOptions extends CallOptions {
  /** With the bytes themselves, in hex. */
  readonly raw?: boolean | undefined
}

export interface TermOptions extends CallOptions {
  readonly fee?: number
  /** Blocks: in none of the next so many, and the write expires. Without end when left out. */
  readonly validFor?: number
}

export interface WriteOptions extends TermOptions {
  /** The write happens only if this holds when its turn comes; else it fails, and says so. */
  readonly expect?: Expect
}

export interface PutOptions extends WriteOptions {
  /** Who may write the key from now on. */
  readonly access?: AccessChange
}

export interface ReadOptions extends CallOptions {
  /** As of this height; as of the tip when left out. */
  readonly height?: number
}

/** Of height, hash, minConfirmations and pending, one at most. */
export interface GetOptions extends ReadOptions {
  /** As of this block of the main chain. */
  readonly hash?: string
  /** As of the newest block that has so many. */
  readonly minConfirmations?: number
  /** With the writes that this daemon has taken on and no block has yet. */
  readonly pending?: boolean
  /** For `reversal`: of the whole hash rate, 0 to 1. */
  readonly attackerShare?: number
}

export interface ScanOptions extends CallOptions {
  readonly keysOnly?: boolean
  readonly deleted?: boolean
  /** Only keys that come after this one. */
  readonly after?: KeyLike
  /** Keys in one answer of the daemon. */
  readonly pageSize?: number
}

export interface WatchOptions extends CallOptions {
  /** Where an earlier watch had got to. */
  readonly cursor?: string
  /** From this block on; from the tip when neither it nor a cursor is given. */
  readonly fromHeight?: number
  readonly values?: boolean
  /** Tell which versions settle, too. */
  readonly settled?: boolean
}

/** What a watch tells: events that belong together, and the cursor after them. */
export type WatchPage = Pick<KvEvents, 'events' | 'cursor'>

export interface ProveOptions extends ReadOptions {
  /** With every version up to the height. */
  readonly history?: boolean
  /** false: with the digests of values alone. */
  readonly values?: boolean
  /** With every header from genesis on: then the whole chain of headers is in the proof. */
  readonly fromGenesis?: boolean
}

/** A proof file and what it is about, as the daemon says. What it proves is for verifyProofFile (core) to say. */
export interface Proof extends Omit<KvProof, 'proof' | 'missing'> {
  readonly file: Uint8Array
}

export interface WaitOptions extends CallOptions {
  /** Default 1. */
  readonly confirmations?: number
}

/** A wait without end asks again this often. */
const WAIT_TURN_MS = 60_000
/** An answer to a watch that has nothing to tell comes after this long. */
const WATCH_TURN_MS = 30_000
/** How much longer than the daemon the client waits for the daemon's own `timed-out`. */
const WAIT_MARGIN_MS = 5_000

export class KvClient {
  constructor(private readonly transport: Transport) {}

  /**
   * Calls any method of the contract. Throws RpcError when the daemon answers with an error, ClientError when it does not answer.
   *
   * @example
   * const tip = await client.call('chain_tip', {})
   */
  async call<M extends MethodName>(method: M, params: Params<M>, options: CallOptions = {}): Promise<Result<M>> {
    requireParams(method, params)
    return requireResult(method, await this.transport.request({ method, params }, options))
  }

  /**
   * Sends several calls as one message; each gets its own answer, in the order of the calls.
   *
   * @example
   * await client.batch([{ method: 'kv_get', params: { key: 'a' } }, { method: 'chain_tip', params: {} }])
   */
  async batch(calls: readonly BatchCall[], options: CallOptions = {}): Promise<BatchAnswer[]> {
    for (const call of calls) requireParams(call.method, call.params)
    const answers = await this.transport.batch(calls, options)
    return calls.map((call, index) => toBatchAnswer(call.method, answers[index]))
  }

  /**
   * Writes a value. The receipt says that the daemon has it for good; `waitFor` says when it is confirmed.
   *
   * @example
   * await client.put('config', '{}', { expect: { absent: true } }) // only if there is none
   * await client.put(new Uint8Array([1, 2]), new Uint8Array([255])) // any bytes
   */
  put(key: KeyLike, value: string | Uint8Array, options: PutOptions = {}): Promise<Receipt> {
    const { access, ...write } = options
    return this.call(
      'kv_put',
      { ...keyParams(key), ...valueParams(value), ...writeParams(write), ...(access === undefined ? {} : { access }) },
      options,
    )
  }

  /** Reads a key as of the tip or of an older height; undefined when it is absent or deleted there. */
  async get(key: KeyLike, options: GetOptions = {}): Promise<KvEntry | undefined> {
    const { timeoutMs: _timeout, signal: _signal, ...choice } = options
    try {
      return await this.call('kv_get', { ...keyParams(key), ...choice }, options)
    } catch (error) {
      if (error instanceof RpcError && error.code === 'not-found') return undefined
      throw error
    }
  }

  /**
   * A page of a key's versions, newest first.
   *
   * @example
   * const page = await client.history('config', { limit: 10 })
   * const next = await client.history('config', { limit: 10, before: page.versions.at(-1)?.version ?? 1 })
   */
  history(
    key: KeyLike,
    options: CallOptions & { readonly limit?: number; readonly before?: number } = {},
  ): Promise<KvHistory> {
    const { limit, before } = options
    const page = { ...(limit === undefined ? {} : { limit }), ...(before === undefined ? {} : { before }) }
    return this.call('kv_history', { ...keyParams(key), ...page }, options)
  }

  /**
   * A proof of what a key holds, to be kept or handed on: whoever has it can check it without a daemon.
   *
   * @example
   * const { file } = await client.prove('config')
   * const report = verifyProofFile(sha256, file, { expectedGenesis }) // @kvchain/core/proof
   */
  async prove(key: KeyLike, options: ProveOptions = {}): Promise<Proof> {
    const { history, values, fromGenesis } = options
    const params = {
      ...keyParams(key),
      ...heightParam(options),
      ...(history === undefined ? {} : { history }),
      ...(values === undefined ? {} : { values }),
      ...(fromGenesis === undefined ? {} : { fromGenesis }),
    }
    const { proof, missing, ...about } = await this.call('kv_prove', params, options)
    const parts = [fromBase64(proof)]
    const end = missing === undefined ? 0 : missing.from + missing.count
    for (let from = missing?.from ?? 0; from < end; ) {
      const page = { from, count: Math.min(MAX_HEADERS, end - from), tip: about.tip.hash }
      const { headers, count } = await this.call('chain_headers', page, options)
      if (count === 0) throw new ClientError('bad-answer', 'the daemon has lost headers of its own proof')
      parts.push(fromBase64(headers))
      from += count
    }
    const file = concatBytes(parts)
    if (file.length !== about.size) throw new ClientError('bad-answer', 'the daemon’s proof is not of the size it says')
    return { ...about, file }
  }

  /**
   * Several operations as one transaction: all of them, or none.
   *
   * @example
   * await client.atomic([{ op: 'put', key: 'a', value: '1', expect: { absent: true } }, { op: 'delete', key: 'b' }])
   */
  atomic(operations: readonly BatchOperation[], options: TermOptions = {}): Promise<Receipt> {
    return this.call('kv_batch', { operations: [...operations], ...writeParams(options) }, options)
  }

  /** Changes who may write a key, or hands it over. */
  access(
    key: KeyLike,
    change: { readonly owner?: string; readonly access?: AccessChange },
    options: WriteOptions = {},
  ): Promise<Receipt> {
    return this.call('kv_access', { ...keyParams(key), ...change, ...writeParams(options) }, options)
  }

  /**
   * Every key with a prefix, in the order of their bytes, as of the tip. Pages are asked for as they are needed.
   *
   * @example
   * for await (const { key, value } of client.scan('users/')) console.log(key, value)
   */
  async *scan(prefix: KeyLike, options: ScanOptions = {}): AsyncGenerator<KvScanned> {
    const { keysOnly, deleted, pageSize } = options
    const isText = typeof prefix === 'string' && (options.after === undefined || typeof options.after === 'string')
    const keyEncoding = isText ? 'utf8' : 'hex'
    const bytesText = (key: KeyLike) => (isText ? String(key) : (encodeText(toBytes(key), 'hex') ?? ''))
    let after = options.after === undefined ? undefined : bytesText(options.after)
    for (;;) {
      const params = {
        prefix: bytesText(prefix),
        keyEncoding,
        ...(after === undefined ? {} : { after }),
        ...(keysOnly === undefined ? {} : { keysOnly }),
        ...(deleted === undefined ? {} : { deleted }),
        ...(pageSize === undefined ? {} : { limit: pageSize }),
      } as const
      const page = await this.call('kv_scan', params, options)
      yield* page.entries
      if (page.next === undefined) return
      // A key that is no text stops a scan of texts: the rest is asked for in hexadecimal.
      if (page.next.keyEncoding !== keyEncoding) {
        const rest = { ...options, after: decodeText(page.next.key, page.next.keyEncoding) ?? new Uint8Array() }
        yield* this.scan(toBytes(prefix), rest)
        return
      }
      after = page.next.key
    }
  }

  /**
   * What happens to the keys with a prefix, or to one key: without a gap, across restarts of the daemon and reorgs. Ends when the signal
   * aborts; a daemon that is away ends it with ClientError, and the cursor of the last page goes on from there.
   *
   * @example
   * for await (const { events, cursor } of client.watch({ prefix: 'users/' })) for (const event of events) console.log(event)
   */
  async *watch(
    what: { readonly key: KeyLike } | { readonly prefix: KeyLike },
    options: WatchOptions = {},
  ): AsyncGenerator<WatchPage> {
    const { timeoutMs: _timeout, signal, cursor: _cursor, fromHeight, ...wanted } = options
    const target = 'key' in what ? keyParams(what.key) : prefixParams(what.prefix)
    const call = { timeoutMs: WATCH_TURN_MS + WAIT_MARGIN_MS, ...(signal === undefined ? {} : { signal }) }
    let cursor = options.cursor
    while (signal?.aborted !== true) {
      const begin = cursor !== undefined ? { cursor } : fromHeight !== undefined ? { fromHeight } : {}
      // The first answer comes at once, so that the caller has a cursor from which nothing is missed.
      const timeoutMs = cursor === undefined ? 0 : WATCH_TURN_MS
      const page = await this.call('kv_watch', { ...target, ...wanted, ...begin, timeoutMs }, call)
      if (page.events.length > 0 || page.cursor !== cursor) yield { events: page.events, cursor: page.cursor }
      cursor = page.cursor
    }
  }

  /**
   * The life of a transaction, a state at a time, until it is settled or dropped.
   *
   * @example
   * for await (const { status, settled } of client.follow(txid)) console.log(status, settled)
   */
  async *follow(txid: string, options: CallOptions = {}): AsyncGenerator<TxState> {
    const { signal } = options
    const call = { timeoutMs: WATCH_TURN_MS + WAIT_MARGIN_MS, ...(signal === undefined ? {} : { signal }) }
    let seen: string | undefined
    while (signal?.aborted !== true) {
      const params = { txid, timeoutMs: WATCH_TURN_MS, ...(seen === undefined ? {} : { seen }) }
      const state = await this.call('tx_follow', params, call)
      if (state.state !== seen) yield state
      if (state.final || state.status === 'unknown') return
      seen = state.state
    }
  }

  /** The reorgs that the daemon saw, newest first. */
  async reorgs(options: CallOptions & { readonly limit?: number } = {}): Promise<ChainReorg[]> {
    return (await this.call('chain_reorgs', options.limit === undefined ? {} : { limit: options.limit }, options))
      .reorgs
  }

  /** Deletes a key; its history stays. */
  delete(key: KeyLike, options: WriteOptions = {}): Promise<Receipt> {
    return this.call('kv_delete', { ...keyParams(key), ...writeParams(options) }, options)
  }

  /** Sends coins from the daemon's account. */
  send(to: string, amount: number, options: TermOptions = {}): Promise<Receipt> {
    return this.call('coin_send', { to, amount, ...writeParams(options) }, options)
  }

  /** The coins of an account, by default the daemon's. */
  balance(address?: string, options: CallOptions = {}): Promise<CoinBalance> {
    return this.call('coin_balance', address === undefined ? {} : { address }, options)
  }

  status(options: CallOptions = {}): Promise<NodeStatus> {
    return this.call('node_status', {}, options)
  }

  async peers(options: CallOptions = {}): Promise<NetPeer[]> {
    return (await this.call('net_peers', {}, options)).peers
  }

  /**
   * A block by height or hash; the tip when neither is given.
   *
   * @example
   * await client.block(0) // genesis
   */
  block(which?: number | string, { raw, ...options }: RawOptions = {}): Promise<ChainBlock> {
    const place = which === undefined ? {} : typeof which === 'number' ? { height: which } : { hash: which }
    return this.call('chain_block', { ...place, ...(raw === undefined ? {} : { raw }) }, options)
  }

  /** A transaction with its operations and where it is in its life. */
  tx(txid: string, { raw, ...options }: RawOptions = {}): Promise<TxDetail> {
    return this.call('tx_get', { txid, ...(raw === undefined ? {} : { raw }) }, options)
  }

  /**
   * Resolves once a transaction did what it says and has its confirmations. Throws RpcError `failed` when that can never be, with
   * data.status, and data.rule when a rule forbade it; `timed-out` when options.timeoutMs passes first.
   */
  async waitFor(txid: string, options: WaitOptions = {}): Promise<TxStatus> {
    const { confirmations = 1, timeoutMs = WAIT_TURN_MS, signal } = options
    const call = { timeoutMs: timeoutMs + WAIT_MARGIN_MS, ...(signal === undefined ? {} : { signal }) }
    for (;;) {
      try {
        return requireConfirmed(await this.call('tx_wait', { txid, confirmations, timeoutMs }, call))
      } catch (error) {
        const again = error instanceof RpcError && error.code === 'timed-out' && options.timeoutMs === undefined
        if (!again) throw error
      }
    }
  }

  /** Asks the daemon to stop. It has begun to when this resolves. */
  async stop(options: CallOptions = {}): Promise<void> {
    await this.call('node_stop', {}, options)
  }

  /** Ends the connection. */
  close(): Promise<void> {
    return this.transport.close()
  }
}

/** Returns the status of a transaction that did what it says; throws RpcError `failed` for one that never will. */
export function requireConfirmed(status: TxStatus): TxStatus {
  if (status.status === 'confirmed' || status.status === 'pending') return status
  const { txid, outcome, reason } = status
  const why = outcome === undefined ? (reason ?? status.status) : outcome.code
  throw new RpcError('failed', `the transaction ${status.status === 'failed' ? 'failed' : 'is lost'}: ${why}`, {
    name: 'failed',
    txid,
    status: status.status,
    ...(outcome === undefined ? {} : { rule: outcome.code }),
    ...(outcome?.operation === undefined ? {} : { operation: outcome.operation }),
    ...(reason === undefined ? {} : { reason }),
  })
}
