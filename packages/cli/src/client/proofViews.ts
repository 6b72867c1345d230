/**
 * What a proof proves, in words and for machines. Owns the sentences: what is shown, what is not, how much work stands on it and what another
 * chain in its place would take. Everything that came from the file is escaped on its way here.
 */
import { encodeText, toAnswerText } from '@kvchain/client/text'
import { toAddress } from '@kvchain/core/address'
import { toHex } from '@kvchain/core/bytes'
import { expectedSeconds, reversalProbability } from '@kvchain/core/certainty'
import type { ProofReport } from '@kvchain/core/proof'
import type { ProofRecord } from '@kvchain/core/proofFile'
import { fieldLines, printable, shortened, tableLines } from '../terminal.js'
import { plural, time } from './views.js'

/** Who says that the genesis is the right one. */
export type GenesisCheck =
  /** The user: it is the one that was named. */
  | { readonly kind: 'expected' }
  /** This program: it is that of a network it ships with. */
  | { readonly kind: 'built-in'; readonly name: string }
  /** Nobody. */
  | { readonly kind: 'none' }

/** What one thread of kvchain's own miner does on the machine that it was measured on. */
const HASHES_PER_SECOND = 15e6
const SHARES = [0.1, 0.2, 0.3] as const
const CONVENTION =
  'Rosenfeld 2014; the attacker has one block mined in secret beforehand and must come out ahead; the block itself counts as a confirmation'
const VALUE_WIDTH = 60
const KEY_WIDTH = 60

/** After a proof was made. */
export function madeProofView(report: ProofReport, size: number, output: string): string {
  const file = output === '-' ? 'FILE' : output
  const made = `${claimText(report)} at height ${report.block.height}; ${plural(report.confirmations, 'confirmation')}, ${count(report.work)} hashes; ${plural(size, 'byte')}`
  return `${printable(`${keyText(report)}: ${made}`)}\ncheck it anywhere with: kvchain-cli verify ${printable(file)}\n`
}

export function reportView(report: ProofReport, genesis: GenesisCheck, nowMs: number): string {
  const { entry, block, tip, addressPrefix } = report
  const fields = fieldLines([
    ['network', report.network],
    ['genesis', `${toHex(report.genesis)} (${genesisText(genesis)})`],
    ['key', keyText(report)],
    ['claim', claimText(report)],
    ['value', report.claim === 'present' ? valueLine(report) : undefined],
    ['digest', report.claim === 'present' ? entry && toHex(entry.valueDigest) : undefined],
    ['owner', entry && toAddress(entry.owner, addressPrefix)],
    ['written', entry && `at height ${entry.height}, by transaction ${toHex(entry.txid)}`],
    ['at height', `${block.height}, block ${toHex(block.hash)}`],
    ['newest block', `${tip.height}, ${time(tip.timestampMs)}, ${ageText(nowMs - tip.timestampMs)}`],
    ['confirmations', report.confirmations],
    ['work', `${count(report.work)} hashes`],
  ])
  const versions = report.kind === 'history' ? `\n${historyTable(report.records)}` : ''
  return `The proof holds.\n\n${fields}${versions}\n${proven(report, genesis)}\n${notProven(report)}\n${price(report)}`
}

function proven(report: ProofReport, genesis: GenesisCheck): string {
  const { block, confirmations, claim, kind, entry, chainwork } = report
  const holds = {
    present: 'holds this entry under the key: a path of hashes leads from it',
    deleted: 'holds this entry, by which the key was deleted: a path of hashes leads from it',
    absent: 'holds nothing under the key, and so never did: a path of hashes leads from its empty place',
  }[claim]
  const work = 'has the work that its target asks for'
  const lines = [
    `The state after block ${block.height} ${holds} to the state root of that block.`,
    confirmations === 1
      ? `That block ${work}.`
      : `That block and the ${plural(confirmations - 1, 'block')} above it are linked, and each ${work}.`,
  ]
  if (kind === 'history' && entry !== undefined) {
    lines.push(
      `These ${plural(entry.version, 'version')} are its whole history up to there: each names the one before it, down to the first.`,
    )
  }
  if (chainwork !== undefined) {
    lines.push(
      `Every header from genesis up to the newest block follows the rules of the network; ${count(chainwork)} hashes in all.`,
    )
  }
  const condition = genesis.kind === 'none' ? 'Proven, if that is the genesis of the network you mean:' : 'Proven:'
  return section(condition, lines)
}

function notProven({ fullChain, tip }: ProofReport): string {
  const lines = [
    ...(fullChain
      ? []
      : ['That these blocks descend from that genesis, or are of that network at all: prove it with --from-genesis.']),
    `That there is no better chain: compare block ${tip.height} with what others have. Nothing is known of what came after it.`,
    'That miners carried the transactions out rightly: they stake the work on it, and so does everyone who builds on a block.',
  ]
  return section('Not proven:', lines)
}

function price({ confirmations, work }: ProofReport): string {
  const blocks = confirmations === 1 ? 'this block' : `these ${confirmations} blocks`
  const duration = durationText(expectedSeconds(work, HASHES_PER_SECOND))
  const chances = SHARES.map((share) => `${100 * share} %: ${percent(reversalProbability(share, confirmations))}`)
  return section('To undo it:', [
    `Another chain in place of ${blocks} takes ${count(work)} hashes on average: ${duration} of one thread that does ${HASHES_PER_SECOND / 1e6} MH/s.`,
    `Chance of somebody with a part of the hash rate to undo ${plural(confirmations, 'confirmation')}: ${chances.join(', ')}. (${CONVENTION})`,
  ])
}

