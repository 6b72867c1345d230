/** The OpenRPC 1.3 document: the contract in the form that other people's tools read. Made from the table, never by hand. */
import { EXAMPLES } from './contract/examples.js'
import type { MethodSpec } from './contract/schemas.js'
import { CONTRACT, METHOD_NAMES, type MethodName, type Result } from './contract.js'
import { RPC_ERRORS } from './rpcErrors.js'

/** What `rpc.discover` answers. `version` is the daemon's. */
export function openRpcDocument(version: string): Result<'rpc.discover'> {
  const document: OpenRpcDocument = {
    openrpc: '1.3.2',
    info: {
      title: 'kvchain',
      version,
      description:
        'JSON-RPC 2.0, one message on a line, over a Unix socket. Parameters go by name. Numbers are whole and exact; hashes are lower-case hex; accounts are bech32m addresses.',
      license: { name: 'MIT' },
    },
    methods: METHOD_NAMES.map(describeMethod),
  }
  return document
}

interface OpenRpcDocument {
  openrpc: string
  info: { title: string; version: string; description: string; license: { name: string } }
  methods: OpenRpcMethod[]
}

interface OpenRpcMethod {
  name: string
  summary: string
  description?: string
  paramStructure: 'by-name'
  params: { name: string; required: boolean; schema: object; description?: string }[]
  result: { name: string; schema: object }
  errors: { code: number; message: string; data: { name: string } }[]
  examples: OpenRpcExample[]
}

interface OpenRpcExample {
  name: string
  params: { name: string; value: unknown }[]
  result: { name: string; value: unknown }
}

function describeMethod(name: MethodName): OpenRpcMethod {
  const spec: MethodSpec = CONTRACT[name]
  const required = new Set(spec.params.required)
  return {
    name,
    summary: spec.summary,
    ...(spec.help === undefined ? {} : { description: spec.help }),
    paramStructure: 'by-name',
    params: Object.entries(spec.params.properties).map(([param, schema]) => ({
      name: param,
      required: required.has(param),
      schema,
      ...('description' in schema && typeof schema.description === 'string' ? { description: schema.description } : {}),
    })),
    result: { name: `${name}_result`, schema: spec.result },
    errors: spec.errors.map((error) => ({
      code: RPC_ERRORS[error].code,
      message: RPC_ERRORS[error].summary,
      data: { name: error },
    })),
    examples: [exampleOf(name)],
  }
}

function exampleOf(name: MethodName): OpenRpcExample {
  const { params, result } = EXAMPLES[name]
  return {
    name: `${name}_example`,
    params: Object.entries(params).map(([param, value]) => ({ name: param, value })),
    result: { name: `${name}_result`, value: result },
  }
}
