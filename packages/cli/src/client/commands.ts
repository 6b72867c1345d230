/**
 * The commands of kvchain-cli: what each takes, asks of the daemon and prints. Nothing is printed before everything is known, so that an
 * error leaves standard output empty.
 */
import type { Expect, Receipt } from '@kvchain/client/contract/schemas'
import type { TxStatus } from '@kvchain/client/contract/tx'
import { ClientError, RpcError } from '@kvchain/client/errors'
import type { KvClient } from '@kvchain/client/kvClient'
import type { Command } from 'commander'
import { CliError, usageError } from '../exits.js'
import { EXIT_CODE_HELP, newProgram, parseCount } from '../parsing.js'
import { readVersion } from '../paths.js'
import { printLine, remark } from '../terminal.js'
import { addProofs, type ProveFlags, writeProof } from './proofs.js'
import { ask, DEFAULT_CALL_SECONDS, type GlobalOptions, heightParam, seconds, show, withKey } from './session.js'
import { type KeyOptions, keyParams, printValue, type ValueOptions, valueParams } from './values.js'
import {
  balanceView,
  blockView,
  confirmedLine,
  historyView,
  peersView,
  statusView,
  txStatusView,
  txView,
} from './views.js'

/** An option that takes its value only after `=`, and what it means alone. */
export const OPTIONAL_VALUES = { '--wait': '1' }

interface WaitOption {
  readonly wait?: string
}

interface ExpectOptions {
  readonly ifAbsent?: true
  readonly ifVersion?: string
}

interface HistoryOptions {
  readonly limit?: string
  readonly before?: string
  readonly prove?: true
}

interface FeeOption {
  readonly fee?: string
}

/** Some blocks of the slowest built-in network, and then some. */
const DEFAULT_WAIT_SECONDS = 300
const MAX_CONFIRMATIONS = 1_000_000
const HASH = /^[0-9a-f]{64}$/

const EXAMPLES = `
Examples:
  kvchain-cli put greeting 'hello world' --wait      returns when it is in a block
  kvchain-cli get greeting
  kvchain-cli put photo --file photo.jpg --wait=6    returns when it has 6 confirmations
  kvchain-cli get photo > photo.jpg
  kvchain-cli put counter 2 --if-version 1 --wait    only if nobody else was faster
  kvchain-cli prove greeting -o greeting.proof       a proof that anybody can check, with no daemon:
  kvchain-cli verify greeting.proof
  kvchain-cli --network lan status --json

The daemon is found by --rpc-socket, --data-dir or --network, by KVCHAIN_RPC_SOCKET or KVCHAIN_DATA_DIR, or because it is
the only one that runs under ~/.kvchain. Without --timeout an answer is waited for ${DEFAULT_CALL_SECONDS} s, a confirmation ${DEFAULT_WAIT_SECONDS} s.

${EXIT_CODE_HELP}`

export function clientProgram(): Command {
  const program = newProgram('kvchain-cli')
    .description('Reads and writes through a kvchain daemon on this machine.')
    .version(readVersion())
    .option('--data-dir <dir>', 'the data folder of the daemon to ask')
    .option('--rpc-socket <path>', 'its socket')
    .option('--network <name>', 'its network, when its data folder is the usual one')
    .option('--json', 'print one JSON object; an error too, on standard error')
    .option('--timeout <seconds>', 'how long to wait for an answer or a confirmation')
    .addHelpText('after', EXAMPLES)
  addWrites(program)
  addReads(program)
  addProofs(program)
  addDaemon(program)
  return program
}

function addWrites(program: Command): void {
  withKey(program.command('put <KEY> [VALUE]'))
    .description('write a value; - reads it from standard input')
    .option('--file <file>', 'the value is what this file holds')
    .option('--encoding <encoding>', 'how VALUE is written: utf8, hex or base64', undefined)
    .option('--wait [n]', 'return when the write has n confirmations (1)')
    .option('--if-absent', 'only if there is nothing under the key')
    .option('--if-version <n>', 'only if the key has this version')
    .option('--fee <coins>', 'what the miner gets; the least possible if left out')
    .action(async (key: string, value: string | undefined, _options: object, command: Command) => {
      const options: GlobalOptions & KeyOptions & ValueOptions & WaitOption & ExpectOptions & FeeOption =
        command.optsWithGlobals()
      const params = { ...keyParams(key, options), ...expectParams(options), ...feeParams(options) }
      const wait = waitCount(options)
      const put = { ...params, ...(await valueParams(value, options)) }
      await write(options, wait, (client) => client.call('kv_put', put))
    })
  withKey(program.command('delete <KEY>'))
    .description('delete a key; its history stays')
    .option('--wait [n]', 'return when the deletion has n confirmations (1)')
    .option('--if-version <n>', 'only if the key has this version')
    .option('--fee <coins>', 'what the miner gets; the least possible if left out')
    .action(async (key: string, _options: object, command: Command) => {
      const options: GlobalOptions & KeyOptions & WaitOption & ExpectOptions & FeeOption = command.optsWithGlobals()
      const params = { ...keyParams(key, options), ...expectParams(options), ...feeParams(options) }
      await write(options, waitCount(options), (client) => client.call('kv_delete', params))
    })
  program
    .command('send <ADDRESS> <AMOUNT>')
    .description('send coins from the daemon’s account')
    .option('--wait [n]', 'return when the transfer has n confirmations (1)')
    .option('--fee <coins>', 'what the miner gets; the least possible if left out')
    .action(async (to: string, text: string, _options: object, command: Command) => {
      const options: GlobalOptions & WaitOption & FeeOption = command.optsWithGlobals()
      const params = { to, amount: parseCount(text, 'AMOUNT', 1), ...feeParams(options) }
      await write(options, waitCount(options), (client) => client.call('coin_send', params))
    })
}

