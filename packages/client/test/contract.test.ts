/**
 * The contract table and the OpenRPC document made from it:
 * 1. every method is described, closed to unknown fields, and its schema is plain JSON;
 * 2. the document follows the OpenRPC 1.3 rules for names, parameters, results and errors;
 * 3. checks of parameters and answers: what passes, what is said of what does not;
 * 4. the error table: codes are distinct, names and codes lead to each other, every one exits as documented.
 */
import {
  CONTRACT,
  checkParams,
  checkResult,
  isMethodName,
  METHOD_NAMES,
  type MethodName,
} from '@kvchain/client/contract'
import { EXAMPLES } from '@kvchain/client/contract/examples'
import { ClientError, exitCodeOf, RpcError, toErrorData } from '@kvchain/client/errors'
import { openRpcDocument } from '@kvchain/client/openrpc'
import { isRpcErrorName, RPC_ERRORS, type RpcErrorName, rpcErrorName } from '@kvchain/client/rpcErrors'
import { describe, expect, test } from 'vitest'

const HASH = 'ab'.repeat(32)
const ERROR_NAMES = Object.keys(RPC_ERRORS).filter(isRpcErrorName)

describe('the table', () => {
  test('has the methods of the surface', () => {
    expect([...METHOD_NAMES].sort()).toEqual(
      [
        'chain_block chain_headers chain_reorgs chain_tip coin_balance coin_fee coin_send kv_access kv_batch kv_delete kv_get',
        'kv_history kv_prove kv_put kv_scan kv_watch net_ban net_bans net_peers net_unban node_backup node_status node_stop rpc.discover',
        'tx_follow tx_get tx_pending tx_status tx_submit tx_wait',
      ]
        .join(' ')
        .split(' '),
    )
    expect(isMethodName('toString')).toBe(false)
    expect(isMethodName('__proto__')).toBe(false)
  })

  test.each(METHOD_NAMES)('%s is described and closed', (method) => {
    const spec = CONTRACT[method]
    expect(spec.summary).toMatch(/^[A-Z].*\.$/)
    expect(spec.params).toMatchObject({ type: 'object', additionalProperties: false })
    expect(JSON.parse(JSON.stringify(spec.result))).toEqual(spec.result)
  })

  test.each(METHOD_NAMES)('%s has an example that it would take and answer', (method) => {
    const { params, result } = EXAMPLES[method]
    expect(checkParams(method, params)).toEqual({ ok: true, value: params })
    // The very same: nothing in it is unknown and was taken out.
    expect(checkResult(method, result)).toEqual({ ok: true, value: result })
  })
})

describe('the OpenRPC document', () => {
  const document: unknown = JSON.parse(JSON.stringify(openRpcDocument('1.2.3')))

  test('has the fields that OpenRPC 1.3 demands, and nothing else', () => {
    expect(document).toMatchObject({ openrpc: '1.3.2', info: { title: 'kvchain', version: '1.2.3' } })
    expect(Object.keys(document as object).sort()).toEqual(['info', 'methods', 'openrpc'])
    expect(checkResult('rpc.discover', document).ok).toBe(true)
  })

  test('describes each method once: named parameters with schemas, a result, errors with distinct codes', () => {
    const { methods } = document as { methods: Record<string, unknown>[] }
    expect(methods.map((method) => method.name)).toEqual(METHOD_NAMES)
    for (const method of methods) {
      expect(method).toMatchObject({ paramStructure: 'by-name', result: { name: expect.any(String), schema: {} } })
      const params = method.params as { name: string; required: boolean; schema: object }[]
      expect(new Set(params.map((param) => param.name)).size).toBe(params.length)
      for (const param of params) {
        expect(param).toEqual(expect.objectContaining({ required: expect.any(Boolean), schema: expect.any(Object) }))
      }
      const errors = method.errors as { code: number; message: string }[]
      expect(new Set(errors.map((error) => error.code)).size).toBe(errors.length)
      for (const error of errors) expect(rpcErrorName(error.code)).toBeDefined()
    }
    const putParams = methods.find((method) => method.name === 'kv_put')?.params as {
      name: string
      required: boolean
    }[]
    const required = putParams.filter((param) => param.required)
    expect(required.map((param) => param.name)).toEqual(['key', 'value'])
  })
})

