/**
 * Accounts and their text form. An account is an Ed25519 public key; its address is bech32m with the network's prefix, so that
 * a typo, or an address of another network, is caught. Also owns the `@<address>/` namespace rule. (protocol.md section 3)
 */
import { bech32m } from '@scure/base'
import { KvError } from './errors.js'
import { PUBLIC_KEY_BYTES } from './keys.js'

export type AddressErrorCode =
  /** Not bech32m, wrong checksum, wrong length, upper or mixed case. */
  | 'address-malformed'
  /** A good address of another network. */
  | 'address-network'

/** A text that is no address of this network. */
export class AddressError extends KvError<AddressErrorCode> {}

/** The address of a public key, e.g. `kv1...`. */
export function toAddress(publicKey: Uint8Array, prefix: string): string {
  return bech32m.encode(prefix, bech32m.toWords(publicKey))
}

/** The public key of an address. Throws AddressError. */
export function fromAddress(text: string, prefix: string): Uint8Array {
  const decoded = text === text.toLowerCase() ? bech32m.decodeUnsafe(text) : undefined
  const publicKey = decoded && bech32m.fromWordsUnsafe(decoded.words)
  if (!decoded || !publicKey || publicKey.length !== PUBLIC_KEY_BYTES) {
    throw new AddressError('address-malformed', 'not an address: a character is wrong or missing')
  }
  if (decoded.prefix !== prefix) {
    throw new AddressError(
      'address-network',
      `an address of another network: ${decoded.prefix}1..., not ${prefix}1...`,
      {
        prefix: decoded.prefix,
        expected: prefix,
      },
    )
  }
  return publicKey
}

const AT = 0x40
const SLASH = 0x2f
/** The longest text that bech32 takes. Only spares the reading of more. */
const MAX_ADDRESS_BYTES = 90

/**
 * Who may be the first to write `key`: anyone (undefined), or, under `@<address>/`, that account alone. Throws AddressError when a
 * key begins with `@` and goes on otherwise, so that nothing looks like a namespace and is none.
 */
export function namespaceOwner(key: Uint8Array, prefix: string): Uint8Array | undefined {
  if (key[0] !== AT) return undefined
  const slash = key.indexOf(SLASH)
  if (slash < 1 || slash > MAX_ADDRESS_BYTES + 1) {
    throw new AddressError('address-malformed', 'a key that begins with @ must read @<address>/...')
  }
  let text = ''
  for (let i = 1; i < slash; i++) text += String.fromCharCode(key[i] ?? 0)
  return fromAddress(text, prefix)
}
