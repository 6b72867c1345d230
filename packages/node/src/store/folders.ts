/**
 * The folders and files of a database in its data folder, and their names: `db`, the one in use; `db.suspect`, which says that it is damaged; `db.running`, how
 * often it ended without a stop; and while it is made anew, `db.damaged`, the old one, and `db.new`, the new one. Owns their exchange, in such an
 * order that a crash between any two steps leaves one way to go on, and that the old one goes last of all.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { access, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../runtime/errors.js'
import type { Failpoints } from '../runtime/failpoints.js'
import type { Log } from '../runtime/runtime.js'
import { Database } from './database.js'

export interface FolderOptions {
  readonly dataDir: string
  readonly failpoints: Failpoints
}

export function databaseFolder(dataDir: string): string {
  return join(dataDir, 'db')
}

export function newFolder(dataDir: string): string {
  return join(dataDir, 'db.new')
}

export function damagedFolder(dataDir: string): string {
  return join(dataDir, 'db.damaged')
}

/** Where single files are read. */
export function scratchFolder(dataDir: string): string {
  return join(dataDir, 'db.scan')
}

function runningFile(dataDir: string): string {
  return join(dataDir, 'db.running')
}

function markerFile(dataDir: string): string {
  return join(dataDir, 'db.suspect')
}

/**
 * Takes the data folder for this process, until the database that is returned is stopped: an empty one of its own, since what is damaged cannot be
 * relied on to be locked. Throws StoreError `store-locked`.
 */
export async function lockFolder(dataDir: string, log: Log): Promise<Database> {
  const folder = join(dataDir, 'lock')
  const lock = new Database(folder, log)
  try {
    await lock.start()
    return lock
  } catch (error) {
    if (error instanceof StoreError && error.code === 'store-locked') {
      const advice = 'stop it first, or choose another with --data-dir'
      throw new StoreError('store-locked', `another daemon uses the data folder ${dataDir}: ${advice}`, {}, error)
    }
    if (!isDamage(error)) throw error
  }
  await rm(folder, { recursive: true, force: true })
  const anew = new Database(folder, log)
  await anew.start()
  return anew
}

/** Whether an error says that what is on disk is damaged, and not that it is somebody else's or that the disk is full. */
export function isDamage(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'store-corrupt'
}

/** Notes, on disk when it returns, that the database must be made anew. Synchronous: nothing more may happen before. */
export function markSuspect({ dataDir, failpoints }: FolderOptions, why: string): void {
  failpoints.pass('suspect-before')
  const file = openSync(markerFile(dataDir), 'w', 0o600)
  try {
    writeSync(file, `${why}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  const folder = openSync(dataDir, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
  failpoints.pass('suspect-after')
}

/** Ends an exchange that a crash interrupted. Returns whether the database must be made anew. */
export async function resumeFolders(options: FolderOptions): Promise<boolean> {
  const { dataDir } = options
  const hasOld = await exists(damagedFolder(dataDir))
  if (hasOld && (await exists(databaseFolder(dataDir)))) {
    await dropOld(options)
    return false
  }
  return hasOld || (await exists(markerFile(dataDir)))
}

/** The damaged database leaves its place, closed. Does nothing when it has left it before. */
export async function moveAside({ dataDir, failpoints }: FolderOptions): Promise<void> {
  if (!(await exists(databaseFolder(dataDir)))) return
  failpoints.pass('aside-before')
  await rename(databaseFolder(dataDir), damagedFolder(dataDir))
  await flushFolder(dataDir)
  failpoints.pass('aside-after')
}

/** A new database that was not finished is begun again. */
export async function removeNew(dataDir: string): Promise<void> {
  await rm(newFolder(dataDir), { recursive: true, force: true })
}

/** The new database, closed, takes the place of the old one, which is deleted. */
export async function swapIn(options: FolderOptions): Promise<void> {
  const { dataDir, failpoints } = options
  failpoints.pass('swap-before')
  await rename(newFolder(dataDir), databaseFolder(dataDir))
  await flushFolder(dataDir)
  failpoints.pass('swap-after')
  await dropOld(options)
}

/** The marker first: without it a `db` beside a `db.damaged` is the new one. */
async function dropOld({ dataDir, failpoints }: FolderOptions): Promise<void> {
  failpoints.pass('absolve-before')
  await rm(markerFile(dataDir), { force: true })
  await flushFolder(dataDir)
  failpoints.pass('absolve-after')
  failpoints.pass('cleanup-before')
  await rm(damagedFolder(dataDir), { recursive: true, force: true })
  failpoints.pass('cleanup-after')
}

/** The files turned out not to be ours to touch: everything is as it was. */
export async function moveBack({ dataDir }: FolderOptions): Promise<void> {
  await removeNew(dataDir)
  await rename(damagedFolder(dataDir), databaseFolder(dataDir))
  await rm(markerFile(dataDir), { force: true })
  await flushFolder(dataDir)
}

/** Notes that the database is in use. Returns how many runs in a row have ended without a stop. */
export async function noteStart(dataDir: string): Promise<number> {
  const text = await readFile(runningFile(dataDir), 'utf8').catch(() => '0')
  const ends = /^\d{1,4}$/.test(text) ? Number(text) : 1
  await writeFile(runningFile(dataDir), String(ends + 1), { mode: 0o600 })
  return ends
}

/** Notes that a run has lasted: should it end without a stop, it is the first one to do so. */
export async function noteLasting(dataDir: string): Promise<void> {
  await writeFile(runningFile(dataDir), '1', { mode: 0o600 })
}

/** Notes that it was stopped in good order, or found whole. */
export async function noteStop(dataDir: string): Promise<void> {
  await rm(runningFile(dataDir), { force: true })
}

/** Throws StoreError `store-open` when a data folder has no database, damaged or not. */
export async function requireDatabase(dataDir: string): Promise<void> {
  for (const place of [databaseFolder(dataDir), damagedFolder(dataDir), markerFile(dataDir)]) {
    if (await exists(place)) return
  }
  throw new StoreError('store-open', `there is no database in ${dataDir}: choose another folder with --data-dir`)
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** So that a power cut does not take a renaming back. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
