/**
 * Which addresses belong together. Two questions, two answers: whom a ban of an address means (one IPv4 address, an IPv6 /48, which is what one
 * customer has), and how far apart two peers are (an IPv4 /16, an IPv6 /32, which is about one provider). Loopback and private addresses
 * are of no group: a whole LAN, or a machine with a dozen nodes, would stand and fall with one of its members. Pure.
 */
import { BlockList, isIP } from 'node:net'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { OptionsError } from '../../runtime/errors.js'

const LOCAL_RANGES = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  // Shared by the customers of a provider.
  '100.64.0.0/10',
  '::1/128',
  'fe80::/10',
  'fc00::/7',
]

/** A set of IP addresses: one, or all that begin with the same bits. */
export class AddressRange {
  private readonly list = new BlockList()

  /** @param text as it was given: an IP address, or one with the number of bits that count after a slash. Throws OptionsError. */
  constructor(readonly text: string) {
    const [address = '', bits, ...rest] = text.split('/')
    const family = isIP(address)
    const most = family === 6 ? 128 : 32
    const count = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN
    if (family === 0 || rest.length > 0 || !(count <= most)) throw noTarget(text)
    this.list.addSubnet(address, count, familyName(family))
  }

  /** `host` may be a name, which is in no range. */
  contains(host: string): boolean {
    const address = plainAddress(host)
    const family = isIP(address)
    return family !== 0 && this.list.check(address, familyName(family))
  }
}

/** Whom a ban, or a rule of the operator, is about. */
export type Target =
  | { readonly kind: 'peer'; readonly text: string }
  | { readonly kind: 'address'; readonly text: string; readonly range: AddressRange }

/** A peer id, an IP address, or a range of those such as 192.0.2.0/24. Throws OptionsError. */
export function parseTarget(text: string): Target {
  if (isIP(text.split('/')[0] ?? '') !== 0) return { kind: 'address', text, range: new AddressRange(text) }
  try {
    return { kind: 'peer', text: peerIdFromString(text).toString() }
  } catch {
    throw noTarget(text)
  }
}

/** Loopback, link-local or private: an address that means another machine elsewhere. Names are not. */
export function isPrivate(host: string): boolean {
  return LOCAL.some((range) => range.contains(host))
}

/** The range that answers for what comes from `host`: the address itself in IPv4, its /48 in IPv6. A name answers for itself. */
export function banGroup(host: string): string {
  const address = plainAddress(host)
  if (isIP(address) !== 6 || isPrivate(address)) return address
  return `${words(address).slice(0, 3).join(':')}::/48`
}

/** The provider that an address is of, as far as its first bits tell. Undefined if it is private, and so next to nobody. */
export function netGroup(host: string): string | undefined {
  const address = plainAddress(host)
  const family = isIP(address)
  if (family === 0) return host
  if (isPrivate(address)) return undefined
  if (family === 4) return `${address.split('.').slice(0, 2).join('.')}.0.0/16`
  return `${words(address).slice(0, 2).join(':')}::/32`
}

/** An IPv4 address that came in the clothes of IPv6 is the same address. */
function plainAddress(host: string): string {
  if (isIP(host) !== 6) return host
  const parts = words(host)
  if (!/^(?:0 ){5}ffff /.test(parts.join(' '))) return host
  const bytes = parts.slice(6).flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255])
  return bytes.join('.')
}

/** The eight words of an IPv6 address, as hexadecimal digits without leading zeros. */
function words(address: string): string[] {
  const bytes = multiaddr(`/ip6/${address.split('%')[0]}`).bytes.subarray(1)
  return Array.from({ length: 8 }, (_, i) => (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16))
}

function familyName(family: number): 'ipv4' | 'ipv6' {
  return family === 6 ? 'ipv6' : 'ipv4'
}

function noTarget(text: string): OptionsError {
  return new OptionsError(`${JSON.stringify(text)} is no peer id, and no address or range such as 192.0.2.0/24`)
}

const LOCAL = LOCAL_RANGES.map((text) => new AddressRange(text))