function addReads(program: Command): void {
  withKey(program.command('get <KEY>'))
    .description('print the value of a key, and nothing else')
    .option('--at <height>', 'as of this height; of the tip if left out')
    .option('--encoding <encoding>', 'print the value as utf8, hex or base64; its bytes if left out')
    .action(async (key: string, _options: object, command: Command) => {
      const options: GlobalOptions & KeyOptions & ValueOptions & { at?: string } = command.optsWithGlobals()
      const params = { ...keyParams(key, options), ...heightParam(options) }
      const entry = await ask(options, (client) => client.call('kv_get', params))
      if (options.json) printLine(JSON.stringify(entry))
      else printValue(entry, options)
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
        ...(options.limit === undefined ? {} : { limit: parseCount(options.limit, '--limit', 1, 1000) }),
        ...(options.before === undefined ? {} : { before: parseCount(options.before, '--before', 1) }),
      }
      const history = await ask(options, (client) => client.call('kv_history', params))
      show(options, history, historyView)
    })
  program
    .command('balance [ADDRESS]')
    .description('the coins of an account, by default the daemon’s')
    .action(async (address: string | undefined, _options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      show(options, await ask(options, (client) => client.balance(address)), balanceView)
    })
  program
    .command('block [HEIGHT|HASH]')
    .description('a block, by default the newest')
    .action(async (which: string | undefined, _options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      const place =
        which === undefined || HASH.test(which) ? which : parseCount(which, 'HEIGHT (or a 64-digit HASH)', 0)
      show(options, await ask(options, (client) => client.block(place)), blockView)
    })
  program
    .command('tx <TXID>')
    .description('a transaction, and what became of it')
    .action(async (txid: string, _options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      if (!HASH.test(txid)) throw usageError('TXID has 64 lower-case hex digits')
      await ask(options, (client) => showTransaction(client, txid, options))
    })
}

function addDaemon(program: Command): void {
  program
    .command('status')
    .description('how the daemon is')
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      show(options, await ask(options, (client) => client.status()), statusView)
    })
  program
    .command('peers')
    .description('whom the daemon is connected to')
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      show(options, await ask(options, (client) => client.call('net_peers', {})), ({ peers }) => peersView(peers))
    })
  program
    .command('stop')
    .description('stop the daemon')
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      show(options, await ask(options, (client) => client.call('node_stop', {})), () => 'the daemon is stopping\n')
    })
}

/** Sends a write, and waits for its confirmations when asked to. */
async function write(
  options: GlobalOptions,
  wait: number | undefined,
  send: (client: KvClient) => Promise<Receipt>,
): Promise<void> {
  const answer = await ask(options, async (client) => {
    const receipt = await send(client)
    return wait === undefined ? receipt : await waitFor(client, receipt.txid, wait, options)
  })
  if (options.json) printLine(JSON.stringify(answer))
  else if (answer.status !== 'pending') printLine(confirmedLine(answer))
  else {
    printLine(answer.txid)
    remark(`accepted; not in a block yet: kvchain-cli tx ${answer.txid} tells when, --wait waits for it`)
  }
}

async function waitFor(
  client: KvClient,
  txid: string,
  confirmations: number,
  options: GlobalOptions,
): Promise<TxStatus> {
  const timeoutMs = 1000 * (seconds(options) ?? DEFAULT_WAIT_SECONDS)
  try {
    return await client.waitFor(txid, { confirmations, timeoutMs })
  } catch (error) {
    const isLate = (error instanceof RpcError || error instanceof ClientError) && error.code === 'timed-out'
    if (!isLate) throw error
    const message = `accepted, but not confirmed after ${timeoutMs / 1000} s; it stays on its way: kvchain-cli tx ${txid}`
    throw new CliError('timed-out', message, { txid, confirmations, timeoutMs }, error)
  }
}

/** Of a transaction that was dropped, the daemon may know the fate alone. */
async function showTransaction(client: KvClient, txid: string, options: GlobalOptions): Promise<void> {
  try {
    show(options, await client.tx(txid), txView)
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== 'not-found') throw error
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

function waitCount({ wait }: WaitOption): number | undefined {
  return wait === undefined ? undefined : parseCount(wait, '--wait', 1, MAX_CONFIRMATIONS)
}

function feeParams({ fee }: FeeOption): { fee?: number } {
  return fee === undefined ? {} : { fee: parseCount(fee, '--fee', 0) }
}

function expectParams({ ifAbsent, ifVersion }: ExpectOptions): { expect?: Expect } {
  if (ifAbsent && ifVersion !== undefined) throw usageError('of --if-absent and --if-version, give one')
  if (ifAbsent) return { expect: { absent: true } }
  return ifVersion === undefined ? {} : { expect: { version: parseCount(ifVersion, '--if-version', 1) } }
}
