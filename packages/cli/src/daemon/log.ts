/**
 * The daemon's log: pino, on standard error, in lines for people or for machines. Owns what of an error is written down, and that a
 * start which fails leaves one clear line, not the story of all that went well before.
 */
import { AssertionError, KvError } from '@kvchain/core/errors'
import type { Log } from '@kvchain/node/runtime/runtime'
import { destination, type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Settings } from './settings.js'

const STDERR = 2

/** A start that takes longer has something to tell. */
const HOLD_MS = 2_000
const WARN = 40

/** The log of a daemon that starts. */
export interface StartLog {
  readonly log: Log
  /** It has started: what was held is written, and everything from now on at once. */
  release(): void
  /** It could not: of what was held only warnings and errors are written. */
  fail(): void
}

/** Without a format: pretty when somebody looks on, JSON otherwise. */
export function makeLog({ logLevel, logFormat }: Pick<Settings, 'logLevel' | 'logFormat'>): StartLog {
  const format = logFormat ?? (process.stderr.isTTY ? 'pretty' : 'json')
  const held = new HeldLines(format === 'pretty' ? prettyStream() : jsonStream())
  const log = new PinoLog(pino({ level: logLevel, base: null, serializers: { err: describeError } }, held))
  return { log, release: () => held.end(0), fail: () => held.end(WARN) }
}

/** Lines of pino's, held back for a moment. */
class HeldLines implements LineStream {
  private lines: string[] | undefined = []
  private readonly timer = setTimeout(() => this.end(0), HOLD_MS).unref()

  constructor(private readonly stream: LineStream) {}

  write(line: string): void {
    if (this.lines === undefined) this.stream.write(line)
    else this.lines.push(line)
  }

  /** Writes what was held from this level up, and holds nothing from now on. */
  end(level: number): void {
    clearTimeout(this.timer)
    const lines = this.lines ?? []
    this.lines = undefined
    for (const line of lines) if (levelOf(line) >= level) this.stream.write(line)
  }
}

interface LineStream {
  write(line: string): void
}

function levelOf(line: string): number {
  const { level }: { level: number } = JSON.parse(line)
  return level
}

/** Synchronous, like the JSON one: the last line before an end is the one that is needed. */
function prettyStream(): LineStream {
  const prettify = pretty.prettyFactory({
    colorize: process.stderr.isTTY,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  })
  return { write: (line) => void process.stderr.write(prettify(line)) }
}

function jsonStream(): LineStream {
  const stream = destination({ fd: STDERR, sync: true })
  // A reader of the log who went away does not stop the daemon.
  stream.on('error', () => {})
  return { write: (line) => void stream.write(line) }
}

/** A typed error is told by its code and facts. Only what nobody expected needs the stack. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { message, stack, cause } = error
  const more = cause === undefined ? {} : { cause: describeError(cause) }
  if (error instanceof KvError && !(error instanceof AssertionError)) {
    return { type: error.name, code: error.code, message, data: error.data, ...more }
  }
  return { type: error.name, message, stack, ...more }
}

class PinoLog implements Log {
  constructor(private readonly logger: Logger) {}

  debug(data: object, message: string): void {
    this.logger.debug(data, message)
  }

  info(data: object, message: string): void {
    this.logger.info(data, message)
  }

  warn(data: object, message: string): void {
    this.logger.warn(data, message)
  }

  error(data: object, message: string): void {
    this.logger.error(data, message)
  }

  child(bindings: object): Log {
    return new PinoLog(this.logger.child({ ...bindings }))
  }
}
