/**
 * Where passwords come from: the terminal, unseen; a file that nobody else may read; an open file descriptor. Never an argument or a variable
 * of the environment, which others can see.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { ReadStream } from 'node:tty'
import { passwordBytes } from '@kvchain/client/keyFile'
import { CliError, usageError } from '../exits.js'
import { parseCount } from '../parsing.js'
import { resolvePath } from '../paths.js'
import { readSecretFile } from './keystore.js'

export interface PasswordSource {
  readonly file?: string | undefined
  readonly fd?: string | undefined
}

/** What one read of a descriptor may bring: a password and a line's end, and then some. */
const MAX_READ_BYTES = 16_384
const TERMINAL = '/dev/tty'

/** A password that is known to its file. `what` is the question. Throws CliError, and KeyFileError `bad-password`. */
export async function readPassword(source: PasswordSource, what: string): Promise<string> {
  const given = await givenPassword(source)
  const password = given ?? (await askUnseen(`${what}: `))
  passwordBytes(password)
  return password
}

/** A new one: from the terminal it is asked for twice. */
export async function readNewPassword(source: PasswordSource, what: string): Promise<string> {
  const given = await givenPassword(source)
  const password = given ?? (await askUnseen(`${what}: `))
  passwordBytes(password)
  if (given === undefined && (await askUnseen('The same again: ')) !== password) {
    throw new CliError('failed', 'the two passwords differ')
  }
  return password
}

/** The first line of what was pointed to. */
async function givenPassword({ file, fd }: PasswordSource): Promise<string | undefined> {
  if (file !== undefined && fd !== undefined)
    throw usageError('give a password by a file or by a descriptor, not by both')
  if (file === undefined && fd === undefined) return undefined
  const text = file === undefined ? readDescriptor(fd ?? '') : await readSecretFile(resolvePath(file, process.cwd()))
  return text.split(/\r?\n/, 1)[0] ?? ''
}

function readDescriptor(text: string): string {
  const fd = parseCount(text, 'a password’s file descriptor', 0, 1023)
  const buffer = Buffer.alloc(MAX_READ_BYTES)
  let length = 0
  try {
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(fd, buffer, length, buffer.length - length, null)
      if (buffer.subarray(0, length + read).includes('\n')) return buffer.toString('utf8', 0, length + read)
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError('failed', `cannot read the password from descriptor ${fd}: ${why}`, {}, error)
  }
  return buffer.toString('utf8', 0, length)
}

/** Asks on the terminal itself, wherever standard input and output go. */
async function askUnseen(question: string): Promise<string> {
  const { input, output } = openTerminal()
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input, output: unseen, terminal: true, historySize: 0 })
  // Only now does the terminal show nothing of what is typed.
  writeSync(output, question)
  try {
    return await new Promise((resolve, reject) => {
      const onEnd = () => reject(new CliError('failed', 'no password was given'))
      lines.once('line', resolve)
      lines.once('SIGINT', onEnd)
      lines.once('close', onEnd)
    })
  } finally {
    lines.close()
    input.destroy()
    writeSync(output, '\n')
    closeSync(output)
  }
}

function openTerminal(): { input: ReadStream; output: number } {
  try {
    return { input: new ReadStream(openSync(TERMINAL, 'r')), output: openSync(TERMINAL, 'w') }
  } catch (error) {
    throw new CliError(
      'usage',
      'there is no terminal to ask for the password on: give --password-file or --password-fd',
      {},
      error,
    )
  }
}
