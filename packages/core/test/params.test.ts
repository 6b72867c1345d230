import { toAddress } from '@kvchain/core/address'
import { toHex } from '@kvchain/core/bytes'
import { encodeParams, NetworkError, parseNetwork } from '@kvchain/core/params'
import { describe, expect, it } from 'vitest'
import { hex, type NetworkJson, networkJson, readVectors, testAccount, testNetwork, thrownBy } from './helpers.js'

const vectors = readVectors<{ network: NetworkJson; params: string }[]>('genesis')
const alice = toAddress(testAccount('alice').publicKey, 'kvt')
const bob = toAddress(testAccount('bob').publicKey, 'kvt')

/** Lowest and highest value of each number, re-declared on purpose: a change of these is a change of consensus. */
const bounds: Record<string, readonly [number, number]> = {
  genesisTimestampMs: [0, 9_007_199_254_740_991],
  blockIntervalMs: [1, 86_400_000],
  targetWindowBlocks: [1, 100_000],
  solveTimeClampBlocks: [1, 100_000],
  maxFutureMs: [0, 86_400_000],
  maxValueBytes: [1, 999_995],
  maxTransactionBytes: [256, 999_996],
  maxBlockBytes: [1_024, 16_777_216],
  maxTransactions: [1, 100_000],
  minFeePerByte: [0, 1_000_000],
  blockReward: [0, 1_048_576],
}

/** So wide that one limit at its bound never contradicts another. */
function wide(field: string, value: number): Record<string, unknown> {
  const order = ['maxValueBytes', 'maxTransactionBytes', 'maxBlockBytes']
  const at = order.indexOf(field)
  const low = [1, 256, 1_024]
  const high = [999_995, 999_996, 16_777_216]
  return Object.fromEntries(order.map((name, i) => [name, i === at ? value : i < at ? low[i] : high[i]]))
}

function refusal(spoil: (json: NetworkJson) => void): NetworkError {
  const json = networkJson()
  spoil(json)
  const error = thrownBy(() => parseNetwork(json))
  expect(error).toBeInstanceOf(NetworkError)
  return error as NetworkError
}

