/** Writes what is made from tables in the sources: docs/rpc.md and the schemas in configs/. Run it by `npm run docs`; tests hold the files against what it would write. */
import { writeFileSync } from 'node:fs'
import { configSchema } from '@kvchain/cli/daemon/settings'
import { rpcDocument } from '@kvchain/client/rpcDocument'
import { NetworkSchema } from '@kvchain/core/params'
import { RPC_LIMITS } from '@kvchain/node/rpc/socketServer'

const write = (path, text) => writeFileSync(new URL(`../${path}`, import.meta.url), text)

const writeJson = (path, value) => write(path, `${JSON.stringify(value, undefined, 2)}\n`)

const config = configSchema()
writeJson('configs/config.schema.json', config)
writeJson('configs/network.schema.json', { $schema: config.$schema, ...NetworkSchema })
write('docs/rpc.md', rpcDocument(RPC_LIMITS))
