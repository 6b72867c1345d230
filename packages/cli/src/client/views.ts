/** The client's answers as people read them. Everything that came from the network is escaped on its way here. */
import type { Result } from '@kvchain/client/contract'
import type { NetPeer } from '@kvchain/client/contract/node'
import type { TxDetail, TxOperation, TxStatus } from '@kvchain/client/contract/tx'
import { fieldLines, shortened, tableLines } from '../terminal.js'

const VALUE_WIDTH = 40
const KEY_WIDTH = 60

export function confirmedLine({ height, confirmations }: TxStatus): string {
  return `confirmed in block ${height} (${plural(confirmations ?? 0, 'confirmation')})`
}

export function statusView(status: Result<'node_status'>): string {
  const { mempool, mining, tip } = status
  const miner =
    mining.mode === 'off'
      ? 'off'
      : `${mining.mode}, ${mining.active ? `at work, ${rate(mining.hashRate)}` : 'idle'}, ${plural(mining.threads, 'thread')}`
  return fieldLines([
    ['network', status.network],
    ['genesis', status.genesis],
    ['version', status.version],
    ['tip', `${tip.height} ${tip.hash}`],
    ['time', time(tip.timestampMs)],
    ['syncing', status.syncing ? 'yes' : 'no'],
    ['peers', status.peers],
    ['mempool', `${plural(mempool.transactions, 'transaction')}, ${plural(mempool.bytes, 'byte')}`],
    ['mining', miner],
    ['settled', `after ${plural(status.settleDepth, 'confirmation')}`],
    ['account', status.account],
    ['peer id', status.peerId],
    ...status.addresses.map((address, index) => [index === 0 ? 'addresses' : '', address] as const),
    ['data', status.dataDir],
    ['up', duration(status.uptimeMs)],
  ])
}

export function peersView(peers: readonly NetPeer[]): string {
  if (peers.length === 0) return 'no peers\n'
  return tableLines(
    ['PEER', 'ADDRESS', 'DIRECTION', 'CONNECTED', 'HEIGHT', 'AGENT'],
    peers.map(({ peerId, address, direction, connectedMs, height, agent }) => [
      peerId,
      address,
      direction,
      duration(connectedMs),
      height ?? '?',
      shortened(agent ?? '', VALUE_WIDTH),
    ]),
  )
}

export function historyView(history: Result<'kv_history'>): string {
  return tableLines(
    ['VERSION', 'HEIGHT', 'CONFIRMATIONS', 'TIME', 'AUTHOR', 'VALUE'],
    history.versions.map((version) => [
      version.version,
      version.height,
      version.confirmations,
      time(version.timestampMs),
      version.author,
      version.deleted ? '(deleted)' : valueText(version.value, version.encoding),
    ]),
  )
}

export function balanceView(balance: Result<'coin_balance'>): string {
  return fieldLines([
    ['balance', balance.balance],
    ['pending', balance.pendingBalance],
    ['account', balance.address],
    ['nonce', balance.accountNonce],
    ['at height', balance.tip.height],
  ])
}

export function blockView(block: Result<'chain_block'>): string {
  const fields = fieldLines([
    ['block', block.hash],
    ['height', block.height],
    ['parent', block.parent],
    ['time', time(block.timestampMs)],
    ['confirmations', block.onMainChain ? block.confirmations : 'stale: not on the main chain'],
    ['miner', block.miner],
    ['target', block.target],
    ['nonce', block.nonce],
    ['chainwork', block.chainwork],
    ['tx root', block.txRoot],
    ['state root', block.stateRoot],
    ['size', plural(block.size, 'byte')],
    ['transactions', block.transactions.length],
  ])
  if (block.transactions.length === 0) return fields
  const rows = block.transactions.map(({ txid, sender, outcome, operations }) => [
    txid,
    sender,
    operations,
    outcomeText(outcome),
  ])
  return `${fields}\n${tableLines(['TXID', 'SENDER', 'OPERATIONS', 'OUTCOME'], rows)}`
}

export function txView(tx: TxDetail): string {
  const fields = fieldLines([
    ['transaction', tx.txid],
    ...statusFields(tx),
    ['sender', tx.sender],
    ['nonce', tx.accountNonce],
    ['fee', tx.fee],
    ['valid until', tx.validUntil],
  ])
  const rows = tx.operations.map((operation, index) => [index, operation.kind, operationText(operation)])
  return `${fields}\n${tableLines(['#', 'OPERATION', 'WHAT'], rows)}`
}

/** A transaction of which only the fate is known. */
export function txStatusView(status: TxStatus): string {
  return fieldLines([['transaction', status.txid], ...statusFields(status)])
}

function statusFields(status: TxStatus | TxDetail): [string, string | number | undefined][] {
  return [
    ['status', status.status],
    ['outcome', status.outcome === undefined ? undefined : outcomeText(status.outcome)],
    ['reason', status.reason],
    ['height', status.height],
    ['block', status.blockHash],
    ['confirmations', status.confirmations],
    ['settled', status.settled === undefined ? undefined : status.settled ? 'yes' : 'no'],
  ]
}

function outcomeText({ code, operation }: { code: string; operation?: number }): string {
  return operation === undefined || code === 'ok' ? code : `${code} (operation ${operation})`
}

function operationText(operation: TxOperation): string {
  if (operation.kind === 'transfer') return `${operation.amount} to ${operation.to}`
  const key = keyText(operation.key, operation.keyEncoding)
  if (operation.kind === 'put') return `${key} = ${valueText(operation.value, operation.encoding)}`
  if (operation.kind === 'access') return operation.owner === undefined ? key : `${key}, to ${operation.owner}`
  return key
}

function keyText(key: string, encoding: string): string {
  return shortened(encoding === 'utf8' ? key : `${encoding}:${key}`, KEY_WIDTH)
}

function valueText(value: string | null, encoding: string): string {
  if (value === null) return '(no longer kept)'
  return shortened(encoding === 'utf8' ? value : `${encoding}:${value}`, VALUE_WIDTH)
}

export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

export function time(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString()
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const

/** The two largest units that are not zero. */
function duration(ms: number): string {
  let rest = ms
  const parts: string[] = []
  for (const [name, size] of UNITS) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0 || (name === 's' && parts.length === 0)) parts.push(`${count} ${name}`)
  }
  return parts.slice(0, 2).join(' ')
}

function rate(hashesPerSecond: number): string {
  const scales = ['H/s', 'kH/s', 'MH/s', 'GH/s', 'TH/s']
  let value = hashesPerSecond
  let scale = 0
  while (value >= 1000 && scale < scales.length - 1) {
    value /= 1000
    scale++
  }
  return `${value.toFixed(scale === 0 ? 0 : 1)} ${scales[scale]}`
}
