/**
 * The bytes of a request and its answer on a stream of their own: one frame each way, a varint length and so many bytes; an answer begins with one
 * status byte. Owns framing, sizes, and what a peer is told of an error, which is that byte and nothing else.
 */
import '../polyfill.js'
import { AssertionError, KvError } from '@kvchain/core/errors'
import type { Stream } from '@libp2p/interface'
import { type LengthPrefixedStream, lpStream } from '@libp2p/utils'
import {
  AbortError,
  BusyError,
  NetError,
  OptionsError,
  StoreError,
  TimeoutError,
  WorkerError,
} from '../../runtime/errors.js'

/** The first byte of a response. */
export const STATUS = { ok: 0, busy: 1, badRequest: 2, internal: 3 } as const
export type Status = (typeof STATUS)[keyof typeof STATUS]

/**
 * A stream's buffer holds, beside the data that is waited for, whatever else arrived in the same moment: up to a whole window of the
 * multiplexer. Less than that, and a request that is too long would end in a broken stream instead of an answer.
 */
const BUFFER_SLACK_BYTES = 512 * 1024
/** Sends the request and reads the answer. Both at once: a peer that is busy answers without reading. */
export async function exchange(
  stream: Stream,
  request: Uint8Array,
  maxResponseBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const framed = framedStream(stream, maxResponseBytes + 1)
  let sendError: unknown
  void framed
    .write(request, { signal })
    .then(() => stream.close({ signal }))
    .catch((error: unknown) => {
      sendError = error
    })
  try {
    return plain((await framed.read({ signal })).subarray())
  } catch (error) {
    throw isTooLong(error) ? error : (sendError ?? error)
  }
}

/** A stream that frames are read from and written to, none of them longer. */
export function framedStream(stream: Stream, maxDataLength: number): LengthPrefixedStream<Stream> {
  return lpStream(stream, {
    maxDataLength,
    maxBufferSize: maxDataLength + BUFFER_SLACK_BYTES,
    lengthDecoder: readLength,
  })
}

/**
 * The varint at the beginning of a frame; no number while it has no end yet. The library's own way throws then, and when that happens it reads on, byte
 * after byte, without ever looking how long the length has become: a stream of nothing but continuation would keep the processor busy for ever.
 */
export function readLength(bytes: Uint8Array | { readonly byteLength: number; get(index: number): number }): number {
  let value = 0
  for (let i = 0; i < bytes.byteLength; i++) {
    const byte = bytes instanceof Uint8Array ? (bytes[i] ?? 0) : bytes.get(i)
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return value
  }
  return Number.NaN
}

/** The request, or undefined if it is over the limit. */
export async function readRequest(
  framed: LengthPrefixedStream<Stream>,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    return plain((await framed.read({ signal })).subarray())
  } catch (error) {
    if (isTooLong(error)) return undefined
    throw error
  }
}

/**
 * A Uint8Array with memory of its own. What the library hands over may be a Buffer, whose `slice` does not copy, and a small part of
 * a large block of memory, which would be kept alive by it.
 */
function plain(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes)
}

/** What a peer is told of a handler's error. */
export function statusOf(error: unknown): Status {
  if (error instanceof BusyError) return STATUS.busy
  if (error instanceof NetError) return error.code === 'net-busy' ? STATUS.busy : STATUS.internal
  const ours = [AssertionError, StoreError, WorkerError, AbortError, TimeoutError, OptionsError]
  return error instanceof KvError && !ours.some((kind) => error instanceof kind) ? STATUS.badRequest : STATUS.internal
}

export function frame(status: Status, payload?: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + (payload?.length ?? 0))
  bytes[0] = status
  if (payload !== undefined) bytes.set(payload, 1)
  return bytes
}

export function readAnswer(answer: Uint8Array, facts: { peerId: string; protocol: string }): Uint8Array {
  switch (answer[0]) {
    case STATUS.ok:
      return answer.subarray(1)
    case STATUS.busy:
      throw new NetError('net-busy', 'the peer is busy; ask again later or ask another', facts)
    case STATUS.badRequest:
      throw new NetError('net-response', 'the peer did not accept the request', { ...facts, status: 'bad-request' })
    case STATUS.internal:
      throw new NetError('net-response', 'the peer could not answer', { ...facts, status: 'internal' })
    default:
      throw new NetError('net-response', 'the answer of the peer makes no sense', { ...facts, status: 'malformed' })
  }
}

export function requestError(error: unknown, facts: { peerId: string; protocol: string }): NetError {
  if (error instanceof NetError) return error
  if (isTooLong(error)) return new NetError('net-limit', 'the answer of the peer is over the limit', facts, error)
  if (error instanceof Error && error.name === 'UnsupportedProtocolError') {
    return new NetError('net-stream', `the peer does not serve ${facts.protocol}`, facts, error)
  }
  return new NetError('net-stream', 'the stream to the peer broke off', facts, error)
}

function isTooLong(error: unknown): boolean {
  const names = ['InvalidDataLengthError', 'InvalidDataLengthLengthError', 'StreamBufferError']
  return error instanceof Error && names.includes(error.name)
}
