/**
 * One direction of one connection through a link: takes bytes from one socket and gives them to the other when the link lets them arrive, in
 * order. Holds a bounded number of bytes; when they are that many, the sender has to wait, as it would on a slow line.
 */
import type { Socket } from 'node:net'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { changedRule, type Dice, FREE_LINK, type LinkRule } from './rule.js'

/** About what the window of a TCP connection grows to. */
const MAX_HELD_BYTES = 4 << 20

const { clock, timers } = systemRuntime()

/** One direction between two nodes: its rule, and whether anything passes at all. */
export class Link {
  private rule_ = FREE_LINK
  private cut_ = false
  private healed: () => void = () => {}
  private healing: Promise<void> = Promise.resolve()
  /** Until then the line is busy with what was sent before. */
  private busyUntilMs = 0
  private carried_ = 0

  get rule(): LinkRule {
    return this.rule_
  }

  get isCut(): boolean {
    return this.cut_
  }

  /** Bytes that arrived. */
  get carried(): number {
    return this.carried_
  }

  /** Holds for what is sent from now on. */
  change(changes: Partial<LinkRule>): void {
    this.rule_ = changedRule(this.rule_, changes)
  }

  /** Nothing arrives any more, and nobody is told. What is on the way waits, as the sender's system would send it again and again. */
  cut(): void {
    if (this.cut_) return
    this.cut_ = true
    this.healing = new Promise((resolve) => {
      this.healed = resolve
    })
  }

  heal(): void {
    this.cut_ = false
    this.healed()
  }

  /** Resolves when something may pass: at once, or one resend after the link was healed. AbortError. */
  async passable(signal: AbortSignal): Promise<void> {
    while (this.cut_ && !signal.aborted) {
      await first(signal, (done) => {
        void this.healing.then(done)
        return () => {}
      })
      await timers.sleep(this.rule_.resendMs, signal)
    }
  }

  /** When bytes that are sent now will have arrived, in monotonic time. */
  arrivalMs(length: number, dice: Dice): number {
    const nowMs = clock.monotonicMs()
    this.busyUntilMs = Math.max(this.busyUntilMs, nowMs) + (length / this.rule_.bytesPerSecond) * 1_000
    return this.busyUntilMs + dice.delayMs(length, this.rule_)
  }

  count(length: number): void {
    this.carried_ += length
  }
}

interface Parcel {
  readonly what: Buffer | 'end' | 'reset'
  readonly atMs: number
}

export class Line {
  private readonly queue: Parcel[] = []
  private held = 0
  private lastMs = 0
  private arrived: () => void = () => {}

  /** Takes bytes from now on, as many as it may hold. */
  constructor(
    private readonly link: Link,
    private readonly dice: Dice,
    private readonly source: Socket,
  ) {
    source.on('data', (bytes: Buffer) => {
      this.take(bytes, bytes.length)
      this.held += bytes.length
      if (this.held >= MAX_HELD_BYTES) source.pause()
    })
    source.once('end', () => this.take('end'))
    source.once('close', (hadError: boolean) => {
      if (hadError || !source.readableEnded) this.take('reset')
    })
  }

  /** Resolves when everything has arrived at the sink, or `signal` has aborted. */
  async carry(sink: Socket, signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.arrived(), { once: true })
    try {
      while (!signal.aborted && (await this.deliver(sink, signal)));
    } catch {
      // Called off while it waited.
    }
  }

  private take(what: Parcel['what'], length = 0): void {
    // Nothing overtakes what was sent before.
    this.lastMs = Math.max(this.lastMs, this.link.arrivalMs(length, this.dice))
    this.queue.push({ what, atMs: this.lastMs })
    this.arrived()
  }

  /** Hands over what comes next. False when that was the last. */
  private async deliver(sink: Socket, signal: AbortSignal): Promise<boolean> {
    const [parcel] = this.queue
    if (parcel === undefined) {
      await new Promise<void>((resolve) => {
        this.arrived = resolve
      })
      return true
    }
    const waitMs = parcel.atMs - clock.monotonicMs()
    if (waitMs > 0) await timers.sleep(waitMs, signal)
    await this.link.passable(signal)
    this.queue.shift()
    if (sink.destroyed || signal.aborted) return false
    if (typeof parcel.what === 'string') {
      if (parcel.what === 'end') sink.end()
      else sink.resetAndDestroy()
      return false
    }
    this.held -= parcel.what.length
    if (this.held < MAX_HELD_BYTES) this.source.resume()
    this.link.count(parcel.what.length)
    if (!sink.write(parcel.what)) {
      await first(signal, (done) => {
        // A sink that is gone never drains.
        for (const event of ['drain', 'close']) sink.once(event, done)
        return () => {
          for (const event of ['drain', 'close']) sink.off(event, done)
        }
      })
    }
    return true
  }
}

/** Resolves when `done` is called or `signal` aborts, whichever is first; what `begin` returns takes its listeners away again. */
async function first(signal: AbortSignal, begin: (done: () => void) => () => void): Promise<void> {
  let end = (): void => {}
  await new Promise<void>((resolve) => {
    const done = (): void => resolve()
    const forget = begin(done)
    signal.addEventListener('abort', done, { once: true })
    end = () => {
      forget()
      signal.removeEventListener('abort', done)
    }
  })
  end()
}
