/**
 * The commands of the keystore: what each takes. No daemon is asked. What they do is in keyActions.ts, which is loaded when one of them runs: the
 * other commands need not wait for its cryptography.
 */
import type { Command } from 'commander'
import { withKeysDir, withPassword } from './keyOptions.js'

const HELP = `
A key is an account that is not the daemon's: kvchain-cli signs with it, and the daemon never sees it. Each lies in a file of its own, under a
password, in --keys-dir, KVCHAIN_KEYS_DIR or ~/.kvchain/keys. The password is asked for on the terminal, or read from the first line of
--password-file (which nobody else may read) or of the open descriptor --password-fd.

Examples:
  kvchain-cli keys new alice
  kvchain-cli put greeting hello --key alice --wait
  kvchain-cli balance --key alice
  kvchain-cli keys import node --data-dir ~/.kvchain/dev     the account of a daemon
  kvchain-cli keys export alice -o alice-backup.json         still under its password`

export function addKeys(program: Command): void {
  const keys = program.command('keys').description('keys of your own, under a password').addHelpText('after', HELP)
  withAddress(withPassword(withKeysDir(keys.command('new <NAME>'))))
    .description('make a key')
    .action(async (name: string, _options: object, command: Command) => {
      const { newKey } = await import('./keyActions.js')
      await newKey(name, command.optsWithGlobals())
    })
  withAddress(withKeysDir(keys.command('list')))
    .description('all keys, with their addresses')
    .action(async (_options: object, command: Command) => {
      const { listKeys } = await import('./keyActions.js')
      await listKeys(command.optsWithGlobals())
    })
  withAddress(withPassword(withKeysDir(keys.command('import <NAME>'))))
    .description('take in a key from elsewhere: --seed-file, --file, or --data-dir for the account of a daemon')
    .option('--seed-file <file>', 'the seed, as 64 hex digits; - reads standard input')
    .option('--file <file>', 'a key file: it keeps its password')
    .action(async (name: string, _options: object, command: Command) => {
      const { importKey } = await import('./keyActions.js')
      await importKey(name, command.optsWithGlobals())
    })
  withPassword(withKeysDir(keys.command('export <NAME>')))
    .description('write a key out: under its password, or as a seed in the clear')
    .option('--seed', 'the seed in the clear: whoever reads it has the account')
    .option('-o, --output <file>', 'where to; - is standard output')
    .action(async (name: string, _options: object, command: Command) => {
      const { exportKey } = await import('./keyActions.js')
      await exportKey(name, command.optsWithGlobals())
    })
  withPassword(withKeysDir(keys.command('passwd <NAME>')))
    .description('give a key another password')
    .option('--new-password-file <file>', 'the new password is the first line of this file')
    .option('--new-password-fd <n>', 'the new password is read from this open descriptor')
    .action(async (name: string, _options: object, command: Command) => {
      const { changePassword } = await import('./keyActions.js')
      await changePassword(name, command.optsWithGlobals())
    })
}

function withAddress(command: Command): Command {
  return command.option('--prefix <prefix>', 'print the address with this prefix; --network NAME takes that network’s')
}
