/** Files of writes: JSON lines, each checked before anything is sent. */
import { createReadStream } from 'node:fs'
import { checkParams } from '@kvchain/client/contract'
import type { BatchOperation } from '@kvchain/client/contract/kv'
import { LineSplitter } from '@kvchain/client/ndjson'
import { CliError, usageError } from '../exits.js'

/** More than a value in base64 takes. */
const MAX_LINE_BYTES = 4 << 20
/** What is held in memory at once. */
const MAX_FILE_BYTES = 256 << 20

/** The operations of a file, `-` for standard input. Empty lines are skipped. Throws CliError, with the number of the line. */
export async function readBatch(file: string): Promise<BatchOperation[]> {
  const operations: BatchOperation[] = []
  let number = 0
  const take = (line: Uint8Array) => {
    number++
    const text = decode(line, number).trim()
    if (text === '') return
    const checked = checkParams('kv_batch', { operations: [parse(text, number)] })
    if (!checked.ok) throw usageError(`line ${number}: ${checked.problem.message} (see kvchain-cli batch --help)`)
    operations.push(...checked.value.operations)
  }
  const splitter = new LineSplitter(MAX_LINE_BYTES)
  let bytes = 0
  try {
    for await (const chunk of file === '-' ? process.stdin : createReadStream(file)) {
      const part: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      bytes += part.length
      if (bytes > MAX_FILE_BYTES) throw usageError(`a batch has at most ${MAX_FILE_BYTES >> 20} MiB`)
      for (const line of splitter.push(part)) take(line)
    }
    for (const line of splitter.push(Uint8Array.of(0x0a))) take(line)
  } catch (error) {
    if (error instanceof CliError) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError('failed', `cannot read ${file === '-' ? 'standard input' : file}: ${why}`, {}, error)
  }
  if (operations.length === 0) throw usageError('there are no operations')
  return operations
}

function decode(line: Uint8Array, number: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(line)
  } catch {
    throw usageError(`line ${number} is no UTF-8`)
  }
}

function parse(text: string, number: number): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw usageError(`line ${number} is not JSON`)
  }
}