describe('a network file', () => {
  it('gives name, parameters and policy', () => {
    const json = networkJson({ allocations: [{ address: alice, amount: 5 }] })
    const network = parseNetwork({
      ...json,
      $schema: 'x',
      description: 'd',
      reasons: { 'consensus.blockReward': 'why' },
    })
    expect(network.name).toBe('test')
    expect(network.policy).toEqual(json.policy)
    expect(network.params.initialTarget).toEqual(hex('0f'.padEnd(64, 'f')))
    expect(network.params.easiestTarget).toEqual(hex('1f'.padEnd(64, 'f')))
    expect(network.params.allocations).toEqual([{ publicKey: testAccount('alice').publicKey, amount: 5 }])
    expect(network.params.blockIntervalMs).toBe(2_000)
  })

  it.each(Object.entries(bounds))(
    'takes %s from its lowest to its highest value and no others',
    (field, [low, high]) => {
      for (const value of [low, high]) {
        const { params } = testNetwork({ ...wide(field, value), [field]: value })
        expect(params).toMatchObject({ [field]: value })
      }
      for (const value of [low - 1, high + 1, low + 0.5, `${low}`, null, Number.NaN, [low]]) {
        const error = refusal((json) => {
          json.consensus[field] = value
        })
        expect(error).toMatchObject({ code: 'network-schema', data: { path: `/consensus/${field}` } })
      }
    },
  )

  it.each<[string, unknown]>([
    ['name', ''],
    ['name', 'A'],
    ['name', '1a'],
    ['name', 'a_b'],
    ['name', 'a'.repeat(33)],
    ['description', 7],
    ['description', 'd'.repeat(1_001)],
    ['reasons/x', 7],
    ['reasons/x', 'd'.repeat(1_001)],
    ['consensus/addressPrefix', ''],
    ['consensus/addressPrefix', 'Kv'],
    ['consensus/addressPrefix', 'kv1'],
    ['consensus/addressPrefix', 'a'.repeat(17)],
    ['consensus/proofOfWork', 'argon2id'],
    ['consensus/targetRule', 'asert'],
    ['consensus/initialTarget', '0'.repeat(63)],
    ['consensus/initialTarget', '0'.repeat(65)],
    ['consensus/initialTarget', 'F'.repeat(64)],
    ['consensus/initialTarget', `${'0'.repeat(64)}\n`],
    ['consensus/easiestTarget', `0x${'0'.repeat(62)}`],
    ['consensus/allocations', {}],
    ['policy/mining', 'never'],
    ['policy/settleDepth', 0],
    ['policy/settleDepth', 100_001],
    ['policy/listen', 'x'],
    ['policy/bootstrap/0', 'x'.repeat(257)],
    ['policy/listen/0', 1],
    ['unknown', 1],
    ['consensus/unknown', 1],
    ['policy/unknown', 1],
  ])('is refused by its schema: %s = %j', (path, value) => {
    const error = refusal((json) => {
      const steps = path.split('/')
      const last = steps.pop() ?? ''
      let at: Record<string, unknown> = json
      for (const step of steps) {
        at[step] ??= {}
        at = at[step] as Record<string, unknown>
      }
      at[last] = value
    })
    expect(error.code).toBe('network-schema')
    expect(error.data.path).toBe(`/${path}`)
    expect(error.message).toContain(path)
  })

  it('is refused with too many peers, allocations of the wrong form, or too many of them', () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => `peer ${i}`)
    for (const [field, count] of [
      ['listen', 17],
      ['bootstrap', 65],
    ] as const) {
      const error = refusal((json) => {
        json.policy[field] = many(count)
      })
      expect(error.data.path).toBe(`/policy/${field}`)
    }
    for (const [field, value] of [
      ['amount', 0],
      ['amount', 1.5],
      ['amount', 2 ** 53],
      ['address', 'x'.repeat(161)],
      ['address', 7],
      ['unknown', 1],
    ] as const) {
      const error = refusal((json) => {
        json.consensus.allocations = [
          { address: alice, amount: 1 },
          { address: bob, amount: 1, [field]: value },
        ]
      })
      expect(error).toMatchObject({ code: 'network-schema', data: { path: `/consensus/allocations/1/${field}` } })
    }
    const error = refusal((json) => {
      json.consensus.allocations = Array.from({ length: 10_001 }, () => ({ address: alice, amount: 1 }))
    })
    expect(error.data.path).toBe('/consensus/allocations')
  })

  it('is refused when a field is missing, and the message names it', () => {
    const required = [
      ...['name', 'consensus', 'policy'].map((field) => ['', field] as const),
      ...Object.keys(networkJson().consensus).map((field) => ['consensus', field] as const),
      ...Object.keys(networkJson().policy).map((field) => ['policy', field] as const),
    ]
    expect(required).toHaveLength(3 + 17 + 4)
    for (const [parent, field] of required) {
      const error = refusal((json) => {
        const at = parent === '' ? json : (json[parent] as Record<string, unknown>)
        delete at[field]
      })
      expect(error.code).toBe('network-schema')
      const place = `${parent === '' ? '' : '/'}${parent}/${field}`
      expect([error.data.path, error.message]).toEqual([place, `${place}: missing`])
    }
  })

  it('is refused with a field that there is not, or one of another kind, and the message says which', () => {
    const unknown = refusal(({ consensus }) => {
      consensus.more = 1
    })
    expect(unknown.message).toBe('/consensus/more: no such field')
    const kind = refusal(({ consensus }) => {
      consensus.blockReward = '5'
    })
    expect(kind.message).toMatch(/^\/consensus\/blockReward: must be /)
  })

  it('is an object', () => {
    for (const json of [null, undefined, [], 'network', 7]) {
      expect(thrownBy(() => parseNetwork(json))).toMatchObject({ code: 'network-schema', data: { path: '/' } })
    }
  })

  it.each<[string, string, Record<string, unknown>]>([
    ['a target of 0', 'initialTarget', { initialTarget: '0'.repeat(64) }],
    ['an easiest target of 0', 'easiestTarget', { easiestTarget: '0'.repeat(64) }],
    [
      'a first target above the easiest',
      'initialTarget',
      { initialTarget: '1f'.padEnd(64, 'f'), easiestTarget: '1e'.padEnd(64, 'f') },
    ],
    ['a transaction no larger than a value', 'maxTransactionBytes', { maxValueBytes: 4_000 }],
    ['a block no larger than a transaction', 'maxBlockBytes', { maxBlockBytes: 4_000 }],
    ['a block with no room for a transaction', 'maxBlockBytes', { maxBlockBytes: 4_000 + 184 + 4 + 3 - 1 }],
    ['an address that is none', 'allocations/0/address', { allocations: [{ address: 'x', amount: 1 }] }],
    [
      'an address of another network',
      'allocations/1/address',
      {
        allocations: [
          { address: alice, amount: 1 },
          { address: toAddress(testAccount('bob').publicKey, 'kv'), amount: 1 },
        ],
      },
    ],
    [
      'an address twice',
      'allocations',
      {
        allocations: [
          { address: alice, amount: 1 },
          { address: bob, amount: 1 },
          { address: alice, amount: 2 },
        ],
      },
    ],
    [
      'too many coins',
      'allocations',
      {
        blockReward: 0,
        allocations: [
          { address: alice, amount: 2 ** 53 - 1 },
          { address: bob, amount: 1 },
        ],
      },
    ],
    [
      'too many coins with the rewards',
      'allocations',
      { blockReward: 2 ** 20, allocations: [{ address: alice, amount: 2 ** 52 }] },
    ],
  ])('is refused for its values: %s', (_name, field, consensus) => {
    const error = thrownBy(() => testNetwork(consensus))
    expect(error).toBeInstanceOf(NetworkError)
    expect(error).toMatchObject({ code: 'network-values', data: { path: `/consensus/${field}` } })
    expect(error.message.startsWith(`/consensus/${field}: `)).toBe(true)
    expect(error.message.length).toBeGreaterThan(`/consensus/${field}: `.length)
  })

  it('may just fit', () => {
    testNetwork({ initialTarget: '1f'.padEnd(64, 'f') })
    testNetwork({ maxBlockBytes: 4_000 + 184 + 4 + 3 })
    testNetwork({ initialTarget: '1'.padStart(64, '0'), easiestTarget: '1'.padStart(64, '0') })
    testNetwork({ blockReward: 0, allocations: [{ address: alice, amount: 2 ** 53 - 1 }] })
    testNetwork({ blockReward: 2 ** 20, allocations: [{ address: alice, amount: 2 ** 52 - 1 }] })
    testNetwork({
      blockReward: 2 ** 20,
      allocations: [
        { address: alice, amount: 2 ** 51 },
        { address: bob, amount: 2 ** 51 - 1 },
      ],
    })
  })
})

