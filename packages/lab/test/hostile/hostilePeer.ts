/** The hostile peer (peer.mjs) as a child process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { keepInReach } from '@kvchain/lab/children'
import { waitUntil } from '@kvchain/lab/wait'

export interface HostileOptions {
  readonly behaviour: string
  /** A network file. */
  readonly network: string
  /** Whom it connects to: multiaddrs. */
  readonly targets?: readonly string[]
  readonly count?: number
  readonly [detail: string]: unknown
}

interface Said {
  readonly peers?: readonly { readonly peerId: string; readonly address: string }[]
  readonly result?: Readonly<Record<string, unknown>>
}

export class HostilePeer {
  private readonly said: Said[] = []
  private isOver = false

  private constructor(private readonly child: ChildProcess) {
    child.once('exit', () => {
      this.isOver = true
    })
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).on('line', (line) => this.said.push(JSON.parse(line)))
  }

  /** Resolves when it is connected and begins. */
  static async start(options: HostileOptions): Promise<HostilePeer> {
    const program = fileURLToPath(new URL('./peer.mjs', import.meta.url))
    const child = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] })
    keepInReach(child)
    const peer = new HostilePeer(child)
    await peer.find(({ peers }) => peers, 'the hostile peer to begin')
    return peer
  }

  /** Its peer ids and addresses: several for sybils, else one. */
  get peers(): NonNullable<Said['peers']> {
    return this.said.find(({ peers }) => peers !== undefined)?.peers ?? []
  }

  get peerId(): string {
    return this.peers[0]?.peerId ?? ''
  }

  /** What came of it: resolves when it has done its worst, or was shut out. */
  result(timeoutMs = 110_000): Promise<Readonly<Record<string, unknown>>> {
    return this.find(({ result }) => result, 'the hostile peer to be done', timeoutMs)
  }

  async stop(): Promise<void> {
    if (this.isOver) return
    const exit = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exit
  }

  private find<T>(pick: (said: Said) => T | undefined, what: string, timeoutMs = 60_000): Promise<T & {}> {
    return waitUntil(
      () => {
        const found = this.said.map(pick).find((value) => value !== undefined)
        if (found === undefined && this.isOver) throw new Error(`it ended before: ${what}`)
        return found as (T & {}) | undefined
      },
      { what, timeoutMs },
    ) as Promise<T & {}>
  }
}
