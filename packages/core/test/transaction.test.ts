import { toHex } from '@kvchain/core/bytes'
import { CodecError, decodeAll, encodeWith } from '@kvchain/core/codec'
import {
  type AccessChange,
  computeTxid,
  decodeBody,
  decodeTransaction,
  type Expectation,
  encodeBody,
  encodeTransaction,
  type Operation,
  readWriteAccess,
  signTransaction,
  type TransactionBody,
  transactionSize,
  valueDigest,
  writeAccess,
} from '@kvchain/core/transaction'
import { keyPairFromSeed, signMessage } from '@kvchain/node/crypto/sodium'
import { describe, expect, it } from 'vitest'
import {
  absent,
  assertThat,
  codeOf,
  genesisHash,
  hex,
  makeTransaction,
  put,
  readVectors,
  remove,
  sha256,
  testAccount,
  text,
  thrownBy,
  transfer,
  verifySignature,
} from './helpers.js'

type Json<T> = T extends Uint8Array ? string : T extends object ? { [K in keyof T]: Json<T[K]> } : T

interface OperationJson {
  readonly kind: Operation['kind']
  readonly key?: string
  readonly expect?: { kind: string; version?: number; digest?: string }
  readonly valueDigest?: string
  readonly valueLength?: number
  readonly access?: { kind: string; writers?: string[] }
  readonly owner?: string | null
  readonly to?: string
  readonly amount?: number
}

interface TransactionVectors {
  readonly genesisHash: string
  readonly seed: string
  readonly good: {
    name: string
    body: Omit<Json<TransactionBody>, 'operations'> & { operations: OperationJson[] }
    values: string[]
    bodyLength: number
    txid: string
    signature: string
    bytes: string
    size: number
  }[]
  readonly bad: { name: string; bytes: string; code: string }[]
}

const vectors = readVectors<TransactionVectors>('transactions')
const network = hex(vectors.genesisHash)
const alice = testAccount('alice')
const bob = testAccount('bob')

/** What a vector says of an operation, as core has it: hexadecimal turned into bytes, null into undefined. */
function toOperation(json: OperationJson): Operation {
  const { owner, ...rest } = json
  const operation: Record<string, unknown> = { ...rest }
  for (const field of ['key', 'valueDigest', 'to'] as const) {
    const value = json[field]
    if (value !== undefined) operation[field] = hex(value)
  }
  if (json.expect?.digest !== undefined) operation.expect = { ...json.expect, digest: hex(json.expect.digest) }
  if (json.access?.writers !== undefined) operation.access = { ...json.access, writers: json.access.writers.map(hex) }
  if (owner !== undefined) operation.owner = owner === null ? undefined : hex(owner)
  return operation as unknown as Operation
}

function toBody(json: TransactionVectors['good'][number]['body']): TransactionBody {
  return { ...json, sender: hex(json.sender), operations: json.operations.map(toOperation) }
}

describe('the transaction of a vector', () => {
  const { secretKey } = keyPairFromSeed(hex(vectors.seed))

  it.each(vectors.good)('$name: encodes and signs to its bytes', (vector) => {
    const sign = (message: Uint8Array) => signMessage(message, secretKey)
    const transaction = signTransaction(sha256, network, toBody(vector.body), vector.values.map(hex), sign)
    expect(toHex(encodeTransaction(transaction))).toBe(vector.bytes)
    expect(transaction.bodyBytes).toHaveLength(vector.bodyLength)
    expect(toHex(transaction.txid)).toBe(vector.txid)
    expect(toHex(transaction.signature)).toBe(vector.signature)
    expect(transactionSize(transaction)).toBe(vector.size)
  })

  it.each(vectors.good)('$name: decodes from its bytes', (vector) => {
    const decoded = decodeTransaction(hex(vector.bytes), sha256, network)
    expect(decoded.body).toEqual(toBody(vector.body))
    expect(decoded.values).toEqual(vector.values.map(hex))
    expect(toHex(decoded.txid)).toBe(vector.txid)
    expect(transactionSize(decoded)).toBe(vector.size)
    expect(verifySignature(decoded.signature, decoded.txid, decoded.body.sender)).toBe(true)
    expect(toHex(encodeTransaction(decoded))).toBe(vector.bytes)
  })

  it.each(vectors.good)('$name: has the same size and txid without its values', (vector) => {
    const bytes = `${vector.bytes.slice(0, 2 * (vector.bodyLength + 64))}00`
    const decoded = decodeTransaction(hex(bytes), sha256, network)
    expect(decoded.values).toBeUndefined()
    expect(toHex(decoded.txid)).toBe(vector.txid)
    expect(transactionSize(decoded)).toBe(vector.size)
    expect(toHex(encodeTransaction(decoded))).toBe(bytes)
  })

  it.each(vectors.good)('$name: no prefix of its bytes is a transaction, nor they with a byte more', ({ bytes }) => {
    const whole = hex(bytes)
    for (let length = 0; length < whole.length; length++) {
      const error = thrownBy(() => decodeTransaction(whole.subarray(0, length), sha256, network))
      expect(error).toBeInstanceOf(CodecError)
      expect(error.code).toBe('codec-truncated')
    }
    for (let byte = 0; byte < 256; byte++) {
      const longer = Uint8Array.of(...whole, byte)
      expect(codeOf(() => decodeTransaction(longer, sha256, network))).toBe('codec-trailing')
    }
  })

  it.each(vectors.bad)('is refused: $name', ({ bytes, code }) => {
    const error = thrownBy(() => decodeTransaction(hex(bytes), sha256, network))
    expect(error).toBeInstanceOf(CodecError)
    expect(error.code).toBe(code)
  })
})

