/** The speed experiment, from its options to its report. */
import { measureHashRate } from './laboratory.js'
import type { Bench, Report } from './report.js'
import { speedReport } from './speedReport.js'
import { runSpeed, type SpeedOptions } from './speedRun.js'

/** Throws LabError `lab-broken` when a key that was written is gone. */
export async function speed(options: SpeedOptions, bench: Bench): Promise<Report> {
  const result = await runSpeed(options, bench)
  return speedReport(result, await measureHashRate(bench.signal), {
    'timed calls of each kind': options.calls,
    'YCSB records': options.records,
    'YCSB value': `${options.valueBytes} bytes`,
    'YCSB operations': options.operations,
    'YCSB clients': options.clients,
    seed: bench.seed,
  })
}
