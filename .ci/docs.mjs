/** Writes what is made from tables in the sources: docs/rpc.md, configs/config.schema.json. Run it by `npm run docs`; tests hold the files against what it would write. */
import { writeFileSync } from 'node:fs'
import { configSchema } from '@kvchain/cli/daemon/settings'
import { rpcDocument } from '@kvchain/client/rpcDocument'
import { RPC_LIMITS } from '@kvchain/node/rpc/socketServer'

const write = (path, text) => writeFileSync(new URL(`../${path}`, import.meta.url), text)

write('configs/config.schema.json', `${JSON.stringify(configSchema(), undefined, 2)}\n`)
write('docs/rpc.md', rpcDocument(RPC_LIMITS))
