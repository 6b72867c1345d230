/** Whom the operator lets in: lists of peer ids and of address ranges. Deny wins; with anybody on the allow list, nobody else is let in. Pure. */
import { parseTarget, type Target } from './groups.js'

export class Access {
  private readonly allow: readonly Target[]
  private readonly deny: readonly Target[]

  /** Peer ids, IP addresses, or ranges such as 192.0.2.0/24. Throws OptionsError. */
  constructor(lists: { readonly allow: readonly string[]; readonly deny: readonly string[] }) {
    this.allow = lists.allow.map(parseTarget)
    this.deny = lists.deny.map(parseTarget)
  }

  /** Whether somebody at this address may be let in, as long as nobody knows who it is. */
  admitsHost(host: string): boolean {
    if (this.deny.some((target) => matches(target, undefined, host))) return false
    return this.allow.length === 0 || this.allow.some((target) => target.kind === 'peer' || target.range.contains(host))
  }

  /** `host` is unknown before a dial. */
  admitsPeer(peerId: string, host: string | undefined): boolean {
    if (this.deny.some((target) => matches(target, peerId, host))) return false
    if (this.allow.length === 0 || this.allow.some((target) => matches(target, peerId, host))) return true
    return host === undefined && this.allow.some(({ kind }) => kind === 'address')
  }
}

function matches(target: Target, peerId: string | undefined, host: string | undefined): boolean {
  if (target.kind === 'peer') return target.text === peerId
  return host !== undefined && target.range.contains(host)
}
