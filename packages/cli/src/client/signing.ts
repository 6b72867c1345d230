/**
 * Writes with a key of the user's: the options that name it, and who writes when they are given. What signing takes is in keySigning.ts, which is
 * loaded when a key is named.
 */
import type { Params } from '@kvchain/client/contract'
import type { Receipt } from '@kvchain/client/contract/schemas'
import type { KvClient } from '@kvchain/client/kvClient'
import type { WriteMethod } from '@kvchain/client/operations'
import type { Command } from 'commander'
import { usageError } from '../exits.js'
import { type PasswordOptions, withKeysDir, withPassword } from './keys.js'
import type { KeysDirOption } from './keystore.js'

export interface KeyNameOption extends KeysDirOption {
  /** The name of a key in the keystore. */
  readonly key?: string
}

export interface SigningOptions extends KeyNameOption, PasswordOptions {
  readonly genesis?: string
}

/** Whoever carries out writes: the daemon with its account, or a key here. */
export interface WriteCaller {
  call<M extends WriteMethod>(method: M, params: Params<M>): Promise<Receipt>
}

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
export async function writerFor(client: KvClient, options: SigningOptions): Promise<WriteCaller> {
  const { key } = options
  if (key !== undefined) return (await import('./keySigning.js')).signingWriter(client, key, options)
  const { passwordFile, passwordFd, genesis } = options
  const isAny = passwordFile !== undefined || passwordFd !== undefined || genesis !== undefined
  if (isAny) throw usageError('--password-file, --password-fd and --genesis go with --key')
  return client
}

/** The address of a named key on the daemon's network; undefined when none is named. */
export async function addressOf(client: KvClient, options: KeyNameOption): Promise<string | undefined> {
  if (options.key === undefined) return undefined
  return (await import('./keySigning.js')).keyAddress(client, options.key, options)
}
