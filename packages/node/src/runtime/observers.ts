/** Notifying whoever looks on. Observers come last, may not fail the notifier, and are never how state is kept in step. */
import type { Log } from './runtime.js'

export class Observers<T> {
  private readonly callbacks = new Set<(event: T) => void>()

  constructor(private readonly log: Log) {}

  /** Returns the function that takes the observer off again. */
  add(callback: (event: T) => void): () => void {
    this.callbacks.add(callback)
    return () => this.callbacks.delete(callback)
  }

  notify(event: T): void {
    for (const callback of this.callbacks) {
      try {
        callback(event)
      } catch (error) {
        this.log.error({ err: error }, 'an observer failed')
      }
    }
  }
}
