/**
 * The requests under way: how many there may be, and a signal for each that aborts when its caller is gone or the server stops. Also owns
 * how the body of a request is taken.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { HttpError } from './errors.js'

export const JSON_TYPE = 'application/json; charset=utf-8'

export class Requests {
  private count = 0
  private stopping = false
  private readonly controllers = new Set<AbortController>()

  /** @param limit Requests at once. */
  constructor(private readonly limit: number) {}

  /** Counts a request until its answer is out, or its caller gone. Throws HttpError `unavailable` or `busy`. */
  begin(reply: FastifyReply): void {
    if (this.stopping) throw new HttpError('unavailable', 'the daemon is stopping')
    if (this.count >= this.limit) {
      throw new HttpError('busy', `the daemon serves ${this.limit} requests at once; try again later`)
    }
    this.count++
    reply.raw.once('close', () => this.count--)
  }

  /** Aborts when nobody waits for this answer any more. */
  signalOf(reply: FastifyReply): AbortSignal {
    const controller = new AbortController()
    if (this.stopping) controller.abort()
    this.controllers.add(controller)
    reply.raw.once('close', () => {
      this.controllers.delete(controller)
      controller.abort()
    })
    return controller.signal
  }

  /** Calls off what runs: it is answered at once. */
  stop(): void {
    this.stopping = true
    for (const controller of this.controllers) controller.abort()
  }
}

/** The bytes of a request's body; none when it has no body. */
export function bodyOf({ body }: FastifyRequest): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array(0)
}
