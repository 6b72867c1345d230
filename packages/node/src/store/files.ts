/**
 * The files of a database, read one by one, each as a database of its own: so neither a damaged list of files nor damage in one file hides what another
 * holds, and LevelDB, which ends the process when it rewrites damaged files, rewrites none. Owns that a file at which the process ended all
 * the same is passed over by the next attempt. The files themselves stay as they are.
 */
import { appendFile, copyFile, link, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../runtime/runtime.js'
import { Database, type RawRecord, repairFiles } from './database.js'
import { isDamage, scratchFolder, tryingFile } from './folders.js'
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
  const { dataDir, folder, log, onFile } = options
  const trying = tryingFile(dataDir)
  const deadly = (await readFile(trying, 'utf8').catch(() => '')).split('\n').filter(Boolean)
  const damaged: string[] = []
  const names = await dataFiles(folder)
  for (const [index, name] of names.entries()) {
    onFile?.(index, names.length)
    if (deadly.includes(name)) {
      log.warn({ file: name }, 'a file is passed over: the process ended while it was read')
      damaged.push(name)
      continue
    }
    await appendFile(trying, `${name}\n`)
    try {
      if (!(await readOne(name, options))) damaged.push(name)
    } finally {
      await writeFile(trying, deadly.map((one) => `${one}\n`).join(''))
    }
  }
  if (deadly.length === 0) await rm(trying, { force: true })
  await rm(scratchFolder(dataDir), { recursive: true, force: true })
  return damaged
}

/** False when a part of the file cannot be read. */
async function readOne(name: string, { dataDir, folder, log, onRecord }: ReadFilesOptions): Promise<boolean> {
  const scratch = scratchFolder(dataDir)
  await rm(scratch, { recursive: true, force: true })
  await mkdir(scratch, { mode: 0o700 })
  const [from, to] = [join(folder, name), join(scratch, name)]
  await link(from, to).catch(() => copyFile(from, to))
  const database = new Database(scratch, log)
  try {
    await repairFiles(scratch)
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
