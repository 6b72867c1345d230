/** Addresses of peers, as multiaddrs: reading them, and their parts. Pure. */
import { peerIdFromString } from '@libp2p/peer-id'
import { isLoopback } from '@libp2p/utils'
import { CODE_P2P, type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { NetError } from '../runtime/errors.js'

/** Reads an address of the form (ip4 | ip6 | dns*)/tcp[/p2p]. NetError 'net-address' otherwise. */
export function parseAddress(text: string): Multiaddr {
  try {
    const address = multiaddr(text)
    const [host, transport, peer, ...rest] = address.getComponents()
    const hostFits = host !== undefined && ['ip4', 'ip6', 'dns', 'dns4', 'dns6'].includes(host.name)
    const peerFits = peer === undefined || (peer.code === CODE_P2P && peerIdFromString(peer.value ?? '') !== undefined)
    if (hostFits && transport?.name === 'tcp' && peerFits && rest.length === 0) return address
  } catch (error) {
    throw badAddress(text, error)
  }
  throw badAddress(text)
}

/** The error for an address that is none. */
export function badAddress(text: string, cause?: unknown): NetError {
  return new NetError(
    'net-address',
    `${text} is not a usable address; it should look like /ip4/192.0.2.1/tcp/9000 or /dns4/example.org/tcp/9000`,
    { address: text },
    cause,
  )
}

/** The peer id at the end of an address, if it has one. */
export function peerIdOf(address: Multiaddr): string | undefined {
  return address.getComponents().findLast((component) => component.code === CODE_P2P)?.value
}

/** The address without the peer id. */
export function withoutPeerId(address: Multiaddr): Multiaddr {
  return address.decapsulateCode(CODE_P2P)
}

/** The IP address or name in an address. */
export function hostOf(address: Multiaddr): string | undefined {
  return address.getComponents()[0]?.value
}

/** Whether an address means this machine, whoever reads it. */
export function isLocal(address: Multiaddr): boolean {
  return isLoopback(address) || hostOf(address) === 'localhost'
}

/** Whether an address is one that can be dialled: no wildcard, a port, nothing behind it. */
export function isDialable(address: Multiaddr): boolean {
  const [host, transport, ...rest] = withoutPeerId(address).getComponents()
  const wildcard = host?.value === '0.0.0.0' || host?.value === '::'
  return transport?.name === 'tcp' && transport.value !== '0' && rest.length === 0 && !wildcard
}
