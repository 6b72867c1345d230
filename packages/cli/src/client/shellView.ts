/** `view`: who sent what in a block, a line for each operation. */
import type { Result } from '@kvchain/client/contract'
import type { TxDetail, TxOperation } from '@kvchain/client/contract/tx'
import type { KvClient } from '@kvchain/client/kvClient'
import { shortened, tableLines } from '../terminal.js'

/** Transactions that are shown; a block may hold thousands. */
const MOST = 50
const KEY_WIDTH = 64

export interface BlockContent {
  readonly block: Result<'chain_block'>
  /** The first of them. */
  readonly transactions: readonly TxDetail[]
}

/** A block, by default the last, with its first transactions. */
export async function readContent(client: KvClient, place: number | string | undefined): Promise<BlockContent> {
  const block = await client.block(place)
  const transactions: TxDetail[] = []
  for (const { txid } of block.transactions.slice(0, MOST)) transactions.push(await client.tx(txid))
  return { block, transactions }
}

export function contentView({ block, transactions }: BlockContent): string {
  const count = block.transactions.length
  const head = `block ${block.height}, mined by ${block.miner}\n`
  if (count === 0) return `${head}no transactions\n`
  const rows = transactions.flatMap(({ sender, outcome, operations }) =>
    operations.map((operation) => [sender, ...columns(operation), outcome?.code ?? '']),
  )
  const table = tableLines(['SENDER', 'WHAT', 'RECIPIENT OR KEY', 'AMOUNT', 'OUTCOME'], rows)
  return `${head}${table}${count > MOST ? `and ${count - MOST} transactions more: block ${block.height}\n` : ''}`
}

function columns(operation: TxOperation): [string, string, string | number] {
  if (operation.kind === 'transfer') return ['sent', operation.to, operation.amount]
  const { key, keyEncoding } = operation
  return [operation.kind, shortened(keyEncoding === 'utf8' ? key : `${keyEncoding}:${key}`, KEY_WIDTH), '']
}
