/**
 * Entry of a search thread. Owns the pace inside a chunk: it searches in steps of a few milliseconds and looks between them
 * whether the job is still wanted, because a thread in the middle of a chunk hears no message. Keeps nothing between chunks
 * but its pace.
 */
import { platform, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '@kvchain/core/errors'
import { systemRuntime } from '../runtime/runtime.js'
import type { PowMessage, PowReply, PowRequest, PowWorkerData } from './powProtocol.js'
import { createPowSearch } from './powWasm.js'

/** How late a cancellation may be seen. Below a millisecond the look itself and the setup of a step would begin to show. */
const stepMs = 5
const minStep = 2 ** 10
const maxStep = 2 ** 24
/** A third of the weight of an ordinary thread: enough that a busy machine still makes blocks. */
const niceness = 5

const port = parentPort
assert(port !== null, 'powWorker runs in a worker thread')
const { clock } = systemRuntime()
const data: PowWorkerData = workerData
const currentJob = new Int32Array(data.currentJob)
const search = createPowSearch()
let step = minStep

function runChunk(request: PowRequest): PowReply {
  const { jobId, chunkId, commitment, target, start, count } = request
  const startedMs = clock.monotonicMs()
  let nowMs = startedMs
  let tried = 0
  const tally = () => ({ chunkId, tried, elapsedMs: nowMs - startedMs })
  while (tried < count) {
    if (Atomics.load(currentJob, 0) !== jobId) return { kind: 'cancelled', ...tally() }
    const size = Math.min(step, count - tried)
    const nonce = search.search(commitment, target, start + tried, size)
    const tookMs = clock.monotonicMs() - nowMs
    nowMs += tookMs
    if (nonce !== undefined) {
      tried = nonce - start + 1
      return { kind: 'found', nonce, ...tally() }
    }
    tried += size
    if (size === step) step = nextStep(tookMs)
  }
  return { kind: 'exhausted', ...tally() }
}

/** At most doubles, since the first steps run code that is not optimised yet and a clock may stand still for a short one. */
function nextStep(tookMs: number): number {
  const wanted = Math.min(2 * step, Math.round((step * stepMs) / Math.max(tookMs, stepMs / 4)))
  return Math.max(minStep, Math.min(maxStep, wanted))
}

function send(message: PowMessage): void {
  port?.postMessage(message)
}

// On Linux a priority is a thread's own: the search yields to everything else, without being starved by it
// (at the lowest priority a busy node would make no blocks at all). Elsewhere it would slow the whole node.
if (platform() === 'linux') setPriority(niceness)

port.on('message', (request: PowRequest) => send(runChunk(request)))
send({ kind: 'ready' })
