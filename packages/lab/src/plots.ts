/** Line and bar plots, drawn by echarts to SVG without a browser. Owns how every plot of the laboratory looks; no figure is its own. */
import { type EChartsOption, init, type LegendComponentOption, type SeriesOption } from 'echarts'

export interface Plot {
  /** File name. */
  readonly name: string
  readonly svg: string
}

const WIDTH = 960
const HEIGHT = 420
/** Told apart by the colour-blind as well (Okabe and Ito), and by their dashes. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#000000']
const LEGEND = { bottom: 4, itemGap: 18, itemWidth: 30, textStyle: { fontSize: 11 } }
const DASHES = ['solid', 'dashed', 'dotted'] as const

export function draw(name: string, title: string, option: EChartsOption): Plot {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT })
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    color: COLOURS,
    title: { text: title, left: 'center', textStyle: { fontSize: 15 } },
    legend: LEGEND,
    ...option,
  })
  const svg = plain(chart.renderToSVGString()).replace(/^<svg [^>]*>/, (open) => `${open}\n<title>${title}</title>`)
  chart.dispose()
  return { name: `${name}.svg`, svg: `${svg}\n` }
}

/** Without what serves a mouse, and without echarts' count of the charts of this process: the same plot has the same bytes, drawn first or last. */
function plain(svg: string): string {
  return svg
    .replace(/<style\s*>[\s\S]*?<\/style>\n?/g, '')
    .replace(/ (?:class|ecmeta_\w+|pointer-events)="[^"]*"/g, '')
    .replace(/\bzr\d+-/g, '')
}

/** Of lines, no symbols on them. */
export const LINE_LEGEND: LegendComponentOption = { ...LEGEND, itemStyle: { opacity: 0 } }

export interface Line {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Axis {
  readonly name: string
  readonly type?: 'value' | 'log'
  readonly min?: number
  readonly max?: number
}

export function axis({ name, type = 'value', min, max }: Axis, gap: number) {
  return {
    type,
    name,
    nameLocation: 'middle' as const,
    nameGap: gap,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
  }
}

export function lineSeries({ name, points }: Line, i: number, panel = 0): SeriesOption {
  return {
    type: 'line',
    name,
    xAxisIndex: panel,
    yAxisIndex: panel,
    symbol: 'none',
    lineStyle: { width: 2, type: DASHES[i % DASHES.length] ?? 'solid' },
    data: points.map(([x, y]) => [Number(x.toPrecision(6)), Number(y.toPrecision(4))]),
  }
}

export function lines(name: string, title: string, x: Axis, y: Axis, all: readonly Line[]): Plot {
  return draw(name, title, {
    legend: LINE_LEGEND,
    grid: { left: 70, right: 30, top: 40, bottom: 80 },
    xAxis: axis(x, 28),
    yAxis: axis(y, 48),
    series: all.map((line, i) => lineSeries(line, i)),
  })
}

/** Lines through few points, each of them marked. */
export function marked(name: string, title: string, x: Axis, y: Axis, all: readonly Line[]): Plot {
  return draw(name, title, {
    grid: { left: 70, right: 30, top: 40, bottom: 90 },
    xAxis: axis(x, 28),
    yAxis: axis(y, 48),
    series: all.map((line, i) => ({ ...lineSeries(line, i), symbol: 'circle', symbolSize: 7 })),
  })
}

export interface Bars {
  readonly name: string
  /** One for each category. */
  readonly values: readonly number[]
}

/** Every label is there, in several lines where its place is narrow. */
function labelsOf(count: number) {
  return { interval: 0, fontSize: 11, overflow: 'break' as const, width: Math.floor((WIDTH - 110) / count) }
}

/** Upright bars, those of one category side by side. */
export function bars(name: string, title: string, categories: readonly string[], y: Axis, all: readonly Bars[]): Plot {
  return draw(name, title, {
    grid: { left: 70, right: 30, top: 40, bottom: 70 },
    xAxis: { type: 'category', data: [...categories], axisLabel: labelsOf(categories.length) },
    yAxis: axis(y, 48),
    series: all.map((one) => ({
      type: 'bar',
      name: one.name,
      data: one.values.map((value) => Number(value.toPrecision(4))),
    })),
  })
}
