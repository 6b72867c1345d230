/** A time limit on work with a peer, and any number of signals that call it off, as one signal. Owns its timer and its listeners. */
import { setMaxListeners } from 'node:events'
import { AbortError, TimeoutError } from '../runtime/errors.js'
import type { CancelTimer, Runtime } from '../runtime/runtime.js'

/** One abort signal out of a time limit and other signals, which afterwards tells which of them ended the work. */
export class Deadline {
  private readonly controller = new AbortController()
  private readonly cancel: CancelTimer
  private readonly parents: AbortSignal[]
  private timedOut = false
  private readonly abort = (): void => this.controller.abort(new AbortError(this.what))

  constructor(
    runtime: Runtime,
    private readonly what: string,
    private readonly timeoutMs: number,
    ...parents: readonly (AbortSignal | undefined)[]
  ) {
    this.parents = parents.filter((parent) => parent !== undefined)
    // Hundreds of requests may hang on one signal, and each takes its listener off again.
    setMaxListeners(0, this.controller.signal, ...this.parents)
    this.cancel = runtime.timers.after(timeoutMs, () => {
      this.timedOut = !this.controller.signal.aborted
      this.controller.abort(new TimeoutError(what, timeoutMs))
    })
    for (const parent of this.parents) {
      if (parent.aborted) this.abort()
      else parent.addEventListener('abort', this.abort, { once: true })
    }
  }

  get signal(): AbortSignal {
    return this.controller.signal
  }

  /** The typed error if the work was ended by the deadline or a signal; undefined if it failed by itself. */
  get error(): TimeoutError | AbortError | undefined {
    if (this.timedOut) return new TimeoutError(this.what, this.timeoutMs)
    return this.controller.signal.aborted ? new AbortError(this.what) : undefined
  }

  /** Settles as `work` does, or rejects as soon as the deadline passes, whichever is first. */
  async race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.controller
    let onAbort = (): void => {}
    const ended = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(this.error ?? new AbortError(this.what))
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    })
    try {
      return await Promise.race([work, ended])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Frees the timer and the listeners. Always called when the work is over. */
  clear(): void {
    this.cancel()
    for (const parent of this.parents) parent.removeEventListener('abort', this.abort)
  }
}
