/** The chain and transaction methods. */
import type { Handlers, Result } from '@kvchain/client/contract'
import { fromAddress, toAddress } from '@kvchain/core/address'
import { blockSize, encodeBlock } from '@kvchain/core/block'
import { toMapKey } from '@kvchain/core/bytes'
import { checkSignature, checkTransaction } from '@kvchain/core/checks'
import { decodeTransaction, encodeTransaction, type Operation, type Transaction } from '@kvchain/core/transaction'
import type { ChainNode } from '../chain/headerTree.js'
import { sha256, verifySignature } from '../crypto/sodium.js'
import { hex, unhex } from '../runtime/hex.js'
import type { LostVersion, ReorgLog } from '../store/reorgLog.js'
import { AnswerError } from './answers.js'
import { accessText, expectText, invalid, keyText, type ReadContext, valueText } from './context.js'
import { readStatus, type StatusContext, type TxWaiter } from './txStatus.js'
import type { Writer } from './writer.js'

type ChainHandlers = Pick<
  Handlers,
  | 'tx_pending'
  | 'tx_submit'
  | 'tx_status'
  | 'tx_wait'
  | 'tx_follow'
  | 'tx_get'
  | 'chain_tip'
  | 'chain_block'
  | 'chain_reorgs'
>

const DEFAULT_REORGS = 20
const DEFAULT_PENDING = 100

export function chainHandlers(
  context: StatusContext,
  writer: Writer,
  waiter: TxWaiter,
  reorgLog: ReorgLog,
): ChainHandlers {
  const { chain, prefix } = context
  return {
    async tx_pending({ sender, limit }) {
      return pendingText(context, sender, limit ?? DEFAULT_PENDING)
    },

    async tx_submit({ transaction: text }) {
      const transaction = decodeTransaction(unhex(text), sha256, chain.genesis.hash)
      const { status } = await chain.steady(() => readStatus(context, hex(transaction.txid)))
      if (status === 'pending' || status === 'confirmed' || status === 'failed')
        return writer.known(transaction, status)
      checkTransaction(chain.params, sha256, transaction)
      checkSignature(verifySignature, transaction)
      return writer.submit(transaction)
    },

    async tx_status({ txid }) {
      return chain.steady(() => readStatus(context, txid))
    },

    tx_wait({ txid, confirmations, timeoutMs }, { signal }) {
      return waiter.wait(txid, confirmations ?? 1, timeoutMs, signal)
    },

    tx_follow({ txid, seen, timeoutMs }, { signal }) {
      return waiter.follow(txid, seen, timeoutMs, signal)
    },

    async tx_get({ txid, raw }) {
      await chain.consistent()
      const transaction = findTransaction(context, txid)
      if (transaction === undefined) throw new AnswerError('not-found', 'no such transaction')
      const { sender, accountNonce, fee, validUntil, operations } = transaction.body
      return {
        ...readStatus(context, txid),
        sender: toAddress(sender, prefix),
        accountNonce,
        fee,
        ...(validUntil === 0 ? {} : { validUntil }),
        operations: operationsText(operations, transaction, prefix),
        ...(raw === true ? { raw: hex(encodeTransaction(transaction)) } : {}),
      }
    },

    async chain_reorgs({ limit, before }) {
      const reorgs = await reorgLog.list(limit ?? DEFAULT_REORGS, before)
      const lostText = ({ key, ...lost }: LostVersion) => ({ ...keyText(unhex(key), undefined), ...lost })
      return { reorgs: reorgs.map(({ lost, ...reorg }) => ({ ...reorg, lost: lost.map(lostText) })) }
    },

    async chain_tip() {
      await chain.consistent()
      return tipText(chain.tip)
    },

    async chain_block({ height, hash, raw }) {
      if (height !== undefined && hash !== undefined) throw invalid('height', 'and hash exclude one another')
      await chain.consistent()
      const node = hash === undefined ? chain.nodeAt(height ?? chain.tip.header.height) : chain.tree.get(unhex(hash))
      const transactions = node && (raw === true ? chain.store.bodyWithValues(node.hash) : chain.store.body(node.hash))
      if (node === undefined || transactions === undefined) throw new AnswerError('not-found', 'no such block')
      const { header } = node
      const onMainChain = chain.isMain(node)
      return {
        hash: hex(node.hash),
        height: header.height,
        parent: hex(header.parent),
        timestampMs: header.timestampMs,
        target: hex(header.target),
        chainwork: node.chainwork.toString(16),
        txRoot: hex(header.txRoot),
        stateRoot: hex(header.stateRoot),
        miner: toAddress(header.miner, prefix),
        nonce: header.nonce,
        confirmations: onMainChain ? chain.tip.header.height - header.height + 1 : 0,
        onMainChain,
        size: blockSize({ header, transactions }),
        transactions: transactions.map(({ transaction, outcome }) => ({
          txid: hex(transaction.txid),
          sender: toAddress(transaction.body.sender, prefix),
          outcome,
          operations: transaction.body.operations.length,
        })),
        ...(raw === true ? { raw: hex(encodeBlock({ header, transactions })) } : {}),
      }
    },
  }
}

