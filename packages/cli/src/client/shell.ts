/**
 * The interactive client: every command of kvchain-cli without its name, with completion and history, and the short ones of the Noobcash client.
 * A line of the shell is parsed and run by the very program that a command line is. Lines may come from a pipe, too.
 */
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { exitCodeFor, isDone } from '../exits.js'
import { parseCount, spellOut } from '../parsing.js'
import { dataHome } from '../paths.js'
import { endLine, print, remark } from '../terminal.js'
import type { SigningOptions } from './keyOptions.js'
import { HASH } from './reads.js'
import { reportError } from './reporting.js'
import { ask, type GlobalOptions, interruptible, show } from './session.js'
import { complete } from './shellCompletion.js'
import { MAX_HISTORY, ShellHistory } from './shellHistory.js'
import { type LineDefaults, splitLine, toArguments } from './shellLine.js'
import { contentView, readContent } from './shellView.js'
import { withSigning } from './signing.js'

/** The program that lines are run by, and its options whose value may be left out. */
export interface ShellProgram {
  readonly make: () => Command
  readonly optionalValues: Readonly<Record<string, string>>
}

type ShellOptions = GlobalOptions & SigningOptions & { readonly keepGoing?: true }

const PROMPT = 'kvchain> '
/** Keys that Tab offers. */
const MOST_KEYS = 100
const LEAVE = new Set(['exit', 'quit'])

const HELP = `
Every line is a command of kvchain-cli without its name, quoted as in a shell. Beside them there are
  t ADDRESS AMOUNT   send coins and wait until they are there; Ctrl-C ends the waiting, not the transfer
  view [HEIGHT]      who sent what in the last block, or in another
  help [COMMAND], exit

Tab completes commands, options and keys. The history is kept in ~/.kvchain/shell_history, but for lines that begin with a space.
Lines from a pipe are run one by one; the first that fails ends the shell with its exit code, unless --keep-going is given.`

export function addShell(program: Command, lines: ShellProgram): void {
  withSigning(program.command('shell'))
    .description('an interactive client')
    .option('--keep-going', 'with lines from a pipe: go on after one that fails')
    .addHelpText('after', HELP)
    .action(async (_options: object, command: Command) => {
      await new Shell(command.optsWithGlobals(), lines).run()
    })
}

class Shell {
  private readonly defaults: LineDefaults
  /** Of the first line that failed. */
  private exitCode = 0
  /** Calls off the command that runs, or that ran last. */
  private command = new AbortController()

  constructor(
    private readonly options: ShellOptions,
    private readonly lines: ShellProgram,
  ) {
    this.defaults = {
      globals: flags(options, ['dataDir', 'rpcSocket', 'network', 'timeout', 'json']),
      signing: options.key === undefined ? new Map() : signingFlags(options, lines.make()),
    }
  }

  async run(): Promise<void> {
    if (process.stdin.isTTY) return this.converse()
    for await (const line of createInterface({ input: process.stdin })) {
      if ((await this.runLine(line)) === 'leave') break
      if (this.exitCode !== 0 && !this.options.keepGoing) break
    }
    if (this.exitCode !== 0) process.exitCode = this.exitCode
  }

  private async converse(): Promise<void> {
    const { network, tip, account } = await ask(this.options, (client) => client.status())
    const writer = this.options.key === undefined ? account : `the key ${this.options.key}`
    remark(`kvchain ${network} at height ${tip.height}; writes are by ${writer}. help lists the commands, exit ends`)
    const history = await ShellHistory.open(join(dataHome(), 'shell_history'))
    process.on('SIGINT', () => this.command.abort())
    for (;;) {
      const line = await this.readLine(history.lines)
      if (line === undefined) break
      await history.add(line)
      if ((await this.runLine(line)) === 'leave') break
    }
  }

  /** One line of the terminal, which is the command's own afterwards. Undefined at its end. */
  private readLine(history: readonly string[]): Promise<string | undefined> {
    return new Promise((resolve) => {
      const editor = createInterface({
        input: process.stdin,
        output: process.stdout,
        history: [...history],
        historySize: MAX_HISTORY,
        prompt: PROMPT,
        completer: (line: string, done: (error: null, offers: [string[], string]) => void) => {
          void this.complete(line).then((offers) => done(null, offers))
        },
      })
      editor.once('line', (line) => {
        resolve(line)
        editor.close()
      })
      editor.once('SIGINT', () => {
        process.stdout.write('^C\n')
        resolve('')
        editor.close()
      })
      editor.once('close', () => {
        resolve(undefined)
      })
      editor.prompt()
    })
  }

