/** One experiment from start to end: how far it is, Ctrl-C, what is printed, where the files go. What the experiment does is its own. */
import type { Bench, Report } from '@kvchain/lab/experiments/report'
import { CliError, usageError } from '../exits.js'
import { Progress } from '../progress.js'
import { print, remark } from '../terminal.js'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
/** A step may take a minute: the bar is drawn again in the meantime. */
const REDRAW_MS = 1_000

/** Runs `experiment` and prints its report; writes its files to `out` when given. Throws CliError. */
export async function runExperiment(
  seed: number,
  out: string | undefined,
  experiment: (bench: Bench) => Promise<Report>,
): Promise<void> {
  const { reportText, writeReport } = await import('@kvchain/lab/experiments/report')
  const { LabError } = await import('@kvchain/lab/errors')
  const stop = new AbortController()
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(1)
    remark('stopping')
    stop.abort()
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  const shown = new Shown()
  try {
    const report = await experiment({ seed, signal: stop.signal, onProgress: shown.update })
    shown.end()
    print(reportText(report))
    if (out === undefined) return
    const files = await writeReport(report, out)
    remark(`written to ${out}: ${files.join(', ')}`)
  } catch (error) {
    if (stop.signal.aborted) throw new CliError('failed', 'called off; nothing was written', {}, error)
    const isInput = error instanceof LabError && (error.code === 'lab-input' || error.code === 'lab-options')
    throw isInput ? usageError(error.message) : error
  } finally {
    shown.end()
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
}

/** The bar, which goes on while a step takes long. */
class Shown {
  private progress: Progress | undefined
  private timer: NodeJS.Timeout | undefined

  readonly update: Bench['onProgress'] = (done, total, what) => {
    this.progress ??= new Progress('steps', total)
    const { progress } = this
    clearInterval(this.timer)
    progress.update(done, what)
    this.timer = setInterval(() => progress.update(done, what), REDRAW_MS)
  }

  end(): void {
    clearInterval(this.timer)
    this.progress?.end()
  }
}
