/** The options that name keys, passwords and networks: their shapes, and how a command takes them. */
import type { Params } from '@kvchain/client/contract'
import type { Receipt } from '@kvchain/client/contract/schemas'
import type { WriteMethod } from '@kvchain/client/operations'
import type { Command } from 'commander'
import type { AddressOptions } from './addresses.js'
import type { GlobalOptions } from './session.js'

export interface KeysDirOption {
  readonly keysDir?: string
}

export interface PasswordOptions {
  readonly passwordFile?: string
  readonly passwordFd?: string
}

export interface NewPasswordOptions {
  readonly newPasswordFile?: string
  readonly newPasswordFd?: string
}

export type KeysOptions = GlobalOptions & KeysDirOption & AddressOptions & PasswordOptions

export interface ImportOptions {
  readonly seedFile?: string
  readonly file?: string
  readonly dataDir?: string
}

export interface ExportOptions {
  readonly seed?: true
  readonly output?: string
}

export interface KeyNameOption extends KeysDirOption {
  /** The name of a key in the keystore. */
  readonly key?: string
}

export interface SigningOptions extends KeyNameOption, PasswordOptions {
  readonly genesis?: string
}

/** Whoever carries out writes: the daemon with its account, or a key here. */
export interface Writer {
  call<M extends WriteMethod>(method: M, params: Params<M>): Promise<Receipt>
  /** Of the account that writes. */
  address(): Promise<string>
}

export function withKeysDir(command: Command): Command {
  return command.option('--keys-dir <dir>', 'the folder of the keys (~/.kvchain/keys)')
}

export function withPassword(command: Command): Command {
  return command
    .option('--password-file <file>', 'the password is the first line of this file')
    .option('--password-fd <n>', 'the password is read from this open descriptor')
}
