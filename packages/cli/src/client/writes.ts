/** The commands of kvchain-cli that write: what each takes, and the one way that a write goes. */
import type { BatchOperation } from '@kvchain/client/contract/kv'
import type { AccessChange, Expect, Receipt } from '@kvchain/client/contract/schemas'
import type { TxStatus } from '@kvchain/client/contract/tx'
import { ClientError, RpcError } from '@kvchain/client/errors'
import type { KvClient } from '@kvchain/client/kvClient'
import type { Command } from 'commander'
import { CliError, usageError } from '../exits.js'
import { MAX_CONFIRMATIONS, parseCount } from '../parsing.js'
import { Progress } from '../progress.js'
import { printLine, remark } from '../terminal.js'
import { readBatch } from './batchFile.js'
import type { SigningOptions, Writer } from './keyOptions.js'
import { ask, type GlobalOptions, seconds, withKey } from './session.js'
import { withSigning, writerFor } from './signing.js'
import { type KeyOptions, keyParams, ownKeyOf, type ValueOptions, valueParams } from './values.js'
import { confirmedLine } from './views.js'

/** Whose account writes, on what terms, and whether to wait. */
interface TermFlags extends SigningOptions {
  readonly wait?: string
  readonly fee?: string
  readonly validFor?: string
}

interface ExpectFlags {
  readonly ifAbsent?: true
  readonly ifVersion?: string
  readonly ifValue?: string
}

interface AccessFlags {
  readonly writers?: string
  readonly owner?: string
}

/** Some blocks of the slowest built-in network, and then some. */
export const DEFAULT_WAIT_SECONDS = 300
const MAX_VALID_FOR = 1_000_000
const MAX_OPERATIONS = 1_000
const WRITERS = 'who may write it besides the owner: private, open, or addresses separated by commas'

const BATCH_HELP = `
FILE (-: standard input) holds one JSON object a line:
  {"op": "put", "key": "a", "value": "1"}                                    also keyEncoding, encoding, expect, access
  {"op": "delete", "key": "b", "expect": {"version": 3}}
  {"op": "access", "key": "c", "access": "open"}                             or owner, or {"writers": ["kv1...", ...]}
  {"op": "assert", "key": "d", "expect": {"absent": true}}
  {"op": "send", "to": "kv1...", "amount": 5}

All of them become one transaction: every one happens, or none. With --chunk N each N of them do, one transaction after the other.`

