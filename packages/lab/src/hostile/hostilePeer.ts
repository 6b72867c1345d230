/** The hostile peer (peer.ts) as a child process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { keepInReach } from '../children.js'
import { LabError } from '../errors.js'
import { waitUntil } from '../wait.js'
import type { Counts, HostileIdentity, HostileOptions, Said } from './acts.js'

const START_TIMEOUT_MS = 60_000
const END_TIMEOUT_MS = 60_000

export class HostilePeer {
  private readonly said: Said[] = []
  private isOver = false

  private constructor(private readonly child: ChildProcess) {
    // Not 'exit': what it said last may come after that.
    child.once('close', () => {
      this.isOver = true
    })
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).on('line', (line) => this.said.push(JSON.parse(line)))
  }

  /** Resolves when it is connected and begins. Throws LabError `lab-exit` when it ends before, `lab-timeout`. */
  static async start(options: HostileOptions, timeoutMs: number = START_TIMEOUT_MS): Promise<HostilePeer> {
    const program = fileURLToPath(new URL('./peer.js', import.meta.url))
    const child = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] })
    keepInReach(child)
    const peer = new HostilePeer(child)
    try {
      await peer.find((said) => ('peers' in said ? said.peers : undefined), 'the hostile peer to begin', timeoutMs)
      return peer
    } catch (error) {
      await peer.stop()
      throw error
    }
  }

  /** The names that it goes by, one for each act. */
  get peers(): readonly HostileIdentity[] {
    return this.said.flatMap((said) => ('peers' in said ? said.peers : []))
  }

  /** The name of the first act. */
  get peerId(): string {
    return this.peers[0]?.peerId ?? ''
  }

  /** What came of an act: resolves when it has done its worst, or was shut out. */
  result({ act = 0, timeoutMs = 110_000 } = {}): Promise<Counts> {
    const pick = (said: Said) => ('act' in said && said.act === act ? said.result : undefined)
    return this.find(pick, 'the hostile peer to be done', timeoutMs)
  }

  /** Tells it to end. Resolves with what came of each act until now. */
  async end(): Promise<readonly Counts[]> {
    try {
      this.child.stdin?.end()
      return await this.find(
        (said) => ('end' in said ? said.end : undefined),
        'the hostile peer to end',
        END_TIMEOUT_MS,
      )
    } finally {
      await this.stop()
    }
  }

  async stop(): Promise<void> {
    if (this.isOver) return
    const closed = once(this.child, 'close')
    this.child.kill('SIGKILL')
    await closed
  }

  private find<T extends object>(pick: (said: Said) => T | undefined, what: string, timeoutMs: number): Promise<T> {
    return waitUntil<T | undefined>(
      () => {
        const found = this.said.map(pick).find((value) => value !== undefined)
        if (found === undefined && this.isOver) throw new LabError('lab-exit', `it ended before: ${what}`)
        return found
      },
      { what, timeoutMs },
    )
  }
}
