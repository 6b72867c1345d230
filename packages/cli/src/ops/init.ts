/** kvchain init: a data folder with its keys, and a configuration file with the settings that were given. Replaces nothing that is there. */
import '@kvchain/node/net/polyfill'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { toAddress } from '@kvchain/core/address'
import { loadIdentity } from '@kvchain/node/identity'
import { peerIdOfSeed } from '@kvchain/node/net/host/host'
import { readNetwork } from '@kvchain/node/networkFile'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { exists } from '@kvchain/node/store/folders'
import { type Flags, readSettings, saidByFlags, toConfig } from '../daemon/settings.js'
import { CliError } from '../exits.js'
import { defaultDataDir, resolvePath } from '../paths.js'
import { fieldLines, print } from '../terminal.js'

const SCHEMA = fileURLToPath(new URL('../../../../configs/config.schema.json', import.meta.url))

/** Prints who the node will be, and what to type next. Throws CliError `failed` when the configuration file is there. */
export async function runInit(flags: Flags, config: string | undefined): Promise<void> {
  const cwd = process.cwd()
  const settings = readSettings(flags, {}, cwd)
  const network = await readNetwork(settings.network)
  const dataDir = settings.dataDir ?? defaultDataDir(network.name)
  const file = config === undefined ? join(dataDir, 'config.json') : resolvePath(config, cwd)
  if (await exists(file))
    throw new CliError('failed', `${file} is there already, and is not replaced: choose another --config`)
  const hadKeys = await exists(join(dataDir, 'account.key'))
  const identity = await loadIdentity(dataDir, systemRuntime().random)
  const said = { ...saidByFlags(flags, cwd), network: settings.network, dataDir }
  await writeConfig(file, { $schema: relative(dirname(file), SCHEMA), ...toConfig(said) })
  print(
    fieldLines([
      ['data folder', dataDir],
      ['account', toAddress(identity.account.publicKey, network.params.addressPrefix)],
      ['peer', await peerIdOfSeed(identity.peerSeed)],
      ['keys', hadKeys ? 'were there before' : 'new: keep a copy of account.key in a safe place'],
      ['configuration', file],
      ['next', `kvchain daemon --config ${file}`],
    ]),
  )
}

async function writeConfig(file: string, config: object): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(file, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError('failed', `the configuration file ${file} cannot be written: ${why}`, {}, error)
  }
}
