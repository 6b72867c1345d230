/** The two loads on a cluster, puts and gets. Owns their pace and what is counted of them; who writes what is writers.ts. */
import type { KvClient } from '@kvchain/client/kvClient'
import { KvError } from '@kvchain/core/errors'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { runOpenLoop } from './openLoop.js'
import type { Samples } from './samples.js'
import { Tally } from './stats.js'
import type { Writer } from './writers.js'

/** Monotonic milliseconds. The load begins at `startMs`; what is due in [fromMs, untilMs) is measured. */
export interface Window {
  readonly startMs: number
  readonly fromMs: number
  readonly untilMs: number
}

const { clock, timers } = systemRuntime()
/** At rate max: writes of one writer on their way, well below what the daemon serves at once on a connection. */
const MAX_IN_FLIGHT = 16
/** At rate max: no more is written while a node has this much that is unconfirmed. More would only wait longer. */
const MAX_BACKLOG_TRANSACTIONS = 20_000
const MAX_BACKLOG_BYTES = 32 << 20
const BACKLOG_POLL_MS = 100
/** How long a writer that was refused rests at rate max. */
const REST_MS = 50

/** What was asked of the nodes, and how it went, counting what was due in the window. */
export class Meter {
  readonly latencyMs: number[] = []
  readonly failures = new Tally()
  /** Done in the window, whenever it was due. */
  doneInWindow = 0
  /** Done at all. */
  done = 0
  open = 0

  constructor(private readonly window: Window) {}

  /** Runs one request that was due at `intendedMs`. Never rejects; undefined when it failed. */
  async measure<T>(intendedMs: number, work: () => Promise<T>): Promise<T | undefined> {
    this.open++
    try {
      const result = await work()
      const nowMs = clock.monotonicMs()
      this.done++
      if (this.isMeasured(nowMs)) this.doneInWindow++
      if (this.isMeasured(intendedMs)) this.latencyMs.push(nowMs - intendedMs)
      return result
    } catch (error) {
      this.failures.add(error instanceof KvError ? failureName(error) : 'unexpected')
      return undefined
    } finally {
      this.open--
    }
  }

  isMeasured(ms: number): boolean {
    return ms >= this.window.fromMs && ms < this.window.untilMs
  }
}

function failureName({ code, data }: KvError): string {
  return typeof data.rule === 'string' ? `${code} (${data.rule})` : code
}

/** Puts, in transactions of `batch` each. */
export class PutLoad {
  readonly meter: Meter
  private sequence = 0

  constructor(
    private readonly writers: readonly Writer[],
    private readonly samples: Samples,
    private readonly window: Window,
  ) {
    this.meter = new Meter(window)
  }

  /** At a constant rate of transactions. Resolves with how late they were begun. */
  offer(rate: number, signal: AbortSignal): Promise<number[]> {
    const { startMs, untilMs } = this.window
    const begin = (intendedMs: number) => {
      const writer = this.writers[this.sequence % this.writers.length]
      if (writer !== undefined) void this.write(writer, intendedMs)
    }
    return runOpenLoop({ rate, fromMs: startMs, untilMs, begin, signal })
  }

  /** As many as the nodes confirm: each writer has some on their way, and all pause while a node has much that waits for a block. */
  async saturate(nodes: readonly KvClient[], signal: AbortSignal): Promise<void> {
    let isHeld = false
    const isOver = () => clock.monotonicMs() >= this.window.untilMs
    const watch = async () => {
      while (!isOver()) {
        const states = await Promise.all(nodes.map((node) => node.status({ signal })))
        isHeld = states.some(
          ({ mempool: { transactions, bytes } }) =>
            transactions > MAX_BACKLOG_TRANSACTIONS || bytes > MAX_BACKLOG_BYTES,
        )
        await timers.sleep(BACKLOG_POLL_MS, signal)
      }
    }
    const write = async (writer: Writer) => {
      while (!isOver()) {
        const isTaken = !isHeld && (await this.write(writer, clock.monotonicMs()))
        if (!isTaken) await timers.sleep(REST_MS, signal)
      }
    }
    const inFlight = this.writers.flatMap((writer) => Array.from({ length: MAX_IN_FLIGHT }, () => writer))
    await Promise.all([watch(), ...inFlight.map(write)])
  }

  private async write(writer: Writer, intendedMs: number): Promise<boolean> {
    const sequence = this.sequence++
    const written = await this.meter.measure(intendedMs, () => writer.write(sequence))
    if (written === undefined) return false
    this.samples.offer(written, writer.node, intendedMs, this.meter.isMeasured(intendedMs))
    return true
  }
}

/** Gets of keys that are known to be there, each on a node that did not take the put. */
export class GetLoad {
  readonly meter: Meter
  /** Keys that had been there and were not. */
  missing = 0

  constructor(
    private readonly clients: readonly KvClient[],
    private readonly samples: Samples,
    private readonly window: Window,
  ) {
    this.meter = new Meter(window)
  }

  offer(rate: number, signal: AbortSignal): Promise<number[]> {
    const { fromMs, untilMs } = this.window
    return runOpenLoop({ rate, fromMs, untilMs, begin: (intendedMs) => void this.read(intendedMs), signal })
  }

  private async read(intendedMs: number): Promise<void> {
    const place = this.samples.anyKey()
    const client = place && this.clients[place.node]
    // Nothing to read before the first block.
    if (place === undefined || client === undefined) return
    await this.meter.measure(intendedMs, async () => {
      if ((await client.get(place.key)) === undefined) this.missing++
    })
  }
}
