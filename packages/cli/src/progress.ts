/**
 * How far a long work has got, for people who look on: on a terminal a bar that moves, of whatever takes more than two seconds; elsewhere a line every
 * ten.
 */
import { remark } from './terminal.js'

const SHOWN_AFTER_MS = 2_000
const BAR_EVERY_MS = 100
const LINE_EVERY_MS = 10_000
const TICK_MS = 250
const WIDTH = 30

export class Progress {
  private readonly startedMs = performance.now()
  private shownMs = Number.NEGATIVE_INFINITY
  private isDrawn = false

  /** `total` of `what`: "operations", 5000. Undefined where nobody knows how many there will be. */
  constructor(
    private readonly what: string,
    private readonly total: number | undefined,
  ) {}

  /** @param now what is being done, when that is worth a word. */
  update(done: number, now = ''): void {
    const nowMs = performance.now()
    const { isTTY } = process.stderr
    if (nowMs - this.startedMs < (isTTY ? SHOWN_AFTER_MS : LINE_EVERY_MS)) return
    if (nowMs - this.shownMs < (isTTY ? BAR_EVERY_MS : LINE_EVERY_MS)) return
    this.shownMs = nowMs
    const { total } = this
    const count = `${Math.floor(done)}${total === undefined ? '' : ` of ${Math.floor(total)}`}`
    const text = `${count} ${this.what}${now === '' ? '' : `: ${now}`}`
    if (!isTTY) {
      remark(text)
      return
    }
    this.isDrawn = true
    const filled = total === undefined ? 0 : Math.min(WIDTH, Math.round((done / Math.max(total, 1)) * WIDTH))
    const bar = total === undefined ? '' : `[${'#'.repeat(filled)}${' '.repeat(WIDTH - filled)}] `
    process.stderr.write(`\r${bar}${text}\x1b[K`)
  }

  /** For what cannot say how far it is: counts seconds, for a person at a terminal alone. Returns the function that ends it. */
  tick(): () => void {
    if (!process.stderr.isTTY) return () => {}
    const timer = setInterval(() => this.update((performance.now() - this.startedMs) / 1000), TICK_MS)
    return () => {
      clearInterval(timer)
      this.end()
    }
  }

  /** Takes the bar away. */
  end(): void {
    if (this.isDrawn) process.stderr.write('\r\x1b[K')
    this.isDrawn = false
  }
}
