/**
 * The lines that were typed in the shell, on disk: mode 0600, so many and no more. A line that begins with a space is not kept. Losing them is
 * no failure: nothing here throws.
 */
import { appendFile, chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { remark } from '../terminal.js'

/** Lines. */
export const MAX_HISTORY = 1_000
/** Characters of a line that is kept. */
const MAX_LINE = 4_096

export class ShellHistory {
  private constructor(
    private readonly file: string,
    /** Newest first, as line editors want them. */
    readonly lines: string[],
  ) {}

  /** Reads the file, and makes it short again when it has grown. */
  static async open(file: string): Promise<ShellHistory> {
    const all = await readLines(file)
    const kept = all.slice(-MAX_HISTORY)
    if (kept.length < all.length) await rewrite(file, kept)
    return new ShellHistory(file, kept.reverse())
  }

  async add(line: string): Promise<void> {
    if (line.trim() === '' || line.startsWith(' ') || line.length > MAX_LINE || line === this.lines[0]) return
    this.lines.unshift(line)
    this.lines.splice(MAX_HISTORY)
    await quietly(async () => {
      await mkdir(dirname(this.file), { recursive: true, mode: 0o700 })
      await appendFile(this.file, `${line}\n`, { mode: 0o600 })
      await chmod(this.file, 0o600)
    })
  }
}

async function readLines(file: string): Promise<string[]> {
  try {
    return (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
  } catch {
    // There is none yet, or none that can be read.
    return []
  }
}

async function rewrite(file: string, lines: readonly string[]): Promise<void> {
  await quietly(async () => {
    const aside = `${file}.${process.pid}`
    await writeFile(aside, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 })
    await rename(aside, file)
  })
}

async function quietly(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    remark(`the history was not kept: ${error instanceof Error ? error.message : error}`)
  }
}
