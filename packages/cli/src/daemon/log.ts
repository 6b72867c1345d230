/** The daemon's log: pino, on standard error, in lines for people or for machines. Owns what of an error is written down. */
import { AssertionError, KvError } from '@kvchain/core/errors'
import type { Log } from '@kvchain/node/runtime/runtime'
import { destination, type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Settings } from './settings.js'

const STDERR = 2

/** Without a format: pretty when somebody looks on, JSON otherwise. */
export function makeLog({ logLevel, logFormat }: Pick<Settings, 'logLevel' | 'logFormat'>): Log {
  const format = logFormat ?? (process.stderr.isTTY ? 'pretty' : 'json')
  const options = { level: logLevel, base: null, serializers: { err: describeError } }
  return new PinoLog(pino(options, format === 'pretty' ? prettyStream() : jsonStream()))
}

/** Synchronous, like the JSON one: the last line before an end is the one that is needed. */
function prettyStream(): { write(line: string): void } {
  const prettify = pretty.prettyFactory({
    colorize: process.stderr.isTTY,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  })
  return { write: (line) => process.stderr.write(prettify(line)) }
}

function jsonStream(): ReturnType<typeof destination> {
  const stream = destination({ fd: STDERR, sync: true })
  // A reader of the log who went away does not stop the daemon.
  stream.on('error', () => {})
  return stream
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
