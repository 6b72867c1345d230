/** The entry of kvchain, the daemon's command: arguments in, exit code out. The daemon itself is loaded only to run. */
import type { Command } from 'commander'
import { addCompletion } from './completion.js'
import { explainSettings, NEGATABLE, readSettings, type Settings, toConfig } from './daemon/settings.js'
import { errorLine, exitCodeFor, isDone } from './exits.js'
import { addLab } from './lab/commands.js'
import { EXIT_CODE_HELP, newProgram, spellOut } from './parsing.js'
import { readVersion } from './paths.js'
import { print, remark, tableLines, toleratePipes } from './terminal.js'

/** Besides daemon, which a command line without one of these is taken for. */
const OTHER_COMMANDS = ['init', 'db', 'backup', 'restore', 'lab', 'completion'] as const
const OPTIONAL_VALUES = { '--mine': 'default' }
/** After a start that failed, what is still open must not keep the process. */
const LINGER_MS = 2_000

const EXAMPLES = `
Examples:
  kvchain daemon --mine                              a network of your own, on this machine
  kvchain daemon --network lan --mine                finds the other daemons of the LAN by itself
  kvchain daemon --network ./ours.json --bootstrap /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW...

Settings:
  Flags win over KVCHAIN_* variables (KVCHAIN_NETWORK, KVCHAIN_DATA_DIR, KVCHAIN_LISTEN, ...; lists separated by commas), which
  win over the file of --config: {"network": "lan", "listen": ["/ip4/0.0.0.0/tcp/4001"], "mine": "always", "mdns": false}.

The daemon prints 'kvchain: ready' when it is. SIGINT, SIGTERM or kvchain-cli stop end it in good order; a second signal at once.

${EXIT_CODE_HELP}`

const DATABASE_HELP = `
How far it is goes to standard error. check ends with 0 when all is sound, and with 1 when anything is damaged or it could not look.
rebuild connects every block that is whole again, in a new database, and then deletes the old one; what is lost comes from peers.

${EXIT_CODE_HELP}`

const INIT_HELP = `
Examples:
  kvchain init                                       ~/.kvchain/dev with keys and config.json
  kvchain init --network lan --mine --data-dir /srv/kvchain

The file holds the settings that were given; a daemon started with --config takes them. Keys that are there are kept, and a file that is there is
never replaced.

${EXIT_CODE_HELP}`

const BACKUP_HELP = `
Examples:
  kvchain backup --to ~/backups                      kvchain-dev-20260102T030405Z.kvbackup in that folder
  kvchain backup --network lan --to /mnt/lan.kvbackup

The backup is of one moment, checked while it is written, and whole or not there. A file that is there is never replaced. Keys are not in it
unless --with-keys is given: copy account.key once, to a safe place.

${EXIT_CODE_HELP}`

const RESTORE_HELP = `
Examples:
  kvchain restore ~/backups/kvchain-dev-20260102T030405Z.kvbackup --data-dir ~/.kvchain/dev

Nothing may be at --data-dir. Every block is connected from genesis on, under all rules; a backup that is damaged, or of another network, is refused
and leaves nothing behind. Two daemons must not run with the same keys.

${EXIT_CODE_HELP}`

/** @param args without the program and the script. */
export async function main(args: readonly string[]): Promise<void> {
  toleratePipes()
  try {
    await daemonProgram().parseAsync(spellOut(args, OPTIONAL_VALUES), { from: 'user' })
  } catch (error) {
    if (isDone(error)) return
    // The launcher knows what to say to somebody who has not built.
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') throw error
    process.exitCode = exitCodeFor(error)
    const advice =
      process.exitCode === 2
        ? ` (see kvchain ${OTHER_COMMANDS.find((name) => name === args[0]) ?? 'daemon'} --help)`
        : ''
    remark(`kvchain: ${errorLine(error)}${advice}`)
    setTimeout(() => process.exit(), LINGER_MS).unref()
  }
}

/** The command line of kvchain. */
export function daemonProgram(): Command {
  const program = newProgram('kvchain')
    .description('A distributed key-value store that nobody can take back.')
    .version(readVersion())
    .addHelpText('after', `\nkvchain-cli reads and writes through a daemon that runs.\n\n${EXIT_CODE_HELP}`)
  withDaemon(program.command('daemon').description('run a member of a network, in the foreground'))
    .option('--config <file>', 'JSON file with settings, named like the flags')
    .option('--print-config', 'print each setting and where it comes from, and end')
    .addHelpText('after', EXAMPLES)
    .action(async ({ printConfig, ...flags }: Record<string, unknown>) => {
      const { settings, origins } = explainSettings(givenFlags(flags), process.env, process.cwd())
      if (printConfig === true) {
        const values = toConfig(settings)
        const rows = [...origins].map(([name, origin]) => [name, JSON.stringify(values[name]), origin])
        print(tableLines(['setting', 'value', 'from'], rows))
        return
      }
      const { runDaemon } = await import('./daemon/run.js')
      await runDaemon(settings)
    })
  withDaemon(program.command('init').description('make a data folder with keys, and a configuration file'))
    .option('--config <file>', 'the file to make (DATA-DIR/config.json)')
    .addHelpText('after', INIT_HELP)
    .action(async ({ config, ...flags }: Record<string, unknown>) => {
      const { runInit } = await import('./ops/init.js')
      await runInit(givenFlags(flags), typeof config === 'string' ? config : undefined)
    })
  addDatabaseCommands(program)
  addLab(program)
  addBackupCommands(program)
  addCompletion(program)
  return program
}

