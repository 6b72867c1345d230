/** The plots of docs/difficulty.md. Owns no figure: it gets them, or has them run. */
import type { SeriesOption } from 'echarts'
import { axis, draw, LINE_LEGEND, type Line, lineSeries, lines, type Plot } from '../plots.js'
import type { Candidate, Candidates } from './candidates.js'
import { type Effort, NIGHT_MS } from './experiments/effort.js'
import { reversals } from './experiments/forging.js'
import { idleSeries, nightSeries, stepSeries } from './experiments/recovery.js'
import { rosenfeld } from './stats.js'
import { stairsUp } from './strategies.js'
import type { Table } from './table.js'

function numbered(values: readonly number[], first = 0): [number, number][] {
  return values.map((value, i) => [i + first, value])
}

interface Panel {
  readonly factor: number
  readonly blocks: number
  readonly title: string
  readonly width: string
  readonly left: number | string
  readonly range: readonly [min: number, max: number]
}

function stepPlot(list: readonly Candidate[], effort: Effort): Plot {
  const panels: readonly Panel[] = [
    { factor: 10, blocks: 600, title: 'x10', width: '38%', left: 70, range: [0.5, 20] },
    { factor: 1 / 10, blocks: 300, title: '/10', width: '38%', left: '57%', range: [0.05, 2] },
  ]
  return draw('steps', 'After a step of the hash rate: target against the right one (median)', {
    legend: LINE_LEGEND,
    grid: panels.map(({ left, width }) => ({ left, width, top: 40, bottom: 80 })),
    xAxis: panels.map(({ title }, i) => ({ ...axis({ name: `blocks after ${title}` }, 28), gridIndex: i })),
    yAxis: panels.map(({ range: [min, max] }, i) => ({
      ...axis({ name: 'times too easy', type: 'log', min, max }, 48),
      gridIndex: i,
    })),
    series: panels.flatMap(({ factor, blocks }, panel) =>
      list.map(({ name, world }, i) => {
        const eases = stepSeries(world, factor, blocks, effort)
        return lineSeries({ name, points: numbered(eases.map((ease) => 2 ** ease)) }, i, panel)
      }),
    ),
  })
}

function nightPlot(list: readonly Candidate[], forgers: readonly Candidate[], effort: Effort): Plot {
  const others = { share: 0.49, strategy: stairsUp }
  const ease = (values: readonly number[]) =>
    numbered(
      values.map((value) => 2 ** value),
      1,
    )
  return lines(
    'night',
    'Back after twelve hours off: block rate against the right one (median)',
    { name: 'blocks since the return' },
    { name: 'times too fast', type: 'log', min: 0.5 },
    [
      ...list.map(({ name, world }) => ({ name, points: ease(nightSeries(world, 300, effort)) })),
      ...forgers.map(({ name, world }) => ({
        name: `${name.replace('relative ', '')}, 49 % forge`,
        points: ease(nightSeries(world, 300, effort, others)),
      })),
    ],
  )
}

function forgePlot(table: Table): Plot {
  const speeds = table.columns.flatMap(({ name }, i) => (['rule', 'forged', 'reward'].includes(name) ? [] : [i]))
  const rows = table.rows.filter((row) => row[1] === '49 %')
  const speedsOf = (row: readonly (string | number)[]) => speeds.map((i) => Number(row[i]))
  const bars = (name: string, pick: (...values: number[]) => number): SeriesOption => ({
    type: 'bar',
    name,
    data: rows.map((row) => Number(Math.max(0.005, pick(...speedsOf(row))).toPrecision(4))),
  })
  return draw('forged', 'Steady load, 49 % forge: slowest and fastest chain they can make (1 is honest)', {
    grid: { left: 190, right: 40, top: 40, bottom: 60 },
    xAxis: { type: 'log', min: 0.005, max: 20 },
    yAxis: { type: 'category', inverse: true, data: rows.map((row) => String(row[0])) },
    series: [bars('slowest', Math.min), bars('fastest', Math.max)],
  })
}

function reversalPlot(list: readonly Candidate[], effort: Effort): Plot {
  const [share, most] = [0.2, 20]
  const known = Array.from({ length: most }, (_, i) => rosenfeld(share, i + 1))
  const chances = list.map(({ name, world }) => ({
    name: `${name}, after a night`,
    values: reversals(world, share, NIGHT_MS, most, effort),
  }))
  return lines(
    'reversal',
    'A fifth of the hash rate, private branch, forged timestamps: chance to take confirmations back',
    { name: 'confirmations', min: 1, max: 20 },
    { name: '%', type: 'log', min: 0.01, max: 100 },
    [{ name: 'Rosenfeld', values: known }, ...chances].map(({ name, values }) => ({
      name,
      points: numbered(
        values.map((value) => 100 * value),
        1,
      ).filter(([, value]) => value >= 0.01),
    })),
  )
}

function idlePlot(list: readonly Candidate[], effort: Effort): Plot {
  return lines(
    'idle',
    'All mine only while something is pending: the target when a write comes (median)',
    { name: 'writes, one in 300 intervals', min: 1 },
    { name: 'times too easy', type: 'log', min: 0.5 },
    list.map(({ name, world }) => ({
      name,
      points: numbered(
        idleSeries(world, effort).map((ease) => 2 ** ease),
        1,
      ),
    })),
  )
}

function tauPlot(table: Table): Plot {
  const column = (name: string) => table.columns.findIndex((other) => other.name === name)
  const curve = (name: string): Line => ({
    name,
    points: table.rows.map((row, i) => [i, Number(row[column(name)])] as const),
  })
  const [quick, calm] = [
    ['x10 time', '/10 time'],
    ['jitter %', 'hopper gains %', 'forging hopper %'],
  ]
  return draw('tau', 'tau: quick against calm', {
    legend: LINE_LEGEND,
    grid: { left: 70, right: 70, top: 40, bottom: 80 },
    xAxis: {
      ...axis({ name: 'tau in intervals' }, 28),
      type: 'category',
      boundaryGap: false,
      data: table.rows.map((row) => String(row[0])),
    },
    yAxis: [axis({ name: 'intervals until right' }, 48), axis({ name: '%' }, 36)],
    series: [
      ...(quick ?? []).map((name, i) => lineSeries(curve(name), i)),
      ...(calm ?? []).map((name, i) => ({ ...lineSeries(curve(name), i + 1), xAxisIndex: 0, yAxisIndex: 1 })),
    ],
  })
}

/** Every plot. Tables are looked up by name; what they do not hold is run anew. */
export function drawPlots(all: Candidates, tables: readonly Table[], effort: Effort): Plot[] {
  const named = (...names: string[]) => all.all.filter(({ name }) => names.includes(name))
  const plots: Plot[] = [
    stepPlot([all.twin, ...named('ASERT 100', 'ASERT 288', 'LWMA 90')], effort),
    nightPlot([all.twin, all.first, ...named('ASERT 100', 'LWMA 90')], [all.twin, all.first], effort),
    reversalPlot([all.twin, all.first], effort),
    idlePlot([all.twin, all.first], effort),
  ]
  for (const table of tables) {
    if (table.name === 'forge') plots.push(forgePlot(table))
    if (table.name === 'tau') plots.push(tauPlot(table))
  }
  return plots
}
