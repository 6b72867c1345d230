/** Finds the socket of the daemon that a client command is for: by flag, by variable, or because only one daemon runs. */
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ClientError } from '@kvchain/client/errors'
import { defaultSocketPath } from '@kvchain/client/socketPath'
import { openSocket } from '@kvchain/client/unixTransport'
import { CliError, usageError } from '../exits.js'
import { dataHome, defaultDataDir, resolvePath } from '../paths.js'

export interface DaemonChoice {
  readonly rpcSocket?: string
  readonly dataDir?: string
  readonly network?: string
}

/** Long enough for a daemon that is busy, short enough to try some. */
const PROBE_MS = 1_000
const NETWORK_NAME = /^[a-z][a-z0-9-]{0,31}$/

/** The socket, and how to start a daemon that would have it. Throws CliError. */
export async function findDaemon(choice: DaemonChoice): Promise<{ path: string; startHint: string }> {
  const flags = Object.values(choice).filter((flag) => flag !== undefined)
  if (flags.length > 1) throw usageError('of --rpc-socket, --data-dir and --network, give one')
  const chosen = fromFlags(choice) ?? fromEnvironment()
  return chosen ?? { path: await findRunning(), startHint: 'kvchain daemon' }
}

function fromFlags({ rpcSocket, dataDir, network }: DaemonChoice): { path: string; startHint: string } | undefined {
  if (rpcSocket !== undefined) return atSocket(rpcSocket)
  if (dataDir !== undefined) return atDataDir(dataDir)
  if (network === undefined) return undefined
  if (!NETWORK_NAME.test(network)) throw usageError(`--network takes the name of a network, not '${network}'`)
  return { path: defaultSocketPath(defaultDataDir(network)), startHint: `kvchain daemon --network ${network}` }
}

function fromEnvironment(): { path: string; startHint: string } | undefined {
  const { KVCHAIN_RPC_SOCKET: socket, KVCHAIN_DATA_DIR: dataDir } = process.env
  if (socket) return atSocket(socket)
  return dataDir ? atDataDir(dataDir) : undefined
}

function atSocket(socket: string): { path: string; startHint: string } {
  const path = resolvePath(socket, process.cwd())
  return { path, startHint: `kvchain daemon --rpc-socket ${socket}` }
}

function atDataDir(dataDir: string): { path: string; startHint: string } {
  const path = defaultSocketPath(resolvePath(dataDir, process.cwd()))
  return { path, startHint: `kvchain daemon --data-dir ${dataDir}` }
}

/** The socket of the only daemon under ~/.kvchain that answers. */
async function findRunning(): Promise<string> {
  const folders = subfolders(dataHome())
  const live = (await Promise.all(folders.map(probe))).filter((found) => found !== undefined)
  const [first, ...others] = live
  if (first === undefined) {
    throw new CliError('no-daemon', 'no daemon runs under ~/.kvchain; start one: kvchain daemon')
  }
  if (others.length === 0) return first.path
  const names = live.map(({ name }) => name).join(', ')
  throw usageError(`several daemons run: ${names}; choose with --network NAME or --data-dir DIR`)
}

async function probe(name: string): Promise<{ name: string; path: string } | undefined> {
  try {
    const path = defaultSocketPath(join(dataHome(), name))
    if (!lstatSync(path).isSocket()) return undefined
    const socket = await openSocket(path, PROBE_MS)
    socket.destroy()
    return { name, path }
  } catch (error) {
    // A daemon too busy to answer runs all the same; whatever else is wrong, there is none that we could use.
    return error instanceof ClientError && error.code === 'busy'
      ? { name, path: defaultSocketPath(join(dataHome(), name)) }
      : undefined
  }
}

function subfolders(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}
