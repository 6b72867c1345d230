/** The faults experiment, from its options to its report. */
import type { Table } from '../difficulty/table.js'
import { bars, type Plot } from '../plots.js'
import { type FaultResult, type FaultsOptions, runFaults } from './faultsRun.js'
import type { Bench, Report } from './report.js'

/** Throws LabError `lab-broken` when an accepted write is lost. */
export async function faults(options: FaultsOptions, bench: Bench): Promise<Report> {
  const results = await runFaults(options, bench)
  return {
    experiment: 'faults',
    title: 'Faults under load',
    about: [
      'Every daemon has writers that put one key after the other, each when the one before is in a block; the first two daemons mine. After a phase without ' +
        'a fault the victims are killed (kill -9) or stopped (SIGSTOP); after another they are started or continued. ' +
        'Writers of a daemon that is away wait for it.',
      'A write is lost when a daemon had accepted it and it is not on every daemon at the end. One lost write fails the experiment.',
    ],
    settings: { daemons: options.nodes, 'each phase': `${options.phaseSeconds} s` },
    tables: [tableOf(results)],
    plots: [plotOf(results)],
  }
}

function tableOf(results: readonly FaultResult[]): Table {
  return {
    name: 'faults',
    title: 'Confirmed writes a second before, during and after the fault',
    columns: [
      { name: 'fault' },
      { name: 'victims' },
      ...['before', 'during', 'after', 'recovery s'].map((name) => ({ name, digits: 1 })),
      { name: 'accepted' },
      { name: 'lost' },
    ],
    rows: results.map(({ name, victims, before, during, after, recoveryMs, accepted, lost }) => [
      ...[name, victims.length, before, during, after, recoveryMs / 1000, accepted, lost],
    ]),
  }
}

function plotOf(results: readonly FaultResult[]): Plot {
  const phases = ['before', 'during', 'after'] as const
  return bars(
    'faults',
    'Confirmed writes a second',
    results.map(({ name }) => name),
    { name: 'writes a second' },
    phases.map((phase) => ({ name: phase, values: results.map((result) => result[phase]) })),
  )
}
