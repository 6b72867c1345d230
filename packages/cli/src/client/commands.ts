/** The command line of kvchain-cli: its global options, and the rooms that its commands come from. */
import type { Command } from 'commander'
import { addCompletion } from '../completion.js'
import { EXIT_CODE_HELP, newProgram } from '../parsing.js'
import { readVersion } from '../paths.js'
import { addDaemon } from './daemonCommands.js'
import { addFollowing } from './following.js'
import { addKeys } from './keys.js'
import { addProofs } from './proofs.js'
import { addReads } from './reads.js'
import { DEFAULT_CALL_SECONDS } from './session.js'
import { addShell } from './shell.js'
import { addWrites, DEFAULT_WAIT_SECONDS } from './writes.js'

/** An option that takes its value only after `=`, and what it means alone. */
export const OPTIONAL_VALUES = { '--wait': '1' }

const EXAMPLES = `
Examples:
  kvchain-cli put greeting 'hello world' --wait      returns when it is in a block
  kvchain-cli get greeting
  kvchain-cli put photo --file photo.jpg --wait=6    returns when it has 6 confirmations
  kvchain-cli get photo > photo.jpg
  kvchain-cli put counter 2 --if-version 1 --wait    only if nobody else was faster
  kvchain-cli scan users/ --keys-only                every key that begins so
  kvchain-cli batch writes.jsonl --wait              several writes: all of them, or none
  kvchain-cli watch users/ --prefix                  tells what happens, reorgs included
  kvchain-cli prove greeting -o greeting.proof       a proof that anybody can check, with no daemon:
  kvchain-cli verify greeting.proof
  kvchain-cli --network lan status --json

A key that begins with @me/ lies in the own namespace: @me/ stands for @ADDRESS/ with the address of the account that writes.

The daemon is found by --rpc-socket, --data-dir or --network, by KVCHAIN_RPC_SOCKET or KVCHAIN_DATA_DIR, or because it is
the only one that runs under ~/.kvchain. Without --timeout an answer is waited for ${DEFAULT_CALL_SECONDS} s, a confirmation ${DEFAULT_WAIT_SECONDS} s.

${EXIT_CODE_HELP}`

export function clientProgram(): Command {
  const program = newProgram('kvchain-cli')
    .description('Reads and writes through a kvchain daemon on this machine.')
    .version(readVersion())
    .option('--data-dir <dir>', 'the data folder of the daemon to ask')
    .option('--rpc-socket <path>', 'its socket')
    .option('--network <name>', 'its network, when its data folder is the usual one')
    .option('--json', 'print one JSON object; an error too, on standard error')
    .option('--timeout <seconds>', 'how long to wait for an answer or a confirmation')
    .addHelpText('after', EXAMPLES)
  addWrites(program)
  addReads(program)
  addFollowing(program)
  addProofs(program)
  addDaemon(program)
  addKeys(program)
  addCompletion(program)
  addShell(program, { make: clientProgram, optionalValues: OPTIONAL_VALUES })
  return program
}
