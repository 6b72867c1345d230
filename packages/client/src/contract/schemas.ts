/**
 * The fragments that the method table is put together from: hashes, keys, values, positions on the chain. Owns the shapes that
 * more than one method shares, and nothing of what they mean to the ledger. Every object is closed: a field that is not named
 * here is an error in a request and a bug in an answer.
 */
import { Type } from '@kvchain/core/typebox'
import type { Static, TObject, TProperties, TSchema } from 'typebox'
import type { RpcErrorName } from '../rpcErrors.js'

/** One row of the contract. `summary` is a line; `help` says what the line cannot. */
export interface MethodSpec {
  readonly params: TObject
  readonly result: TSchema
  readonly summary: string
  readonly help?: string
  /** The application errors that a caller should expect; those of JSON-RPC itself may come from every method. */
  readonly errors: readonly RpcErrorName[]
}

/** An object that admits no field but these. */
export function closed<const Properties extends TProperties>(
  properties: Properties,
  options: { description?: string; maxProperties?: number } = {},
): TObject<Properties> {
  return Type.Object(properties, { ...options, additionalProperties: false })
}

const HASH_PATTERN = '^[0-9a-f]{64}$'
const BYTES_PATTERN = '^(?:[0-9a-f]{2})+$'
const NUMBER_PATTERN = '^[0-9a-f]+$'

/** What a pattern asks for, in words: the text of an error when it does not match. */
export const PATTERN_HELP: Readonly<Record<string, string>> = {
  [HASH_PATTERN]: 'must be 64 lower-case hex digits',
  [BYTES_PATTERN]: 'must be lower-case hex, two digits for each byte',
  [NUMBER_PATTERN]: 'must be lower-case hex',
}

/** 32 bytes: a block hash, a txid, a digest, a root, a target. */
export const Hash = Type.String({ pattern: HASH_PATTERN, description: '32 bytes, 64 lower-case hex digits' })
/** Of a parameter: the bytes are wanted too. */
export const Raw = Type.Boolean({ description: 'true: the answer has the bytes too' })
export const HexBytes = Type.String({ pattern: BYTES_PATTERN, description: 'bytes in lower-case hex' })
export const HexNumber = Type.String({ pattern: NUMBER_PATTERN, description: 'a big number in lower-case hex' })
/** Padded, of the standard alphabet. */
export const Base64 = Type.String({ description: 'bytes in base64' })
/** Exact in JSON and in JavaScript. */
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
export const Positive = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
/** Checked by whoever knows the network's prefix; the bound here only keeps rubbish short. */
export const Address = Type.String({ minLength: 1, maxLength: 200, description: 'an account, in bech32m' })

export const KeyEncoding = Type.Enum(['utf8', 'hex', 'base64'], { description: 'how `key` writes its bytes' })
export const ValueEncoding = Type.Enum(['utf8', 'hex', 'base64'], { description: 'how `value` writes its bytes' })
/** How an answer writes a value: as text when its bytes are valid UTF-8. */
export const AnswerEncoding = Type.Enum(['utf8', 'base64'], {
  description: 'utf8 when the bytes are valid UTF-8, else base64',
})
export type KeyEncoding = Static<typeof KeyEncoding>
export type ValueEncoding = Static<typeof ValueEncoding>
export type AnswerEncoding = Static<typeof AnswerEncoding>

/** 512 bytes at most; hex takes two characters for each. */
export const KeyText = Type.String({ minLength: 1, maxLength: 1024, description: 'a key of 1 to 512 bytes' })
/** The fields that name a key in a request. */
export const keyParams = {
  key: KeyText,
  keyEncoding: Type.Optional(KeyEncoding),
}
/** The fields that name a key in an answer. */
export const keyFields = { key: KeyText, keyEncoding: KeyEncoding }

/** What a caller may expect of a key. To expect nothing, leave it out. */
export const Expect = Type.Union(
  [
    closed({ absent: Type.Literal(true) }),
    closed({ version: Positive }),
    closed({ digest: Hash }),
    closed({ value: Type.String(), encoding: Type.Optional(ValueEncoding) }),
  ],
  { description: '{"absent": true}, {"version": N}, {"digest": HEX} of the value, or {"value": TEXT} itself' },
)
export type Expect = Static<typeof Expect>

export const WriterList = closed({ writers: Type.Array(Address, { minItems: 1, maxItems: 64 }) })
/** What a write makes of a key's access. */
export const AccessChange = Type.Union([Type.Enum(['keep', 'private', 'open']), WriterList], {
  description: '"keep", "private", "open" or {"writers": [ADDRESS, ...]}',
})
export type AccessChange = Static<typeof AccessChange>
/** Who besides the owner may write a key. */
export const Writers = Type.Union([Type.Enum(['private', 'open']), Type.Array(Address)], {
  description: '"private", "open" or a list of addresses',
})
export type Writers = Static<typeof Writers>

export const Fee = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'coins for the miner; when left out, the least that the network takes',
})

/** How long a write may wait. */
export const ValidFor = Type.Integer({
  minimum: 1,
  maximum: 1_000_000,
  description: 'blocks: in none of the next so many, and the write expires; without end when left out',
})
/** The fields of every write besides what it does. */
export const writeParams = { fee: Type.Optional(Fee), validFor: Type.Optional(ValidFor) }

/** Where the chain ended when the answer was made. */
export const TipRef = closed({ height: Count, hash: Hash })
export type TipRef = Static<typeof TipRef>

export const Tip = closed({ height: Count, hash: Hash, chainwork: HexNumber, stateRoot: Hash, timestampMs: Count })
export type Tip = Static<typeof Tip>

export const AttackerShare = Type.Number({
  minimum: 0,
  maximum: 1,
  description: 'of the whole hash rate; 0.1 when left out',
})
/** How likely a block is undone. */
export const Reversal = closed(
  {
    attackerShare: AttackerShare,
    probability: Type.Number({ minimum: 0, maximum: 1 }),
  },
  {
    description:
      'the probability that an attacker with this share ever undoes it (Rosenfeld 2014: he has one block in secret when the count begins, and has to get ahead)',
  },
)
export type Reversal = Static<typeof Reversal>

/** What an included transaction came to: `ok`, or the first operation that failed and the rule it broke. */
export const Outcome = closed({
  code: Type.String({ description: '`ok`, or a rule code such as `not-owner`' }),
  operation: Type.Optional(Count),
})
export type Outcome = Static<typeof Outcome>

/** A write that the daemon took on: journalled, and sent again until it is confirmed or never can be. */
export const Receipt = closed({
  txid: Hash,
  accountNonce: Count,
  status: Type.Enum(['pending', 'confirmed', 'failed'], {
    description: 'pending, unless the very same transaction was sent before and is in a block',
  }),
  validUntil: Type.Optional(Positive),
})
export type Receipt = Static<typeof Receipt>
