/**
 * The table of REST routes: for each path the method of the contract behind it, and what it takes by path, query, header and body. Server
 * and OpenAPI document are both made from it, so that they cannot disagree. Owns names and shapes only; parameters that are the method's
 * own have its names and its schemas.
 */

import { CONTRACT, type MethodName } from '@kvchain/client/contract'
import { Hash, Positive } from '@kvchain/client/contract/schemas'

export type Verb = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** How a route comes to its answer. `plain`: the method's parameters in, its result out; `write`: the same, and a wait if asked for. */
export type RouteKind = 'plain' | 'entry' | 'put' | 'write' | 'block' | 'status' | 'submit'

/** A parameter that is HTTP's own, with its JSON schema. */
export interface Extra {
  readonly schema: object
  readonly description: string
}

export interface Route {
  /** Of the operation, for generated clients. */
  readonly id: string
  readonly verb: Verb
  /** A name in braces is one part of the path, percent-encoded. */
  readonly path: string
  readonly kind: RouteKind
  readonly method: MethodName
  /** In place of the method's own. */
  readonly summary?: string
  /** The method's parameters that path and query take. */
  readonly params: readonly string[]
  /** The method's parameters that a body of JSON takes. */
  readonly body?: readonly string[]
  readonly extras?: Readonly<Record<string, Extra>>
}

const { confirmations, timeoutMs } = CONTRACT.tx_wait.params.properties

/** A wait without end would hold a connection. */
export const DEFAULT_WAIT_MS = 60_000

const waiting = {
  wait: { schema: confirmations, description: 'answer when the transaction has as many confirmations, or never can' },
  timeoutMs: { schema: timeoutMs, description: `how long to wait, ${DEFAULT_WAIT_MS} when left out` },
}

const expecting = {
  ifAbsent: { schema: { type: 'boolean' }, description: 'write only if the key holds nothing; also If-None-Match: *' },
  ifVersion: { schema: Positive, description: 'write only if the key is at this version; also If-Match: "VERSION"' },
  ifDigest: { schema: Hash, description: 'write only if the value has this digest' },
}

const key = ['key', 'keyEncoding']
const paying = ['fee', 'validFor']

