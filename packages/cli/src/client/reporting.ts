/** How an error of a command of kvchain-cli is told: one line, or one JSON object, on standard error. */
import { CommanderError } from 'commander'
import { errorJson, errorLine, exitCodeFor } from '../exits.js'
import { remark } from '../terminal.js'

/** `args` is the command line, from which --json is known even when it could not be parsed. */
export function reportError(error: unknown, args: readonly string[]): void {
  const end = args.indexOf('--')
  const wantsJson = args.slice(0, end === -1 ? args.length : end).includes('--json')
  remark(wantsJson ? errorJson(error) : `kvchain-cli: ${errorLine(error)}${advice(error)}`)
}

/** After a wrong command line, where to look; and for a value that looks like an option, the way out. */
function advice(error: unknown): string {
  if (exitCodeFor(error) !== 2) return ''
  const isOption = error instanceof CommanderError && error.code === 'commander.unknownOption'
  return ` (see kvchain-cli --help${isOption ? '; after --, nothing is an option' : ''})`
}
