/** A bounded first-come-first-served lock. Owns the order in which writers run; a full queue refuses the newest. */
import { BusyError } from './errors.js'

export class Mutex {
  private tail: Promise<unknown> = Promise.resolve()
  private waiting = 0

  /** @param limit how many may wait or run at once; one more is refused with BusyError. */
  constructor(
    private readonly name: string,
    private readonly limit: number,
  ) {}

  /** Runs `work` alone. Resolves or rejects as `work` does. */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.waiting >= this.limit) return Promise.reject(new BusyError(this.name, this.limit))
    this.waiting++
    const result = this.tail.then(work)
    this.tail = result.then(
      () => {
        this.waiting--
      },
      () => {
        this.waiting--
      },
    )
    return result
  }
}
