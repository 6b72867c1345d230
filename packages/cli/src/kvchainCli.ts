/** The entry of kvchain-cli: arguments in, exit code out. */
import { clientProgram, OPTIONAL_VALUES } from './client/commands.js'
import { reportError } from './client/reporting.js'
import { exitCodeFor, isDone } from './exits.js'
import { spellOut } from './parsing.js'
import { toleratePipes } from './terminal.js'

/** @param args without the program and the script. */
export async function main(args: readonly string[]): Promise<void> {
  toleratePipes()
  const spelled = spellOut(args, OPTIONAL_VALUES)
  try {
    await clientProgram().parseAsync(spelled, { from: 'user' })
  } catch (error) {
    if (isDone(error)) return
    process.exitCode = exitCodeFor(error)
    reportError(error, spelled)
  }
}
