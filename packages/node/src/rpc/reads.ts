/**
 * Reading keys: as of which block or with which pending writes, how sure the answer is, and keys in order. Owns the choice of the block and the
 * words of an answer; what a block's state was is the chain's to know.
 */
import type { Params, Result } from '@kvchain/client/contract'
import { parseKey } from '@kvchain/client/operations'
import { toAddress } from '@kvchain/core/address'
import { compareBytes, equalBytes } from '@kvchain/core/bytes'
import { reversalProbability } from '@kvchain/core/certainty'
import type { Entry } from '@kvchain/core/entry'
import { applyTransaction, StateView } from '@kvchain/core/state'
import type { Transaction } from '@kvchain/core/transaction'
import { entryAt } from '../chain/entryAt.js'
import type { ChainNode } from '../chain/headerTree.js'
import { sha256 } from '../crypto/sodium.js'
import { hex, unhex } from '../runtime/hex.js'
import { AnswerError, chainChanged } from './answers.js'
import { invalid, keyText, parseKeyPart, placeOf, type ReadContext, tipRef, valueText, writersText } from './context.js'
import { noSuchHeight } from './prover.js'

type GetParams = Params<'kv_get'>

/** What an answer assumes of the attacker when the caller says nothing. */
export const DEFAULT_ATTACKER_SHARE = 0.1
const DEFAULT_SCAN = 100
/** A page of a scan ends once its values have so many bytes. */
const MAX_PAGE_BYTES = 1 << 20
/** How often a page is read again because the chain moved on meanwhile. */
const MAX_TRIES = 10

/** Throws AnswerError: `not-found`, `invalid-params`, `unavailable`. */
export async function readKey(context: ReadContext, params: GetParams): Promise<Result<'kv_get'>> {
  const { chain } = context
  const key = parseKey(params)
  await chain.consistent()
  if (params.pending === true) {
    const pending = readPending(context, key)
    if (pending !== undefined) return pendingText(context, params, pending)
  }
  const block = blockOf(context, params)
  const older = block && (await entryAt(chain.store, key, block.header.height))
  return chain.steady(() => {
    if (block !== undefined && !chain.isMain(block)) throw chainChanged()
    return entryText(context, params, key, block === undefined ? chain.store.entry(key) : older, block)
  })
}

function entryText(
  context: ReadContext,
  params: GetParams,
  key: Uint8Array,
  entry: Entry | undefined,
  block: ChainNode | undefined,
): Result<'kv_get'> {
  const { chain, prefix } = context
  if (entry === undefined || entry.deleted) throw notFound(context, entry, block)
  const { value, encoding } = valueText(chain.store.value(entry.valueDigest))
  if (value === null) throw new AnswerError('not-found', 'the value is no longer kept by this daemon')
  return {
    ...keyText(key, params.keyEncoding),
    value,
    encoding,
    version: entry.version,
    ...sureness(context, entry.height, params.attackerShare),
    ...ownerText(entry, prefix),
    txid: hex(entry.txid),
    valueDigest: hex(entry.valueDigest),
    tip: tipRef(chain),
  }
}

function sureness(context: ReadContext, height: number, attackerShare = DEFAULT_ATTACKER_SHARE) {
  const place = placeOf(context, height)
  return { ...place, reversal: { attackerShare, probability: reversalProbability(attackerShare, place.confirmations) } }
}

function ownerText(entry: Entry, prefix: string) {
  return { owner: toAddress(entry.owner, prefix), writers: writersText(entry.access, prefix) }
}

/** The block that a read is of; undefined for the tip, whichever that is. */
function blockOf(context: ReadContext, { height, hash, minConfirmations, pending }: GetParams): ChainNode | undefined {
  const { chain } = context
  const said = [height, hash, minConfirmations, pending].filter((choice) => choice !== undefined)
  if (said.length > 1) throw invalid('height', 'hash, minConfirmations and pending exclude one another')
  if (hash !== undefined) {
    const node = chain.tree.get(unhex(hash))
    if (node !== undefined && chain.isMain(node)) return node
    throw new AnswerError('not-found', node === undefined ? 'no such block' : 'the block is not on the main chain')
  }
  const at = minConfirmations === undefined ? height : chain.tip.header.height - minConfirmations + 1
  if (at === undefined) return undefined
  const node = at < 0 ? undefined : chain.nodeAt(at)
  if (node !== undefined) return node
  if (minConfirmations === undefined) throw noSuchHeight(at, chain.tip.header.height)
  throw new AnswerError('not-found', `no block has ${minConfirmations} confirmations yet`, { minConfirmations })
}

export function notFound({ chain }: ReadContext, deleted: Entry | undefined, block?: ChainNode): AnswerError {
  const { header, hash } = block ?? chain.tip
  const { height } = header
  const when = block === undefined ? '' : ` at height ${height}`
  const message =
    deleted === undefined
      ? `no such key${when}`
      : `the key was deleted${block === undefined ? '' : ` by height ${height}`}`
  return new AnswerError('not-found', message, { height, hash: hex(hash), deleted: deleted !== undefined })
}

// --- pending ---------------------------------------------------------------------------------------------------------

interface PendingVersion {
  readonly entry: Entry
  readonly transaction: Transaction
}

