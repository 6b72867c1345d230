/**
 * The daemon's end: by a signal, at a client's request, or because it cannot go on. Owns the order (once only; a start under way is
 * awaited), the bound on its time, and the exit code.
 */
import type { KvNode } from '@kvchain/node/node'
import type { Log } from '@kvchain/node/runtime/runtime'
import { errorLine } from '../exits.js'
import { remark } from '../terminal.js'

/** What is not stopped by then is stuck; ending the process at any moment loses nothing. */
const STOP_BOUND_MS = 10_000

export class Ending {
  private ending: Promise<void> | undefined

  /** @param started settles when the start does. */
  constructor(
    private readonly node: KvNode,
    private readonly started: Promise<void>,
    private readonly log: Log,
  ) {}

  get hasBegun(): boolean {
    return this.ending !== undefined
  }

  /** SIGINT or SIGTERM: the first stops in good order, the second ends at once. */
  onSignal(signal: string): void {
    if (this.hasBegun) process.exit(1)
    this.log.info({ signal }, 'stopping')
    this.begin(0)
  }

  onRequest(): void {
    this.log.info({}, 'stopping, as a client asked')
    this.begin(0)
  }

  /** The node cannot go on. */
  onFatal(error: unknown): void {
    this.log.error({ err: error }, 'the daemon cannot go on')
    if (!this.hasBegun) remark(`kvchain: cannot go on: ${errorLine(error)}`)
    process.exitCode = 1
    this.begin(1)
  }

  private begin(exitCode: number): void {
    if (this.hasBegun) return
    process.exitCode = exitCode
    const bound = setTimeout(() => {
      remark(`kvchain: did not stop within ${STOP_BOUND_MS / 1000} s`)
      process.exit(1)
    }, STOP_BOUND_MS)
    // The process ends by itself when nothing is left; the bound is for what should not be left.
    bound.unref()
    this.ending = this.stop()
  }

  private async stop(): Promise<void> {
    await this.started.catch(() => {})
    try {
      await this.node.stop()
      this.log.info({}, 'stopped')
    } catch (error) {
      this.log.error({ err: error }, 'could not stop in good order')
      process.exitCode = 1
    }
  }
}
