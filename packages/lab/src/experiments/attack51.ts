/** The 51 % attack, from its options to its report. */

import { mean, rosenfeld } from '../difficulty/stats.js'
import type { Column, Table } from '../difficulty/table.js'
import { marked, type Plot } from '../plots.js'
import { type AttackOptions, type AttackResult, runAttack51 } from './attack51Run.js'
import type { Bench, Report } from './report.js'

/** Runs every trial. Throws LabError `lab-timeout` when the daemons do not come to an end. */
export async function attack51(options: AttackOptions, bench: Bench): Promise<Report> {
  const results = await runAttack51(options, bench)
  const { shares, trials, confirmations, patienceSeconds, blockSeconds } = options
  return attackReport(results, confirmations, {
    shares: shares.join(', '),
    'trials of each': trials,
    confirmations,
    'patience after that': `${patienceSeconds} s`,
    'a block of one thread': `${blockSeconds} s`,
  })
}

const ABOUT = [
  'The owner of a key sells it: he writes version 1 and version 2 on the public chain. From the same block on he mines a branch in secret, alone, where ' +
    'both versions say otherwise. When the buyer has his confirmations and the secret branch is the longer one, or the attacker has run out of patience, he connects ' +
    'to the honest network. Honest are two daemons, one of which mines; a client of each watches the key.',
  'Shares are made by stopping and continuing the slower miner ten times a second. share of blocks and share of hashes say what came of it. The second is of the last ten ' +
    'seconds, by what the daemons say. A release takes no time on a real network; here daemons start again for it, so the race ends with it: the honest miner is killed, and comes back when the other daemon has decided.',
  'Expected is Rosenfeld’s probability (2014) for the wanted share and an attacker who goes on for ever and wins a tie: with little patience and few ' +
    'trials the measured share of successes lies about it, or below.',
]

/** @param confirmations how many the buyer waited for. */
export function attackReport(
  results: readonly AttackResult[],
  confirmations: number,
  settings: Report['settings'],
): Report {
  const groups = [...new Set(results.map(({ share }) => share))].map((share) => ({
    share,
    expected: share < 0.5 ? rosenfeld(share, confirmations) : 1,
    trials: results.filter((result) => result.share === share),
  }))
  return {
    experiment: 'attack51',
    title: '51 % attack: an older version of a key is rewritten',
    about: ABOUT,
    settings,
    tables: [summaryTable(groups), trialTable(results)],
    plots: [plotOf(groups)],
  }
}

interface Group {
  readonly share: number
  readonly expected: number
  readonly trials: readonly AttackResult[]
}

function successes({ trials }: Group): number {
  return trials.filter(({ succeeded }) => succeeded).length
}

function shareOfBlocks({ honestBlocks, attackerBlocks }: AttackResult): number {
  return attackerBlocks / (attackerBlocks + honestBlocks)
}

function summaryTable(groups: readonly Group[]): Table {
  return {
    name: 'attack51',
    title: 'Successes',
    columns: [
      { name: 'share', digits: 2 },
      { name: 'share of blocks', digits: 2 },
      { name: 'share of hashes', digits: 2 },
      { name: 'trials' },
      { name: 'succeeded' },
      { name: 'expected %', digits: 1 },
    ],
    rows: groups.map((group) => [
      group.share,
      mean(group.trials.map(shareOfBlocks)),
      mean(group.trials.map(({ hashShare }) => hashShare)),
      group.trials.length,
      successes(group),
      100 * group.expected,
    ]),
  }
}

const TRIAL_COLUMNS: readonly Column[] = [
  { name: 'share', digits: 2 },
  { name: 'trial' },
  { name: 'honest blocks' },
  { name: 'attacker’s' },
  { name: 'result' },
  { name: 'depth' },
  { name: 'alarm' },
  { name: 'after ms' },
  { name: 'client of the other daemon saw' },
  { name: 'client of the miner saw' },
]

function trialTable(results: readonly AttackResult[]): Table {
  return {
    name: 'attack51-trials',
    title: 'Trials',
    columns: TRIAL_COLUMNS,
    rows: results.map(({ share, trial, honestBlocks, attackerBlocks, succeeded, reorg, alarmMs, ...saw }) => [
      ...[share, trial, honestBlocks, attackerBlocks],
      ...[succeeded ? 'rewritten' : 'failed', reorg?.depth ?? 0],
      ...[reorg === undefined ? '-' : reorg.alarm ? 'rang' : 'silent', alarmMs, saw.otherSaw, saw.minerSaw],
    ]),
  }
}

function plotOf(groups: readonly Group[]): Plot {
  return marked(
    'attack51',
    'Attacks that succeeded, against the attacker’s share',
    { name: 'share of the hash power', min: 0, max: 1 },
    { name: '%', min: 0, max: 100 },
    [
      {
        name: 'measured',
        points: groups.map((group) => [group.share, (100 * successes(group)) / group.trials.length]),
      },
      { name: 'expected (Rosenfeld)', points: groups.map(({ share, expected }) => [share, 100 * expected]) },
    ],
  )
}
