/**
 * The commands of kvchain-cli that go on: watching keys, following a transaction. Each event is printed when it comes; a daemon that goes away is
 * waited for, and nothing is missed meanwhile.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KvEvent } from '@kvchain/client/contract/watch'
import { ClientError, RpcError } from '@kvchain/client/errors'
import type { KvClient } from '@kvchain/client/kvClient'
import { decodeText } from '@kvchain/client/text'
import type { Command } from 'commander'
import { CliError, usageError } from '../exits.js'
import { parseCount } from '../parsing.js'
import { print, printLine, remark } from '../terminal.js'
import { HASH, type RawFlag, showTransaction } from './reads.js'
import { ask, type GlobalOptions, MAX_HEIGHT, withKey } from './session.js'
import { type KeyOptions, keyParams, ownKey } from './values.js'
import { eventLine, stateLine } from './views.js'

interface WatchFlags extends KeyOptions {
  readonly prefix?: true
  readonly from?: string
  readonly cursor?: string
  readonly cursorFile?: string
  readonly settled?: true
  /** The parser sets it to true when nobody said --no-values. */
  readonly values?: boolean
  readonly count?: string
}

/** Between two tries to reach a daemon that went away. */
const RETRY_MS = 1_000

const WATCH_HELP = `
One line for each event: put, delete or access with the new version; retracted when a reorg took a version back; with --settled also settled, once
a version has as many confirmations as the network calls settled.

--cursor-file keeps the place: begun again with the same file, the watch tells all that happened meanwhile, and nothing twice but the events
of the last block, should it end in the middle of printing them. With --json the last event of each answer carries the cursor.`

export function addFollowing(program: Command): void {
  withKey(program.command('watch [KEY]'))
    .description('tell what happens to a key, to keys with a prefix, or to all')
    .option('--prefix', 'KEY is how the keys begin')
    .option('--from <height>', 'begin with this block; with the next one if left out')
    .option('--cursor <cursor>', 'begin where an earlier watch had got to')
    .option('--cursor-file <file>', 'keep the place in this file, and begin there')
    .option('--settled', 'tell which versions settle, too')
    .option('--no-values', 'without values')
    .option('--count <n>', 'end after n events')
    .addHelpText('after', WATCH_HELP)
    .action(async (key: string | undefined, _options: object, command: Command) => {
      const options: GlobalOptions & WatchFlags = command.optsWithGlobals()
      await watch(key, options)
    })
  program
    .command('tx <TXID>')
    .description('a transaction, and what became of it')
    .option('--raw', 'its bytes, in hex')
    .option('--follow', 'a line for each state of its life, until it is settled or dropped')
    .action(async (txid: string, _options: object, command: Command) => {
      const options: GlobalOptions & RawFlag & { follow?: true } = command.optsWithGlobals()
      if (!HASH.test(txid)) throw usageError('TXID has 64 lower-case hex digits')
      if (options.follow && options.raw) throw usageError('--raw does not go with --follow')
      if (options.follow) await follow(txid, options)
      else await ask(options, (client) => showTransaction(client, txid, options))
    })
}

async function watch(key: string | undefined, options: GlobalOptions & WatchFlags): Promise<void> {
  if (options.prefix && key === undefined) throw usageError('--prefix goes with KEY')
  const begins = [options.from, options.cursor, options.cursorFile].filter((begin) => begin !== undefined)
  if (begins.length > 1 && options.cursor !== undefined)
    throw usageError('--cursor goes with neither --from nor --cursor-file')
  const most = options.count === undefined ? Number.POSITIVE_INFINITY : parseCount(options.count, '--count', 1)
  const named = key === undefined ? undefined : keyParams(key, options)
  const place = new CursorFile(options.cursorFile)
  const fromHeight = options.from === undefined ? undefined : parseCount(options.from, '--from', 1, MAX_HEIGHT)
  let cursor = options.cursor ?? (await place.read())
  let count = 0
  await patiently(options, async (client) => {
    const own = named && (await ownKey(client, named))
    const bytes = own && decodeText(own.key, own.keyEncoding)
    const target = bytes === undefined ? { prefix: '' } : options.prefix ? { prefix: bytes } : { key: bytes }
    const wanted = { values: options.values !== false, settled: options.settled === true }
    const begin = cursor !== undefined ? { cursor } : fromHeight === undefined ? {} : { fromHeight }
    for await (const page of client.watch(target, { ...wanted, ...begin })) {
      const events = page.events.slice(0, most - count)
      count += events.length
      const isWhole = events.length === page.events.length
      events.forEach((event, i) => {
        const isLast = isWhole && i === events.length - 1
        printEvent(event, isLast ? page.cursor : undefined, options)
      })
      if (isWhole) {
        cursor = page.cursor
        await place.write(page.cursor)
      }
      if (count >= most) return
    }
  })
}

function printEvent(event: KvEvent, cursor: string | undefined, options: GlobalOptions): void {
  if (options.json) printLine(JSON.stringify(cursor === undefined ? event : { ...event, cursor }))
  else print(eventLine(event))
}

async function follow(txid: string, options: GlobalOptions): Promise<void> {
  let seen: string | undefined
  await patiently(options, async (client) => {
    for await (const state of client.follow(txid)) {
      if (state.status === 'unknown') throw new RpcError('not-found', 'this daemon never heard of the transaction')
      if (state.state !== seen) options.json ? printLine(JSON.stringify(state)) : print(stateLine(state))
      seen = state.state
    }
  })
}

/** Begins `work` again each time that the daemon went away. That it is not there at the first time is an error. */
async function patiently(options: GlobalOptions, work: (client: KvClient) => Promise<void>): Promise<void> {
  let wasThere = false
  let isAway = false
  for (;;) {
    try {
      return await ask(options, async (client) => {
        await client.call('chain_tip', {})
        if (isAway) remark('the daemon is back')
        wasThere = true
        isAway = false
        await work(client)
      })
    } catch (error) {
      if (!wasThere || !isGone(error)) throw error
      if (!isAway) remark('the daemon went away; waiting for it')
      isAway = true
      await sleep(RETRY_MS)
    }
  }
}

function isGone(error: unknown): boolean {
  if (error instanceof CliError) return error.code === 'no-daemon'
  if (error instanceof RpcError) return error.code === 'unavailable'
  return error instanceof ClientError && (error.code === 'connection-lost' || error.code === 'no-daemon')
}

/** Where a watch has got to, on disk. */
class CursorFile {
  constructor(private readonly file: string | undefined) {}

  /** Undefined when there is none yet. */
  async read(): Promise<string | undefined> {
    if (this.file === undefined) return undefined
    try {
      return (await readFile(this.file, 'utf8')).trim()
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw new CliError('failed', `the cursor file ${this.file} cannot be read`, {}, error)
    }
  }

  async write(cursor: string): Promise<void> {
    if (this.file === undefined) return
    try {
      await writeFile(`${this.file}.new`, `${cursor}\n`)
      await rename(`${this.file}.new`, this.file)
    } catch (error) {
      throw new CliError('failed', `the cursor file ${this.file} cannot be written`, {}, error)
    }
  }
}
