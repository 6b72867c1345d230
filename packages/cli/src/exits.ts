/**
 * How both commands end: the exit codes, the errors of their own, and the one line (or JSON object) that any error becomes. Nobody
 * sees a stack trace unless the daemon's log shows one.
 */
import { ClientError, exitCodeOf, RpcError } from '@kvchain/client/errors'
import type { KeyFileError, KeyFileErrorCode } from '@kvchain/client/keyFile'
import { KvError } from '@kvchain/core/errors'
import { CommanderError } from 'commander'
import { printable } from './terminal.js'

/** What each exit code means: the text of --help, and the documentation. */
export const EXIT_CODES = [
  [0, 'done'],
  [1, 'failed'],
  [2, 'usage: a wrong flag, argument, option or address'],
  [3, 'not found'],
  [4, 'refused by a rule'],
  [5, 'no daemon'],
  [6, 'timed out'],
  [7, 'wrong password'],
] as const

const CLI_EXIT_CODES = {
  /** The command line, the environment or a configuration file makes no sense. */
  usage: 2,
  /** What a command reads or writes cannot be. */
  failed: 1,
  /** There is no such thing on this machine. */
  'not-found': 3,
  /** There is nobody to ask. */
  'no-daemon': 5,
  /** A confirmation did not come in time. */
  'timed-out': 6,
} as const

const KEY_FILE_EXIT_CODES: Readonly<Record<KeyFileErrorCode, number>> = {
  'key-file-malformed': 1,
  'key-file-unsupported': 1,
  'key-file-damaged': 1,
  'wrong-password': 7,
  'bad-password': 2,
}

export class CliError extends KvError<keyof typeof CLI_EXIT_CODES> {}

export function usageError(message: string): CliError {
  return new CliError('usage', message)
}

/** Help and version are no errors, though the argument parser throws them. */
export function isDone(error: unknown): boolean {
  return error instanceof CommanderError && error.exitCode === 0
}

export function exitCodeFor(error: unknown): number {
  if (error instanceof CommanderError) return CLI_EXIT_CODES.usage
  if (error instanceof CliError) return CLI_EXIT_CODES[error.code]
  if (isKeyFileError(error)) return KEY_FILE_EXIT_CODES[error.code]
  return exitCodeOf(error)
}

/** The one line for people, without the name of the command. */
export function errorLine(error: unknown): string {
  return printable(errorMessage(error).replace(/\s*\n\s*/g, ' '))
}

/** The object for machines. */
export function errorJson(error: unknown): string {
  return JSON.stringify({
    error: {
      name: errorName(error),
      ...(error instanceof RpcError ? { code: error.rpcCode } : {}),
      message: errorMessage(error),
      data: errorData(error),
      exitCode: exitCodeFor(error),
    },
  })
}

function errorMessage(error: unknown): string {
  if (error instanceof CommanderError) return parserMessage(error)
  return error instanceof Error ? error.message : String(error)
}

/** With the code and the data of what it was made of, such as the field of a network file. */
function errorData(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof KvError)) return {}
  const { cause, data } = error
  const isOwn = error instanceof ClientError || error instanceof RpcError || !(cause instanceof KvError)
  return isOwn ? data : { rule: cause.code, ...cause.data, ...data }
}

function errorName(error: unknown): string {
  if (error instanceof CommanderError) return 'usage'
  if (error instanceof CliError || error instanceof ClientError || error instanceof RpcError) return error.code
  return isKeyFileError(error) ? error.code : 'failed'
}

/** By its name: the class brings cryptography with it, for which not every command need wait. */
function isKeyFileError(error: unknown): error is KeyFileError {
  return error instanceof KvError && error.name === 'KeyFileError'
}

/** The parser's own words, where it has any. */
function parserMessage(error: CommanderError): string {
  return error.code === 'commander.help' ? 'which command?' : error.message.replace(/^error: /, '')
}
