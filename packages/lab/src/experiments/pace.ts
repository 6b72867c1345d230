/**
 * Slows a process down to a share of its time, by stopping it (SIGSTOP) and letting it go on (SIGCONT) ten times a second: a daemon that is
 * slowed so has so much less hash power, and is in all else itself.
 */
import process from 'node:process'
import { systemRuntime } from '@kvchain/node/runtime/runtime'

const PERIOD_MS = 100

export class Pace {
  private readonly ending = new AbortController()
  private readonly loop: Promise<void>

  /** @param duty share of its time that the process runs, above 0; with 1 it goes on, if it was stopped, and is left alone. */
  constructor(
    private readonly pid: number,
    private readonly duty: number,
  ) {
    if (duty >= 1) send(pid, 'SIGCONT')
    this.loop = duty >= 1 ? Promise.resolve() : this.run()
  }

  /** Resolves when the process runs freely again. */
  async end(): Promise<void> {
    this.ending.abort()
    await this.loop
  }

  private async run(): Promise<void> {
    const { timers } = systemRuntime()
    const { signal } = this.ending
    try {
      while (!signal.aborted) {
        if (!send(this.pid, 'SIGSTOP')) return
        await timers.sleep(PERIOD_MS * (1 - this.duty), signal)
        if (!send(this.pid, 'SIGCONT')) return
        await timers.sleep(PERIOD_MS * this.duty, signal)
      }
    } catch {
      // The end, in the middle of a sleep.
    } finally {
      send(this.pid, 'SIGCONT')
    }
  }
}

/** False when there is no such process any more. */
export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
