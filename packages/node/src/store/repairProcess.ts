/**
 * The program of a process of its own: makes each of the folders that it is given a database again, out of the file in it. LevelDB ends the process
 * at some damage: so it is not ours. A folder that is done has a CURRENT; one whose file is beyond repair is gone.
 */
import { rm } from 'node:fs/promises'
import { argv } from 'node:process'
import { Level } from 'level'

/** What `level` is in Node, with the part that its own types leave out. */
const levelDb = Level as typeof Level & { repair(location: string): Promise<void> }

for (const folder of argv.slice(2)) {
  try {
    await levelDb.repair(folder)
  } catch {
    await rm(folder, { recursive: true, force: true })
  }
}
