/** Finds and reads network files: the built-in ones of configs/ by name, any other by path. What they mean is core's. */
import { readFile, realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Network, NetworkError, parseNetwork } from '@kvchain/core/params'
import { OptionsError } from './runtime/errors.js'

export const BUILT_IN_NETWORKS = ['dev', 'lan', 'public'] as const

async function fileOf(nameOrFile: string): Promise<string> {
  const isBuiltIn = BUILT_IN_NETWORKS.some((name) => name === nameOrFile)
  if (!isBuiltIn) return nameOrFile
  // A workspace is linked into node_modules, and the loader may have come by the link.
  const here = dirname(await realpath(fileURLToPath(import.meta.url)))
  return resolve(here, '../../../configs', `${nameOrFile}.json`)
}

/** Throws OptionsError, in one sentence, when there is no such network or its file cannot be used. */
export async function readNetwork(nameOrFile: string): Promise<Network> {
  let text: string
  try {
    text = await readFile(await fileOf(nameOrFile), 'utf8')
  } catch (error) {
    const known = BUILT_IN_NETWORKS.join(', ')
    throw new OptionsError(`no network ${nameOrFile}: it is none of ${known}, and no file that can be read`, error)
  }
  try {
    return parseNetwork(JSON.parse(text))
  } catch (error) {
    if (error instanceof NetworkError) throw new OptionsError(`network file ${nameOrFile}: ${error.message}`, error)
    if (error instanceof SyntaxError) throw new OptionsError(`network file ${nameOrFile}: not JSON`, error)
    throw error
  }
}
