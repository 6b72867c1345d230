/**
 * The documents that describe the server, checked by what their specifications say:
 * 1. the OpenAPI document is valid 3.1, its schemas are JSON Schema, its operations have names of their own;
 * 2. every route of the table is in it, with every parameter that the method takes or a reason not to;
 * 3. the OpenRPC document is valid 1.3.
 */
import { createRequire } from 'node:module'
import { CONTRACT } from '@kvchain/client/contract'
import { openRpcDocument } from '@kvchain/client/openrpc'
import { openApiDocument } from '@kvchain/node/http/openapi'
import { ROUTES } from '@kvchain/node/http/routes'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: object }[]
  readonly responses: Readonly<Record<string, { description: string; content?: Record<string, { schema?: object }> }>>
}

/** As a client gets it. */
const document = JSON.parse(JSON.stringify(openApiDocument('1.2.3', 'http://127.0.0.1:80')))
const paths: Record<string, Record<string, Operation>> = document.paths
const operations = Object.values(paths).flatMap((path) => Object.values(path))

describe('OpenAPI', () => {
  test('the document is valid', async () => {
    const validator = new Validator()
    const { valid, errors } = await validator.validate(document)
    expect(errors).toBeUndefined()
    expect([valid, validator.version]).toEqual([true, '3.1'])
    const broken = await new Validator().validate({ ...document, paths: { '/x': { get: { responses: 7 } } } })
    expect(broken.valid).toBe(false)
  })

  test('every schema in it compiles', () => {
    const ajv = new Ajv2020({ strict: true, allowUnionTypes: true })
    ajv.addSchema({ $id: 'doc', ...document.components.schemas.Error }, '#/components/schemas/Error')
    const schemas = operations.flatMap(({ parameters = [], responses }) => [
      ...parameters.map(({ schema }) => schema),
      ...Object.values(responses).flatMap(({ content = {} }) =>
        Object.values(content).flatMap(({ schema }) => schema ?? []),
      ),
    ])
    expect(schemas.length).toBeGreaterThan(100)
    for (const schema of schemas) if (!('$ref' in schema)) expect(() => ajv.compile(schema)).not.toThrow()
  })

  test('operations have names of their own, and say how they go wrong', () => {
    const ids = operations.map(({ operationId }) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { responses } of operations) expect(Object.keys(responses).some((status) => status >= '400')).toBe(true)
  })

  test('each route is in it, with the parameters of its path, and takes every parameter of its method', () => {
    // What a route takes in another way than by name.
    const otherwise: Record<string, string[]> = {
      kv_put: ['value', 'encoding', 'expect', 'access'],
      kv_delete: ['expect'],
      chain_block: ['height', 'hash'],
      kv_access: ['expect'],
      coin_balance: ['address'],
    }
    for (const { id, verb, path, method, params, body = [] } of ROUTES) {
      const operation = paths[path]?.[verb.toLowerCase()]
      expect(operation?.operationId).toBe(id)
      const inPath = operation?.parameters?.filter((parameter) => parameter.in === 'path') ?? []
      expect(inPath.map(({ name, required }) => `${name} ${required}`).sort()).toEqual(
        [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => `${name} true`).sort(),
      )
      expect([...params, ...body, ...(otherwise[id] ?? [])].sort()).toEqual(
        Object.keys(CONTRACT[method].params.properties).sort(),
      )
    }
    // A block of its own, the events, the status of a transaction, and no more than one way to stop; a new method must choose.
    const without = Object.keys(CONTRACT).filter((name) => !ROUTES.some(({ method }) => method === name))
    expect(without.sort()).toEqual(['chain_tip', 'kv_watch', 'node_backup', 'node_stop', 'tx_wait'])
  })
})

test('the OpenRPC document is valid', () => {
  const DRAFT_7 = 'http://json-schema.org/draft-07/schema#'
  // Neither package has types of what it exports.
  const load: (name: string) => Readonly<Record<string, Record<string, unknown>>> = createRequire(import.meta.url)
  const { openrpcDocument } = load('@open-rpc/meta-schema')
  const { default: jsonSchema = {} } = load('@json-schema-tools/meta-schema')
  const ajv = new Ajv({ strict: false, validateFormats: false, validateSchema: false })
  ajv.addSchema({ ...jsonSchema, $schema: DRAFT_7 })
  ajv.addSchema({ $id: 'https://meta.json-schema.tools', $ref: 'https://meta.json-schema.tools/' })
  const validate = ajv.compile({ ...openrpcDocument, $schema: DRAFT_7 })
  validate(JSON.parse(JSON.stringify(openRpcDocument('1.2.3'))))
  expect(validate.errors).toBeNull()
  const broken = { name: 'x', params: [{ name: 'p', schema: { type: 'nonsense' } }] }
  expect(validate({ openrpc: '1.3.2', info: { title: 'x', version: '1' }, methods: [broken] })).toBe(false)
  expect(validate({ openrpc: '1.3.2', info: { title: 'x' }, methods: [] })).toBe(false)
})
