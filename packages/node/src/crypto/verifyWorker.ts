/** Entry of a verification thread. Owns nothing: each batch is answered from its own bytes. */
import { parentPort } from 'node:worker_threads'
import { assert } from '@kvchain/core/errors'
import { verifySignature } from './sodium.js'
import {
  messageOffset,
  publicKeyOffset,
  recordBytes,
  type VerifyMessage,
  type VerifyReply,
  type VerifyRequest,
} from './verifyProtocol.js'

const port = parentPort
assert(port !== null, 'verifyWorker runs in a worker thread')

function runBatch({ batchId, records }: VerifyRequest): VerifyReply {
  const bytes = new Uint8Array(records)
  const verdicts = new Uint8Array(bytes.length / recordBytes)
  for (let i = 0, at = 0; i < verdicts.length; i++, at += recordBytes) {
    const good = verifySignature(
      bytes.subarray(at, at + messageOffset),
      bytes.subarray(at + messageOffset, at + publicKeyOffset),
      bytes.subarray(at + publicKeyOffset, at + recordBytes),
    )
    verdicts[i] = good ? 1 : 0
  }
  return { kind: 'verified', batchId, verdicts }
}

function send(message: VerifyMessage): void {
  port?.postMessage(message)
}

port.on('message', (request: VerifyRequest) => send(runBatch(request)))
send({ kind: 'ready' })
