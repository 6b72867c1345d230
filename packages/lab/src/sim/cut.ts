/**
 * A part of a scenario: some of its nodes, faults and writes, for less time. Owns what is left of a scenario then, and how a part is written on the command line.
 */
import { LabError } from '../errors.js'
import { faultAmong } from './faults.js'
import type { Scenario } from './scenario.js'

/** Indices of what is left, in the scenario that was drawn; all of it when left out. */
export interface Cut {
  readonly nodes?: readonly number[]
  readonly faults?: readonly number[]
  readonly writes?: readonly number[]
  /** Virtual milliseconds during which faults and writes happen. */
  readonly trouble?: number
}

/** What is left. Byzantine nodes keep their share of the hashing power, the honest have the rest. Throws LabError `lab-options` when no honest node mines. */
export function cutScenario(scenario: Scenario, cut: Cut): Scenario {
  const { options, faults, writes, trouble: whole } = scenario
  const kept = cut.nodes ?? options.nodes.map((_, index) => index)
  const nodes = kept.flatMap((index) => options.nodes[index] ?? [])
  const shareOf = (isHonest: boolean) =>
    nodes
      .filter(({ byzantine }) => (byzantine === undefined) === isHonest)
      .reduce((sum, { hashShare = 0 }) => sum + hashShare, 0)
  const honest = shareOf(true)
  if (honest === 0) throw new LabError('lab-options', 'a scenario needs an honest node that mines')
  const factor = nodes.length === options.nodes.length ? 1 : (1 - shareOf(false)) / honest
  const places = new Map(kept.map((index, place) => [index, place]))
  const trouble = cut.trouble ?? whole
  const left = <T extends { readonly atMs: number }>(all: readonly T[], indices: readonly number[] | undefined) =>
    all.filter((one, index) => one.atMs < trouble && indices?.includes(index) !== false)
  return {
    options: {
      ...options,
      nodes: nodes.map((node) =>
        node.byzantine === undefined ? { ...node, hashShare: (node.hashShare ?? 0) * factor } : node,
      ),
    },
    faults: left(faults, cut.faults).flatMap((fault) => faultAmong(fault, places) ?? []),
    writes: left(writes, cut.writes).flatMap((write) => {
      const node = places.get(write.node)
      return node === undefined ? [] : [{ ...write, node }]
    }),
    trouble,
    command: [scenario.command, ...cutArguments(cut)].join(' '),
  }
}

function cutArguments({ trouble, ...lists }: Cut): string[] {
  const texts = Object.entries(lists).map(([name, left]) => `--${name} ${left.length === 0 ? 'none' : left.join(',')}`)
  return trouble === undefined ? texts : [...texts, `--trouble ${trouble}`]
}

/** Reads what `cutArguments` writes: values of options by their names. Throws LabError `lab-options`. */
export function parseCut(values: Readonly<Record<string, string | undefined>>): Cut {
  const list = (name: 'nodes' | 'faults' | 'writes') => {
    const text = values[name]
    if (text === undefined) return {}
    const left = text === 'none' ? [] : text.split(',').map(Number)
    if (!left.every((index) => Number.isSafeInteger(index) && index >= 0)) {
      throw new LabError('lab-options', `--${name} is none or numbers with commas between, not ${text}`)
    }
    return { [name]: left }
  }
  const trouble = values.trouble === undefined ? {} : { trouble: Number(values.trouble) }
  if (trouble.trouble !== undefined && !(trouble.trouble > 0)) {
    throw new LabError('lab-options', `--trouble is a number of milliseconds, not ${values.trouble}`)
  }
  return { ...list('nodes'), ...list('faults'), ...list('writes'), ...trouble }
}
