/**
 * The built-in networks are what they were: their genesis hashes, and so every consensus parameter, are pinned here; a change of one makes
 * another network, and must be meant. And the JSON schema beside them is the one that files are checked against.
 */
import { readFileSync } from 'node:fs'
import { makeGenesis } from '@kvchain/core/genesis'
import { NetworkSchema } from '@kvchain/core/params'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { BUILT_IN_NETWORKS, readNetwork } from '@kvchain/node/networkFile'
import { hex } from '@kvchain/node/runtime/hex'
import { expect, test } from 'vitest'

const GENESIS: Readonly<Record<(typeof BUILT_IN_NETWORKS)[number], string>> = {
  dev: '458caf27d292f9b9f3fbaa8ef86fde39815880279ecde5210ca7ce7f81fbb44d',
  lan: 'e751bec812e086ced5cea96f7d0d4e2b8f7a24c5b5345c8d8d1aaf359ab386a8',
  public: '96d40663239771af14daa4d8bbc6aa50a078962a63f353081c0accc7af19d4dd',
}

test.each(BUILT_IN_NETWORKS)('%s is pinned', async (name) => {
  const network = await readNetwork(name)
  expect(network.name).toBe(name)
  expect(hex(makeGenesis(sha256, network).hash)).toBe(GENESIS[name])
})

test('the schema in configs/ is the one in the code', () => {
  const file = new URL('../../../../configs/network.schema.json', import.meta.url)
  const { $schema, ...schema } = JSON.parse(readFileSync(file, 'utf8'))
  expect($schema).toContain('json-schema.org')
  expect(schema).toEqual(JSON.parse(JSON.stringify(NetworkSchema)))
})