describe('encodeParams', () => {
  it.each(vectors)('gives the bytes of the vector: $network.name', ({ network, params: bytes }) => {
    const { name, params } = parseNetwork(network)
    expect(toHex(encodeParams(name, params))).toBe(bytes)
  })

  it('covers the name and every consensus parameter, and no policy', () => {
    const base = networkJson({ targetRule: 'fixed', allocations: [{ address: alice, amount: 5 }] })
    const changes: Record<string, unknown> = {
      genesisTimestampMs: 1,
      blockIntervalMs: 1,
      targetRule: 'relative-exponential',
      initialTarget: '01'.padEnd(64, 'f'),
      easiestTarget: '2f'.padEnd(64, 'f'),
      targetWindowBlocks: 1,
      solveTimeClampBlocks: 1,
      maxFutureMs: 1,
      maxValueBytes: 1,
      maxTransactionBytes: 5_000,
      maxBlockBytes: 50_000,
      maxTransactions: 1,
      minFeePerByte: 1,
      blockReward: 1,
      allocations: [{ address: alice, amount: 6 }],
    }
    const encode = (json: unknown) => {
      const { name, params } = parseNetwork(json)
      return toHex(encodeParams(name, params))
    }
    const seen = new Set([encode(base), encode({ ...base, name: 'other' })])
    for (const [field, value] of Object.entries(changes)) {
      seen.add(encode({ ...base, consensus: { ...base.consensus, [field]: value } }))
    }
    const renamed = {
      addressPrefix: 'kvu',
      allocations: [{ address: toAddress(testAccount('alice').publicKey, 'kvu'), amount: 5 }],
    }
    seen.add(encode({ ...base, consensus: { ...base.consensus, ...renamed } }))
    // All but proofOfWork, of which there is one.
    expect(seen.size).toBe(2 + Object.keys(changes).length + 1)
    expect(Object.keys(base.consensus)).toHaveLength(Object.keys(changes).length + 2)
    const policy = { mining: 'always', settleDepth: 1, listen: ['a'], bootstrap: ['b'] }
    expect(encode({ ...base, policy, description: 'd', reasons: {} })).toBe(encode(base))
  })
})
