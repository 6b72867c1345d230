/**
 * The shortest scenario that still fails as a given one does. Owns the search: parts are left out for as long as the same check objects; which are tried, and in
 * what order, is a function of the scenario alone. (Zeller and Hildebrandt's delta debugging, one kind of part after the other until none can be spared.)
 */
import { LabError } from '../errors.js'
import { type Cut, cutScenario } from './cut.js'
import { playScenario, type Scenario } from './scenario.js'
import type { World } from './world.js'

/** Trouble is not made shorter by less than this, in virtual milliseconds. */
const STEP_MS = 500

export interface ShortenOptions {
  /** As of playScenario. */
  readonly atRest?: (world: World) => void
  /** Gets a line whenever something could be left out. */
  readonly print: (line: string) => void
}

/** What of the scenario is enough. `draw` makes it anew each time, as byzantine nodes remember. Throws LabError `lab-options` when it does not fail at all. */
export async function shorten(draw: () => Scenario, { atRest, print }: ShortenOptions): Promise<Cut> {
  const whole = draw()
  const failure = await failureOf(() => whole, atRest)
  if (failure === undefined) throw new LabError('lab-options', 'the scenario does not fail')
  print(`it fails: ${failure}`)
  const all = (things: readonly unknown[]) => things.map((_, index) => index)
  let best = {
    nodes: all(whole.options.nodes),
    faults: all(whole.faults),
    writes: all(whole.writes),
    trouble: whole.trouble,
  }
  const isEnough = async (cut: typeof best) => {
    const isSame = (await failureOf(() => cutScenario(draw(), cut), atRest)) === failure
    if (isSame) {
      best = cut
      print(sizeText(cut))
    }
    return isSame
  }
  for (let before = ''; before !== JSON.stringify(best); ) {
    before = JSON.stringify(best)
    for (const kind of ['faults', 'writes', 'nodes'] as const) {
      await fewer(best[kind], (left) => isEnough({ ...best, [kind]: left }))
    }
    for (let step = Math.floor(best.trouble / 2); step >= STEP_MS; step = Math.floor(step / 2)) {
      await isEnough({ ...best, trouble: best.trouble - step })
    }
  }
  return best
}

function sizeText({ nodes, faults, writes, trouble }: Required<Cut>): string {
  return `${nodes.length} nodes, ${faults.length} faults and ${writes.length} writes in ${(trouble / 1_000).toFixed(1)} s are enough`
}

/** Leaves out halves, then quarters, and so on to single ones, for as long as the others are enough. */
async function fewer(all: readonly number[], isEnough: (left: readonly number[]) => Promise<boolean>): Promise<void> {
  let left = all
  for (let size = all.length; size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < left.length; ) {
      const others = [...left.slice(0, at), ...left.slice(at + size)]
      if (await isEnough(others)) left = others
      else at += size
    }
  }
}

/** What a check says of a scenario, but for numbers and hashes; undefined when it holds. */
async function failureOf(draw: () => Scenario, atRest: ShortenOptions['atRest']): Promise<string | undefined> {
  try {
    await playScenario(draw(), atRest)
    return undefined
  } catch (error) {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    return line.replace(/[0-9a-f]{8,}|\d+(?:\.\d+)?/g, '#')
  }
}
