/**
 * What both command lines share: the argument parser as we want it (errors thrown, not printed; help that shows `--wait[=N]`), options
 * whose value is optional, and the reading of numbers.
 */
import { Command } from 'commander'
import { EXIT_CODES, usageError } from './exits.js'

/** A command that throws CommanderError instead of ending the process. Its subcommands are alike. */
export function newProgram(name: string): Command {
  return new Command(name)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .configureHelp({ optionTerm: (option) => option.flags.replace(/ \[(.+)\]$/, '[=$1]') })
}

/**
 * An option whose value may be left out takes one only as `--wait=3`: with a bare `--wait`, the argument that follows is no part of it.
 * Returns the arguments with each bare `name` written as `name=value`.
 */
export function spellOut(args: readonly string[], defaults: Readonly<Record<string, string>>): string[] {
  const end = args.indexOf('--')
  return args.map((arg, index) => {
    const value = end === -1 || index < end ? own(defaults, arg) : undefined
    return value === undefined ? arg : `${arg}=${value}`
  })
}

function own(defaults: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(defaults, name) ? defaults[name] : undefined
}

/** More confirmations than these are never asked for. */
export const MAX_CONFIRMATIONS = 1_000_000

/** A whole number in bounds. `what` names it in the error. */
export function parseCount(text: string, what: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw usageError(`${what} must be a whole number ${bounds}, not '${text}'`)
}

/** A share from 0 to 1, such as 0.3. */
export function parseShare(text: string, what: string): number {
  const value = /^(?:0|1|0?\.\d{1,9}|1\.0{1,9})$/.test(text) ? Number(text) : Number.NaN
  if (value >= 0 && value <= 1) return value
  throw usageError(`${what} must be a share from 0 to 1, such as 0.3, not '${text}'`)
}

export const EXIT_CODE_HELP: string = ['Exit codes:', ...EXIT_CODES.map(([code, text]) => `  ${code}  ${text}`)].join(
  '\n',
)