export const ROUTES: readonly Route[] = [
  {
    id: 'kv_get',
    verb: 'GET',
    path: '/v1/kv/{key}',
    kind: 'entry',
    method: 'kv_get',
    params: [...key, 'height', 'hash', 'minConfirmations', 'pending', 'attackerShare'],
  },
  {
    id: 'kv_put',
    verb: 'PUT',
    path: '/v1/kv/{key}',
    kind: 'put',
    method: 'kv_put',
    params: [...key, ...paying],
    extras: {
      ...expecting,
      access: {
        schema: { type: 'string' },
        description: 'who may write the key from now on: keep, private, open, or addresses separated by commas',
      },
      ...waiting,
    },
  },
  {
    id: 'kv_delete',
    verb: 'DELETE',
    path: '/v1/kv/{key}',
    kind: 'write',
    method: 'kv_delete',
    params: [...key, ...paying],
    extras: { ...expecting, ...waiting },
  },
  {
    id: 'kv_access',
    verb: 'PUT',
    path: '/v1/kv/{key}/access',
    kind: 'write',
    method: 'kv_access',
    params: [...key, ...paying],
    body: ['owner', 'access'],
    extras: { ...expecting, ...waiting },
  },
  {
    id: 'kv_batch',
    verb: 'POST',
    path: '/v1/batch',
    kind: 'write',
    method: 'kv_batch',
    params: paying,
    body: ['operations'],
    extras: waiting,
  },
  {
    id: 'kv_scan',
    verb: 'GET',
    path: '/v1/scan',
    kind: 'plain',
    method: 'kv_scan',
    params: ['prefix', 'after', 'keyEncoding', 'limit', 'keysOnly', 'deleted'],
  },
  {
    id: 'kv_history',
    verb: 'GET',
    path: '/v1/kv/{key}/history',
    kind: 'plain',
    method: 'kv_history',
    params: [...key, 'limit', 'before'],
  },
  {
    id: 'kv_prove',
    verb: 'GET',
    path: '/v1/kv/{key}/proof',
    kind: 'plain',
    method: 'kv_prove',
    params: [...key, 'height', 'history', 'values', 'fromGenesis'],
  },
  {
    id: 'chain_block',
    verb: 'GET',
    path: '/v1/blocks/{block}',
    kind: 'block',
    method: 'chain_block',
    summary: 'A block by height or by hash, or the tip.',
    params: ['raw'],
    extras: { block: { schema: { type: 'string' }, description: 'tip, a height, or a hash' } },
  },
  {
    id: 'chain_headers',
    verb: 'GET',
    path: '/v1/headers',
    kind: 'plain',
    method: 'chain_headers',
    params: ['from', 'count', 'tip'],
  },
  {
    id: 'chain_reorgs',
    verb: 'GET',
    path: '/v1/reorgs',
    kind: 'plain',
    method: 'chain_reorgs',
    params: ['limit', 'before'],
  },
  {
    id: 'tx_submit',
    verb: 'POST',
    path: '/v1/tx',
    kind: 'submit',
    method: 'tx_submit',
    params: [],
    body: ['transaction'],
  },
  {
    id: 'tx_pending',
    verb: 'GET',
    path: '/v1/tx',
    kind: 'plain',
    method: 'tx_pending',
    params: ['sender', 'limit'],
  },
  { id: 'tx_get', verb: 'GET', path: '/v1/tx/{txid}', kind: 'plain', method: 'tx_get', params: ['txid', 'raw'] },
  {
    id: 'tx_status',
    verb: 'GET',
    path: '/v1/tx/{txid}/status',
    kind: 'status',
    method: 'tx_status',
    params: ['txid'],
    extras: waiting,
  },
  {
    id: 'tx_follow',
    verb: 'GET',
    path: '/v1/tx/{txid}/follow',
    kind: 'plain',
    method: 'tx_follow',
    params: ['txid', 'seen', 'timeoutMs'],
  },
  {
    id: 'coin_send',
    verb: 'POST',
    path: '/v1/send',
    kind: 'write',
    method: 'coin_send',
    params: paying,
    body: ['to', 'amount'],
    extras: waiting,
  },
  {
    id: 'coin_fee',
    verb: 'GET',
    path: '/v1/fee',
    kind: 'plain',
    method: 'coin_fee',
    params: ['size', 'blocks'],
  },
  {
    id: 'coin_balance',
    verb: 'GET',
    path: '/v1/balance',
    kind: 'plain',
    method: 'coin_balance',
    summary: 'The coins of this daemon’s account.',
    params: [],
  },
  {
    id: 'coin_balance_of',
    verb: 'GET',
    path: '/v1/balance/{address}',
    kind: 'plain',
    method: 'coin_balance',
    summary: 'The coins of an account.',
    params: ['address'],
  },
  { id: 'node_status', verb: 'GET', path: '/v1/status', kind: 'plain', method: 'node_status', params: [] },
  { id: 'net_peers', verb: 'GET', path: '/v1/peers', kind: 'plain', method: 'net_peers', params: [] },
  { id: 'net_bans', verb: 'GET', path: '/v1/bans', kind: 'plain', method: 'net_bans', params: [] },
  {
    id: 'net_ban',
    verb: 'PUT',
    path: '/v1/bans/{target}',
    kind: 'plain',
    method: 'net_ban',
    params: ['target', 'seconds', 'reason'],
  },
  {
    id: 'net_unban',
    verb: 'DELETE',
    path: '/v1/bans/{target}',
    kind: 'plain',
    method: 'net_unban',
    params: ['target'],
  },
  { id: 'rpc_discover', verb: 'GET', path: '/v1/openrpc.json', kind: 'plain', method: 'rpc.discover', params: [] },
]

/** Streams of events: what kv_watch tells, page after page; and how the tip moves. */
export const EVENT_ROUTES = {
  keys: {
    id: 'kv_events',
    verb: 'GET',
    path: '/v1/events',
    kind: 'plain',
    method: 'kv_watch',
    summary: 'What happens to a key, or to all keys with a prefix, as server-sent events.',
    params: ['key', 'prefix', 'keyEncoding', 'cursor', 'fromHeight', 'values', 'settled'],
  },
  tips: {
    id: 'tip_events',
    verb: 'GET',
    path: '/v1/events/tips',
    kind: 'plain',
    method: 'chain_tip',
    summary:
      'How the tip moves, as server-sent events; reorgDepth is the number of blocks that were told of and are gone.',
    params: [],
  },
} as const satisfies Record<string, Route>

/** Whether a parameter is a part of the route's path. */
export function isInPath({ path }: Route, name: string): boolean {
  return path.includes(`{${name}}`)
}

/** The schema that the contract has for a parameter of a route's method, if it has one. */
export function paramSchema({ method }: Route, name: string): object | undefined {
  const properties: Readonly<Record<string, object>> = CONTRACT[method].params.properties
  return Object.hasOwn(properties, name) ? properties[name] : undefined
}

/** A text as its schema has it; when it cannot be, it stays a text, and whoever checks says what is wrong. */
export function fromText(schema: object | undefined, text: unknown): unknown {
  if (typeof text !== 'string' || schema === undefined || !('type' in schema)) return text
  if (schema.type === 'number' && /^\d{1,16}(?:\.\d{1,16})?$/.test(text)) return Number(text)
  if (schema.type === 'integer' && /^\d{1,16}$/.test(text)) return Number(text)
  if (schema.type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}