describe('a body', () => {
  const key = text('key')
  const expectations: Expectation[] = [
    { kind: 'any' },
    { kind: 'absent' },
    { kind: 'version', version: 5 },
    { kind: 'digest', digest: sha256(text('d')) },
  ]
  const changes: AccessChange[] = [
    { kind: 'keep' },
    { kind: 'private' },
    { kind: 'open' },
    { kind: 'writers', writers: [new Uint8Array(32), sha256(text('w'))] },
  ]
  const operations: Operation[] = [{ kind: 'transfer', to: bob.publicKey, amount: 3 }]
  for (const expectation of expectations) {
    operations.push({ kind: 'delete', key, expect: expectation }, { kind: 'assert', key, expect: expectation })
    for (const access of changes) {
      operations.push({ kind: 'put', key, expect: expectation, valueDigest: sha256(key), valueLength: 1, access })
      for (const owner of [undefined, bob.publicKey]) {
        operations.push({ kind: 'access', key, expect: expectation, owner, access })
      }
    }
  }

  it('of each operation with each expectation, access and owner decodes to itself, and no two have the same bytes', () => {
    const seen = new Set<string>()
    for (const operation of operations) {
      const body = { sender: alice.publicKey, accountNonce: 1, fee: 2, validUntil: 3, operations: [operation] }
      const bytes = encodeBody(body)
      expect(decodeBody(bytes)).toEqual(body)
      expect(encodeBody(decodeBody(bytes))).toEqual(bytes)
      seen.add(toHex(bytes))
    }
    expect(seen.size).toBe(operations.length)
  })

  it('holds up to a thousand operations', () => {
    const body = { sender: alice.publicKey, accountNonce: 0, fee: 0, validUntil: 0 }
    const of = (count: number) => Array.from({ length: count }, () => assertThat('k', absent).operation)
    expect(decodeBody(encodeBody({ ...body, operations: of(1_000) })).operations).toHaveLength(1_000)
    expect(codeOf(() => decodeBody(encodeBody({ ...body, operations: of(1_001) })))).toBe('codec-length')
    expect(codeOf(() => decodeBody(encodeBody({ ...body, operations: [] })))).toBe('codec-length')
  })

  it('is refused with a byte more or less', () => {
    const { bodyBytes } = makeTransaction(alice, [remove('k')])
    expect(codeOf(() => decodeBody(bodyBytes.subarray(0, -1)))).toBe('codec-truncated')
    expect(codeOf(() => decodeBody(Uint8Array.of(...bodyBytes, 0)))).toBe('codec-trailing')
  })
})

describe('access as an entry holds it', () => {
  it('is never keep', () => {
    for (const access of [{ kind: 'private' }, { kind: 'open' }] as const) {
      const bytes = encodeWith((writer) => writeAccess(writer, access))
      expect(decodeAll(bytes, readWriteAccess)).toEqual(access)
    }
    expect(codeOf(() => decodeAll(hex('00'), readWriteAccess))).toBe('codec-tag')
    expect(codeOf(() => decodeAll(hex('04'), readWriteAccess))).toBe('codec-tag')
  })
})

describe('a txid', () => {
  const { bodyBytes, txid } = makeTransaction(alice, [put('k', 'v')])

  it('is of one network and one body', () => {
    expect(computeTxid(sha256, genesisHash, bodyBytes)).toEqual(txid)
    expect(computeTxid(sha256, sha256(genesisHash), bodyBytes)).not.toEqual(txid)
    for (let at = 0; at < bodyBytes.length; at++) {
      const other = bodyBytes.slice()
      other[at] = (other[at] ?? 0) ^ 1
      expect(computeTxid(sha256, genesisHash, other)).not.toEqual(txid)
    }
  })

  it('is what the sender signs', () => {
    const transaction = makeTransaction(alice, [transfer(bob, 1)])
    expect(verifySignature(transaction.signature, transaction.txid, alice.publicKey)).toBe(true)
  })
})

describe('a value', () => {
  it('has a digest that is not its plain hash', () => {
    expect(valueDigest(sha256, text('v'))).not.toEqual(sha256(text('v')))
  })
})