export function tipText({ header, hash, chainwork }: ChainNode): Result<'chain_tip'> {
  return {
    height: header.height,
    hash: hex(hash),
    chainwork: chainwork.toString(16),
    stateRoot: hex(header.stateRoot),
    timestampMs: header.timestampMs,
  }
}

/** The pool is kept in the order of arrival. */
function pendingText(
  { mempool, runtime, prefix }: ReadContext,
  sender: string | undefined,
  limit: number,
): Result<'tx_pending'> {
  const wanted = sender === undefined ? undefined : toMapKey(fromAddress(sender, prefix))
  const nowMs = runtime.clock.monotonicMs()
  const transactions: Result<'tx_pending'>['transactions'][number][] = []
  for (const { transaction, txid, account, bytes, arrivedMs, local } of mempool.all()) {
    if (transactions.length >= limit) break
    if (wanted !== undefined && account !== wanted) continue
    const { accountNonce, fee } = transaction.body
    const ageMs = Math.max(0, Math.round(nowMs - arrivedMs))
    const address = toAddress(transaction.body.sender, prefix)
    transactions.push({ txid, sender: address, accountNonce, fee, size: bytes, ageMs, own: local })
  }
  return { transactions, count: mempool.size, bytes: mempool.bytes }
}

function findTransaction({ chain, mempool }: ReadContext, txid: string): Transaction | undefined {
  const pooled = mempool.get(txid)
  if (pooled !== undefined) return pooled.transaction
  const location = chain.store.location(unhex(txid))
  const node = location && chain.nodeAt(location.height)
  const included = node && chain.store.body(node.hash)?.[location.index]
  return included && chain.store.withValues(included.transaction)
}

function operationsText(
  operations: readonly Operation[],
  { values }: Transaction,
  prefix: string,
): Result<'tx_get'>['operations'] {
  let next = 0
  return operations.map((operation) => {
    if (operation.kind === 'transfer') {
      return { kind: 'transfer', to: toAddress(operation.to, prefix), amount: operation.amount }
    }
    const common = { ...keyText(operation.key, undefined), ...expectText(operation.expect) }
    switch (operation.kind) {
      case 'put':
        return {
          kind: 'put',
          ...common,
          ...valueText(values?.[next++]),
          valueLength: operation.valueLength,
          valueDigest: hex(operation.valueDigest),
          access: accessText(operation.access, prefix),
        }
      case 'access':
        return {
          kind: 'access',
          ...common,
          ...(operation.owner === undefined ? {} : { owner: toAddress(operation.owner, prefix) }),
          access: accessText(operation.access, prefix),
        }
      default:
        return { kind: operation.kind, ...common }
    }
  })
}
