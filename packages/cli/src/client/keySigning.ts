/**
 * Signing with a key of the keystore. Owns that nothing is signed for a network which only calls itself a built-in one. A key is unlocked once
 * in a process: a shell asks for its password once.
 */
import type { KvClient } from '@kvchain/client/kvClient'
import { type Signer, seedSigner, sha256 } from '@kvchain/client/signer'
import { type KnownNetwork, readSigningNetwork, SigningClient } from '@kvchain/client/signingClient'
import { toAddress } from '@kvchain/core/address'
import { toHex } from '@kvchain/core/bytes'
import { makeGenesis } from '@kvchain/core/genesis'
import { BUILT_IN_NETWORKS, readNetwork } from '@kvchain/node/networkFile'
import { unhex } from '@kvchain/node/runtime/hex'
import { CliError, usageError } from '../exits.js'
import { unlock } from './keyActions.js'
import type { KeyNameOption, SigningOptions, Writer } from './keyOptions.js'
import { Keystore, keysFolder } from './keystore.js'

/** Asks for the password when the key is new to this process. */
export async function signingWriter(client: KvClient, key: string, options: SigningOptions): Promise<Writer> {
  const network = await readSigningNetwork(client, await builtInNetworks())
  requireGenesis(network, options)
  const writer = new SigningClient(client, await signerOf(key, options), network)
  return { call: (method, params) => writer.call(method, params), address: async () => writer.address }
}

/** The address of a key on the daemon's network. No password is needed. */
export async function keyAddress(client: KvClient, key: string, options: KeyNameOption): Promise<string> {
  const { publicKey } = await new Keystore(keysFolder(options)).read(key)
  const { addressPrefix } = await readSigningNetwork(client, await builtInNetworks())
  return toAddress(unhex(publicKey), addressPrefix)
}

function requireGenesis(network: KnownNetwork, { genesis }: SigningOptions): void {
  if (genesis === undefined) return
  if (!/^[0-9a-f]{64}$/.test(genesis)) throw usageError('--genesis takes 64 lower-case hex digits')
  if (genesis === toHex(network.genesis)) return
  throw new CliError(
    'failed',
    `the daemon’s network has another genesis, ${toHex(network.genesis)}: nothing was signed`,
  )
}

/** By the path of their files. As many as the user names. */
const unlocked = new Map<string, Signer>()

async function signerOf(name: string, options: SigningOptions): Promise<Signer> {
  const store = new Keystore(keysFolder(options))
  const path = store.pathOf(name)
  const known = unlocked.get(path)
  if (known !== undefined) return known
  const file = await store.read(name)
  const signer = seedSigner(await unlock(name, file, options))
  unlocked.set(path, signer)
  return signer
}

/** Their genesis is computed here: a daemon that says otherwise is not believed. */
async function builtInNetworks(): Promise<KnownNetwork[]> {
  const networks = await Promise.all(BUILT_IN_NETWORKS.map((name) => readNetwork(name)))
  return networks.map((network) => {
    const { addressPrefix, minFeePerByte } = network.params
    return { name: network.name, genesis: makeGenesis(sha256, network).hash, addressPrefix, minFeePerByte }
  })
}
