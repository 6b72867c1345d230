/** Why a host cannot dial or listen: what it is asked to dial, and the library's errors as typed ones of ours. Pure. */
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { NetError } from '../../runtime/errors.js'
import { badAddress, parseAddress, peerIdOf, withoutPeerId } from '../address.js'
import type { PeerAddresses } from './peer.js'

/** Why a dial failed; `data.reason` of the NetError 'net-unreachable'. */
export type DialFailure = 'self' | 'network' | 'refused' | 'timeout' | 'failed'

export interface DialTarget {
  readonly addresses: Multiaddr[]
  /** Unknown where an address alone is dialled. */
  readonly peerId: string | undefined
  /** How errors name it. */
  readonly text: string
}

/** What there is to dial. NetError 'net-address' if that is nothing. */
export function dialTarget(target: string | PeerAddresses): DialTarget {
  if (typeof target === 'string') {
    const address = parseAddress(target)
    return { addresses: [address], peerId: peerIdOf(address), text: target }
  }
  if (target.addresses.length === 0) throw badAddress(`a peer without an address (${target.peerId})`)
  const addresses = target.addresses.map((text) =>
    parseAddress(`${withoutPeerId(parseAddress(text))}/p2p/${target.peerId}`),
  )
  return { addresses, peerId: target.peerId, text: addresses.map(String)[0] ?? target.peerId }
}

export function unreachable(address: string, reason: DialFailure, cause?: unknown): NetError {
  const why: Record<DialFailure, string> = {
    self: 'it is this node itself',
    network: 'it belongs to another network',
    refused: 'the peer is banned here',
    timeout: 'no answer in time',
    failed: 'the connection failed',
  }
  return new NetError('net-unreachable', `cannot connect to ${address}: ${why[reason]}`, { address, reason }, cause)
}

/** What an error of the library's says of a dial. */
export function dialFailure(error: unknown): DialFailure {
  if (!(error instanceof Error)) return 'failed'
  if (error.name === 'DialDeniedError' || error.name === 'ConnectionInterceptedError') return 'refused'
  // Raised only for the node's own id: before the dial if the address names it, after the handshake if it does not.
  if (error.name === 'InvalidPeerIdError') return 'self'
  return 'failed'
}

/**
 * What kept a host from listening on `listen`; an error of another kind as it is. The library folds the causes into one text and keeps
 * no code, so the system's code is looked for in it.
 */
export function listenError(error: unknown, listen: readonly string[]): unknown {
  if (!(error instanceof Error) || error.name !== 'UnsupportedListenAddressesError') return error
  const wanted = listen.map((address) => multiaddr(address).toString())
  const address = wanted.find((text) => error.message.includes(`\n  ${text}: `)) ?? wanted.join(', ')
  const report = error.message.split(`\n  ${address}: `)[1] ?? error.message
  const code = /\bE[A-Z]{3,}\b/.exec(report)?.[0] ?? 'unknown'
  const why =
    { EADDRINUSE: 'another program uses that port', EACCES: 'this user may not use that port' }[code] ??
    (code === 'EADDRNOTAVAIL' ? 'this machine has no such address' : `the system says ${code}`)
  return new NetError('net-listen', `cannot listen on ${address}: ${why}`, { address, systemCode: code }, error)
}
