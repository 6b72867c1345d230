/** The addresses of a key: one for each network, for each writes them with a prefix of its own. */
import { toAddress } from '@kvchain/core/address'
import { BUILT_IN_NETWORKS, readNetwork } from '@kvchain/node/networkFile'
import { usageError } from '../exits.js'

export interface AddressOptions {
  /** The name of a built-in network, or a network file. */
  readonly network?: string
  readonly prefix?: string
}

/** Network names (or what the user gave instead) and the prefixes of their addresses: those chosen, else all that are built in. */
export async function addressPrefixes({ network, prefix }: AddressOptions): Promise<readonly [string, string][]> {
  if (network !== undefined && prefix !== undefined) throw usageError('of --network and --prefix, give one')
  if (prefix !== undefined) {
    if (!/^[a-z]{1,16}$/.test(prefix)) throw usageError('--prefix has 1 to 16 small letters')
    return [[prefix, prefix]]
  }
  const names = network === undefined ? BUILT_IN_NETWORKS : [network]
  return Promise.all(
    names.map(async (name): Promise<[string, string]> => {
      const { name: own, params } = await readNetwork(name)
      return [own, params.addressPrefix]
    }),
  )
}

/** By network, the address of a public key. */
export function addressesOf(publicKey: Uint8Array, prefixes: readonly [string, string][]): Record<string, string> {
  return Object.fromEntries(prefixes.map(([name, prefix]) => [name, toAddress(publicKey, prefix)]))
}
