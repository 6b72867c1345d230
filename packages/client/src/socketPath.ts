/**
 * Where a daemon's socket is: in its data folder, or, when that path is longer than a socket may have, under a short name in a
 * private folder for temporary files. Daemon and clients both ask here, so that they meet without a flag.
 */
import { createHash } from 'node:crypto'
import { lstatSync, realpathSync, type Stats, statSync } from 'node:fs'
import { platform, tmpdir, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ClientError } from './errors.js'

/** What the kernel has room for, less the final zero: 108 bytes on Linux, 104 on macOS and the BSDs. */
export const MAX_SOCKET_PATH_BYTES: number = platform() === 'linux' ? 107 : 103

/** The socket of the daemon on `dataDir`, which need not exist yet. Throws ClientError `socket-path`. */
export function defaultSocketPath(dataDir: string): string {
  const inside = join(resolve(dataDir), 'kvchain.sock')
  if (isSocketPath(inside)) return inside
  const real = realPath(dataDir)
  const owner = statIfThere(real)?.uid ?? currentUser()
  const folder = join(tmpdir(), `kvchain-${owner}`)
  checkPrivate(folder, owner)
  const short = join(folder, `${createHash('sha256').update(real).digest('hex').slice(0, 16)}.sock`)
  return checkSocketPath(short)
}

/** Whether the path is short enough to be a socket's. */
export function isSocketPath(path: string): boolean {
  return new TextEncoder().encode(path).length <= MAX_SOCKET_PATH_BYTES
}

/** Returns the path, or throws ClientError `socket-path` when it is longer than a socket may have. */
export function checkSocketPath(path: string): string {
  if (isSocketPath(path)) return path
  throw new ClientError('socket-path', `a socket path has at most ${MAX_SOCKET_PATH_BYTES} bytes: ${path}`)
}

/** The folder for temporary files is everybody's: a folder there that another user made could hold his socket, not ours. */
function checkPrivate(folder: string, owner: number): void {
  const stats = statIfThere(folder, lstatSync)
  if (stats === undefined) return
  if (stats.isDirectory() && (stats.uid === owner || stats.uid === 0) && (stats.mode & 0o077) === 0) return
  throw new ClientError('socket-path', `not a private folder of the data folder's owner: ${folder}`)
}

function statIfThere(path: string, stat: (path: string) => Stats = statSync): Stats | undefined {
  try {
    return stat(path)
  } catch {
    return undefined
  }
}

/** Links resolved as far as the path exists, so that two names of one folder mean one socket. */
function realPath(path: string): string {
  const absolute = resolve(path)
  try {
    return realpathSync(absolute)
  } catch {
    const parent = dirname(absolute)
    return parent === absolute ? absolute : join(realPath(parent), absolute.slice(parent.length))
  }
}

/** -1 for a user that the system has no name for, as in some containers. */
function currentUser(): number {
  try {
    return userInfo().uid
  } catch {
    return -1
  }
}
