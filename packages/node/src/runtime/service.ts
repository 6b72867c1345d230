/**
 * The life of a component: idle, starting, running, stopping, stopped; one way, one writer. An instance never restarts.
 * Owns the abort signal and the set of tracked tasks; `stop` aborts, awaits the tasks, then releases, in that order.
 */
import { assert } from '@kvchain/core/errors'
import { AbortError } from './errors.js'
import type { Log } from './runtime.js'

export type ServiceState = 'idle' | 'starting' | 'running' | 'stopping' | 'stopped'

/** What node.ts starts in order and stops in reverse. */
export interface Service {
  start(): Promise<void>
  /** Idempotent. Resolves when everything that the service began has ended. */
  stop(): Promise<void>
}

/** A Service with a state, a signal and tracked tasks. Subclasses fill in `onStart` and `onStop`. */
export abstract class BaseService implements Service {
  private state_: ServiceState = 'idle'
  private stopping: Promise<void> | undefined
  private readonly controller = new AbortController()
  private readonly tasks = new Set<Promise<void>>()

  protected constructor(
    readonly name: string,
    protected readonly log: Log,
  ) {}

  get state(): ServiceState {
    return this.state_
  }

  /** Aborts when the service begins to stop. */
  protected get signal(): AbortSignal {
    return this.controller.signal
  }

  async start(): Promise<void> {
    assert(this.state_ === 'idle', `${this.name} is started once`)
    this.state_ = 'starting'
    try {
      await this.onStart()
    } catch (error) {
      await this.stop()
      throw error
    }
    if (this.state_ === 'starting') this.state_ = 'running'
  }

  stop(): Promise<void> {
    this.stopping ??= this.end()
    return this.stopping
  }

  /** Runs `work` in the background; stop waits for it. A failure other than an abort is logged, never lost. */
  protected track(what: string, work: () => Promise<void>): void {
    if (this.controller.signal.aborted) return
    const task = work().catch((error: unknown) => {
      if (error instanceof AbortError || this.controller.signal.aborted) return
      this.log.error({ err: error, task: what }, 'background task failed')
    })
    this.tasks.add(task)
    void task.then(() => this.tasks.delete(task))
  }

  protected abstract onStart(): Promise<void>
  /** Releases what onStart took. Called after the signal has aborted and every tracked task has ended. */
  protected abstract onStop(): Promise<void>

  private async end(): Promise<void> {
    if (this.state_ === 'idle') {
      this.state_ = 'stopped'
      return
    }
    this.state_ = 'stopping'
    this.controller.abort()
    while (this.tasks.size > 0) await Promise.all(this.tasks)
    await this.onStop()
    this.state_ = 'stopped'
  }
}