export function addWrites(program: Command): void {
  withTerms(withKey(program.command('put <KEY> [VALUE]')), 'the write')
    .description('write a value; - reads it from standard input')
    .option('--file <file>', 'the value is what this file holds')
    .option('--encoding <encoding>', 'how VALUE is written: utf8, hex or base64', undefined)
    .option('--if-absent', 'only if there is nothing under the key')
    .option('--if-version <n>', 'only if the key has this version')
    .option('--if-value <value>', 'only if the key holds this value')
    .option('--writers <who>', WRITERS)
    .action(async (key: string, value: string | undefined, _options: object, command: Command) => {
      const options: GlobalOptions & KeyOptions & ValueOptions & TermFlags & ExpectFlags & AccessFlags =
        command.optsWithGlobals()
      const params = { ...keyParams(key, options), ...expectParams(options), ...accessParams(options) }
      terms(options)
      await write(options, { op: 'put', ...params, ...(await valueParams(value, options)) })
    })
  withTerms(withKey(program.command('delete <KEY>')), 'the deletion')
    .description('delete a key; its history stays')
    .option('--if-version <n>', 'only if the key has this version')
    .option('--if-value <value>', 'only if the key holds this value')
    .action(async (key: string, _options: object, command: Command) => {
      const options: GlobalOptions & KeyOptions & TermFlags & ExpectFlags = command.optsWithGlobals()
      await write(options, { op: 'delete', ...keyParams(key, options), ...expectParams(options) })
    })
  withTerms(withKey(program.command('access <KEY>')), 'the change')
    .description('say who may write a key, or hand it over; only its owner can')
    .option('--writers <who>', WRITERS)
    .option('--owner <address>', 'hand it over to this account')
    .option('--if-version <n>', 'only if the key has this version')
    .option('--if-value <value>', 'only if the key holds this value')
    .action(async (key: string, _options: object, command: Command) => {
      const options: GlobalOptions & KeyOptions & TermFlags & ExpectFlags & AccessFlags = command.optsWithGlobals()
      if (options.writers === undefined && options.owner === undefined) throw usageError('give --writers or --owner')
      const owner = options.owner === undefined ? {} : { owner: options.owner }
      const change = { ...owner, ...accessParams(options), ...expectParams(options) }
      await write(options, { op: 'access', ...keyParams(key, options), ...change })
    })
  withTerms(program.command('send <ADDRESS> <AMOUNT>'), 'the transfer')
    .description('send coins')
    .action(async (to: string, text: string, _options: object, command: Command) => {
      const options: GlobalOptions & TermFlags = command.optsWithGlobals()
      await write(options, { op: 'send', to, amount: parseCount(text, 'AMOUNT', 1) })
    })
  program
    .command('submit <HEX>')
    .description('send a transaction that was signed elsewhere; again does no harm')
    .option('--wait [n]', 'return when it has n confirmations (1)')
    .action(async (transaction: string, _options: object, command: Command) => {
      const options: GlobalOptions & TermFlags = command.optsWithGlobals()
      const { wait } = terms(options)
      const answer = await ask(options, async (client) => {
        const receipt = await client.call('tx_submit', { transaction })
        return wait === undefined ? receipt : await waitFor(client, receipt.txid, wait, options)
      })
      report(options, answer)
    })
  withTerms(program.command('batch <FILE>'), 'the last of them')
    .description('several writes as one transaction: all of them, or none')
    .option('--chunk <n>', 'a transaction of its own for each n of them')
    .addHelpText('after', BATCH_HELP)
    .action(async (file: string, _options: object, command: Command) => {
      const options: GlobalOptions & TermFlags & { chunk?: string } = command.optsWithGlobals()
      await writeBatch(file, options)
    })
}

function withTerms(command: Command, what: string): Command {
  const terms = command
    .option('--wait [n]', `return when ${what} has n confirmations (1)`)
    .option('--fee <coins>', 'what the miner gets; the least possible if left out')
    .option('--valid-for <blocks>', 'give up when none of the next so many blocks has it')
  return withSigning(terms)
}

/** Sends a write, and waits for its confirmations when asked to. */
async function write(options: GlobalOptions & TermFlags, operation: SingleOperation): Promise<void> {
  const { wait, ...params } = terms(options)
  const answer = await ask(options, async (client) => {
    const writer = await writerFor(client, options)
    const receipt = await sendOne(writer, await ownKeyOf(writer.address, operation), params)
    // To a person who may not want to wait to the end.
    if (wait !== undefined && process.stderr.isTTY && !options.json) remark(`accepted: ${receipt.txid}`)
    return wait === undefined ? receipt : await waitFor(client, receipt.txid, wait, options)
  })
  report(options, answer)
}

type SingleOperation = Exclude<BatchOperation, { op: 'assert' }>

/** One operation by its own method, so that a refusal speaks of it alone. */
function sendOne(writer: Writer, operation: SingleOperation, params: WriteParams): Promise<Receipt> {
  switch (operation.op) {
    case 'put': {
      const { op: _op, ...put } = operation
      return writer.call('kv_put', { ...put, ...params })
    }
    case 'delete': {
      const { op: _op, ...target } = operation
      return writer.call('kv_delete', { ...target, ...params })
    }
    case 'access': {
      const { op: _op, ...change } = operation
      return writer.call('kv_access', { ...change, ...params })
    }
    case 'send': {
      const { op: _op, ...transfer } = operation
      return writer.call('coin_send', { ...transfer, ...params })
    }
  }
}