/** The settings of a daemon, as flags. */
function withDaemon(command: Command): Command {
  return command
    .option('--network <name|file>', 'dev, lan, public, or a network file (dev)')
    .option('--data-dir <dir>', 'where everything is kept (~/.kvchain/NETWORK)')
    .option('--listen <multiaddr>', 'address to listen on, or none; may be repeated', collect)
    .option('--bootstrap <multiaddr>', 'member to connect to at first; may be repeated', collect)
    .option('--no-mdns', 'do not look for members on the LAN')
    .option('--announce <multiaddr>', 'address that a router forwards to it, told to others; may be repeated', collect)
    .option('--relay <multiaddr>', 'relay to be reached through, with its peer id; may be repeated', collect)
    .option('--relay-service', 'be a relay for members that nobody can dial')
    .option('--no-peer-exchange', 'connect to nobody that others tell of or that was met before, and tell nobody')
    .option(
      '--allow <peer|addresses>',
      'peer id, or addresses such as 192.0.2.0/24; with any, nobody else; may be repeated',
      collect,
    )
    .option('--deny <peer|addresses>', 'the same, to be kept out; may be repeated', collect)
    .option('--psk <file>', 'pre-shared key: only members that have the same can connect')
    .option('--mine [always|pending]', 'mine: always, or only while something waits; alone, what the network suggests')
    .option('--miner-threads <n>', 'threads that mine (1)')
    .option('--rpc-socket <path>', 'the socket for clients (DATA-DIR/kvchain.sock)')
    .option('--rpc-rate <n>', 'requests that one connection to it may make in a second (20000)')
    .option(
      '--reorg-alarm <depth>',
      'blocks that a reorg takes back and that ring the alarm (half of what the network calls settled)',
    )
    .option('--http <address:port>', 'serve HTTP too, such as 127.0.0.1:8080 (JSON-RPC, REST, metrics)')
    .option('--http-allow-remote', 'let --http be an address that other machines reach')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent (info)')
    .option('--log-format <format>', 'pretty or json (pretty on a terminal)')
}

/** The parser reports a --no-... option as set to true when nobody gave it. */
function givenFlags(flags: Record<string, unknown>): Record<string, unknown> {
  const negatable: readonly string[] = NEGATABLE
  return Object.fromEntries(Object.entries(flags).filter(([key, value]) => value !== true || !negatable.includes(key)))
}

/** On a data folder that no daemon uses. */
function addDatabaseCommands(program: Command): void {
  const db = newProgram('db').description(
    'look at a data folder, or make its database anew; its daemon must be stopped',
  )
  program.addCommand(db)
  const commands = [
    ['check', 'look at everything in the database and say what is wrong', 'dbCheck'],
    ['rebuild', 'make the database anew from what is whole of it', 'dbRebuild'],
  ] as const
  for (const [name, description, action] of commands) {
    withFolder(db.command(name).description(description))
      .addHelpText('after', DATABASE_HELP)
      .action(async (flags: Record<string, unknown>) => {
        const commands = await import('./db/commands.js')
        await commands[action](folderSettings(flags))
      })
  }
}

function addBackupCommands(program: Command): void {
  withFolder(program.command('backup').description('write a backup to a new file; its daemon may run'))
    .requiredOption('--to <file|dir>', 'the new file, or a folder for it')
    .option('--with-keys', 'with the secret keys: whoever has the file then has the account')
    .option('--rpc-socket <path>', 'the socket of the daemon (DATA-DIR/kvchain.sock)')
    .addHelpText('after', BACKUP_HELP)
    .action(async ({ to, withKeys = false, ...flags }: Record<string, unknown>) => {
      const { runBackup } = await import('./ops/backup.js')
      await runBackup(folderSettings(flags), { to: String(to), withKeys: withKeys === true })
    })
  withFolder(program.command('restore').description('make a new data folder of a backup'))
    .argument('<file>', 'the backup')
    .addHelpText('after', RESTORE_HELP)
    .action(async (file: string, flags: Record<string, unknown>) => {
      const { runRestore } = await import('./ops/backup.js')
      await runRestore(folderSettings(flags), file)
    })
}

/** The options of whatever works on a data folder. */
function withFolder(command: Command): Command {
  return command
    .option('--network <name|file>', 'dev, lan, public, or a network file (dev)')
    .option('--data-dir <dir>', 'the data folder (~/.kvchain/NETWORK)')
    .option('--config <file>', 'JSON file with settings, named like the flags')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent (warn)')
}

function folderSettings(flags: Record<string, unknown>): Settings {
  return readSettings(flags, { KVCHAIN_LOG_LEVEL: 'warn', ...process.env }, process.cwd())
}

function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value]
}
