/**
 * Writes with a key of the user's: the options that name it, and who writes when they are given. What signing takes is in keySigning.ts, which is
 * loaded when a key is named.
 */
import type { KvClient } from '@kvchain/client/kvClient'
import type { Command } from 'commander'
import { usageError } from '../exits.js'
import { type KeyNameOption, type SigningOptions, type Writer, withKeysDir, withPassword } from './keyOptions.js'

export function withKeyName(command: Command): Command {
  return withKeysDir(command.option('--key <name>', 'a key of yours instead of the daemon’s account: see keys --help'))
}

/** For commands that write. */
export function withSigning(command: Command): Command {
  return withPassword(withKeyName(command)).option(
    '--genesis <hash>',
    'with --key: the genesis that the network must have',
  )
}

/** Of the daemon and a named key, the one that the options mean. Asks for the password when the key is new to this process. */
export async function writerFor(client: KvClient, options: SigningOptions): Promise<Writer> {
  const { key } = options
  if (key !== undefined) return (await import('./keySigning.js')).signingWriter(client, key, options)
  const { passwordFile, passwordFd, genesis } = options
  const isAny = passwordFile !== undefined || passwordFd !== undefined || genesis !== undefined
  if (isAny) throw usageError('--password-file, --password-fd and --genesis go with --key')
  return {
    call: (method, params) => client.call(method, params),
    address: async () => (await client.status()).account,
  }
}

/** The address of a named key on the daemon's network; undefined when none is named. */
export async function addressOf(client: KvClient, options: KeyNameOption): Promise<string | undefined> {
  if (options.key === undefined) return undefined
  return (await import('./keySigning.js')).keyAddress(client, options.key, options)
}
