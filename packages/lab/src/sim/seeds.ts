/** The scenarios of many seeds, one after the other: what the tests and the long run have in common. */
import { LabError } from '../errors.js'
import { drawScenario, PROGRAM, playScenario, type ScenarioResult } from './scenario.js'

/** One seed in so many is played twice. */
const TWICE = 50
/** Seeds between two lines of progress. */
const LINE = 100

/** Plays the scenario of a seed, and again where it is asked for. Throws LabError `lab-broken`: something does not hold, or the second time differs. */
export async function playSeed(seed: number, isTwice = seed % TWICE < 2): Promise<ScenarioResult> {
  const result = await playScenario(drawScenario(seed))
  if (isTwice) {
    const { hash } = await playScenario(drawScenario(seed))
    if (hash !== result.hash) throw new LabError('lab-broken', `seed ${seed}: events ${result.hash}, then ${hash}`)
  }
  return result
}

/** Plays so many seeds, whatever fails; `print` gets each failure, and a line of progress now and then. Throws LabError `lab-broken` when any failed. */
export async function playSeeds(first: number, count: number, print: (line: string) => void): Promise<void> {
  const began = performance.now()
  const failed: number[] = []
  for (let done = 1; done <= count; done++) {
    const seed = first + done - 1
    try {
      await playSeed(seed)
    } catch (error) {
      failed.push(seed)
      print(
        `FAILED: ${error instanceof LabError ? error.message : error instanceof Error ? error.stack : String(error)}`,
      )
      print(`to make it shorter: ${PROGRAM} shorten --seed ${seed}`)
    }
    if (done % LINE !== 0 && done !== count) continue
    const rate = done / ((performance.now() - began) / 1_000)
    print(`seed ${seed}: ${done} of ${count}, ${rate.toFixed(1)} seeds/s, ${failed.length} failed`)
  }
  if (failed.length > 0) {
    throw new LabError('lab-broken', `${failed.length} of ${count} seeds failed: ${failed.join(', ')}`)
  }
}
