/**
 * The commands of kvchain-cli that read: keys, coins, blocks and transactions. Nothing is printed before everything is known, so that an error
 * leaves standard output empty; a scan of everything alone prints as it goes.
 */
import type { KvScan } from '@kvchain/client/contract/kv'
import { RpcError } from '@kvchain/client/errors'
import type { KvClient } from '@kvchain/client/kvClient'
import type { Command } from 'commander'
import { usageError } from '../exits.js'
import { MAX_CONFIRMATIONS, parseCount, parseShare } from '../parsing.js'
import { print, printLine } from '../terminal.js'
import type { KeyNameOption } from './keyOptions.js'
import { type ProveFlags, writeProof } from './proofs.js'
import { ask, type GlobalOptions, MAX_HEIGHT, show, withKey } from './session.js'
import { addressOf, withKeyName } from './signing.js'
import { type KeyOptions, keyParams, ownKey, printValue, type ValueOptions } from './values.js'
import {
  balanceView,
  blockView,
  entryView,
  feeView,
  historyView,
  pendingView,
  rawView,
  scanHead,
  scanRows,
  txStatusView,
  txView,
} from './views.js'

export interface RawFlag {
  readonly raw?: true
}

interface GetFlags {
  readonly at?: string
  readonly minConf?: string
  readonly pending?: true
  readonly attacker?: string
  readonly details?: true
}

interface ScanFlags extends KeyOptions {
  readonly limit?: string
  readonly after?: string
  readonly keysOnly?: true
  readonly deleted?: true
}

interface HistoryOptions {
  readonly limit?: string
  readonly before?: string
  readonly prove?: true
}

const MAX_VERSIONS = 1_000
const MAX_PENDING = 1_000
const SCAN_PAGE = 1_000
export const HASH: RegExp = /^[0-9a-f]{64}$/

export function addReads(program: Command): void {
  addKeys(program)
  withKeyName(program.command('balance [ADDRESS]'))
    .description('the coins of an account, by default the daemon’s')
    .action(async (address: string | undefined, _options: object, command: Command) => {
      const options: GlobalOptions & KeyNameOption = command.optsWithGlobals()
      if (address !== undefined && options.key !== undefined) throw usageError('of ADDRESS and --key, give one')
      const balance = await ask(options, async (client) =>
        client.balance(address ?? (await addressOf(client, options))),
      )
      show(options, balance, balanceView)
    })
  program
    .command('fee')
    .description('what a write should pay')
    .option('--size <bytes>', 'of the transaction (300)')
    .option('--blocks <n>', 'to be in one of the next n blocks (1)')
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions & { size?: string; blocks?: string } = command.optsWithGlobals()
      const params = {
        ...(options.size === undefined ? {} : { size: parseCount(options.size, '--size', 1, 1 << 24) }),
        ...(options.blocks === undefined ? {} : { blocks: parseCount(options.blocks, '--blocks', 1, 1_000) }),
      }
      show(options, await ask(options, (client) => client.call('coin_fee', params)), feeView)
    })
  program
    .command('pending')
    .description('the transactions that no block has yet, oldest first')
    .option('--sender <address>', 'of this account')
    .option('--limit <n>', 'how many (100)')
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions & { sender?: string; limit?: string } = command.optsWithGlobals()
      const params = {
        ...(options.sender === undefined ? {} : { sender: options.sender }),
        ...(options.limit === undefined ? {} : { limit: parseCount(options.limit, '--limit', 1, MAX_PENDING) }),
      }
      show(options, await ask(options, (client) => client.call('tx_pending', params)), pendingView)
    })
  program
    .command('block [HEIGHT|HASH]')
    .description('a block, by default the newest')
    .option('--raw', 'its bytes, in hex')
    .action(async (which: string | undefined, _options: object, command: Command) => {
      const options: GlobalOptions & RawFlag = command.optsWithGlobals()
      const place =
        which === undefined || HASH.test(which) ? which : parseCount(which, 'HEIGHT (or a 64-digit HASH)', 0)
      const { raw } = options
      show(options, await ask(options, (client) => client.block(place, { raw })), raw ? rawView : blockView)
    })
}

