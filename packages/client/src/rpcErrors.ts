/**
 * The RPC error codes: the one table that daemon, client and command line share. Codes and names are stable; messages are for
 * people. `error.data.name` carries the name, so that nobody needs to know the numbers.
 */

export interface RpcErrorRow {
  /** The number in a JSON-RPC error. */
  readonly code: number
  readonly summary: string
  /** How kvchain-cli exits. */
  readonly exitCode: number
}

/** Those of JSON-RPC 2.0 first, then kvchain's own. A refused write says which rule in data.rule. */
export const RPC_ERRORS = {
  parse: { code: -32700, summary: 'The line is not JSON that can be read.', exitCode: 1 },
  'invalid-request': { code: -32600, summary: 'The JSON is not a request.', exitCode: 1 },
  'unknown-method': { code: -32601, summary: 'There is no such method.', exitCode: 1 },
  'invalid-params': { code: -32602, summary: 'The parameters are not what the method takes.', exitCode: 2 },
  internal: { code: -32603, summary: 'The daemon failed; its log says why.', exitCode: 1 },
  'not-found': { code: -32001, summary: 'There is no such thing.', exitCode: 3 },
  refused: { code: -32002, summary: 'A rule forbids it: data.rule says which.', exitCode: 4 },
  'timed-out': { code: -32003, summary: 'It took longer than the caller would wait.', exitCode: 6 },
  busy: { code: -32004, summary: 'A queue is full; try again later.', exitCode: 1 },
  failed: {
    code: -32005,
    summary: 'The write will never be confirmed: data.status says what became of it.',
    exitCode: 1,
  },
  unavailable: { code: -32006, summary: 'The daemon is stopping.', exitCode: 5 },
} as const satisfies Record<string, RpcErrorRow>

export type RpcErrorName = keyof typeof RPC_ERRORS

const nameByCode = new Map<number, RpcErrorName>()
for (const name of Object.keys(RPC_ERRORS)) if (isRpcErrorName(name)) nameByCode.set(RPC_ERRORS[name].code, name)

export function isRpcErrorName(name: string): name is RpcErrorName {
  return Object.hasOwn(RPC_ERRORS, name)
}

/** The name of an error code, if it is one of ours. */
export function rpcErrorName(code: number): RpcErrorName | undefined {
  return nameByCode.get(code)
}