function section(title: string, lines: readonly string[]): string {
  return `${title}\n${lines.map((line) => `  - ${printable(line)}\n`).join('')}`
}

function historyTable(records: readonly ProofRecord[]): string {
  if (records.length === 0) return 'no version was ever made\n'
  const rows = [...records].reverse().map(({ entry, value }) => {
    const shown = entry.deleted
      ? '(deleted)'
      : value === undefined
        ? `(not in the file) ${toHex(entry.valueDigest)}`
        : valueText(value)
    return [entry.version, entry.height, toHex(entry.txid), shown]
  })
  return tableLines(['VERSION', 'HEIGHT', 'TRANSACTION', 'VALUE'], rows)
}

/** The report for machines. Big numbers are decimal texts. */
export function reportJson(report: ProofReport, genesis: GenesisCheck): object {
  const { entry, block, tip, work, chainwork, confirmations, addressPrefix, kind, records } = report
  return {
    holds: true,
    kind,
    network: report.network,
    genesis: toHex(report.genesis),
    genesisIs:
      genesis.kind === 'built-in' ? `built-in ${genesis.name}` : genesis.kind === 'expected' ? 'expected' : 'unchecked',
    ...keyJson(report.key),
    claim: report.claim,
    ...(entry === undefined ? {} : recordJson({ entry, value: report.value }, addressPrefix)),
    height: block.height,
    blockHash: toHex(block.hash),
    tip: { height: tip.height, hash: toHex(tip.hash), timestampMs: tip.timestampMs },
    confirmations,
    work: work.toString(),
    fullChain: report.fullChain,
    ...(chainwork === undefined ? {} : { chainwork: chainwork.toString() }),
    secondsToRedo: expectedSeconds(work, HASHES_PER_SECOND),
    hashesPerSecond: HASHES_PER_SECOND,
    reversal: SHARES.map((share) => ({ share, probability: reversalProbability(share, confirmations) })),
    convention: CONVENTION,
    ...(kind === 'history' ? { versions: records.map((record) => recordJson(record, addressPrefix)) } : {}),
  }
}

function recordJson({ entry, value }: ProofRecord, prefix: string): object {
  const text = value === undefined ? undefined : toAnswerText(value)
  return {
    version: entry.version,
    deleted: entry.deleted,
    ...(text === undefined ? {} : { value: text.text, encoding: text.encoding }),
    valueLength: entry.valueLength,
    valueDigest: toHex(entry.valueDigest),
    owner: toAddress(entry.owner, prefix),
    writers:
      entry.access.kind === 'writers'
        ? entry.access.writers.map((account) => toAddress(account, prefix))
        : entry.access.kind,
    writtenAt: entry.height,
    txid: toHex(entry.txid),
    previous: toHex(entry.previous),
  }
}

function keyJson(key: Uint8Array): { key: string; keyEncoding: string } {
  const text = encodeText(key, 'utf8')
  return text === undefined ? { key: toHex(key), keyEncoding: 'hex' } : { key: text, keyEncoding: 'utf8' }
}

// --- words -----------------------------------------------------------------------------------------------------------

function genesisText(genesis: GenesisCheck): string {
  switch (genesis.kind) {
    case 'expected':
      return 'the one you named'
    case 'built-in':
      return `that of the built-in network ${genesis.name}`
    case 'none':
      return 'compare it: no built-in network has it, and you named none'
  }
}

function claimText({ claim, entry }: ProofReport): string {
  return entry === undefined ? claim : `${claim}, version ${entry.version}`
}

function keyText({ key }: ProofReport): string {
  const { key: text, keyEncoding } = keyJson(key)
  return shortened(keyEncoding === 'utf8' ? text : `${keyEncoding}:${text}`, KEY_WIDTH)
}

function valueLine({ value, entry }: ProofReport): string {
  const bytes = plural(entry?.valueLength ?? 0, 'byte')
  return value === undefined ? `not in the file (${bytes})` : `${valueText(value)} (${bytes})`
}

function valueText(value: Uint8Array): string {
  const { text, encoding } = toAnswerText(value)
  return shortened(encoding === 'utf8' ? text : `${encoding}:${text}`, VALUE_WIDTH)
}

function ageText(ageMs: number): string {
  return ageMs < 0 ? `${durationText(-ageMs / 1000)} ahead of this clock` : `${durationText(ageMs / 1000)} old`
}

/** With commas, for there may be many digits. */
function count(value: bigint): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ',')
}

const YEAR_SECONDS = 31_557_600
const SPANS = [
  ['years', YEAR_SECONDS],
  ['days', 86_400],
  ['hours', 3_600],
  ['minutes', 60],
  ['seconds', 1],
  ['ms', 0.001],
] as const

function durationText(span: number): string {
  const [name, size] = SPANS.find(([, size]) => span >= size) ?? (['ms', 0.001] as const)
  const value = span / size
  return `${value >= 1e6 ? value.toExponential(1) : value >= 10 ? value.toFixed(0) : value.toFixed(1)} ${name}`
}

function percent(probability: number): string {
  const value = 100 * probability
  if (value >= 10) return `${value.toFixed(0)} %`
  if (value < 1e-9) return value === 0 ? '0 %' : `${value.toExponential(0)} %`
  return `${Number(value.toPrecision(2))} %`
}
