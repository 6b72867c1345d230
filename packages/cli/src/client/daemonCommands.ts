/** The commands of kvchain-cli that are about the daemon itself. */
import type { Command } from 'commander'
import { parseCount } from '../parsing.js'
import { ask, type GlobalOptions, show } from './session.js'
import { peersView, reorgsView, statusView } from './views.js'

const MAX_REORGS = 100

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
