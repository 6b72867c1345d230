/** The client's answers as people read them. Everything that came from the network is escaped on its way here. */
import type { Result } from '@kvchain/client/contract'
import type { KvEntry, KvScanned } from '@kvchain/client/contract/kv'
import type { NetBan, NetPeer } from '@kvchain/client/contract/net'
import type { TxDetail, TxOperation, TxState, TxStatus } from '@kvchain/client/contract/tx'
import type { KvEvent } from '@kvchain/client/contract/watch'
import { fieldLines, printable, shortened, tableLines } from '../terminal.js'

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
    ['syncing', syncing(status)],
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

function syncing({ syncing: isSyncing, catchingUp }: Result<'node_status'>): string {
  if (catchingUp === undefined) return isSyncing ? 'yes' : 'no'
  const { targetHeight, blocksPerSecond, secondsLeft } = catchingUp
  const left = secondsLeft === undefined ? '' : `, ${duration(secondsLeft * 1_000)} left`
  return `up to ${targetHeight}, ${blocksPerSecond} blocks/s${left}`
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

export function bansView(bans: readonly NetBan[]): string {
  if (bans.length === 0) return 'nobody is banned\n'
  return tableLines(
    ['TARGET', 'UNTIL', 'BY', 'TIMES', 'REASON'],
    bans.map(({ target, untilMs, by, times, reason }) => [
      target,
      time(untilMs),
      by,
      times,
      shortened(reason, VALUE_WIDTH),
    ]),
  )
}

/** A version, and how sure it is. */
export function entryView(entry: KvEntry): string {
  const { reversal, writers } = entry
  const percent = (share: number) => `${Number((share * 100).toPrecision(3))} %`
  return fieldLines([
    ['key', keyText(entry.key, entry.keyEncoding)],
    ['value', valueText(entry.value, entry.encoding)],
    ['version', entry.version],
    ['height', entry.pending ? 'pending: in no block yet' : entry.height],
    ['block', entry.blockHash],
    ['confirmations', entry.confirmations],
    ['settled', entry.settled ? 'yes' : 'no'],
    [
      'undone',
      `with probability ${percent(reversal.probability)} by ${percent(reversal.attackerShare)} of the hash rate`,
    ],
    ['owner', entry.owner],
    ['writers', typeof writers === 'string' ? writers : writers.join(', ')],
    ['transaction', entry.txid],
    ['digest', entry.valueDigest],
    ['tip', `${entry.tip.height} ${entry.tip.hash}`],
  ])
}

const SCAN_TITLES = ['VERSION', 'HEIGHT', 'KEY', 'VALUE'] as const

/** The titles over the rows of a scan, which come page by page. */
export function scanHead(entries: readonly KvScanned[]): string {
  const titles = entries.some(({ value }) => value !== undefined) ? SCAN_TITLES : SCAN_TITLES.slice(0, 3)
  return scanRow(titles)
}

export function scanRows(entries: readonly KvScanned[]): string {
  return entries
    .map(({ key, keyEncoding, version, height, deleted, value, encoding }) => {
      const shown = deleted ? '(deleted)' : value === undefined ? '' : valueText(value, encoding ?? 'utf8')
      return scanRow([String(version), String(height), keyText(key, keyEncoding), shown])
    })
    .join('')
}

function scanRow([version = '', height = '', key = '', value = '']: readonly string[]): string {
  return `${version.padStart(7)}  ${height.padStart(8)}  ${key}  ${value}`.trimEnd().concat('\n')
}

/** One line of a watch. */
export function eventLine(event: KvEvent): string {
  const value = event.value === undefined ? '' : `  ${valueText(event.value, event.encoding ?? 'utf8')}`
  const what = `${event.kind.padEnd(9)}  ${keyText(event.key, event.keyEncoding)}  version ${event.version}`
  return `${printable(what)}  block ${event.height}${value}\n`
}

/** One line of a transaction's life. */
export function stateLine(state: TxState): string {
  const { status, height, settled, outcome, reason, reorgedOut } = state
  if (status === 'confirmed') return `${settled ? 'settled' : 'in a block'}: block ${height}\n`
  if (status === 'failed') {
    const why = outcome === undefined ? '' : `: ${outcomeText(outcome)}`
    return `failed${why}, ${settled ? 'settled' : 'in block'} ${height}\n`
  }
  if (status === 'dropped') return `dropped: ${printable(reason ?? 'nobody knows why')}\n`
  if (reorgedOut !== undefined) return `reorged out of block ${reorgedOut.height}, pending again\n`
  return `${status === 'pending' ? 'accepted, pending' : status}\n`
}

export function feeView(fee: Result<'coin_fee'>): string {
  return fieldLines([
    ['fee', fee.fee],
    ['at least', fee.minimum],
    ['per byte', fee.feePerByte],
    ['pending', plural(fee.pendingBytes, 'byte')],
  ])
}

export function pendingView({ transactions, count, bytes }: Result<'tx_pending'>): string {
  const head = `${plural(count, 'transaction')}, ${plural(bytes, 'byte')}\n`
  if (transactions.length === 0) return head
  const rows = transactions.map(({ txid, sender, accountNonce, fee, size, ageMs, own }) => [
    txid,
    sender,
    accountNonce,
    fee,
    size,
    duration(ageMs),
    own ? 'yes' : 'no',
  ])
  return `${head}${tableLines(['TXID', 'SENDER', 'NONCE', 'FEE', 'BYTES', 'AGE', 'OWN'], rows)}`
}

export function reorgsView({ reorgs }: Result<'chain_reorgs'>): string {
  if (reorgs.length === 0) return 'no reorgs\n'
  return reorgs
    .map((reorg) => {
      const head = fieldLines([
        ['reorg', `${reorg.number}${reorg.alarm ? ' (ALARM)' : ''}`],
        ['time', time(reorg.timeMs)],
        ['depth', plural(reorg.depth, 'block')],
        ['fork', `${reorg.fork.height} ${reorg.fork.hash}`],
        ['from', `${reorg.from.height} ${reorg.from.hash}`],
        ['to', `${reorg.to.height} ${reorg.to.hash}`],
        ['lost', plural(reorg.lostCount, 'version')],
      ])
      if (reorg.lost.length === 0) return head
      const rows = reorg.lost.map(({ key, keyEncoding, version, txid, replacedBy }) => [
        keyText(key, keyEncoding),
        version,
        txid,
        replacedBy ?? '-',
      ])
      return `${head}${tableLines(['KEY', 'VERSION', 'LOST', 'NOW'], rows)}`
    })
    .join('\n')
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

/** The bytes, for programs. */
export function rawView({ raw = '' }: { readonly raw?: string }): string {
  return `${raw}\n`
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
