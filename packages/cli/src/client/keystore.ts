/**
 * The folder of key files. Owns their names, modes and writing: a file that others may read is refused, none is ever overwritten, and each is
 * whole or not there. What a file holds is the client's keyFile.ts to know.
 */
import type { Stats } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, realpath, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type KeyFile, keyFileText, parseKeyFile } from '@kvchain/client/keyFile'
import { CliError, usageError } from '../exits.js'
import { dataHome, resolvePath } from '../paths.js'
import type { KeysDirOption } from './keyOptions.js'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const SUFFIX = '.json'
/** A key file has some 600. */
const MAX_FILE_BYTES = 16_384

/** `--keys-dir`, KVCHAIN_KEYS_DIR, or keys beside the data folders. */
export function keysFolder({ keysDir }: KeysDirOption): string {
  const folder = keysDir ?? process.env.KVCHAIN_KEYS_DIR
  return folder ? resolvePath(folder, process.cwd()) : join(dataHome(), 'keys')
}

export class Keystore {
  constructor(readonly folder: string) {}

  /** Where a key lies. Throws CliError `usage` for a name that is none. */
  pathOf(name: string): string {
    if (NAME.test(name)) return join(this.folder, `${name}${SUFFIX}`)
    throw usageError(`a key's name has 1 to 64 letters, digits, dots, dashes and underscores, not '${name}'`)
  }

  /** The names of all keys, in order. */
  async names(): Promise<string[]> {
    if (!(await this.isThere())) return []
    const files = await readdir(this.folder)
    const names = files.filter((file) => file.endsWith(SUFFIX)).map((file) => file.slice(0, -SUFFIX.length))
    return names.filter((name) => NAME.test(name)).sort()
  }

  /** Throws CliError `not-found`, or `failed` for a file that others may read; KeyFileError for one that is no key file. */
  async read(name: string): Promise<KeyFile> {
    const path = this.pathOf(name)
    if (!(await this.isThere()) || (await statOf(path)) === undefined) {
      throw new CliError('not-found', `there is no key ${name} in ${this.folder}`, { name })
    }
    return parseKeyFile(await readSecretFile(path))
  }

  /** Throws CliError `failed` when there is a key of that name. */
  async requireFree(name: string): Promise<void> {
    if ((await statOf(this.pathOf(name))) !== undefined) throw taken(name)
  }

  /** Adds a key; returns its path. Throws CliError `failed` when there is one of that name. */
  async add(name: string, file: KeyFile): Promise<string> {
    const path = this.pathOf(name)
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    await this.isThere()
    await writeNewFile(path, keyFileText(file), () => taken(name))
    return path
  }

  /** Puts another file in the place of a key's, or of what a link there points to. */
  async replace(name: string, file: KeyFile): Promise<void> {
    const path = await realpath(this.pathOf(name))
    const aside = await writeAside(path, keyFileText(file))
    await rename(aside, path)
    await syncFolder(path)
  }

  /** Whether the folder is there; one that others may enter is refused. */
  private async isThere(): Promise<boolean> {
    const stats = await statOf(this.folder)
    if (stats === undefined) return false
    if (!stats.isDirectory()) throw new CliError('failed', `${this.folder} is no folder`)
    requirePrivate(this.folder, stats, '700')
    return true
  }
}

function taken(name: string): CliError {
  return new CliError('failed', `there is a key ${name} already: keys are never overwritten`, { name })
}

/** The text of a small file that only its owner may read. Throws CliError `failed`. */
export async function readSecretFile(path: string): Promise<string> {
  const handle = await opened(path)
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new CliError('failed', `${path} is no plain file`)
    requirePrivate(path, stats, '600')
    if (stats.size > MAX_FILE_BYTES) throw new CliError('failed', `${path} is too large for what it should be`)
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    throw new CliError('failed', `cannot read ${path}: ${reason(error)}`, {}, error)
  }
}

/** Writes a file, mode 0600, where there is none. `whenThere` makes the error when there is one. */
export async function writeNewFile(path: string, text: string, whenThere: () => CliError): Promise<void> {
  const aside = await writeAside(path, text)
  try {
    // A link, unlike a rename, never takes the place of another file.
    await link(aside, path)
  } catch (error) {
    if (isCode(error, 'EEXIST')) throw whenThere()
    throw new CliError('failed', `cannot write ${path}: ${reason(error)}`, {}, error)
  } finally {
    await unlink(aside)
  }
  await syncFolder(path)
}

async function writeAside(path: string, text: string): Promise<string> {
  const aside = join(dirname(path), `.new-${process.pid}`)
  try {
    const handle = await open(aside, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw new CliError('failed', `cannot write into ${dirname(path)}: ${reason(error)}`, {}, error)
  }
  return aside
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(dirname(path), 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function requirePrivate(path: string, stats: Stats, mode: string): void {
  if ((stats.mode & 0o077) === 0) return
  throw new CliError('failed', `${path} may be read by others: chmod ${mode} ${path}`, { path })
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw new CliError('failed', `cannot look at ${path}: ${reason(error)}`, {}, error)
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
