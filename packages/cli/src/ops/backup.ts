/**
 * kvchain backup and restore: a file of everything that a data folder holds, made by the daemon while it runs, or from the folder when it does not;
 * and a new data folder made of such a file. Owns the name of the file and what is printed; the work is the node's.
 */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ClientError } from '@kvchain/client/errors'
import { KvClient } from '@kvchain/client/kvClient'
import { defaultSocketPath } from '@kvchain/client/socketPath'
import { UnixTransport } from '@kvchain/client/unixTransport'
import { type Backup, backupFolder, restoreBackup } from '@kvchain/node/backup'
import { VerifyPool } from '@kvchain/node/crypto/verifyPool'
import { dataBytes } from '@kvchain/node/store/files'
import { databaseFolder } from '@kvchain/node/store/folders'
import type { Settings } from '../daemon/settings.js'
import { databaseOptions, VERIFY_THREADS } from '../db/commands.js'
import { usageError } from '../exits.js'
import { resolvePath } from '../paths.js'
import { Progress } from '../progress.js'
import { fieldLines, print } from '../terminal.js'

export interface BackupFlags {
  /** A new file, or a folder that gets one. */
  readonly to: string
  readonly withKeys: boolean
}

/** However long a backup takes: the command can be stopped. */
const NO_TIMEOUT_MS = 24 * 3600 * 1000
const LOOK_EVERY_MS = 500
const MIB = 1 << 20

export async function runBackup(settings: Settings, flags: BackupFlags): Promise<void> {
  const options = await databaseOptions(settings)
  const path = await backupPath(flags.to, options.network.name)
  const socket = settings.rpcSocket ?? defaultSocketPath(options.dataDir)
  const ofDaemon = await backupByDaemon(socket, path, flags.withKeys)
  const backup = ofDaemon ?? (await backupFolder({ ...options, path, withKeys: flags.withKeys }))
  options.shown.end()
  print(backupText(backup, flags.withKeys))
}

export async function runRestore(settings: Settings, file: string): Promise<void> {
  if (settings.dataDir === undefined) throw usageError('--data-dir is missing: where the new data folder is to be made')
  const options = await databaseOptions(settings)
  const verifier = new VerifyPool({ threads: VERIFY_THREADS }, { runtime: options.runtime })
  try {
    await verifier.start()
    const made = await restoreBackup({ ...options, verifier, file: resolvePath(file, process.cwd()) })
    options.shown.end()
    const below = made.height < made.bestHeight ? `; peers give blocks ${made.height + 1} to ${made.bestHeight}` : ''
    print(
      fieldLines([
        ['data folder', options.dataDir],
        ['height', `${made.height}${below}`],
        ['keys', made.keys.length === 0 ? 'none in the backup: the first start makes new ones' : made.keys.join(', ')],
        ['next', `kvchain daemon --network ${settings.network} --data-dir ${options.dataDir}`],
      ]),
    )
  } finally {
    options.shown.end()
    await verifier.stop()
  }
}

/** Into a folder: under a name that says what it is and when it was made. */
async function backupPath(to: string, network: string): Promise<string> {
  const path = resolvePath(to, process.cwd())
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
  const moment = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  return isFolder ? join(path, `kvchain-${network}-${moment}.kvbackup`) : path
}

/** Undefined when no daemon runs. */
async function backupByDaemon(socket: string, path: string, keys: boolean): Promise<Backup | undefined> {
  const client = new KvClient(new UnixTransport({ path: socket }))
  try {
    const { dataDir } = await client.status()
    const stopShowing = showGrowth(path, dataDir)
    try {
      return await client.call('node_backup', { path, keys }, { timeoutMs: NO_TIMEOUT_MS })
    } finally {
      await stopShowing()
    }
  } catch (error) {
    if (error instanceof ClientError && error.code === 'no-daemon') return undefined
    throw error
  } finally {
    await client.close()
  }
}

/** Shows the file of a daemon growing. Returns what ends that. */
function showGrowth(path: string, dataDir: string): () => Promise<void> {
  let ended = false
  const show = async () => {
    const total = (await dataBytes(databaseFolder(dataDir))) / MIB
    const progress = new Progress('MiB at most', total)
    while (!ended) {
      progress.update((await growingBytes(path)) / MIB)
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS).unref())
    }
    progress.end()
  }
  const shown = show()
  return () => {
    ended = true
    return shown
  }
}

/** Bytes of the file that becomes the backup. */
async function growingBytes(path: string): Promise<number> {
  const names = await readdir(dirname(path)).catch((): string[] => [])
  const name = names.find((found) => found.startsWith(`${basename(path)}.`) && found.endsWith('.part'))
  if (name === undefined) return 0
  return stat(join(dirname(path), name)).then(
    ({ size }) => size,
    () => 0,
  )
}

function backupText({ path, records, headers, bytes }: Backup, withKeys: boolean): string {
  return fieldLines([
    ['backup', path],
    ['blocks', headers],
    ['records', records],
    ['bytes', bytes],
    ['keys', withKeys ? 'in it: whoever has the file has the account' : 'not in it: keep copies of the key files'],
  ])
}
