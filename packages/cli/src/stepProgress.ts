/** How far a work of several steps has got, each with a bar of its own: what the node tells of, shown to people. */
import type { Progress as Told } from '@kvchain/node/progress'
import { Progress } from './progress.js'

export class StepProgress {
  private step: { readonly what: string; readonly bar: Progress } | undefined

  note({ what, done, of, perSecond, secondsLeft }: Told): void {
    if (this.step?.what !== what) {
      this.end()
      this.step = { what, bar: new Progress(what, of) }
    }
    this.step.bar.update(done, `${perSecond}/s${secondsLeft === undefined ? '' : `, ${secondsLeft} s left`}`)
  }

  /** Takes the bar away. */
  end(): void {
    this.step?.bar.end()
    this.step = undefined
  }
}
