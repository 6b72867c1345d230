/** docs/rpc.md is what the contract, the examples and the bounds of the server make of it, and it leaves nothing out. */
import { readFileSync } from 'node:fs'
import { CONTRACT, METHOD_NAMES } from '@kvchain/client/contract'
import { rpcDocument } from '@kvchain/client/rpcDocument'
import { RPC_ERRORS } from '@kvchain/client/rpcErrors'
import { RPC_LIMITS } from '@kvchain/node/rpc/socketServer'
import { describe, expect, test } from 'vitest'

const file = readFileSync(new URL('../../../../docs/rpc.md', import.meta.url), 'utf8')

/** The part about one method. */
function partOf(method: string): string {
  return file.split(/^### /m).find((part) => part.startsWith(`${method}\n`)) ?? ''
}

describe('docs/rpc.md', () => {
  test('is what npm run docs makes', () => {
    expect(file).toBe(rpcDocument(RPC_LIMITS))
  })

  test('names every error with its code', () => {
    for (const [name, { code }] of Object.entries(RPC_ERRORS)) expect(file).toContain(`| \`${name}\` | ${code} |`)
  })

  test('names every bound', () => {
    for (const bound of Object.values(RPC_LIMITS)) {
      expect(file).toMatch(new RegExp(`^\\| [^|]+ \\| ${bound.toLocaleString('en-GB')} \\|`, 'm'))
    }
  })

  test.each(METHOD_NAMES)('tells of each field of %s, and has a request and an answer', (method) => {
    const part = partOf(method)
    const { params, result } = CONTRACT[method]
    for (const name of [...Object.keys(params.properties), ...Object.keys(result.properties)]) {
      expect(part).toContain(`| \`${name}\` |`)
    }
    const lines = part.split('\n').filter((line) => line.startsWith('    {'))
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ method }),
      expect.objectContaining({ result: expect.anything() }),
    ])
  })
})
