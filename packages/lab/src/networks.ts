/** Networks of an experiment's own. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BUILT_IN_NETWORKS } from '@kvchain/node/networkFile'
import { hex } from '@kvchain/node/runtime/hex'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { LabError } from './errors.js'

/**
 * Writes a network file into `folder` that is the built-in network, or the file, `base` in everything but its name: daemons on it meet by mDNS
 * and yet never meet those of anybody else on the same LAN. Returns the file's path.
 */
export async function writePrivateNetwork(base: string, folder: string): Promise<string> {
  const isBuiltIn = BUILT_IN_NETWORKS.some((name) => name === base)
  const source = isBuiltIn ? new URL(`../../../configs/${base}.json`, import.meta.url) : base
  const json: unknown = JSON.parse(await readFile(source, 'utf8'))
  if (typeof json !== 'object' || json === null || !('name' in json) || typeof json.name !== 'string') {
    throw new LabError('lab-options', `${base} is no network file`)
  }
  const name = `${json.name.slice(0, 20)}-${hex(systemRuntime().random.bytes(4))}`
  const file = join(folder, `${name}.json`)
  await writeFile(file, JSON.stringify({ ...json, name, $schema: undefined }, null, 2))
  return file
}
