/** A network for measuring everything but the search: any hash is good enough, nothing costs a fee. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Network, parseNetwork } from '@kvchain/core/params'
import { BenchError } from '../errors.js'

const EASIEST = 'f'.repeat(64)

export interface EasyNetwork {
  readonly file: string
  readonly network: Network
}

/** Writes its file into a folder: the network `lan` with another name and targets, and limits wide enough for `transactions` a block. */
export async function writeEasyNetwork(folder: string, name: string): Promise<EasyNetwork> {
  const base: unknown = JSON.parse(await readFile(new URL('../../../configs/lan.json', import.meta.url), 'utf8'))
  const { consensus, policy } = parseObject(base)
  const json = {
    name,
    consensus: { ...consensus, targetRule: 'fixed', initialTarget: EASIEST, easiestTarget: EASIEST },
    policy: { ...policy, bootstrap: [] },
  }
  const file = join(folder, 'network.json')
  await writeFile(file, JSON.stringify(json, null, 2))
  return { file, network: parseNetwork(json) }
}

function parseObject(json: unknown): { consensus: object; policy: object } {
  const isNetwork =
    typeof json === 'object' &&
    json !== null &&
    'consensus' in json &&
    'policy' in json &&
    typeof json.consensus === 'object' &&
    typeof json.policy === 'object' &&
    json.consensus !== null &&
    json.policy !== null
  if (!isNetwork) throw new BenchError('bench-failed', 'configs/lan.json is no network file')
  return { consensus: json.consensus ?? {}, policy: json.policy ?? {} }
}