/** What the transactions that came through this daemon, and are in no block yet, make of a key; undefined when they do not touch it. */
function readPending({ chain, mempool }: ReadContext, key: Uint8Array): PendingVersion | undefined {
  const height = chain.tip.header.height + 1
  const touching = [...mempool.all()]
    .filter(({ local, transaction }) => local && touches(transaction, key))
    .sort((a, b) => a.order - b.order)
  const view = new StateView(chain.store)
  let last: Transaction | undefined
  for (const { transaction } of touching) {
    const { sender, accountNonce } = transaction.body
    // Those of the account that do not touch the key are not looked at.
    view.setAccount({ ...view.account(sender), nonce: accountNonce })
    if (transaction.body.fee > view.account(sender).balance) continue
    const { code } = applyTransaction(view, transaction, { params: chain.params, sha256, height })
    if (code === 'ok') last = transaction
  }
  const entry = view.entry(key)
  return last === undefined || entry === undefined ? undefined : { entry, transaction: last }
}

function touches({ body: { operations } }: Transaction, key: Uint8Array): boolean {
  return operations.some((operation) => operation.kind !== 'transfer' && equalBytes(operation.key, key))
}

function pendingText(
  context: ReadContext,
  { keyEncoding, attackerShare = DEFAULT_ATTACKER_SHARE }: GetParams,
  { entry, transaction }: PendingVersion,
): Result<'kv_get'> {
  if (entry.deleted) throw notFound(context, entry)
  const puts = transaction.body.operations.filter(({ kind }) => kind === 'put')
  const index = puts.findIndex((put) => put.kind === 'put' && equalBytes(put.valueDigest, entry.valueDigest))
  const { value, encoding } = valueText(transaction.values?.[index] ?? context.chain.store.value(entry.valueDigest))
  if (value === null) throw new AnswerError('not-found', 'the value is not kept by this daemon')
  return {
    ...keyText(entry.key, keyEncoding),
    value,
    encoding,
    version: entry.version,
    pending: true,
    confirmations: 0,
    settled: false,
    reversal: { attackerShare, probability: 1 },
    ...ownerText(entry, context.prefix),
    txid: hex(transaction.txid),
    valueDigest: hex(entry.valueDigest),
    tip: tipRef(context.chain),
  }
}

// --- in order --------------------------------------------------------------------------------------------------------

/** Throws AnswerError: `invalid-params`, `unavailable`. */
export async function scanKeys(context: ReadContext, params: Params<'kv_scan'>): Promise<Result<'kv_scan'>> {
  const { chain } = context
  const prefix = parseKeyPart('prefix', params.prefix ?? '', params.keyEncoding)
  const after = params.after === undefined ? undefined : parseKeyPart('after', params.after, params.keyEncoding)
  if (after !== undefined && compareBytes(after.subarray(0, prefix.length), prefix) !== 0) {
    throw invalid('after', 'does not begin with the prefix')
  }
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    await chain.consistent()
    const { tip } = chain
    const page = await readPage(context, params, prefix, after)
    if (!chain.isCommitting && chain.tip === tip) return page()
  }
  throw chainChanged()
}

/** The keys of a page; the entries are read, all in one go, when the result is called. */
async function readPage(
  context: ReadContext,
  params: Params<'kv_scan'>,
  prefix: Uint8Array,
  after: Uint8Array | undefined,
): Promise<() => Result<'kv_scan'>> {
  const { store } = context.chain
  const limit = params.limit ?? DEFAULT_SCAN
  const keys: Uint8Array[] = []
  // Of deleted keys a page may be full; they count, so that a page costs no more than its limit.
  for await (const key of store.keys(prefix, after)) {
    keys.push(key)
    if (keys.length > limit) break
  }
  return () => {
    const entries: Result<'kv_scan'>['entries'][number][] = []
    let bytes = 0
    let last: Uint8Array | undefined
    for (const key of keys.slice(0, limit)) {
      const entry = store.entry(key)
      if (entry === undefined) throw store.damage('a key of a scan has no entry')
      last = key
      if (entry.deleted && params.deleted !== true) continue
      bytes += key.length + (params.keysOnly === true ? 0 : entry.valueLength)
      entries.push(scannedText(context, entry, params))
      if (bytes >= MAX_PAGE_BYTES) break
    }
    const next = last === undefined || last === keys.at(-1) ? {} : { next: keyText(last, params.keyEncoding) }
    return { entries, ...next, tip: tipRef(context.chain) }
  }
}

function scannedText(context: ReadContext, entry: Entry, { keyEncoding, keysOnly }: Params<'kv_scan'>) {
  const { chain, prefix } = context
  const value = entry.deleted || keysOnly === true ? undefined : chain.store.value(entry.valueDigest)
  return {
    ...keyText(entry.key, keyEncoding),
    ...(entry.deleted ? { deleted: true as const } : {}),
    ...(value === undefined ? {} : requireText(valueText(value))),
    version: entry.version,
    height: entry.height,
    confirmations: chain.tip.header.height - entry.height + 1,
    owner: toAddress(entry.owner, prefix),
    txid: hex(entry.txid),
  }
}

function requireText({ value, encoding }: ReturnType<typeof valueText>) {
  return value === null ? {} : { value, encoding }
}
