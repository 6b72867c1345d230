/** How cost grows with the number of nodes, on real daemons or simulated: from options to report. */
import type { Table } from '../difficulty/table.js'
import { marked } from '../plots.js'
import type { Bench, Report } from './report.js'
import { runScale, type ScaleOptions, type ScaleResult } from './scaleRun.js'
import { runSimulatedScale, type SimulatedScaleOptions } from './simulated/scale.js'

const READING = [
  'half ms and all ms: from the first node that had a block to half of the nodes and to all of them, in the middle of the blocks that were watched. Bytes are those that nodes send, to all their peers together; ' +
    'a write’s are those of all nodes together, with what the same time costs without writes taken off, by the number of writes.',
]

/** Real daemons. */
export async function scale(options: ScaleOptions, bench: Bench): Promise<Report> {
  const results = await runScale(options, bench)
  const about = [
    'Daemons on one machine, each linked with each, share its processors: throughput falls with their number for that reason alone. The first one mines, a block in some tenths of a second; 48 writers put values of 100 bytes, ' +
      'each when its last one is in a block. A block’s way is seen by a key that is written now and again and watched on every daemon.',
    ...READING,
  ]
  const settings = { nodes: options.nodes.join(', '), 'seconds without load, and with': options.seconds }
  return report('Scale: real daemons', about, settings, results, false)
}

/** Whole nodes in virtual time. */
export async function simulatedScale(options: SimulatedScaleOptions, bench: Bench): Promise<Report> {
  const results = await runSimulatedScale(options, bench)
  const about = [
    'Whole nodes in one process and in virtual time, over lines of 40 to 100 ms and 10 Mbit/s, each connected to some peers by its own choice; 20 mine, a block in 10 s. Writes of 100 bytes come at random, at ' +
      'random nodes. Time on a processor is not simulated, so that throughput is what is asked for: what grows is bytes and delay.',
    ...READING,
  ]
  const settings = {
    seed: bench.seed,
    nodes: options.nodes.join(', '),
    'minutes without load, and with': options.minutes,
    'writes a minute': options.writesPerMinute,
  }
  return report('Scale: simulated nodes', about, settings, results, true)
}

function report(
  title: string,
  about: readonly string[],
  settings: Report['settings'],
  results: readonly ScaleResult[],
  isSimulated: boolean,
): Report {
  const table: Table = {
    name: 'scale',
    title,
    columns: [
      { name: 'nodes' },
      { name: 'writes/s', digits: 1 },
      { name: 'half ms' },
      { name: 'all ms' },
      { name: 'idle bytes/s a node' },
      { name: 'bytes/s a node' },
      { name: 'bytes a write' },
      { name: 'a write and node' },
    ],
    rows: results.map((one) => [
      ...[one.nodes, one.writesPerSecond, one.halfMs, one.allMs, one.idleBytesPerSecond, one.bytesPerSecond],
      ...[one.bytesPerWrite, one.bytesPerWrite / one.nodes],
    ]),
  }
  const x = { name: 'nodes', type: 'log' as const }
  const line = (name: string, value: (one: ScaleResult) => number) => ({
    name,
    points: results.filter((one) => Number.isFinite(value(one))).map((one) => [one.nodes, value(one)] as const),
  })
  return {
    experiment: 'scale',
    title,
    about,
    settings,
    isSimulated,
    tables: [table],
    plots: [
      marked('scale-propagation', 'A block’s way', x, { name: 'ms', min: 0 }, [
        line('half of the nodes', ({ halfMs }) => halfMs),
        line('all nodes', ({ allMs }) => allMs),
      ]),
      marked('scale-bytes', 'Bytes for each write', x, { name: 'bytes', type: 'log' }, [
        line('all nodes together', ({ bytesPerWrite }) => bytesPerWrite),
        line('a node', ({ bytesPerWrite, nodes }) => bytesPerWrite / nodes),
      ]),
    ],
  }
}
