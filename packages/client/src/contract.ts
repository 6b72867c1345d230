/**
 * The RPC contract: the one table of methods, with what each takes and answers. Server, client, command line and the OpenRPC
 * document are all made from it, so that they cannot disagree. Owns the types and the checks that follow from the table; not
 * the transport, and not what the methods do.
 */
import { Compile, Settings } from '@kvchain/core/typebox'
import type { Static } from 'typebox'
import type { Validator } from 'typebox/compile'
import { chainMethods } from './contract/chain.js'
import { coinMethods } from './contract/coin.js'
import { explain, type Problem } from './contract/explain.js'
import { kvMethods } from './contract/kv.js'
import { netMethods } from './contract/net.js'
import { nodeMethods } from './contract/node.js'
import { proofMethods } from './contract/proof.js'
import { txMethods } from './contract/tx.js'
import { watchMethods } from './contract/watch.js'

// Of a value that has none of several forms, each form has its errors; the one that says so comes last.
Settings.Set({ maxErrors: 64 })

/** Every method: name, parameters, result, summary. */
export const CONTRACT = {
  ...kvMethods,
  ...watchMethods,
  ...proofMethods,
  ...coinMethods,
  ...txMethods,
  ...chainMethods,
  ...netMethods,
  ...nodeMethods,
}

export type MethodName = keyof typeof CONTRACT
/** What a method takes, always by name. */
export type Params<M extends MethodName> = Static<(typeof CONTRACT)[M]['params']>
/** What a method answers. */
export type Result<M extends MethodName> = Static<(typeof CONTRACT)[M]['result']>

/** What the server gives a handler besides the parameters. */
export interface HandlerContext {
  /** Aborts when the caller is gone or the server stops: let go of whatever is being waited for. */
  readonly signal: AbortSignal
}

/** What the daemon must bring: a function for each method. */
export type Handlers = {
  readonly [M in MethodName]: (params: Params<M>, context: HandlerContext) => Promise<Result<M>>
}

export type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: Problem }

/** The methods, in the order of the table. */
export const METHOD_NAMES: readonly MethodName[] = Object.keys(CONTRACT).filter(isMethodName)

export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(CONTRACT, name)
}

/** Checks what a caller sent. No parameters at all count as none given. */
export function checkParams<M extends MethodName>(method: M, value: unknown): Checked<Params<M>> {
  const validator = paramsValidators.of(method)
  const params = value === undefined ? {} : value
  if (validator.Check(params)) return { ok: true, value: params as Params<M> }
  return { ok: false, problem: explain(CONTRACT[method].params, validator.Errors(params), 'params') }
}

/** Checks what a handler answered. Fields that this version does not know are taken out, for a newer daemon may send more. */
export function checkResult<M extends MethodName>(method: M, value: unknown): Checked<Result<M>> {
  const validator = resultValidators.of(method)
  if (validator.Check(value)) return { ok: true, value: value as Result<M> }
  const known = validator.Clean(structuredClone(value))
  if (validator.Check(known)) return { ok: true, value: known as Result<M> }
  return { ok: false, problem: explain(CONTRACT[method].result, validator.Errors(value), 'result') }
}

/** Compiles each schema once, when it is first needed: a command line that makes one call pays for one. */
class Validators {
  private readonly compiled = new Map<MethodName, Validator>()

  constructor(private readonly side: 'params' | 'result') {}

  of(method: MethodName): Validator {
    let validator = this.compiled.get(method)
    if (validator === undefined) {
      validator = Compile(CONTRACT[method][this.side])
      this.compiled.set(method, validator)
    }
    return validator
  }
}

const paramsValidators = new Validators('params')
const resultValidators = new Validators('result')
