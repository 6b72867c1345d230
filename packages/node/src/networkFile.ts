/** Finds and reads network files: the built-in ones of configs/ by name, any other by path. What they mean is core's. */
import { readFile } from 'node:fs/promises'
import { type Network, NetworkError, parseNetwork } from '@kvchain/core/params'
import { OptionsError } from './runtime/errors.js'

export const BUILT_IN_NETWORKS = ['dev', 'lan', 'public'] as const

function fileOf(nameOrFile: string): string | URL {
  const isBuiltIn = BUILT_IN_NETWORKS.some((name) => name === nameOrFile)
  return isBuiltIn ? new URL(`../../../configs/${nameOrFile}.json`, import.meta.url) : nameOrFile
}

/** Throws OptionsError, in one sentence, when there is no such network or its file cannot be used. */
export async function readNetwork(nameOrFile: string): Promise<Network> {
  let text: string
  try {
    text = await readFile(fileOf(nameOrFile), 'utf8')
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