async function writeBatch(file: string, options: GlobalOptions & TermFlags & { chunk?: string }): Promise<void> {
  const { wait, ...params } = terms(options)
  const operations = await readBatch(file)
  const chunk =
    options.chunk === undefined ? operations.length : parseCount(options.chunk, '--chunk', 1, MAX_OPERATIONS)
  if (chunk > MAX_OPERATIONS) {
    throw usageError(
      `a transaction takes ${MAX_OPERATIONS} operations at most, these are ${operations.length}: give --chunk`,
    )
  }
  const progress = new Progress('operations', operations.length)
  const answer = await ask(options, async (client) => {
    const writer = await writerFor(client, options)
    let receipt: Receipt | undefined
    for (let from = 0; from < operations.length; from += chunk) {
      const part = operations.slice(from, from + chunk)
      const own: BatchOperation[] = []
      for (const operation of part) own.push(await ownKeyOf(writer.address, operation))
      receipt = await sendPart(writer, own, params, from)
      progress.update(from + part.length)
    }
    progress.end()
    if (receipt === undefined) throw usageError('there are no operations')
    return wait === undefined ? receipt : await waitFor(client, receipt.txid, wait, options)
  })
  report(options, answer)
}

async function sendPart(
  writer: Writer,
  operations: BatchOperation[],
  params: WriteParams,
  from: number,
): Promise<Receipt> {
  try {
    return await writer.call('kv_batch', { operations, ...params })
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    const { operation } = error.data
    const line = typeof operation === 'number' ? ` (line ${from + operation + 1})` : ''
    const before = from === 0 ? '' : `; the ${from} operations before were accepted`
    throw new RpcError(error.code, `${error.message}${line}${before}`, { ...error.data, accepted: from }, error)
  }
}

function report(options: GlobalOptions & TermFlags, answer: Receipt | TxStatus): void {
  if (options.json) printLine(JSON.stringify(answer))
  else if (!('accountNonce' in answer)) printLine(confirmedLine(answer))
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
  const progress = new Progress('seconds of waiting for a confirmation', timeoutMs / 1000)
  const stop = progress.tick()
  try {
    return await client.waitFor(txid, { confirmations, timeoutMs })
  } catch (error) {
    const isLate = (error instanceof RpcError || error instanceof ClientError) && error.code === 'timed-out'
    if (!isLate) throw error
    const message = `accepted, but not confirmed after ${timeoutMs / 1000} s; it stays on its way: kvchain-cli tx ${txid}`
    throw new CliError('timed-out', message, { txid, confirmations, timeoutMs }, error)
  } finally {
    stop()
  }
}

interface WriteParams {
  readonly fee?: number
  readonly validFor?: number
}

function terms({ wait, fee, validFor }: TermFlags): WriteParams & { readonly wait: number | undefined } {
  return {
    wait: wait === undefined ? undefined : parseCount(wait, '--wait', 1, MAX_CONFIRMATIONS),
    ...(fee === undefined ? {} : { fee: parseCount(fee, '--fee', 0) }),
    ...(validFor === undefined ? {} : { validFor: parseCount(validFor, '--valid-for', 1, MAX_VALID_FOR) }),
  }
}

function expectParams({ ifAbsent, ifVersion, ifValue }: ExpectFlags): { expect?: Expect } {
  const said = [ifAbsent, ifVersion, ifValue].filter((flag) => flag !== undefined)
  if (said.length > 1) throw usageError('of --if-absent, --if-version and --if-value, give one')
  if (ifAbsent) return { expect: { absent: true } }
  if (ifValue !== undefined) return { expect: { value: ifValue } }
  return ifVersion === undefined ? {} : { expect: { version: parseCount(ifVersion, '--if-version', 1) } }
}

function accessParams({ writers }: AccessFlags): { access?: AccessChange } {
  if (writers === undefined) return {}
  if (writers === 'private' || writers === 'open') return { access: writers }
  return { access: { writers: writers.split(',').map((address) => address.trim()) } }
}
