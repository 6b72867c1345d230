/** The faults experiment, from its options to its report. */
import type { Table } from '../difficulty/table.js'
import { bars, type Plot } from '../plots.js'
import type { HostileResult } from './faultsByzantine.js'
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
      'Byzantine: a hostile program takes the place of each victim, which is killed. It is connected with every daemon that is left, and misbehaves in all of the ways of the second table at ' +
        'once, each under a peer id of its own. When it is gone, the victims are started again. banned is how many of these peers a daemon banned, connected how many were not even hung up on.',
      'A write is lost when a daemon had accepted it and it is not on every daemon at the end. One lost write fails the experiment.',
    ],
    settings: { daemons: options.nodes, 'each phase': `${options.phaseSeconds} s`, faults: options.kinds.join(', ') },
    tables: [tableOf(results), ...hostileTables(results)],
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
      { name: 'banned' },
    ],
    rows: results.map(({ name, victims, before, during, after, recoveryMs, accepted, lost, hostile }) => [
      ...[name, victims.length, before, during, after, recoveryMs / 1000, accepted, lost, bannedOf(hostile)],
    ]),
  }
}

function bannedOf(hostile: readonly HostileResult[]): string {
  const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0)
  if (hostile.length === 0) return '-'
  return `${sum(hostile.map(({ banned }) => banned))} of ${sum(hostile.map(({ peers }) => peers))}`
}

/** None where no fault was byzantine. */
function hostileTables(results: readonly FaultResult[]): Table[] {
  const rows = results.flatMap(({ name, hostile }) =>
    hostile.map(({ behaviour, peers, sent, connected, banned, reasons }) => [
      ...[name, behaviour, peers, sent, connected, banned, reasons.join(', ') || '-'],
    ]),
  )
  if (rows.length === 0) return []
  const columns = ['fault', 'behaviour', 'peers', 'sent', 'connected', 'banned', 'for'].map((name) => ({ name }))
  return [{ name: 'faults-hostile', title: 'What the hostile peers did, and who was banned', columns, rows }]
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
