/**
 * JSON-RPC 2.0 by POST: the same dispatcher, and so the same methods, errors and bounds, as on the socket. An answer of JSON-RPC has
 * status 200 even where it is an error, as its users expect; only what cannot be read as JSON-RPC has 400.
 */
import { setMaxListeners } from 'node:events'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Dispatcher, tooLargeText } from '../rpc/dispatcher.js'
import { HttpError } from './errors.js'
import { bodyOf, JSON_TYPE, type Requests } from './requests.js'

export const RPC_PATHS = ['/', '/rpc'] as const

export interface RpcRouteDeps {
  readonly dispatcher: Dispatcher
  readonly requests: Requests
  /** Bytes of the answers to a batch together. */
  readonly maxAnswerBytes: number
}

export function addRpcRoutes(app: FastifyInstance, deps: RpcRouteDeps): void {
  for (const url of RPC_PATHS) app.post(url, (request, reply) => onPost(deps, request, reply))
}

async function onPost(deps: RpcRouteDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  // A web page may send any other type without asking first.
  if (request.mediaType !== 'application/json') {
    throw new HttpError('media-type', 'JSON-RPC takes Content-Type: application/json')
  }
  const { dispatcher, requests } = deps
  const parsed = dispatcher.parse(bodyOf(request))
  if (parsed.kind === 'bad') return reply.code(400).type(JSON_TYPE).send(parsed.answer)
  const signal = requests.signalOf(reply)
  const answer =
    parsed.kind === 'single'
      ? await dispatcher.answer(parsed.message, signal)
      : await answerBatch(deps, parsed.messages, signal)
  return answer === undefined ? reply.code(204).send() : reply.type(JSON_TYPE).send(answer)
}

/** All at once; the dispatcher bounds how many there can be. */
async function answerBatch(
  { dispatcher, maxAnswerBytes }: RpcRouteDeps,
  messages: readonly unknown[],
  signal: AbortSignal,
): Promise<string | undefined> {
  setMaxListeners(0, signal)
  const all = await Promise.all(messages.map((message) => dispatcher.answer(message, signal)))
  const answers = all.filter((answer) => answer !== undefined)
  if (answers.length === 0) return undefined
  const bytes = answers.reduce((sum, answer) => sum + Buffer.byteLength(answer), 0)
  return bytes <= maxAnswerBytes ? `[${answers.join(',')}]` : tooLargeText(null, bytes, maxAnswerBytes)
}
