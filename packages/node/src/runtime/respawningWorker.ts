/**
 * One worker thread that is replaced when it dies. Owns the thread, its death in every form and the pace of its replacements.
 * Does not own the work: whoever gave some out hears of the loss and gives it to a thread again. Invariants: a message of a thread
 * that was given up is never delivered; after `stop` no thread is left.
 */
import { type Transferable, Worker } from 'node:worker_threads'
import { assert } from '@kvchain/core/errors'
import { WorkerError } from './errors.js'
import type { CancelTimer, Log, Runtime } from './runtime.js'

/** A guess: long enough that a thread which dies at once costs little, short enough that one mishap goes unnoticed. */
const firstDelayMs = 100
/** The cap: a thread that always dies is tried no oftener than this. Watch the count of 'worker thread lost' in the log. */
const maxDelayMs = 10_000
/** A thread that lived this long is healthy; its death is the first again. */
const healthyMs = 60_000

/** What every thread says once, when it can take work. */
export interface WorkerReady {
  readonly kind: 'ready'
}

/** What the owner of a thread is told. */
export interface WorkerEvents<Reply> {
  /** A thread, the first or a later one, can take work. */
  onReady(): void
  onReply(reply: Reply): void
  /** The thread is gone, and with it all that it had not answered. Another comes by itself. */
  onLost(error: WorkerError): void
}

export interface WorkerPlan {
  readonly name: string
  readonly url: URL
  readonly workerData: unknown
}

export class RespawningWorker<Request, Reply extends { readonly kind: string }> {
  private thread: Worker | undefined
  private ready_ = false
  private stopped = false
  private losses = 0
  private spawnedAtMs = 0
  private cancelSpawn: CancelTimer | undefined
  private starting: { resolve(): void; reject(error: WorkerError): void } | undefined
  private readonly ending = new Set<Promise<unknown>>()

  constructor(
    private readonly plan: WorkerPlan,
    private readonly events: WorkerEvents<Reply>,
    private readonly deps: { readonly runtime: Runtime; readonly log: Log },
  ) {}

  /** Whether `post` may be called. */
  get ready(): boolean {
    return this.ready_
  }

  /** Resolves when the thread can take work. A thread that dies before that is not replaced: WorkerError. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.starting = { resolve, reject }
      this.spawn()
    })
  }

  post(request: Request, transfer: readonly Transferable[] = []): void {
    assert(this.thread !== undefined && this.ready_, 'work goes to a thread that is ready')
    this.thread.postMessage(request, transfer)
  }

  /** Gives the present thread up, for what it did, and has it replaced. */
  giveUp(error: WorkerError): void {
    if (this.thread !== undefined) this.lose(this.thread, error)
  }

  /** Resolves when no thread is left. Idempotent. */
  async stop(): Promise<void> {
    this.stopped = true
    this.cancelSpawn?.()
    const thread = this.thread
    this.thread = undefined
    this.ready_ = false
    if (thread !== undefined) this.end(thread)
    this.starting?.reject(new WorkerError('worker-stopped', `${this.plan.name} was stopped before it was ready`))
    this.starting = undefined
    await Promise.all(this.ending)
  }

  private spawn(): void {
    this.spawnedAtMs = this.deps.runtime.clock.monotonicMs()
    const thread = new Worker(this.plan.url, { name: this.plan.name, workerData: this.plan.workerData })
    this.thread = thread
    thread.on('message', (message: Reply | WorkerReady) => {
      if (thread === this.thread) this.onMessage(message)
    })
    thread.on('messageerror', (cause) => this.lose(thread, this.toError('sent what cannot be read', cause)))
    // These two stay for the life of the thread: an 'error' event that nobody listens to would end the process.
    thread.on('error', (cause) => this.lose(thread, this.toError('failed', cause)))
    thread.on('exit', (exitCode) => this.lose(thread, this.toError(`exited with ${exitCode}`)))
  }

  private onMessage(message: Reply | WorkerReady): void {
    if (!isReady(message)) {
      this.events.onReply(message)
      return
    }
    this.ready_ = true
    this.starting?.resolve()
    this.starting = undefined
    this.events.onReady()
  }

  private lose(thread: Worker, error: WorkerError): void {
    if (thread !== this.thread) return
    this.thread = undefined
    this.ready_ = false
    this.end(thread)
    if (this.starting !== undefined) {
      this.starting.reject(error)
      this.starting = undefined
      return
    }
    if (this.deps.runtime.clock.monotonicMs() - this.spawnedAtMs >= healthyMs) this.losses = 0
    const delayMs = Math.min(firstDelayMs * 2 ** this.losses, maxDelayMs)
    this.losses++
    this.deps.log.error({ err: error, worker: this.plan.name, respawnMs: delayMs }, 'worker thread lost')
    this.cancelSpawn = this.deps.runtime.timers.after(delayMs, () => {
      if (!this.stopped) this.spawn()
    })
    this.events.onLost(error)
  }

  /** Ends a thread in the background; `stop` waits for it. */
  private end(thread: Worker): void {
    const ending = thread.terminate()
    this.ending.add(ending)
    void ending.then(() => this.ending.delete(ending))
  }

  private toError(what: string, cause?: unknown): WorkerError {
    return new WorkerError('worker-exit', `${this.plan.name} ${what}`, {}, cause)
  }
}

function isReady(message: { readonly kind: string }): message is WorkerReady {
  return message.kind === 'ready'
}
