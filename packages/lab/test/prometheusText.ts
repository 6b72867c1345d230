/**
 * A strict reader of Prometheus's text format, written from its specification: whatever the format or its naming rules forbid is an error
 * here. Shares nothing with what writes it.
 */

export interface Family {
  readonly type: string
  readonly help: string
  readonly samples: {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly value: number
  }[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const COMMENT = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`)
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`)
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/
const TYPES = ['counter', 'gauge', 'histogram', 'summary']
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
}

class FormatError extends Error {}

function demand(condition: unknown, what: string): asserts condition {
  if (!condition) throw new FormatError(what)
}

/** The families of a text, by name. Throws with what is wrong. */
export function readPrometheusText(text: string): Map<string, Family> {
  demand(text.endsWith('\n'), 'the text must end with a line feed')
  demand(!text.includes('\r'), 'lines end with a line feed alone')
  const families = new Map<string, Family>()
  let help: { name: string; text: string } | undefined
  let current: string | undefined
  for (const line of text.split('\n').filter((each) => each !== '')) {
    if (line.startsWith('#')) {
      const [, kind, name = '', rest = ''] = COMMENT.exec(line) ?? []
      demand(kind !== undefined, `neither HELP nor TYPE: ${line}`)
      if (kind === 'HELP') help = { name, text: rest }
      else {
        demand(TYPES.includes(rest), `no such type: ${line}`)
        demand(help?.name === name, `TYPE without its HELP: ${line}`)
        demand(!families.has(name), `a second TYPE: ${line}`)
        demand(rest !== 'counter' || name.endsWith('_total'), `a counter ends in _total: ${name}`)
        demand(rest === 'counter' || !name.endsWith('_total'), `only a counter ends in _total: ${name}`)
        families.set(name, { type: rest, help: help.text, samples: [] })
        current = name
      }
    } else addSample(families, current, line)
  }
  for (const [name, family] of families) checkFamily(name, family)
  return families
}

function addSample(families: Map<string, Family>, current: string | undefined, line: string): void {
  const [, name, labelText = '', number = ''] = SAMPLE.exec(line) ?? []
  demand(name !== undefined, `no sample: ${line}`)
  const family = current === undefined ? undefined : families.get(current)
  const suffixes = SUFFIXES[family?.type ?? ''] ?? ['']
  demand(
    suffixes.some((suffix) => name === `${current}${suffix}`),
    `a sample outside its family: ${line}`,
  )
  // As Go reads a float: NaN in any case.
  const isNone = /^nan$/i.test(number)
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(isNone ? 'NaN' : number)
  demand(number !== '' && (isNone || !Number.isNaN(value)), `no number: ${line}`)
  const labels = readLabels(labelText, line)
  const key = JSON.stringify([name, Object.entries(labels).sort()])
  demand(
    !family?.samples.some((other) => JSON.stringify([other.name, Object.entries(other.labels).sort()]) === key),
    `twice: ${line}`,
  )
  family?.samples.push({ name, labels, value })
}

function readLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (let rest = text; rest !== ''; ) {
    const [whole, name, value] = LABEL.exec(rest) ?? []
    demand(whole !== undefined && name !== undefined && value !== undefined, `bad labels: ${line}`)
    demand(!name.startsWith('__') && !(name in labels), `a label that may not be: ${line}`)
    labels[name] = value
    rest = rest.slice(whole.length)
  }
  return labels
}

/** Counters never negative; of a histogram each series has buckets that only grow, the last of them its count. */
function checkFamily(name: string, { type, help, samples }: Family): void {
  demand(help.trim() !== '', `no help: ${name}`)
  if (type === 'counter')
    demand(
      samples.every(({ value }) => value >= 0),
      `a counter below 0: ${name}`,
    )
  if (type !== 'histogram') return
  const series = new Map<string, { le: number; value: number }[]>()
  for (const { name: sample, labels, value } of samples.filter((each) => each.name.endsWith('_bucket'))) {
    const { le, ...others } = labels
    demand(le !== undefined, `a bucket without le: ${sample}`)
    const key = JSON.stringify(others)
    series.set(key, [...(series.get(key) ?? []), { le: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), value }])
  }
  for (const [key, buckets] of series) {
    const isOrdered = buckets.every(
      ({ le, value }, i) => i === 0 || (le > (buckets[i - 1]?.le ?? 0) && value >= (buckets[i - 1]?.value ?? 0)),
    )
    demand(isOrdered, `buckets out of order: ${name} ${key}`)
    const count = samples.find((each) => each.name === `${name}_count` && JSON.stringify(each.labels) === key)
    demand(
      buckets.at(-1)?.le === Number.POSITIVE_INFINITY && buckets.at(-1)?.value === count?.value,
      `no count: ${name} ${key}`,
    )
  }
}