  /** Runs a line; what goes wrong is told and remembered. */
  private async runLine(line: string): Promise<'leave' | 'stay'> {
    let args: readonly string[] = this.defaults.globals
    try {
      const words = splitLine(line)
      const [command] = words
      if (command === undefined) return 'stay'
      if (LEAVE.has(command)) return 'leave'
      args = spellOut(toArguments(words, this.defaults), this.lines.optionalValues)
      await this.runArguments(args)
    } catch (error) {
      if (!isDone(error)) {
        endLine()
        reportError(error, args)
        if (this.exitCode === 0) this.exitCode = exitCodeFor(error)
      }
    }
    endLine()
    return 'stay'
  }

  private async runArguments(args: readonly string[]): Promise<void> {
    const program = this.lines.make()
    addShellCommands(program)
    if (!process.stdin.isTTY) {
      await program.parseAsync(args, { from: 'user' })
      return
    }
    this.command = new AbortController()
    await interruptible(this.command.signal, () => program.parseAsync(args, { from: 'user' }))
  }

  /** Nothing is offered when the daemon does not answer. */
  private async complete(line: string): Promise<[string[], string]> {
    const program = this.lines.make()
    addShellCommands(program)
    const commands = program.commands
      .filter(isTyped)
      .map((command) => [command.name(), command.options.flatMap(({ long }) => long ?? [])] as const)
    const own = ['t', 'help', 'exit'].map((name) => [name, []] as const)
    const all = new Map<string, readonly string[]>([...commands, ...own])
    try {
      return await complete(line, { commands: all, keys: (prefix) => this.keys(prefix) })
    } catch {
      return [[], line]
    }
  }

  private async keys(prefix: string): Promise<string[]> {
    const page = { prefix, keysOnly: true, limit: MOST_KEYS }
    const { entries } = await ask(this.options, (client) => client.call('kv_scan', page))
    // What a terminal cannot show cannot be typed on it.
    const typed = entries.filter(({ key, keyEncoding }) => keyEncoding === 'utf8' && !/\p{C}/u.test(key))
    return typed.map(({ key }) => key)
  }
}

/** What only the shell has. */
function addShellCommands(program: Command): void {
  program
    .command('view [HEIGHT|HASH]')
    .description('who sent what in a block, by default the last')
    .action(async (which: string | undefined, _options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      const place =
        which === undefined || HASH.test(which) ? which : parseCount(which, 'HEIGHT (or a 64-digit HASH)', 0)
      show(options, await ask(options, (client) => readContent(client, place)), contentView)
    })
  program.command('shell-help', { hidden: true }).action(() => {
    const rows = program.commands
      .filter(isTyped)
      .map((command) => `  ${command.name().padEnd(10)} ${command.description()}\n`)
    print(`${rows.join('')}${HELP}\n`)
  })
}

function isTyped(command: Command): boolean {
  return command.name() !== 'shell' && command.name() !== 'shell-help'
}

/** For each command that takes `--key`, as much of what was given with it as the command takes. */
function signingFlags(options: ShellOptions, program: Command): Map<string, readonly string[]> {
  const given = flags(options, ['key', 'keysDir', 'passwordFile', 'passwordFd', 'genesis'])
  const signers = program.commands.filter((command) => command.options.some(({ long }) => long === '--key'))
  return new Map(
    signers.map((command) => {
      const taken = new Set(command.options.map(({ long }) => long))
      return [command.name(), given.filter((flag) => taken.has(flag.split('=', 1)[0]))]
    }),
  )
}

/** Options as they were given, so that each line can be given them again. */
function flags(options: ShellOptions, names: readonly (keyof ShellOptions)[]): string[] {
  return names.flatMap((name) => {
    const value = options[name]
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    if (value === undefined) return []
    return value === true ? [flag] : [`${flag}=${value}`]
  })
}
