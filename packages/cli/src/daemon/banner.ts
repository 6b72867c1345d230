/** What the daemon says on standard output once it is ready: how it is, and what to type next. Its last line is for scripts. */
import { realpathSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { NodeOptions, NodeSummary } from '@kvchain/node/node'
import { fieldLines } from '../terminal.js'

export interface BannerFacts {
  readonly version: string
  readonly summary: NodeSummary
  readonly options: NodeOptions
  /** What --network was given. */
  readonly network: string
  /** What kvchain-cli needs to find this daemon, if it is not in the usual place. */
  readonly clientFlags: string
  /** The script that runs, to say how its sibling is called. */
  readonly script: string
  readonly cwd: string
}

export const READY_LINE = 'kvchain: ready'

export function banner(facts: BannerFacts): string {
  const { summary, options } = facts
  const threads = options.minerThreads === 1 ? '1 thread' : `${options.minerThreads} threads`
  const fields = fieldLines([
    ['network', `${summary.network} (genesis ${summary.genesis.slice(0, 16)}…)`],
    ['tip', `height ${summary.tip.height} (${summary.tip.hash.slice(0, 16)}…)`],
    ['data', options.dataDir],
    ['socket', options.rpcSocket],
    ...(summary.http === undefined
      ? []
      : [['http', `${summary.http.url} (token in ${summary.http.tokenFile})`] as const]),
    ['account', summary.account],
    ...summary.addresses.map((address, index) => [index === 0 ? 'listening' : '', address] as const),
    ['mining', options.mine === 'off' ? 'off (--mine turns it on)' : `${MINING[options.mine]}, ${threads}`],
  ])
  const client = `${commandName('kvchain-cli', facts)}${facts.clientFlags}`
  return `kvchain ${facts.version}
${indent(fields)}
Next, in another terminal:
  ${client} put hello world --wait
  ${client} get hello
${joinHint(facts)}
${READY_LINE}
`
}

const MINING = {
  always: 'always',
  pending: 'while something is pending or unsettled',
} as const

/** How another machine joins: by itself where mDNS reaches, else by an address of ours that it can reach. */
function joinHint(facts: BannerFacts): string {
  const { summary, options } = facts
  const daemon = `${commandName('kvchain', facts)} daemon --network ${facts.network}`
  const reachable = summary.addresses.find((address) => !/^\/ip[46]\/(?:127\.|::1\/)/.test(address))
  if (reachable === undefined) {
    return 'Another machine cannot join: this daemon listens on this one only (--listen /ip4/0.0.0.0/tcp/PORT changes that).'
  }
  const alone = options.mdns ? 'On another machine (on the same LAN it needs no --bootstrap):' : 'On another machine:'
  return `${alone}\n  ${daemon} --bootstrap ${reachable}`
}

/** As a person would type it here: by name when installed, else by the path of the launcher beside the one that runs. */
function commandName(name: string, { script, cwd }: BannerFacts): string {
  try {
    if (realpathSync(script) !== script) return name
  } catch {
    return name
  }
  const path = relative(cwd, join(dirname(script), name))
  return path.includes('/') ? path : `./${path}`
}

function indent(lines: string): string {
  return lines.replace(/^(?=.)/gm, '  ')
}
