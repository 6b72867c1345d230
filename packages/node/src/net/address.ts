/** Addresses of peers, as multiaddrs: reading them, and their parts. Pure. */
import { peerIdFromString } from '@libp2p/peer-id'
import { isLoopback } from '@libp2p/utils'
import { CODE_P2P, CODE_P2P_CIRCUIT, type Component, type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { NetError } from '../runtime/errors.js'

/**
 * Reads an address of the form (ip4 | ip6 | dns*)/tcp[/p2p], or one behind a relay: such an address of the relay with its peer id, then
 * /p2p-circuit[/p2p]. NetError 'net-address' otherwise.
 */
export function parseAddress(text: string): Multiaddr {
  try {
    const address = multiaddr(text)
    const [host, transport, peer, circuit, behind, ...rest] = address.getComponents()
    const hostFits = host !== undefined && ['ip4', 'ip6', 'dns', 'dns4', 'dns6'].includes(host.name)
    const peersFit = [peer, behind].every((named) => named === undefined || isPeer(named))
    const circuitFits = circuit === undefined || circuit.code === CODE_P2P_CIRCUIT
    if (hostFits && transport?.name === 'tcp' && peersFit && circuitFits && rest.length === 0) return address
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

function isPeer(component: Component): boolean {
  return component.code === CODE_P2P && peerIdFromString(component.value ?? '') !== undefined
}

/** The peer id at the end of an address, if it has one. A relay's, in the middle, is not meant. */
export function peerIdOf(address: Multiaddr): string | undefined {
  const last = address.getComponents().at(-1)
  return last?.code === CODE_P2P ? last.value : undefined
}

/** The address without the peer id at its end. */
export function withoutPeerId(address: Multiaddr): Multiaddr {
  return peerIdOf(address) === undefined ? address : address.decapsulateCode(CODE_P2P)
}

/** The peer id of the relay that an address leads through; undefined for a direct one. */
export function relayOf(address: Multiaddr): string | undefined {
  const components = address.getComponents()
  return components[components.findIndex(({ code }) => code === CODE_P2P_CIRCUIT) - 1]?.value
}

/** The IP address or name in an address; of one behind a relay, the relay's, which is all that can be known. */
export function hostOf(address: Multiaddr): string | undefined {
  return address.getComponents()[0]?.value
}

/** Whether an address means this machine, whoever reads it. */
export function isLocal(address: Multiaddr): boolean {
  return isLoopback(address) || hostOf(address) === 'localhost'
}

/** Whether an address, or the relay's in it, is one that can be dialled: no wildcard, a port. */
export function isDialable(address: Multiaddr): boolean {
  const [host, transport, ...rest] = withoutPeerId(address).getComponents()
  const wildcard = host?.value === '0.0.0.0' || host?.value === '::'
  const complete = rest.length === 0 || relayOf(address) !== undefined
  return transport?.name === 'tcp' && transport.value !== '0' && complete && !wildcard
}

/** An address that this node tells others as its own: it can be dialled, leads through no relay, and names nobody else. NetError 'net-address'. */
export function parseAnnounced(text: string, ownId: string): Multiaddr {
  const address = parseAddress(text)
  const named = peerIdOf(address)
  const isOwn = named === undefined || named === ownId
  if (isOwn && isDialable(address) && relayOf(address) === undefined) return withoutPeerId(address)
  throw new NetError(
    'net-address',
    `${text} cannot be told others as an address of this node; it should look like /ip4/192.0.2.1/tcp/9000`,
    { address: text },
  )
}

/** The address of a relay, which has its peer id. NetError 'net-address' otherwise. */
export function parseRelay(text: string): Multiaddr {
  const address = parseAddress(text)
  if (peerIdOf(address) !== undefined && isDialable(address) && relayOf(address) === undefined) return address
  throw new NetError(
    'net-address',
    `${text} names no relay; it should look like /ip4/192.0.2.1/tcp/9000/p2p/12D3KooW...`,
    { address: text },
  )
}