describe('parameters', () => {
  const good: [MethodName, unknown][] = [
    ['kv_put', { key: 'k', value: '' }],
    ['kv_put', { key: '00', keyEncoding: 'hex', value: 'AA==', encoding: 'base64', fee: 0, expect: { absent: true } }],
    ['kv_put', { key: 'k', value: 'v', expect: { digest: HASH }, access: { writers: ['kv1x'] } }],
    ['chain_block', {}],
    ['chain_block', undefined],
    ['chain_block', { height: 0 }],
    ['tx_wait', { txid: HASH, confirmations: 3, timeoutMs: 10 }],
  ]
  test.each(good)('%s takes %j', (method, params) => {
    expect(checkParams(method, params)).toEqual({ ok: true, value: params ?? {} })
  })

  const bad: [MethodName, unknown, string, string][] = [
    ['kv_get', {}, 'key', 'key is missing'],
    ['kv_get', 5, '', 'params must be an object, its fields by name'],
    ['kv_get', { key: 'x'.repeat(1025) }, 'key', 'key is longer than 1024 characters'],
    ['kv_get', { key: 'k', ['y'.repeat(99)]: 1 }, `${'y'.repeat(60)}…`, `${'y'.repeat(60)}… is not a field of it`],
    ['tx_get', { txid: HASH.toUpperCase() }, 'txid', 'txid must be 64 lower-case hex digits'],
    [
      'tx_submit',
      { transaction: 'abc' },
      'transaction',
      'transaction must be lower-case hex, two digits for each byte',
    ],
    ['tx_wait', { txid: HASH, confirmations: 0 }, 'confirmations', 'confirmations must be at least 1'],
    ['tx_wait', { txid: HASH, confirmations: 1.5 }, 'confirmations', 'confirmations must be a whole number'],
    ['kv_history', { key: 'k', limit: 1001 }, 'limit', 'limit must be at most 1000'],
    ['kv_get', { key: 'k', height: -1 }, 'height', 'height must be at least 0'],
    ['kv_prove', { key: 'k', history: 'yes' }, 'history', 'history must be true or false'],
    ['chain_headers', { from: 0, count: 16_385 }, 'count', 'count must be at most 16384'],
    ['chain_block', { height: 1, raw: 'yes' }, 'raw', 'raw must be true or false'],
    ['kv_batch', { operations: [{ op: 'increment', key: 'k' }] }, 'operations.0', 'operations.0 has none of its forms'],
    [
      'kv_put',
      { key: 'k', value: 'v', access: 'mine' },
      'access',
      'access must be "keep", "private", "open" or {"writers": [ADDRESS, ...]}',
    ],
  ]
  test.each(bad)('%s refuses %j', (method, params, field, message) => {
    expect(checkParams(method, params)).toEqual({ ok: false, problem: { field, message } })
  })
})

describe('answers', () => {
  const receipt = { txid: HASH, accountNonce: 0, status: 'pending' }
  test('fields of a newer daemon are dropped, missing or wrong ones are an error', () => {
    expect(checkResult('kv_put', receipt)).toEqual({ ok: true, value: receipt })
    expect(checkResult('kv_put', { ...receipt, colour: 'red' })).toEqual({ ok: true, value: receipt })
    expect(checkResult('kv_put', { ...receipt, txid: 5 }).ok).toBe(false)
    expect(checkResult('kv_put', { txid: HASH })).toEqual({
      ok: false,
      problem: { field: 'accountNonce', message: 'accountNonce is missing' },
    })
    expect(checkResult('node_stop', null).ok).toBe(false)
  })
})

describe('errors', () => {
  test('names and codes lead to each other', () => {
    for (const name of ERROR_NAMES) expect(rpcErrorName(RPC_ERRORS[name].code)).toBe(name)
    expect(rpcErrorName(-1)).toBeUndefined()
    expect(isRpcErrorName('constructor')).toBe(false)
  })

  test('the codes and exits are those that are documented', () => {
    const documented: Record<RpcErrorName, [number, number]> = {
      parse: [-32700, 1],
      'invalid-request': [-32600, 1],
      'unknown-method': [-32601, 1],
      'invalid-params': [-32602, 2],
      internal: [-32603, 1],
      'not-found': [-32001, 3],
      refused: [-32002, 4],
      'timed-out': [-32003, 6],
      busy: [-32004, 1],
      failed: [-32005, 1],
      unavailable: [-32006, 5],
    }
    for (const name of ERROR_NAMES) {
      const error = new RpcError(name, 'x')
      expect([error.rpcCode, exitCodeOf(error)]).toEqual(documented[name])
    }
    expect(exitCodeOf(new RpcError('failed', 'x', { rule: 'not-owner' }))).toBe(4)
    expect(exitCodeOf(new ClientError('no-daemon', 'x'))).toBe(5)
    expect(exitCodeOf(new ClientError('timed-out', 'x'))).toBe(6)
    expect(exitCodeOf(new ClientError('bad-params', 'x'))).toBe(2)
    expect(exitCodeOf(undefined)).toBe(1)
  })

  test('what an error carries is flat and its own', () => {
    const data = toErrorData(
      JSON.parse('{"name":"refused","n":1,"deep":{"a":1},"list":[1],"__proto__":{"x":1},"z":null}'),
    )
    expect(data).toEqual({ name: 'refused', n: 1, z: null })
    expect(toErrorData([1])).toEqual({})
    expect(toErrorData('x')).toEqual({})
  })
})
