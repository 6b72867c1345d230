/**
 * The files of a database, read one by one, each as a database of its own: so neither a damaged list of files nor damage in one file hides what another
 * holds, and LevelDB, which ends the process when it rewrites damaged files, rewrites none in this process. The files themselves stay as they are.
 */
import { fork } from 'node:child_process'
import { copyFile, link, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../runtime/errors.js'
import type { Log } from '../runtime/runtime.js'
import { Database, type RawRecord } from './database.js'
import { exists, isDamage, scratchFolder } from './folders.js'
import type { KeyRange } from './schema.js'

export interface ReadFilesOptions {
  readonly dataDir: string
  /** Where the files are. */
  readonly folder: string
  readonly log: Log
  /** Gets every record that can be read, some twice; older ones first. */
  readonly onRecord: (record: RawRecord) => void | Promise<void>
  /** Called before each file. */
  readonly onFile?: (done: number, of: number) => void
}

const EVERYTHING: KeyRange = { gte: Uint8Array.of(0), lt: Uint8Array.of(0xff) }
/** Files that are taken up at once: what the arguments of a process hold by far. */
const PART = 200

/** Tables and logs, in the order in which they were begun. */
async function dataFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((): string[] => [])
  return names
    .filter((name) => /^\d+\.(?:ldb|sst|log)$/.test(name))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
}

/** Bytes of all data files. */
export async function dataBytes(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await dataFiles(folder)) bytes += (await stat(join(folder, name))).size
  return bytes
}

/** Reads every file of a folder. Returns the names of those that are damaged. */
export async function readFiles(options: ReadFilesOptions): Promise<string[]> {
  const { dataDir, folder, onFile } = options
  const scratch = scratchFolder(dataDir)
  const names = await dataFiles(folder)
  const damaged: string[] = []
  for (let start = 0; start < names.length; start += PART) {
    const part = names.slice(start, start + PART)
    await rm(scratch, { recursive: true, force: true })
    for (const name of part) await takeUp(join(folder, name), join(scratch, name), name)
    const made = await makeDatabases(part.map((name) => join(scratch, name)))
    for (const [index, name] of part.entries()) {
      onFile?.(start + index, names.length)
      if (!made[index] || !(await readOne(join(scratch, name), options))) damaged.push(name)
    }
  }
  await rm(scratch, { recursive: true, force: true })
  return damaged
}

/** A further name of the file, in a folder by itself; a copy where there are no such names. */
async function takeUp(file: string, place: string, name: string): Promise<void> {
  await mkdir(place, { recursive: true, mode: 0o700 })
  await link(file, join(place, name)).catch(() => copyFile(file, join(place, name)))
}

/** Makes each folder a database, in another process. Returns for each whether that was possible. */
async function makeDatabases(folders: readonly string[]): Promise<boolean[]> {
  const made: boolean[] = []
  while (made.length < folders.length) {
    await repair(folders.slice(made.length))
    for (const folder of folders.slice(made.length)) {
      const isMade = await exists(join(folder, 'CURRENT'))
      made.push(isMade)
      // The process has ended here; another goes on after it.
      if (!isMade && (await exists(folder))) break
    }
  }
  return made
}

function repair(folders: readonly string[]): Promise<void> {
  const child = fork(new URL('./repairProcess.js', import.meta.url), folders, {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  return new Promise((resolve, reject) => {
    child.once('exit', () => resolve())
    child.once('error', (error) => {
      reject(new StoreError('store-open', 'no process could be started to repair files', {}, error))
    })
  })
}

/** False when a part of the file cannot be read. */
async function readOne(place: string, { log, onRecord }: ReadFilesOptions): Promise<boolean> {
  const database = new Database(place, log)
  try {
    await database.start()
    for (const careful of [false, true]) {
      try {
        for await (const record of database.scanBare(EVERYTHING, { careful })) await onRecord(record)
        return !careful
      } catch (error) {
        if (!isDamage(error)) throw error
      }
    }
    return false
  } catch (error) {
    if (!isDamage(error)) throw error
    return false
  } finally {
    await database.stop()
  }
}
