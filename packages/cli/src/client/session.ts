/** One conversation with a daemon: which one, for how long, and how what it answers is shown. What every command of kvchain-cli shares. */
import { ClientError } from '@kvchain/client/errors'
import type { KvClient } from '@kvchain/client/kvClient'
import { UnixTransport } from '@kvchain/client/unixTransport'
import type { Command } from 'commander'
import { CliError } from '../exits.js'
import { parseCount } from '../parsing.js'
import { print } from '../terminal.js'
import { type DaemonChoice, findDaemon } from './findDaemon.js'

export interface GlobalOptions extends DaemonChoice {
  readonly json?: true
  readonly timeout?: string
}

/** A daemon on this machine answers in milliseconds; this long, only when it is in trouble. */
export const DEFAULT_CALL_SECONDS = 30
const MAX_SECONDS = 86_400

/** What calls off whatever is asked of a daemon; none outside a shell. */
let interrupt: AbortSignal | undefined

/** Runs `work` so that the signal ends what it asks of daemons: a shell outlives the command that Ctrl-C ends. */
export async function interruptible<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  interrupt = signal
  try {
    return await work()
  } finally {
    interrupt = undefined
  }
}

/** Runs `work` with a client of the daemon that is meant. */
export async function ask<T>(options: GlobalOptions, work: (client: KvClient) => Promise<T>): Promise<T> {
  const timeoutMs = 1000 * (seconds(options) ?? DEFAULT_CALL_SECONDS)
  const { rpcSocket, dataDir, network } = options
  const daemon = await findDaemon({
    ...(rpcSocket === undefined ? {} : { rpcSocket }),
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(network === undefined ? {} : { network }),
  })
  // The contract's schemas take longer to load than all the rest: a wrong command line need not wait for them.
  const { KvClient } = await import('@kvchain/client/kvClient')
  const client = new KvClient(new UnixTransport({ path: daemon.path, timeoutMs }))
  const signal = interrupt
  const stop = () => void client.close()
  signal?.addEventListener('abort', stop)
  try {
    signal?.throwIfAborted()
    return await work(client)
  } catch (error) {
    if (signal?.aborted) throw new CliError('failed', 'called off; what was sent stays on its way', {}, error)
    if (!(error instanceof ClientError) || error.code !== 'no-daemon') throw error
    throw new CliError('no-daemon', `${error.message}; start one: ${daemon.startHint}`, error.data, error)
  } finally {
    signal?.removeEventListener('abort', stop)
    await client.close()
  }
}

export function show<T>(options: GlobalOptions, answer: T, view: (answer: T) => string): void {
  print(options.json ? `${JSON.stringify(answer)}\n` : view(answer))
}

export function seconds({ timeout }: GlobalOptions): number | undefined {
  return timeout === undefined ? undefined : parseCount(timeout, '--timeout', 1, MAX_SECONDS)
}

export function withKey(command: Command): Command {
  return command.option('--key-encoding <encoding>', 'how KEY is written: utf8, hex or base64')
}

export const MAX_HEIGHT: number = 2 ** 32 - 1

/** `--at HEIGHT` as a parameter. */
export function heightParam({ at }: { readonly at?: string }): { height?: number } {
  return at === undefined ? {} : { height: parseCount(at, '--at', 0, MAX_HEIGHT) }
}
