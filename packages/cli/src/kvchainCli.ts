/** The entry of kvchain-cli: arguments in, exit code out. */
import { CommanderError } from 'commander'
import { clientProgram, OPTIONAL_VALUES } from './client/commands.js'
import { errorJson, errorLine, exitCodeFor, isDone } from './exits.js'
import { spellOut } from './parsing.js'
import { remark, toleratePipes } from './terminal.js'

/** @param args without the program and the script. */
export async function main(args: readonly string[]): Promise<void> {
  toleratePipes()
  const spelled = spellOut(args, OPTIONAL_VALUES)
  try {
    await clientProgram().parseAsync(spelled, { from: 'user' })
  } catch (error) {
    if (isDone(error)) return
    process.exitCode = exitCodeFor(error)
    const wantsJson = spelled.slice(0, endOfOptions(spelled)).includes('--json')
    remark(wantsJson ? errorJson(error) : `kvchain-cli: ${errorLine(error)}${advice(error)}`)
  }
}

function endOfOptions(args: readonly string[]): number {
  const end = args.indexOf('--')
  return end === -1 ? args.length : end
}

/** After a wrong command line, where to look; and for a value that looks like an option, the way out. */
function advice(error: unknown): string {
  if (exitCodeFor(error) !== 2) return ''
  const isOption = error instanceof CommanderError && error.code === 'commander.unknownOption'
  return ` (see kvchain-cli --help${isOption ? '; after --, nothing is an option' : ''})`
}
