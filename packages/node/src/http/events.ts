/**
 * Server-sent events: what happens to keys, and how the tip moves. Owns the streams, their number and their form; what a cursor means and
 * which events lie behind it is kv_watch's to say. A stream holds no queue: a caller who reads slowly is told later, of keys everything, of
 * tips the newest.
 */
import { Readable } from 'node:stream'
import type { Result } from '@kvchain/client/contract'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Chain } from '../chain/chain.js'
import { type ChainNode, findForkPoint } from '../chain/headerTree.js'
import type { Dispatcher } from '../rpc/dispatcher.js'
import { hex, unhex } from '../runtime/hex.js'
import type { Timers } from '../runtime/runtime.js'
import { errorBody, HttpError } from './errors.js'
import type { Requests } from './requests.js'
import { EVENT_ROUTES, fromText, paramSchema } from './routes.js'

export interface EventsDeps {
  readonly dispatcher: Dispatcher
  readonly requests: Requests
  readonly chain: Pick<Chain, 'tip' | 'tips' | 'tree'>
  readonly timers: Timers
}

/** Streams at once. */
const MAX_STREAMS = 64
/** With nothing to tell, a sign of life this often: it shows either side that the other is still there. */
const HEARTBEAT_MS = 15_000
/** What a client waits before it comes again. */
const OPENING = 'retry: 1000\n\n'
const HEARTBEAT = ':\n\n'

type Frames = AsyncGenerator<string, void, undefined>

export function addEventRoutes(app: FastifyInstance, deps: EventsDeps): void {
  let streams = 0
  const open = (reply: FastifyReply, frames: (signal: AbortSignal) => Frames) => {
    if (streams >= MAX_STREAMS) throw new HttpError('busy', `the daemon serves ${MAX_STREAMS} streams of events`)
    streams++
    reply.raw.once('close', () => streams--)
    const stream = Readable.from(frames(deps.requests.signalOf(reply)))
    return reply.type('text/event-stream; charset=utf-8').header('x-accel-buffering', 'no').send(stream)
  }
  app.get(EVENT_ROUTES.keys.path, async (request, reply) => {
    const first = await askFirst(deps, request, reply)
    return open(reply, (signal) => keyFrames(deps, first, signal))
  })
  app.get(EVENT_ROUTES.tips.path, (request, reply) => {
    const known = knownNode(deps, request)
    return open(reply, (signal) => tipFrames(deps, known, signal))
  })
}

/** The first page, before the stream begins: what is wrong with the request is told as with any other. */
interface FirstPage {
  readonly params: object
  readonly page: Result<'kv_watch'>
}

async function askFirst(
  { dispatcher, requests }: EventsDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FirstPage> {
  const given: Record<string, unknown> = Object.assign(Object.create(null), request.query)
  const params = Object.fromEntries(
    Object.entries(given).map(([name, text]) => [name, fromText(paramSchema(EVENT_ROUTES.keys, name), text)]),
  )
  const { cursor, fromHeight, timeoutMs, ...wanted } = params
  if (timeoutMs !== undefined)
    throw new HttpError('invalid-params', 'timeoutMs has no meaning for a stream', { field: 'timeoutMs' })
  // A client that comes again says where it was, whatever its address says.
  const again = request.headers['last-event-id']
  const begin =
    again === undefined
      ? { ...(cursor !== undefined && { cursor }), ...(fromHeight !== undefined && { fromHeight }) }
      : { cursor: again }
  const outcome = await dispatcher.call('kv_watch', { ...wanted, ...begin, timeoutMs: 0 }, requests.signalOf(reply))
  if (!outcome.ok) throw HttpError.of(outcome.failure)
  return { params: wanted, page: outcome.result as Result<'kv_watch'> }
}

async function* keyFrames({ dispatcher }: EventsDeps, { params, page: first }: FirstPage, signal: AbortSignal): Frames {
  yield OPENING
  for (let page = first; ; ) {
    yield pageFrames(page)
    const next = { ...params, cursor: page.cursor, timeoutMs: HEARTBEAT_MS }
    const outcome = await dispatcher.call('kv_watch', next, signal)
    if (signal.aborted) return
    if (!outcome.ok) {
      yield `event: error\ndata: ${errorBody(HttpError.of(outcome.failure))}\n\n`
      return
    }
    page = outcome.result as Result<'kv_watch'>
  }
}

/** The cursor stands with the last event: a client that was cut off before it is told the whole page again. */
function pageFrames({ events, cursor }: Result<'kv_watch'>): string {
  if (events.length === 0) return `id: ${cursor}\n${HEARTBEAT}`
  const frames = events.map((event, i) => {
    const id = i === events.length - 1 ? `id: ${cursor}\n` : ''
    return `${id}event: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`
  })
  return frames.join('')
}

/** The block that a client which comes again was last told of, if it is one that is known here. */
function knownNode({ chain }: EventsDeps, request: FastifyRequest): ChainNode | undefined {
  const id = request.headers['last-event-id']
  return typeof id === 'string' && /^[0-9a-f]{64}$/.test(id) ? chain.tree.get(unhex(id)) : undefined
}

async function* tipFrames({ chain, timers }: EventsDeps, known: ChainNode | undefined, signal: AbortSignal): Frames {
  let told = known
  let wake = () => {}
  const undo = [chain.tips.add(() => wake())]
  const onAbort = () => wake()
  signal.addEventListener('abort', onAbort)
  try {
    yield OPENING
    while (!signal.aborted) {
      const { tip } = chain
      if (tip !== told) {
        yield tipFrame(told ?? tip, tip)
        told = tip
        continue
      }
      const woken = new Promise<boolean>((resolve) => {
        const cancel = timers.after(HEARTBEAT_MS, () => resolve(false))
        wake = () => {
          cancel()
          resolve(true)
        }
      })
      if (!(await woken)) yield HEARTBEAT
    }
  } finally {
    wake()
    for (const step of undo) step()
    signal.removeEventListener('abort', onAbort)
  }
}

/** How the tip moved: to which block, and how many of those that were told of are no longer on the main chain. */
function tipFrame(from: ChainNode, tip: ChainNode): string {
  const fork = findForkPoint(from, tip).header.height
  const hash = hex(tip.hash)
  const told = {
    height: tip.header.height,
    hash,
    timestampMs: tip.header.timestampMs,
    chainwork: tip.chainwork.toString(16),
    reorgDepth: from.header.height - fork,
    ...(from.header.height > fork && { forkHeight: fork }),
  }
  return `id: ${hash}\nevent: tip\ndata: ${JSON.stringify(told)}\n\n`
}
