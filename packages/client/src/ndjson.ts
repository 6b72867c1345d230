/**
 * Newline framing with a bound: splits a stream of bytes into lines, whatever the chunks. Owns no JSON and no socket. Never holds
 * more than one unfinished line, and refuses that one as soon as it is longer than the bound.
 */
import { ClientError } from './errors.js'

/** A request: the largest transaction that the built-in networks take fits three times over, in hex. */
export const MAX_REQUEST_BYTES: number = 2 << 20
/** An answer, or the answers to a batch: a thousand versions of a small value, or a few hundred of a large one. */
export const MAX_ANSWER_BYTES: number = 16 << 20

const NEWLINE = 0x0a

/** A buffer that grew beyond this is given back once its line is out. */
const KEEP_BYTES = 64 << 10

export class LineSplitter {
  private buffer = new Uint8Array(0)
  private held = 0

  /** @param maxBytes of a line, its newline not counted. */
  constructor(private readonly maxBytes: number = MAX_REQUEST_BYTES) {}

  /** Bytes of the unfinished line. */
  get pendingBytes(): number {
    return this.held
  }

  /** Takes a chunk and returns the lines that it completes, without their newlines. Throws ClientError `line-too-long`. */
  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      lines.push(this.complete(chunk.subarray(start, end)))
      start = end + 1
    }
    if (start < chunk.length) this.hold(chunk.subarray(start))
    return lines
  }

  private complete(last: Uint8Array): Uint8Array {
    if (this.held === 0 && last.length <= this.maxBytes) return last
    this.hold(last)
    const line = this.buffer.slice(0, this.held)
    this.held = 0
    if (this.buffer.length > KEEP_BYTES) this.buffer = new Uint8Array(0)
    return line
  }

  /** Copies into one growing buffer: a line that comes a byte at a time costs no more than its own length, twice. */
  private hold(part: Uint8Array): void {
    const size = this.held + part.length
    if (size > this.maxBytes) {
      throw new ClientError('line-too-long', `a line is longer than ${this.maxBytes} bytes`, {
        maxBytes: this.maxBytes,
      })
    }
    if (size > this.buffer.length) {
      const grown = new Uint8Array(Math.min(this.maxBytes, Math.max(size, this.buffer.length * 2, 1024)))
      grown.set(this.buffer.subarray(0, this.held))
      this.buffer = grown
    }
    this.buffer.set(part, this.held)
    this.held = size
  }
}
