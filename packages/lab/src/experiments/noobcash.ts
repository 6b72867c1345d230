/** The Noobcash experiment, from its options to its report. */
import { measureHashRate } from './laboratory.js'
import { noobcashReport } from './noobcashReport.js'
import { type NoobcashOptions, runNoobcash } from './noobcashRun.js'
import type { Bench, Report } from './report.js'

/** Throws LabError `lab-input` for a bad file of payments, `lab-broken` when coins or payments are missing at the end. */
export async function noobcash(options: NoobcashOptions, bench: Bench): Promise<Report> {
  const results = await runNoobcash(options, bench)
  const { nodes, capacities, difficulties, transactions, lines } = options
  return noobcashReport(results, await measureHashRate(bench.signal), {
    nodes: nodes.join(', '),
    capacity: capacities.join(', '),
    difficulty: difficulties.join(', '),
    transactions: transactions ?? `${lines} a node, drawn`,
    seed: bench.seed,
  })
}
