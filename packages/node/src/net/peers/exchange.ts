/** What peers tell of peers: one address to a line, with the peer id. Owns the text, its bounds, and what of it is fit to be told. Pure. */
import type { Multiaddr } from '@multiformats/multiaddr'
import { hostOf, isLocal, parseAddress, peerIdOf, relayOf, withoutPeerId } from '../address.js'
import type { PeerInfo } from '../host/peer.js'
import { isPrivate } from './groups.js'

/** Lines of one answer. */
export const MAX_EXCHANGED = 32
const MAX_EXCHANGED_PER_PEER = 2

export interface ToldPeer {
  readonly peerId: string
  /** Without the peer id. */
  readonly address: string
}

/**
 * The answer for `asker`, of these peers in this order. Addresses that mean this machine are told on this machine only, and those behind a relay with
 * a private address only where private addresses are dialled from. Nobody behind a relay is seen to be at either.
 */
export function tellPeers(
  asker: PeerInfo | undefined,
  peers: readonly PeerInfo[],
  listenAddresses: (peerId: string) => readonly string[],
): Uint8Array {
  const from = asker === undefined ? undefined : parseAddress(asker.address)
  const seen = from !== undefined && relayOf(from) === undefined ? from : undefined
  const isHere = seen !== undefined && isLocal(seen)
  const isNear = seen !== undefined && isPrivate(hostOf(seen) ?? '')
  const isFit = (address: Multiaddr): boolean =>
    (isHere || !isLocal(address)) && (isNear || relayOf(address) === undefined || !isPrivate(hostOf(address) ?? ''))
  const lines: string[] = []
  for (const { peerId } of peers) {
    if (peerId === asker?.peerId) continue
    const addresses = listenAddresses(peerId).filter((text) => isFit(parseAddress(text)))
    for (const address of addresses.slice(0, MAX_EXCHANGED_PER_PEER)) lines.push(`${address}/p2p/${peerId}`)
  }
  return new TextEncoder().encode(lines.slice(0, MAX_EXCHANGED).join('\n'))
}

/** The peers of an answer, undefined when it is none. */
export function readTold(answer: Uint8Array): ToldPeer[] | undefined {
  const lines = new TextDecoder().decode(answer).split('\n').filter(Boolean)
  if (lines.length > MAX_EXCHANGED) return undefined
  const told: ToldPeer[] = []
  try {
    for (const address of lines.map(parseAddress)) {
      const peerId = peerIdOf(address)
      if (peerId === undefined) return undefined
      told.push({ peerId, address: withoutPeerId(address).toString() })
    }
  } catch {
    return undefined
  }
  return told
}