function addKeys(program: Command): void {
  withKey(program.command('get <KEY>'))
    .description('print the value of a key, and nothing else')
    .option('--at <height|hash>', 'as of this block; of the tip if left out')
    .option('--min-conf <n>', 'as of the newest block that has n confirmations')
    .option('--pending', 'with the writes that this daemon has taken on and no block has yet')
    .option('--details', 'print what else is known instead: version, block, confirmations, how sure it is')
    .option('--attacker <share>', 'with --details: of the whole hash rate, from 0 to 1 (0.1)')
    .option('--encoding <encoding>', 'print the value as utf8, hex or base64; its bytes if left out')
    .action(async (key: string, _options: object, command: Command) => {
      const options: GlobalOptions & KeyOptions & ValueOptions & GetFlags = command.optsWithGlobals()
      const params = { ...keyParams(key, options), ...choiceParams(options) }
      const entry = await ask(options, async (client) => client.call('kv_get', await ownKey(client, params)))
      if (options.json) printLine(JSON.stringify(entry))
      else if (options.details) print(entryView(entry))
      else printValue(entry, options)
    })
  withKey(program.command('scan [PREFIX]'))
    .description('list the keys that begin with PREFIX, in the order of their bytes')
    .option('--limit <n>', 'how many; all of them if left out')
    .option('--after <key>', 'only keys that come after this one')
    .option('--keys-only', 'without values')
    .option('--deleted', 'deleted keys too')
    .action(async (prefix: string | undefined, _options: object, command: Command) => {
      const options: GlobalOptions & ScanFlags = command.optsWithGlobals()
      await scan(prefix ?? '', options)
    })
  withKey(program.command('history <KEY>'))
    .description('list the versions of a key, newest first')
    .option('--limit <n>', 'how many (100)')
    .option('--before <version>', 'only older ones than this')
    .option('--prove', 'write a proof of the whole history instead: see prove --help')
    .option('-o, --output <file>', 'with --prove: where to; - is standard output')
    .option('--at <height>', 'with --prove: as of this height')
    .option('--from-genesis', 'with --prove: with every header from genesis on')
    .option('--no-values', 'with --prove: with the digests of values alone')
    .action(async (key: string, _options: object, command: Command) => {
      const options: GlobalOptions & KeyOptions & HistoryOptions & ProveFlags = command.optsWithGlobals()
      if (options.prove) return writeProof(key, historyProof(options))
      refuseProofFlags(options)
      const params = {
        ...keyParams(key, options),
        ...(options.limit === undefined ? {} : { limit: parseCount(options.limit, '--limit', 1, MAX_VERSIONS) }),
        ...(options.before === undefined ? {} : { before: parseCount(options.before, '--before', 1) }),
      }
      const history = await ask(options, async (client) => client.call('kv_history', await ownKey(client, params)))
      show(options, history, historyView)
    })
}

/** Prints page after page: in JSON one object a line, else a table. */
async function scan(prefix: string, options: GlobalOptions & ScanFlags): Promise<void> {
  const limit = options.limit === undefined ? Number.POSITIVE_INFINITY : parseCount(options.limit, '--limit', 1)
  const { keyEncoding } = keyParams(prefix === '' ? '00' : prefix, options)
  const wanted = {
    keyEncoding,
    ...(options.keysOnly ? { keysOnly: true } : {}),
    ...(options.deleted ? { deleted: true } : {}),
  }
  await ask(options, async (client) => {
    const { key: start } = await ownKey(client, { key: prefix, keyEncoding })
    let printed = 0
    let after = options.after
    do {
      const pageSize = Math.min(SCAN_PAGE, limit - printed)
      const place = { prefix: start, ...(after === undefined ? {} : { after }) }
      const page: KvScan = await client.call('kv_scan', { ...wanted, ...place, limit: pageSize })
      if (options.json) for (const entry of page.entries) printLine(JSON.stringify(entry))
      else if (printed === 0 && page.entries.length > 0) print(scanHead(page.entries) + scanRows(page.entries))
      else print(scanRows(page.entries))
      printed += page.entries.length
      if (page.next !== undefined && page.next.keyEncoding !== keyEncoding) {
        throw usageError('a key here is no text: scan with --key-encoding hex')
      }
      after = page.next?.key
    } while (after !== undefined && printed < limit)
  })
}

/** As of which block, and for which attacker. */
function choiceParams({ at, minConf, pending, attacker }: GetFlags) {
  const height = at === undefined || HASH.test(at) ? undefined : parseCount(at, '--at', 0, MAX_HEIGHT)
  return {
    ...(at !== undefined && HASH.test(at) ? { hash: at } : {}),
    ...(height === undefined ? {} : { height }),
    ...(minConf === undefined ? {} : { minConfirmations: parseCount(minConf, '--min-conf', 1, MAX_CONFIRMATIONS) }),
    ...(pending ? { pending } : {}),
    ...(attacker === undefined ? {} : { attackerShare: parseShare(attacker, '--attacker') }),
  }
}

/** Of a transaction that was dropped, the daemon may know the fate alone. */
export async function showTransaction(client: KvClient, txid: string, options: GlobalOptions & RawFlag): Promise<void> {
  const { raw } = options
  try {
    show(options, await client.tx(txid, { raw }), raw ? rawView : txView)
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== 'not-found' || raw) throw error
    const status = await client.call('tx_status', { txid })
    if (status.status === 'unknown') throw error
    show(options, status, txStatusView)
  }
}

/** A proof has all versions. */
function historyProof(options: GlobalOptions & KeyOptions & HistoryOptions & ProveFlags) {
  if (options.limit !== undefined || options.before !== undefined) {
    throw usageError('with --prove the history is whole: no --limit, no --before')
  }
  return { ...options, history: true as const }
}

function refuseProofFlags({ output, at, fromGenesis, values }: ProveFlags): void {
  const isAny = output !== undefined || at !== undefined || fromGenesis || values === false
  if (isAny) throw usageError('-o, --at, --from-genesis and --no-values go with --prove')
}
