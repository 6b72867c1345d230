/** The commands of kvchain-cli that are about the daemon itself. */
import type { Command } from 'commander'
import { parseCount } from '../parsing.js'
import { printable } from '../terminal.js'
import { ask, type GlobalOptions, show } from './session.js'
import { bansView, peersView, reorgsView, statusView } from './views.js'

const MAX_REORGS = 100
const MAX_BAN_SECONDS = 31_536_000

const TARGET_HELP = 'a peer id, an IP address, or a range of those such as 192.0.2.0/24'

export function addDaemon(program: Command): void {
  program
    .command('status')
    .description('how the daemon is')
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      show(options, await ask(options, (client) => client.status()), statusView)
    })
  program
    .command('peers')
    .description('whom the daemon is connected to')
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      show(options, await ask(options, (client) => client.call('net_peers', {})), ({ peers }) => peersView(peers))
    })
  addBans(program)
  program
    .command('reorgs')
    .description('the reorgs that the daemon saw, newest first, and what keys lost')
    .option('--limit <n>', 'how many (20)')
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions & { limit?: string } = command.optsWithGlobals()
      const limit = options.limit === undefined ? {} : { limit: parseCount(options.limit, '--limit', 1, MAX_REORGS) }
      show(options, await ask(options, (client) => client.call('chain_reorgs', limit)), reorgsView)
    })
  program
    .command('stop')
    .description('stop the daemon')
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      show(options, await ask(options, (client) => client.call('node_stop', {})), () => 'the daemon is stopping\n')
    })
}

function addBans(program: Command): void {
  program
    .command('bans')
    .description('whom the daemon shuts out, until when, and why')
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      show(options, await ask(options, (client) => client.call('net_bans', {})), ({ bans }) => bansView(bans))
    })
  program
    .command('ban')
    .description('shut out a peer or an address, in both directions')
    .argument('<target>', TARGET_HELP)
    .option('--seconds <n>', 'for how long (86400, a day)')
    .option('--reason <text>', 'for whoever reads the list')
    .action(async (target: string, _options: object, command: Command) => {
      const options: GlobalOptions & { seconds?: string; reason?: string } = command.optsWithGlobals()
      const { reason, seconds } = options
      const params = {
        target,
        ...(seconds === undefined ? {} : { seconds: parseCount(seconds, '--seconds', 1, MAX_BAN_SECONDS) }),
        ...(reason === undefined ? {} : { reason }),
      }
      show(options, await ask(options, (client) => client.call('net_ban', params)), (ban) => bansView([ban]))
    })
  program
    .command('unban')
    .description('lift a ban, and forgive what led to it')
    .argument('<target>', 'as bans lists it')
    .action(async (target: string, _options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals()
      const answer = await ask(options, (client) => client.call('net_unban', { target }))
      show(options, answer, ({ lifted }) => `${printable(target)} ${lifted ? 'is no longer' : 'was not'} banned\n`)
    })
}
