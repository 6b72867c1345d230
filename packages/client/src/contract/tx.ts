/** The transaction methods: submit, follow, look up. */
import { Type } from '@kvchain/core/typebox'
import type { Static } from 'typebox'
import {
  AccessChange,
  Address,
  AnswerEncoding,
  Count,
  closed,
  Expect,
  Hash,
  HexBytes,
  keyFields,
  type MethodSpec,
  Outcome,
  Positive,
  Raw,
  Receipt,
} from './schemas.js'

const statusFields = {
  status: Type.Enum(['pending', 'confirmed', 'failed', 'dropped', 'unknown'], {
    description:
      'confirmed: in the main chain, and did what it says; failed: in the main chain, changed nothing (outcome); dropped: will never be included (reason)',
  }),
  height: Type.Optional(Count),
  blockHash: Type.Optional(Hash),
  confirmations: Type.Optional(Count),
  settled: Type.Optional(Type.Boolean()),
  outcome: Type.Optional(Outcome),
  reason: Type.Optional(
    Type.String({
      description: 'of dropped: replaced, nonce-used, expired, pool-full, too-old or cannot-pay',
    }),
  ),
  reorgedOut: Type.Optional(
    closed({ height: Count, blockHash: Hash }, { description: 'of pending: the block that held it until a reorg' }),
  ),
}

/** Where a transaction is in its life. */
export const TxStatus = closed({ txid: Hash, ...statusFields })
export type TxStatus = Static<typeof TxStatus>

/** A transaction in one state of its life. */
export const TxState = closed({
  txid: Hash,
  ...statusFields,
  state: Type.String({ description: 'give it as `seen`' }),
  final: Type.Boolean({ description: 'nothing more will become of it, unless a reorg deeper than settled comes' }),
})
export type TxState = Static<typeof TxState>

const expectField = { expect: Type.Optional(Expect) }

/** An operation, as it was signed. */
export const TxOperation = Type.Union([
  closed({
    kind: Type.Literal('put'),
    ...keyFields,
    ...expectField,
    value: Type.Union([Type.String(), Type.Null()], { description: 'null when no longer kept' }),
    encoding: AnswerEncoding,
    valueLength: Count,
    valueDigest: Hash,
    access: AccessChange,
  }),
  closed({ kind: Type.Literal('delete'), ...keyFields, ...expectField }),
  closed({
    kind: Type.Literal('access'),
    ...keyFields,
    ...expectField,
    owner: Type.Optional(Address),
    access: AccessChange,
  }),
  closed({ kind: Type.Literal('transfer'), to: Address, amount: Count }),
  closed({ kind: Type.Literal('assert'), ...keyFields, ...expectField }),
])
export type TxOperation = Static<typeof TxOperation>

/** A transaction and where it is in its life. */
export const TxDetail = closed({
  txid: Hash,
  sender: Address,
  accountNonce: Count,
  fee: Count,
  validUntil: Type.Optional(Positive),
  operations: Type.Array(TxOperation),
  raw: Type.Optional(HexBytes),
  ...statusFields,
})
export type TxDetail = Static<typeof TxDetail>

/** A transaction that no block has yet. */
export const PendingTransaction = closed({
  txid: Hash,
  sender: Address,
  accountNonce: Count,
  fee: Count,
  size: Type.Integer({ minimum: 0, description: 'bytes' }),
  ageMs: Type.Integer({ minimum: 0, description: 'for how long this daemon has had it' }),
  own: Type.Boolean({ description: 'sent through this daemon, and journalled' }),
})
export type PendingTransaction = Static<typeof PendingTransaction>

export const txMethods = {
  tx_pending: {
    summary: 'The transactions that no block has yet, as far as this daemon knows, oldest first.',
    params: closed({
      sender: Type.Optional(Address),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: '100 when left out' })),
    }),
    result: closed({
      transactions: Type.Array(PendingTransaction),
      count: Type.Integer({ minimum: 0, description: 'how many there are in all' }),
      bytes: Count,
    }),
    errors: ['unavailable'],
  },
  tx_submit: {
    summary: 'Submit a transaction that was signed elsewhere.',
    params: closed({ transaction: HexBytes }),
    result: Receipt,
    errors: ['refused', 'busy', 'unavailable'],
  },
  tx_status: {
    summary: 'Where a transaction is in its life.',
    help: 'A transaction that this daemon never heard of has the status `unknown`; that is no error.',
    params: closed({ txid: Hash }),
    result: TxStatus,
    errors: ['unavailable'],
  },
  tx_wait: {
    summary: 'Wait until a transaction has its confirmations, or never can have.',
    help: 'Look at `status`: a transaction that failed or was dropped is an answer, not an error.',
    params: closed({
      txid: Hash,
      confirmations: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, description: '1 when left out' })),
      timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400_000 })),
    }),
    result: TxStatus,
    errors: ['not-found', 'timed-out', 'busy', 'unavailable'],
  },
  tx_follow: {
    summary: 'The life of a transaction, a step at a time.',
    help: 'Answers as soon as its state is another than `seen`, else after timeoutMs with the state as it is. Ask again with the new `state`: accepted, in a block, settled, failed, dropped, reorged out and back.',
    params: closed({
      txid: Hash,
      seen: Type.Optional(Type.String({ maxLength: 200 })),
      timeoutMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 600_000, description: '30000 when left out' })),
    }),
    result: TxState,
    errors: ['busy', 'unavailable'],
  },
  tx_get: {
    summary: 'A transaction with its operations.',
    help: 'With `raw`: its bytes (section 4), signature and all, with its values if they are still kept.',
    params: closed({ txid: Hash, raw: Type.Optional(Raw) }),
    result: TxDetail,
    errors: ['not-found', 'unavailable'],
  },
} as const satisfies Record<string, MethodSpec>
